//! How switches change the simulated fleet, and when they are refused.

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

fn effect(image_changes: ImageChanges) -> SwitchEffect {
    SwitchEffect {
        duration: Some(Duration::from_secs(3)),
        end_state: EngineState::RUNNING,
        image_version_id: Some(ImageVersionId::new("target")),
        image_changes,
    }
}

fn state_of_a(world: &World) -> (EngineState, bool) {
    let engine = world.engine(&region(), &DataEngineId::new("DataEngine-a")).expect("an engine");
    (engine.state, engine.image_version_id == Some(ImageVersionId::new("target")))
}

#[test]
fn the_new_image_shows_at_the_start_or_at_the_end_of_a_switch() {
    for image_changes in [ImageChanges::AtStart, ImageChanges::AtEnd] {
        let (mut world, start) = (world(), Instant::now());
        world.apply(&key("DataEngine-a"), effect(image_changes), start);
        world.advance(start + Duration::from_millis(2_999));
        assert_eq!(state_of_a(&world), (EngineState::INITIALISING, image_changes == ImageChanges::AtStart));
        world.advance(start + Duration::from_secs(3));
        assert_eq!(state_of_a(&world), (EngineState::RUNNING, true));
    }
}

#[test]
fn a_delayed_switch_is_applied_only_if_the_engine_still_runs() {
    let (mut world, start) = (world(), Instant::now());
    let later = |seconds| start + Duration::from_secs(seconds);
    world.apply_late(key("DataEngine-a"), effect(ImageChanges::AtEnd), later(5));
    world.apply_late(key("DataEngine-b"), effect(ImageChanges::AtEnd), later(5));
    world.set_state(&region(), &DataEngineId::new("DataEngine-b"), EngineState::SUSPENDED);
    world.advance(later(4));
    assert_eq!(state_of_a(&world), (EngineState::RUNNING, false));
    world.advance(later(6));
    assert_eq!(state_of_a(&world), (EngineState::INITIALISING, false));
    world.advance(later(60));
    assert_eq!(state_of_a(&world), (EngineState::RUNNING, true));
    let other = world.engine(&region(), &DataEngineId::new("DataEngine-b")).expect("an engine");
    assert_eq!((other.applied, other.state), (0, EngineState::SUSPENDED));
}

#[test]
fn setting_the_state_ends_a_switch_in_progress() {
    let (mut world, start) = (world(), Instant::now());
    world.apply(&key("DataEngine-a"), effect(ImageChanges::AtEnd), start);
    world.set_state(&region(), &DataEngineId::new("DataEngine-a"), EngineState::FAILED);
    world.advance(start + Duration::from_secs(60));
    assert_eq!(state_of_a(&world), (EngineState::FAILED, false));
}

#[test]
fn a_switch_to_the_current_image_is_accepted_and_counted() {
    let (mut world, start) = (world(), Instant::now());
    for round in 0..2 {
        let at = start + Duration::from_secs(10 * round);
        world.advance(at);
        assert_eq!(world.check_switch(&key("DataEngine-a")), Ok(()));
        world.apply(&key("DataEngine-a"), effect(ImageChanges::AtEnd), at);
    }
    let engine = world.engine(&region(), &DataEngineId::new("DataEngine-a")).expect("an engine");
    assert_eq!((engine.applied, engine.state), (2, EngineState::INITIALISING));
}

#[test]
fn each_reason_to_refuse_a_switch_has_its_documented_code() {
    let a = DataEngineId::new("DataEngine-a");
    let target = ImageVersionId::new("target");
    let with_image =
        |image: &str| JobKey { new_image_version_id: ImageVersionId::new(image), ..key("DataEngine-a") };
    let refused = |world: &World, key: &JobKey| world.check_switch(key).expect_err("a refusal").code;
    let mut world = world();
    assert_eq!(refused(&world, &key("")), "InvalidParameter.ParameterNotFoundOrBeNone");
    assert_eq!(refused(&world, &with_image("")), "InvalidParameter.ParameterNotFoundOrBeNone");
    assert_eq!(refused(&world, &key("DataEngine-x")), "ResourceNotFound.DataEngineNotFound");
    let elsewhere = JobKey { region: Region::new("ap-shanghai"), ..key("DataEngine-a") };
    assert_eq!(refused(&world, &elsewhere), "ResourceNotFound.DataEngineNotFound");
    assert_eq!(refused(&world, &with_image("other")), "ResourceNotFound.ImageVersionNotFound");
    let other_type = super::super::engine_type::ENGINE_TYPES
        .iter()
        .find(|engine_type| {
            world.image(&region(), &target).is_some_and(|image| image.engine_type != *engine_type)
        })
        .expect("another type");
    if let Some(image) = world.images.get_mut(&(region(), target.clone())) {
        image.engine_type = other_type;
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
    assert_eq!(
        world.check_switch(&to_minor).expect_err("a refusal").code,
        "ResourceNotFound.ImageVersionNotFound"
    );
    world.minor_versions = MinorVersions::Accepted;
    assert_eq!(world.check_switch(&to_minor), Ok(()));
    let (id, start) = (DataEngineId::new("DataEngine-a"), Instant::now());
    let shown = |world: &World| {
        let record = world.record(world.engine(&region(), &id).expect("an engine"));
        (record.image_version_id.expect("an image"), record.child_image_version_id.expect("a minor version"))
    };
    let effect = effect(ImageChanges::AtEnd);
    world.apply(&to_minor, SwitchEffect { image_version_id: Some(second.clone()), ..effect.clone() }, start);
    world.advance(start + Duration::from_secs(3));
    assert_eq!(shown(&world), (ImageVersionId::new("target"), second.to_string()));
    world.apply(&key("DataEngine-a"), effect, start);
    world.advance(start + Duration::from_secs(6));
    assert_eq!(shown(&world), (ImageVersionId::new("target"), first.to_string()));
}
