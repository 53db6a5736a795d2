//! How a world comes to be: invented from a seed, or made to hold exactly the engines of a plan.

use std::collections::BTreeMap;

use super::engine_type::{EngineType, FAMILIES, engine_type_at};
use super::random::{dice, uuid};
use super::world::{Engine, Image, World, minor_versions};
use crate::cloud::{EngineState, ImageRecord};
use crate::job::{DataEngineId, DataEngineName, ImageVersionId, JobKey, Region};

/// `State` of an image that is no longer offered.
const OFFLINE: i64 = 3;

/// When the first engine and the first images came to be, in Unix seconds: 2025-01-01. Later ones came later.
const BEGINNING: i64 = 1_735_689_600;

/// Seconds from one engine to the next, and from one image of a type to the next.
const BETWEEN_ENGINES: i64 = 60;
const BETWEEN_IMAGES: i64 = 7 * 24 * 60 * 60;

/// Online images that every family has before any target is added: one to be on, one to go to, and a third.
const ONLINE_IMAGES: u64 = 3;

impl World {
    /// Invents running engines `DataEngine-sim00001` and so on in one region, in a mix of all four kinds, with
    /// three online images and an offline one for each type.
    pub fn generated(seed: u64, engines: usize, region: &Region) -> Self {
        let mut world = Self::empty(seed);
        for engine_type in &FAMILIES {
            world.add_images(region, engine_type);
        }
        for number in 1..=engines {
            let id = DataEngineId::new(format!("DataEngine-sim{number:05}"));
            let engine_type = engine_type_at(dice(seed, &["family", id.as_str()], 0).usize(..100));
            let image = world.older_image(region, engine_type, &id);
            world.add_engine(region.clone(), id, engine_type, image);
        }
        world
    }

    /// Holds exactly the engines of these rows, each running on an older image of the right type, or on its
    /// target where the row says so, and the targets as online images. Of two rows for one engine the first
    /// decides.
    pub fn holding(seed: u64, rows: &[(JobKey, bool)]) -> Self {
        let mut world = Self::empty(seed);
        let mut targets: BTreeMap<(&Region, &ImageVersionId), &'static EngineType> = BTreeMap::new();
        for (key, on_target) in rows {
            let (region, target, id) = (&key.region, &key.new_image_version_id, &key.data_engine_id);
            let engine_type = *targets.entry((region, target)).or_insert_with(|| {
                let engine_type = engine_type_at(dice(seed, &["family", target.as_str()], 0).usize(..100));
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
            state: EngineState::RUNNING,
            image_version_id: Some(image),
            minor_version_id: None,
            created: later(number, BETWEEN_ENGINES),
            applied: 0,
            switching: false,
        };
        self.engines.insert((region, id), engine);
    }

    /// The images every family starts with; no change where they are there already.
    fn add_images(&mut self, region: &Region, engine_type: &'static EngineType) {
        for nth in 0..=ONLINE_IMAGES {
            let id = self.stock_image(region, engine_type, nth);
            if self.image(region, &id).is_none() {
                let state = if nth == ONLINE_IMAGES { OFFLINE } else { ImageRecord::ONLINE };
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
            inserted: later(number, BETWEEN_IMAGES),
            state,
        };
        self.images.insert((region.clone(), id), image);
    }

    fn stock_image(&self, region: &Region, engine_type: &EngineType, nth: u64) -> ImageVersionId {
        ImageVersionId::new(uuid(&mut dice(self.seed, &["image", region.as_str(), engine_type.detail], nth)))
    }

    /// One of the first two images of the family, so that the third stays free as a target.
    fn older_image(&self, region: &Region, engine_type: &EngineType, id: &DataEngineId) -> ImageVersionId {
        let nth = dice(self.seed, &["older", id.as_str()], 0).u64(..ONLINE_IMAGES - 1);
        self.stock_image(region, engine_type, nth)
    }
}

fn later(number: usize, seconds: i64) -> i64 {
    BEGINNING.saturating_add(i64::try_from(number).unwrap_or(i64::MAX).saturating_mul(seconds))
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
    fn the_same_seed_gives_the_same_world_and_another_seed_another() {
        let world = |seed| snapshot(&World::generated(seed, 50, &region()));
        assert_eq!(world(7), world(7));
        assert_ne!(world(7), world(8));
    }

    #[test]
    fn a_generated_world_has_every_kind_and_free_targets() {
        let world = World::generated(1, 300, &region());
        assert_eq!(world.engines().count(), 300);
        assert!(world.engine(&region(), &DataEngineId::new("DataEngine-sim00001")).is_some());
        for kind in EngineKind::ALL.into_iter().filter(|kind| !kind.gateway) {
            let count = world.engines().filter(|engine| engine.engine_type.kind == kind).count();
            assert!(count > 10, "{kind:?} has {count}");
        }
        for engine_type in &FAMILIES {
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
    fn a_world_for_a_plan_takes_every_row_of_it() {
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
            assert_eq!(world.judge(key), Ok(()));
            assert!(world.third_image(key).is_some());
        }
    }
}
