//! The prompt for confirmation before the first write.

use std::collections::BTreeMap;
use std::io::{IsTerminal, stderr, stdin};

use crate::error::Failure;
use crate::exit::Exit;
use crate::format::{count, printable};
use crate::job::Job;
use crate::plan::Plan;
use crate::report::counted;
use crate::report::print::{to_stderr, to_stderr_wrapped};

/// How often the prompt is shown before a wrong answer ends the command.
const TRIES: usize = 3;
/// Columns before the text behind a label.
const INDENT: usize = 11;
/// Most image versions, regions or waves that are listed.
const LISTED: usize = 6;

/// What a run is about to do with a row of the plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// Switch its engine.
    Switch,
    /// Verify an unconfirmed request, and send it again if it was not applied.
    VerifyUnconfirmed,
    /// Verify an accepted request.
    Verify,
    /// Nothing: its engine is on its target.
    Done,
    /// Nothing: it has failed, or fails without a request.
    Fail,
}

impl Action {
    /// True if a request may be sent.
    fn may_send(self) -> bool {
        matches!(self, Self::Switch | Self::VerifyUnconfirmed)
    }
}

/// What a run is about to do.
pub(super) struct Question<'a> {
    /// The plan.
    pub(super) plan: &'a Plan,
    /// One for each row of the plan.
    pub(super) actions: Vec<Action>,
    /// Where the requests are sent to.
    pub(super) endpoint: &'a str,
    /// The account, if it was checked.
    pub(super) account: Option<&'a str>,
}

impl Question<'_> {
    /// Engines that a request may be sent to: the number to be typed.
    pub(super) fn engines(&self) -> usize {
        self.count(Action::Switch) + self.count(Action::VerifyUnconfirmed)
    }

    fn count(&self, action: Action) -> usize {
        self.actions.iter().filter(|other| **other == action).count()
    }

    fn text(&self) -> String {
        let account = self.account.map_or_else(String::new, |account| format!(", account {account}"));
        let work = counted([
            (self.count(Action::Switch), "to switch"),
            (
                self.count(Action::VerifyUnconfirmed),
                "unconfirmed, sent again if verification shows them not applied",
            ),
            (self.count(Action::Verify), "to verify"),
            (self.count(Action::Done), "done"),
            (self.count(Action::Fail), "failed or failing"),
        ]);
        let waves =
            |job: &Job| self.plan.waves.get(job.wave).map_or_else(String::new, |wave| wave.name.clone());
        let lines = [
            ("engines", work.join(", ")),
            ("images", self.listed(|job| (0, job.key.new_image_version_id.to_string()))),
            ("regions", self.listed(|job| (0, job.key.region.to_string()))),
            ("waves", self.listed(|job| (job.wave, waves(job)))),
        ];
        let lines = lines.map(|(label, values)| format!("  {label:<7}  {values}\n")).concat();
        let endpoint = self.endpoint;
        format!(
            "switching engines through {endpoint}{account}\n{lines}queries and jobs on these engines may be interrupted\n"
        )
    }

    /// `ap-guangzhou (50), ap-shanghai (7)`: a property of the engines that a request may be sent to, with how many have
    /// each value.
    fn listed(&self, property: impl Fn(&Job) -> (usize, String)) -> String {
        let mut counts: BTreeMap<(usize, String), usize> = BTreeMap::new();
        let rows = self.plan.jobs.iter().zip(&self.actions).filter(|(_, action)| action.may_send());
        rows.for_each(|(job, _)| *counts.entry(property(job)).or_default() += 1);
        let all = counts.len();
        let listed =
            counts.iter().take(LISTED).map(|((_, value), engines)| format!("{value} ({})", count(*engines)));
        let more = (all > LISTED).then(|| format!("and {} more", count(all - LISTED)));
        listed.chain(more).collect::<Vec<_>>().join(", ")
    }
}

/// Returns when the number of engines was typed.
pub(super) async fn confirm(question: Question<'_>) -> Result<(), Failure> {
    for (name, is_terminal) in [("stdin", stdin().is_terminal()), ("stderr", stderr().is_terminal())] {
        if !is_terminal {
            let what = format!("cannot ask for confirmation: {name} is not a terminal; pass --yes");
            return Err(refused(what).next("nothing was switched"));
        }
    }
    let engines = question.engines().to_string();
    to_stderr_wrapped(&question.text(), INDENT);
    let mut prompt = format!("type the number of engines that may be switched ({engines}) to continue: ");
    for _ in 0..TRIES {
        to_stderr(&prompt);
        let typed = read_line().await?;
        let answer = typed.trim();
        if answer == engines {
            return Ok(());
        }
        if !typed.ends_with('\n') {
            break;
        }
        prompt = format!("\"{}\" is not {engines}; type {engines} to continue: ", printable(answer));
    }
    Err(refused("not confirmed").next("nothing was switched; run the same command again"))
}

fn refused(what: impl AsRef<str>) -> Failure {
    Failure::new(Exit::Refused, what)
}

/// Reads what is typed; empty at the end of input.
async fn read_line() -> Result<String, Failure> {
    let mut cursor = CursorAfterPrompt(true);
    // reading a terminal blocks, and a signal must still be handled
    let typed = tokio::task::spawn_blocking(|| {
        let mut line = String::new();
        stdin().read_line(&mut line).map(|_| line)
    });
    let typed = typed.await.map_err(|error| refused(error.to_string()).next("nothing was switched"))?;
    if !stdin().is_terminal() {
        // SIGHUP may come a moment later, or be ignored
        let what = "the terminal was closed before the run was confirmed";
        return Err(Failure::new(Exit::HungUp, what).next("nothing was switched; run the same command again"));
    }
    let typed = typed.map_err(|error| {
        refused(format!("the answer could not be read: {error}")).next("nothing was switched; pass --yes")
    })?;
    // the end of input leaves the cursor where it is
    cursor.0 = !typed.ends_with('\n');
    Ok(typed)
}

/// True while the cursor is behind the prompt, so that the next message needs a new line. That is also so if a signal
/// comes before an answer.
struct CursorAfterPrompt(bool);

impl Drop for CursorAfterPrompt {
    fn drop(&mut self) {
        if self.0 {
            to_stderr("\n");
        }
    }
}
