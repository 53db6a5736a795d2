//! `dlc-fleet run --dry-run`: prints what the run would do. It has no access to anything that can switch or write.

use std::sync::Arc;

use jiff::Timestamp;

use super::guard::{expected_accounts, note_unchecked};
use super::output::print_result;
use super::service::{clock, request_gap};
use super::setup;
use crate::cli::Output;
use crate::error::Failure;
use crate::exit::Exit;
use crate::job::{Decision, Job, Outcome, Reason, Wave};
use crate::ledger::{self, LoadedLedger, Past};
use crate::plan::Plan;
use crate::report::print::to_stderr;
use crate::report::{self, Preview, PreviewRow, preview_json, stdout_columns};
use crate::run::{ENGINE_NOT_FOUND, Preflight, Reader, forecast_soaks};
use crate::settings::{self, DryRun, RunSettings};
use crate::simulator::RunDefaults;

pub(super) async fn dry_run(settings: &RunSettings, plan: &Plan, mode: DryRun) -> Result<Exit, Failure> {
    setup::check_plan(settings, plan)?;
    let loaded = ledger::read(&settings.ledger)?;
    let pasts = setup::past_of(settings, plan, &loaded.history)?;
    let (preflight, endpoint, clock) = read_fleet(settings, plan, mode, &loaded, &pasts).await?;
    let options = settings.options(clock.as_ref());
    let (waves, _) = settings::waves(plan.waves.clone(), clock.as_ref());
    let (history, now) = (&loaded.history, Timestamp::now());
    let left = ledger::remaining_soaks(&plan.jobs, &waves, history, options.verifies(), now);
    let (decisions, view) = (&preflight.decisions, preflight.view.as_ref());
    let forecast = forecast_soaks(&plan.jobs, &waves, decisions, view, &left, options.verifies());
    let rows: Vec<PreviewRow> =
        plan.jobs.iter().zip(decisions).map(|(job, decision)| row(plan, job, decision, &preflight)).collect();
    let exit = match exit_of(&rows) {
        Exit::Success if forecast.failure.is_some() => Exit::Incomplete,
        exit => exit,
    };
    let soaks = waves.into_iter().zip(forecast.times).map(|(wave, soak)| Wave { soak, ..wave });
    let preview = Preview {
        plan: plan.path.clone(),
        endpoint,
        rate: options.rate.per_second(),
        gap: request_gap(options.rate),
        min_ready: options.verifies().then_some(options.min_ready),
        soaks: soaks.collect(),
        soak_failure: forecast.failure,
        rows,
    };
    print_result(&match settings.output {
        Output::Human => report::preview(&preview, stdout_columns()),
        Output::Json => preview_json(&preview, exit.code()),
    })?;
    Ok(exit)
}

/// The preflight as far as the mode allows it, the name of the service, and the clock of a simulator.
async fn read_fleet(
    settings: &RunSettings,
    plan: &Plan,
    mode: DryRun,
    loaded: &LoadedLedger,
    pasts: &[Past],
) -> Result<(Preflight, String, Option<RunDefaults>), Failure> {
    let expected = expected_accounts(Some(plan), settings.expect_account.as_deref());
    if mode == DryRun::Offline {
        note_unchecked(&expected, "--offline sends no requests");
    }
    if mode == DryRun::Offline || !settings.verifies() && expected.is_empty() {
        let preflight = Preflight::of_ledger(&plan.jobs, pasts, settings.retry);
        return Ok((preflight, settings.target.name(), clock(&settings.target)?));
    }
    let service = setup::connect_guarded(settings, plan, &loaded.history).await?;
    let options = settings.options(service.clock.as_ref());
    let (name, clock) = (service.name.clone(), service.clock);
    let reader = Reader::new(Arc::new(service.fleet(options.request_timeout)?), options);
    let preflight = setup::preflight(settings, plan, pasts, &reader).await?;
    if let Some(note) = report::clock_note(reader.clock_ahead()) {
        to_stderr(&format!("{note}\n"));
    }
    Ok((preflight, name, clock))
}

fn row(plan: &Plan, job: &Job, decision: &Decision, preflight: &Preflight) -> PreviewRow {
    let text = |reason: &Reason| reason.message.clone().unwrap_or_else(|| reason.cause.clone());
    let (prediction, detail) = match decision {
        Decision::Keep { drift: Some(seen), .. } => (report::Prediction::Drifted, Some(seen.clone())),
        Decision::Keep { outcome, reason, .. } => {
            let why = |reason: &Reason| format!("{}: {}; {}", reason.code, reason.cause, reason.remedy);
            (report::Prediction::Done(*outcome), reason.as_ref().map(why))
        }
        Decision::UpToDate => (report::Prediction::UpToDate, None),
        Decision::Watch => (report::Prediction::Accepted, None),
        Decision::Verify { .. } => (report::Prediction::Unconfirmed, None),
        Decision::Send { from } => match (from, preflight.warning(job)) {
            (Some(from), None) => (report::Prediction::Switch { from: Some(from.clone()) }, None),
            (_, Some(warning)) => {
                (report::Prediction::CannotTell, Some(format!("{warning}, and the service may refuse it")))
            }
            (None, None) if preflight.view.is_some() => {
                let why = "the service does not show the image version of the engine";
                (report::Prediction::CannotTell, Some(why.to_owned()))
            }
            (None, None) => (report::Prediction::CannotTell, Some("the fleet was not read".to_owned())),
        },
        Decision::Wait(reason) => (report::Prediction::CannotTell, Some(text(reason))),
        Decision::Block(reason) | Decision::Fail(reason) if reason.code == ENGINE_NOT_FOUND => {
            (report::Prediction::NotFound, Some(text(reason)))
        }
        Decision::Block(reason) | Decision::Fail(reason) => {
            (report::Prediction::WouldFail, Some(text(reason)))
        }
        Decision::Refuse(reason) => (report::Prediction::Blocked, Some(text(reason))),
    };
    let wave = plan.waves.get(job.wave).map_or_else(String::new, |wave| wave.name.clone());
    PreviewRow { key: job.key.clone(), wave, prediction, detail, note: job.note.clone() }
}

/// Success if every row is on its target or can be switched to it, as far as the dry run can tell.
fn exit_of(rows: &[PreviewRow]) -> Exit {
    use report::Prediction;
    let any = |matches: fn(&Prediction) -> bool| rows.iter().any(|row| matches(&row.prediction));
    if any(|prediction| matches!(prediction, Prediction::Blocked)) {
        Exit::Refused
    } else if any(|prediction| {
        matches!(prediction, Prediction::NotFound | Prediction::WouldFail | Prediction::Done(Outcome::Failed))
    }) {
        Exit::Failed
    } else if any(|prediction| matches!(prediction, Prediction::CannotTell | Prediction::Drifted)) {
        Exit::Incomplete
    } else {
        Exit::Success
    }
}
