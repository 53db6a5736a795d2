//! The steps with which both the dry run and the run start: check the plan, read the ledger, find the service, preflight.

use super::service::{Service, check_ledger_fits, connect};
use super::slow_read::with_slow_read_note;
use super::{guard, sites};
use crate::cloud::Fleet;
use crate::error::Failure;
use crate::ledger::{History, Past, pasts};
use crate::plan::Plan;
use crate::run::{Preflight, Reader};
use crate::settings::RunSettings;

/// Checks that a plan fits the regions and the site that it expects. Reads nothing.
pub(super) fn check_plan(settings: &RunSettings, plan: &Plan) -> Result<(), Failure> {
    guard::check_regions(plan)?;
    sites::check_plan_fits(&settings.target, &plan.jobs)
}

/// What the ledger proves about each row.
///
/// # Errors
///
/// The ledger belongs to another service.
pub(super) fn past_of(settings: &RunSettings, plan: &Plan, history: &History) -> Result<Vec<Past>, Failure> {
    check_ledger_fits(&settings.target, &settings.ledger, history)?;
    Ok(pasts(&plan.jobs, history))
}

/// Finds the service and its credentials, and checks that they belong to the expected account.
pub(super) async fn connect_guarded(
    settings: &RunSettings,
    plan: &Plan,
    history: &History,
) -> Result<Service, Failure> {
    let service = connect(settings, &plan.jobs, &history.jobs).await?;
    guard::check_account(settings, plan, &service).await?;
    Ok(service)
}

/// Reads the fleet and decides for each row; with `--no-verify` the decision follows from the ledger alone.
pub(super) async fn preflight<F: Fleet>(
    settings: &RunSettings,
    plan: &Plan,
    pasts: &[Past],
    reader: &Reader<F>,
) -> Result<Preflight, Failure> {
    if !settings.verifies() {
        return Ok(Preflight::of_ledger(&plan.jobs, pasts, settings.retry));
    }
    let read = reader.preflight(&plan.jobs, pasts, !settings.allow_unlisted_images);
    Ok(with_slow_read_note(plan.jobs.len(), read).await?)
}
