//! What a switch does to the simulated fleet, and why it is refused.

use super::*;
use crate::job::JobKey;

fn region() -> Region {
    Region::new("ap-guangzhou")
}

fn key(engine: &str) -> JobKey {
    JobKey {
        region: region(),
        data_engine_id: DataEngineId::new(engine),
        new_image_version_id: ImageVersionId::new("target"),
    }
}

fn world() -> World {
    World::holding(1, &[(key("DataEngine-a"), false), (key("DataEngine-b"), false)])
}

fn course(image_changes: ImageChanges) -> Course {
    Course {
        lasts: Some(Duration::from_secs(3)),
        ends: EngineState::RUNNING,
        image_version_id: Some(ImageVersionId::new("target")),
        image_changes,
    }
}

fn seen(world: &World) -> (EngineState, bool) {
    let engine = world.engine(&region(), &DataEngineId::new("DataEngine-a")).expect("an engine");
    (engine.state, engine.image_version_id == Some(ImageVersionId::new("target")))
}

#[test]
fn a_switch_shows_its_image_when_it_ends_or_when_it_starts() {
    for image_changes in [ImageChanges::AtStart, ImageChanges::AtEnd] {
        let (mut world, born) = (world(), Instant::now());
        world.apply(&key("DataEngine-a"), course(image_changes), born);
        world.advance(born + Duration::from_millis(2_999));
        assert_eq!(seen(&world), (EngineState::INITIALISING, image_changes == ImageChanges::AtStart));
        world.advance(born + Duration::from_secs(3));
        assert_eq!(seen(&world), (EngineState::RUNNING, true));
    }
}

#[test]
fn a_late_switch_is_applied_when_due_and_only_if_the_engine_still_runs() {
    let (mut world, born) = (world(), Instant::now());
    let later = |seconds| born + Duration::from_secs(seconds);
    world.apply_late(key("DataEngine-a"), course(ImageChanges::AtEnd), later(5));
    world.apply_late(key("DataEngine-b"), course(ImageChanges::AtEnd), later(5));
    world.set_state(&region(), &DataEngineId::new("DataEngine-b"), EngineState::SUSPENDED);
    world.advance(later(4));
    assert_eq!(seen(&world), (EngineState::RUNNING, false));
    world.advance(later(6));
    assert_eq!(seen(&world), (EngineState::INITIALISING, false));
    world.advance(later(60));
    assert_eq!(seen(&world), (EngineState::RUNNING, true));
    let other = world.engine(&region(), &DataEngineId::new("DataEngine-b")).expect("an engine");
    assert_eq!((other.applied, other.state), (0, EngineState::SUSPENDED));
}

#[test]
fn interference_ends_a_switch_under_way() {
    let (mut world, born) = (world(), Instant::now());
    world.apply(&key("DataEngine-a"), course(ImageChanges::AtEnd), born);
    world.set_state(&region(), &DataEngineId::new("DataEngine-a"), EngineState::FAILED);
    world.advance(born + Duration::from_secs(60));
    assert_eq!(seen(&world), (EngineState::FAILED, false));
}

#[test]
fn a_switch_to_the_image_an_engine_runs_is_taken_and_counted() {
    let (mut world, born) = (world(), Instant::now());
    for round in 0..2 {
        let at = born + Duration::from_secs(10 * round);
        world.advance(at);
        assert_eq!(world.judge(&key("DataEngine-a")), Ok(()));
        world.apply(&key("DataEngine-a"), course(ImageChanges::AtEnd), at);
    }
    let engine = world.engine(&region(), &DataEngineId::new("DataEngine-a")).expect("an engine");
    assert_eq!((engine.applied, engine.state), (2, EngineState::INITIALISING));
}

#[test]
fn every_refusal_that_follows_from_the_world_has_its_documented_code() {
    let a = DataEngineId::new("DataEngine-a");
    let target = ImageVersionId::new("target");
    let with_image =
        |image: &str| JobKey { new_image_version_id: ImageVersionId::new(image), ..key("DataEngine-a") };
    let refused = |world: &World, key: &JobKey| world.judge(key).expect_err("a refusal").code;
    let mut world = world();
    assert_eq!(refused(&world, &key("")), "InvalidParameter.ParameterNotFoundOrBeNone");
    assert_eq!(refused(&world, &with_image("")), "InvalidParameter.ParameterNotFoundOrBeNone");
    assert_eq!(refused(&world, &key("DataEngine-x")), "ResourceNotFound.DataEngineNotFound");
    let elsewhere = JobKey { region: Region::new("ap-shanghai"), ..key("DataEngine-a") };
    assert_eq!(refused(&world, &elsewhere), "ResourceNotFound.DataEngineNotFound");
    assert_eq!(refused(&world, &with_image("other")), "ResourceNotFound.ImageVersionNotFound");
    let other_family = super::super::engine_type::FAMILIES
        .iter()
        .find(|engine_type| {
            world.image(&region(), &target).is_some_and(|image| image.engine_type != *engine_type)
        })
        .expect("another family");
    if let Some(image) = world.images.get_mut(&(region(), target.clone())) {
        image.engine_type = other_family;
    }
    assert_eq!(refused(&world, &key("DataEngine-a")), "InvalidParameter.ImageEngineTypeNotMatch");
    assert!(world.set_image_state(&region(), &target, 3));
    assert_eq!(refused(&world, &key("DataEngine-a")), "ResourceNotFound.ImageVersionNotActivity");
    assert!(world.set_state(&region(), &a, EngineState::SUSPENDED));
    assert_eq!(refused(&world, &key("DataEngine-a")), "ResourceNotFound.DataEngineNotActivity");
    assert!(world.set_image(&region(), &a, None));
    assert_eq!(refused(&world, &key("DataEngine-a")), "ResourceNotFound.DataEngineNotMultiVersion");
}

#[test]
fn a_minor_version_is_refused_as_a_target_unless_the_scenario_accepts_it() {
    let mut world = world();
    let [first, second] = minor_versions(1, &ImageVersionId::new("target"));
    let to_minor = JobKey { new_image_version_id: second.clone(), ..key("DataEngine-a") };
    assert_eq!(world.judge(&to_minor).expect_err("a refusal").code, "ResourceNotFound.ImageVersionNotFound");
    world.minor_versions = MinorVersions::Accepted;
    assert_eq!(world.judge(&to_minor), Ok(()));
    let (id, born) = (DataEngineId::new("DataEngine-a"), Instant::now());
    let shown = |world: &World| {
        let record = world.record(world.engine(&region(), &id).expect("an engine"));
        (record.image_version_id.expect("an image"), record.child_image_version_id.expect("a minor version"))
    };
    let course = course(ImageChanges::AtEnd);
    world.apply(&to_minor, Course { image_version_id: Some(second.clone()), ..course.clone() }, born);
    world.advance(born + Duration::from_secs(3));
    assert_eq!(shown(&world), (ImageVersionId::new("target"), second.to_string()));
    world.apply(&key("DataEngine-a"), course, born);
    world.advance(born + Duration::from_secs(6));
    assert_eq!(shown(&world), (ImageVersionId::new("target"), first.to_string()));
}
