//! Engines that another client moves, or that fail after their switch: they stay failed until the plan or a flag
//! releases them.

use std::fmt::Write;

use dlc_fleet::cloud::{EngineState, ImageRecord, SWITCH};
use dlc_fleet::job::ImageVersionId;

use crate::stage::{LEDGER, Ran, Stage, engine, finish, rows, signal, wait_for, wait_until};

const CALM: &str = "latency: {median: 20ms, max: 60ms}\nswitching: {min: 200ms, max: 400ms}\n";

/// A released row waits for the request of the earlier run; these wait for less than the default.
const SOON: [&str; 2] = ["--resend-after", "1s"];

/// Releases rows that stay failed.
const RELEASE: [&str; 3] = ["--retry-moved", "--resend-after", "1s"];

/// An online image of the engines' own type that no plan names.
fn third_image(stage: &Stage) -> ImageVersionId {
    let (first, second) = (stage.engine(0), stage.engine(1));
    let taken = [first.image_version_id, second.image_version_id, Some(ImageVersionId::new("image-new"))];
    stage.simulator.with_world(|world| {
        let fits = |image: &&dlc_fleet::simulator::Image| {
            image.engine_type == first.engine_type
                && image.state == ImageRecord::ONLINE
                && !taken.contains(&Some(image.image_version_id.clone()))
        };
        world.images().find(fits).expect("a third image").image_version_id.clone()
    })
}

/// Writes the plan anew, with the image that each engine of it is expected on.
fn expect_image(stage: &Stage, engines: usize, image: &ImageVersionId) {
    let mut text = String::from("data_engine_id,new_image_version_id,region,expected_image_version_id\n");
    for (engine, target) in rows(engines) {
        writeln!(text, "{engine},{target},{},{image}", stage.region()).expect("a write to a String");
    }
    std::fs::write(stage.path("plan.csv"), text).expect("a plan");
}

/// Runs the same command again, and the dry run: every row stays failed, and nothing is sent.
fn assert_stays_failed(stage: &Stage, flags: &[&str], engines: usize) {
    let before = stage.requests();
    for run in 1..=2 {
        let ran = stage.run_json(flags);
        assert_eq!(ran.code, Some(1), "run {run}: {}", ran.told());
        assert_eq!(ran.count("failed"), engines, "run {run}: {}", ran.told());
        let dry = finish(stage.command(&[&["--dry-run"], flags].concat()));
        assert_eq!(dry.code, Some(1), "run {run}: {}", dry.told());
    }
    assert_eq!(stage.requests(), before, "nothing is sent");
}

fn assert_all_switched(stage: &Stage, ran: &Ran, engines: usize, requests: usize) {
    assert_eq!(ran.code, Some(0), "{}", ran.told());
    assert_eq!((ran.count("switched"), stage.requests()), (engines, requests), "{}", ran.told());
    for number in 0..engines {
        assert_eq!(stage.engine(number).image_version_id, Some(ImageVersionId::new("image-new")), "{number}");
    }
}

/// Two engines that another client moves to a third image while a run verifies them, and that image.
fn moved_while_verified() -> (Stage, ImageVersionId) {
    // their first switch never finishes, so the other client cannot be too late
    moved_after("{fault: never-switches, times: 1}", 2)
}

/// The same after a first request for each engine that has this fault; `applied` of these requests are applied.
fn moved_after(fault: &str, applied: u64) -> (Stage, ImageVersionId) {
    let stage = Stage::new(&rows(2), &format!("{CALM}faults: [{fault}]\n"));
    let third = third_image(&stage);
    let child = stage.command(&["--yes", "--output", "json"]).spawn().expect("it starts");
    wait_until("both requests have arrived", || stage.requests() == 2);
    assert_eq!(stage.simulator.stats().applied, applied);
    (0..2).for_each(|number| stage.move_engine(number, &third));
    let ran = wait_for(child);
    assert_eq!((ran.code, ran.count("failed")), (Some(1), 2), "{}", ran.told());
    (stage, third)
}

#[test]
fn an_engine_that_another_client_moved_stays_failed_until_the_plan_names_its_image() {
    let (stage, third) = moved_while_verified();
    assert_stays_failed(&stage, &[], 2);
    expect_image(&stage, 2, &ImageVersionId::new("image-elsewhere"));
    assert_stays_failed(&stage, &[], 2);
    expect_image(&stage, 2, &third);
    for _ in 1..=2 {
        let ran = stage.run_json(&SOON);
        assert_all_switched(&stage, &ran, 2, 4);
    }
}

#[test]
fn an_engine_that_another_client_moved_while_its_request_was_unconfirmed_stays_failed() {
    for fault in
        ["{fault: close-after-reading, applied: never, times: 1}", "{fault: InternalError, times: 1}"]
    {
        let (stage, _) = moved_after(fault, 0);
        assert_stays_failed(&stage, &[], 2);
        let ran = stage.run_json(&RELEASE);
        assert_all_switched(&stage, &ran, 2, 4);
    }
}

#[test]
fn an_engine_that_another_client_moved_is_released_by_a_flag() {
    let (stage, _) = moved_while_verified();
    assert_stays_failed(&stage, &[], 2);
    let dry = finish(stage.command(&["--dry-run", "--retry-moved", "--output", "json"]));
    assert_eq!((dry.code, &dry.json()["totals"]["unconfirmed"]), (Some(0), &2.into()), "{}", dry.told());
    let ran = stage.run_json(&RELEASE);
    assert_all_switched(&stage, &ran, 2, 4);
    let ran = stage.run_json(&RELEASE);
    assert_all_switched(&stage, &ran, 2, 4);
}

#[test]
fn a_released_engine_waits_until_its_unconfirmed_request_is_verified() {
    let stage = Stage::new(
        &rows(2),
        &format!("{CALM}faults: [{{fault: close-after-reading, applied: after 4s, times: 1}}]\n"),
    );
    let (third, resend_after) = (third_image(&stage), ["--resend-after", "8s"]);
    let child = stage.command(&[&["--yes", "--output", "json"], &resend_after[..]].concat()).spawn();
    let child = child.expect("it starts");
    wait_until("both requests have arrived", || stage.requests() == 2);
    (0..2).for_each(|number| stage.move_engine(number, &third));
    let ran = wait_for(child);
    assert_eq!((ran.code, ran.count("failed")), (Some(1), 2), "{}", ran.told());
    let ran = stage.run_json(&[&["--retry-moved"], &resend_after[..]].concat());
    assert_eq!((ran.code, ran.count("switched")), (Some(0), 2), "{}", ran.told());
    wait_until("late switches take effect", || stage.simulator.stats().applied >= 2);
    std::thread::sleep(std::time::Duration::from_secs(4));
    assert!(stage.simulator.stats().applied_more_than_once.is_empty(), "{}", ran.told());
}

#[test]
fn an_engine_that_another_client_switched_to_its_target_is_up_to_date() {
    let (stage, _) = moved_while_verified();
    assert_stays_failed(&stage, &[], 2);
    (0..2).for_each(|number| stage.move_engine(number, &ImageVersionId::new("image-new")));
    for run in 1..=2 {
        let ran = stage.run_json(&SOON);
        assert_eq!((ran.code, stage.requests()), (Some(0), 2), "run {run}: {}", ran.told());
    }
}

/// Two engines that fail after their switch and recover on their old images.
fn failed_after_switch() -> Stage {
    let stage = Stage::new(&rows(2), &format!("{CALM}faults: [{{fault: engine-fails, times: 1}}]\n"));
    let ran = stage.run_json(&SOON);
    assert_eq!((ran.code, ran.count("failed")), (Some(1), 2), "{}", ran.told());
    stage
}

fn recover(stage: &Stage) {
    stage.simulator.with_world(|world| {
        for number in 0..2 {
            assert!(world.set_state(&stage.region(), &engine(number), EngineState::RUNNING));
        }
    });
}

#[test]
fn an_engine_that_failed_after_its_switch_stays_failed_when_it_recovers_on_its_old_image() {
    let stage = failed_after_switch();
    assert_stays_failed(&stage, &[], 2);
    // an engine that has not recovered cannot be switched, even with --retry-moved
    assert_stays_failed(&stage, &["--retry-moved"], 2);
    recover(&stage);
    assert_stays_failed(&stage, &[], 2);
    let ran = stage.run_json(&RELEASE);
    assert_all_switched(&stage, &ran, 2, 4);
}

#[test]
fn an_engine_that_failed_after_its_switch_is_released_by_a_plan_that_names_its_old_image() {
    let stage = failed_after_switch();
    recover(&stage);
    assert_stays_failed(&stage, &[], 2);
    let old = stage.engine(0).image_version_id.expect("an image");
    stage.move_engine(1, &old);
    expect_image(&stage, 2, &old);
    let ran = stage.run_json(&SOON);
    assert_all_switched(&stage, &ran, 2, 4);
}

#[test]
fn an_engine_that_is_moved_between_two_runs_after_a_refusal_is_not_switched() {
    let refused =
        format!("{CALM}faults: [{{fault: ResourceNotFound.DataEngineConfigInstanceNotFound, times: 1}}]\n");
    let stage = Stage::new(&rows(2), &refused);
    let ran = stage.run_json(&SOON);
    assert_eq!((ran.code, ran.count("failed")), (Some(1), 2), "{}", ran.told());
    assert_moved_between_runs(&stage);
}

#[test]
fn an_engine_that_is_moved_between_two_runs_after_throttling_is_not_switched() {
    // throttling ends by count, because no fixed time is long enough for every machine
    let throttled = format!("{CALM}faults: [{{fault: RequestLimitExceeded, times: 3}}]\n");
    let stage = Stage::new(&rows(2), &throttled);
    let child = stage.command(&["--yes", "--rate", "1"]).spawn().expect("it starts");
    wait_until("throttled", || stage.simulator.stats().answered(SWITCH, "RequestLimitExceeded") >= 2);
    signal(child.id(), "INT");
    let ran = wait_for(child);
    assert_eq!((ran.code, stage.simulator.stats().applied), (Some(130), 0), "{}", ran.told());
    assert_moved_between_runs(&stage);
}

/// Another client moves the engines of a plan whose earlier requests were not applied.
fn assert_moved_between_runs(stage: &Stage) {
    let third = third_image(stage);
    (0..2).for_each(|number| stage.move_engine(number, &third));
    assert_stays_failed(stage, &[], 2);
    assert_eq!(stage.simulator.stats().applied, 0);
    std::fs::copy(stage.path(LEDGER), stage.path("copy.jsonl")).expect("a copy");
    let ran = stage.run_json(&[&RELEASE[..], &["--ledger", "copy.jsonl"]].concat());
    assert_eq!((ran.code, ran.count("switched")), (Some(0), 2), "{}", ran.told());
}
