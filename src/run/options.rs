//! The options of a run: limits, waits, and what it verifies.

use std::time::Duration;

use crate::ledger::Retry;
use crate::rate::{Delays, Rate};

/// The options of a run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RunOptions {
    /// Highest number of switch requests per second.
    pub rate: Rate,
    /// Most requests in flight at once.
    pub concurrency: usize,
    /// Most attempts for one job; throttled ones do not count.
    pub max_attempts: u32,
    /// Longest wait for one response.
    pub request_timeout: Duration,
    /// How long an engine must stay on its old image, running, before an unconfirmed request counts as not applied; zero
    /// makes one read enough.
    pub resend_after: Duration,
    /// Longest wait for an engine to reach its target, or, beyond `resend_after`, for an unconfirmed request to be verified.
    pub wait_timeout: Duration,
    /// How long an engine must be seen running on its target before it counts as switched.
    pub min_ready: Duration,
    /// Least time between two reads of the fleet, unless a job cannot continue without one.
    pub poll_interval: Duration,
    /// False with `--no-wait`: a job ends as soon as its request is accepted.
    pub wait: bool,
    /// False with `--no-verify`: the fleet is never read.
    pub verify: bool,
    /// Waits between attempts.
    pub delays: Delays,
    /// Which failures of earlier runs are sent again.
    pub retry: Retry,
}

impl RunOptions {
    /// True if the run waits until it has seen each engine running on its target.
    pub fn verifies(&self) -> bool {
        self.wait && self.verify
    }

    /// Longest wait for an unconfirmed request to be verified. `resend_after` is added, so that it always has time to pass.
    pub(super) fn longest_unconfirmed(&self) -> Duration {
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
            retry: Retry::default(),
        }
    }
}
