//! Targets that are minor versions, that no catalogue lists, or that are listed for another type of engine.

use dlc_fleet::cloud::{LIST_IMAGES, SWITCH};
use dlc_fleet::job::{DataEngineId, ImageVersionId};

use crate::stage::{LEDGER, Ran, Row, Stage, engine, finish, rows};

const CALM: &str =
    "latency: {median: 20ms, max: 60ms}\nswitching: {min: 200ms, max: 400ms}\nminor_versions: accepted\n";

/// A target that is in no image list and on no engine.
const UNLISTED: &str = "image-unlisted";

/// The minor versions of the image that the plan of a stage names: the one that engines get with it, and another.
fn minor_versions(stage: &Stage) -> [ImageVersionId; 2] {
    let image = stage
        .simulator
        .with_world(|world| world.image(&stage.region(), &ImageVersionId::new("image-new")).cloned());
    image.expect("the target").minor_versions
}

/// Rows for these engines, all to the same target.
fn rows_to(engines: std::ops::Range<usize>, target: &ImageVersionId) -> Vec<Row> {
    engines.map(|number| (engine(number).to_string(), target.to_string())).collect()
}

/// A stage of two engines, with a plan that sends them to a minor version that no engine is on.
fn stage_to_minor_version(scenario: &str) -> (Stage, ImageVersionId) {
    let stage = Stage::new(&rows(2), &format!("{CALM}{scenario}"));
    let [_, minor] = minor_versions(&stage);
    stage.write_plan(&rows_to(0..2, &minor));
    (stage, minor)
}

fn dry_run(stage: &Stage, flags: &[&str]) -> Ran {
    finish(stage.command(&[&["--dry-run"], flags].concat()))
}

/// Checks that run and dry run are refused before anything is sent, and name the rows, the target and the flag that skips
/// the check.
fn assert_blocked(stage: &Stage, flags: &[&str], blocked: &[(DataEngineId, &str)]) {
    for ran in [stage.run(flags), dry_run(stage, flags)] {
        let output = ran.told();
        assert_eq!(ran.code, Some(3), "{output}");
        for (engine, target) in blocked {
            for words in [engine.as_str(), target, "--allow-unlisted-images"] {
                assert!(output.contains(words), "{words} is missing in: {output}");
            }
        }
    }
    assert_eq!(stage.requests(), 0);
}

/// The engines show the major version that a minor one belongs to, and that minor version.
fn assert_on(stage: &Stage, engines: std::ops::Range<usize>, minor: &ImageVersionId) {
    for number in engines {
        let engine = stage.engine(number);
        assert_eq!(engine.image_version_id, Some(ImageVersionId::new("image-new")), "{number}");
        assert_eq!(engine.minor_version_id.as_ref(), Some(minor), "{number}");
    }
}

#[test]
fn an_unlisted_target_blocks_its_row_before_anything_is_sent() {
    let stage = Stage::new(&rows(3), CALM);
    let mut plan = rows(3);
    UNLISTED.clone_into(&mut plan[1].1);
    stage.write_plan(&plan);
    assert_blocked(&stage, &[], &[(engine(1), UNLISTED)]);

    let (stage, minor) = stage_to_minor_version("");
    assert_blocked(&stage, &[], &[(engine(0), minor.as_str()), (engine(1), minor.as_str())]);
}

#[test]
fn an_allowed_minor_version_is_switched_to_only_once_over_several_runs() {
    let (stage, minor) = stage_to_minor_version("");
    for run in 1..=4 {
        let ran = stage.run_json(&["--allow-unlisted-images"]);
        assert_eq!(ran.code, Some(0), "run {run}: {}", ran.told());
        assert_eq!(stage.requests(), 2, "run {run}: {}", ran.told());
        assert_eq!(ran.count("switched"), 2, "run {run}: {}", ran.told());
    }
    assert_on(&stage, 0..2, &minor);
    // from now on the records of the engines show this version, even without a ledger
    let ran = stage.run_json(&[]);
    assert_eq!((ran.code, stage.requests()), (Some(0), 2), "{}", ran.told());
    std::fs::remove_file(stage.path(LEDGER)).expect("a ledger");
    let ran = stage.run_json(&[]);
    assert_eq!((ran.code, stage.requests()), (Some(0), 2), "{}", ran.told());
}

#[test]
fn a_minor_version_that_another_engine_runs_is_known_and_verified() {
    let stage = Stage::new(&rows(3), CALM);
    let [first, second] = minor_versions(&stage);
    stage.move_engine(0, &second);
    // on the same major version, and not on the target
    stage.move_engine(1, &first);
    stage.write_plan(&rows_to(0..3, &second));
    let dry = dry_run(&stage, &["--output", "json"]);
    assert_eq!((dry.code, &dry.json()["totals"]["switch"]), (Some(0), &2.into()), "{}", dry.told());
    for run in 1..=2 {
        let ran = stage.run_json(&[]);
        assert_eq!((ran.code, stage.requests()), (Some(0), 2), "run {run}: {}", ran.told());
        assert_eq!(ran.count("switched"), 2, "run {run}: {}", ran.told());
    }
    assert_on(&stage, 0..3, &second);
}

#[test]
fn an_engine_that_leaves_its_minor_version_after_the_switch_has_drifted() {
    let (stage, _) = stage_to_minor_version("");
    let [first, _] = minor_versions(&stage);
    assert_eq!(stage.run(&["--allow-unlisted-images"]).code, Some(0));
    stage.move_engine(1, &first);
    let ran = stage.run_json(&[]);
    assert_eq!((ran.code, stage.requests()), (Some(4), 2), "{}", ran.told());
    assert!(ran.stderr.contains(first.as_str()), "current image: {}", ran.told());
}

#[test]
fn an_engine_on_any_minor_version_of_its_target_is_up_to_date() {
    let stage = Stage::new(&rows(2), CALM);
    for (number, minor) in minor_versions(&stage).iter().enumerate() {
        stage.move_engine(number, minor);
    }
    let ran = stage.run_json(&[]);
    assert_eq!((ran.code, stage.requests()), (Some(0), 0), "{}", ran.told());
}

#[test]
fn a_lost_response_of_a_switch_to_another_minor_version_is_verified_by_that_version() {
    for applied in ["before", "never"] {
        let lost = format!("{CALM}faults: [{{fault: reset-after-reading, applied: {applied}, times: 1}}]\n");
        let stage = Stage::new(&rows(3), &lost);
        let [first, second] = minor_versions(&stage);
        stage.move_engine(0, &second);
        // the major version is that of the target before and after the switch
        (1..3).for_each(|number| stage.move_engine(number, &first));
        stage.write_plan(&rows_to(0..3, &second));
        let ran = stage.run_json(&["--resend-after", "1s"]);
        assert_eq!((ran.code, ran.count("switched")), (Some(0), 2), "{applied}: {}", ran.told());
        assert_eq!(stage.simulator.stats().applied, 2, "{applied}: {}", ran.told());
        assert_on(&stage, 0..3, &second);
    }
}

#[test]
fn a_plan_may_expect_engines_on_a_minor_version() {
    let stage = Stage::new(&rows(2), CALM);
    let [first, second] = minor_versions(&stage);
    (0..2).for_each(|number| stage.move_engine(number, &first));
    let other = stage.simulator.with_world(|world| {
        let image = |image: &&dlc_fleet::simulator::Image| {
            image.engine_type == world.engines().next().expect("an engine").engine_type
                && image.image_version_id != ImageVersionId::new("image-new")
        };
        world.images().find(image).expect("another image").image_version_id.clone()
    });
    let plan = format!(
        "data_engine_id,new_image_version_id,region,expected_image_version_id\n\
         {},{other},ap-guangzhou,{first}\n{},{other},ap-guangzhou,{second}\n",
        engine(0),
        engine(1)
    );
    std::fs::write(stage.path("plan.csv"), plan).expect("a plan");
    let ran = stage.run_json(&[]);
    assert_eq!((ran.code, stage.requests()), (Some(1), 1), "{}", ran.told());
    let unexpected = ("failed".to_owned(), "unexpected-image".to_owned());
    assert_eq!(ran.ended()[engine(1).as_str()], unexpected, "{}", ran.told());
}

/// Two engines of different types, each with a target of its own type in the plan.
fn two_types() -> (Stage, [(usize, Row); 2]) {
    let plan: Vec<Row> =
        (0..8).map(|number| (engine(number).to_string(), format!("image-{number}"))).collect();
    let stage = Stage::new(&plan, CALM);
    let ours = stage.engine(0).engine_type;
    let other = (1..8).find(|number| stage.engine(*number).engine_type != ours).expect("another type");
    (stage, [0, other].map(|number| (number, plan[number].clone())))
}

#[test]
fn a_target_that_is_listed_for_another_type_of_engine_blocks_its_row() {
    let (stage, [(first, ours), (_, other)]) = two_types();
    let target = other.1.clone();
    stage.write_plan(&[(ours.0, target.clone()), other]);
    assert_blocked(&stage, &[], &[(engine(first), &target)]);
}

#[test]
fn a_minor_version_that_only_engines_of_another_type_run_blocks_its_row() {
    let (stage, [(first, ours), (second, other)]) = two_types();
    let image = stage.simulator.with_world(|world| {
        world.image(&stage.region(), &ImageVersionId::new(other.1)).cloned().expect("a target")
    });
    let [_, minor] = image.minor_versions;
    stage.move_engine(second, &minor);
    stage.write_plan(&[(ours.0, minor.to_string())]);
    assert_blocked(&stage, &[], &[(engine(first), minor.as_str())]);
}

#[test]
fn without_an_image_list_the_flag_allows_the_run_and_switched_rows_need_no_list() {
    let faults = [
        format!("unsupported_actions: [{LIST_IMAGES}]\n"),
        format!("faults: [{{fault: InternalError, action: {LIST_IMAGES}}}]\n"),
        format!("faults: [{{fault: AuthFailure.UnauthorizedOperation, action: {LIST_IMAGES}}}]\n"),
    ];
    for fault in faults {
        let stage = Stage::new(&rows(2), &format!("{CALM}{fault}"));
        let fast = ["--max-attempts", "2"];
        assert_blocked(&stage, &fast, &[(engine(0), "image-new"), (engine(1), "image-new")]);
        let ran = stage.run_json(&[&fast[..], &["--allow-unlisted-images"]].concat());
        assert_eq!((ran.code, ran.count("switched")), (Some(0), 2), "{fault}{}", ran.told());
        let ran = stage.run_json(&fast);
        assert_eq!((ran.code, stage.requests()), (Some(0), 2), "{fault}{}", ran.told());
    }
}

#[test]
fn a_failed_read_of_the_image_list_is_repeated() {
    let once = format!("faults: [{{fault: InternalError, action: {LIST_IMAGES}, times: 1}}]\n");
    let stage = Stage::new(&rows(2), &format!("{CALM}{once}"));
    let ran = stage.run_json(&[]);
    assert_eq!((ran.code, ran.count("switched")), (Some(0), 2), "{}", ran.told());
    let stats = stage.simulator.stats();
    assert_eq!(stats.answered(LIST_IMAGES, "InternalError"), 1, "the list was asked for");
    assert_eq!(stats.action(SWITCH).received, 2);
}
