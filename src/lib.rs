//! Moves fleets of Tencent Cloud DLC data engines to new image versions.
//!
//! # The rooms
//!
//! Each room is a file or folder of `src`. It may know the rooms in its second column and no others; a test
//! compares this table with the `crate::` paths in the code.
//!
//! | room | may know | what it is for |
//! | --- | --- | --- |
//! | `words` | | numbers, durations and foreign texts as people read them |
//! | `job` | | the nouns everybody shares: job, outcome, reason |
//! | `event` | `job` | facts that happen in a run |
//! | `tally` | `job`, `event` | the fold of events into counts that add up to the plan |
//! | `exit` | | every exit code and its promise |
//! | `plan` | `job`, `words` | CSV and YAML into checked jobs, with every finding at once |
//! | `cloud` | `job`, `words` | the service and STS: traits, keys and their sources, error catalogue, signature, HTTPS |
//! | `sim` | `job`, `cloud` | the simulator: a seeded world, its weather, its HTTP server, STS and metadata service |
//! | `pace` | | when a call may go, and after which wait it may go again |
//! | `ledger` | `job`, `words` | the file that remembers: format, writer, fold, resume, lock |
//! | `run` | `job`, `event`, `cloud`, `pace`, `ledger` | the dispatcher and what it needs; the dry run |
//! | `report` | `job`, `event`, `tally`, `words` | bars, lines, JSON and the closing summary |
//! | `cli` | `words` | what was typed |
//! | `settings` | `cli`, `exit`, `job`, `cloud`, `ledger`, `pace`, `plan`, `run`, `sim`, `error` | what it means, resolved once |
//! | `error` | `exit`, `plan`, `cloud`, `ledger`, `run`, `sim`, `words` | any room's error into cause, remedy and exit code |
//! | `app` | everything | one file for each subcommand |
//!
//! # The life of one job
//!
//! ```text
//! plan row -> checked -> (ledger says: done? in doubt? left over?)
//!   -> the wave before has ended, soaked, and is read back: as it was left -> wave opens; else nothing more is sent
//!   -> ledger: sent (durable) -> gate (at most 20/s) -> HTTP -> answer
//!        accepted       -> ledger: accepted  -> converging -> read back twice -> ledger: switched
//!        throttled      -> ledger: throttled; the gate slows for everybody; back to the gate
//!        a refusal that proves that nothing was applied:
//!          may pass     -> ledger: refused; wait; read: old image -> back to the gate
//!          final        -> ledger: failed
//!          account-wide -> ledger: failed; nothing more is sent
//!        any other refusal, no readable answer, or a receipt that is not called JSON
//!                       -> ledger: doubtful; read: on target -> accepted; busy -> read again;
//!                          old image, running, for the grace time -> cleared, then back to the gate, or failed where
//!                          the refusal is final; a third image -> failed, until it is released
//! ```

pub mod app;
pub mod cli;
pub mod cloud;
pub mod error;
pub mod event;
pub mod exit;
pub mod job;
pub mod ledger;
pub mod pace;
pub mod plan;
pub mod report;
pub mod run;
pub mod settings;
pub mod sim;
pub mod tally;
pub mod words;
