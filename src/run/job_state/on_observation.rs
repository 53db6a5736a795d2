//! How an observation of the engine changes its job.

use tokio::time::Instant;

use super::{Change, JobState, Phase};
use crate::cloud::EngineState;
use crate::cloud::catalogue::ErrorClass;
use crate::event::Event;
use crate::job::{Decision, ImageVersionId, Job, Outcome};
use crate::ledger::Step;
use crate::run::decide::{decide, moved};
use crate::run::fleet_view::FleetView;
use crate::run::observation::{Observation, state_text};
use crate::run::options::RunOptions;
use crate::run::reasons::{self, found};

/// The result of one read of the fleet.
#[derive(Clone, Copy)]
pub(in crate::run) struct Snapshot<'a> {
    /// What it shows.
    pub(in crate::run) view: &'a FleetView,
    /// When its first call was sent. What happened later may be missing from it, so a read comes after an event only if
    /// this does.
    pub(in crate::run) started: Instant,
    /// When its last response arrived. What it shows was true at some moment before, so an event comes after a read only
    /// if it comes after this.
    pub(in crate::run) finished: Instant,
}

impl JobState {
    /// The change that follows from a read, if any. A read that started before the job entered its phase proves nothing
    /// and is ignored.
    pub(in crate::run) fn on_observation(
        &self,
        job: &Job,
        snapshot: Snapshot<'_>,
        options: &RunOptions,
    ) -> Option<Change> {
        match self.phase {
            Phase::AwaitingRead { since, .. } if snapshot.started >= since => {
                Some(self.decide_again(job, snapshot.view, snapshot.finished, options))
            }
            Phase::Unconfirmed { since, old_image_since, accepted } if snapshot.started >= since => {
                let observation = snapshot.view.observe(&job.key, self.past.image_before.as_ref());
                let unconfirmed = |old_image_since| Phase::Unconfirmed { since, old_image_since, accepted };
                Some(self.observe_unconfirmed(&observation, old_image_since, unconfirmed, snapshot, options))
            }
            Phase::Converging { since, ready_since } if snapshot.started >= since => {
                Some(self.observe_converging(job, (since, ready_since), snapshot, options))
            }
            _ => None,
        }
    }

    /// Decides again for a job that waits for a read or is about to be sent, because the last decision may be out of date.
    pub(in crate::run) fn decide_again(
        &self,
        job: &Job,
        view: &FleetView,
        now: Instant,
        options: &RunOptions,
    ) -> Change {
        let decision = decide(job, &self.past, Some(view), options.retry);
        let is_stopped = || {
            let state = view.engine(&job.key).and_then(|record| record.state);
            state.is_some_and(|state| state != EngineState::RUNNING)
        };
        // the service refused the request because the engine was not running, and it still is not
        if self.refused == Some(ErrorClass::NotRunning)
            && matches!(decision, Decision::Send { .. })
            && is_stopped()
        {
            return self.fail(self.last_error_or_default(), None, Vec::new());
        }
        self.carry_out(decision, now, options)
    }

    fn observe_unconfirmed(
        &self,
        observation: &Observation,
        old_image_since: Option<Instant>,
        unconfirmed: impl Fn(Option<Instant>) -> Phase,
        snapshot: Snapshot<'_>,
        options: &RunOptions,
    ) -> Change {
        match observation {
            Observation::Target { state } => {
                self.found_on_target(is_running(*state), snapshot.finished, options)
            }
            Observation::OldImage { image, state: Some(EngineState::RUNNING) } => match old_image_since {
                Some(since) if snapshot.started >= since + options.resend_after => {
                    self.not_applied(image, options)
                }
                None if options.resend_after.is_zero() => self.not_applied(image, options),
                earlier => self.on(image).to(unconfirmed(earlier.or(Some(snapshot.finished))), Vec::new()),
            },
            Observation::NotShown => self.to(unconfirmed(old_image_since), Vec::new()),
            _ => self.fail_if_lost(observation).unwrap_or_else(|| self.to(unconfirmed(None), Vec::new())),
        }
    }

    fn observe_converging(
        &self,
        job: &Job,
        (since, ready_since): (Instant, Option<Instant>),
        snapshot: Snapshot<'_>,
        options: &RunOptions,
    ) -> Change {
        let converging = |ready_since| Phase::Converging { since, ready_since };
        let observation = snapshot.view.observe(&job.key, self.past.image_before.as_ref());
        match &observation {
            Observation::Target { state: Some(EngineState::RUNNING) } => {
                let is_ready = ready_since.is_some_and(|since| snapshot.started >= since + options.min_ready);
                if !is_ready {
                    return self.to(converging(ready_since.or(Some(snapshot.finished))), Vec::new());
                }
                let record = snapshot.view.engine(&job.key);
                let step = Step::Switched {
                    image_before: self.past.image_before.clone(),
                    image_name_after: record.and_then(|record| record.image_version_name.clone()),
                    child_image_after: record.and_then(|record| record.child_image_version_id.clone()),
                };
                self.end(Outcome::Switched, None, vec![step])
            }
            Observation::NotShown => self.to(converging(ready_since), Vec::new()),
            _ => self.fail_if_lost(&observation).unwrap_or_else(|| self.to(converging(None), Vec::new())),
        }
    }

    /// The engine is on its target although no response accepted the request.
    pub(in crate::run) fn found_on_target(
        &self,
        running: bool,
        read_at: Instant,
        options: &RunOptions,
    ) -> Change {
        let step = Step::Accepted { request_id: self.request_id.clone(), latency_ms: None, verified: true };
        let change = if options.wait {
            let ready_since = running.then_some(read_at);
            self.to(Phase::Converging { since: read_at, ready_since }, vec![step])
        } else {
            self.end(Outcome::Accepted, None, vec![step])
        };
        change.with_event(Event::Accepted { job: self.job })
    }

    /// The engine stayed on its old image: the unconfirmed request was not applied.
    fn not_applied(&self, image: &ImageVersionId, options: &RunOptions) -> Change {
        let steps = vec![Step::NotApplied { image_seen: image.clone() }];
        let event = Event::NotApplied { job: self.job };
        let is_final = matches!(self.refused, Some(ErrorClass::Denied | ErrorClass::Final(_)));
        if is_final || self.attempts >= options.max_attempts {
            let last_error = self.last_error_or_default();
            // a refusal is more precise than the fact that the request was not applied
            let reason = match &last_error.code {
                code if code == reasons::NO_RESPONSE => {
                    found(reasons::NOT_APPLIED, last_error.message.unwrap_or_default())
                }
                _ => last_error,
            };
            return self.fail(reason, None, steps);
        }
        Self { refused: None, ..self.on(image) }.to(Phase::Ready, steps).with_event(event)
    }

    /// Fails the job if its engine failed or another client moved it; a request of this job may have been applied.
    fn fail_if_lost(&self, observation: &Observation) -> Option<Change> {
        let mut reason = match observation {
            Observation::Broken(state) => {
                found(reasons::ENGINE_FAILED, format!("the engine is {}", state_text(*state)))
            }
            Observation::OtherImage(image) => moved(image),
            _ => return None,
        };
        reason.request_id.clone_from(&self.request_id);
        Some(self.fail(reason, None, Vec::new()))
    }

    fn on(&self, image: &ImageVersionId) -> Self {
        self.with_image(Some(image.clone()))
    }
}

fn is_running(state: Option<EngineState>) -> bool {
    state == Some(EngineState::RUNNING)
}
