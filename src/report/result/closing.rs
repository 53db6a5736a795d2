//! What is known of a run only at its end.

use std::time::Duration;

use crate::event::StopReason;

/// The flag that excludes engines that failed in an earlier run.
pub const SKIP_FAILED: &str = "--skip-failed";

/// What is known of a run only at its end.
#[derive(Clone, Debug, Default)]
pub struct Closing {
    /// Why nothing more was sent although jobs were left.
    pub stopped: Option<StopReason>,
    /// How long the run took.
    pub elapsed: Duration,
    /// Most switch requests started in any one second, if any were.
    pub peak_requests_per_second: Option<u32>,
    /// The command of this run as it was typed, if the run is not complete.
    pub command: Option<String>,
}

impl Closing {
    /// The command that resumes with everything that is left: without `--skip-failed`, which would exclude jobs.
    pub fn resume(&self) -> Option<String> {
        let words = self.command.as_ref()?.split(' ').filter(|word| *word != SKIP_FAILED);
        Some(words.collect::<Vec<_>>().join(" "))
    }
}
