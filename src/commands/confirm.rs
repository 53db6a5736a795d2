//! Asks before the first write.

use std::io::{IsTerminal, stderr, stdin};

use crate::error::Failure;
use crate::exit::Exit;
use crate::format::plural;
use crate::report::print::to_stderr;

/// What is about to happen.
pub(super) struct Question<'a> {
    /// Engines to which a request will be sent.
    pub(super) engines: usize,
    /// Where they are.
    pub(super) regions: &'a str,
    /// Who is asked to switch them.
    pub(super) endpoint: &'a str,
}

/// Returns once somebody agreed. Without a terminal there is nobody to ask.
pub(super) async fn confirm(question: Question<'_>) -> Result<(), Failure> {
    let refused = |what: &str| {
        Failure::new(Exit::Refused, what)
            .next("nothing was switched; add --yes to go ahead without being asked")
    };
    let engines = plural(question.engines, "engine");
    if !stdin().is_terminal() || !stderr().is_terminal() {
        return Err(refused(&format!(
            "{engines} would be switched, and there is no terminal to ask for leave"
        )));
    }
    to_stderr(&format!(
        "{engines} in {} will be switched through {}; work that runs on them may be disturbed\ntype the number of engines to go ahead: ",
        question.regions, question.endpoint
    ));
    let mut cursor = BehindTheQuestion(true);
    // reading a terminal blocks, and a signal must still get through
    let typed = tokio::task::spawn_blocking(|| {
        let mut line = String::new();
        stdin().read_line(&mut line).map(|_| line)
    });
    let typed = typed.await.map_err(|error| refused(&error.to_string()))?;
    if !stdin().is_terminal() {
        // the signal that says so may come a moment later, or may be ignored
        let what = "the terminal is gone before anybody agreed";
        return Err(
            Failure::new(Exit::HungUp, what).next("nothing was switched; the same command begins again")
        );
    }
    let typed = typed.map_err(|error| refused(&format!("the answer could not be read: {error}")))?;
    // the end of input leaves the cursor where it is
    cursor.0 = !typed.ends_with('\n');
    if typed.trim() == question.engines.to_string() {
        return Ok(());
    }
    let what = "that is not the number of engines, so nothing goes ahead";
    Err(Failure::new(Exit::Refused, what)
        .next("nothing was switched; run the same command again to be asked again"))
}

/// Whether the cursor still stands behind the question, so that whatever is said next needs a line of its own. That is
/// also so where a signal comes instead of an answer.
struct BehindTheQuestion(bool);

impl Drop for BehindTheQuestion {
    fn drop(&mut self) {
        if self.0 {
            to_stderr("\n");
        }
    }
}
