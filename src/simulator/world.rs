//! The simulated fleet: engines and images, and what a switch does to them as time passes.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use super::engine_type::EngineType;
use super::random::{dice, uuid};
use super::record::EngineRow;
use crate::cloud::{EngineRecord, EngineState, ImageRecord};
use crate::job::{DataEngineId, DataEngineName, ImageVersionId, JobKey, Region};

/// One engine.
#[derive(Clone, Debug, PartialEq)]
pub struct Engine {
    /// Where it lives.
    pub region: Region,
    /// `DataEngineId`
    pub data_engine_id: DataEngineId,
    /// `DataEngineName`
    pub name: DataEngineName,
    /// Its type, which decides the kind it is listed under and the images it can run.
    pub engine_type: &'static EngineType,
    /// `State`
    pub state: EngineState,
    /// `ImageVersionId`; none on an engine whose kind has no image versions.
    pub image_version_id: Option<ImageVersionId>,
    /// The minor version it was switched to; none means the first one of its image.
    pub minor_version_id: Option<ImageVersionId>,
    /// `CreateTime`, in Unix seconds.
    pub created: i64,
    /// How many switches were applied to it.
    pub applied: u64,
    /// True between a switch and its end.
    pub(super) switching: bool,
}

/// One image version in one region.
#[derive(Clone, Debug, PartialEq)]
pub struct Image {
    /// Where it can be used.
    pub region: Region,
    /// `ImageVersionId`
    pub image_version_id: ImageVersionId,
    /// `ImageVersion`, such as `Standard-S 1.1`.
    pub name: String,
    /// The minor versions of this one, the first of which engines are on that were switched to the major version.
    pub minor_versions: [ImageVersionId; 2],
    /// Which engines can run it.
    pub engine_type: &'static EngineType,
    /// `InsertTime`, in Unix seconds.
    pub inserted: i64,
    /// `State`: 1 initialising, 2 online, 3 offline.
    pub state: i64,
}

impl Image {
    /// What a listing says of it.
    pub(super) fn record(&self) -> ImageRecord {
        ImageRecord {
            image_version_id: self.image_version_id.clone(),
            name: Some(self.name.clone()),
            state: Some(self.state),
            engine_type: Some(self.engine_type.detail.to_owned()),
        }
    }
}

impl Engine {
    /// Shows a major version, and the minor one where it is not the first.
    fn run(&mut self, versions: Option<(ImageVersionId, Option<ImageVersionId>)>) {
        let (major, minor) = versions.unzip();
        (self.image_version_id, self.minor_version_id) = (major, minor.flatten());
    }
}

/// The minor versions of an image.
pub(super) fn minor_versions(seed: u64, major: &ImageVersionId) -> [ImageVersionId; 2] {
    [0, 1].map(|nth| ImageVersionId::new(uuid(&mut dice(seed, &["child", major.as_str()], nth))))
}

/// The minor version that an engine is on unless it was switched to another, known image or not.
fn first_minor_version(seed: u64, major: &ImageVersionId) -> ImageVersionId {
    let [first, _] = minor_versions(seed, major);
    first
}

/// A refusal before it has a `RequestId`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Objection {
    /// `Error.Code`
    pub code: String,
    /// `Error.Message`
    pub message: String,
}

impl Objection {
    /// A refusal with this code and these words.
    pub(super) fn new(code: &str, message: impl Into<String>) -> Self {
        Self { code: code.to_owned(), message: message.into() }
    }
}

/// When a switching engine shows its new image. The service does not document it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ImageChanges {
    /// As soon as the switch is applied, still initialising.
    AtStart,
    /// When the engine runs again.
    #[default]
    AtEnd,
}

/// Whether `SwitchDataEngineImage` takes a minor version (`ChildImageVersionId`) as its target. The service does not
/// document it; the evidence is for the major version alone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MinorVersions {
    /// There is no such image: `ResourceNotFound.ImageVersionNotFound`.
    #[default]
    Refused,
    /// The engine goes to the minor version, and shows the major one that it belongs to as its `ImageVersionId`.
    Accepted,
}

/// How a switch that was applied goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Course {
    /// Time in [`EngineState::INITIALISING`]; none means for ever.
    pub lasts: Option<Duration>,
    /// The state after that.
    pub ends: EngineState,
    /// The image it goes to; none means that it stays on the old one.
    pub image_version_id: Option<ImageVersionId>,
    /// When that image shows.
    pub image_changes: ImageChanges,
}

type Place = (Region, DataEngineId);

/// Something that is due later.
#[derive(Debug)]
enum Due {
    /// A switch ends, unless the engine was interfered with since: it is then past its `nth` switch or at rest.
    End { place: Place, nth: u64, course: Course },
    /// A switch is applied after its answer.
    Late { key: JobKey, course: Course },
}

/// The engines and images of one account. Time is tokio's, so it runs under a paused clock.
#[derive(Debug)]
pub struct World {
    pub(super) seed: u64,
    pub(super) engines: BTreeMap<Place, Engine>,
    pub(super) images: BTreeMap<(Region, ImageVersionId), Image>,
    /// Whether one can be the target of a switch.
    pub(super) minor_versions: MinorVersions,
    due: BTreeMap<(Instant, u64), Due>,
    scheduled: u64,
}

impl World {
    /// A world without engines or images.
    pub(super) fn empty(seed: u64) -> Self {
        Self {
            seed,
            engines: BTreeMap::new(),
            images: BTreeMap::new(),
            minor_versions: MinorVersions::default(),
            due: BTreeMap::new(),
            scheduled: 0,
        }
    }

    /// One engine.
    pub fn engine(&self, region: &Region, id: &DataEngineId) -> Option<&Engine> {
        self.engines.get(&(region.clone(), id.clone()))
    }

    /// All engines, by region and id.
    pub fn engines(&self) -> impl Iterator<Item = &Engine> {
        self.engines.values()
    }

    /// One image.
    pub fn image(&self, region: &Region, id: &ImageVersionId) -> Option<&Image> {
        self.images.get(&(region.clone(), id.clone()))
    }

    /// All images, by region and id.
    pub fn images(&self) -> impl Iterator<Item = &Image> {
        self.images.values()
    }

    /// Puts an engine into a state and ends a switch under way; false when there is no such engine.
    pub fn set_state(&mut self, region: &Region, id: &DataEngineId, state: EngineState) -> bool {
        self.interfere(region, id, |engine| engine.state = state)
    }

    /// Puts an engine on an image version, major or minor, known or not, as somebody else might, and ends a switch under
    /// way; false when there is no such engine. None makes it an engine whose kind has no image versions.
    pub fn set_image(&mut self, region: &Region, id: &DataEngineId, image: Option<ImageVersionId>) -> bool {
        let versions = image.map(|image| self.major_and_minor(region, image));
        self.interfere(region, id, |engine| engine.run(versions))
    }

    /// Calls an engine something else; false when there is no such engine.
    pub fn set_name(&mut self, region: &Region, id: &DataEngineId, name: DataEngineName) -> bool {
        let engine = self.engines.get_mut(&(region.clone(), id.clone()));
        engine.map(|engine| engine.name = name).is_some()
    }

    /// Puts an image into a state (1 initialising, 2 online, 3 offline); false when there is no such image.
    pub fn set_image_state(&mut self, region: &Region, id: &ImageVersionId, state: i64) -> bool {
        let image = self.images.get_mut(&(region.clone(), id.clone()));
        image.map(|image| image.state = state).is_some()
    }

    fn interfere(&mut self, region: &Region, id: &DataEngineId, change: impl FnOnce(&mut Engine)) -> bool {
        let engine = self.engines.get_mut(&(region.clone(), id.clone()));
        engine
            .map(|engine| {
                engine.switching = false;
                change(engine);
            })
            .is_some()
    }

    /// Whether the service would take this switch now, and if not, with which documented code it refuses
    /// (document 1342/99266). Switching to the image an engine already runs is taken: what the service does
    /// then is not documented, and a restart is the harmful reading.
    pub fn judge(&self, key: &JobKey) -> Result<(), Objection> {
        let (id, target) = (&key.data_engine_id, &key.new_image_version_id);
        for (field, text) in [("DataEngineId", id.as_str()), ("NewImageVersionId", target.as_str())] {
            if text.is_empty() {
                let code = "InvalidParameter.ParameterNotFoundOrBeNone";
                return Err(Objection::new(code, format!("parameter {field} is empty")));
            }
        }
        let engine = self.engine(&key.region, id).ok_or_else(|| {
            let code = "ResourceNotFound.DataEngineNotFound";
            Objection::new(code, format!("there is no engine {id} in {}", key.region))
        })?;
        if engine.image_version_id.is_none() {
            let code = "ResourceNotFound.DataEngineNotMultiVersion";
            return Err(Objection::new(code, format!("engine {id} has no image versions")));
        }
        if engine.state != EngineState::RUNNING {
            let code = "ResourceNotFound.DataEngineNotActivity";
            return Err(Objection::new(code, format!("engine {id} is {}", engine.state.word())));
        }
        let image = self.image_to_switch_to(&key.region, target).ok_or_else(|| {
            let code = "ResourceNotFound.ImageVersionNotFound";
            Objection::new(code, format!("there is no image version {target} in {}", key.region))
        })?;
        if image.state != ImageRecord::ONLINE {
            let code = "ResourceNotFound.ImageVersionNotActivity";
            return Err(Objection::new(code, format!("image version {target} is not online")));
        }
        if image.engine_type != engine.engine_type {
            let code = "InvalidParameter.ImageEngineTypeNotMatch";
            let (theirs, ours) = (image.engine_type.detail, engine.engine_type.detail);
            let message = format!("image version {target} is for {theirs}, engine {id} is {ours}");
            return Err(Objection::new(code, message));
        }
        Ok(())
    }

    /// The image that a switch to this version would lead to.
    fn image_to_switch_to(&self, region: &Region, target: &ImageVersionId) -> Option<&Image> {
        let parent =
            || self.parent(region, target).filter(|_| self.minor_versions == MinorVersions::Accepted);
        self.image(region, target).or_else(parent)
    }

    /// The image that has this minor version.
    fn parent(&self, region: &Region, minor: &ImageVersionId) -> Option<&Image> {
        self.images().find(|image| image.region == *region && image.minor_versions.contains(minor))
    }

    /// What an engine shows that runs this version: the major version, and the minor one where it was named.
    fn major_and_minor(
        &self,
        region: &Region,
        image: ImageVersionId,
    ) -> (ImageVersionId, Option<ImageVersionId>) {
        let parent = self.parent(region, &image).map(|parent| parent.image_version_id.clone());
        parent.map_or((image.clone(), None), |parent| (parent, Some(image)))
    }

    /// Applies a switch at a moment; the caller has judged it.
    pub(super) fn apply(&mut self, key: &JobKey, course: Course, at: Instant) {
        let place = (key.region.clone(), key.data_engine_id.clone());
        let shown_at_once =
            course.image_version_id.clone().filter(|_| course.image_changes == ImageChanges::AtStart);
        let versions = shown_at_once.map(|image| self.major_and_minor(&key.region, image));
        let Some(engine) = self.engines.get_mut(&place) else { return };
        engine.applied += 1;
        engine.switching = true;
        engine.state = EngineState::INITIALISING;
        if versions.is_some() {
            engine.run(versions);
        }
        if let Some(lasts) = course.lasts {
            let nth = engine.applied;
            self.schedule(at + lasts, Due::End { place, nth, course });
        }
    }

    /// Applies a switch later, if the service would still take it then.
    pub(super) fn apply_late(&mut self, key: JobKey, course: Course, at: Instant) {
        self.schedule(at, Due::Late { key, course });
    }

    fn schedule(&mut self, at: Instant, due: Due) {
        self.scheduled += 1;
        self.due.insert((at, self.scheduled), due);
    }

    /// Lets everything happen that is due by now. Nothing runs in the background: whoever looks settles first.
    pub(super) fn advance(&mut self, now: Instant) {
        while let Some(entry) = self.due.first_entry().filter(|entry| entry.key().0 <= now) {
            let ((at, _), due) = entry.remove_entry();
            match due {
                Due::End { place, nth, course } => self.end(&place, nth, course),
                Due::Late { key, course } => {
                    if self.judge(&key).is_ok() {
                        self.apply(&key, course, at);
                    }
                }
            }
        }
    }

    fn end(&mut self, place: &Place, nth: u64, course: Course) {
        let versions = course.image_version_id.map(|image| self.major_and_minor(&place.0, image));
        let engine = self.engines.get_mut(place).filter(|engine| engine.switching && engine.applied == nth);
        if let Some(engine) = engine {
            engine.switching = false;
            engine.state = course.ends;
            if versions.is_some() {
                engine.run(versions);
            }
        }
    }

    /// An online image of the right type that is neither what the engine runs nor where it shall go.
    pub(super) fn third_image(&self, key: &JobKey) -> Option<ImageVersionId> {
        let engine = self.engine(&key.region, &key.data_engine_id)?;
        self.images()
            .filter(|image| image.region == key.region && image.engine_type == engine.engine_type)
            .filter(|image| image.state == ImageRecord::ONLINE)
            .map(|image| &image.image_version_id)
            .find(|id| **id != key.new_image_version_id && Some(*id) != engine.image_version_id.as_ref())
            .cloned()
    }

    /// How the service shows an engine.
    pub(super) fn row(&self, engine: &Engine) -> EngineRow {
        EngineRow { record: self.record(engine), created: engine.created }
    }

    /// What a listing says of an engine.
    pub(super) fn record(&self, engine: &Engine) -> EngineRecord {
        let image_id = engine.image_version_id.as_ref();
        let image = image_id.and_then(|id| self.image(&engine.region, id));
        let usual = image_id.map(|id| first_minor_version(self.seed, id));
        let minor = engine.minor_version_id.clone().or(usual);
        EngineRecord {
            data_engine_id: engine.data_engine_id.clone(),
            name: Some(engine.name.clone()),
            state: Some(engine.state),
            image_version_id: image_id.cloned(),
            image_version_name: image.map(|image| image.name.clone()),
            child_image_version_id: minor.map(|id| id.as_str().to_owned()),
            engine_type_detail: Some(engine.engine_type.detail.to_owned()),
            kind: Some(engine.engine_type.kind),
        }
    }

    /// What the service says of the engine of a name. How it says that there is none is not documented for this
    /// action; a refusal is the reading that stops a careless client.
    pub(super) fn show(&self, region: &Region, name: &DataEngineName) -> Result<EngineRow, Objection> {
        let called = |engine: &&Engine| engine.region == *region && engine.name == *name;
        self.engines().find(called).map(|engine| self.row(engine)).ok_or_else(|| {
            let code = "ResourceNotFound.DataEngineNotFound";
            Objection::new(code, format!("there is no engine named {name} in {region}"))
        })
    }
}

#[cfg(test)]
#[path = "world_tests.rs"]
mod tests;
