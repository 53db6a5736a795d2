//! The main job, as a user runs it: a plan in, engines switched, a ledger out.

use dlc_fleet::job::{DataEngineId, ImageVersionId, Region};
use serde_json::json;

use crate::stage::{LEDGER, Stage, rows, signal, wait_for, wait_until};

const CALM: &str = "latency: {median: 20ms, max: 60ms}\nswitching: {min: 300ms, max: 600ms}\n";

#[test]
fn a_fleet_is_switched_and_every_row_is_reported() {
    let stage = Stage::new(&rows(30), CALM);
    let ran = stage.run(&["--output", "json"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let json = ran.json();
    assert_eq!(json["schema"], "dlc-fleet.summary/1");
    assert_eq!(json["jobs"].as_array().expect("jobs").len(), 30);
    assert!(json["peak_requests_per_second"].as_u64().expect("a count") <= 20);
    let stats = stage.simulator.stats();
    assert_eq!(stats.applied, 30);
    assert!(stats.applied_more_than_once.is_empty());
    assert_eq!(stage.requests(), stage.ledger().matches("\"kind\":\"sent\"").count());
}

#[test]
fn the_same_command_again_sends_nothing() {
    let stage = Stage::new(&rows(8), CALM);
    assert_eq!(stage.run(&[]).code, Some(0));
    let again = stage.run(&["--output", "json"]);
    assert_eq!(again.code, Some(0), "{}", again.stderr);
    assert_eq!(stage.requests(), 8);
    assert!(
        again.json()["jobs"]
            .as_array()
            .expect("jobs")
            .iter()
            .all(|job| job["from_earlier_run"] == json!(true))
    );
}

#[test]
fn rows_added_and_reordered_between_runs_are_recognized() {
    let stage = Stage::new(&rows(12), CALM);
    stage.write_plan(&rows(6));
    assert_eq!(stage.run(&[]).code, Some(0));
    let mut more = rows(12);
    more.reverse();
    stage.write_plan(&more);
    assert_eq!(stage.run(&[]).code, Some(0));
    assert_eq!(stage.requests(), 12);
    assert!(stage.simulator.stats().applied_more_than_once.is_empty());
}

#[test]
fn nothing_is_sent_for_engines_on_their_target_and_missing_engines_fail_at_once() {
    let stage = Stage::new(&rows(5), CALM);
    let mut plan = rows(5);
    plan.push(("DataEngine-nowhere".into(), "image-new".into()));
    stage.write_plan(&plan);
    stage.simulator.with_world(|world| {
        let (region, id) = (Region::new("ap-guangzhou"), DataEngineId::new("DataEngine-0002"));
        assert!(world.set_image(&region, &id, Some(ImageVersionId::new("image-new"))));
    });
    let ran = stage.run(&["--output", "json"]);
    assert_eq!(ran.code, Some(1));
    assert_eq!(stage.requests(), 4);
    let outcomes: Vec<String> = ran.json()["jobs"]
        .as_array()
        .expect("jobs")
        .iter()
        .map(|job| job["outcome"].as_str().expect("an outcome").to_owned())
        .collect();
    assert_eq!(outcomes, ["switched", "switched", "up-to-date", "switched", "switched", "failed"]);
    assert!(ran.stderr.contains("engine-not-found"), "{}", ran.stderr);
}

#[test]
fn a_killed_run_that_is_started_again_switches_every_engine_once() {
    let stage = Stage::new(&rows(60), CALM);
    for sent in [7, 20, 33, 51] {
        // it is not over before it is killed, however late that is
        let child = stage
            .command(&["--yes", "--resend-after", "1s", "--min-ready", "60s"])
            .spawn()
            .expect("it starts");
        wait_until("requests arrive", || stage.requests() >= sent);
        signal(child.id(), "KILL");
        assert_eq!(wait_for(child).code, None, "killed");
    }
    let last = stage.run(&["--resend-after", "1s"]);
    assert_eq!(last.code, Some(0), "{}{}", last.stdout, last.stderr);
    let stats = stage.simulator.stats();
    assert_eq!(stats.applied, 60);
    assert_eq!(stats.applied_by_engine.len(), 60);
    assert!(stats.applied_more_than_once.is_empty());
}

#[test]
fn a_dry_run_sends_no_switch_and_writes_nothing() {
    let stage = Stage::new(&rows(5), CALM);
    for flags in [&["--dry-run"][..], &["--dry-run", "--offline"], &["--dry-run", "--output", "json"]] {
        let ran = stage.run(flags);
        let expected = if flags.contains(&"--offline") { 4 } else { 0 };
        assert_eq!(ran.code, Some(expected), "{flags:?}: {}{}", ran.stdout, ran.stderr);
    }
    assert_eq!(stage.requests(), 0);
    assert_eq!(stage.simulator.stats().applied, 0);
    assert!(!stage.path(LEDGER).exists());
    assert_eq!(
        std::fs::read_dir(stage.folder.path()).expect("a folder").count(),
        1,
        "only the plan is there"
    );
}

#[test]
fn a_dry_run_after_a_run_shows_what_is_done() {
    let stage = Stage::new(&rows(6), CALM);
    stage.write_plan(&rows(3));
    assert_eq!(stage.run(&[]).code, Some(0));
    stage.write_plan(&rows(6));
    let ran = stage.run(&["--dry-run", "--output", "json"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let words: Vec<String> = ran.json()["jobs"]
        .as_array()
        .expect("jobs")
        .iter()
        .map(|job| job["prediction"].as_str().expect("a word").to_owned())
        .collect();
    assert_eq!(words, ["done", "done", "done", "switch", "switch", "switch"]);
    assert_eq!(stage.requests(), 3);
}

#[test]
fn without_read_permission_the_run_stops_and_names_permission_and_flag() {
    let faults =
        format!("{CALM}faults:\n  - {{fault: UnauthorizedOperation, action: DescribeDataEngines}}\n");
    let stage = Stage::new(&rows(3), &faults);
    let ran = stage.run(&[]);
    assert_eq!(ran.code, Some(3), "{}", ran.stderr);
    assert!(
        ran.stderr.contains("dlc:DescribeDataEngines") && ran.stderr.contains("--no-verify"),
        "{}",
        ran.stderr
    );
    assert_eq!(stage.requests(), 0);
    let ran = stage.run(&["--no-verify", "--output", "json"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert!(ran.json()["jobs"].as_array().expect("jobs").iter().all(|job| job["outcome"] == "accepted"));
}

#[test]
fn with_no_wait_jobs_end_as_accepted_and_a_later_run_verifies_them() {
    let stage = Stage::new(&rows(4), CALM);
    let ran = stage.run(&["--no-wait", "--output", "json"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert!(ran.json()["jobs"].as_array().expect("jobs").iter().all(|job| job["outcome"] == "accepted"));
    let ran = stage.run(&["--output", "json"]);
    assert!(ran.json()["jobs"].as_array().expect("jobs").iter().all(|job| job["outcome"] == "switched"));
    assert_eq!(stage.requests(), 4);
}
