//! Judgements before anything is sent in this run: what earlier runs left, and what the fleet shows.

use super::*;
use crate::job::Reason;
use crate::ledger::RecordedReason;
use crate::run::fleet_view::{Observation, drift, moved};

#[test]
fn what_an_earlier_run_left_in_doubt_is_read_back_first() {
    let options = RunOptions::default();
    let now = Instant::now();
    for standing in [Standing::Sent, Standing::Unconfirmed, Standing::TimedOut, Standing::Unknown] {
        let image_before = Some(ImageVersionId::new("old"));
        let decision = Decision::Verify { standing, image_before, request_id: None, last_error: None };
        let change = JobState::new(JobIndex(0), &UNSENT).begin(decision, now, &options);
        assert!(matches!(change.job_state.phase, Phase::Unconfirmed { .. }), "{standing:?}");
        assert_eq!(change.steps.is_empty(), standing == Standing::Unconfirmed, "{standing:?}");
    }
}

#[test]
fn an_unconfirmed_refusal_of_an_earlier_run_keeps_its_code() {
    let begun = |standing, code: &str| {
        let refusal = Refusal { code: code.into(), message: "no".into(), request_id: None };
        let last_error = Some(reasons::recorded(&reasons::refused(&refusal), None));
        let decision = Decision::Verify { standing, image_before: None, request_id: None, last_error };
        let change =
            JobState::new(JobIndex(0), &UNSENT).begin(decision, Instant::now(), &RunOptions::default());
        assert!(change.steps.is_empty(), "the ledger keeps the code");
        assert_eq!(change.job_state.last_error_or_default().code, code);
        (matches!(change.job_state.phase, Phase::Unconfirmed { .. }), change.job_state.refused)
    };
    assert_eq!(begun(Standing::Unconfirmed, "InternalError"), (true, Some(ErrorClass::Transient)));
    assert!(begun(Standing::Unconfirmed, "Novelty").0);
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
    let last_error = || Some(reasons::recorded(&moved(&ImageVersionId::new("third")), None));
    assert!(last_error().expect("a reason").needs_release);
    let held = || Work::Held {
        standing: Standing::Failed,
        released: false,
        image_before: Some(ImageVersionId::new("old")),
        last_error: last_error(),
    };
    let failed = |decision: &Decision| matches!(decision, Decision::Keep { outcome: Outcome::Failed, .. });
    for (image, state) in [("third", 2), ("old", 2), ("third", 0), ("new", -1)] {
        let decision = decide(&job(), &held(), Some(&view(image, state)));
        assert!(failed(&decision) || matches!(decision, Decision::Fail(_)), "{image} {state}: {decision:?}");
    }
    assert!(failed(&decide(&job(), &held(), None)), "without a read, the ledger alone speaks");
    assert_eq!(decide(&job(), &held(), Some(&view("new", 2))), Decision::UpToDate);
    let mut expects = job();
    expects.expected_image_version_id = Some(ImageVersionId::new("third"));
    let on_third = decide(&expects, &held(), Some(&view("third", 2)));
    assert!(matches!(on_third, Decision::Verify { standing: Standing::Failed, .. }), "{on_third:?}");
    assert!(failed(&decide(&expects, &held(), Some(&view("old", 2)))));
}

#[test]
fn an_engine_that_was_moved_between_two_runs_is_not_taken_back() {
    let sent_from = Some(ImageVersionId::new("old"));
    let work = Work::Send { open_elsewhere: None, sent_before: true, image_before: sent_from };
    let on = |image: &str| decide(&job(), &work, Some(&view(image, 2)));
    assert!(matches!(on("old"), Decision::Send { .. }));
    assert!(matches!(on("third"), Decision::Fail(reason) if reason.code == "moved-by-another-client"));
    let job_state = JobState::new(JobIndex(0), &work);
    let change = job_state.decide_again(&job(), &view("third", 2), Instant::now(), &RunOptions::default());
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
fn a_request_of_an_earlier_run_that_is_applied_late_is_proven_and_not_called_already() {
    let work = Work::Settle {
        standing: Standing::Refused,
        image_before: Some(ImageVersionId::new("old")),
        request_id: None,
        last_error: None,
    };
    let now = Instant::now();
    let job_state = JobState::new(JobIndex(0), &work);
    let change = job_state.decide_again(&job(), &view("new", 2), now, &RunOptions::default());
    assert!(matches!(change.job_state.phase, Phase::Converging { .. }), "{:?}", change.job_state.phase);
}

#[test]
fn what_an_earlier_run_gave_up_on_is_given_up_on_again_and_not_called_unknown() {
    let (options, now) = (RunOptions::default(), Instant::now());
    let (standing, request_id) = (Standing::TimedOut, Some("id".to_owned()));
    let decision = Decision::Verify { standing, image_before: None, request_id, last_error: None };
    let job_state = JobState::new(JobIndex(0), &UNSENT).begin(decision, now, &options).job_state;
    let change = job_state.on_time(now + options.longest_unconfirmed(), &options, None).expect("a change");
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
        decide(&job, &UNSENT, Some(&stateless))
    };
    assert_eq!(on("new", None), Decision::UpToDate);
    assert!(matches!(on("old", None), Decision::Send { .. }));
    assert!(matches!(on("old", Some("another")), Decision::Fail(_)));
}

#[test]
fn an_engine_with_a_request_to_another_target_still_open_is_not_sent() {
    let open = |image: &str, state| {
        let work = Work::Send {
            open_elsewhere: Some(ImageVersionId::new("elsewhere")),
            sent_before: false,
            image_before: None,
        };
        decide(&job(), &work, Some(&view(image, state)))
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
    stage.job_state = JobState::new(JobIndex(0), &UNSENT);
    stage.job_state.phase = JobState::looking(stage.now);
    stage.snapshot("new", 0);
    assert!(matches!(stage.job_state.phase, Phase::AwaitingRead { .. }));
    stage.wait(30).snapshot("new", 2);
    assert_eq!(stage.outcome(), Some(Outcome::UpToDate));
    assert_eq!(decide(&job(), &UNSENT, Some(&view("new", 0))), Decision::Arriving);
    assert_eq!(decide(&job(), &UNSENT, Some(&view("new", 1))), Decision::UpToDate, "suspended is at rest");
}

#[test]
fn an_engine_that_initialises_on_its_old_image_may_be_on_its_way_and_is_not_sent() {
    assert_eq!(decide(&job(), &UNSENT, Some(&view("old", 0))), Decision::Busy);
    let mut stage = Stage::in_flight(RunOptions::default());
    stage.job_state =
        JobState::new(JobIndex(0), &UNSENT).begin(Decision::Busy, stage.now, &stage.options).job_state;
    stage.wait(30).snapshot("old", 0);
    assert!(matches!(stage.job_state.phase, Phase::AwaitingRead { .. }));
    stage.wait(30).snapshot("old", 2);
    assert_eq!(stage.job_state.phase, Phase::Ready, "it is at rest where it was");
}

#[test]
fn a_doubt_that_nobody_may_look_into_names_the_right_that_is_missing() {
    let (options, now) = (RunOptions::default(), Instant::now());
    let late = now + options.wait_timeout + options.resend_after;
    let mut job_state = JobState::new(JobIndex(0), &UNSENT);
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
    stage.job_state = JobState::new(JobIndex(0), &UNSENT);
    stage.job_state.phase = JobState::looking(stage.now);
    for _ in 0..200 {
        stage.snapshot("new", 0).wait(10);
    }
    assert_eq!(stage.outcome(), Some(Outcome::NotStarted));
}

#[test]
fn a_job_that_was_sent_before_is_never_called_already() {
    let sent_before = Work::Send { open_elsewhere: None, sent_before: true, image_before: None };
    let (options, now) = (RunOptions::default(), Instant::now());
    let change = JobState::new(JobIndex(0), &sent_before).begin(Decision::UpToDate, now, &options);
    assert!(matches!(change.job_state.phase, Phase::Converging { .. }), "it is proven like any other");
}

#[test]
fn what_is_done_but_gone_from_its_target_has_strayed() {
    let done = Decision::Keep { outcome: Outcome::Switched, image_before: None, last_error: None };
    let where_is_it = |view: &FleetView| drift(&job(), &done, view);
    assert_eq!(where_is_it(&view("new", 2)), None);
    assert_eq!(where_is_it(&view("old", 2)), Some("on old".into()));
    assert_eq!(where_is_it(&view("new", -1)), Some("failed (State -1)".into()));
    assert_eq!(where_is_it(&FleetView::default()), None, "a listing can leave an engine out");
    let mut gone = FleetView::default();
    gone.mark_absent(&job().key.region, &job().key.data_engine_id);
    assert_eq!(where_is_it(&gone), Some("not listed".into()));
}

#[test]
fn an_engine_that_one_look_shows_in_two_ways_is_looked_at_again() {
    let job = job();
    let [on_target, on_old] =
        ["new", "old"].map(|image| view(image, 2).engine(&job.key).expect("there").clone());
    for records in [[on_target.clone(), on_old.clone()], [on_old.clone(), on_target]] {
        let mut view = FleetView::default();
        view.take(&job.key.region, records.to_vec());
        assert_eq!(decide(&job, &UNSENT, Some(&view)), Decision::Unclear);
        let now = Instant::now();
        let job_state = JobState::new(JobIndex(0), &UNSENT)
            .begin(Decision::Unclear, now, &RunOptions::default())
            .job_state;
        assert!(matches!(job_state.phase, Phase::AwaitingRead { .. }));
        let mut newer = FleetView::default();
        newer.take(&job.key.region, vec![on_old.clone(), on_old.clone()]);
        view.merge(newer);
        assert!(matches!(decide(&job, &UNSENT, Some(&view)), Decision::Send { .. }), "a clear look");
    }
}
