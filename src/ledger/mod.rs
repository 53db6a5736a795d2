//! The ledger: an append-only file of JSON Lines that records what every run did.
//!
//! # Format `dlc-fleet.ledger/1`
//!
//! One JSON object per line, UTF-8, ended by LF. Each line is written in one `write` and synced to disk before any action
//! that depends on it. Every line has:
//!
//! | field | meaning |
//! | --- | --- |
//! | `seq` | line number, counted from one |
//! | `at` | time of the write: RFC 3339, UTC, milliseconds |
//! | `run` | id of the run that wrote it |
//! | `kind` | what happened, from the table below |
//! | `check` | last field: the first 16 hex digits of SHA-256 over the check of the previous line and this line up to its check |
//!
//! The first line of each run is `run`, with `schema`, `parent_run`, `tool_version`, `plan`, `plan_digest`
//! (SHA-256 of the canonical plan), `regions`, `endpoint`, `simulated` and `rate`. The last line of a run
//! that was not killed is `closed`, with `outcomes` and `stopped`. Between them each line is about one job,
//! which `region`, `data_engine_id` and `new_image_version_id` name:
//!
//! | kind | meaning | may follow |
//! | --- | --- | --- |
//! | `up-to-date` | the engine was on its target and no request was sent | nothing, `throttled`, `refused`, `not-sent`, `not-applied`, `failed` |
//! | `sent` | a request is about to be sent | nothing, `throttled`, `refused`, `not-sent`, `not-applied`, `failed` |
//! | `accepted` | the service accepted the request, or, with `verified`, a read shows that it was applied | `sent`, `throttled`, `refused`, `not-sent`, `unconfirmed`, `not-applied` |
//! | `throttled` | the service throttled the request; not applied | `sent` |
//! | `refused` | refused for a temporary cause; the refusal proves that the request was not applied | `sent` |
//! | `not-sent` | the request was not sent | `sent` |
//! | `unconfirmed` | the request may or may not have been applied: no readable response, a success response without the JSON content type, or a refusal (`code`) that does not prove that it was not applied; or a failed row was released | `sent`, `not-applied`, `failed`, `timed-out`, `unknown` |
//! | `not-applied` | verification shows that the request was not applied | `unconfirmed` |
//! | `switched` | read twice on target and running | `accepted` |
//! | `failed` | refused permanently, the engine failed, or another client moved it; with `needs_release` the row stays failed until `expected_image_version_id` names the current image of the engine, or `--retry-moved` is passed | all but `up-to-date`, `switched`, `timed-out` |
//! | `timed-out` | accepted, but not on target in time | `accepted`, `unconfirmed` |
//! | `unknown` | could not be verified in time | `throttled`, `not-sent`, `unconfirmed`, `not-applied` |
//!
//! A `sent` line also ends the open requests for the same engine to other targets: it is written only after a read has
//! shown the engine on such a target.
//!
//! A job is identified by region, engine and target, never by its position in the plan. Its state is a pure fold over its
//! lines ([`History`]); a line that may not follow is an error with its line number. A last line without LF is torn: no
//! action depended on it, so the next run moves it to a separate file and reports it. Any other damage is an error with the
//! line number.

mod chain;
mod disk;
mod entry;
#[cfg(debug_assertions)]
mod faults;
mod fold;
mod lock;
mod read;
mod recover;
mod repair;
mod resume;
mod soak;
mod write;

pub use chain::Check;
pub use disk::{Disk, private};
pub use entry::{Entry, Line, RecordedReason, RunEnded, RunStarted, SCHEMA, Step};
pub use fold::{History, JobHistory, JobRecord, LastError, Standing};
pub use lock::{Holder, Lock};
pub use read::{LoadedLedger, read, read_from};
pub use recover::Recovered;
pub use repair::{Repaired, repair};
pub use resume::{Past, Retry, pasts};
pub use soak::remaining_soaks;
pub use write::{Writer, new_run_id, open};

use std::io;
use std::path::PathBuf;

use crate::format::shown_path;

/// Why a ledger cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// The operating system returned an error.
    #[error("cannot {doing} the ledger {}: {cause}", shown_path(path))]
    Io {
        /// The operation: `open`, `read`, `write`, `lock`, `repair`.
        doing: &'static str,
        /// The ledger.
        path: PathBuf,
        /// The error of the operating system.
        cause: io::Error,
    },
    /// Another process writes to it.
    #[error("the ledger {} is in use by {holder}", shown_path(path))]
    Locked {
        /// The ledger.
        path: PathBuf,
        /// The process that uses it.
        holder: Holder,
    },
    /// A later version wrote it.
    #[error(
        "the ledger {} was written by a later version: line {line} has the schema {schema}",
        shown_path(path)
    )]
    Newer {
        /// The ledger.
        path: PathBuf,
        /// Number of the line, counted from one.
        line: u64,
        /// The schema it names.
        schema: String,
    },
    /// A line was changed, or may not follow the lines before it.
    #[error("the ledger {} is damaged at line {line}: {what}", shown_path(path))]
    Damaged {
        /// The ledger.
        path: PathBuf,
        /// Number of the line, counted from one.
        line: u64,
        /// The problem.
        what: String,
    },
}
