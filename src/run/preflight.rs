//! What has to be known before the first write: the fleet, the image versions, and the rows that nothing may be sent for.

use std::collections::BTreeMap;

use super::readback::Reader;
use super::reasons::{IMAGE_NOT_LISTED, found, reading_failed};
use super::sight::{FleetView, Forecast, forecast, is_on};
use super::survey::Blind;
use crate::cloud::{EngineRecord, Fleet, ImageRecord};
use crate::job::{ImageVersionId, Job, JobIndex, Reason, Region};
use crate::ledger::Work;

/// Engine types whose images are listed where an engine does not tell its own (document 1342/99270).
const ENGINE_TYPES: [&str; 5] = ["SparkSQL", "PrestoSQL", "SparkBatch", "StandardSpark", "StandardPresto"];

/// What is known before the first write.
#[derive(Debug)]
pub struct Preflight {
    /// The fleet.
    pub view: FleetView,
    images: Images,
}

/// The image versions that the service lists for one engine type in one region, or why they cannot be listed.
type Listed = Result<BTreeMap<ImageVersionId, ImageRecord>, Reason>;

/// Image versions by region and engine type.
#[derive(Debug, Default)]
struct Images(BTreeMap<(Region, String), Listed>);

impl<F: Fleet> Reader<F> {
    /// Reads the engines of a plan, and the image versions for the types of those that may be switched.
    pub async fn preflight(&self, jobs: &[Job], work: &[Work]) -> Result<Preflight, Blind> {
        let view = self.survey(jobs).await?;
        let mut images = Images::default();
        for job in
            jobs.iter().zip(work).filter_map(|(job, work)| may_be_sent(job, work, &view).then_some(job))
        {
            for engine_type in engine_types(view.engine(&job.key)) {
                let place = (job.key.region.clone(), engine_type);
                if images.0.contains_key(&place) {
                    continue;
                }
                let listed = match self.images(&place.0, &place.1).await {
                    Ok(records) => {
                        Ok(records.into_iter().map(|image| (image.image_version_id.clone(), image)).collect())
                    }
                    Err(fault) => Err(reading_failed(&fault)),
                };
                images.0.insert(place, listed);
            }
        }
        Ok(Preflight { view, images })
    }
}

impl Preflight {
    /// The rows that may be sent and whose target is no image version that the engine can have, as far as the service
    /// and the engines' own records tell.
    pub fn blocked(&self, jobs: &[Job], work: &[Work]) -> Vec<(JobIndex, Reason)> {
        let rows = (0..).map(JobIndex).zip(jobs.iter().zip(work));
        let may_be_sent = rows.filter(|(_, (job, work))| may_be_sent(job, work, &self.view));
        may_be_sent.filter_map(|(index, (job, _))| Some((index, self.objection(job)?))).collect()
    }

    /// A fleet for which no image versions were read.
    #[cfg(test)]
    pub(super) fn of(view: FleetView) -> Self {
        Self { view, images: Images::default() }
    }

    /// What the service lists of a job's target; none where it does not list it for this engine.
    pub(super) fn image(&self, job: &Job) -> Option<&ImageRecord> {
        let types = engine_types(self.view.engine(&job.key));
        types.into_iter().find_map(|engine_type| self.images.find(job, engine_type))
    }

    /// Why a job's target cannot be the image version of its engine. A minor version is in no list, so it is known
    /// only where an engine has it. Whether the service accepts one as a target is not documented.
    fn objection(&self, job: &Job) -> Option<Reason> {
        let (region, target) = (&job.key.region, &job.key.new_image_version_id);
        let record = self.view.engine(&job.key);
        let of_this_type = |other: &EngineRecord| match record.and_then(|own| own.engine_type_detail.as_ref())
        {
            Some(own) => other.engine_type_detail.as_ref().is_none_or(|other| other == own),
            None => true,
        };
        let mut engines = self.view.engines().filter(|(theirs, _)| *theirs == region);
        if self.image(job).is_some() || engines.any(|(_, other)| of_this_type(other) && is_on(other, target))
        {
            return None;
        }
        let types = engine_types(record);
        let mut lists = self.images.0.iter().filter(|((theirs, _), _)| theirs == region);
        let unread = lists.clone().find_map(|((_, engine_type), listed)| {
            let reason = listed.as_ref().err().filter(|_| types.contains(engine_type))?;
            Some(format!(
                "{target} cannot be checked: the image versions of {region} for {engine_type} cannot be listed: {}",
                reason.code
            ))
        });
        let elsewhere = lists.find_map(|((_, engine_type), listed)| {
            listed.as_ref().ok()?.get(target)?;
            Some(format!("{target} is listed for {engine_type}, and the engine is {}", types.join(" or ")))
        });
        let neither = || format!("{target} is not listed in {region} for {}", types.join(", "));
        Some(found(IMAGE_NOT_LISTED, unread.or(elsewhere).unwrap_or_else(neither)))
    }
}

impl Images {
    fn find(&self, job: &Job, engine_type: String) -> Option<&ImageRecord> {
        let listed = self.0.get(&(job.key.region.clone(), engine_type))?;
        listed.as_ref().ok()?.get(&job.key.new_image_version_id)
    }
}

/// True where a new request may leave for a job in this run.
fn may_be_sent(job: &Job, work: &Work, view: &FleetView) -> bool {
    matches!(
        forecast(job, work, Some(view)),
        Forecast::Switch { .. } | Forecast::Busy | Forecast::Unclear | Forecast::Arriving
    )
}

/// The type of an engine; all documented ones where it does not tell.
fn engine_types(record: Option<&EngineRecord>) -> Vec<String> {
    match record.and_then(|record| record.engine_type_detail.clone()) {
        Some(own) => vec![own],
        None => ENGINE_TYPES.map(str::to_owned).to_vec(),
    }
}
