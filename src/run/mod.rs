//! Executes what is left of a plan: the dispatcher and the pure judgements it acts on.
//!
//! ```text
//!             +------------------------------ dispatcher -----------------------------+
//!  signals -> |  proposes changes (track, answered, looked)  ->  ledger: append, sync  | -> events
//!  answers -> |  commits them (board)  ->  acts: gate, request, sweep                  |
//!  sweeps  -> +-----------------------------------------------------------------------+
//!                 | one task for each request (attempt)      | one sweep at a time (readback)
//!                 v                                          v
//!              cloud.switch                        fleet.engines, fleet.engine_by_name
//! ```
//!
//! One wave is open at a time (waves). Where it soaks, nothing of it is looked at before that is over, and then all of
//! it (soaked).
//!
//! The dispatcher alone owns ledger and truth. Every change goes the same way: proposed by a pure function,
//! appended to the ledger and synced, then committed, then told. If the ledger cannot be written, nothing
//! more is sent.

mod attempt;
mod dispatcher;
mod fleet_view;
mod job_state;
mod job_table;
#[cfg(test)]
mod judgement_tests;
mod ledger_writer;
mod poll;
mod preflight;
pub mod preview;
mod reasons;
mod soak_check;
mod start;
mod stop;
mod waves;

use std::time::Duration;

pub use dispatcher::execute;
pub use fleet_view::{Decision, FleetView, decide};
pub use poll::{Reader, SurveyError};
pub use preflight::{Preflight, may_be_sent};
pub use reasons::{reading_failed, remembered};
pub use start::{Ended, Start};
pub use stop::{Signal, Signals};

use crate::rate::{Delays, Rate};

/// What a run keeps to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RunOptions {
    /// Highest number of switch requests per second.
    pub rate: Rate,
    /// Most requests under way at once.
    pub concurrency: usize,
    /// Most attempts for one job; throttled ones do not count.
    pub max_attempts: u32,
    /// Longest wait for one answer.
    pub request_timeout: Duration,
    /// How long the old image must stay, running and unchanged, before an unconfirmed request counts as not applied; zero
    /// makes one read enough.
    pub resend_after: Duration,
    /// Longest wait for an engine to converge, or, beyond the grace time, for a doubt to be settled.
    pub wait_timeout: Duration,
    /// Least time between the two looks that prove a switch.
    pub min_ready: Duration,
    /// Least time between two sweeps of the fleet, unless a job cannot go on without one.
    pub poll_interval: Duration,
    /// False with `--no-wait`: accepted is the end.
    pub wait: bool,
    /// False with `--no-verify`: the fleet is never looked at.
    pub verify: bool,
    /// Waits between attempts.
    pub delays: Delays,
}

impl RunOptions {
    /// True where a run waits for engines until it has seen them run their image.
    pub fn verifies(&self) -> bool {
        self.wait && self.verify
    }

    /// Longest wait for a doubt to be settled. The grace time comes on top, so that it can pass whatever people type.
    fn longest_unconfirmed(&self) -> Duration {
        self.wait_timeout.saturating_add(self.resend_after)
    }
}

impl Default for RunOptions {
    fn default() -> Self {
        Self {
            rate: Rate::FULL,
            concurrency: 64,
            max_attempts: 6,
            request_timeout: Duration::from_secs(30),
            resend_after: Duration::from_secs(60),
            wait_timeout: Duration::from_secs(30 * 60),
            min_ready: Duration::from_secs(10),
            poll_interval: Duration::from_secs(5),
            wait: true,
            verify: true,
            delays: Delays::default(),
        }
    }
}
