//! Time: timeouts, suspensions, and the end of the run.

use super::*;
use crate::job::Reason;
use crate::ledger::Standing;
use crate::run::fixtures::past;
use crate::run::reasons;

#[test]
fn an_unconfirmed_request_that_cannot_be_verified_ends_unknown_after_wait_timeout_and_resend_after() {
    let mut fixture = JobFixture::in_flight(RunOptions::default());
    fixture.lose_response().wait(1_859);
    assert_eq!(fixture.outcome(), None, "30 min wait_timeout and 60 s resend_after are not over");
    fixture.wait(1);
    assert_eq!((fixture.outcome(), fixture.code()), (Some(Outcome::Unknown), Some("not-verified")));
}

#[test]
fn a_refusal_that_proves_not_applied_ends_failed_and_not_unknown() {
    for code in ["ResourceInUse", "ResourceNotFound.DataEngineNotActivity"] {
        let mut fixture = JobFixture::in_flight(RunOptions::default());
        fixture.refuse(code).wait(6).read("old", 0).wait(1_800);
        assert_eq!((fixture.outcome(), fixture.code()), (Some(Outcome::Failed), Some(code)));
    }
}

#[test]
fn the_end_of_a_run_fails_no_job_that_may_still_succeed() {
    let outcome_after = |act: fn(&mut JobFixture) -> &mut JobFixture| {
        let mut fixture = JobFixture::in_flight(RunOptions::default());
        act(&mut fixture);
        let change = fixture.job_state.end_with_run(reasons::RUN_ENDED, "SIGINT");
        assert!(change.steps.is_empty(), "the ledger keeps the standing");
        fixture.apply(change);
        fixture.outcome()
    };
    assert_eq!(outcome_after(|fixture| fixture), Some(Outcome::Unknown));
    assert_eq!(outcome_after(|fixture| fixture.lose_response()), Some(Outcome::Unknown));
    assert_eq!(outcome_after(|fixture| fixture.refuse("InternalError")), Some(Outcome::Unknown));
    assert_eq!(outcome_after(|fixture| fixture.refuse("FailedOperation")), Some(Outcome::Unknown));
    assert_eq!(outcome_after(|fixture| fixture.accept()), Some(Outcome::TimedOut));
    assert_eq!(outcome_after(|fixture| fixture.refuse("RequestLimitExceeded")), Some(Outcome::NotStarted));
}

#[test]
fn after_a_suspension_no_wait_ends_before_a_read() {
    let mut fixture = JobFixture::in_flight(RunOptions::default());
    let hours = Duration::from_secs(7_200);
    fixture.accept().read("old", 0).wait(1);
    fixture.now += hours;
    fixture.job_state.extend_wait(hours, fixture.now);
    fixture.wait(1_700);
    assert_eq!(fixture.outcome(), None, "the suspended time does not count, and there was no read");
    fixture.read("new", 2).wait(10).read("new", 2);
    assert_eq!(fixture.outcome(), Some(Outcome::Switched));
}

#[test]
fn a_job_that_timed_out_in_an_earlier_run_times_out_again_and_is_not_unknown() {
    let (options, now) = (RunOptions::default(), Instant::now());
    let mut timed_out = past(Standing::TimedOut);
    timed_out.record.as_mut().expect("a record").request_id = Some("id".into());
    let job_state = carry_out(timed_out, Decision::Verify { image_before: None }, &options).job_state;
    let late = now + options.longest_unconfirmed() + Duration::from_secs(1);
    let change = job_state.on_time(late, &options, None).expect("a change");
    let Phase::Ended(result) = change.job_state.phase else { panic!("{:?}", change.job_state.phase) };
    assert_eq!(result.outcome, Outcome::TimedOut);
    assert_eq!(result.reason.and_then(|reason| reason.request_id), Some("id".into()));
}

#[test]
fn an_unconfirmed_request_without_read_permission_names_the_missing_permission() {
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
    let refusal = |code: &str| Refusal {
        code: code.to_owned(),
        message: "denied by policy".to_owned(),
        request_id: None,
    };
    let denied = reason(Some(&reasons::refused(&refusal("AuthFailure.UnauthorizedOperation"))));
    assert_eq!(denied.code, "verify-denied");
    assert!(denied.remedy.contains("grant dlc:DescribeDataEngines"), "{}", denied.remedy);
    assert!(
        denied.message.expect("a message").contains("AuthFailure.UnauthorizedOperation: denied by policy")
    );
    let broken = reason(Some(&reasons::refused(&refusal("InternalError"))));
    assert!(
        broken
            .message
            .expect("a message")
            .contains("the latest read failed: InternalError: denied by policy")
    );
    assert_eq!((broken.code.as_str(), reason(None).code.as_str()), ("not-verified", "not-verified"));
}
