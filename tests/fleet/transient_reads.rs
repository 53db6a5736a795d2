//! Reads that fail once: the run goes on, and one answer is no proof that a site or a region is missing something.

use dlc_fleet::cloud::sts::{ASSUME_ROLE, GET_CALLER_IDENTITY};
use dlc_fleet::cloud::{LIST_ENGINES, LIST_IMAGES, SHOW_ENGINE};

use crate::stage::{Ran, Stage, rows};

const QUICK: &str =
    "latency: {median: 20ms, max: 60ms}\nswitching: {min: 300ms, max: 600ms}\naccount: \"100000000007\"\n";
const ROLE: &str = "qcs::cam::uin/100000000007:roleName/fleet";

/// What befalls a call that passes by itself.
const PASSING: [&str; 19] = [
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

/// What does not pass: who calls, and what is asked for.
const DEFINITIVE: [&str; 6] = [
    "AuthFailure.SignatureFailure",
    "AuthFailure.UnauthorizedOperation",
    "UnauthorizedOperation",
    "InvalidParameterValue",
    "UnknownParameter",
    "IpNotInWhitelist",
];

/// A stage whose calls of one action meet something, so many times.
fn stage(fault: &str, action: &str, times: usize) -> Stage {
    Stage::new(
        &rows(2),
        &format!("{QUICK}faults: [{{fault: '{fault}', action: {action}, times: {times}}}]\n"),
    )
}

/// Does the same for each of these at once, since most of it is waiting.
fn each(fates: &[&str], act: impl Fn(&str) + Sync) {
    std::thread::scope(|scope| {
        let started: Vec<_> = fates.iter().map(|fault| scope.spawn(|| act(fault))).collect();
        for thread in started {
            thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        }
    });
}

fn assert_went_on(ran: &Ran, fault: &str) {
    assert_eq!(ran.code, Some(0), "{fault}: {}{}", ran.stdout, ran.stderr);
}

#[test]
fn a_first_listing_that_fails_once_is_asked_for_again() {
    each(&PASSING, |fault| {
        // each of the eight listings may fail once
        let stage = stage(fault, LIST_ENGINES, 8);
        let flags = ["--dry-run"];
        let mut command = stage.command(&flags);
        command.args(["--output", "json"]);
        assert_went_on(&crate::stage::finish(command), fault);
        let stats = stage.simulator.stats();
        assert_eq!(stats.action(LIST_ENGINES).received, 16, "{fault}: each is read twice");
    });
}

#[test]
fn a_run_whose_first_listing_and_list_of_images_fail_goes_on_to_the_end() {
    each(&["FailedOperation", "undocumented Odd.Code", "http-500"], |fault| {
        let stage = stage(fault, LIST_ENGINES, 1);
        let ran = stage.run(&[]);
        assert_went_on(&ran, fault);
        assert_eq!(stage.simulator.stats().applied, 2, "{fault}");
        let stage = self::stage(fault, LIST_IMAGES, 1);
        assert_went_on(&crate::stage::finish(stage.command(&["--dry-run"])), fault);
    });
}

#[test]
fn what_says_who_may_call_or_what_is_wrong_with_the_question_is_not_asked_again() {
    each(&DEFINITIVE, |fault| {
        let stage = stage(fault, LIST_ENGINES, 1);
        let ran = stage.run(&[]);
        let code = fault.trim_start_matches("undocumented ");
        assert_eq!(ran.code, Some(3), "{fault}: {}", ran.stderr);
        assert!(ran.stderr.contains(code), "{fault}: {}", ran.stderr);
        assert_eq!(stage.simulator.stats().action(LIST_ENGINES).received, 8, "{fault}");
    });
}

#[test]
fn a_failure_that_stays_ends_the_command_with_its_code() {
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
    let fates: Vec<&str> = PASSING.into_iter().filter(|fault| !fault.starts_with("ResourceInUse")).collect();
    each(&fates, |fault| {
        let asked = stage(fault, GET_CALLER_IDENTITY, 1);
        let flags = ["--dry-run", "--expect-account", "100000000007"];
        assert_went_on(&crate::stage::finish(asked.command(&flags)), fault);
        let assumed = stage(fault, ASSUME_ROLE, 1);
        assert_went_on(&crate::stage::finish(assumed.command(&["--dry-run", "--role-arn", ROLE])), fault);
    });
}

#[test]
fn one_answer_that_an_action_is_missing_is_not_believed() {
    for times in [1, 2, 4] {
        let stage = stage("InvalidAction", LIST_ENGINES, times);
        let ran = stage.run(&[]);
        assert_went_on(&ran, &format!("InvalidAction, {times} times"));
        assert_eq!(stage.simulator.stats().applied, 2);
        assert_eq!(stage.simulator.stats().action(SHOW_ENGINE).received, 0, "the site has a listing");
    }
}

#[test]
fn an_action_that_is_missing_each_time_is_missing() {
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
fn one_answer_that_a_region_is_not_served_is_not_believed() {
    for times in [1, 2, 4] {
        let stage = stage("UnsupportedRegion", LIST_ENGINES, times);
        let ran = stage.run(&[]);
        assert_went_on(&ran, &format!("UnsupportedRegion, {times} times"));
        assert_eq!(stage.simulator.stats().applied, 2);
    }
    let stage = stage("UnsupportedRegion", LIST_ENGINES, 1_000);
    let ran = stage.run(&[]);
    assert_eq!(ran.code, Some(1), "{}", ran.stderr);
    assert!(ran.stdout.contains("UnsupportedRegion"), "{}", ran.stdout);
}
