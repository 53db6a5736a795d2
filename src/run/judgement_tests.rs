//! The judgements about one job, one claim each: what an answer, a look or time makes of it.

mod first_decision;
mod legality;
mod limits_of_sight;
mod passing_refusals;

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::Timestamp;
use proptest::prelude::*;
use tokio::time::Instant;

use super::decide::decide;
use super::fleet_view::FleetView;
use super::job_state::Response;
use super::job_state::Snapshot;
use super::job_state::{Change, Effect, JobState, Phase};
use super::job_table::JobTable;
use super::options::RunOptions;
use super::query::Query;
use super::reasons;
use super::waves::Waves;
use crate::cloud::catalogue::ErrorClass;
use crate::cloud::{CallError, ConnectionProblem, EngineKind, EngineRecord, EngineState, Receipt, Refusal};
use crate::job::{DataEngineId, Decision, ImageVersionId, Job, JobIndex, JobKey, Outcome, Region};
use crate::ledger::{
    Entry, History, JobRecord, LastError, Line, Past, Retry, RunStarted, SCHEMA, Standing, Step,
};

/// What the ledger proves of a job whose latest request was sent while its engine was on the image `old`.
fn past(standing: Standing) -> Past {
    let image_before = Some(ImageVersionId::new("old"));
    let record = JobRecord {
        standing,
        image_before: image_before.clone(),
        request_id: None,
        last_error: None,
        needs_release: false,
    };
    Past { record: Some(record), image_before, is_latest: true, ..Past::default() }
}

/// Decides about a job as a run without `--skip-failed` and `--retry-moved` does.
fn decided(past: &Past, view: Option<&FleetView>) -> Decision {
    decide(&job(), past, view, Retry::default())
}

fn carried_out(past: Past, decision: Decision, options: &RunOptions) -> Change {
    JobState::new(JobIndex(0), past).carry_out(decision, Instant::now(), options)
}

fn job() -> Job {
    Job {
        key: JobKey {
            region: Region::new("ap-guangzhou"),
            data_engine_id: DataEngineId::new("DataEngine-1"),
            new_image_version_id: ImageVersionId::new("new"),
        },
        wave: 0,
        data_engine_name: None,
        expected_image_version_id: None,
        note: None,
    }
}

fn view(image: &str, state: i64) -> FleetView {
    let record = EngineRecord {
        data_engine_id: DataEngineId::new("DataEngine-1"),
        name: None,
        state: Some(EngineState(state)),
        image_version_id: Some(ImageVersionId::new(image)),
        image_version_name: None,
        child_image_version_id: None,
        engine_type_detail: None,
        kind: Some(EngineKind::ALL[0]),
    };
    let mut view = FleetView::default();
    view.take(&Region::new("ap-guangzhou"), vec![record]);
    view
}

/// One job, its rules and a clock that only moves when told to.
struct Stage {
    job_state: JobState,
    options: RunOptions,
    now: Instant,
    steps: Vec<Step>,
    effect: Option<Effect>,
}

impl Stage {
    /// A job whose first request is under way, from the image `old`.
    fn in_flight(options: RunOptions) -> Self {
        let now = Instant::now();
        let from = Some(ImageVersionId::new("old"));
        let job_state = JobState::new(JobIndex(0), Past::default())
            .carry_out(Decision::Send { from }, now, &options)
            .job_state;
        let job_state = job_state.prepare_send().job_state.mark_sent().job_state;
        Self { job_state, options, now, steps: Vec::new(), effect: None }
    }

    fn take(&mut self, change: Change) -> &mut Self {
        self.job_state = change.job_state;
        self.steps.extend(change.steps);
        self.effect = change.effect;
        self
    }

    fn answer(&mut self, result: Result<Receipt, CallError>) -> &mut Self {
        let mut random = fastrand::Rng::with_seed(1);
        let answer = Response { result, latency: Duration::from_millis(120) };
        let change = self.job_state.on_response(&answer, self.now, &self.options, &mut random);
        self.take(change)
    }

    fn send(&mut self) -> &mut Self {
        let change = self.job_state.prepare_send().job_state.mark_sent();
        self.take(change)
    }

    fn take_track(&mut self, change: fn(&JobState) -> Change) -> &mut Self {
        let change = change(&self.job_state);
        self.take(change)
    }

    fn accept(&mut self) -> &mut Self {
        self.answer(Ok(Receipt { request_id: "id".into(), problem: None }))
    }

    fn refuse(&mut self, code: &str) -> &mut Self {
        let refusal = Refusal { code: code.into(), message: "no".into(), request_id: Some("id".into()) };
        self.answer(Err(CallError::Refused(refusal)))
    }

    fn lose_answer(&mut self) -> &mut Self {
        self.answer(Err(CallError::NoResponse { cause: "reset".into(), http_status: None }))
    }

    /// Lets time pass, one second at a time.
    fn wait(&mut self, seconds: u64) -> &mut Self {
        for _ in 0..seconds {
            self.now += Duration::from_secs(1);
            if let Some(change) = self.job_state.on_time(self.now, &self.options, None) {
                self.take(change);
            }
        }
        self
    }

    fn snapshot(&mut self, image: &str, state: i64) -> &mut Self {
        let view = view(image, state);
        self.look_at(&view)
    }

    fn look_at(&mut self, view: &FleetView) -> &mut Self {
        let snapshot = Snapshot { view, started: self.now, finished: self.now };
        if let Some(change) = self.job_state.on_observation(&job(), snapshot, &self.options) {
            self.take(change);
        }
        self
    }

    fn outcome(&self) -> Option<Outcome> {
        match &self.job_state.phase {
            Phase::Ended(result) => Some(result.outcome),
            _ => None,
        }
    }

    fn code(&self) -> Option<&str> {
        match &self.job_state.phase {
            Phase::Ended(result) => result.reason.as_ref().map(|reason| reason.code.as_str()),
            _ => None,
        }
    }
}

#[test]
fn two_good_looks_the_settle_time_apart_are_needed() {
    let mut stage = Stage::in_flight(RunOptions::default());
    stage.accept().snapshot("new", 2).wait(9).snapshot("new", 2);
    assert_eq!(stage.outcome(), None, "nine seconds are not ten");
    stage.wait(1).snapshot("new", 2);
    assert_eq!(stage.outcome(), Some(Outcome::Switched));
}

#[test]
fn even_without_settle_time_one_look_is_not_enough() {
    let options = RunOptions { min_ready: Duration::ZERO, ..RunOptions::default() };
    let mut stage = Stage::in_flight(options);
    stage.accept().snapshot("new", 2);
    assert_eq!(stage.outcome(), None);
    stage.snapshot("new", 2);
    assert_eq!(stage.outcome(), Some(Outcome::Switched));
}

#[test]
fn a_bad_look_between_two_good_ones_starts_over() {
    let mut stage = Stage::in_flight(RunOptions::default());
    stage.accept().snapshot("new", 2).wait(5).snapshot("new", 0).wait(5).snapshot("new", 2);
    assert_eq!(stage.outcome(), None);
    stage.wait(10).snapshot("new", 2);
    assert_eq!(stage.outcome(), Some(Outcome::Switched));
}

#[test]
fn a_look_from_before_the_answer_proves_nothing() {
    let mut stage = Stage::in_flight(RunOptions::default());
    stage.wait(1).accept();
    let old_look = Snapshot {
        view: &view("new", 2),
        started: stage.now - Duration::from_millis(1),
        finished: stage.now,
    };
    assert!(stage.job_state.on_observation(&job(), old_look, &stage.options).is_none());
}

#[test]
fn running_on_the_old_image_is_not_converged_however_often_it_is_seen() {
    let mut stage = Stage::in_flight(RunOptions::default());
    stage.accept();
    for _ in 0..100 {
        stage.wait(10).snapshot("old", 2);
    }
    assert_eq!(stage.outcome(), None);
    stage.wait(900);
    assert_eq!(stage.outcome(), Some(Outcome::TimedOut));
}

#[test]
fn an_engine_that_fails_or_goes_elsewhere_is_a_failure() {
    for (image, state, code) in [("new", -1, "engine-failed"), ("third", 2, "moved-by-another-client")] {
        let mut stage = Stage::in_flight(RunOptions::default());
        stage.accept().snapshot(image, state);
        assert_eq!((stage.outcome(), stage.code()), (Some(Outcome::Failed), Some(code)));
    }
}

#[test]
fn a_doubt_is_never_resent_before_the_grace_time_is_over() {
    let mut stage = Stage::in_flight(RunOptions::default());
    stage.lose_answer();
    for _ in 0..59 {
        stage.snapshot("old", 2).wait(1);
        assert!(matches!(stage.job_state.phase, Phase::Unconfirmed { .. }));
    }
    stage.wait(1).snapshot("old", 2);
    assert_eq!(stage.job_state.phase, Phase::Ready);
    assert!(matches!(stage.steps.last(), Some(Step::NotApplied { .. })));
}

#[test]
fn a_sign_of_work_restarts_the_grace_time() {
    let mut stage = Stage::in_flight(RunOptions::default());
    stage
        .lose_answer()
        .snapshot("old", 2)
        .wait(50)
        .snapshot("old", 0)
        .wait(10)
        .snapshot("old", 2)
        .wait(59)
        .snapshot("old", 2);
    assert!(matches!(stage.job_state.phase, Phase::Unconfirmed { .. }));
    stage.wait(1).snapshot("old", 2);
    assert_eq!(stage.job_state.phase, Phase::Ready);
}

#[test]
fn a_doubtful_switch_that_was_applied_is_accepted_and_then_proven() {
    let mut stage = Stage::in_flight(RunOptions::default());
    stage.lose_answer().wait(30).snapshot("new", 2).wait(10).snapshot("new", 2);
    assert_eq!(stage.outcome(), Some(Outcome::Switched));
    assert!(stage.steps.iter().any(|step| matches!(step, Step::Accepted { verified: true, .. })));
}

#[test]
fn a_doubt_that_cannot_be_settled_ends_unknown_and_not_failed() {
    let mut stage = Stage::in_flight(RunOptions::default());
    stage.lose_answer().wait(1_859);
    assert_eq!(stage.outcome(), None, "half an hour beyond the grace time");
    stage.wait(1);
    assert_eq!((stage.outcome(), stage.code()), (Some(Outcome::Unknown), Some("not-verified")));
}

#[test]
fn a_doubt_can_be_settled_however_short_the_wait_for_engines_is() {
    let mut stage =
        Stage::in_flight(RunOptions { wait_timeout: Duration::from_secs(10), ..RunOptions::default() });
    stage.refuse("InternalError").wait(1).snapshot("old", 2).wait(60).snapshot("old", 2);
    assert_eq!(stage.job_state.phase, Phase::Ready);
}

#[test]
fn doubts_that_were_never_applied_end_as_failed_after_the_last_attempt() {
    let mut stage = Stage::in_flight(RunOptions { max_attempts: 2, ..RunOptions::default() });
    stage.lose_answer().snapshot("old", 2).wait(60).snapshot("old", 2);
    stage.send().lose_answer().snapshot("old", 2).wait(60).snapshot("old", 2);
    assert_eq!((stage.outcome(), stage.code()), (Some(Outcome::Failed), Some("not-applied")));
}

#[test]
fn the_last_server_fault_is_read_back_before_it_is_called_failed() {
    let options = RunOptions { max_attempts: 1, ..RunOptions::default() };
    let mut stage = Stage::in_flight(options);
    stage.refuse("InternalError").wait(1).snapshot("old", 2);
    assert_eq!(stage.outcome(), None, "it may be applied late");
    stage.wait(60).snapshot("old", 2);
    assert_eq!((stage.outcome(), stage.code()), (Some(Outcome::Failed), Some("InternalError")));
    let mut stage = Stage::in_flight(options);
    stage.refuse("InternalError").wait(1).snapshot("new", 2).wait(10).snapshot("new", 2);
    assert_eq!(stage.outcome(), Some(Outcome::Switched));
}

#[test]
fn an_engine_that_is_not_running_is_waited_for_only_while_it_initialises() {
    let mut stage = Stage::in_flight(RunOptions::default());
    stage.refuse("ResourceNotFound.DataEngineNotActivity").wait(1).snapshot("old", 0);
    assert_eq!(stage.outcome(), None);
    stage.wait(20).snapshot("old", 2);
    assert_eq!(stage.job_state.phase, Phase::Ready);
    let mut stage = Stage::in_flight(RunOptions::default());
    stage.refuse("ResourceNotFound.DataEngineNotActivity").wait(1).snapshot("old", 1);
    assert_eq!(stage.code(), Some("ResourceNotFound.DataEngineNotActivity"));
}

#[test]
fn refusals_reach_as_far_as_the_catalogue_says() {
    let effect_of = |code: &str| Stage::in_flight(RunOptions::default()).refuse(code).effect.clone();
    assert_eq!(effect_of("ResourceNotFound.DataEngineNotFound"), None);
    assert!(matches!(effect_of("ResourceNotFound.ImageVersionNotFound"), Some(Effect::HoldImage(_))));
    assert!(matches!(effect_of("UnsupportedRegion"), Some(Effect::HoldRegion(_))));
    assert!(matches!(effect_of("AuthFailure.SecretIdNotFound"), Some(Effect::Stop(_))));
    assert!(matches!(effect_of("UnauthorizedOperation"), Some(Effect::Denied(_))));
}

#[test]
fn a_request_that_never_left_goes_again_without_a_look() {
    let mut stage = Stage::in_flight(RunOptions { max_attempts: 2, ..RunOptions::default() });
    let refused = || Err(CallError::NotSent { cause: "connection refused".into() });
    stage.answer(refused()).wait(1);
    assert_eq!(stage.job_state.phase, Phase::Ready);
    stage.send().answer(refused());
    assert_eq!((stage.outcome(), stage.code()), (Some(Outcome::Failed), Some("not-sent")));
}

#[test]
fn the_settle_time_counts_from_the_end_of_the_first_look_to_the_beginning_of_the_second() {
    let mut stage = Stage::in_flight(RunOptions::default());
    stage.accept();
    // the first sweep took twelve seconds, so nobody knows when in them the engine was seen
    let asked = stage.now;
    stage.wait(12);
    let first = Snapshot { view: &view("new", 2), started: asked, finished: stage.now };
    let change = stage.job_state.on_observation(&job(), first, &stage.options).expect("a change");
    stage.take(change).wait(9).snapshot("new", 2);
    assert_eq!(stage.outcome(), None);
    stage.wait(1).snapshot("new", 2);
    assert_eq!(stage.outcome(), Some(Outcome::Switched));
}

#[test]
fn a_busy_engine_is_looked_at_again_but_not_at_once() {
    let mut stage = Stage::in_flight(RunOptions::default());
    stage.refuse("ResourceInUse").wait(6).snapshot("old", 0);
    let due = stage.job_state.urgent_read_due().expect("a look is wanted");
    assert_eq!(due, stage.now + stage.options.poll_interval);
}

#[test]
fn a_refusal_that_is_sure_never_ends_unknown() {
    for code in ["ResourceInUse", "ResourceNotFound.DataEngineNotActivity"] {
        let mut stage = Stage::in_flight(RunOptions::default());
        stage.refuse(code).wait(6).snapshot("old", 0).wait(1_800);
        assert_eq!((stage.outcome(), stage.code()), (Some(Outcome::Failed), Some(code)));
    }
}

#[test]
fn a_run_cut_short_calls_nothing_failed_that_may_still_succeed() {
    let cut = |act: fn(&mut Stage) -> &mut Stage| {
        let mut stage = Stage::in_flight(RunOptions::default());
        act(&mut stage);
        let change = stage.job_state.end_with_run(reasons::RUN_ENDED, "SIGINT");
        assert!(change.steps.is_empty(), "the ledger keeps the job's standing");
        stage.take(change);
        stage.outcome()
    };
    assert_eq!(cut(|stage| stage), Some(Outcome::Unknown));
    assert_eq!(cut(|stage| stage.lose_answer()), Some(Outcome::Unknown));
    assert_eq!(cut(|stage| stage.refuse("InternalError")), Some(Outcome::Unknown));
    assert_eq!(cut(|stage| stage.refuse("FailedOperation")), Some(Outcome::Unknown));
    assert_eq!(cut(|stage| stage.accept()), Some(Outcome::TimedOut));
    assert_eq!(cut(|stage| stage.refuse("RequestLimitExceeded")), Some(Outcome::NotStarted));
}

#[test]
fn a_job_on_its_way_back_does_not_go_again_while_its_engine_is_busy() {
    let busy = |stage: &Stage| {
        stage.job_state.decide_again(&job(), &view("old", 0), stage.now, &stage.options).job_state.phase
    };
    let mut refused = Stage::in_flight(RunOptions::default());
    refused.refuse("ResourceInUse").wait(6).snapshot("old", 2);
    assert_eq!(refused.job_state.phase, Phase::Ready);
    assert!(matches!(busy(&refused), Phase::AwaitingRead { .. }));
    let mut cleared = Stage::in_flight(RunOptions::default());
    cleared.lose_answer().snapshot("old", 2).wait(60).snapshot("old", 2);
    assert_eq!(cleared.job_state.phase, Phase::Ready);
    assert!(matches!(busy(&cleared), Phase::AwaitingRead { .. }));
    let change = cleared.job_state.decide_again(&job(), &view("new", 2), cleared.now, &cleared.options);
    cleared.take(change).snapshot("new", 2).wait(10).snapshot("new", 2);
    assert_eq!(cleared.outcome(), Some(Outcome::Switched), "applied late, and proven");
}
