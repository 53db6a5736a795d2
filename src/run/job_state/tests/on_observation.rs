//! Observations: when a job counts as switched, moved or not applied.

use super::*;

#[test]
fn a_job_is_switched_after_two_reads_on_target_at_least_min_ready_apart() {
    let mut fixture = JobFixture::in_flight(RunOptions::default());
    fixture.accept().read("new", 2).wait(9).read("new", 2);
    assert_eq!(fixture.outcome(), None, "only nine of ten seconds");
    fixture.wait(1).read("new", 2);
    assert_eq!(fixture.outcome(), Some(Outcome::Switched));
}

#[test]
fn a_job_is_not_switched_after_one_read_even_if_min_ready_is_zero() {
    let options = RunOptions { min_ready: Duration::ZERO, ..RunOptions::default() };
    let mut fixture = JobFixture::in_flight(options);
    fixture.accept().read("new", 2);
    assert_eq!(fixture.outcome(), None);
    fixture.read("new", 2);
    assert_eq!(fixture.outcome(), Some(Outcome::Switched));
}

#[test]
fn a_read_of_a_busy_engine_restarts_min_ready() {
    let mut fixture = JobFixture::in_flight(RunOptions::default());
    fixture.accept().read("new", 2).wait(5).read("new", 0).wait(5).read("new", 2);
    assert_eq!(fixture.outcome(), None);
    fixture.wait(10).read("new", 2);
    assert_eq!(fixture.outcome(), Some(Outcome::Switched));
}

#[test]
fn min_ready_counts_from_the_end_of_the_first_read_to_the_start_of_the_second() {
    let mut fixture = JobFixture::in_flight(RunOptions::default());
    fixture.accept();
    // the first read took twelve seconds, and the engine may have been read at any moment of them
    let started = fixture.now;
    fixture.wait(12);
    let first = Snapshot { view: &view("new", 2), started, finished: fixture.now };
    let change = fixture.job_state.on_observation(&job(), first, &fixture.options).expect("a change");
    fixture.apply(change).wait(9).read("new", 2);
    assert_eq!(fixture.outcome(), None);
    fixture.wait(1).read("new", 2);
    assert_eq!(fixture.outcome(), Some(Outcome::Switched));
}

#[test]
fn a_read_that_started_before_the_response_is_ignored() {
    let mut fixture = JobFixture::in_flight(RunOptions::default());
    fixture.wait(1).accept();
    let early_read = Snapshot {
        view: &view("new", 2),
        started: fixture.now - Duration::from_millis(1),
        finished: fixture.now,
    };
    assert!(fixture.job_state.on_observation(&job(), early_read, &fixture.options).is_none());
}

#[test]
fn an_accepted_job_on_its_old_image_times_out() {
    let mut fixture = JobFixture::in_flight(RunOptions::default());
    fixture.accept();
    for _ in 0..100 {
        fixture.wait(10).read("old", 2);
    }
    assert_eq!(fixture.outcome(), None);
    fixture.wait(900);
    assert_eq!(fixture.outcome(), Some(Outcome::TimedOut));
}

#[test]
fn a_job_fails_if_its_engine_fails_or_is_on_a_third_image() {
    for (image, state, code) in [("new", -1, "engine-failed"), ("third", 2, "moved-by-another-client")] {
        let mut fixture = JobFixture::in_flight(RunOptions::default());
        fixture.accept().read(image, state);
        assert_eq!((fixture.outcome(), fixture.code()), (Some(Outcome::Failed), Some(code)));
    }
}

#[test]
fn an_unconfirmed_request_is_not_sent_again_before_resend_after() {
    let mut fixture = JobFixture::in_flight(RunOptions::default());
    fixture.lose_response();
    for _ in 0..59 {
        fixture.read("old", 2).wait(1);
        assert!(matches!(fixture.job_state.phase, Phase::Unconfirmed { .. }));
    }
    fixture.wait(1).read("old", 2);
    assert_eq!(fixture.job_state.phase, Phase::Ready);
    assert!(matches!(fixture.steps.last(), Some(Step::NotApplied { .. })));
}

#[test]
fn a_read_of_a_busy_engine_restarts_resend_after() {
    let mut fixture = JobFixture::in_flight(RunOptions::default());
    fixture
        .lose_response()
        .read("old", 2)
        .wait(50)
        .read("old", 0)
        .wait(10)
        .read("old", 2)
        .wait(59)
        .read("old", 2);
    assert!(matches!(fixture.job_state.phase, Phase::Unconfirmed { .. }));
    fixture.wait(1).read("old", 2);
    assert_eq!(fixture.job_state.phase, Phase::Ready);
}

#[test]
fn an_unconfirmed_request_that_was_applied_is_accepted_and_then_switched() {
    let mut fixture = JobFixture::in_flight(RunOptions::default());
    fixture.lose_response().wait(30).read("new", 2).wait(10).read("new", 2);
    assert_eq!(fixture.outcome(), Some(Outcome::Switched));
    assert!(fixture.steps.iter().any(|step| matches!(step, Step::Accepted { verified: true, .. })));
}

#[test]
fn an_unconfirmed_request_is_verified_even_if_wait_timeout_is_shorter_than_resend_after() {
    let mut fixture =
        JobFixture::in_flight(RunOptions { wait_timeout: Duration::from_secs(10), ..RunOptions::default() });
    fixture.refuse("InternalError").wait(1).read("old", 2).wait(60).read("old", 2);
    assert_eq!(fixture.job_state.phase, Phase::Ready);
}

#[test]
fn a_job_fails_as_not_applied_after_its_last_unconfirmed_attempt() {
    let mut fixture = JobFixture::in_flight(RunOptions { max_attempts: 2, ..RunOptions::default() });
    fixture.lose_response().read("old", 2).wait(60).read("old", 2);
    fixture.send().lose_response().read("old", 2).wait(60).read("old", 2);
    assert_eq!((fixture.outcome(), fixture.code()), (Some(Outcome::Failed), Some("not-applied")));
}

#[test]
fn a_server_fault_of_the_last_attempt_is_verified_before_the_job_fails() {
    let options = RunOptions { max_attempts: 1, ..RunOptions::default() };
    let mut fixture = JobFixture::in_flight(options);
    fixture.refuse("InternalError").wait(1).read("old", 2);
    assert_eq!(fixture.outcome(), None, "it may still be applied");
    fixture.wait(60).read("old", 2);
    assert_eq!((fixture.outcome(), fixture.code()), (Some(Outcome::Failed), Some("InternalError")));
    let mut fixture = JobFixture::in_flight(options);
    fixture.refuse("InternalError").wait(1).read("new", 2).wait(10).read("new", 2);
    assert_eq!(fixture.outcome(), Some(Outcome::Switched));
}

#[test]
fn a_job_refused_as_not_running_waits_for_an_initialising_engine_and_fails_for_a_suspended_one() {
    let mut fixture = JobFixture::in_flight(RunOptions::default());
    fixture.refuse("ResourceNotFound.DataEngineNotActivity").wait(1).read("old", 0);
    assert_eq!(fixture.outcome(), None);
    fixture.wait(20).read("old", 2);
    assert_eq!(fixture.job_state.phase, Phase::Ready);
    let mut fixture = JobFixture::in_flight(RunOptions::default());
    fixture.refuse("ResourceNotFound.DataEngineNotActivity").wait(1).read("old", 1);
    assert_eq!(fixture.code(), Some("ResourceNotFound.DataEngineNotActivity"));
}

#[test]
fn a_busy_engine_is_read_again_after_the_poll_interval() {
    let mut fixture = JobFixture::in_flight(RunOptions::default());
    fixture.refuse("ResourceInUse").wait(6).read("old", 0);
    let due = fixture.job_state.urgent_read_due().expect("a read is due");
    assert_eq!(due, fixture.now + fixture.options.poll_interval);
}

#[test]
fn a_job_that_is_sent_again_waits_while_its_engine_is_busy() {
    let busy = |fixture: &JobFixture| {
        fixture.job_state.decide_again(&job(), &view("old", 0), fixture.now, &fixture.options).job_state.phase
    };
    let mut refused = JobFixture::in_flight(RunOptions::default());
    refused.refuse("ResourceInUse").wait(6).read("old", 2);
    assert_eq!(refused.job_state.phase, Phase::Ready);
    assert!(matches!(busy(&refused), Phase::AwaitingRead { .. }));
    let mut not_applied = JobFixture::in_flight(RunOptions::default());
    not_applied.lose_response().read("old", 2).wait(60).read("old", 2);
    assert_eq!(not_applied.job_state.phase, Phase::Ready);
    assert!(matches!(busy(&not_applied), Phase::AwaitingRead { .. }));
    let change =
        not_applied.job_state.decide_again(&job(), &view("new", 2), not_applied.now, &not_applied.options);
    not_applied.apply(change).read("new", 2).wait(10).read("new", 2);
    assert_eq!(not_applied.outcome(), Some(Outcome::Switched), "the first request was applied late");
}

#[test]
fn a_job_is_up_to_date_only_after_its_engine_on_target_has_initialised() {
    let options = RunOptions::default();
    let mut fixture = JobFixture::in_flight(options);
    fixture.job_state = JobState::new(JobIndex(0), Past::default());
    fixture.job_state.phase = JobState::awaiting_read(fixture.now);
    fixture.read("new", 0);
    assert!(matches!(fixture.job_state.phase, Phase::AwaitingRead { .. }));
    fixture.wait(30).read("new", 2);
    assert_eq!(fixture.outcome(), Some(Outcome::UpToDate));
}

#[test]
fn a_job_whose_engine_never_finishes_initialising_is_not_started() {
    let mut fixture = JobFixture::in_flight(RunOptions::default());
    fixture.job_state = JobState::new(JobIndex(0), Past::default());
    fixture.job_state.phase = JobState::awaiting_read(fixture.now);
    for _ in 0..200 {
        fixture.read("new", 0).wait(10);
    }
    assert_eq!(fixture.outcome(), Some(Outcome::NotStarted));
}
