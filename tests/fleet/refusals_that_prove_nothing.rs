//! Refusals whose code does not prove that the request was not applied: the engine is verified before the job fails, and no
//! later run sends again too early.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use dlc_fleet::cloud::{LIST_ENGINES, SWITCH};
use dlc_fleet::job::{DataEngineId, ImageVersionId};

use crate::stage::{Ran, Stage, engine, rows, side_by_side, signal, survived, wait_for, wait_until};

const CALM: &str = "latency: {median: 20ms, max: 60ms}\nswitching: {min: 200ms, max: 400ms}\n";

/// Engines of one stage; the first request for each is refused.
const ENGINES: usize = 3;

/// Codes that do not say whether the request was applied, as a scenario names them.
const UNCONFIRMED_CODES: [&str; 8] = [
    "FailedOperation",
    "FailedOperation.AnotherRequestProcessing",
    "FailedOperation.NoPermissionToUseTheDataEngine",
    "ResourceUnavailable",
    "ResourceUnavailable.BalanceInsufficient",
    "ResourceUnavailable.WhiteListFunction",
    "undocumented Odd.Code",
    "undocumented InvalidParameter.Odd",
];

/// Those with a temporary cause: a run sends again once verification shows that nothing was applied.
const TEMPORARY: [&str; 2] = ["FailedOperation.AnotherRequestProcessing", "ResourceUnavailable"];

/// Those that stop a run.
const STOP: [&str; 3] = [
    "FailedOperation.NoPermissionToUseTheDataEngine",
    "ResourceUnavailable.BalanceInsufficient",
    "ResourceUnavailable.WhiteListFunction",
];

/// How long an engine must stay on its old image before anything is sent again.
const RESEND_AFTER: Duration = Duration::from_secs(2);

/// Runs of the same command, at most.
const RUNS: usize = 4;

fn refused(code: &str, applied: &str) -> Stage {
    let fault = format!("faults: [{{fault: {code}, applied: {applied}, times: 1}}]\n");
    Stage::new(&rows(ENGINES), &format!("{CALM}{fault}"))
}

fn run(stage: &Stage) -> Ran {
    stage.run_json(&["--resend-after", "2s", "--min-ready", "400ms", "--wait-timeout", "20s"])
}

/// The code in the response of the service.
fn code(spelled: &str) -> &str {
    spelled.strip_prefix("undocumented ").unwrap_or(spelled)
}

/// No engine on its target is reported as failed.
fn assert_no_false_failure(stage: &Stage, ran: &Ran, case: &str) {
    for (number, (id, (outcome, _))) in ran.ended().iter().enumerate() {
        let on_target = stage.engine(number).image_version_id == Some(ImageVersionId::new("image-new"));
        assert!(
            outcome != "failed" || !on_target,
            "{case}: {id} is {outcome}, and on its target: {}",
            ran.told()
        );
    }
}

/// The moments at which switch requests for each engine arrived.
fn requests(stage: &Stage) -> BTreeMap<DataEngineId, Vec<tokio::time::Instant>> {
    let mut requests: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for arrival in stage.simulator.arrivals().into_iter().filter(|arrival| arrival.action == SWITCH) {
        requests.entry(arrival.data_engine_id.expect("an engine")).or_default().push(arrival.at);
    }
    requests
}

/// No request follows another one for the same engine before `--resend-after`. A run counts from its ledger line, which is
/// slightly earlier than the arrival.
fn assert_never_sent_early(stage: &Stage, case: &str) {
    for (id, moments) in requests(stage) {
        for pair in moments.windows(2) {
            let gap = pair[1] - pair[0];
            assert!(
                gap + Duration::from_millis(500) >= RESEND_AFTER,
                "{case}: {id} was sent again after {gap:?}"
            );
        }
    }
}

/// Runs the same command until it has nothing left to do.
fn run_to_the_end(stage: &Stage, case: &str) -> Ran {
    for _ in 1..RUNS {
        let ran = run(stage);
        assert_no_false_failure(stage, &ran, case);
        if ran.code == Some(0) {
            break;
        }
    }
    let ran = run(stage);
    assert_no_false_failure(stage, &ran, case);
    assert_eq!((ran.code, ran.count("switched")), (Some(0), ENGINES), "{case}: {}", ran.told());
    ran
}

/// Waits for late switches: a run that sent again too early may end before the first request is applied.
fn wait_for_late_switches() {
    std::thread::sleep(Duration::from_millis(1_500));
}

#[test]
fn a_switch_that_is_applied_after_an_unconfirmed_refusal_is_sent_once_and_not_failed() {
    side_by_side(&UNCONFIRMED_CODES, |case| {
        let stage = refused(case, "after 1s");
        run_to_the_end(&stage, case);
        wait_for_late_switches();
        let stats = stage.simulator.stats();
        assert_eq!((stage.requests(), stats.applied), (ENGINES, ENGINES as u64), "{case}");
    });
    survived(
        "refusals that do not prove that nothing was applied, and are applied 1 s later",
        &format!(
            "{} codes, {} engines switched once, 0 twice",
            UNCONFIRMED_CODES.len(),
            UNCONFIRMED_CODES.len() * ENGINES
        ),
    );
}

#[test]
fn an_unconfirmed_refusal_fails_only_after_the_engine_stayed_on_its_old_image_for_resend_after() {
    side_by_side(&UNCONFIRMED_CODES, |case| {
        let stage = refused(case, "never");
        let ran = run(&stage);
        let read = |arrival: &dlc_fleet::simulator::Arrival| arrival.action == LIST_ENGINES;
        let last_read = stage.simulator.arrivals().into_iter().filter(read).map(|arrival| arrival.at).max();
        for (id, moments) in requests(&stage) {
            assert!(last_read >= Some(moments[0] + RESEND_AFTER), "{case}: {id} was called failed unread");
        }
        for (id, (outcome, reason)) in ran.ended() {
            match outcome.as_str() {
                "failed" => assert_eq!(reason, code(case), "{case}: {id}"),
                "not-started" => assert!(STOP.contains(&case), "{case}: {id}"),
                other => assert!(other == "switched" && TEMPORARY.contains(&case), "{case}: {id} is {other}"),
            }
        }
        run_to_the_end(&stage, case);
        assert_never_sent_early(&stage, case);
        assert!(stage.simulator.stats().applied_more_than_once.is_empty(), "{case}");
    });
}

#[test]
fn a_run_after_an_interrupted_one_does_not_send_an_unconfirmed_refusal_again_too_early() {
    let cases = [("INT", "never"), ("KILL", "never"), ("INT", "after 1s"), ("KILL", "after 1s")];
    side_by_side(&cases, |(name, applied)| {
        let case = format!("SIG{name}, applied {applied}");
        let stage = refused("FailedOperation", applied);
        let child = stage.command(&["--yes", "--resend-after", "2s"]).spawn().expect("it starts");
        wait_until("every request is refused", || {
            stage.simulator.stats().answered(SWITCH, "FailedOperation") >= ENGINES
        });
        signal(child.id(), name);
        let ran = wait_for(child);
        assert_ne!(ran.code, Some(1), "{case}: interrupted, not failed: {}", ran.told());
        run_to_the_end(&stage, &case);
        wait_for_late_switches();
        assert_never_sent_early(&stage, &case);
        let stats = stage.simulator.stats();
        assert_eq!(stats.applied, ENGINES as u64, "{case}: {stats:?}");
        assert!(applied == "never" || stage.requests() == ENGINES, "{case}: {} requests", stage.requests());
    });
}

#[test]
fn an_unconfirmed_refusal_is_unknown_without_verification_and_not_sent_again() {
    side_by_side(&UNCONFIRMED_CODES, |case| {
        let stage = refused(case, "never");
        for _ in 1..=2 {
            let ran = stage.run_json(&["--no-verify"]);
            let sent = requests(&stage);
            assert!(sent.values().all(|moments| moments.len() == 1), "{case}: {sent:?}");
            let unknown = ran.ended().into_iter().filter(|(_, (outcome, _))| outcome == "unknown");
            assert!(
                unknown.map(|(id, _)| DataEngineId::new(id)).eq(sent.into_keys()),
                "{case}: {}",
                ran.told()
            );
        }
    });
}

#[test]
fn a_switch_that_was_applied_before_an_unconfirmed_refusal_is_accepted_with_no_wait() {
    side_by_side(&["FailedOperation", "undocumented Odd.Code"], |case| {
        let stage = refused(case, "before");
        for _ in 1..=2 {
            let ran = stage.run_json(&["--no-wait", "--resend-after", "2s"]);
            assert_no_false_failure(&stage, &ran, case);
        }
        let stats = stage.simulator.stats();
        assert_eq!((stage.requests(), stats.applied), (ENGINES, ENGINES as u64), "{case}");
    });
}

#[test]
fn a_documented_refusal_that_proves_not_applied_fails_at_once() {
    let proofs = [
        "InvalidParameter.ImageEngineTypeNotMatch",
        "InvalidParameter.ParameterNotFoundOrBeNone",
        "ResourceNotFound.DataEngineNotFound",
        "ResourceNotFound.DataEngineNotMultiVersion",
        "ResourceNotFound.ImageVersionNotFound",
        "AuthFailure.UnauthorizedOperation",
    ];
    side_by_side(&proofs, |code| {
        let stage = refused(code, "never");
        let begun = Instant::now();
        let ran = stage.run_json(&["--resend-after", "90s", "--min-ready", "400ms", "--wait-timeout", "90s"]);
        assert!(begun.elapsed() < Duration::from_secs(60), "{code}: waited for {:?}", begun.elapsed());
        let reasons: Vec<String> = ran.ended().into_values().map(|(_, reason)| reason).collect();
        assert!(ran.count("failed") > 0, "{code}: {}", ran.told());
        assert!(reasons.iter().any(|reason| reason == code), "{code}: {}", ran.told());
        run_to_the_end(&stage, code);
    });
}

#[test]
fn a_throttled_request_is_sent_again_without_waiting_for_a_read() {
    let stage = refused("RequestLimitExceeded", "never");
    let begun = Instant::now();
    let ran = stage.run_json(&["--resend-after", "90s", "--min-ready", "400ms", "--wait-timeout", "90s"]);
    assert!(begun.elapsed() < Duration::from_secs(60), "waited for {:?}", begun.elapsed());
    assert_eq!((ran.code, ran.count("switched")), (Some(0), ENGINES), "{}", ran.told());
    assert_eq!(stage.requests(), 2 * ENGINES);
    assert_eq!(stage.engine(0).applied, 1, "{}", engine(0));
}
