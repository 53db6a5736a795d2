//! What reads have shown of the fleet, and what that means for one job.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::observation::{Observation, is_on};
use super::query::Query;
use super::reasons::{self, found};
use crate::cloud::EngineRecord;
use crate::job::{DataEngineId, ImageVersionId, Job, JobKey, Reason, Region};

/// The fleet as the latest reads show it.
#[derive(Clone, Debug, Default)]
pub struct FleetView {
    engines: HashMap<(Region, DataEngineId), EngineRecord>,
    /// Engines that the latest read showed more than once, with different contents.
    unclear: HashSet<(Region, DataEngineId)>,
    /// Engines that do not exist: each was queried by name or id, and the service did not find it.
    absent: HashSet<(Region, DataEngineId)>,
    /// Minor versions that the records of engines show.
    minor_versions: HashSet<(Region, ImageVersionId)>,
    /// Regions that the service does not serve.
    unserved: BTreeMap<Region, Reason>,
    /// Engines that were queried without a usable result, and why.
    unreadable: HashMap<(Region, DataEngineId), Reason>,
    /// True if the service cannot list engines, so each engine is queried by its name.
    by_name: bool,
}

impl FleetView {
    /// The latest record of a job's engine.
    pub fn engine(&self, key: &JobKey) -> Option<&EngineRecord> {
        self.engines.get(&(key.region.clone(), key.data_engine_id.clone()))
    }

    /// True if the latest read shows an engine.
    pub(super) fn shows(&self, region: &Region, id: &DataEngineId) -> bool {
        self.engines.contains_key(&(region.clone(), id.clone()))
    }

    /// An empty view for a service that cannot list engines.
    pub(super) fn by_name() -> Self {
        Self { by_name: true, ..Self::default() }
    }

    /// An empty view for the next read of the same fleet. It keeps the image versions, which are true for every engine.
    pub(super) fn before_read(&self) -> Self {
        Self { by_name: self.by_name, minor_versions: self.minor_versions.clone(), ..Self::default() }
    }

    /// True if each engine is queried by its name.
    pub(super) fn is_by_name(&self) -> bool {
        self.by_name
    }

    /// How messages say that an engine was not found.
    pub(super) fn absence_text(&self) -> &'static str {
        if self.by_name { "not found by its name" } else { "not listed" }
    }

    /// Why the query for a job's engine had no usable result, if so.
    pub(super) fn unreadable(&self, key: &JobKey) -> Option<&Reason> {
        self.unreadable.get(&(key.region.clone(), key.data_engine_id.clone()))
    }

    /// Adds the records that one read of a region showed.
    pub fn add_records(&mut self, region: &Region, records: Vec<EngineRecord>) {
        let content = |record: &EngineRecord| {
            (record.image_version_id.clone(), record.child_image_version_id.clone(), record.state)
        };
        for record in records {
            let engine = (region.clone(), record.data_engine_id.clone());
            self.unreadable.remove(&engine);
            self.absent.remove(&engine);
            let minor = record.child_image_version_id.clone();
            self.minor_versions.extend(minor.map(|minor| (region.clone(), ImageVersionId::new(minor))));
            if self.engines.get(&engine).is_some_and(|earlier| content(earlier) != content(&record)) {
                self.unclear.insert(engine.clone());
            }
            self.engines.insert(engine, record);
        }
    }

    /// Adds the result of a query by name. A record with another id than in the plan belongs to another engine and says
    /// nothing about the engine of the plan.
    pub(super) fn add_named(&mut self, query: &Query, shown: Option<EngineRecord>) {
        let Query::Engine(region, id, name) = query else { return };
        let Some(record) = shown else {
            return self.mark_absent(region, id);
        };
        if record.data_engine_id == *id {
            self.add_records(region, vec![record]);
        } else {
            let message = format!("the engine named {name} has the id {}", record.data_engine_id);
            self.mark_unreadable(query, found(reasons::WRONG_NAME, message));
        }
    }

    /// Marks an engine that was queried and does not exist.
    pub(super) fn mark_absent(&mut self, region: &Region, id: &DataEngineId) {
        self.absent.insert((region.clone(), id.clone()));
    }

    /// True if it is known whether an engine exists.
    pub(super) fn is_known(&self, region: &Region, id: &DataEngineId) -> bool {
        let place = (region.clone(), id.clone());
        self.engines.contains_key(&place)
            || self.absent.contains(&place)
            || self.unreadable.contains_key(&place)
            || self.unserved.contains_key(&place.0)
    }

    /// True if an image version is the minor version of an engine in this region.
    fn is_minor_version(&self, region: &Region, image: &ImageVersionId) -> bool {
        self.minor_versions.contains(&(region.clone(), image.clone()))
    }

    /// True if the latest read shows a job's engine on this image, as its major or its minor version.
    pub(super) fn is_on(&self, key: &JobKey, image: &ImageVersionId) -> bool {
        self.engine(key).is_some_and(|record| is_on(record, image))
    }

    /// Adds a newer view; its records replace the earlier ones.
    pub(super) fn merge(&mut self, newer: Self) {
        self.unclear.retain(|place| !newer.engines.contains_key(place));
        self.unclear.extend(newer.unclear);
        for place in newer.engines.keys() {
            self.unreadable.remove(place);
        }
        for place in newer.engines.keys() {
            self.absent.remove(place);
        }
        for place in newer.unreadable.keys().chain(&newer.absent) {
            self.engines.remove(place);
        }
        self.absent.extend(newer.absent);
        self.minor_versions.extend(newer.minor_versions);
        self.engines.extend(newer.engines);
        self.unreadable.extend(newer.unreadable);
        self.unserved.extend(newer.unserved);
    }

    /// Classifies a job's engine. If the image before is not known, any image but the target counts as the old one.
    pub(super) fn observe(&self, key: &JobKey, before: Option<&ImageVersionId>) -> Observation {
        let place = (key.region.clone(), key.data_engine_id.clone());
        if self.unclear.contains(&place) {
            return Observation::Contradictory;
        }
        let Some(record) = self.engines.get(&place) else {
            return if self.absent.contains(&place) { Observation::Missing } else { Observation::NotShown };
        };
        let minor = self.is_minor_version(&key.region, &key.new_image_version_id);
        Observation::of(record, &key.new_image_version_id, minor, before)
    }

    /// Marks an engine that was queried without a usable result.
    pub(super) fn mark_unreadable(&mut self, query: &Query, reason: Reason) {
        if let Query::Engine(region, id, _) = query {
            self.unreadable.insert((region.clone(), id.clone()), reason);
        }
    }

    /// Why no request may be sent for a job, whatever image its engine is on.
    pub(super) fn objection(&self, job: &Job) -> Option<Reason> {
        let place = (job.key.region.clone(), job.key.data_engine_id.clone());
        let reason = self.unserved.get(&place.0).or_else(|| self.unreadable.get(&place));
        reason.cloned().or_else(|| {
            let (seen, named) = (self.engines.get(&place)?.name.as_ref()?, job.data_engine_name.as_ref()?);
            let message = format!("{} is named {seen}", job.key.data_engine_id);
            (seen != named).then(|| found(reasons::WRONG_NAME, message))
        })
    }

    /// Marks a region that the service does not serve.
    pub(super) fn mark_unserved(&mut self, region: &Region, reason: Reason) {
        self.unserved.insert(region.clone(), reason);
    }

    /// Every engine that reads have shown, with its region.
    pub fn engines(&self) -> impl Iterator<Item = (&Region, &EngineRecord)> {
        self.engines.iter().map(|((region, _), record)| (region, record))
    }
}
