//! Any room's error, gathered into what happened, what to do next, and the exit code that says so.

use std::fmt;

use crate::cloud::CallError;
use crate::cloud::catalogue::{ErrorClass, look_up};
use crate::cloud::credentials::CredentialsError;
use crate::cloud::endpoint::EndpointError;
use crate::cloud::network::NetworkError;
use crate::cloud::signed::HttpSetupError;
use crate::exit::Exit;
use crate::format::{plural, printable};
use crate::ledger::LedgerError;
use crate::plan::PlanError;
use crate::run::{SurveyError, reading_failed};
use crate::simulator::ScenarioError;

/// Why a command ended without doing what it was asked to.
#[derive(Debug)]
pub struct Failure {
    /// The code the shell sees.
    pub exit: Exit,
    what: String,
    next: Option<String>,
}

impl Failure {
    /// A failure that is told in one sentence, its remedy included. Libraries, whose words may be part of it, speak in
    /// several lines and repeat what was typed, raw.
    pub fn new(exit: Exit, what: impl AsRef<str>) -> Self {
        let line = what.as_ref().split_whitespace().collect::<Vec<_>>().join(" ");
        Self { exit, what: printable(&line), next: None }
    }

    /// The same, with what to do next on a line of its own.
    #[must_use]
    pub fn next(mut self, next: impl Into<String>) -> Self {
        self.next = Some(next.into());
        self
    }
}

impl Failure {
    /// Leaves out what to do next, where the command is another one than usual.
    #[must_use]
    pub fn only_what(self) -> Self {
        Self { next: None, ..self }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "error: {}", self.what)?;
        match &self.next {
            Some(next) => write!(formatter, "\n next: {next}"),
            None => Ok(()),
        }
    }
}

impl From<PlanError> for Failure {
    fn from(error: PlanError) -> Self {
        Self::new(Exit::Usage, error.to_string())
    }
}

impl From<ScenarioError> for Failure {
    fn from(error: ScenarioError) -> Self {
        Self::new(Exit::Usage, error.to_string())
    }
}

impl From<EndpointError> for Failure {
    fn from(error: EndpointError) -> Self {
        Self::new(Exit::Usage, format!("--endpoint: {error}"))
    }
}

impl From<NetworkError> for Failure {
    fn from(error: NetworkError) -> Self {
        Self::new(Exit::Usage, error.to_string()).next("nothing was sent")
    }
}

impl From<CredentialsError> for Failure {
    fn from(error: CredentialsError) -> Self {
        Self::new(Exit::Refused, error.to_string())
            .next("nothing was sent; to rehearse without keys, add --simulate")
    }
}

impl From<HttpSetupError> for Failure {
    fn from(error: HttpSetupError) -> Self {
        Self::new(Exit::Refused, error.to_string())
    }
}

impl From<LedgerError> for Failure {
    fn from(error: LedgerError) -> Self {
        let next = match &error {
            LedgerError::Io { .. } => "nothing was sent; mend that, or choose another place with --ledger",
            LedgerError::Locked { .. } => "nothing was sent; wait until that run has ended, or stop it",
            LedgerError::Newer { .. } => {
                "nothing was sent; use the version of dlc-fleet that wrote it, or another ledger with --ledger"
            }
            LedgerError::Damaged { .. } => {
                "nothing was sent; restore the file from a copy, or set the damaged end aside with `dlc-fleet \
                 ledger repair`"
            }
        };
        Self::new(Exit::Ledger, error.to_string()).next(next)
    }
}

/// What the way out costs that needs no look at the fleet.
const UNPROVEN: &str = "add --no-verify: then nothing is proven, and whatever is in doubt ends as unknown";

/// Why the fleet could not be seen before the first write.
impl From<SurveyError> for Failure {
    fn from(blind: SurveyError) -> Self {
        match blind {
            SurveyError::Unread { action, fault } => unread(action, &fault),
            SurveyError::Nameless { rows, of, first } => {
                let what = format!(
                    "there is no list of engines at this endpoint, so they can be looked at by name alone, and {rows} \
                     of {} have no data_engine_name; {first} is the first",
                    plural(of, "row"),
                );
                let next =
                    format!("nothing was switched; name the engine in every row of the plan, or {UNPROVEN}");
                Self::new(Exit::Refused, what).next(next)
            }
        }
    }
}

fn unread(action: &str, fault: &CallError) -> Failure {
    let reason = reading_failed(fault);
    let said = reason.message.map_or_else(String::new, |message| format!(": {message}"));
    let id = reason.request_id.map_or_else(String::new, |id| format!(" (RequestId {id})"));
    let what =
        format!("the fleet could not be seen by {action}: {} ({}{said}){id}", reason.cause, reason.code);
    let denied =
        matches!(fault, CallError::Refused(refusal) if look_up(&refusal.code).class == ErrorClass::Denied);
    let next = if denied { format!("grant dlc:{action} to this key, or {UNPROVEN}") } else { reason.remedy };
    Failure::new(Exit::Refused, what).next(format!("nothing was switched; {next}"))
}
