//! What a look at the fleet means for one job: before the first request, and after.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::poll::Query;
use super::reasons::{self, found, remembered};
use crate::cloud::{EngineRecord, EngineState};
use crate::job::{DataEngineId, ImageVersionId, Job, JobKey, Outcome, Reason, Region};
use crate::ledger::{RecordedReason, Standing, Work};

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
        let Query::Named(region, id, name) = place else { return };
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
        if let Query::Named(region, id, _) = place {
            self.unreadable.insert((region.clone(), id.clone()), reason);
        }
    }

    /// Why nothing may be sent for a job, whatever its engine runs.
    fn objection(&self, job: &Job) -> Option<Reason> {
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

/// An engine, judged from the point of view of one job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Observation {
    /// The service was asked for it and does not know it.
    Missing,
    /// The look does not show it, which proves nothing: a listing can leave an engine out.
    NotShown,
    /// Failed, deleted, or about to be.
    Broken(EngineState),
    /// On the target image.
    Target {
        /// Its state, where the service told it. Running is done, if it stays so.
        state: Option<EngineState>,
    },
    /// Not on the target image, and nothing says that somebody else moved it.
    OldImage {
        /// The image it is on.
        image: ImageVersionId,
        /// Its state, where the service told it.
        state: Option<EngineState>,
    },
    /// On an image that is neither the one before nor the target.
    OtherImage(ImageVersionId),
    /// The service left out the image.
    NoImage,
    /// One look showed it more than once, and differently, so it proves nothing.
    Contradictory,
}

impl Observation {
    /// `minor` is true where the target is known to be a minor version: the image of an engine is then its minor one.
    fn of(
        record: &EngineRecord,
        target: &ImageVersionId,
        minor: bool,
        before: Option<&ImageVersionId>,
    ) -> Self {
        let state = record.state;
        if let Some(lost) = state.filter(|state| is_broken(*state)) {
            return Self::Broken(lost);
        }
        if is_on(record, target) {
            return Self::Target { state };
        }
        let child = record.child_image_version_id.as_ref().filter(|_| minor).map(ImageVersionId::new);
        match child.or_else(|| record.image_version_id.clone()) {
            None => Self::NoImage,
            Some(image) if before.is_some_and(|before| !is_on(record, before)) => Self::OtherImage(image),
            Some(image) => Self::OldImage { image, state },
        }
    }
}

/// True where a record shows this image, as the major or as the minor version.
fn is_on(record: &EngineRecord, image: &ImageVersionId) -> bool {
    record.image_version_id.as_ref() == Some(image)
        || record.child_image_version_id.as_deref() == Some(image.as_str())
}

/// A state in words and as the service numbers it.
pub(super) fn state_text(state: EngineState) -> String {
    format!("{} (State {})", state.word(), state.0)
}

fn is_broken(state: EngineState) -> bool {
    [EngineState::FAILED, EngineState::DELETED, EngineState::DELETE_PENDING, EngineState::DELETING]
        .contains(&state)
}

/// What a run does, or would do, about a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Nothing: the ledger says how it ended.
    Keep {
        /// How.
        outcome: Outcome,
        /// The image the engine was on before.
        image_before: Option<ImageVersionId>,
        /// What went wrong, where something did.
        last_error: Option<RecordedReason>,
    },
    /// Nothing: the engine is on its target.
    UpToDate,
    /// Nothing yet: the engine shows its target and is still initialising.
    Arriving,
    /// Nothing yet: the engine is initialising, perhaps on its way to another image.
    Busy,
    /// Nothing yet: the listing says two things about the engine.
    Unclear,
    /// Nothing: a later request for the same engine, to another target, has not come to its end.
    Blocked(Reason),
    /// A request may have been applied: read back first.
    Verify {
        /// Where the ledger stands.
        standing: Standing,
        /// The image the engine was on before that request.
        image_before: Option<ImageVersionId>,
        /// `RequestId`, where the service took it.
        request_id: Option<String>,
        /// What went wrong last.
        last_error: Option<RecordedReason>,
    },
    /// Accepted by an earlier run: watch it converge.
    Watch {
        /// The image the engine was on before.
        image_before: Option<ImageVersionId>,
        /// `RequestId` of the accepting answer.
        request_id: Option<String>,
    },
    /// It cannot be switched, and nothing is sent.
    Fail(Reason),
    /// It is sent.
    Send {
        /// The image it leaves, where a look told.
        from: Option<ImageVersionId>,
    },
}

/// Judges a job before anything is sent for it in this run. Without a view, only the ledger speaks.
pub fn decide(job: &Job, work: &Work, view: Option<&FleetView>) -> Decision {
    match work.clone() {
        Work::Nothing { outcome, image_before, last_error } => {
            Decision::Keep { outcome, image_before, last_error }
        }
        Work::Settle { standing, image_before, request_id, last_error } => {
            Decision::Verify { standing, image_before, request_id, last_error }
        }
        Work::Watch { image_before, request_id } => Decision::Watch { image_before, request_id },
        Work::Blocked { by } => Decision::Blocked(still_open(&by)),
        Work::Held { standing, released, image_before, last_error } => {
            held(job, standing, released, view).unwrap_or_else(|| match (standing, &last_error) {
                // a released run left it behind without a new request: it is held again, on record
                (Standing::Unconfirmed | Standing::NotApplied | Standing::Unknown, Some(last_error)) => {
                    Decision::Fail(remembered(last_error))
                }
                _ => Decision::Keep { outcome: Outcome::Failed, image_before, last_error },
            })
        }
        Work::Send { open_elsewhere, image_before, .. } => match (view, open_elsewhere) {
            (Some(view), open_elsewhere) => {
                first_decision(job, open_elsewhere.as_ref(), image_before.as_ref(), view)
            }
            (None, None) => Decision::Send { from: None },
            (None, Some(other)) => Decision::Fail(still_open(&other)),
        },
    }
}

/// Judges a row that stays failed until it is released; none where it stays so. The request of the earlier run may still
/// be applied, so a released row is unconfirmed like a lost answer.
fn held(job: &Job, standing: Standing, released: bool, view: Option<&FleetView>) -> Option<Decision> {
    let settle =
        |image_before| Decision::Verify { standing, image_before, request_id: None, last_error: None };
    let Some(view) = view else { return released.then(|| settle(None)) };
    let expected = job.expected_image_version_id.as_ref();
    match view.observe(&job.key, None) {
        Observation::Target { .. } if matches!(standing, Standing::Failed | Standing::NotApplied) => {
            Some(first_decision(job, None, None, view))
        }
        Observation::Target { .. } => Some(settle(None)),
        Observation::OldImage { image, .. }
            if expected.map_or(released, |expected| view.is_on(&job.key, expected)) =>
        {
            Some(settle(Some(image)))
        }
        _ => None,
    }
}

/// Judges a job for which nothing is on its way. `open_elsewhere` is the target of an earlier request for the same
/// engine whose end is not on record; nothing else may be sent unless a look shows that it has arrived. `sent_from` is
/// the image that the engine had before the latest request of an earlier run, if one left.
fn first_decision(
    job: &Job,
    open_elsewhere: Option<&ImageVersionId>,
    sent_from: Option<&ImageVersionId>,
    view: &FleetView,
) -> Decision {
    if let Some(reason) = view.objection(job) {
        return Decision::Fail(reason);
    }
    let expected = job.expected_image_version_id.as_ref();
    match view.observe(&job.key, expected.or(sent_from)) {
        Observation::Contradictory | Observation::NotShown => Decision::Unclear,
        Observation::Missing => Decision::Fail(found(reasons::ENGINE_NOT_FOUND, "")),
        Observation::Broken(state) => {
            let seen = format!("the engine is {}", state_text(state));
            Decision::Fail(found(reasons::ENGINE_NOT_SWITCHABLE, seen))
        }
        Observation::Target { state: Some(EngineState::INITIALISING) } => Decision::Arriving,
        Observation::Target { .. } => Decision::UpToDate,
        Observation::OtherImage(image) if expected.is_none() => Decision::Fail(moved(&image)),
        Observation::OtherImage(image) => Decision::Fail(unexpected(&format!("it is on {image}"), expected)),
        Observation::NoImage if expected.is_some() => {
            Decision::Fail(unexpected("the service does not say which image it is on", expected))
        }
        Observation::NoImage => Decision::Send { from: None },
        Observation::OldImage { image, state } => {
            let arrived =
                |other: &&ImageVersionId| view.is_on(&job.key, other) && state == Some(EngineState::RUNNING);
            match open_elsewhere.filter(|other| !arrived(other)) {
                Some(other) => Decision::Fail(still_open(other)),
                None if state == Some(EngineState::INITIALISING) => Decision::Busy,
                None => Decision::Send { from: Some(image) },
            }
        }
    }
}

/// Where an engine is that an earlier run brought to its target, if it is not there any more.
pub(super) fn drift(job: &Job, decision: &Decision, view: &FleetView) -> Option<String> {
    if !matches!(decision, Decision::Keep { outcome: Outcome::Switched | Outcome::UpToDate, .. }) {
        return None;
    }
    if view.unreadable(&job.key).is_some() {
        // where it is cannot be told
        return None;
    }
    match view.observe(&job.key, None) {
        Observation::Missing => Some(view.absence_text().to_owned()),
        Observation::Broken(state) => Some(state_text(state)),
        Observation::OldImage { image, .. } | Observation::OtherImage(image) => Some(format!("on {image}")),
        Observation::Target { .. }
        | Observation::NoImage
        | Observation::Contradictory
        | Observation::NotShown => None,
    }
}

/// Another client moved the engine.
pub(super) fn moved(to: &ImageVersionId) -> Reason {
    found(reasons::MOVED_BY_ANOTHER_CLIENT, format!("it is on {to}"))
}

pub(super) fn unexpected(seen: &str, expected: Option<&ImageVersionId>) -> Reason {
    let expected = expected.map_or_else(String::new, |expected| format!(", and was expected on {expected}"));
    found(reasons::UNEXPECTED_IMAGE, format!("{seen}{expected}"))
}

fn still_open(other: &ImageVersionId) -> Reason {
    found(reasons::EARLIER_REQUEST_OPEN, format!("the earlier request was for {other}"))
}
