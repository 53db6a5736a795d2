//! Reads that fail once: the run continues, and one response does not prove that an action or a region is not served.

use dlc_fleet::cloud::sts::{ASSUME_ROLE, GET_CALLER_IDENTITY};
use dlc_fleet::cloud::{LIST_ENGINES, LIST_IMAGES, SHOW_ENGINE};

use crate::stage::{Ran, Stage, rows};

const QUICK: &str =
    "latency: {median: 20ms, max: 60ms}\nswitching: {min: 300ms, max: 600ms}\naccount: \"100000000007\"\n";
const ROLE: &str = "qcs::cam::uin/100000000007:roleName/fleet";

/// Temporary faults of a call.
const TEMPORARY: [&str; 19] = [
    "FailedOperation",
    "undocumented FailedOperation.GetEngineListFailed",
    "undocumented Odd.Code",
    "undocumented OddCode",
    "InternalError",
    "InternalError.InternalSystemException",
    "ServiceUnavailable",
    "ResourceUnavailable",
    "undocumented ResourceUnavailable.Backend",
    "ResourceInUse",
    "LimitExceeded",
    "RequestLimitExceeded",
    "http-500",
    "http-502",
    "html",
    "truncated",
    "empty",
    "close-after-reading",
    "reset-after-reading",
];

/// Permanent refusals, because of the caller or the request.
const PERMANENT: [&str; 6] = [
    "AuthFailure.SignatureFailure",
    "AuthFailure.UnauthorizedOperation",
    "UnauthorizedOperation",
    "InvalidParameterValue",
    "UnknownParameter",
    "IpNotInWhitelist",
];

/// A stage in which calls of one action have a fault a given number of times.
fn stage(fault: &str, action: &str, times: usize) -> Stage {
    Stage::new(
        &rows(2),
        &format!("{QUICK}faults: [{{fault: '{fault}', action: {action}, times: {times}}}]\n"),
    )
}

/// Runs a check for each fault concurrently, because it mostly waits.
fn each(faults: &[&str], act: impl Fn(&str) + Sync) {
    std::thread::scope(|scope| {
        let started: Vec<_> = faults.iter().map(|fault| scope.spawn(|| act(fault))).collect();
        for thread in started {
            thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        }
    });
}

fn assert_continued(ran: &Ran, fault: &str) {
    assert_eq!(ran.code, Some(0), "{fault}: {}{}", ran.stdout, ran.stderr);
}

#[test]
fn a_first_listing_that_fails_once_is_repeated() {
    each(&TEMPORARY, |fault| {
        // each of the four listings may fail once
        let stage = stage(fault, LIST_ENGINES, 4);
        let flags = ["--dry-run"];
        let mut command = stage.command(&flags);
        command.args(["--output", "json"]);
        assert_continued(&crate::stage::finish(command), fault);
        let stats = stage.simulator.stats();
        assert_eq!(stats.action(LIST_ENGINES).received, 16, "{fault}: each is read twice");
    });
}

#[test]
fn a_run_whose_first_engine_and_image_lists_fail_once_completes() {
    each(&["FailedOperation", "undocumented Odd.Code", "http-500"], |fault| {
        let stage = stage(fault, LIST_ENGINES, 1);
        let ran = stage.run(&[]);
        assert_continued(&ran, fault);
        assert_eq!(stage.simulator.stats().applied, 2, "{fault}");
        let stage = self::stage(fault, LIST_IMAGES, 1);
        assert_continued(&crate::stage::finish(stage.command(&["--dry-run"])), fault);
    });
}

#[test]
fn permanent_refusals_are_not_repeated() {
    each(&PERMANENT, |fault| {
        let stage = stage(fault, LIST_ENGINES, 1);
        let ran = stage.run(&[]);
        let code = fault.trim_start_matches("undocumented ");
        assert_eq!(ran.code, Some(3), "{fault}: {}", ran.stderr);
        assert!(ran.stderr.contains(code), "{fault}: {}", ran.stderr);
        assert_eq!(stage.simulator.stats().action(LIST_ENGINES).received, 8, "{fault}");
    });
}

#[test]
fn a_permanent_failure_ends_the_command_with_its_code() {
    each(&["FailedOperation", "undocumented Odd.Code"], |fault| {
        let stage = stage(fault, LIST_ENGINES, 1_000);
        let ran = stage.run(&["--max-attempts", "2"]);
        assert_eq!(ran.code, Some(3), "{fault}: {}", ran.stderr);
        assert!(ran.stderr.contains(fault.trim_start_matches("undocumented ")), "{fault}: {}", ran.stderr);
        assert_eq!(stage.simulator.stats().action(LIST_ENGINES).received, 16, "{fault}");
    });
}

#[test]
fn the_first_call_of_sts_may_fail_once() {
    let faults: Vec<&str> =
        TEMPORARY.into_iter().filter(|fault| !fault.starts_with("ResourceInUse")).collect();
    each(&faults, |fault| {
        let asked = stage(fault, GET_CALLER_IDENTITY, 1);
        let flags = ["--dry-run", "--expect-account", "100000000007"];
        assert_continued(&crate::stage::finish(asked.command(&flags)), fault);
        let assumed = stage(fault, ASSUME_ROLE, 1);
        assert_continued(&crate::stage::finish(assumed.command(&["--dry-run", "--role-arn", ROLE])), fault);
    });
}

#[test]
fn one_response_that_an_action_is_missing_is_repeated() {
    for times in [1, 2, 4] {
        let stage = stage("InvalidAction", LIST_ENGINES, times);
        let ran = stage.run(&[]);
        assert_continued(&ran, &format!("InvalidAction, {times} times"));
        assert_eq!(stage.simulator.stats().applied, 2);
        assert_eq!(stage.simulator.stats().action(SHOW_ENGINE).received, 0, "the site has a listing");
    }
}

#[test]
fn an_action_that_is_missing_in_every_response_counts_as_missing() {
    let stage = Stage::new(&rows(2), &format!("{QUICK}unsupported_actions: [{LIST_ENGINES}]\n"));
    let ran = stage.run(&[]);
    assert_eq!(ran.code, Some(3), "{}", ran.stderr);
    assert!(ran.stderr.contains("data_engine_name"), "{}", ran.stderr);
    assert_eq!(
        stage.simulator.stats().action(LIST_ENGINES).received,
        24,
        "each of eight listings three times"
    );
}

#[test]
fn one_response_that_a_region_is_not_served_is_repeated() {
    for times in [1, 2, 4] {
        let stage = stage("UnsupportedRegion", LIST_ENGINES, times);
        let ran = stage.run(&[]);
        assert_continued(&ran, &format!("UnsupportedRegion, {times} times"));
        assert_eq!(stage.simulator.stats().applied, 2);
    }
    let stage = stage("UnsupportedRegion", LIST_ENGINES, 1_000);
    let ran = stage.run(&[]);
    assert_eq!(ran.code, Some(1), "{}", ran.stderr);
    assert!(ran.stdout.contains("UnsupportedRegion"), "{}", ran.stdout);
}
