//! The guard: compares account and regions with what the plan and the command line expect, before any other call.

use std::collections::BTreeMap;

use super::service::Service;
use crate::cloud::sts::CallerIdentity;
use crate::error::Failure;
use crate::exit::Exit;
use crate::format::{cut, plural, shown_path};
use crate::plan::Plan;
use crate::report::print::to_stderr;
use crate::settings::RunSettings;

/// An expected account, and where it is given.
pub(super) struct ExpectedAccount<'a> {
    place: String,
    pub(super) account: &'a str,
}

/// The accounts that the plan and the command line expect. If they differ, the comparison fails for one of them.
pub(super) fn expected_accounts<'a>(
    plan: Option<&'a Plan>,
    flag: Option<&'a str>,
) -> Vec<ExpectedAccount<'a>> {
    let of_plan = plan.and_then(|plan| {
        let account = plan.expect.account.as_deref()?;
        Some(ExpectedAccount { place: shown_path(&plan.path), account })
    });
    let of_flag = flag.map(|account| ExpectedAccount { place: "--expect-account".to_owned(), account });
    of_plan.into_iter().chain(of_flag).collect()
}

/// Refuses a plan with rows outside the region that it expects.
pub(super) fn check_regions(plan: &Plan) -> Result<(), Failure> {
    let Some(expected) = &plan.expect.region else { return Ok(()) };
    let mut others: BTreeMap<&str, (usize, &str)> = BTreeMap::new();
    for job in plan.jobs.iter().filter(|job| job.key.region != *expected) {
        let (rows, _) = others.entry(job.key.region.as_str()).or_insert((0, job.key.data_engine_id.as_str()));
        *rows += 1;
    }
    if others.is_empty() {
        return Ok(());
    }
    let found = others.into_iter().map(|(region, (rows, first))| {
        let first = if rows == 1 { first.to_owned() } else { format!("the first is {first}") };
        format!("{} in {region} ({first})", plural(rows, "engine"))
    });
    let found = cut(&found.collect::<Vec<_>>().join(", "), 400);
    let what = format!("{} expects the region {expected}, but contains {found}", shown_path(&plan.path));
    Err(Failure::new(Exit::Refused, what)
        .next("nothing was sent; correct the rows, --region, or `expect` in the plan"))
}

/// Refuses keys of another account than expected. Calls STS only if an account is expected.
pub(super) async fn check_account(
    settings: &RunSettings,
    plan: &Plan,
    service: &Service,
) -> Result<(), Failure> {
    let expected = expected_accounts(Some(plan), settings.expect_account.as_deref());
    if expected.is_empty() {
        return Ok(());
    }
    if !service.has_account {
        note_unchecked(&expected, "the scenario of the simulator has no account");
        return Ok(());
    }
    // before STS is called: keys that are renewed during the call must be those of the account as well
    service.caller.require_account(expected[0].account);
    compare(&expected, &service.caller.identity().await?)
}

/// Notes that the expected accounts were not checked, with the reason.
pub(super) fn note_unchecked(expected: &[ExpectedAccount<'_>], reason: &str) {
    for ExpectedAccount { place, account } in expected {
        to_stderr(&format!("note: {place} expects the account {account}, which was not checked: {reason}\n"));
    }
}

/// Compares the caller with the expected accounts.
pub(super) fn compare(expected: &[ExpectedAccount<'_>], caller: &CallerIdentity) -> Result<(), Failure> {
    let Some(wrong) = expected.iter().find(|expected| expected.account != caller.account_id) else {
        return Ok(());
    };
    let what = format!(
        "{} expects the account {}, but the keys belong to {} ({})",
        wrong.place, wrong.account, caller.account_id, caller.arn
    );
    Err(Failure::new(Exit::Refused, what).next(
        "no engine was read or switched; use keys of the expected account, or correct the expected account",
    ))
}
