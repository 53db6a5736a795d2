//! The oracle: checks what the tool does and reports against the true state of the service, without the code of the tool.

mod outcomes;
pub mod sent_requests;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use dlc_fleet::event::{Event, Listener, RunHeader, StopReason};
use dlc_fleet::tally::Tally;

use crate::engine::Moment;
use crate::plan::Row;
use crate::process::Stage;
use crate::records::Key;
use crate::requests::Reply;
use crate::service::Service;
use crate::world::World;

/// Declares the rules with their explanations.
macro_rules! rules {
    ($($(#[$doc:meta])* $rule:ident,)+) => {
        /// A rule that the tool must never violate.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Rule {
            $($(#[$doc])* $rule,)+
        }

        impl Rule {
            /// All rules.
            const ALL: &[Self] = &[$(Self::$rule,)+];
        }
    };
}

rules! {
    /// A switch was applied twice although the effect of the first request was visible in time.
    AppliedTwice,
    /// A request to another target was sent before the effect of an earlier one for the same engine was visible.
    SentBeforeEffect,
    /// An engine that the ledger records as moved or failed was sent again.
    SentWhileHeld,
    /// An engine was sent from another image than the plan expects.
    ExpectedIgnored,
    /// Switched without two reads that show it.
    SwitchedWithoutProof,
    /// Up-to-date without a read that shows it.
    UpToDateWithoutProof,
    /// Failed although a request was applied in time.
    FailedButApplied,
    /// Reported as missing although it exists.
    MissingButExists,
    /// Failed because the region is not served, although a read showed the engine.
    RegionIsServed,
    /// Reported as moved or on an unexpected image without a read that shows it.
    MovedWithoutProof,
    /// Reported as failed without a read that shows it.
    BrokenWithoutProof,
    /// Kept as failed for a reason that needs no release.
    KeptForAnotherReason,
    /// Not started although a request of this run was applied.
    NotStartedButApplied,
    /// Accepted without a response or a read that shows it.
    AcceptedWithoutProof,
    /// Timed out after a suspension without a read.
    TimedOutWithoutRead,
    /// Timed out or unknown although two reads showed it running on its target.
    TimedOutThoughReady,
    /// Stopped for throttling before `wait_timeout`.
    StoppedTooEarly,
    /// A row did not end exactly once, or the totals do not add up.
    RowsDoNotAddUp,
    /// More requests in a second than allowed.
    TooFast,
    /// More reads of one action in a second than allowed.
    ReadTooFast,
    /// Something was sent after the run had stopped.
    SentAfterStop,
    /// A request was sent whose intent was not durable.
    SentWithoutIntent,
    /// A wave started before the earlier ones were done.
    WaveTooEarly,
    /// The ledger cannot be read, or is no sequence of JSON lines.
    LedgerBroken,
    /// The ledger does not record a response of the service.
    ResponseMissing,
    /// The run does not end.
    DoesNotEnd,
    /// The run panicked.
    Panicked,
    /// Runs without faults do not complete.
    DoesNotComplete,
    /// A run sends a request although every row is final.
    SentAfterCompletion,
}

/// Rules that are not checked, while a bug is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct IgnoredRules(u64);

impl IgnoredRules {
    /// Parses names separated by commas.
    pub fn parse(names: &str) -> Result<Self, String> {
        let mut ignored_rules = Self::default();
        for name in names.split(',').filter(|name| !name.is_empty()) {
            let rule = Rule::ALL.iter().find(|rule| format!("{rule:?}") == name);
            let rule = rule.ok_or_else(|| format!("there is no rule {name:?}"))?;
            ignored_rules.0 |= 1 << *rule as u64;
        }
        Ok(ignored_rules)
    }

    pub fn contains(self, rule: Rule) -> bool {
        self.0 & (1 << rule as u64) != 0
    }
}

/// One violation of a rule.
#[derive(Clone, Debug)]
pub struct Violation {
    pub rule: Rule,
    pub run: usize,
    pub at: Moment,
    pub what: String,
}

/// Receives the events of a run and checks them at once.
#[derive(Clone)]
pub struct OracleListener {
    service: Service,
    tally: Arc<Mutex<Tally>>,
}

impl OracleListener {
    pub fn new(service: Service, header: &RunHeader) -> Self {
        Self { service, tally: Arc::new(Mutex::new(Tally::new(header))) }
    }

    pub fn tally(&self) -> Tally {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Listener for OracleListener {
    fn on_event(&mut self, _: Duration, event: &Event) {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner).take(event);
        let mut world = self.service.world();
        match event {
            Event::Tick | Event::RunStarted(_) => return,
            Event::Sent { .. } if world.process.stage != Stage::Running => {
                world.violate(Rule::SentAfterStop, format!("{event:?} after the run had stopped"));
            }
            Event::Sent { .. } => world.process.reported += 1,
            Event::Stopping(reason) => {
                world.process.stage = Stage::Stopping;
                world.judge_stop(reason);
                world.process.ledger_lost |= matches!(reason, StopReason::LedgerFailed { .. });
            }
            Event::JobEnded { job, result } => world.judge_outcome(job.0, result),
            _ => {}
        }
        world.trace.say("tool", || format!("{event:?}"));
    }
}

impl World {
    /// The key of a row of the plan.
    pub fn key_of_row(&self, row: &Row) -> Key {
        let engine = &self.engines[row.engine];
        (engine.region.as_str().to_owned(), engine.id.as_str().to_owned(), row.target.clone())
    }

    /// Checks a run that ended without a crash. `counted` is the number of rows in its tally; `disk_held` is false if the
    /// ledger could not be written.
    pub fn judge_run(&mut self, counted: usize, disk_held: bool) {
        self.catch_up();
        let rows = self.process.rows.len();
        let endings: Vec<u32> = self.process.endings.clone();
        if counted != rows || endings.iter().any(|endings| *endings != 1) {
            self.violate(Rule::RowsDoNotAddUp, format!("{rows} rows, {counted} counted, ended {endings:?}"));
        }
        if disk_held && self.process.ledger_lost {
            self.violate(
                Rule::LedgerBroken,
                "reported as not writable although the disk wrote every line".to_owned(),
            );
            return;
        }
        if disk_held {
            let ended = self.disk.with_records(|records| records.ended.clone());
            let run = self.process.name();
            if ended.as_ref() != Some(&(run, rows as u64)) {
                self.violate(
                    Rule::RowsDoNotAddUp,
                    format!("{rows} rows, and the ledger ends with {ended:?}"),
                );
            }
            self.judge_responses();
        }
        self.judge_failures();
    }

    /// A run that stops because every request is throttled must have waited for `wait_timeout`.
    fn judge_stop(&mut self, reason: &StopReason) {
        let StopReason::AccountRefused(reason) = reason else { return };
        if !reason.code.starts_with("RequestLimitExceeded") {
            return;
        }
        let (since, lost) = self.process.throttled_since.unwrap_or((self.now(), Duration::ZERO));
        let waited = self.now().saturating_sub(since).saturating_sub(lost);
        let longest = self.process.options.wait_timeout;
        if waited + Duration::from_secs(2) < longest {
            self.violate(Rule::StoppedTooEarly, format!("throttled for {waited:.0?} of {longest:.0?}"));
        }
    }

    /// Every response that the tool received must be in the ledger.
    fn judge_responses(&mut self) {
        let (run, name) = (self.process.run, self.process.name());
        let mut missing = Vec::new();
        for (number, request) in self.requests.iter().enumerate().filter(|(_, request)| request.run == run) {
            let Some(reply) = &request.delivered else { continue };
            let is_recorded = self.disk.with_records(|records| {
                let of_run = records.of(&request.key).iter().filter(|record| record.run == name);
                let id = Some(format!("request-{number}"));
                of_run.into_iter().any(|record| match reply {
                    Reply::Accepted { problem: false } => record.request_id == id,
                    Reply::Accepted { problem: true } | Reply::Lost | Reply::Never => record.is_unconfirmed(),
                    Reply::Refused(code) => record.code == *code || record.is_unconfirmed(),
                    Reply::SignatureExpired => record.code.starts_with("AuthFailure"),
                })
            });
            if !is_recorded {
                missing.push(format!("request {number} got the response {reply:?}"));
            }
        }
        for what in missing {
            self.violate(Rule::ResponseMissing, what);
        }
    }
}
