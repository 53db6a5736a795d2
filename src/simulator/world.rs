//! The simulated fleet: engines and images, and how switches change them over time.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;
use tokio::time::Instant;

use super::engine_type::EngineType;
use super::random::{generator, uuid};
use super::refusal::refuse;
use crate::cloud::{EngineKind, EngineRecord, EngineState, ImageRecord, Refusal};
use crate::job::{DataEngineId, DataEngineName, ImageVersionId, JobKey, Region};

/// One engine.
#[derive(Clone, Debug, PartialEq)]
pub struct Engine {
    /// Its region.
    pub region: Region,
    /// `DataEngineId`
    pub data_engine_id: DataEngineId,
    /// `DataEngineName`
    pub name: DataEngineName,
    /// Its type: decides under which kind it is listed and which images it can run.
    pub engine_type: &'static EngineType,
    /// A Kyuubi gateway: listed only if a request asks for `EngineType` `kyuubi`.
    pub is_gateway: bool,
    /// `State`
    pub state: EngineState,
    /// `ImageVersionId`; none for an engine that has no image versions.
    pub image_version_id: Option<ImageVersionId>,
    /// The minor version it was switched to; none means the first minor version of its image.
    pub minor_version_id: Option<ImageVersionId>,
    /// Order of creation, from 1.
    pub number: usize,
    /// How many switches were applied to it.
    pub applied: u64,
    /// True while a switch is in progress.
    pub(super) switching: bool,
}

/// One image version in one region.
#[derive(Clone, Debug, PartialEq)]
pub struct Image {
    /// Its region.
    pub region: Region,
    /// `ImageVersionId`
    pub image_version_id: ImageVersionId,
    /// `ImageVersion`, such as `Standard-S 1.1`.
    pub name: String,
    /// Its minor versions. An engine that is switched to the major version runs the first of them.
    pub minor_versions: [ImageVersionId; 2],
    /// Type of the engines that can run it.
    pub engine_type: &'static EngineType,
    /// `State`: 1 initialising, 2 online, 3 offline.
    pub state: i64,
}

impl Image {
    /// The image as `DescribeDataEngineImageVersions` shows it.
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
    /// Sets the major version, and the minor version unless it is the first.
    fn set_versions(&mut self, versions: Option<(ImageVersionId, Option<ImageVersionId>)>) {
        let (major, minor) = versions.unzip();
        (self.image_version_id, self.minor_version_id) = (major, minor.flatten());
    }
}

/// The minor versions of an image.
pub(super) fn minor_versions(seed: u64, major: &ImageVersionId) -> [ImageVersionId; 2] {
    [0, 1].map(|number| {
        ImageVersionId::new(uuid(&mut generator(seed, &["minor version", major.as_str()], number)))
    })
}

/// When an engine shows its new image during a switch. The service does not document it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ImageChanges {
    /// When the switch is applied, while the engine initialises.
    AtStart,
    /// When the engine runs again.
    #[default]
    AtEnd,
}

/// Whether `SwitchDataEngineImage` accepts a minor version (`ChildImageVersionId`) as its target. The service does
/// not document it; the evidence is only for the major version.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MinorVersions {
    /// `ResourceNotFound.ImageVersionNotFound`.
    #[default]
    Refused,
    /// The engine runs the minor version and shows the major version that it belongs to as its `ImageVersionId`.
    Accepted,
}

/// What an applied switch does to its engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SwitchEffect {
    /// Time in [`EngineState::INITIALISING`]; none means without end.
    pub duration: Option<Duration>,
    /// State after that time.
    pub end_state: EngineState,
    /// Image after the switch; none means the old image.
    pub image_version_id: Option<ImageVersionId>,
    /// When the engine shows that image.
    pub image_changes: ImageChanges,
}

type EngineKey = (Region, DataEngineId);

/// A scheduled change of the world.
#[derive(Debug)]
enum Event {
    /// The switch that was the `number`th of its engine ends, unless the engine was changed in the meantime.
    SwitchEnds { engine: EngineKey, number: u64, effect: SwitchEffect },
    /// A switch is applied after its response.
    SwitchStarts { key: JobKey, effect: SwitchEffect },
}

/// The engines and images of one account. It uses the clock of tokio, which tests can pause.
#[derive(Debug)]
pub struct World {
    pub(super) seed: u64,
    pub(super) engines: BTreeMap<EngineKey, Engine>,
    pub(super) images: BTreeMap<(Region, ImageVersionId), Image>,
    /// Whether a minor version can be the target of a switch.
    pub(super) minor_versions: MinorVersions,
    events: BTreeMap<(Instant, u64), Event>,
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
            events: BTreeMap::new(),
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

    /// Sets the state of an engine and ends a switch in progress; false if the engine does not exist.
    pub fn set_state(&mut self, region: &Region, id: &DataEngineId, state: EngineState) -> bool {
        self.change_engine(region, id, |engine| {
            engine.switching = false;
            engine.state = state;
        })
    }

    /// Sets the image version of an engine (major or minor, known or not), as another client can do, and ends a switch
    /// in progress; false if the engine does not exist. None makes it an engine without image versions.
    pub fn set_image(&mut self, region: &Region, id: &DataEngineId, image: Option<ImageVersionId>) -> bool {
        let versions = image.map(|image| self.major_and_minor(region, image));
        self.change_engine(region, id, |engine| {
            engine.switching = false;
            engine.set_versions(versions);
        })
    }

    /// Renames an engine; false if the engine does not exist.
    pub fn set_name(&mut self, region: &Region, id: &DataEngineId, name: DataEngineName) -> bool {
        self.change_engine(region, id, |engine| engine.name = name)
    }

    /// Makes an engine a Kyuubi gateway; false if the engine does not exist.
    pub fn set_gateway(&mut self, region: &Region, id: &DataEngineId) -> bool {
        self.change_engine(region, id, |engine| engine.is_gateway = true)
    }

    /// Sets the state of an image (1 initialising, 2 online, 3 offline); false if the image does not exist.
    pub fn set_image_state(&mut self, region: &Region, id: &ImageVersionId, state: i64) -> bool {
        let image = self.images.get_mut(&(region.clone(), id.clone()));
        image.map(|image| image.state = state).is_some()
    }

    fn change_engine(
        &mut self,
        region: &Region,
        id: &DataEngineId,
        change: impl FnOnce(&mut Engine),
    ) -> bool {
        self.engines.get_mut(&(region.clone(), id.clone())).map(change).is_some()
    }

    /// Whether the service accepts this switch now, and if not, the refusal with its documented code (document
    /// 1342/99266). A switch to the image that an engine already runs is accepted: the service does not document
    /// this case, and a restart is the harmful reading.
    pub fn check_switch(&self, key: &JobKey) -> Result<(), Refusal> {
        let (id, target) = (&key.data_engine_id, &key.new_image_version_id);
        for (field, text) in [("DataEngineId", id.as_str()), ("NewImageVersionId", target.as_str())] {
            if text.is_empty() {
                let code = "InvalidParameter.ParameterNotFoundOrBeNone";
                return Err(refuse(code, format!("parameter {field} is empty")));
            }
        }
        let engine = self.engine(&key.region, id).ok_or_else(|| {
            let code = "ResourceNotFound.DataEngineNotFound";
            refuse(code, format!("engine {id} does not exist in {}", key.region))
        })?;
        if engine.image_version_id.is_none() {
            let code = "ResourceNotFound.DataEngineNotMultiVersion";
            return Err(refuse(code, format!("engine {id} has no image versions")));
        }
        if engine.state != EngineState::RUNNING {
            let code = "ResourceNotFound.DataEngineNotActivity";
            return Err(refuse(code, format!("engine {id} is {}", engine.state.word())));
        }
        let image = self.image_to_switch_to(&key.region, target).ok_or_else(|| {
            let code = "ResourceNotFound.ImageVersionNotFound";
            refuse(code, format!("image version {target} does not exist in {}", key.region))
        })?;
        if image.state != ImageRecord::ONLINE {
            let code = "ResourceNotFound.ImageVersionNotActivity";
            return Err(refuse(code, format!("image version {target} is not online")));
        }
        if image.engine_type != engine.engine_type {
            let code = "InvalidParameter.ImageEngineTypeNotMatch";
            let (image_type, engine_type) = (image.engine_type.detail, engine.engine_type.detail);
            let message =
                format!("image version {target} is for {image_type}, engine {id} has the type {engine_type}");
            return Err(refuse(code, message));
        }
        Ok(())
    }

    /// The image of a switch to this version.
    fn image_to_switch_to(&self, region: &Region, target: &ImageVersionId) -> Option<&Image> {
        let parent =
            || self.parent(region, target).filter(|_| self.minor_versions == MinorVersions::Accepted);
        self.image(region, target).or_else(parent)
    }

    /// The image that has this minor version.
    fn parent(&self, region: &Region, minor: &ImageVersionId) -> Option<&Image> {
        self.images().find(|image| image.region == *region && image.minor_versions.contains(minor))
    }

    /// The versions that an engine shows: the major version, and the minor version if `image` is one.
    fn major_and_minor(
        &self,
        region: &Region,
        image: ImageVersionId,
    ) -> (ImageVersionId, Option<ImageVersionId>) {
        let parent = self.parent(region, &image).map(|parent| parent.image_version_id.clone());
        parent.map_or((image.clone(), None), |parent| (parent, Some(image)))
    }

    /// Applies a switch at a point in time; the caller has checked it.
    pub(super) fn apply(&mut self, key: &JobKey, effect: SwitchEffect, at: Instant) {
        let engine_key = (key.region.clone(), key.data_engine_id.clone());
        let shown_now =
            effect.image_version_id.clone().filter(|_| effect.image_changes == ImageChanges::AtStart);
        let versions = shown_now.map(|image| self.major_and_minor(&key.region, image));
        let Some(engine) = self.engines.get_mut(&engine_key) else { return };
        engine.applied += 1;
        engine.switching = true;
        engine.state = EngineState::INITIALISING;
        if versions.is_some() {
            engine.set_versions(versions);
        }
        if let Some(duration) = effect.duration {
            let number = engine.applied;
            self.schedule(at + duration, Event::SwitchEnds { engine: engine_key, number, effect });
        }
    }

    /// Applies a switch later, if the service still accepts it then.
    pub(super) fn apply_late(&mut self, key: JobKey, effect: SwitchEffect, at: Instant) {
        self.schedule(at, Event::SwitchStarts { key, effect });
    }

    fn schedule(&mut self, at: Instant, event: Event) {
        self.scheduled += 1;
        self.events.insert((at, self.scheduled), event);
    }

    /// Carries out the events up to now. Nothing runs in the background: every reader calls this first.
    pub(super) fn advance(&mut self, now: Instant) {
        while let Some(entry) = self.events.first_entry().filter(|entry| entry.key().0 <= now) {
            let ((at, _), event) = entry.remove_entry();
            match event {
                Event::SwitchEnds { engine, number, effect } => self.end_switch(&engine, number, effect),
                Event::SwitchStarts { key, effect } => {
                    if self.check_switch(&key).is_ok() {
                        self.apply(&key, effect, at);
                    }
                }
            }
        }
    }

    fn end_switch(&mut self, key: &EngineKey, number: u64, effect: SwitchEffect) {
        let versions = effect.image_version_id.map(|image| self.major_and_minor(&key.0, image));
        let engine = self.engines.get_mut(key).filter(|engine| engine.switching && engine.applied == number);
        if let Some(engine) = engine {
            engine.switching = false;
            engine.state = effect.end_state;
            if versions.is_some() {
                engine.set_versions(versions);
            }
        }
    }

    /// An online image of the same type that is neither the current image of the engine nor its target.
    pub(super) fn other_image(&self, key: &JobKey) -> Option<ImageVersionId> {
        let engine = self.engine(&key.region, &key.data_engine_id)?;
        self.images()
            .filter(|image| image.region == key.region && image.engine_type == engine.engine_type)
            .filter(|image| image.state == ImageRecord::ONLINE)
            .map(|image| &image.image_version_id)
            .find(|id| **id != key.new_image_version_id && Some(*id) != engine.image_version_id.as_ref())
            .cloned()
    }

    /// An engine as `DescribeDataEngines` shows it.
    pub(super) fn record(&self, engine: &Engine) -> EngineRecord {
        let image_id = engine.image_version_id.as_ref();
        let image = image_id.and_then(|id| self.image(&engine.region, id));
        let first_minor = image_id.map(|id| minor_versions(self.seed, id)[0].clone());
        let minor = engine.minor_version_id.clone().or(first_minor);
        EngineRecord {
            data_engine_id: engine.data_engine_id.clone(),
            name: Some(engine.name.clone()),
            state: Some(engine.state),
            image_version_id: image_id.cloned(),
            image_version_name: image.map(|image| image.name.clone()),
            child_image_version_id: minor.map(|id| id.as_str().to_owned()),
            engine_type_detail: Some(engine.engine_type.detail.to_owned()),
            kind: Some(EngineKind { gateway: engine.is_gateway, ..engine.engine_type.kind }),
        }
    }

    /// The engine with a name. How the service answers if there is none is not documented for this action; a refusal
    /// is the reading that stops a careless client.
    pub(super) fn record_by_name(
        &self,
        region: &Region,
        name: &DataEngineName,
    ) -> Result<EngineRecord, Refusal> {
        let has_name = |engine: &&Engine| engine.region == *region && engine.name == *name;
        self.engines().find(has_name).map(|engine| self.record(engine)).ok_or_else(|| {
            let code = "ResourceNotFound.DataEngineNotFound";
            refuse(code, format!("no engine has the name {name} in {region}"))
        })
    }
}

#[cfg(test)]
mod tests;
