//! `dlc-fleet run --dry-run`: prints what the run would do. It has no access to anything that can switch or write.

use std::sync::Arc;

use jiff::Timestamp;

use super::guard::{check_account, check_regions, expected, tell_unchecked};
use super::service::{check_ledger_fits, clock, reach, request_gap};
use super::slow_read::with_slow_read_note;
use super::{print_result, sites};
use crate::cli::Output;
use crate::error::Failure;
use crate::exit::Exit;
use crate::job::{Job, Outcome, Wave};
use crate::ledger::{self, LoadedLedger, Work, remaining_work};
use crate::plan::Plan;
use crate::report::print::to_stderr;
use crate::report::{self, Preview, PreviewRow, preview_json, stdout_columns};
use crate::run::preview::{Prediction, foresee_soaks, predict};
use crate::run::{Preflight, Reader};
use crate::settings::{self, DryRun, RunSettings};
use crate::simulator::FastClock;

pub(super) async fn dry_run(settings: &RunSettings, plan: &Plan, mode: DryRun) -> Result<Exit, Failure> {
    check_regions(plan)?;
    sites::check_plan_fits(&settings.target, &plan.jobs)?;
    let loaded = ledger::read(&settings.ledger)?;
    check_ledger_fits(&settings.target, &settings.ledger, &loaded.history)?;
    let work = remaining_work(&plan.jobs, &loaded.history, settings.retry);
    let (seen, endpoint, clock) = look_around(settings, plan, mode, &loaded, &work).await?;
    let predictions = predict(&plan.jobs, &work, seen.as_ref());
    let options = settings.options(clock.as_ref());
    let (waves, _) = settings::waves(plan.waves.clone(), clock.as_ref());
    let (history, now) = (&loaded.history, Timestamp::now());
    let left = ledger::remaining_soaks(&plan.jobs, &waves, history, options.verifies(), now);
    let foreseen = foresee_soaks(&plan.jobs, &waves, &predictions, seen.as_ref(), &left, options.verifies());
    let exit = match exit_of(&predictions) {
        Exit::Success if foreseen.failure.is_some() => Exit::Incomplete,
        exit => exit,
    };
    let soaks = waves.into_iter().zip(foreseen.times).map(|(wave, soak)| Wave { soak, ..wave });
    let rows = plan.jobs.iter().zip(predictions).map(|(job, prediction)| row(plan, job, prediction));
    let preview = Preview {
        plan: plan.path.clone(),
        endpoint,
        rate: options.rate.per_second(),
        gap: request_gap(options.rate),
        min_ready: options.verifies().then_some(options.min_ready),
        soaks: soaks.collect(),
        soak_failure: foreseen.failure,
        rows: rows.collect(),
    };
    print_result(&match settings.output {
        Output::Human => report::preview(&preview, stdout_columns()),
        Output::Json => preview_json(&preview, exit.code()),
    })?;
    Ok(exit)
}

/// The state of the fleet as far as it may be read, the name of the service, and the clock of a simulator.
async fn look_around(
    settings: &RunSettings,
    plan: &Plan,
    mode: DryRun,
    loaded: &LoadedLedger,
    work: &[Work],
) -> Result<(Option<Preflight>, String, Option<FastClock>), Failure> {
    let expected = expected(Some(plan), settings.expect_account.as_deref());
    if mode == DryRun::Offline {
        tell_unchecked(&expected, "--offline sends no requests");
    }
    if mode == DryRun::Offline || !settings.verifies() && expected.is_empty() {
        return Ok((None, settings.target.name(), clock(&settings.target)?));
    }
    let service = reach(settings, &plan.jobs, &loaded.history.jobs).await?;
    check_account(settings, plan, &service).await?;
    let options = settings.options(service.clock.as_ref());
    let (name, clock) = (service.name.clone(), service.clock);
    if !settings.verifies() {
        return Ok((None, name, clock));
    }
    let reader = Reader::new(Arc::new(service.fleet(options.request_timeout)?), options);
    let seen = with_slow_read_note(
        plan.jobs.len(),
        reader.preflight(&plan.jobs, work, !settings.allow_unlisted_images),
    )
    .await?;
    if let Some(note) = report::clock_note(reader.clock_ahead()) {
        to_stderr(&format!("{note}\n"));
    }
    Ok((Some(seen), name, clock))
}

fn row(plan: &Plan, job: &Job, prediction: Prediction) -> PreviewRow {
    let (prediction, detail) = match prediction {
        Prediction::Done(outcome) => (report::Prediction::Done(outcome), None),
        Prediction::LeftFailed(why) => (report::Prediction::Done(Outcome::Failed), Some(why)),
        Prediction::Drifted(seen) => (report::Prediction::Drifted, Some(seen)),
        Prediction::UpToDate => (report::Prediction::UpToDate, None),
        Prediction::Watch => (report::Prediction::Accepted, None),
        Prediction::Settle => (report::Prediction::Unconfirmed, None),
        Prediction::Switch { from } => (report::Prediction::Switch { from: Some(from) }, None),
        Prediction::NotFound => (report::Prediction::NotFound, None),
        Prediction::Blocked(why) => (report::Prediction::Blocked, Some(why)),
        Prediction::Unfit(why) => (report::Prediction::WouldFail, Some(why)),
        Prediction::CannotTell(why) => (report::Prediction::CannotTell, Some(why)),
    };
    let wave = plan.waves.get(job.wave).map_or_else(String::new, |wave| wave.name.clone());
    PreviewRow { key: job.key.clone(), wave, prediction, detail, note: job.note.clone() }
}

/// Success where every row is, or can be brought, on its target as far as can be told from here.
fn exit_of(predictions: &[Prediction]) -> Exit {
    let fails = |prediction: &Prediction| {
        matches!(prediction, Prediction::NotFound | Prediction::Unfit(_) | Prediction::LeftFailed(_))
    };
    if predictions.iter().any(|prediction| matches!(prediction, Prediction::Blocked(_))) {
        Exit::Refused
    } else if predictions.iter().any(fails) {
        Exit::Failed
    } else if predictions.iter().any(is_open) {
        Exit::Incomplete
    } else {
        Exit::Success
    }
}

/// Rows of which it is not known that they are, or will be, on their target.
fn is_open(prediction: &Prediction) -> bool {
    matches!(prediction, Prediction::CannotTell(_) | Prediction::Drifted(_))
}
