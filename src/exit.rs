//! Every exit code and what it promises.

use std::process::{ExitCode, Termination};

/// How the process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Every row is on its target, or the dry run found that it can be.
    Success = 0,
    /// Some rows failed.
    Failed = 1,
    /// The command line or the plan is invalid; nothing was sent.
    Usage = 2,
    /// Refused before the first write: credentials, another account or region than expected, read rights, no service to
    /// be reached, too few file descriptors, or no confirmation.
    Refused = 3,
    /// No failures, but rows are unknown, timed-out, not started, or were moved away since.
    Incomplete = 4,
    /// Stopped early by an account-wide refusal, or by a wave that did not come through its soak.
    Stopped = 5,
    /// The ledger is locked, damaged or not writable.
    Ledger = 6,
    /// A defect of dlc-fleet.
    Defect = 70,
    /// The result could not be written to stdout.
    Unprinted = 74,
    /// Interrupted by SIGHUP; the ledger is valid and the same command resumes.
    HungUp = 129,
    /// Interrupted by SIGINT; the ledger is valid and the same command resumes.
    Interrupted = 130,
    /// Interrupted by SIGTERM; the ledger is valid and the same command resumes.
    Terminated = 143,
}

impl Exit {
    /// All codes in ascending order.
    pub const ALL: [Self; 12] = [
        Self::Success,
        Self::Failed,
        Self::Usage,
        Self::Refused,
        Self::Incomplete,
        Self::Stopped,
        Self::Ledger,
        Self::Defect,
        Self::Unprinted,
        Self::HungUp,
        Self::Interrupted,
        Self::Terminated,
    ];

    /// The number the shell sees.
    pub fn code(self) -> u8 {
        self as u8
    }
}

impl Termination for Exit {
    fn report(self) -> ExitCode {
        ExitCode::from(self.code())
    }
}
