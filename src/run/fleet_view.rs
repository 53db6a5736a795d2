//! What a look at the fleet means for one job: before the first request, and after.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::observation::{Observation, is_on};
use super::query::Query;
use super::reasons::{self, found};
use crate::cloud::EngineRecord;
use crate::job::{DataEngineId, ImageVersionId, Job, JobKey, Reason, Region};

/// The fleet as the latest looks show it.
#[derive(Clone, Debug, Default)]
pub struct FleetView {
    engines: HashMap<(Region, DataEngineId), EngineRecord>,
    /// Engines that the latest look showed more than once, and differently.
    unclear: HashSet<(Region, DataEngineId)>,
    /// Engines that are proven not to exist: the service was asked for each of them, and it knows none.
    absent: HashSet<(Region, DataEngineId)>,
    /// Minor versions, by the records of the engines that have them.
    minor_versions: HashSet<(Region, ImageVersionId)>,
    /// Regions that the service does not serve.
    unserved: BTreeMap<Region, Reason>,
    /// Engines that were asked for and of which nothing is known that could be relied on, and why.
    unreadable: HashMap<(Region, DataEngineId), Reason>,
    /// True where the site has no listing, so that each engine is asked for by its name.
    by_name: bool,
}

impl FleetView {
    /// What the latest look says of a job's engine.
    pub fn engine(&self, key: &JobKey) -> Option<&EngineRecord> {
        self.engines.get(&(key.region.clone(), key.data_engine_id.clone()))
    }

    /// True where the latest look shows an engine.
    pub(super) fn shows(&self, region: &Region, id: &DataEngineId) -> bool {
        self.engines.contains_key(&(region.clone(), id.clone()))
    }

    /// A view of a site that has no listing.
    pub(super) fn by_name() -> Self {
        Self { by_name: true, ..Self::default() }
    }

    /// A view before the next look at the same fleet: what it knows of image versions holds for every engine.
    pub(super) fn before_read(&self) -> Self {
        Self { by_name: self.by_name, minor_versions: self.minor_versions.clone(), ..Self::default() }
    }

    /// True where each engine is asked for by its name.
    pub(super) fn is_by_name(&self) -> bool {
        self.by_name
    }

    /// How it is said that an engine was not shown.
    pub(super) fn absence_text(&self) -> &'static str {
        if self.by_name { "not shown under its name" } else { "not listed" }
    }

    /// Why nothing is known of a job's engine that could be relied on, though it was asked for.
    pub(super) fn unreadable(&self, key: &JobKey) -> Option<&Reason> {
        self.unreadable.get(&(key.region.clone(), key.data_engine_id.clone()))
    }

    /// Takes in what a listing of one region showed, all in one look.
    pub fn take(&mut self, region: &Region, records: Vec<EngineRecord>) {
        let told = |record: &EngineRecord| {
            (record.image_version_id.clone(), record.child_image_version_id.clone(), record.state)
        };
        for record in records {
            let place = (region.clone(), record.data_engine_id.clone());
            self.unreadable.remove(&place);
            self.absent.remove(&place);
            let minor = record.child_image_version_id.clone();
            self.minor_versions.extend(minor.map(|minor| (region.clone(), ImageVersionId::new(minor))));
            if self.engines.get(&place).is_some_and(|earlier| told(earlier) != told(&record)) {
                self.unclear.insert(place.clone());
            }
            self.engines.insert(place, record);
        }
    }

    /// Takes in what the service showed of an engine that it was asked for. A record with another id than the plan's
    /// is of another engine, whatever it is called, and says nothing about the one that was meant.
    pub(super) fn record_named(&mut self, place: &Query, shown: Option<EngineRecord>) {
        let Query::Engine(region, id, name) = place else { return };
        let Some(record) = shown else {
            return self.mark_absent(region, id);
        };
        if record.data_engine_id == *id {
            self.take(region, vec![record]);
        } else {
            let what = format!("the engine named {name} is {}", record.data_engine_id);
            self.mark_unreadable(place, found(reasons::WRONG_NAME, what));
        }
    }

    /// Notes that the service was asked for an engine and does not know it.
    pub(super) fn mark_absent(&mut self, region: &Region, id: &DataEngineId) {
        self.absent.insert((region.clone(), id.clone()));
    }

    /// True where it is known whether an engine exists.
    pub(super) fn is_known(&self, region: &Region, id: &DataEngineId) -> bool {
        let place = (region.clone(), id.clone());
        self.engines.contains_key(&place)
            || self.absent.contains(&place)
            || self.unreadable.contains_key(&place)
            || self.unserved.contains_key(&place.0)
    }

    /// True where an image version is the minor version of an engine that was seen in this region.
    fn is_minor_version(&self, region: &Region, image: &ImageVersionId) -> bool {
        self.minor_versions.contains(&(region.clone(), image.clone()))
    }

    /// True where the latest look shows a job's engine on this image, by its major or its minor version.
    pub(super) fn is_on(&self, key: &JobKey, image: &ImageVersionId) -> bool {
        self.engine(key).is_some_and(|record| is_on(record, image))
    }

    /// Takes in what another look showed; where both show an engine, the other is newer.
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

    /// Judges a job's engine. Where the image before is not known, any image but the target counts as the old one.
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

    /// Notes that nothing is known of an engine, and why.
    pub(super) fn mark_unreadable(&mut self, place: &Query, reason: Reason) {
        if let Query::Engine(region, id, _) = place {
            self.unreadable.insert((region.clone(), id.clone()), reason);
        }
    }

    /// Why nothing may be sent for a job, whatever its engine runs.
    pub(super) fn objection(&self, job: &Job) -> Option<Reason> {
        let place = (job.key.region.clone(), job.key.data_engine_id.clone());
        let noted = self.unserved.get(&place.0).or_else(|| self.unreadable.get(&place));
        noted.cloned().or_else(|| {
            let (seen, named) = (self.engines.get(&place)?.name.as_ref()?, job.data_engine_name.as_ref()?);
            let what = format!("{} is named {seen}", job.key.data_engine_id);
            (seen != named).then(|| found(reasons::WRONG_NAME, what))
        })
    }

    /// Notes that the service does not serve a region.
    pub(super) fn mark_unserved(&mut self, region: &Region, reason: Reason) {
        self.unserved.insert(region.clone(), reason);
    }

    /// Every engine seen, with its region.
    pub fn engines(&self) -> impl Iterator<Item = (&Region, &EngineRecord)> {
        self.engines.iter().map(|((region, _), record)| (region, record))
    }
}
