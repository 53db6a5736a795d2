//! Judges what the tool does and says by what the world knows, independently of the tool's own code.

pub mod departures;
mod outcomes;

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
macro_rules! options {
    ($($(#[$doc:meta])* $rule:ident,)+) => {
        /// What must never happen.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Rule {
            $($(#[$doc])* $rule,)+
        }

        impl Rule {
            /// All of them.
            const ALL: &[Self] = &[$(Self::$rule,)+];
        }
    };
}

options! {
    /// A switch was applied twice although the effect of the first request showed in time.
    AppliedTwice,
    /// A request to another target left before an earlier one of the same engine had shown its effect in time.
    Overtaken,
    /// An engine that is on record as moved away or broken was sent again.
    TakenBack,
    /// An engine was sent from another image than the plan expects.
    ExpectedIgnored,
    /// Called switched without two reads that show it.
    SwitchedUnseen,
    /// Called on its target without a read that shows it.
    AlreadyUnseen,
    /// Called failed although a request was applied in time.
    FailedButApplied,
    /// Called missing although it exists.
    MissingButThere,
    /// Failed because its region is not served, though an engine of it was shown.
    RegionIsServed,
    /// Called moved by others, or on an unexpected image, without a read that shows it.
    MovedUnseen,
    /// Called broken without a read that shows it.
    BrokenUnseen,
    /// Left alone for a reason that is not the one for which it is held.
    HeldForAnotherReason,
    /// Called not started although a request of this run was applied.
    NotStartedButApplied,
    /// Called accepted without a receipt or a read that shows it.
    AcceptedUnseen,
    /// Ended by a timeout after a suspension without one read.
    EndedUnread,
    /// Called not converged or unknown although two reads showed it running its target.
    ShownInTime,
    /// Stopped for throttling that did not last as long as a run waits.
    StoppedTooEarly,
    /// A row did not end exactly once, or sums do not add up.
    RowsDoNotAddUp,
    /// More requests in a second than allowed.
    TooFast,
    /// More reads of one action in a second than allowed.
    ReadTooFast,
    /// Something left after the run had stopped.
    SentAfterStop,
    /// A request left whose intent was not durable.
    SentWithoutIntent,
    /// A wave began before the ones before it were over.
    WaveTooEarly,
    /// The ledger does not fold or is no chain of JSON lines.
    LedgerBroken,
    /// The ledger does not say what the service answered.
    AnswerMissing,
    /// The run does not end.
    DoesNotEnd,
    /// The run panicked.
    Panicked,
    /// Runs in a healed world do not come to rest.
    DoesNotSettle,
    /// A run sends although everything is settled.
    SentWhenSettled,
}

/// Rules that are not judged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PassedOver(u64);

impl PassedOver {
    /// Reads names with commas between them.
    pub fn parse(names: &str) -> Result<Self, String> {
        let mut passed_over = Self::default();
        for name in names.split(',').filter(|name| !name.is_empty()) {
            let rule = Rule::ALL.iter().find(|rule| format!("{rule:?}") == name);
            let rule = rule.ok_or_else(|| format!("there is no rule {name:?}"))?;
            passed_over.0 |= 1 << *rule as u64;
        }
        Ok(passed_over)
    }

    pub fn contains(self, rule: Rule) -> bool {
        self.0 & (1 << rule as u64) != 0
    }
}

/// One rule that was broken.
#[derive(Clone, Debug)]
pub struct Violation {
    pub rule: Rule,
    pub run: usize,
    pub at: Moment,
    pub what: String,
}

/// Hears what a run tells, and judges it at once.
#[derive(Clone)]
pub struct Witness {
    service: Service,
    tally: Arc<Mutex<Tally>>,
}

impl Witness {
    pub fn new(service: Service, header: &RunHeader) -> Self {
        Self { service, tally: Arc::new(Mutex::new(Tally::new(header))) }
    }

    pub fn tally(&self) -> Tally {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Listener for Witness {
    fn on_event(&mut self, _: Duration, event: &Event) {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner).take(event);
        let mut world = self.service.world();
        match event {
            Event::Tick | Event::RunStarted(_) => return,
            Event::Sent { .. } if world.process.stage != Stage::Running => {
                world.violate(Rule::SentAfterStop, format!("{event:?} after the run had stopped"));
            }
            Event::Sent { .. } => world.process.told += 1,
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

    /// Judges a run that came to its end by itself. `counted` are the rows in its tally; `disk_held` is false where
    /// the ledger could not be written.
    pub fn judge_run(&mut self, counted: usize, disk_held: bool) {
        self.catch_up();
        let rows = self.process.rows.len();
        let endings: Vec<u32> = self.process.endings.clone();
        if counted != rows || endings.iter().any(|endings| *endings != 1) {
            self.violate(Rule::RowsDoNotAddUp, format!("{rows} rows, {counted} counted, ended {endings:?}"));
        }
        if disk_held && self.process.ledger_lost {
            self.violate(Rule::LedgerBroken, "given up although the disk took every line".to_owned());
            return;
        }
        if disk_held {
            let closed = self.platter.with_records(|records| records.closed.clone());
            let run = self.process.name();
            if closed.as_ref() != Some(&(run, rows as u64)) {
                self.violate(Rule::RowsDoNotAddUp, format!("{rows} rows, and the ledger closes {closed:?}"));
            }
            self.judge_answers();
        }
        self.judge_failures();
    }

    /// A run that stops because every request is throttled has waited for as long as it waits for anything.
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

    /// Every answer that the tool got is in the ledger.
    fn judge_answers(&mut self) {
        let (run, name) = (self.process.run, self.process.name());
        let mut missing = Vec::new();
        for (number, request) in self.requests.iter().enumerate().filter(|(_, request)| request.run == run) {
            let Some(reply) = &request.delivered else { continue };
            let says = self.platter.with_records(|records| {
                let of_run = records.of(&request.key).iter().filter(|record| record.run == name);
                let id = Some(format!("request-{number}"));
                of_run.into_iter().any(|record| match reply {
                    Reply::Accepted { problem: false } => record.request_id == id,
                    Reply::Accepted { problem: true } | Reply::Lost | Reply::Never => record.is_unconfirmed(),
                    Reply::Refused(code) => record.code == *code || record.is_unconfirmed(),
                    Reply::SignatureExpired => record.code.starts_with("AuthFailure"),
                })
            });
            if !says {
                missing.push(format!("request {number} was answered {reply:?}"));
            }
        }
        for what in missing {
            self.violate(Rule::AnswerMissing, what);
        }
    }
}
