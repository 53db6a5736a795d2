//! Judgements before anything is sent in this run: what earlier runs left, and what the fleet shows.

use super::*;
use crate::job::Reason;
use crate::ledger::RecordedReason;
use crate::run::decide::moved;
use crate::run::observation::Observation;

#[test]
fn what_an_earlier_run_left_unconfirmed_is_verified_first() {
    let options = RunOptions::default();
    for standing in [Standing::Sent, Standing::Unconfirmed, Standing::TimedOut, Standing::Unknown] {
        let decision = decided(&past(standing), Some(&view("old", 2)));
        assert!(matches!(decision, Decision::Verify { .. }), "{standing:?}: {decision:?}");
        let change = carried_out(past(standing), decision, &options);
        assert!(matches!(change.job_state.phase, Phase::Unconfirmed { .. }), "{standing:?}");
        assert_eq!(change.steps.is_empty(), standing == Standing::Unconfirmed, "{standing:?}");
    }
}

#[test]
fn an_unconfirmed_refusal_of_an_earlier_run_keeps_its_code() {
    let verified = |code: &str| {
        let mut past = past(Standing::Unconfirmed);
        let last_error = LastError { code: Some(code.into()), message: Some("no".into()), request_id: None };
        past.record.as_mut().expect("a record").last_error = Some(last_error);
        let change = carried_out(past, Decision::Verify { image_before: None }, &RunOptions::default());
        assert!(change.steps.is_empty(), "the ledger keeps the code");
        assert_eq!(change.job_state.last_error_or_default().code, code);
        (matches!(change.job_state.phase, Phase::Unconfirmed { .. }), change.job_state.refused)
    };
    assert_eq!(verified("InternalError"), (true, Some(ErrorClass::Transient)));
    assert!(verified("Novelty").0);
}

#[test]
fn after_a_standstill_no_wait_ends_before_a_read() {
    let mut stage = Stage::in_flight(RunOptions::default());
    let hours = Duration::from_secs(7_200);
    stage.accept().snapshot("old", 0).wait(1);
    stage.now += hours;
    stage.job_state.extend_wait(hours, stage.now);
    stage.wait(1_700);
    assert_eq!(stage.outcome(), None, "the time did not count, and there was no read");
    stage.snapshot("new", 2).wait(10).snapshot("new", 2);
    assert_eq!(stage.outcome(), Some(Outcome::Switched));
}

#[test]
fn an_engine_that_another_client_moved_stays_failed_until_the_plan_expects_it_there() {
    let reason = moved(&ImageVersionId::new("third"));
    assert!(reasons::recorded(&reason, None).needs_release);
    let mut held = past(Standing::Failed);
    let record = held.record.as_mut().expect("a record");
    record.needs_release = true;
    record.last_error =
        Some(LastError { code: Some(reason.code), message: reason.message, request_id: None });
    let failed = |decision: &Decision| matches!(decision, Decision::Keep { outcome: Outcome::Failed, .. });
    for (image, state) in [("third", 2), ("old", 2), ("third", 0), ("new", -1)] {
        let decision = decided(&held, Some(&view(image, state)));
        assert!(failed(&decision) || matches!(decision, Decision::Fail(_)), "{image} {state}: {decision:?}");
    }
    assert!(failed(&decided(&held, None)), "without a read, the ledger alone decides");
    assert_eq!(decided(&held, Some(&view("new", 2))), Decision::UpToDate);
    let mut expects = job();
    expects.expected_image_version_id = Some(ImageVersionId::new("third"));
    let on = |image: &str| decide(&expects, &held, Some(&view(image, 2)), Retry::default());
    assert_eq!(on("third"), Decision::Verify { image_before: Some(ImageVersionId::new("third")) });
    assert!(failed(&on("old")));
    let moved = Retry { moved: true, ..Retry::default() };
    let released = decide(&job(), &held, Some(&view("third", 2)), moved);
    assert!(matches!(released, Decision::Verify { .. }), "--retry-moved releases it: {released:?}");
}

#[test]
fn a_released_job_is_sent_once_it_is_verified() {
    let mut held = past(Standing::Failed);
    held.record.as_mut().expect("a record").needs_release = true;
    let mut expects = job();
    expects.expected_image_version_id = Some(ImageVersionId::new("third"));
    let options = RunOptions { resend_after: Duration::ZERO, ..RunOptions::default() };
    let decision = decide(&expects, &held, Some(&view("third", 2)), options.retry);
    let job_state = carried_out(held, decision, &options).job_state;
    let now = Instant::now();
    let on_third = view("third", 2);
    let snapshot = Snapshot { view: &on_third, started: now, finished: now };
    let change = job_state.on_observation(&expects, snapshot, &options).expect("a change");
    assert_eq!(change.job_state.phase, Phase::Ready);
    let change = change.job_state.decide_again(&expects, &on_third, now, &options);
    assert_eq!(change.job_state.phase, Phase::Ready, "it is not verified again");
}

#[test]
fn an_engine_that_was_moved_between_two_runs_is_not_taken_back() {
    let refused = past(Standing::Refused);
    let on = |image: &str| decided(&refused, Some(&view(image, 2)));
    assert!(matches!(on("old"), Decision::Send { .. }));
    assert!(matches!(on("third"), Decision::Fail(reason) if reason.code == "moved-by-another-client"));
    let change = carried_out(refused.clone(), on("third"), &RunOptions::default());
    assert!(
        matches!(change.steps[..], [Step::Failed(RecordedReason { needs_release: true, .. })]),
        "{:?}",
        change.steps
    );
}

#[test]
fn a_target_that_is_a_minor_version_is_compared_with_minor_versions() {
    let on = |image: &str, minor: &str, before: &str| {
        let mut record = view(image, 2).engine(&job().key).expect("there").clone();
        record.child_image_version_id = Some(minor.to_owned());
        let mut view = FleetView::default();
        view.take(&Region::new("ap-guangzhou"), vec![record]);
        view.observe(&job().key, Some(&ImageVersionId::new(before)))
    };
    assert!(matches!(on("parent", "new", "old"), Observation::Target { .. }));
    assert!(matches!(on("old", "minor-1", "old"), Observation::OldImage { .. }));
    assert!(
        matches!(on("old", "minor-2", "minor-1"), Observation::OtherImage(_)),
        "moved within its major version"
    );
    assert!(matches!(on("parent", "minor-1", "old"), Observation::OtherImage(_)));
}

#[test]
fn a_request_of_an_earlier_run_that_is_applied_late_is_verified_and_not_called_up_to_date() {
    for standing in [Standing::Refused, Standing::Throttled, Standing::NotApplied] {
        let decision = decided(&past(standing), Some(&view("new", 2)));
        assert_eq!(decision, Decision::UpToDate, "{standing:?}");
        let change = carried_out(past(standing), decision, &RunOptions::default());
        assert!(matches!(change.job_state.phase, Phase::Converging { .. }), "{standing:?}");
    }
}

#[test]
fn an_engine_that_an_earlier_run_waited_for_in_vain_times_out_again_and_is_not_called_unknown() {
    let (options, now) = (RunOptions::default(), Instant::now());
    let mut timed_out = past(Standing::TimedOut);
    timed_out.record.as_mut().expect("a record").request_id = Some("id".into());
    let job_state = carried_out(timed_out, Decision::Verify { image_before: None }, &options).job_state;
    let late = now + options.longest_unconfirmed() + Duration::from_secs(1);
    let change = job_state.on_time(late, &options, None).expect("a change");
    let Phase::Ended(result) = change.job_state.phase else { panic!("{:?}", change.job_state.phase) };
    assert_eq!(result.outcome, Outcome::TimedOut);
    assert_eq!(result.reason.and_then(|reason| reason.request_id), Some("id".into()));
}

#[test]
fn an_engine_whose_state_is_not_told_is_still_recognised_on_its_target() {
    let on = |image: &str, expected: Option<&str>| {
        let mut job = job();
        job.expected_image_version_id = expected.map(ImageVersionId::new);
        let mut record = view(image, 2).engine(&job.key).expect("there").clone();
        record.state = None;
        let mut stateless = FleetView::default();
        stateless.take(&job.key.region, vec![record]);
        decide(&job, &Past::default(), Some(&stateless), Retry::default())
    };
    assert_eq!(on("new", None), Decision::UpToDate);
    assert!(matches!(on("old", None), Decision::Send { .. }));
    assert!(matches!(on("old", Some("another")), Decision::Fail(_)));
}

#[test]
fn an_engine_with_a_request_to_another_target_still_open_is_not_sent() {
    let open = |image: &str, state| {
        let past = Past { open_elsewhere: Some(ImageVersionId::new("elsewhere")), ..Past::default() };
        decided(&past, Some(&view(image, state)))
    };
    assert!(matches!(open("old", 2), Decision::Fail(reason) if reason.code == "earlier-request-open"));
    assert!(matches!(open("elsewhere", 0), Decision::Fail(_)));
    assert!(matches!(open("elsewhere", 2), Decision::Send { .. }), "it has arrived there");
    assert_eq!(open("new", 2), Decision::UpToDate);
}

#[test]
fn an_engine_that_shows_its_target_but_initialises_is_watched_until_it_runs() {
    let options = RunOptions::default();
    let mut stage = Stage::in_flight(options);
    stage.job_state = JobState::new(JobIndex(0), Past::default());
    stage.job_state.phase = JobState::looking(stage.now);
    stage.snapshot("new", 0);
    assert!(matches!(stage.job_state.phase, Phase::AwaitingRead { .. }));
    stage.wait(30).snapshot("new", 2);
    assert_eq!(stage.outcome(), Some(Outcome::UpToDate));
    let on = |image, state| decided(&Past::default(), Some(&view(image, state)));
    assert!(matches!(on("new", 0), Decision::Wait(reason) if reason.code == "engine-initialising"));
    assert_eq!(on("new", 1), Decision::UpToDate, "suspended is at rest");
}

#[test]
fn an_engine_that_initialises_on_its_old_image_may_be_on_its_way_and_is_not_sent() {
    let busy = decided(&Past::default(), Some(&view("old", 0)));
    assert!(matches!(&busy, Decision::Wait(reason) if reason.code == "engine-initialising"));
    let mut stage = Stage::in_flight(RunOptions::default());
    stage.job_state = carried_out(Past::default(), busy, &stage.options).job_state;
    stage.now += Duration::from_secs(1);
    stage.wait(30).snapshot("old", 0);
    assert!(matches!(stage.job_state.phase, Phase::AwaitingRead { .. }));
    stage.wait(30).snapshot("old", 2);
    assert_eq!(stage.job_state.phase, Phase::Ready, "it is at rest where it was");
}

#[test]
fn a_doubt_that_nobody_may_look_into_names_the_right_that_is_missing() {
    let (options, now) = (RunOptions::default(), Instant::now());
    let late = now + options.wait_timeout + options.resend_after;
    let mut job_state = JobState::new(JobIndex(0), Past::default());
    job_state.phase = Phase::Unconfirmed { since: now, old_image_since: None, accepted: false };
    let reason = |unread: Option<&Reason>| {
        let change = job_state.on_time(late, &options, unread).expect("a change");
        let Phase::Ended(result) = change.job_state.phase else { panic!("{:?}", change.job_state.phase) };
        assert_eq!(result.outcome, Outcome::Unknown);
        result.reason.expect("a reason")
    };
    let refusal =
        |code: &str| Refusal { code: code.to_owned(), message: "it says so".to_owned(), request_id: None };
    let denied = reason(Some(&reasons::refused(&refusal("AuthFailure.UnauthorizedOperation"))));
    assert_eq!(denied.code, "verify-denied");
    assert!(denied.remedy.contains("grant dlc:DescribeDataEngines"), "{}", denied.remedy);
    assert!(denied.message.expect("a message").contains("AuthFailure.UnauthorizedOperation: it says so"));
    let broken = reason(Some(&reasons::refused(&refusal("InternalError"))));
    assert!(broken.message.expect("a message").contains("the latest look failed: InternalError: it says so"));
    assert_eq!((broken.code.as_str(), reason(None).code.as_str()), ("not-verified", "not-verified"));
}

#[test]
fn an_engine_that_initialises_for_ever_ends_without_anything_sent() {
    let mut stage = Stage::in_flight(RunOptions::default());
    stage.job_state = JobState::new(JobIndex(0), Past::default());
    stage.job_state.phase = JobState::looking(stage.now);
    for _ in 0..200 {
        stage.snapshot("new", 0).wait(10);
    }
    assert_eq!(stage.outcome(), Some(Outcome::NotStarted));
}

#[test]
fn a_job_that_was_sent_before_is_never_called_up_to_date() {
    let change = carried_out(past(Standing::NotSent), Decision::UpToDate, &RunOptions::default());
    assert!(matches!(change.job_state.phase, Phase::Converging { .. }), "it is verified like any other");
}

#[test]
fn an_engine_that_an_earlier_run_switched_and_that_has_left_its_target_has_drifted() {
    let drift = |view: &FleetView| match decided(&past(Standing::Switched), Some(view)) {
        Decision::Keep { outcome: Outcome::Switched, drift, .. } => drift,
        other => panic!("{other:?}"),
    };
    assert_eq!(drift(&view("new", 2)), None);
    assert_eq!(drift(&view("old", 2)), Some("on old".into()));
    assert_eq!(drift(&view("new", -1)), Some("failed (State -1)".into()));
    assert_eq!(drift(&FleetView::default()), None, "a listing can leave an engine out");
    let mut gone = FleetView::default();
    gone.mark_absent(&job().key.region, &job().key.data_engine_id);
    assert_eq!(drift(&gone), Some("not listed".into()));
}

#[test]
fn an_engine_that_one_look_shows_in_two_ways_is_looked_at_again() {
    let job = job();
    let [on_target, on_old] =
        ["new", "old"].map(|image| view(image, 2).engine(&job.key).expect("there").clone());
    for records in [[on_target.clone(), on_old.clone()], [on_old.clone(), on_target]] {
        let mut view = FleetView::default();
        view.take(&job.key.region, records.to_vec());
        let unclear = decided(&Past::default(), Some(&view));
        assert!(matches!(&unclear, Decision::Wait(reason) if reason.code == "engine-unclear"));
        let job_state = carried_out(Past::default(), unclear, &RunOptions::default()).job_state;
        assert!(matches!(job_state.phase, Phase::AwaitingRead { .. }));
        let mut newer = FleetView::default();
        newer.take(&job.key.region, vec![on_old.clone(), on_old.clone()]);
        view.merge(newer);
        assert!(matches!(decided(&Past::default(), Some(&view)), Decision::Send { .. }), "a clear look");
    }
}
