//! Listings that omit engines, repeat them, or have too low a count: none of that proves that an engine does not exist.

use std::process::Command;

use dlc_fleet::cloud::SWITCH;

use crate::stage::{Ran, Row, Stage, executable, finish, rows, side_by_side, survived};

const CALM: &str = "latency: {median: 10ms, max: 30ms}\nswitching: {min: 200ms, max: 400ms}\n";

/// An engine that the service does not have.
const ABSENT: &str = "DataEngine-absent";

fn absent() -> Row {
    (ABSENT.to_owned(), "image-new".to_owned())
}

/// Every engine was switched, and exactly once.
fn assert_all_switched(stage: &Stage, ran: &Ran, engines: usize) {
    assert_eq!((ran.code, ran.count("switched")), (Some(0), engines), "{}", ran.told());
    let stats = stage.simulator.stats();
    // a slow machine may let arrivals come closer together than they were sent
    let throttled = stats.answered(SWITCH, "RequestLimitExceeded");
    let sent = stats.action(SWITCH);
    assert_eq!((sent.received - throttled, stats.applied), (engines, engines as u64), "{sent:?}");
}

/// The dry run reports no engine as missing. It may not know an engine after a few reads; a run continues to read.
fn assert_none_is_missing(dry: &Ran, engines: u64) {
    let totals = &dry.json()["totals"];
    let count = |what: &str| totals[what].as_u64().unwrap_or_default();
    assert_eq!((count("switch") + count("cannot_tell"), count("not_found")), (engines, 0), "{totals}");
    assert!(count("switch") >= engines / 2, "{totals}");
}

#[test]
fn engines_that_listings_omit_alternately_are_all_switched() {
    let stage = Stage::new(&rows(110), &format!("{CALM}listing_faults: {{omitted: 20%}}\n"));
    stage.write_plan(&rows(50));
    let dry = finish(stage.command(&["--dry-run", "--output", "json"]));
    assert_none_is_missing(&dry, 50);
    let ran = stage.run_json(&[]);
    assert_all_switched(&stage, &ran, 50);
    survived(
        "listings that leave out a fifth of the engines each",
        "50 engines switched, 0 twice, 0 not found",
    );
}

#[test]
fn engines_that_a_listing_replaces_by_repeated_records_are_all_switched() {
    // as many records as the count says, but not every engine
    let stage = Stage::new(&rows(40), &format!("{CALM}listing_faults: {{repeated: 40%}}\n"));
    let ran = stage.run_json(&[]);
    assert_all_switched(&stage, &ran, 40);
}

#[test]
fn engines_beyond_a_count_that_is_too_low_are_all_switched() {
    // the count is 90 of 150 engines, and the first page has about as many: the second page, with the oldest engines, is not
    // requested
    let stage = Stage::new(&rows(150), &format!("{CALM}listing_faults: {{omitted: 10%, uncounted: 40%}}\n"));
    stage.write_plan(&rows(20));
    let dry = finish(stage.command(&["--dry-run", "--output", "json"]));
    assert_none_is_missing(&dry, 20);
    let ran = stage.run_json(&[]);
    assert_all_switched(&stage, &ran, 20);
}

#[test]
fn an_engine_that_does_not_exist_is_reported_as_not_found() {
    let faults = [
        "",
        "listing_faults: {omitted: 20%}\n",
        "listing_faults: {omitted: 30%, repeated: 20%, uncounted: 40%}\n",
    ];
    side_by_side(&faults, |faults| {
        let stage = Stage::new(&rows(12), &format!("{CALM}{faults}"));
        stage.write_plan(&[&rows(12)[..], &[absent()]].concat());
        let dry = finish(stage.command(&["--dry-run", "--output", "json"]));
        let missing = dry.json()["totals"]["not_found"].as_u64();
        assert!(missing <= Some(1), "{faults}{}", dry.json()["totals"]);
        for run in 1..=2 {
            let ran = stage.run_json(&[]);
            assert_eq!((ran.code, ran.count("switched")), (Some(1), 12), "{faults}run {run}: {}", ran.told());
            let not_found = ("failed".to_owned(), "engine-not-found".to_owned());
            assert_eq!(ran.ended()[ABSENT], not_found, "{faults}run {run}: {}", ran.told());
            assert_eq!(stage.requests(), 12, "{faults}run {run}");
        }
    });
}

#[test]
fn an_unconfirmed_request_is_not_sent_again_because_a_listing_omits_its_engine() {
    let lost = "listing_faults: {omitted: 30%}\nfaults: [{fault: reset-after-reading, times: 1}]\n";
    let stage = Stage::new(&rows(12), &format!("{CALM}{lost}"));
    let ran = stage.run_json(&["--resend-after", "3s", "--min-ready", "400ms", "--wait-timeout", "60s"]);
    assert_all_switched(&stage, &ran, 12);
}

/// A plan of two waves of which the first soaks, in `plan.yaml`.
fn soaking(stage: &Stage, canary: usize, rest: usize) -> Command {
    let list = |rows: &[Row]| rows.iter().map(|(engine, _)| engine.as_str()).collect::<Vec<_>>().join(", ");
    let all = rows(canary + rest);
    let (first, second) = all.split_at(canary);
    let text = format!(
        "region: {}\nnew_image_version_id: image-new\nwaves:\n- {{name: canary, soak: 1s, engines: [{}]}}\n\
         - {{name: rest, engines: [{}]}}\n",
        stage.region(),
        list(first),
        list(second),
    );
    std::fs::write(stage.path("plan.yaml"), text).expect("a plan");
    let mut command = executable(stage.folder.path());
    command.args(["run", "plan.yaml", "--endpoint", &format!("http://{}", stage.address), "--yes"]);
    command.args(["--min-ready", "400ms", "--output", "json"]);
    command
}

#[test]
fn a_wave_passes_its_soak_check_although_listings_omit_some_of_its_engines() {
    let stage = Stage::new(&rows(30), &format!("{CALM}listing_faults: {{omitted: 40%}}\n"));
    let ran = finish(soaking(&stage, 28, 2));
    assert_all_switched(&stage, &ran, 30);
}
