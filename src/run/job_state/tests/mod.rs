//! Tests of the state of one job: observations, responses, decisions, time, and the ledger steps of all of these.

mod on_decision;
mod on_observation;
mod on_response;
mod on_time;
mod steps;

use std::time::Duration;

use tokio::time::Instant;

use super::{Change, Effect, JobState, Phase, Response, Snapshot};
use crate::cloud::{CallError, Receipt, Refusal};
use crate::job::{Decision, ImageVersionId, JobIndex, Outcome};
use crate::ledger::{Past, Step};
use crate::run::fixtures::{job, view};
use crate::run::fleet_view::FleetView;
use crate::run::options::RunOptions;

/// The change that a decision makes to a job with this past.
fn carry_out(past: Past, decision: Decision, options: &RunOptions) -> Change {
    JobState::new(JobIndex(0), past).carry_out(decision, Instant::now(), options)
}

/// One job with its options and a clock that the test moves.
struct JobFixture {
    job_state: JobState,
    options: RunOptions,
    now: Instant,
    steps: Vec<Step>,
    effect: Option<Effect>,
}

impl JobFixture {
    /// A job whose first request is in flight; its engine is on the image `old`.
    fn in_flight(options: RunOptions) -> Self {
        let now = Instant::now();
        let from = Some(ImageVersionId::new("old"));
        let job_state = JobState::new(JobIndex(0), Past::default())
            .carry_out(Decision::Send { from }, now, &options)
            .job_state;
        let job_state = job_state.prepare_send().job_state.mark_sent().job_state;
        Self { job_state, options, now, steps: Vec::new(), effect: None }
    }

    fn apply(&mut self, change: Change) -> &mut Self {
        self.job_state = change.job_state;
        self.steps.extend(change.steps);
        self.effect = change.effect;
        self
    }

    fn respond(&mut self, result: Result<Receipt, CallError>) -> &mut Self {
        let mut random = fastrand::Rng::with_seed(1);
        let response = Response { result, latency: Duration::from_millis(120) };
        let change = self.job_state.on_response(&response, self.now, &self.options, &mut random);
        self.apply(change)
    }

    fn send(&mut self) -> &mut Self {
        let change = self.job_state.prepare_send().job_state.mark_sent();
        self.apply(change)
    }

    fn apply_method(&mut self, change: fn(&JobState) -> Change) -> &mut Self {
        let change = change(&self.job_state);
        self.apply(change)
    }

    fn accept(&mut self) -> &mut Self {
        self.respond(Ok(Receipt { request_id: "id".into(), problem: None }))
    }

    fn refuse(&mut self, code: &str) -> &mut Self {
        let refusal = Refusal { code: code.into(), message: "no".into(), request_id: Some("id".into()) };
        self.respond(Err(CallError::Refused(refusal)))
    }

    fn lose_response(&mut self) -> &mut Self {
        self.respond(Err(CallError::NoResponse { cause: "reset".into(), http_status: None }))
    }

    /// Lets time pass, one second at a time.
    fn wait(&mut self, seconds: u64) -> &mut Self {
        for _ in 0..seconds {
            self.now += Duration::from_secs(1);
            if let Some(change) = self.job_state.on_time(self.now, &self.options, None) {
                self.apply(change);
            }
        }
        self
    }

    fn read(&mut self, image: &str, state: i64) -> &mut Self {
        let view = view(image, state);
        self.read_view(&view)
    }

    fn read_view(&mut self, view: &FleetView) -> &mut Self {
        let snapshot = Snapshot { view, started: self.now, finished: self.now };
        if let Some(change) = self.job_state.on_observation(&job(), snapshot, &self.options) {
            self.apply(change);
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
