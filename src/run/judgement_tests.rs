//! The judgements about one job, one claim each: what an answer, a look or time makes of it.

mod first_sight;
mod legality;
mod limits_of_sight;
mod passing_refusals;

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::Timestamp;
use proptest::prelude::*;
use tokio::time::Instant;

use super::Rules;
use super::answered::Answer;
use super::board::Board;
use super::looked::Look;
use super::place::Place;
use super::reasons;
use super::sight::{FleetView, Forecast, forecast};
use super::track::{Change, Effect, Phase, Track};
use super::waves::Waves;
use crate::cloud::catalogue::Class;
use crate::cloud::{Barrier, EngineKind, EngineRecord, EngineState, Fault, Receipt, Refusal};
use crate::job::{DataEngineId, ImageVersionId, Job, JobIndex, JobKey, Outcome, Region};
use crate::ledger::{Entry, Line, Memory, RunOpened, SCHEMA, Standing, Step, Work};

const UNSENT: Work = Work::Send { open_elsewhere: None, sent_before: false, image_before: None };

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
    track: Track,
    rules: Rules,
    now: Instant,
    steps: Vec<Step>,
    effect: Option<Effect>,
}

impl Stage {
    /// A job whose first request is under way, from the image `old`.
    fn in_flight(rules: Rules) -> Self {
        let now = Instant::now();
        let from = Some(ImageVersionId::new("old"));
        let track = Track::new(JobIndex(0), &UNSENT).begin(Forecast::Switch { from }, now, &rules).track;
        let track = track.depart().track.leave().track;
        Self { track, rules, now, steps: Vec::new(), effect: None }
    }

    fn take(&mut self, change: Change) -> &mut Self {
        self.track = change.track;
        self.steps.extend(change.steps);
        self.effect = change.effect;
        self
    }

    fn answer(&mut self, result: Result<Receipt, Fault>) -> &mut Self {
        let mut random = fastrand::Rng::with_seed(1);
        let answer = Answer { result, latency: Duration::from_millis(120) };
        let change = self.track.answered(&answer, self.now, &self.rules, &mut random);
        self.take(change)
    }

    fn send(&mut self) -> &mut Self {
        let change = self.track.depart().track.leave();
        self.take(change)
    }

    fn take_track(&mut self, change: fn(&Track) -> Change) -> &mut Self {
        let change = change(&self.track);
        self.take(change)
    }

    fn accept(&mut self) -> &mut Self {
        self.answer(Ok(Receipt { request_id: "id".into(), doubt: None }))
    }

    fn refuse(&mut self, code: &str) -> &mut Self {
        let refusal = Refusal { code: code.into(), message: "no".into(), request_id: Some("id".into()) };
        self.answer(Err(Fault::Refused(refusal)))
    }

    fn lose_answer(&mut self) -> &mut Self {
        self.answer(Err(Fault::NoAnswer { cause: "reset".into(), http_status: None }))
    }

    /// Lets time pass, one second at a time.
    fn wait(&mut self, seconds: u64) -> &mut Self {
        for _ in 0..seconds {
            self.now += Duration::from_secs(1);
            if let Some(change) = self.track.overdue(self.now, &self.rules, None) {
                self.take(change);
            }
        }
        self
    }

    fn look(&mut self, image: &str, state: i64) -> &mut Self {
        let view = view(image, state);
        self.look_at(&view)
    }

    fn look_at(&mut self, view: &FleetView) -> &mut Self {
        let look = Look { view, asked: self.now, seen: self.now };
        if let Some(change) = self.track.looked(&job(), look, &self.rules) {
            self.take(change);
        }
        self
    }

    fn outcome(&self) -> Option<Outcome> {
        match &self.track.phase {
            Phase::Settled(verdict) => Some(verdict.outcome),
            _ => None,
        }
    }

    fn code(&self) -> Option<&str> {
        match &self.track.phase {
            Phase::Settled(verdict) => verdict.reason.as_ref().map(|reason| reason.code.as_str()),
            _ => None,
        }
    }
}

#[test]
fn two_good_looks_the_settle_time_apart_are_needed() {
    let mut stage = Stage::in_flight(Rules::default());
    stage.accept().look("new", 2).wait(9).look("new", 2);
    assert_eq!(stage.outcome(), None, "nine seconds are not ten");
    stage.wait(1).look("new", 2);
    assert_eq!(stage.outcome(), Some(Outcome::Switched));
}

#[test]
fn even_without_settle_time_one_look_is_not_enough() {
    let rules = Rules { settle: Duration::ZERO, ..Rules::default() };
    let mut stage = Stage::in_flight(rules);
    stage.accept().look("new", 2);
    assert_eq!(stage.outcome(), None);
    stage.look("new", 2);
    assert_eq!(stage.outcome(), Some(Outcome::Switched));
}

#[test]
fn a_bad_look_between_two_good_ones_starts_over() {
    let mut stage = Stage::in_flight(Rules::default());
    stage.accept().look("new", 2).wait(5).look("new", 0).wait(5).look("new", 2);
    assert_eq!(stage.outcome(), None);
    stage.wait(10).look("new", 2);
    assert_eq!(stage.outcome(), Some(Outcome::Switched));
}

#[test]
fn a_look_from_before_the_answer_proves_nothing() {
    let mut stage = Stage::in_flight(Rules::default());
    stage.wait(1).accept();
    let old_look =
        Look { view: &view("new", 2), asked: stage.now - Duration::from_millis(1), seen: stage.now };
    assert!(stage.track.looked(&job(), old_look, &stage.rules).is_none());
}

#[test]
fn running_on_the_old_image_is_not_converged_however_often_it_is_seen() {
    let mut stage = Stage::in_flight(Rules::default());
    stage.accept();
    for _ in 0..100 {
        stage.wait(10).look("old", 2);
    }
    assert_eq!(stage.outcome(), None);
    stage.wait(900);
    assert_eq!(stage.outcome(), Some(Outcome::Unconverged));
}

#[test]
fn an_engine_that_fails_or_goes_elsewhere_is_a_failure() {
    for (image, state, code) in [("new", -1, "engine-broke"), ("third", 2, "moved-by-somebody-else")] {
        let mut stage = Stage::in_flight(Rules::default());
        stage.accept().look(image, state);
        assert_eq!((stage.outcome(), stage.code()), (Some(Outcome::Failed), Some(code)));
    }
}

#[test]
fn a_doubt_is_never_resent_before_the_grace_time_is_over() {
    let mut stage = Stage::in_flight(Rules::default());
    stage.lose_answer();
    for _ in 0..59 {
        stage.look("old", 2).wait(1);
        assert!(matches!(stage.track.phase, Phase::Doubtful { .. }));
    }
    stage.wait(1).look("old", 2);
    assert_eq!(stage.track.phase, Phase::Ready);
    assert!(matches!(stage.steps.last(), Some(Step::Cleared { .. })));
}

#[test]
fn a_sign_of_work_restarts_the_grace_time() {
    let mut stage = Stage::in_flight(Rules::default());
    stage
        .lose_answer()
        .look("old", 2)
        .wait(50)
        .look("old", 0)
        .wait(10)
        .look("old", 2)
        .wait(59)
        .look("old", 2);
    assert!(matches!(stage.track.phase, Phase::Doubtful { .. }));
    stage.wait(1).look("old", 2);
    assert_eq!(stage.track.phase, Phase::Ready);
}

#[test]
fn a_doubtful_switch_that_was_applied_is_accepted_and_then_proven() {
    let mut stage = Stage::in_flight(Rules::default());
    stage.lose_answer().wait(30).look("new", 2).wait(10).look("new", 2);
    assert_eq!(stage.outcome(), Some(Outcome::Switched));
    assert!(stage.steps.iter().any(|step| matches!(step, Step::Accepted { read_back: true, .. })));
}

#[test]
fn a_doubt_that_cannot_be_settled_ends_unknown_and_not_failed() {
    let mut stage = Stage::in_flight(Rules::default());
    stage.lose_answer().wait(1_859);
    assert_eq!(stage.outcome(), None, "half an hour beyond the grace time");
    stage.wait(1);
    assert_eq!((stage.outcome(), stage.code()), (Some(Outcome::Unknown), Some("not-read-back")));
}

#[test]
fn a_doubt_can_be_settled_however_short_the_wait_for_engines_is() {
    let mut stage = Stage::in_flight(Rules { wait_timeout: Duration::from_secs(10), ..Rules::default() });
    stage.refuse("InternalError").wait(1).look("old", 2).wait(60).look("old", 2);
    assert_eq!(stage.track.phase, Phase::Ready);
}

#[test]
fn doubts_that_were_never_applied_end_as_failed_after_the_last_attempt() {
    let mut stage = Stage::in_flight(Rules { max_attempts: 2, ..Rules::default() });
    stage.lose_answer().look("old", 2).wait(60).look("old", 2);
    stage.send().lose_answer().look("old", 2).wait(60).look("old", 2);
    assert_eq!((stage.outcome(), stage.code()), (Some(Outcome::Failed), Some("not-applied")));
}

#[test]
fn the_last_server_fault_is_read_back_before_it_is_called_failed() {
    let rules = Rules { max_attempts: 1, ..Rules::default() };
    let mut stage = Stage::in_flight(rules);
    stage.refuse("InternalError").wait(1).look("old", 2);
    assert_eq!(stage.outcome(), None, "it may be applied late");
    stage.wait(60).look("old", 2);
    assert_eq!((stage.outcome(), stage.code()), (Some(Outcome::Failed), Some("InternalError")));
    let mut stage = Stage::in_flight(rules);
    stage.refuse("InternalError").wait(1).look("new", 2).wait(10).look("new", 2);
    assert_eq!(stage.outcome(), Some(Outcome::Switched));
}

#[test]
fn an_engine_that_is_not_running_is_waited_for_only_while_it_initialises() {
    let mut stage = Stage::in_flight(Rules::default());
    stage.refuse("ResourceNotFound.DataEngineNotActivity").wait(1).look("old", 0);
    assert_eq!(stage.outcome(), None);
    stage.wait(20).look("old", 2);
    assert_eq!(stage.track.phase, Phase::Ready);
    let mut stage = Stage::in_flight(Rules::default());
    stage.refuse("ResourceNotFound.DataEngineNotActivity").wait(1).look("old", 1);
    assert_eq!(stage.code(), Some("ResourceNotFound.DataEngineNotActivity"));
}

#[test]
fn refusals_reach_as_far_as_the_catalogue_says() {
    let effect_of = |code: &str| Stage::in_flight(Rules::default()).refuse(code).effect.clone();
    assert_eq!(effect_of("ResourceNotFound.DataEngineNotFound"), None);
    assert!(matches!(effect_of("ResourceNotFound.ImageVersionNotFound"), Some(Effect::HoldImage(_))));
    assert!(matches!(effect_of("UnsupportedRegion"), Some(Effect::HoldRegion(_))));
    assert!(matches!(effect_of("AuthFailure.SecretIdNotFound"), Some(Effect::Stop(_))));
    assert!(matches!(effect_of("UnauthorizedOperation"), Some(Effect::Denied(_))));
}

#[test]
fn a_request_that_never_left_goes_again_without_a_look() {
    let mut stage = Stage::in_flight(Rules { max_attempts: 2, ..Rules::default() });
    let refused = || Err(Fault::NotSent { cause: "connection refused".into() });
    stage.answer(refused()).wait(1);
    assert_eq!(stage.track.phase, Phase::Ready);
    stage.send().answer(refused());
    assert_eq!((stage.outcome(), stage.code()), (Some(Outcome::Failed), Some("not-sent")));
}

#[test]
fn the_settle_time_counts_from_the_end_of_the_first_look_to_the_beginning_of_the_second() {
    let mut stage = Stage::in_flight(Rules::default());
    stage.accept();
    // the first sweep took twelve seconds, so nobody knows when in them the engine was seen
    let asked = stage.now;
    stage.wait(12);
    let first = Look { view: &view("new", 2), asked, seen: stage.now };
    let change = stage.track.looked(&job(), first, &stage.rules).expect("a change");
    stage.take(change).wait(9).look("new", 2);
    assert_eq!(stage.outcome(), None);
    stage.wait(1).look("new", 2);
    assert_eq!(stage.outcome(), Some(Outcome::Switched));
}

#[test]
fn a_busy_engine_is_looked_at_again_but_not_at_once() {
    let mut stage = Stage::in_flight(Rules::default());
    stage.refuse("ResourceInUse").wait(6).look("old", 0);
    let due = stage.track.urgent_look_due().expect("a look is wanted");
    assert_eq!(due, stage.now + stage.rules.sweep_every);
}

#[test]
fn a_refusal_that_is_sure_never_ends_unknown() {
    for code in ["ResourceInUse", "ResourceNotFound.DataEngineNotActivity"] {
        let mut stage = Stage::in_flight(Rules::default());
        stage.refuse(code).wait(6).look("old", 0).wait(1_800);
        assert_eq!((stage.outcome(), stage.code()), (Some(Outcome::Failed), Some(code)));
    }
}

#[test]
fn a_run_cut_short_calls_nothing_failed_that_may_still_succeed() {
    let cut = |act: fn(&mut Stage) -> &mut Stage| {
        let mut stage = Stage::in_flight(Rules::default());
        act(&mut stage);
        let change = stage.track.cut_short(reasons::RUN_ENDED, "SIGINT");
        assert!(change.steps.is_empty(), "the ledger keeps the job's standing");
        stage.take(change);
        stage.outcome()
    };
    assert_eq!(cut(|stage| stage), Some(Outcome::Unknown));
    assert_eq!(cut(|stage| stage.lose_answer()), Some(Outcome::Unknown));
    assert_eq!(cut(|stage| stage.refuse("InternalError")), Some(Outcome::Unknown));
    assert_eq!(cut(|stage| stage.refuse("FailedOperation")), Some(Outcome::Unknown));
    assert_eq!(cut(|stage| stage.accept()), Some(Outcome::Unconverged));
    assert_eq!(cut(|stage| stage.refuse("RequestLimitExceeded")), Some(Outcome::NotStarted));
}

#[test]
fn a_job_on_its_way_back_does_not_go_again_while_its_engine_is_busy() {
    let busy = |stage: &Stage| {
        stage.track.reconsidered(&job(), &view("old", 0), stage.now, &stage.rules).track.phase
    };
    let mut refused = Stage::in_flight(Rules::default());
    refused.refuse("ResourceInUse").wait(6).look("old", 2);
    assert_eq!(refused.track.phase, Phase::Ready);
    assert!(matches!(busy(&refused), Phase::Looking { .. }));
    let mut cleared = Stage::in_flight(Rules::default());
    cleared.lose_answer().look("old", 2).wait(60).look("old", 2);
    assert_eq!(cleared.track.phase, Phase::Ready);
    assert!(matches!(busy(&cleared), Phase::Looking { .. }));
    let change = cleared.track.reconsidered(&job(), &view("new", 2), cleared.now, &cleared.rules);
    cleared.take(change).look("new", 2).wait(10).look("new", 2);
    assert_eq!(cleared.outcome(), Some(Outcome::Switched), "applied late, and proven");
}
