//! The dry run: what a run would do, from plan, ledger and fleet. It is given a fleet that can only be read
//! and no ledger writer, so it has no way to act.

use std::collections::{BTreeMap, BTreeSet};

use super::readback::Reader;
use super::reasons::ENGINE_NOT_FOUND;
use super::sight::{FleetView, Forecast, forecast};
use crate::cloud::{EngineState, Fault, Fleet, ImageRecord};
use crate::job::{ImageVersionId, Job, Outcome, Region};
use crate::ledger::Work;

/// Engine types whose images are listed where the engines do not name theirs (document 1342/99270).
const ENGINE_TYPES: [&str; 5] = ["SparkSQL", "PrestoSQL", "SparkBatch", "StandardSpark", "StandardPresto"];

/// What would become of one row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Prediction {
    /// The ledger says that it is over.
    Done(Outcome),
    /// The engine is on its target.
    Already,
    /// A request of an earlier run is settled by read-back first.
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

/// The images of the plan's regions, by region and id.
pub type Images = BTreeMap<(Region, ImageVersionId), ImageRecord>;

/// Lists the fleet of the plan's regions, and the images of its engine types.
pub async fn look<F: Fleet>(reader: &Reader<F>, jobs: &[Job]) -> Result<(FleetView, Images), Fault> {
    let regions: BTreeSet<Region> = jobs.iter().map(|job| job.key.region.clone()).collect();
    let view = reader.survey(&regions).await?;
    let mut images = Images::new();
    for region in &regions {
        for engine_type in engine_types(&view, region) {
            for image in reader.images(region, &engine_type).await? {
                images.insert((region.clone(), image.image_version_id.clone()), image);
            }
        }
    }
    Ok((view, images))
}

fn engine_types(view: &FleetView, region: &Region) -> BTreeSet<String> {
    let here = view.engines().filter(|(place, _)| *place == region);
    let known: BTreeSet<String> = here.filter_map(|(_, engine)| engine.engine_type_detail.clone()).collect();
    if known.is_empty() { ENGINE_TYPES.map(str::to_owned).into() } else { known }
}

/// Predicts every row, in plan order. Without a look at the fleet, what would be sent cannot be told.
pub fn predict(jobs: &[Job], work: &[Work], seen: Option<&(FleetView, Images)>) -> Vec<Prediction> {
    let one = |(job, work)| match forecast(job, work, seen.map(|(view, _)| view)) {
        Forecast::Done { outcome, .. } => Prediction::Done(outcome),
        Forecast::Already => Prediction::Already,
        Forecast::Settle { .. } | Forecast::Watch { .. } => Prediction::Settle,
        Forecast::Unfit(reason) if reason.code == ENGINE_NOT_FOUND => Prediction::NotFound,
        Forecast::Unfit(reason) => Prediction::Unfit(reason.message.unwrap_or(reason.cause)),
        Forecast::Switch { from } => match (from, seen) {
            (Some(from), Some((view, images))) => switch(job, from, view, images),
            (None, Some(_)) => {
                Prediction::CannotTell("the service does not say which image the engine is on".into())
            }
            (_, None) => Prediction::CannotTell("the fleet was not looked at".into()),
        },
    };
    jobs.iter().zip(work).map(one).collect()
}

fn switch(job: &Job, from: ImageVersionId, view: &FleetView, images: &Images) -> Prediction {
    let target = (job.key.region.clone(), job.key.new_image_version_id.clone());
    let state = view.engine(&job.key).and_then(|engine| engine.state);
    let doubt = match (images.get(&target), state) {
        (None, _) => format!("no image version {} is listed in {}", target.1, target.0),
        (Some(image), _) if image.state.is_some_and(|state| state != ImageRecord::ONLINE) => {
            format!("image version {} is not online", target.1)
        }
        (_, Some(state)) if state != EngineState::RUNNING => {
            format!("the engine is {} (State {}), and the service may refuse it", state.word(), state.0)
        }
        _ => return Prediction::Switch { from },
    };
    Prediction::CannotTell(doubt)
}
