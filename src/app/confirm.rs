//! Asks before the first write.

use std::io::{IsTerminal, stderr, stdin};

use crate::error::Failure;
use crate::exit::Exit;
use crate::report::print::to_stderr;
use crate::words::plural;

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
    // reading a terminal blocks, and a signal must still get through
    let typed = tokio::task::spawn_blocking(|| {
        let mut line = String::new();
        stdin().read_line(&mut line).map(|_| line)
    });
    let typed = typed.await.map_err(|error| refused(&error.to_string()))?;
    let typed = typed.map_err(|error| refused(&format!("the answer could not be read: {error}")))?;
    if typed.trim() == question.engines.to_string() {
        return Ok(());
    }
    if !typed.ends_with('\n') {
        // the end of input leaves the cursor behind the question
        to_stderr("\n");
    }
    let what = "that is not the number of engines, so nothing goes ahead";
    Err(Failure::new(Exit::Refused, what)
        .next("nothing was switched; run the same command again to be asked again"))
}
