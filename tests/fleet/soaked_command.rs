//! A plan with a wave that soaks, run by the real executable over HTTP.

use std::time::Duration;

use dlc_fleet::format::{about, duration};
use dlc_fleet::job::{DataEngineId, ImageVersionId, Region};
use jiff::Timestamp;
use serde_json::Value;

use crate::stage::{LEDGER, Ran, Stage, executable, finish, rows, signal, wait_for, wait_until};

const CALM: &str = "latency: {median: 20ms, max: 60ms}\nswitching: {min: 300ms, max: 600ms}\n";

/// Two waves of two engines in `plan.yaml`, of which the first soaks.
fn stage(soak: &str) -> Stage {
    let stage = Stage::new(&rows(4), CALM);
    write_plan(&stage, soak);
    stage
}

fn write_plan(stage: &Stage, soak: &str) {
    let text = format!(
        "region: ap-guangzhou\nnew_image_version_id: image-new\nwaves:\n\
         - {{name: canary, soak: {soak}, engines: [DataEngine-0000, DataEngine-0001]}}\n\
         - {{name: rest, engines: [DataEngine-0002, DataEngine-0003]}}\n"
    );
    std::fs::write(stage.path("plan.yaml"), text).expect("a plan");
}

fn command(stage: &Stage, flags: &[&str]) -> std::process::Command {
    let mut command = executable(stage.folder.path());
    command.args(["run", "plan.yaml", "--endpoint", &format!("http://{}", stage.address)]).args(flags);
    command
}

fn run(stage: &Stage) -> Ran {
    finish(command(stage, &["--yes", "--min-ready", "400ms", "--output", "json"]))
}

/// The lines of a kind, with the number of the engine and the time.
fn lines(stage: &Stage, kind: &str) -> Vec<(usize, Timestamp)> {
    let lines = stage.ledger();
    let lines = lines.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let of_kind = lines.filter(|line| line["kind"] == kind).map(|line| {
        let engine = line["data_engine_id"].as_str().and_then(|id| id.rsplit('-').next()?.parse().ok());
        let at = line["at"].as_str().and_then(|at| at.parse().ok());
        (engine.expect("an engine"), at.expect("a time"))
    });
    of_kind.collect()
}

/// Puts an engine of the canary on another image, as somebody else might.
fn move_engine(stage: &Stage, image: &str) {
    let (region, id) = (Region::new("ap-guangzhou"), DataEngineId::new("DataEngine-0001"));
    stage.simulator.with_world(|world| {
        assert!(world.set_image(&region, &id, Some(ImageVersionId::new(image))));
    });
}

#[test]
fn the_next_wave_starts_after_the_soak_which_is_reported() {
    let stage = stage("2s");
    let ran = run(&stage);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let last =
        lines(&stage, "switched").into_iter().filter(|(engine, _)| *engine < 2).map(|(_, at)| at).max();
    let next = lines(&stage, "sent").into_iter().filter(|(engine, _)| *engine >= 2).map(|(_, at)| at).min();
    let waited = next.expect("sent").duration_since(last.expect("switched"));
    // lines are stamped in whole milliseconds
    assert!(waited.as_millis() >= 1_999, "{waited:#}");
    assert_eq!(
        (&ran.json()["waves"][0]["soak"], &ran.json()["waves"][1]["soak"]),
        (&"passed".into(), &Value::Null)
    );
    assert_eq!(ran.json()["waves"][0]["soak_ms"], 2_000);
    let soak = duration(Duration::from_secs(2));
    for told in [
        format!("soaks: canary for {soak}"),
        format!("(canary) soaks for {soak}; then its engines are verified and wave 2 starts"),
        "(canary): soak passed, engines verified".to_owned(),
    ] {
        assert!(ran.stderr.contains(&told), "{told} is not told: {}", ran.stderr);
    }
}

#[test]
fn a_wave_that_was_moved_in_its_soak_ends_the_run_with_5_until_it_is_brought_back() {
    let stage = stage("6s");
    let child = command(&stage, &["--yes", "--min-ready", "400ms"]).spawn().expect("it starts");
    wait_until("the canary is switched", || lines(&stage, "switched").len() == 2);
    move_engine(&stage, "rolled-back");
    let ran = wait_for(child);
    assert_eq!(ran.code, Some(5), "{}", ran.stderr);
    for told in ["wave canary failed its soak: DataEngine-0001 is on rolled-back", "run plan.yaml"] {
        assert!(ran.stdout.contains(told), "{told} is not told: {}", ran.stdout);
    }
    assert!(stage.ledger().lines().last().expect("a line").contains("did not pass its soak check"));
    let again = run(&stage);
    assert_eq!(again.code, Some(5), "nobody brought it back: {}", again.stderr);
    assert_eq!(again.json()["stopped"]["kind"], "soak-failed");
    assert_eq!(again.json()["jobs"][2]["reason"]["code"], "soak-failed");
    assert_eq!(stage.requests(), 2, "nothing of the next wave was sent");
    let foreseen = finish(command(&stage, &["--dry-run"]));
    assert_eq!(foreseen.code, Some(4), "{}", foreseen.stdout);
    let told = "wave canary would fail its soak, because DataEngine-0001 is on rolled-back";
    assert!(foreseen.stdout.contains(told), "{}", foreseen.stdout);
    move_engine(&stage, "image-new");
    let ran = run(&stage);
    assert_eq!((ran.code, stage.requests()), (Some(0), 4), "{}", ran.stderr);
    let foreseen = finish(command(&stage, &["--dry-run"]));
    assert_eq!(foreseen.code, Some(0), "{}", foreseen.stdout);
    assert!(!foreseen.stdout.contains("soak"), "there is nothing left to soak for: {}", foreseen.stdout);
}

#[test]
fn a_signal_in_the_soak_leaves_the_rest_of_it_to_the_next_run() {
    for (name, code) in [("INT", 130), ("TERM", 143), ("HUP", 129)] {
        let stage = stage("24h");
        let child = command(&stage, &["--yes", "--min-ready", "400ms"]).spawn().expect("it starts");
        wait_until("the canary is switched", || lines(&stage, "switched").len() == 2);
        signal(child.id(), name);
        let ran = wait_for(child);
        assert_eq!(ran.code, Some(code), "{name}: {}", ran.stderr);
        assert!(ran.stdout.contains("canary: soak interrupted"), "{name}: {}", ran.stdout);
        assert!(ran.stdout.contains("run plan.yaml"), "{name}: {}", ran.stdout);
        let foreseen = finish(command(&stage, &["--dry-run", "--output", "json"])).json();
        let left = foreseen["waves"][0]["soak_ms"].as_u64().expect("a number");
        let day = 24 * 60 * 60 * 1_000;
        assert!(left < day && left > day - 10 * 60 * 1_000, "{name}: {left} ms left");
        assert!(foreseen["least_time_ms"].as_u64().expect("a number") >= left);
        // whoever has seen enough may say so in the plan
        write_plan(&stage, "0s");
        let ran = run(&stage);
        assert_eq!((ran.code, stage.requests()), (Some(0), 4), "{name}: {}", ran.stderr);
    }
}

#[test]
fn a_kill_in_the_soak_leaves_the_rest_of_it_to_the_next_run() {
    let stage = stage("8s");
    let child = command(&stage, &["--yes", "--min-ready", "400ms"]).spawn().expect("it starts");
    wait_until("the canary is switched", || lines(&stage, "switched").len() == 2);
    signal(child.id(), "KILL");
    wait_for(child);
    let ran = run(&stage);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let last = lines(&stage, "switched")[1].1;
    let next = lines(&stage, "sent").into_iter().filter(|(engine, _)| *engine >= 2).map(|(_, at)| at).min();
    assert!(next.expect("sent").duration_since(last).as_millis() >= 7_999);
    assert!(
        stage.path(LEDGER).exists() && ran.stderr.contains("(canary) soaks for the remaining"),
        "{}",
        ran.stderr
    );
}

#[test]
fn check_and_dry_run_show_soaks() {
    let stage = stage("10m");
    let soak = duration(Duration::from_secs(600));
    let mut check = executable(stage.folder.path());
    check.args(["check", "plan.yaml"]);
    let ran = finish(check);
    assert!(ran.stdout.contains(&format!("2 waves (soaks: canary for {soak})")), "{}", ran.stdout);
    let ran = finish(command(&stage, &["--dry-run"]));
    let least = about(Duration::from_secs(600 + 2 * 10 + 1));
    for told in [
        format!("then verification (at least {} after each engine runs", duration(Duration::from_secs(10))),
        format!("at least {least} in all, with soaks: canary for {soak}"),
    ] {
        assert!(ran.stdout.contains(&told), "{}", ran.stdout);
    }
    let mut simulation = executable(stage.folder.path());
    simulation.args(["run", "plan.yaml", "--dry-run", "--simulate", "--offline", "--ledger", "none"]);
    let ran = finish(simulation);
    assert!(
        ran.stdout.contains(&format!("soaks: canary for {}", duration(Duration::from_secs(3)))),
        "as the simulation would: {}",
        ran.stdout
    );
}
