//! `dlc-fleet run --dry-run`: tells what the run would do. It is given nothing that can switch or write.

use std::sync::Arc;

use super::patience::patiently;
use super::print_result;
use super::target::{check_ledger_fits, reach, request_gap};
use crate::cli::Output;
use crate::error::Failure;
use crate::exit::Exit;
use crate::job::Job;
use crate::ledger::{self, remaining_work};
use crate::plan::Plan;
use crate::report::print::to_stderr;
use crate::report::{self, Preview, PreviewRow, preview_json};
use crate::run::Reader;
use crate::run::preview::{Prediction, look, predict};
use crate::settings::{DryRun, RunSettings};

pub(super) async fn dry_run(settings: &RunSettings, plan: &Plan, mode: DryRun) -> Result<Exit, Failure> {
    let recalled = ledger::read(&settings.ledger)?;
    check_ledger_fits(&settings.target, &settings.ledger, &recalled.memory)?;
    let work = remaining_work(&plan.jobs, &recalled.memory, settings.skip_failed);
    let (seen, endpoint) = match mode {
        DryRun::Online if settings.reads_back() => {
            let service = reach(settings, &plan.jobs, &recalled.memory.jobs).await?;
            let rules = settings.rules(service.clock.as_ref());
            let name = service.name.clone();
            let reader = Reader::new(Arc::new(service.fleet(rules.request_timeout)?), rules);
            let seen = patiently(plan.jobs.len(), look(&reader, &plan.jobs)).await?;
            if let Some(note) = report::clock_note(reader.clock_ahead()) {
                to_stderr(&format!("{note}\n"));
            }
            (Some(seen), name)
        }
        DryRun::Offline | DryRun::Online => (None, settings.target.name()),
    };
    let predictions = predict(&plan.jobs, &work, seen.as_ref());
    let exit = exit_of(&predictions);
    let rate = settings.rules(None).rate;
    let rows = plan.jobs.iter().zip(predictions).map(|(job, prediction)| row(plan, job, prediction));
    let preview = Preview {
        plan: plan.path.clone(),
        endpoint,
        rate: rate.per_second(),
        gap: request_gap(rate),
        rows: rows.collect(),
    };
    print_result(&match settings.output {
        Output::Human => report::preview(&preview),
        Output::Json => preview_json(&preview, exit.code()),
    });
    Ok(exit)
}

fn row(plan: &Plan, job: &Job, prediction: Prediction) -> PreviewRow {
    let (prediction, detail) = match prediction {
        Prediction::Done(outcome) => (report::Prediction::Done(outcome), None),
        Prediction::Drifted(seen) => (report::Prediction::Drifted, Some(seen)),
        Prediction::Already => (report::Prediction::Already, None),
        Prediction::Watch => (report::Prediction::Watch, None),
        Prediction::Settle => (report::Prediction::InDoubt, None),
        Prediction::Switch { from } => (report::Prediction::Switch { from: Some(from) }, None),
        Prediction::NotFound => (report::Prediction::NotFound, None),
        Prediction::Unfit(why) => (report::Prediction::WouldFail, Some(why)),
        Prediction::CannotTell(why) => (report::Prediction::CannotTell, Some(why)),
    };
    let wave = plan.waves.get(job.wave).cloned().unwrap_or_default();
    PreviewRow { key: job.key.clone(), wave, prediction, detail, note: job.note.clone() }
}

/// Success where every row is, or can be brought, on its target as far as can be told from here.
fn exit_of(predictions: &[Prediction]) -> Exit {
    use crate::job::Outcome;
    let fails = |prediction: &Prediction| {
        matches!(prediction, Prediction::NotFound | Prediction::Unfit(_) | Prediction::Done(Outcome::Failed))
    };
    if predictions.iter().any(fails) {
        Exit::Failed
    } else if predictions.iter().any(is_open) {
        Exit::Unsettled
    } else {
        Exit::Success
    }
}

/// Rows of which nobody can say that they are, or will be, on their target.
fn is_open(prediction: &Prediction) -> bool {
    matches!(prediction, Prediction::CannotTell(_) | Prediction::Drifted(_))
}
