//! Creates a world: a fleet generated from a seed, or exactly the engines of a plan.

use std::collections::BTreeMap;

use super::engine_type::{ENGINE_TYPES, EngineType, by_share};
use super::random::{generator, uuid};
use super::world::{Engine, Image, World, minor_versions};
use crate::cloud::{EngineState, ImageRecord};
use crate::job::{DataEngineId, DataEngineName, ImageVersionId, JobKey, Region};

/// `State` of an image that is no longer offered.
const OFFLINE: i64 = 3;

/// Online images of every engine type before any target is added: two that engines run, and one free target.
const ONLINE_IMAGES: u64 = 3;

impl World {
    /// Generates running engines `DataEngine-sim00001` and so on in one region, a mix of all four kinds, with
    /// three online images and one offline image for each engine type.
    pub fn generated(seed: u64, engines: usize, region: &Region) -> Self {
        let mut world = Self::empty(seed);
        for engine_type in &ENGINE_TYPES {
            world.add_images(region, engine_type);
        }
        for number in 1..=engines {
            let id = DataEngineId::new(format!("DataEngine-sim{number:05}"));
            let engine_type = by_share(generator(seed, &["engine type", id.as_str()], 0).usize(..100));
            let image = world.older_image(region, engine_type, &id);
            world.add_engine(region.clone(), id, engine_type, image);
        }
        world
    }

    /// Holds exactly the engines of these rows and their targets as online images. An engine runs its target if
    /// its row says so (`true`), else an older image of the same type. The first of two rows for one engine counts.
    pub fn holding(seed: u64, rows: &[(JobKey, bool)]) -> Self {
        let mut world = Self::empty(seed);
        let mut targets: BTreeMap<(&Region, &ImageVersionId), &'static EngineType> = BTreeMap::new();
        for (key, on_target) in rows {
            let (region, target, id) = (&key.region, &key.new_image_version_id, &key.data_engine_id);
            let engine_type = *targets.entry((region, target)).or_insert_with(|| {
                let position = generator(seed, &["engine type", target.as_str()], 0).usize(..100);
                let engine_type = by_share(position);
                world.add_images(region, engine_type);
                world.add_image(region, engine_type, target.clone(), ImageRecord::ONLINE);
                engine_type
            });
            if world.engine(region, id).is_none() {
                let older = world.older_image(region, engine_type, id);
                let image = if *on_target { target.clone() } else { older };
                world.add_engine(region.clone(), id.clone(), engine_type, image);
            }
        }
        world
    }

    fn add_engine(
        &mut self,
        region: Region,
        id: DataEngineId,
        engine_type: &'static EngineType,
        image: ImageVersionId,
    ) {
        let number = self.engines.len() + 1;
        let engine = Engine {
            region: region.clone(),
            data_engine_id: id.clone(),
            name: DataEngineName::new(format!("{}-{number:05}", engine_type.detail.to_lowercase())),
            engine_type,
            is_gateway: false,
            state: EngineState::RUNNING,
            image_version_id: Some(image),
            minor_version_id: None,
            number,
            applied: 0,
            switching: false,
        };
        self.engines.insert((region, id), engine);
    }

    /// Adds the images that every engine type starts with, unless they exist.
    fn add_images(&mut self, region: &Region, engine_type: &'static EngineType) {
        for number in 0..=ONLINE_IMAGES {
            let id = self.initial_image(region, engine_type, number);
            if self.image(region, &id).is_none() {
                let state = if number == ONLINE_IMAGES { OFFLINE } else { ImageRecord::ONLINE };
                self.add_image(region, engine_type, id, state);
            }
        }
    }

    fn add_image(
        &mut self,
        region: &Region,
        engine_type: &'static EngineType,
        id: ImageVersionId,
        state: i64,
    ) {
        let number =
            self.images().filter(|image| image.region == *region && image.engine_type == engine_type).count();
        let image = Image {
            region: region.clone(),
            image_version_id: id.clone(),
            name: format!("{} 1.{number}", engine_type.image_prefix),
            minor_versions: minor_versions(self.seed, &id),
            engine_type,
            state,
        };
        self.images.insert((region.clone(), id), image);
    }

    fn initial_image(&self, region: &Region, engine_type: &EngineType, number: u64) -> ImageVersionId {
        let purpose = ["image", region.as_str(), engine_type.detail];
        ImageVersionId::new(uuid(&mut generator(self.seed, &purpose, number)))
    }

    /// One of the online images except the last, which stays free as a target.
    fn older_image(&self, region: &Region, engine_type: &EngineType, id: &DataEngineId) -> ImageVersionId {
        let number = generator(self.seed, &["older image", id.as_str()], 0).u64(..ONLINE_IMAGES - 1);
        self.initial_image(region, engine_type, number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cloud::EngineKind;

    fn region() -> Region {
        Region::new("ap-guangzhou")
    }

    fn snapshot(world: &World) -> (Vec<Engine>, Vec<Image>) {
        (world.engines().cloned().collect(), world.images().cloned().collect())
    }

    #[test]
    fn the_same_seed_generates_the_same_world_and_another_seed_another_world() {
        let world = |seed| snapshot(&World::generated(seed, 50, &region()));
        assert_eq!(world(7), world(7));
        assert_ne!(world(7), world(8));
    }

    #[test]
    fn a_generated_world_has_engines_of_every_kind_and_free_targets() {
        let world = World::generated(1, 300, &region());
        assert_eq!(world.engines().count(), 300);
        assert!(world.engine(&region(), &DataEngineId::new("DataEngine-sim00001")).is_some());
        for kind in EngineKind::ALL.into_iter().filter(|kind| !kind.gateway) {
            let count = world.engines().filter(|engine| engine.engine_type.kind == kind).count();
            assert!(count > 10, "{kind:?} has {count}");
        }
        for engine_type in &ENGINE_TYPES {
            let free = |image: &&Image| {
                image.engine_type == engine_type
                    && image.state == ImageRecord::ONLINE
                    && !world
                        .engines()
                        .any(|engine| engine.image_version_id.as_ref() == Some(&image.image_version_id))
            };
            assert!(world.images().any(|image| free(&image)), "{}", engine_type.detail);
        }
    }

    #[test]
    fn a_world_for_a_plan_accepts_a_switch_for_every_row() {
        let key = |engine: &str, region: &str, image: &str| JobKey {
            region: Region::new(region),
            data_engine_id: DataEngineId::new(engine),
            new_image_version_id: ImageVersionId::new(image),
        };
        let rows = [
            (key("DataEngine-a", "ap-guangzhou", "one"), false),
            (key("DataEngine-b", "ap-guangzhou", "two"), true),
            (key("DataEngine-c", "ap-shanghai", "one"), false),
        ];
        let world = World::holding(3, &rows);
        assert_eq!(world.engines().count(), 3);
        for (key, on_target) in &rows {
            let engine = world.engine(&key.region, &key.data_engine_id).expect("an engine");
            assert_eq!(engine.image_version_id.as_ref() == Some(&key.new_image_version_id), *on_target);
            assert_eq!(world.check_switch(key), Ok(()));
            assert!(world.other_image(key).is_some());
        }
    }
}
