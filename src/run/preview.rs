//! The dry run: what a run would do, from plan, ledger and fleet. It is given a fleet that can only be read
//! and no ledger writer, so it has no way to act.

mod soaks;

pub use soaks::{SoaksForeseen, foresee_soaks};

use super::fleet_view::{Decision, decide, drift};
use super::preflight::Preflight;
use super::reasons::{ENGINE_NOT_FOUND, remembered};
use crate::cloud::{EngineState, ImageRecord};
use crate::job::{ImageVersionId, Job, Outcome};
use crate::ledger::Work;

/// What would become of one row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Prediction {
    /// The ledger says that it is over.
    Done(Outcome),
    /// It failed in an earlier run and stays so: why, and what releases it.
    LeftFailed(String),
    /// The ledger says that it is on its target, and it is not there any more. It is left alone.
    Drifted(String),
    /// The engine is on its target.
    UpToDate,
    /// An earlier run's request was accepted; it is only watched.
    Watch,
    /// A request of an earlier run is settled by read-back first; it goes again if it was not applied.
    Settle,
    /// It is switched.
    Switch {
        /// The image it leaves.
        from: ImageVersionId,
    },
    /// The fleet has no such engine.
    NotFound,
    /// Nothing may be sent for it, so the run would be refused.
    Blocked(String),
    /// It would fail without anything being sent.
    Unfit(String),
    /// Only the run itself can tell.
    CannotTell(String),
}

/// Predicts every row, in plan order. Without a look at the fleet, what would be sent cannot be told.
pub fn predict(jobs: &[Job], work: &[Work], seen: Option<&Preflight>) -> Vec<Prediction> {
    let one = |(job, work)| match decide(job, work, seen.map(|seen| &seen.view)) {
        Decision::Keep { outcome: Outcome::Failed, last_error, .. } => {
            let reason = last_error.as_ref().map(remembered);
            Prediction::LeftFailed(reason.map_or_else(String::new, |reason| {
                format!("{}: {}; {}", reason.code, reason.cause, reason.remedy)
            }))
        }
        decision @ Decision::Keep { outcome, .. } => seen
            .and_then(|seen| drift(job, &decision, &seen.view))
            .map_or(Prediction::Done(outcome), Prediction::Drifted),
        Decision::Arriving => Prediction::CannotTell("it shows its target and is still initialising".into()),
        Decision::Busy => {
            Prediction::CannotTell("it is initialising, perhaps on its way to another image".into())
        }
        Decision::Unclear => {
            Prediction::CannotTell("the service's answers do not show the engine clearly".into())
        }
        Decision::UpToDate => Prediction::UpToDate,
        Decision::Watch { .. } => Prediction::Watch,
        Decision::Verify { .. } => Prediction::Settle,
        Decision::Fail(reason) if reason.code == ENGINE_NOT_FOUND => Prediction::NotFound,
        Decision::Fail(reason) | Decision::Blocked(reason) => {
            Prediction::Unfit(reason.message.unwrap_or(reason.cause))
        }
        Decision::Send { from } => match (from, seen) {
            (Some(from), Some(seen)) => switch(job, from, seen),
            (None, Some(_)) => {
                Prediction::CannotTell("the service does not say which image the engine is on".into())
            }
            (_, None) => Prediction::CannotTell("the fleet was not looked at".into()),
        },
    };
    let mut predictions: Vec<Prediction> = jobs.iter().zip(work).map(one).collect();
    for (index, reason) in seen.iter().flat_map(|seen| seen.blocked(jobs, work)) {
        predictions[index.0] = Prediction::Blocked(reason.message.unwrap_or(reason.cause));
    }
    predictions
}

fn switch(job: &Job, from: ImageVersionId, seen: &Preflight) -> Prediction {
    let target = &job.key.new_image_version_id;
    let state = seen.view.engine(&job.key).and_then(|engine| engine.state);
    let doubt = match (seen.image(job), state) {
        (Some(image), _) if image.state.is_some_and(|state| state != ImageRecord::ONLINE) => {
            format!("image version {target} is not online")
        }
        (_, Some(state)) if state != EngineState::RUNNING => {
            format!("the engine is {} (State {}), and the service may refuse it", state.word(), state.0)
        }
        _ => return Prediction::Switch { from },
    };
    Prediction::CannotTell(doubt)
}
