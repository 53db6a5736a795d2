//! Every exit code and what it promises.

use std::fmt::Write as _;
use std::process::{ExitCode, Termination};

/// How the process ends. [`Exit::promise`] says what each code promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Every row is on its target.
    Success = 0,
    /// Some rows failed.
    Failed = 1,
    /// The command line or the plan is invalid.
    Usage = 2,
    /// Refused before the first write.
    Refused = 3,
    /// No failures, but not every row is on its target.
    Incomplete = 4,
    /// Stopped early.
    Stopped = 5,
    /// The ledger cannot be used.
    Ledger = 6,
    /// A bug in dlc-fleet.
    Internal = 70,
    /// The result could not be written to stdout.
    Unprinted = 74,
    /// Interrupted by SIGHUP.
    HungUp = 129,
    /// Interrupted by SIGINT.
    Interrupted = 130,
    /// Interrupted by SIGTERM.
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
        Self::Internal,
        Self::Unprinted,
        Self::HungUp,
        Self::Interrupted,
        Self::Terminated,
    ];

    /// The number the shell sees.
    pub fn code(self) -> u8 {
        self as u8
    }

    /// What the code promises, as `dlc-fleet help exit-codes` prints it.
    pub const fn promise(self) -> &'static str {
        match self {
            Self::Success => {
                "every row is on its target (or the dry run found that it can be); with --no-wait, was accepted"
            }
            Self::Failed => "some rows failed",
            Self::Usage => "usage or plan invalid; nothing was sent",
            Self::Refused => {
                "refused before the first write: credentials, guard, read permissions, blocked rows, service \
                 unreachable, too few file descriptors, or no confirmation"
            }
            Self::Incomplete => "no failures, but rows are unknown, timed-out, not started, or have drifted",
            Self::Stopped => "stopped early: failed soak check or account-wide refusal",
            Self::Ledger => "ledger locked, damaged or not writable",
            Self::Internal => "internal error (bug in dlc-fleet)",
            Self::Unprinted => "the result could not be written to stdout, or only a part of it",
            Self::HungUp => "interrupted by SIGHUP; the ledger is valid and the same command resumes",
            Self::Interrupted => "interrupted by SIGINT; the ledger is valid and the same command resumes",
            Self::Terminated => "interrupted by SIGTERM; the ledger is valid and the same command resumes",
        }
    }

    /// The table of all codes, one line each.
    pub fn table() -> String {
        let mut table = "Exit codes:\n".to_owned();
        for exit in Self::ALL {
            // writing into a String cannot fail
            let _ = writeln!(table, "  {:<4} {}", exit.code(), exit.promise());
        }
        table
    }
}

impl Termination for Exit {
    fn report(self) -> ExitCode {
        ExitCode::from(self.code())
    }
}
