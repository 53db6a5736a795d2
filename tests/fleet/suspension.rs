//! A process that is suspended for longer than it waits for engines: no row ends before its engine was read.

use std::process::{Child, Command};
use std::time::Duration;

use dlc_fleet::cloud::{EngineState, LIST_ENGINES, SWITCH};
use dlc_fleet::job::ImageVersionId;

use crate::stage::{Ran, Stage, engine, executable, rows, side_by_side, signal, wait_for, wait_until};

/// Engines of one stage.
const ENGINES: usize = 6;

/// `--wait-timeout`, and longer than that with `--resend-after` on top.
const WAIT: &str = "3s";
const SUSPENSION: Duration = Duration::from_millis(3_500);

/// Engines converge during the suspension, not before.
const CALM: &str = "latency: {median: 20ms, max: 60ms}\nswitching: {min: 800ms, max: 800ms}\n";

fn command(stage: &Stage, flags: &[&str]) -> Command {
    let waits =
        ["--yes", "--output", "json", "--min-ready", "400ms", "--resend-after", "1s", "--wait-timeout", WAIT];
    stage.command(&[&waits, flags].concat())
}

/// Suspends the process for longer than it waits, until `meanwhile` returns.
fn suspend(stage: &Stage, child: &Child, meanwhile: impl Fn()) {
    signal(child.id(), "STOP");
    meanwhile();
    std::thread::sleep(SUSPENSION);
    let is_done = |number| {
        let engine = stage.engine(number);
        engine.state == EngineState::RUNNING
            && (engine.applied == 0 || engine.image_version_id == Some(ImageVersionId::new("image-new")))
    };
    wait_until("every engine that was switched is on its target", || (0..ENGINES).all(is_done));
    signal(child.id(), "CONT");
}

/// Requests that the ledger records as accepted.
fn accepted(stage: &Stage) -> usize {
    stage.ledger().matches(r#""kind":"accepted""#).count()
}

fn assert_all_switched(stage: &Stage, ran: &Ran, requests: usize) {
    assert_eq!((ran.code, ran.count("switched")), (Some(0), ENGINES), "{}", ran.told());
    assert_eq!((stage.requests(), stage.simulator.stats().applied), (requests, ENGINES as u64));
}

#[test]
fn engines_that_converged_during_a_suspension_are_switched() {
    let stage = Stage::new(&rows(ENGINES), CALM);
    let child = command(&stage, &[]).spawn().expect("it starts");
    wait_until("every request is accepted", || accepted(&stage) == ENGINES);
    suspend(&stage, &child, || {});
    assert_all_switched(&stage, &wait_for(child), ENGINES);
}

#[test]
fn the_suspended_time_does_not_count_for_engines_that_take_longer() {
    let stage = Stage::new(&rows(ENGINES), &format!("{CALM}faults: [{{fault: never-switches}}]\n"));
    let child = command(&stage, &[]).spawn().expect("it starts");
    wait_until("every request is accepted", || accepted(&stage) == ENGINES);
    signal(child.id(), "STOP");
    std::thread::sleep(SUSPENSION);
    signal(child.id(), "CONT");
    // long enough for a read that shows them converging
    std::thread::sleep(Duration::from_secs(1));
    (0..ENGINES).for_each(|number| stage.move_engine(number, &ImageVersionId::new("image-new")));
    assert_all_switched(&stage, &wait_for(child), ENGINES);
}

#[test]
fn requests_in_flight_during_a_suspension_are_switched() {
    let stage =
        Stage::new(&rows(ENGINES), &CALM.replace("median: 20ms, max: 60ms", "median: 500ms, max: 500ms"));
    let child = command(&stage, &["--request-timeout", "2s"]).spawn().expect("it starts");
    wait_until("every request has arrived", || stage.requests() == ENGINES);
    suspend(&stage, &child, || {});
    assert_all_switched(&stage, &wait_for(child), ENGINES);
}

#[test]
fn unconfirmed_requests_that_were_applied_before_or_during_a_suspension_are_switched() {
    let faults = [
        "{fault: reset-after-reading, applied: before, times: 1}",
        "{fault: InternalError, applied: before, times: 1}",
        "{fault: InternalError, applied: after 500ms, times: 1}",
    ];
    side_by_side(&faults, |fault| {
        let stage = Stage::new(&rows(ENGINES), &format!("{CALM}faults: [{fault}]\n"));
        let child = command(&stage, &[]).spawn().expect("it starts");
        wait_until("every request has arrived", || stage.requests() == ENGINES);
        suspend(&stage, &child, || {
            wait_until("all are applied", || stage.simulator.stats().applied == ENGINES as u64);
        });
        assert_all_switched(&stage, &wait_for(child), ENGINES);
    });
}

#[test]
fn an_engine_that_was_busy_before_a_suspension_is_switched() {
    let stage = Stage::new(&rows(ENGINES), CALM);
    let set_all = |state| {
        stage.simulator.with_world(|world| {
            for number in 0..ENGINES {
                assert!(world.set_state(&stage.region(), &engine(number), state));
            }
        });
    };
    set_all(EngineState::INITIALISING);
    let child = command(&stage, &[]).spawn().expect("it starts");
    wait_until("the run has started", || stage.ledger().contains(r#""kind":"run-started""#));
    suspend(&stage, &child, || set_all(EngineState::RUNNING));
    assert_all_switched(&stage, &wait_for(child), ENGINES);
}

#[test]
fn requests_that_are_throttled_until_a_suspension_are_sent_after_it() {
    let stage =
        Stage::new(&rows(ENGINES), &format!("{CALM}faults: [{{fault: RequestLimitExceeded, until: 3s}}]\n"));
    let child = command(&stage, &[]).spawn().expect("it starts");
    let throttled = || stage.simulator.stats().answered(SWITCH, "RequestLimitExceeded");
    wait_until("requests are throttled", || throttled() >= 2);
    suspend(&stage, &child, || {});
    let ran = wait_for(child);
    assert_all_switched(&stage, &ran, ENGINES + throttled());
}

/// `run` of a plan whose first wave of two engines soaks.
fn soaking(stage: &Stage) -> Command {
    let text = format!(
        "region: {}\nnew_image_version_id: image-new\nwaves:\n\
         - {{name: canary, soak: 1s, engines: [DataEngine-0000, DataEngine-0001]}}\n\
         - {{name: rest, engines: [DataEngine-0002, DataEngine-0003, DataEngine-0004, DataEngine-0005]}}\n",
        stage.region()
    );
    std::fs::write(stage.path("plan.yaml"), text).expect("a plan");
    let mut command = executable(stage.folder.path());
    command.args(["run", "plan.yaml", "--endpoint", &format!("http://{}", stage.address), "--yes"]);
    command.args(["--output", "json", "--min-ready", "400ms", "--wait-timeout", WAIT]);
    command
}

#[test]
fn a_wave_that_soaked_during_a_suspension_is_read_before_its_soak_check_ends() {
    let stage = Stage::new(&rows(ENGINES), CALM);
    let child = soaking(&stage).spawn().expect("it starts");
    wait_until("the canary soaks", || stage.ledger().matches(r#""kind":"switched""#).count() == 2);
    suspend(&stage, &child, || {});
    assert_all_switched(&stage, &wait_for(child), ENGINES);
}

#[test]
fn a_wave_that_is_being_read_at_a_suspension_is_read_again_before_its_soak_check_ends() {
    // reads are slow, so that the one after the soak is running when the process is suspended
    let slow = "latency: {median: 400ms, max: 400ms}\nswitching: {min: 200ms, max: 400ms}\n";
    let stage = Stage::new(&rows(ENGINES), slow);
    let child = soaking(&stage).spawn().expect("it starts");
    wait_until("the canary is switched", || stage.ledger().matches(r#""kind":"switched""#).count() == 2);
    let reads = || stage.simulator.stats().action(LIST_ENGINES).received;
    let before = reads();
    wait_until("the canary is read again", || reads() > before);
    suspend(&stage, &child, || {});
    assert_all_switched(&stage, &wait_for(child), ENGINES);
}
