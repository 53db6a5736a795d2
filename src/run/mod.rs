//! Carries out what is left of a plan.
//!
//! ```text
//!              +------------------------------ dispatcher ------------------------------+
//!  signals   ->|  proposes changes (decide, job_state)  ->  ledger: append, sync         | -> events
//!  responses ->|  commits them (job_table)  ->  acts: rate limiter, request, read        |
//!  reads     ->+-------------------------------------------------------------------------+
//!                 | one task for each request (attempt)      | tasks that read the fleet (poll)
//!                 v                                          v
//!              cloud.switch                        fleet.engines, fleet.engine_by_name
//! ```
//!
//! One wave runs at a time (waves). Where it soaks, none of its engines is read before the soak is over, and then all of
//! them are (`soak_check`).
//!
//! Only the dispatcher owns ledger and job states. Every change is made in the same order: a pure function proposes it, it
//! is appended to the ledger and synced, then committed, then reported as an event. If the ledger cannot be written,
//! no more requests are sent.

mod attempt;
mod decide;
mod dispatcher;
#[cfg(test)]
mod fixtures;
mod fleet_view;
mod job_state;
mod job_table;
mod ledger_writer;
mod observation;
mod options;
mod poll;
mod preflight;
mod query;
mod reasons;
mod soak_check;
mod soak_forecast;
mod start;
mod stop;
mod waves;

pub use decide::decide;
pub use dispatcher::execute;
pub use fleet_view::FleetView;
pub use options::RunOptions;
pub use poll::{Reader, SurveyError};
pub use preflight::Preflight;
pub use reasons::{ENGINE_NOT_FOUND, reading_failed, recorded_error};
pub use soak_forecast::{SoakForecast, forecast_soaks};
pub use start::{Ended, Start};
pub use stop::{Signal, Signals};
