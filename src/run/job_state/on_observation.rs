//! What a read of the engine makes of its job.

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

/// What one read of the fleet shows.
#[derive(Clone, Copy)]
pub(in crate::run) struct Snapshot<'a> {
    /// What it shows.
    pub(in crate::run) view: &'a FleetView,
    /// When its first call was sent. What happened later need not be in it, so this is compared where a read must come
    /// after something.
    pub(in crate::run) started: Instant,
    /// When its last response came. What it shows was so at some moment before, so this is compared where something must
    /// come after a read.
    pub(in crate::run) finished: Instant,
}

impl JobState {
    /// What a read makes of the job, if anything. A read that was started before the job came into its phase proves
    /// nothing and is ignored.
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

    /// Decides once more about a job that waits for a read, or that is sent next: time has passed since the last decision.
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
        // the service refused because the engine does not run, and it still does not
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
                Some(quiet) if snapshot.started >= quiet + options.resend_after => {
                    self.not_applied(image, options)
                }
                None if options.resend_after.is_zero() => self.not_applied(image, options),
                earlier => self.on(image).to(unconfirmed(earlier.or(Some(snapshot.finished))), Vec::new()),
            },
            Observation::NotShown => self.to(unconfirmed(old_image_since), Vec::new()),
            _ => self
                .left_for_other_image(observation)
                .unwrap_or_else(|| self.to(unconfirmed(None), Vec::new())),
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
                let proven = ready_since.is_some_and(|good| snapshot.started >= good + options.min_ready);
                if !proven {
                    let change = self.to(converging(ready_since.or(Some(snapshot.finished))), Vec::new());
                    return if ready_since.is_none() {
                        change.telling(Event::Ready { job: self.job })
                    } else {
                        change
                    };
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
            _ => self
                .left_for_other_image(&observation)
                .unwrap_or_else(|| self.not_ready(converging(None), ready_since.is_some())),
        }
    }

    /// The engine is not seen running on its target, any more where it `was_ready`.
    fn not_ready(&self, converging: Phase, was_ready: bool) -> Change {
        let change = self.to(converging, Vec::new());
        if was_ready { change.telling(Event::NotReady { job: self.job }) } else { change }
    }

    /// No response said so, but the engine is on its target.
    pub(in crate::run) fn found_on_target(
        &self,
        running: bool,
        seen: Instant,
        options: &RunOptions,
    ) -> Change {
        let step = Step::Accepted { request_id: self.request_id.clone(), latency_ms: None, verified: true };
        let change = if options.wait {
            let ready_since = running.then_some(seen);
            let change = self.to(Phase::Converging { since: seen, ready_since }, vec![step]);
            if running { change.telling(Event::Ready { job: self.job }) } else { change }
        } else {
            self.end(Outcome::Accepted, None, vec![step])
        };
        change.telling(Event::Accepted { job: self.job })
    }

    /// The engine stayed on its old image: the unconfirmed request was not applied.
    fn not_applied(&self, image: &ImageVersionId, options: &RunOptions) -> Change {
        let steps = vec![Step::NotApplied { image_seen: image.clone() }];
        let event = Event::NotApplied { job: self.job };
        let is_final = matches!(self.refused, Some(ErrorClass::Denied | ErrorClass::Final(_)));
        if is_final || self.attempts >= options.max_attempts {
            let last_error = self.last_error_or_default();
            // a refusal says more than that the request was not applied
            let reason = match &last_error.code {
                code if code == reasons::NO_RESPONSE => {
                    found(reasons::NOT_APPLIED, last_error.message.unwrap_or_default())
                }
                _ => last_error,
            };
            return self.fail(reason, None, steps);
        }
        Self { refused: None, ..self.on(image) }.to(Phase::Ready, steps).telling(event)
    }

    /// The engine failed or went to another image version, and a request of this job may have been applied.
    fn left_for_other_image(&self, observation: &Observation) -> Option<Change> {
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
