//! What has to be known before the first write: the fleet, the image versions, and the decision about each row.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::decide::decide;
use super::fleet_view::FleetView;
use super::observation::state_text;
use super::poll::{Reader, SurveyError};
use super::reasons::{IMAGE_NOT_LISTED, found, reading_failed};
use crate::cloud::{EngineRecord, EngineState, Fleet, ImageRecord};
use crate::job::{Decision, ImageVersionId, Job, Reason, Region};
use crate::ledger::{Past, Retry};

/// Engine types whose images are listed where an engine does not tell its own (document 1342/99270).
const ENGINE_TYPES: [&str; 5] = ["SparkSQL", "PrestoSQL", "SparkBatch", "StandardSpark", "StandardPresto"];

/// What is known before the first write. The dry run prints the decisions, and the run carries them out.
#[derive(Debug, Default)]
pub struct Preflight {
    /// The decision about each row, in plan order.
    pub decisions: Vec<Decision>,
    /// The fleet; none where it was not read.
    pub view: Option<FleetView>,
    /// The image versions; none where targets are not checked.
    images: Option<Images>,
}

/// The image versions that the service lists for one engine type in one region, or why they cannot be listed.
type Listed = Result<BTreeMap<ImageVersionId, ImageRecord>, Reason>;

/// Image versions by region and engine type.
#[derive(Debug, Default)]
struct Images {
    listed: BTreeMap<(Region, String), Listed>,
    /// The types of the engines that have an image version, by their own records; none for an engine that does not tell
    /// its type. Minor versions are in no list, so they are known from here alone.
    run_by: HashMap<(Region, ImageVersionId), HashSet<Option<String>>>,
}

impl<F: Fleet> Reader<F> {
    /// Reads the engines of a plan and, where targets are to be checked, the image versions for the types of those that
    /// may be switched, and decides about each row. A row whose request is unconfirmed was checked by the run that sent
    /// it.
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
                let place = (job.key.region.clone(), engine_type);
                if images.listed.contains_key(&place) {
                    continue;
                }
                let listed = match self.images(&place.0, &place.1).await {
                    Ok(records) => {
                        Ok(records.into_iter().map(|image| (image.image_version_id.clone(), image)).collect())
                    }
                    Err(fault) => Err(reading_failed(&fault)),
                };
                images.listed.insert(place, listed);
            }
            if let Some(reason) = images.objection(job, engine) {
                *decision = Decision::Refuse(reason);
            }
        }
        Ok(Preflight { decisions, view: Some(view), images: Some(images) })
    }
}

impl Preflight {
    /// Decides from the ledger alone: the fleet is not read.
    pub fn of_ledger(jobs: &[Job], pasts: &[Past], retry: Retry) -> Self {
        let decisions = jobs.iter().zip(pasts).map(|(job, past)| decide(job, past, None, retry)).collect();
        Self { decisions, view: None, images: None }
    }

    /// Why the service may refuse a request that is sent for a job, as far as the fleet tells.
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

/// True where a new request may be sent for a job, for the first time or after an earlier one has ended.
fn may_be_sent(decision: &Decision) -> bool {
    matches!(decision, Decision::Send { .. } | Decision::Wait(_))
}

impl Images {
    fn find(&self, job: &Job, types: &[String]) -> Option<&ImageRecord> {
        let listed = |engine_type: &String| self.listed.get(&(job.key.region.clone(), engine_type.clone()));
        let target = &job.key.new_image_version_id;
        types.iter().find_map(|engine_type| listed(engine_type)?.as_ref().ok()?.get(target))
    }

    /// True where an engine of the same type as this one has a job's target as its major or minor version.
    fn is_run(&self, job: &Job, record: Option<&EngineRecord>) -> bool {
        let place = (job.key.region.clone(), job.key.new_image_version_id.clone());
        let Some(types) = self.run_by.get(&place) else { return false };
        let own = record.and_then(|record| record.engine_type_detail.clone());
        own.is_none() || types.contains(&own) || types.contains(&None)
    }

    /// Why a job's target cannot be the image version of its engine. Whether the service accepts a minor version as a
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
        let neither = || format!("{target} is not listed for {}", types.join(", "));
        Some(found(IMAGE_NOT_LISTED, unread.or(elsewhere).unwrap_or_else(neither)))
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

/// The type of an engine; all documented ones where it does not tell.
fn engine_types(record: Option<&EngineRecord>) -> Vec<String> {
    match record.and_then(|record| record.engine_type_detail.clone()) {
        Some(own) => vec![own],
        None => ENGINE_TYPES.map(str::to_owned).to_vec(),
    }
}
