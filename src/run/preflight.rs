//! Reads the fleet and the image versions before the first write, and decides for each row.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::decide::decide;
use super::fleet_view::FleetView;
use super::observation::state_text;
use super::poll::{Reader, SurveyError};
use super::reasons::{IMAGE_NOT_LISTED, found, reading_failed};
use crate::cloud::{EngineRecord, EngineState, Fleet, ImageRecord};
use crate::job::{Decision, ImageVersionId, Job, Reason, Region};
use crate::ledger::{Past, Retry};

/// Engine types whose images are listed if the record of an engine has no type (document 1342/99270).
const ENGINE_TYPES: [&str; 5] = ["SparkSQL", "PrestoSQL", "SparkBatch", "StandardSpark", "StandardPresto"];

/// What was read and decided before the first write. The dry run prints the decisions, and the run carries them out.
#[derive(Debug, Default)]
pub struct Preflight {
    /// The decision for each row, in plan order.
    pub decisions: Vec<Decision>,
    /// The fleet; none if it was not read.
    pub view: Option<FleetView>,
    /// The image versions; none if targets are not checked.
    images: Option<Images>,
}

/// The image versions that the service lists for one engine type in one region, or why they cannot be listed.
type Listed = Result<BTreeMap<ImageVersionId, ImageRecord>, Reason>;

/// Image versions by region and engine type.
#[derive(Debug, Default)]
struct Images {
    listed: BTreeMap<(Region, String), Listed>,
    /// The types of the engines that have an image version, from their records; none for a record without a type. The
    /// service does not list minor versions, so they are known only from here.
    run_by: HashMap<(Region, ImageVersionId), HashSet<Option<String>>>,
}

impl<F: Fleet> Reader<F> {
    /// Reads the engines of a plan and decides for each row. If targets are checked, it also lists the image versions for the
    /// types of the engines that may be switched. The target of an unconfirmed request was checked by the run that sent it.
    pub async fn preflight(
        &self,
        jobs: &[Job],
        pasts: &[Past],
        check_targets: bool,
    ) -> Result<Preflight, SurveyError> {
        let view = self.survey(jobs).await?;
        let retry = self.options.retry;
        let mut decisions: Vec<Decision> =
            jobs.iter().zip(pasts).map(|(job, past)| decide(job, past, Some(&view), retry)).collect();
        if !check_targets {
            return Ok(Preflight { decisions, view: Some(view), images: None });
        }
        let mut images = Images { listed: BTreeMap::new(), run_by: run_by(&view) };
        for (job, decision) in jobs.iter().zip(&mut decisions).filter(|row| may_be_sent(row.1)) {
            let engine = view.engine(&job.key);
            for engine_type in engine_types(engine) {
                let list = (job.key.region.clone(), engine_type);
                if images.listed.contains_key(&list) {
                    continue;
                }
                let listed = match self.images(&list.0, &list.1).await {
                    Ok(records) => {
                        Ok(records.into_iter().map(|image| (image.image_version_id.clone(), image)).collect())
                    }
                    Err(fault) => Err(reading_failed(&fault)),
                };
                images.listed.insert(list, listed);
            }
            if let Some(reason) = images.objection(job, engine) {
                *decision = Decision::Refuse(reason);
            }
        }
        Ok(Preflight { decisions, view: Some(view), images: Some(images) })
    }
}

impl Preflight {
    /// Decides from the ledger alone, without a read of the fleet.
    pub fn of_ledger(jobs: &[Job], pasts: &[Past], retry: Retry) -> Self {
        let decisions = jobs.iter().zip(pasts).map(|(job, past)| decide(job, past, None, retry)).collect();
        Self { decisions, view: None, images: None }
    }

    /// Why the service may refuse the request of a job, as far as the fleet shows.
    pub fn warning(&self, job: &Job) -> Option<String> {
        let engine = self.view.as_ref()?.engine(&job.key);
        let types = engine_types(engine);
        let image = self.images.as_ref().and_then(|images| images.find(job, &types));
        if image.and_then(|image| image.state).is_some_and(|state| state != ImageRecord::ONLINE) {
            return Some(format!("image version {} is not online", job.key.new_image_version_id));
        }
        let state = engine?.state.filter(|state| *state != EngineState::RUNNING)?;
        Some(format!("the engine is {}", state_text(state)))
    }
}

/// True if a new request may be sent for a job.
fn may_be_sent(decision: &Decision) -> bool {
    matches!(decision, Decision::Send { .. } | Decision::Wait(_))
}

impl Images {
    fn find(&self, job: &Job, types: &[String]) -> Option<&ImageRecord> {
        let listed = |engine_type: &String| self.listed.get(&(job.key.region.clone(), engine_type.clone()));
        let target = &job.key.new_image_version_id;
        types.iter().find_map(|engine_type| listed(engine_type)?.as_ref().ok()?.get(target))
    }

    /// True if an engine of the same type has the target of a job as its major or minor version.
    fn is_run(&self, job: &Job, record: Option<&EngineRecord>) -> bool {
        let image = (job.key.region.clone(), job.key.new_image_version_id.clone());
        let Some(types) = self.run_by.get(&image) else { return false };
        let own = record.and_then(|record| record.engine_type_detail.clone());
        own.is_none() || types.contains(&own) || types.contains(&None)
    }

    /// Why the target of a job is not an image version for its engine. Whether the service accepts a minor version as a
    /// target is not documented.
    fn objection(&self, job: &Job, record: Option<&EngineRecord>) -> Option<Reason> {
        let types = engine_types(record);
        if self.find(job, &types).is_some() || self.is_run(job, record) {
            return None;
        }
        let (region, target) = (&job.key.region, &job.key.new_image_version_id);
        let mut lists = self.listed.iter().filter(|((theirs, _), _)| theirs == region);
        let unread = lists.clone().find_map(|((_, engine_type), listed)| {
            let reason = listed.as_ref().err().filter(|_| types.contains(engine_type))?;
            Some(format!(
                "{target} cannot be checked: {engine_type} images cannot be listed: {}",
                reason.code
            ))
        });
        let elsewhere = lists.find_map(|((_, engine_type), listed)| {
            listed.as_ref().ok()?.get(target)?;
            Some(format!("{target} is for {engine_type}, and the engine is {}", types.join(" or ")))
        });
        let not_listed = || format!("{target} is not listed for {}", types.join(", "));
        Some(found(IMAGE_NOT_LISTED, unread.or(elsewhere).unwrap_or_else(not_listed)))
    }
}

/// The types of the engines that have each image version, as major or as minor version.
fn run_by(view: &FleetView) -> HashMap<(Region, ImageVersionId), HashSet<Option<String>>> {
    let mut run_by: HashMap<_, HashSet<_>> = HashMap::new();
    for (region, record) in view.engines() {
        let minor = record.child_image_version_id.clone().map(ImageVersionId::new);
        for image in record.image_version_id.clone().into_iter().chain(minor) {
            run_by.entry((region.clone(), image)).or_default().insert(record.engine_type_detail.clone());
        }
    }
    run_by
}

/// The type of an engine; all documented types if its record has none.
fn engine_types(record: Option<&EngineRecord>) -> Vec<String> {
    match record.and_then(|record| record.engine_type_detail.clone()) {
        Some(own) => vec![own],
        None => ENGINE_TYPES.map(str::to_owned).to_vec(),
    }
}
