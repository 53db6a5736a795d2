//! The dry run: what a run would do, from plan, ledger and fleet. It is given a fleet that can only be read
//! and no ledger writer, so it has no way to act.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::readback::Reader;
use super::reasons::{ENGINE_NOT_FOUND, reading_failed};
use super::sight::{FleetView, Forecast, forecast, strayed};
use crate::cloud::{EngineState, Fault, Fleet, ImageRecord};
use crate::job::{ImageVersionId, Job, Outcome, Reason, Region, Wave};
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

/// Lists the fleet of the plan's regions, and the images that suit the plan's engines. Images that cannot be listed
/// are borne: the run itself does not ask for them.
pub async fn look<F: Fleet>(reader: &Reader<F>, jobs: &[Job]) -> Result<Seen, Fault> {
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

/// How long the run would soak after each wave, in plan order. `left` is what earlier runs left of that; `waits` is
/// false where accepted is the end.
pub fn soaks(
    jobs: &[Job],
    waves: &[Wave],
    predictions: &[Prediction],
    left: &[Option<Duration>],
    waits: bool,
) -> Vec<Duration> {
    let mut is_switched = vec![false; waves.len()];
    for (job, prediction) in jobs.iter().zip(predictions) {
        let switched = match prediction {
            Prediction::Switch { .. } | Prediction::Settle | Prediction::CannotTell(_) => true,
            Prediction::Watch => waits,
            _ => false,
        };
        if let Some(wave) = is_switched.get_mut(job.wave) {
            *wave |= switched;
        }
    }
    let left = |number: usize| left.get(number).copied().flatten().unwrap_or_default();
    let soak = |(number, wave): (usize, &Wave)| if is_switched[number] { wave.soak } else { left(number) };
    waves.iter().enumerate().map(soak).collect()
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::{DataEngineId, JobKey};

    #[test]
    fn a_wave_soaks_in_full_where_something_is_sent_and_else_for_what_earlier_runs_left() {
        let job = |wave| Job {
            key: JobKey {
                region: Region::new("ap-guangzhou"),
                data_engine_id: DataEngineId::new(format!("DataEngine-{wave}")),
                new_image_version_id: ImageVersionId::new("new"),
            },
            wave,
            expected_image_version_id: None,
            note: None,
        };
        let seconds = Duration::from_secs;
        let from = ImageVersionId::new("old");
        let cases = [
            (Prediction::Switch { from }, 600),
            (Prediction::Settle, 600),
            (Prediction::CannotTell("nobody looked".into()), 600),
            (Prediction::Watch, 600),
            (Prediction::Already, 40),
            (Prediction::Done(Outcome::Switched), 40),
            (Prediction::Drifted("on old".into()), 40),
            (Prediction::NotFound, 40),
            (Prediction::Unfit("suspended".into()), 40),
        ];
        let jobs: Vec<Job> = (0..cases.len()).map(job).collect();
        let wave = |number| Wave { soak: seconds(600), ..Wave::named(format!("{number}")) };
        let waves: Vec<Wave> = (0..cases.len()).map(wave).collect();
        let predictions: Vec<Prediction> = cases.iter().map(|(prediction, _)| prediction.clone()).collect();
        let left = vec![Some(seconds(40)); cases.len()];
        let expected: Vec<Duration> = cases.iter().map(|(_, soak)| seconds(*soak)).collect();
        assert_eq!(soaks(&jobs, &waves, &predictions, &left, true), expected);
        let unwatched = soaks(&jobs, &waves, &predictions, &left, false);
        assert_eq!(
            unwatched[3],
            seconds(40),
            "where nobody waits, an accepted engine has been soaking since"
        );
        assert_eq!(soaks(&jobs, &waves, &predictions, &[], true)[4], Duration::ZERO);
    }
}
