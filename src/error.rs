//! The error of a command: what happened, what to do next, and the exit code.

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

/// Why a command failed.
#[derive(Debug)]
pub struct Failure {
    /// The code the shell sees.
    pub exit: Exit,
    what: String,
    next: Option<String>,
}

impl Failure {
    /// A failure in one sentence. The message may contain texts of libraries, which have several lines and repeat input:
    /// it is joined to one line and made printable.
    pub fn new(exit: Exit, what: impl AsRef<str>) -> Self {
        let line = what.as_ref().split_whitespace().collect::<Vec<_>>().join(" ");
        Self { exit, what: printable(&line), next: None }
    }

    /// Adds the next step, on a line of its own.
    #[must_use]
    pub fn next(mut self, next: impl Into<String>) -> Self {
        self.next = Some(next.into());
        self
    }
}

impl Failure {
    /// Removes the next step, where the caller has another one.
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
            .next("nothing was sent; to try the plan without keys, add --simulate")
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
            LedgerError::Io { .. } => {
                "nothing was sent; fix the cause, or choose another ledger with --ledger"
            }
            LedgerError::Locked { .. } => "nothing was sent; wait until that run ends, or stop it",
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

/// The alternative that needs no read permission, and its cost.
const UNVERIFIED: &str = "add --no-verify: nothing is verified then, and unconfirmed requests end as unknown";

/// Why the first survey failed.
impl From<SurveyError> for Failure {
    fn from(error: SurveyError) -> Self {
        match error {
            SurveyError::Unread { action, fault } => unread(action, &fault),
            SurveyError::Nameless { rows, of, first } => {
                let what = format!(
                    "this endpoint cannot list engines, so they are read by name, and {rows} of {} have no \
                     data_engine_name; {first} is the first",
                    plural(of, "row"),
                );
                let next = format!(
                    "nothing was switched; add data_engine_name to every row of the plan, or {UNVERIFIED}"
                );
                Self::new(Exit::Refused, what).next(next)
            }
        }
    }
}

fn unread(action: &str, fault: &CallError) -> Failure {
    let reason = reading_failed(fault);
    let said = reason.message.map_or_else(String::new, |message| format!(": {message}"));
    let id = reason.request_id.map_or_else(String::new, |id| format!(" (RequestId {id})"));
    let what = format!("cannot read the fleet with {action}: {} ({}{said}){id}", reason.cause, reason.code);
    let denied =
        matches!(fault, CallError::Refused(refusal) if look_up(&refusal.code).class == ErrorClass::Denied);
    let next =
        if denied { format!("grant dlc:{action} to this key, or {UNVERIFIED}") } else { reason.remedy };
    Failure::new(Exit::Refused, what).next(format!("nothing was switched; {next}"))
}
