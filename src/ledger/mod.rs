//! The ledger: an append-only file of JSON Lines that remembers what every run did.
//!
//! # Format `dlc-fleet.ledger/1`
//!
//! One JSON object a line, UTF-8, ended by LF, written in one `write` and synced to disk before anything is
//! done that depends on it. Every line has:
//!
//! | field | is |
//! | --- | --- |
//! | `seq` | number of the line, counted from one |
//! | `at` | when it was written: RFC 3339, UTC, milliseconds |
//! | `run` | id of the run that wrote it |
//! | `kind` | what happened, from the table below |
//! | `check` | last field: the first 16 hex digits of SHA-256 over the previous line's check and this line up to its own |
//!
//! The first line of each run is `run`, with `schema`, `parent_run`, `tool_version`, `plan`, `plan_digest`
//! (SHA-256 of the canonical plan), `regions`, `endpoint`, `simulated` and `rate`. The last line of a run
//! that was not killed is `closed`, with `outcomes` and `stopped`. Between them each line is about one job,
//! which `region`, `data_engine_id` and `new_image_version_id` name:
//!
//! | kind | means | may follow |
//! | --- | --- | --- |
//! | `up-to-date` | the engine was on its target without our doing | nothing, `throttled`, `refused`, `not-sent`, `not-applied`, `failed` |
//! | `sent` | a request is about to leave | nothing, `throttled`, `refused`, `not-sent`, `not-applied`, `failed` |
//! | `accepted` | the service took it, or `verified` shows that it was applied | `sent`, `throttled`, `refused`, `not-sent`, `unconfirmed`, `not-applied` |
//! | `throttled` | refused as too fast; not applied | `sent` |
//! | `refused` | refused in a way that may pass, by a check that proves that nothing was applied | `sent` |
//! | `not-sent` | the request never left | `sent` |
//! | `unconfirmed` | may or may not have been applied: no readable answer, a receipt that is not called JSON, or a refusal (`code`) that proves nothing; or a row is released that stayed failed | `sent`, `not-applied`, `failed`, `timed-out`, `unknown` |
//! | `not-applied` | read-back shows that it was not applied | `unconfirmed` |
//! | `switched` | read back twice on target and running | `accepted` |
//! | `failed` | refused for good, or gone elsewhere; with `needs_release` the row stays failed until the plan expects the image that the engine has now, or `--retry-moved` is passed | all but `up-to-date`, `switched`, `timed-out` |
//! | `timed-out` | accepted, but not on target in time | `accepted`, `unconfirmed` |
//! | `unknown` | could not be settled by read-back in time | `throttled`, `not-sent`, `unconfirmed`, `not-applied` |
//!
//! A `sent` line also ends the open requests of the same engine to other targets: it is written only once these were
//! seen in effect.
//!
//! A job is found again by region, engine and target, never by its place in the plan. Its state is a pure
//! fold over its lines ([`History`]); a line that may not follow is an error that names its number. A last
//! line without LF is torn: it was never acted on, is set aside and reported. Any other damage stops with
//! the line's number.

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
    /// The operating system refused.
    #[error("cannot {doing} the ledger {}: {cause}", shown_path(path))]
    Io {
        /// What was tried: `open`, `read`, `write`, `lock`, `repair`.
        doing: &'static str,
        /// The ledger.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// Another process writes to it.
    #[error("the ledger {} is in use by {holder}", shown_path(path))]
    Locked {
        /// The ledger.
        path: PathBuf,
        /// Who holds it.
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
    /// A line is not what was written, or does not follow from the lines before it.
    #[error("the ledger {} is damaged at line {line}: {what}", shown_path(path))]
    Damaged {
        /// The ledger.
        path: PathBuf,
        /// Number of the line, counted from one.
        line: u64,
        /// What is wrong with it.
        what: String,
    },
}
