//! What a plan or the command line expects of account and regions, compared before anything is called.

use std::collections::BTreeMap;

use super::service::Service;
use crate::cloud::sts::CallerIdentity;
use crate::error::Failure;
use crate::exit::Exit;
use crate::format::{cut, plural, shown_path};
use crate::plan::Plan;
use crate::report::print::to_stderr;
use crate::settings::RunSettings;

/// An account that was expected, and where that is written.
pub(super) struct Expected<'a> {
    by: String,
    pub(super) account: &'a str,
}

/// Every account that a plan and the command line expect; two that differ cannot both be right.
pub(super) fn expected<'a>(plan: Option<&'a Plan>, typed: Option<&'a str>) -> Vec<Expected<'a>> {
    let of_plan = plan.and_then(|plan| {
        let account = plan.expect.account.as_deref()?;
        Some(Expected { by: shown_path(&plan.path), account })
    });
    let of_flag = typed.map(|account| Expected { by: "--expect-account".to_owned(), account });
    of_plan.into_iter().chain(of_flag).collect()
}

/// Sees that every row is in the region that the plan expects.
pub(super) fn check_regions(plan: &Plan) -> Result<(), Failure> {
    let Some(expected) = &plan.expect.region else { return Ok(()) };
    let mut strangers: BTreeMap<&str, (usize, &str)> = BTreeMap::new();
    for job in plan.jobs.iter().filter(|job| job.key.region != *expected) {
        let (rows, _) =
            strangers.entry(job.key.region.as_str()).or_insert((0, job.key.data_engine_id.as_str()));
        *rows += 1;
    }
    if strangers.is_empty() {
        return Ok(());
    }
    let found = strangers.into_iter().map(|(region, (rows, first))| {
        let first = if rows == 1 { first.to_owned() } else { format!("{first} is the first") };
        format!("{} in {region} ({first})", plural(rows, "engine"))
    });
    let found = cut(&found.collect::<Vec<_>>().join(", "), 400);
    let what = format!("{} expects the region {expected}, and has {found}", shown_path(&plan.path));
    Err(Failure::new(Exit::Refused, what)
        .next("nothing was called; correct the rows or --region, or what `expect` says"))
}

/// Sees that the keys belong to the expected account; asks STS, and nobody where nothing is expected.
pub(super) async fn check_account(
    settings: &RunSettings,
    plan: &Plan,
    service: &Service,
) -> Result<(), Failure> {
    let expected = expected(Some(plan), settings.expect_account.as_deref());
    if expected.is_empty() {
        return Ok(());
    }
    if !service.names_account {
        tell_unchecked(&expected, "the simulator's scenario names no account");
        return Ok(());
    }
    // before anybody is asked: keys that come while the answer is on its way must be those of the account as well
    service.caller.keep_to(expected[0].account);
    compare(&expected, &service.caller.identity().await?)
}

/// Says that an expectation was left unchecked, and why.
pub(super) fn tell_unchecked(expected: &[Expected<'_>], why: &str) {
    for Expected { by, account } in expected {
        to_stderr(&format!("note: {by} expects the account {account}, which was not checked: {why}\n"));
    }
}

/// Compares who is calling with what was expected.
pub(super) fn compare(expected: &[Expected<'_>], caller: &CallerIdentity) -> Result<(), Failure> {
    let Some(wrong) = expected.iter().find(|expected| expected.account != caller.account_id) else {
        return Ok(());
    };
    let what = format!(
        "{} expects the account {}, and the keys belong to {} ({})",
        wrong.by, wrong.account, caller.account_id, caller.arn
    );
    Err(Failure::new(Exit::Refused, what).next(
        "no engine was read or switched; use keys of the expected account, or correct what is expected",
    ))
}
