//! Moves fleets of Tencent Cloud DLC data engines to new image versions.
//!
//! # Modules
//!
//! Each module is a file or folder of `src`. It may import the modules in its second column and no others; a test
//! compares this table with the `crate::` paths in the code.
//!
//! | module | may import | what it is for |
//! | --- | --- | --- |
//! | `format` | | numbers, durations and texts of others, as they are printed |
//! | `job` | | the nouns that all modules share: job, outcome, reason |
//! | `event` | `job` | what happens in a run |
//! | `tally` | `job`, `event` | folds events into counts that add up to the plan |
//! | `exit` | | every exit code and its promise |
//! | `plan` | `job`, `format` | CSV and YAML into checked jobs; reports every diagnostic at once |
//! | `cloud` | `job`, `format` | the service and STS: traits, credentials, error catalogue, signing, HTTPS |
//! | `simulator` | `job`, `cloud` | a seeded world, its fault rules, its HTTP server, STS and metadata service |
//! | `rate` | | when a call may be sent, and how long to wait before the next attempt |
//! | `ledger` | `job`, `format` | the durable record: format, writer, fold, resume, lock |
//! | `run` | `job`, `event`, `cloud`, `rate`, `ledger` | the dispatcher and what it needs; the dry run |
//! | `report` | `job`, `event`, `tally`, `format` | progress bars, lines, JSON and the summary |
//! | `cli` | `exit`, `format` | the command line as it was typed |
//! | `settings` | `cli`, `exit`, `job`, `cloud`, `ledger`, `rate`, `plan`, `run`, `simulator`, `error` | the command line, resolved once |
//! | `error` | `exit`, `plan`, `cloud`, `ledger`, `run`, `simulator`, `format` | any error into cause, remedy and exit code |
//! | `commands` | everything | one file for each subcommand |
//!
//! # The life of one job
//!
//! ```text
//! plan row -> checked -> decide(ledger, fleet)
//!   -> its wave starts, once the wave before has ended, soaked and been verified
//!   -> ledger: sent (durable) -> rate limiter (at most 20/s) -> HTTP -> response
//!        accepted       -> ledger: accepted -> polled until seen twice on its target, running -> ledger: switched
//!        throttled      -> ledger: throttled; the rate adapts for all jobs; back to the rate limiter
//!        a refusal that proves that nothing was applied:
//!          transient    -> ledger: refused; backoff; polled: old image -> back to the rate limiter
//!          final        -> ledger: failed
//!          account-wide -> ledger: failed; the run stops
//!        any other refusal, no readable response, or a response that is not labelled as JSON
//!                       -> ledger: unconfirmed; polled: on target -> accepted; busy -> polled again;
//!                          old image, running, for --resend-after -> not-applied, then back to the rate limiter, or
//!                          failed where the refusal is final; another image -> failed, until it is released
//! ```

pub mod cli;
pub mod cloud;
pub mod commands;
pub mod error;
pub mod event;
pub mod exit;
pub mod format;
pub mod job;
pub mod ledger;
pub mod plan;
pub mod rate;
pub mod report;
pub mod run;
pub mod settings;
pub mod simulator;
pub mod tally;
