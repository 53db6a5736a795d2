//! The dry run: what a run would do, from plan, ledger and fleet. It is given a fleet that can only be read
//! and no ledger writer, so it has no way to act.

mod soaks;

use std::collections::{BTreeMap, BTreeSet};

pub use soaks::{SoaksForeseen, foresee_soaks};

use super::readback::Reader;
use super::reasons::{ENGINE_NOT_FOUND, reading_failed};
use super::sight::{FleetView, Forecast, forecast, strayed};
use super::survey::Blind;
use crate::cloud::{EngineState, Fleet, ImageRecord};
use crate::job::{ImageVersionId, Job, Outcome, Reason, Region};
use crate::ledger::Work;

/// Engine types whose images are listed where the engines do not name theirs (document 1342/99270).
const ENGINE_TYPES: [&str; 5] = ["SparkSQL", "PrestoSQL", "SparkBatch", "StandardSpark", "StandardPresto"];

/// What would become of one row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Prediction {
    /// The ledger says that it is over.
    Done(Outcome),
    /// The ledger says that it is on its target, and it is not there any more. It is left alone.
    Drifted(String),
    /// The engine is on its target.
    Already,
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
    /// It would fail without anything being sent.
    Unfit(String),
    /// Only the run itself can tell.
    CannotTell(String),
}

/// What a dry run sees.
#[derive(Debug)]
pub struct Seen {
    /// The fleet.
    pub view: FleetView,
    /// The images of the plan's regions, by region and id.
    images: BTreeMap<(Region, ImageVersionId), ImageRecord>,
    /// Regions whose images cannot be listed, and why.
    unlisted: BTreeMap<Region, Reason>,
}

/// Looks at the engines of the plan, and lists the images that suit them. Images that cannot be listed are borne: the
/// run itself does not ask for them.
pub async fn look<F: Fleet>(reader: &Reader<F>, jobs: &[Job]) -> Result<Seen, Blind> {
    let view = reader.survey(jobs).await?;
    let mut seen = Seen { view, images: BTreeMap::new(), unlisted: BTreeMap::new() };
    for (region, engine_type) in engine_types(&seen.view, jobs) {
        match reader.images(&region, &engine_type).await {
            Ok(images) => {
                let listed =
                    images.into_iter().map(|image| ((region.clone(), image.image_version_id.clone()), image));
                seen.images.extend(listed);
            }
            Err(fault) => {
                seen.unlisted.insert(region, reading_failed(&fault));
            }
        }
    }
    Ok(seen)
}

/// The types of the plan's engines, region by region; all documented ones where an engine does not say its own.
fn engine_types(view: &FleetView, jobs: &[Job]) -> BTreeSet<(Region, String)> {
    let types = jobs
        .iter()
        .filter_map(|job| view.engine(&job.key).map(|engine| (&job.key.region, engine)))
        .flat_map(|(region, engine)| {
            let types = engine
                .engine_type_detail
                .clone()
                .map_or_else(|| ENGINE_TYPES.map(str::to_owned).to_vec(), |own| vec![own]);
            types.into_iter().map(|engine_type| (region.clone(), engine_type))
        });
    types.collect()
}

/// Predicts every row, in plan order. Without a look at the fleet, what would be sent cannot be told.
pub fn predict(jobs: &[Job], work: &[Work], seen: Option<&Seen>) -> Vec<Prediction> {
    let one = |(job, work)| match forecast(job, work, seen.map(|seen| &seen.view)) {
        forecast @ Forecast::Done { outcome, .. } => seen
            .and_then(|seen| strayed(job, &forecast, &seen.view))
            .map_or(Prediction::Done(outcome), Prediction::Drifted),
        Forecast::Arriving => Prediction::CannotTell("it shows its target and is still initialising".into()),
        Forecast::Busy => {
            Prediction::CannotTell("it is initialising, perhaps on its way to another image".into())
        }
        Forecast::Unclear => Prediction::CannotTell("the listing says two things about the engine".into()),
        Forecast::Already => Prediction::Already,
        Forecast::Watch { .. } => Prediction::Watch,
        Forecast::Settle { .. } => Prediction::Settle,
        Forecast::Unfit(reason) if reason.code == ENGINE_NOT_FOUND => Prediction::NotFound,
        Forecast::Unfit(reason) | Forecast::Blocked(reason) => {
            Prediction::Unfit(reason.message.unwrap_or(reason.cause))
        }
        Forecast::Switch { from } => match (from, seen) {
            (Some(from), Some(seen)) => switch(job, from, seen),
            (None, Some(_)) => {
                Prediction::CannotTell("the service does not say which image the engine is on".into())
            }
            (_, None) => Prediction::CannotTell("the fleet was not looked at".into()),
        },
    };
    jobs.iter().zip(work).map(one).collect()
}

fn switch(job: &Job, from: ImageVersionId, seen: &Seen) -> Prediction {
    let (region, target) = (job.key.region.clone(), job.key.new_image_version_id.clone());
    let state = seen.view.engine(&job.key).and_then(|engine| engine.state);
    let unlisted = seen.unlisted.get(&region).map(|reason| reason.code.clone());
    let doubt = match (seen.images.get(&(region.clone(), target.clone())), unlisted, state) {
        (None, Some(code), _) => format!("the images of {region} cannot be listed: {code}"),
        (None, None, _) => format!("no image version {target} is listed for this kind of engine in {region}"),
        (Some(image), _, _) if image.state.is_some_and(|state| state != ImageRecord::ONLINE) => {
            format!("image version {target} is not online")
        }
        (_, _, Some(state)) if state != EngineState::RUNNING => {
            format!("the engine is {} (State {}), and the service may refuse it", state.word(), state.0)
        }
        _ => return Prediction::Switch { from },
    };
    Prediction::CannotTell(doubt)
}
