//! Flags that change how a run goes, each seen to bite.

use std::collections::BTreeSet;

use dlc_fleet::cloud::SWITCH;

use crate::stage::{LEDGER, Ran, Stage, rows};

const CALM: &str = "latency: {median: 20ms, max: 60ms}\nswitching: {min: 300ms, max: 600ms}\n";

fn outcomes(ran: &Ran) -> Vec<String> {
    let json = ran.json();
    let jobs = json["jobs"].as_array().expect("jobs");
    jobs.iter().map(|job| job["outcome"].as_str().expect("an outcome").to_owned()).collect()
}

#[test]
fn skip_failed_leaves_failures_alone_and_without_it_they_are_tried_again() {
    let weather =
        format!("{CALM}faults:\n  - {{fault: InvalidParameterValue, engines: [DataEngine-0001]}}\n");
    let stage = Stage::new(&rows(3), &weather);
    assert_eq!(stage.run(&[]).code, Some(1));
    assert_eq!(stage.requests(), 3);
    let ran = stage.run(&["--skip-failed", "--output", "json"]);
    assert_eq!((ran.code, stage.requests()), (Some(1), 3), "{}", ran.stderr);
    assert_eq!(outcomes(&ran), ["switched", "failed", "switched"]);
    assert_eq!(ran.json()["jobs"][1]["reason"]["code"], "InvalidParameterValue", "the reason is still told");
    assert_eq!(stage.run(&[]).code, Some(1));
    assert_eq!(stage.requests(), 4);
}

#[test]
fn the_rate_is_a_limit_that_bites() {
    let stage = Stage::new(&rows(12), CALM);
    let ran = stage.run(&["--rate", "5", "--output", "json"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert_eq!(ran.json()["peak_requests_per_second"], 5);
}

#[test]
fn with_a_concurrency_of_one_requests_never_overlap() {
    let stage =
        Stage::new(&rows(6), "latency: {median: 150ms, max: 200ms}\nswitching: {min: 100ms, max: 200ms}\n");
    let ran = stage.run(&["--concurrency", "1"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let arrivals = stage.simulator.arrivals();
    let moments: Vec<_> = arrivals.iter().filter(|a| a.action == SWITCH).map(|a| a.at).collect();
    let shortest = moments.windows(2).map(|pair| pair[1] - pair[0]).min().expect("several");
    // each request waits for the answer to the one before, and answers take longer than the gate's 51 ms
    assert!(shortest.as_millis() >= 75, "{shortest:?}");
}

#[test]
fn a_request_without_an_answer_is_given_up_after_the_time_that_was_asked_for() {
    let weather = format!(
        "{CALM}faults:\n  - {{fault: no-response, applied: before, engines: [DataEngine-0000], times: 1}}\n"
    );
    let stage = Stage::new(&rows(2), &weather);
    let ran = stage.run(&["--request-timeout", "1s", "--output", "json"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert!(stage.ledger().contains("\"kind\":\"unconfirmed\""));
    assert!(stage.simulator.stats().applied_more_than_once.is_empty());
}

#[test]
fn the_region_comes_from_flag_or_environment_where_the_plan_names_none() {
    let stage = Stage::new(&rows(2), CALM);
    let plan = std::fs::read_to_string(stage.path("plan.csv")).expect("a plan");
    std::fs::write(stage.path("plan.csv"), plan.replace(",ap-guangzhou", "").replace(",region", ""))
        .expect("written");
    let ran = stage.run(&[]);
    assert_eq!(ran.code, Some(2));
    assert!(ran.stderr.contains("--region") && ran.stderr.contains("TENCENTCLOUD_REGION"), "{}", ran.stderr);
    assert_eq!(stage.run(&["--region", "ap-guangzhou"]).code, Some(0));
    let mut command = stage.command(&["--yes"]);
    command.env("TENCENTCLOUD_REGION", "ap-guangzhou");
    assert_eq!(crate::stage::finish(command).code, Some(0));
}

#[test]
fn the_log_file_has_every_step_and_call_and_cannot_be_the_plan_or_the_ledger() {
    let stage = Stage::new(&rows(3), CALM);
    for other in ["plan.csv", LEDGER, &format!("./{LEDGER}"), &format!("{LEDGER}.lock")] {
        assert_eq!(stage.run(&["--log-file", other]).code, Some(2), "{other}");
    }
    assert_eq!(stage.run(&["--log-file", "run.log"]).code, Some(0));
    let log = std::fs::read_to_string(stage.path("run.log")).expect("a log");
    for kind in ["sent", "accepted", "switched"] {
        assert_eq!(log.matches(&format!("\"kind\":\"{kind}\"")).count(), 3, "{kind}");
    }
    assert!(log.contains("DescribeDataEngines") && log.contains("SwitchDataEngineImage"));
    let quiet = stage.run(&[]).stderr;
    let loud = Stage::new(&rows(3), CALM).run(&["-v"]).stderr;
    assert!(loud.contains("INFO") && !quiet.contains("INFO"));
}

#[test]
fn colour_comes_only_when_it_is_asked_for() {
    let stage = Stage::new(&rows(2), CALM);
    let escape = '\u{1b}';
    assert!(stage.run(&["--color", "always"]).stdout.contains(escape));
    assert!(!stage.run(&["--color", "auto"]).stdout.contains(escape));
}

#[test]
fn a_row_whose_target_was_changed_waits_for_the_request_that_is_still_open() {
    let stage = Stage::new(&rows(2), CALM);
    assert_eq!(stage.run(&["--no-wait"]).code, Some(0));
    let changed: Vec<(String, String)> =
        rows(2).into_iter().map(|(engine, _)| (engine, "image-other".into())).collect();
    stage.write_plan(&changed);
    let ran = stage.run(&["--no-verify", "--output", "json"]);
    assert_eq!(ran.code, Some(1), "{}", ran.stderr);
    let codes: BTreeSet<String> = ran.json()["jobs"]
        .as_array()
        .expect("jobs")
        .iter()
        .map(|job| job["reason"]["code"].to_string())
        .collect();
    assert_eq!(codes, ["\"earlier-request-open\"".to_owned()].into());
    assert_eq!(stage.requests(), 2);
}
