//! Decisions: what the state of a job becomes when one is carried out.

use super::*;
use crate::cloud::catalogue::ErrorClass;
use crate::ledger::{LastError, RecordedReason, Retry, Standing};
use crate::run::decide::decide;
use crate::run::fixtures::past;

/// Decides for a job as a run without `--skip-failed` and `--retry-moved` does.
fn decision_for(past: &Past, view: &FleetView) -> Decision {
    decide(&job(), past, Some(view), Retry::default())
}

#[test]
fn a_request_of_an_earlier_run_without_a_result_is_verified_first() {
    let options = RunOptions::default();
    for standing in [Standing::Sent, Standing::Unconfirmed, Standing::TimedOut, Standing::Unknown] {
        let decision = decision_for(&past(standing), &view("old", 2));
        assert!(matches!(decision, Decision::Verify { .. }), "{standing:?}: {decision:?}");
        let change = carry_out(past(standing), decision, &options);
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
        let change = carry_out(past, Decision::Verify { image_before: None }, &RunOptions::default());
        assert!(change.steps.is_empty(), "the ledger keeps the code");
        assert_eq!(change.job_state.last_error_or_default().code, code);
        (matches!(change.job_state.phase, Phase::Unconfirmed { .. }), change.job_state.refused)
    };
    assert_eq!(verified("InternalError"), (true, Some(ErrorClass::Transient)));
    assert!(verified("Undocumented").0);
}

#[test]
fn a_released_job_is_sent_after_it_is_verified() {
    let mut failed = past(Standing::Failed);
    failed.record.as_mut().expect("a record").needs_release = true;
    let mut expecting = job();
    expecting.expected_image_version_id = Some(ImageVersionId::new("third"));
    let options = RunOptions { resend_after: Duration::ZERO, ..RunOptions::default() };
    let decision = decide(&expecting, &failed, Some(&view("third", 2)), options.retry);
    let job_state = carry_out(failed, decision, &options).job_state;
    let now = Instant::now();
    let on_third = view("third", 2);
    let snapshot = Snapshot { view: &on_third, started: now, finished: now };
    let change = job_state.on_observation(&expecting, snapshot, &options).expect("a change");
    assert_eq!(change.job_state.phase, Phase::Ready);
    let change = change.job_state.decide_again(&expecting, &on_third, now, &options);
    assert_eq!(change.job_state.phase, Phase::Ready, "it is not verified again");
}

#[test]
fn an_engine_that_another_client_moved_between_two_runs_is_not_switched() {
    let refused = past(Standing::Refused);
    let on = |image: &str| decision_for(&refused, &view(image, 2));
    assert!(matches!(on("old"), Decision::Send { .. }));
    assert!(matches!(on("third"), Decision::Fail(reason) if reason.code == "moved-by-another-client"));
    let change = carry_out(refused.clone(), on("third"), &RunOptions::default());
    assert!(
        matches!(change.steps[..], [Step::Failed(RecordedReason { needs_release: true, .. })]),
        "{:?}",
        change.steps
    );
}

#[test]
fn a_late_effect_of_an_earlier_request_is_verified_and_not_up_to_date() {
    for standing in [Standing::Refused, Standing::Throttled, Standing::NotApplied] {
        let decision = decision_for(&past(standing), &view("new", 2));
        assert_eq!(decision, Decision::UpToDate, "{standing:?}");
        let change = carry_out(past(standing), decision, &RunOptions::default());
        assert!(matches!(change.job_state.phase, Phase::Converging { .. }), "{standing:?}");
    }
}

#[test]
fn a_job_waits_while_its_engine_initialises_on_the_old_image() {
    let busy = decision_for(&Past::default(), &view("old", 0));
    assert!(matches!(&busy, Decision::Wait(reason) if reason.code == "engine-initialising"));
    let mut fixture = JobFixture::in_flight(RunOptions::default());
    fixture.job_state = carry_out(Past::default(), busy, &fixture.options).job_state;
    fixture.now += Duration::from_secs(1);
    fixture.wait(30).read("old", 0);
    assert!(matches!(fixture.job_state.phase, Phase::AwaitingRead { .. }));
    fixture.wait(30).read("old", 2);
    assert_eq!(fixture.job_state.phase, Phase::Ready, "it runs on its old image");
}

#[test]
fn a_job_that_was_sent_before_is_verified_and_not_up_to_date() {
    let change = carry_out(past(Standing::NotSent), Decision::UpToDate, &RunOptions::default());
    assert!(matches!(change.job_state.phase, Phase::Converging { .. }), "it is verified");
}

#[test]
fn a_job_whose_engine_has_contradictory_records_is_read_again() {
    let job = job();
    let [on_target, on_old] =
        ["new", "old"].map(|image| view(image, 2).engine(&job.key).expect("there").clone());
    for records in [[on_target.clone(), on_old.clone()], [on_old.clone(), on_target]] {
        let mut view = FleetView::default();
        view.add_records(&job.key.region, records.to_vec());
        let unclear = decision_for(&Past::default(), &view);
        assert!(matches!(&unclear, Decision::Wait(reason) if reason.code == "engine-unclear"));
        let job_state = carry_out(Past::default(), unclear, &RunOptions::default()).job_state;
        assert!(matches!(job_state.phase, Phase::AwaitingRead { .. }));
        let mut newer = FleetView::default();
        newer.add_records(&job.key.region, vec![on_old.clone(), on_old.clone()]);
        view.merge(newer);
        assert!(matches!(decision_for(&Past::default(), &view), Decision::Send { .. }), "consistent records");
    }
}
