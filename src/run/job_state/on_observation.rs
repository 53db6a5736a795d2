//! What a look at the engine makes of its job.

use tokio::time::Instant;

use super::{Change, JobState, Phase};
use crate::cloud::catalogue::Class;
use crate::cloud::{EngineRecord, EngineState};
use crate::event::Event;
use crate::job::{ImageVersionId, Job, Outcome};
use crate::ledger::Step;
use crate::run::RunOptions;
use crate::run::fleet_view::{FleetView, Observation, decide, moved, state_text, unexpected};
use crate::run::reasons::{self, found};

/// A look at the fleet.
#[derive(Clone, Copy)]
pub(in crate::run) struct Snapshot<'a> {
    /// What a sweep showed.
    pub(in crate::run) view: &'a FleetView,
    /// When the sweep was asked for. Whatever happened later need not be in it, so this counts where a look must
    /// come after something.
    pub(in crate::run) started: Instant,
    /// When the sweep was over. Whatever it shows was so at some moment before, so this counts where something
    /// must come after a look.
    pub(in crate::run) finished: Instant,
}

impl JobState {
    /// What a look makes of the job, if anything. A look that was asked for before the job came into its
    /// phase proves nothing and is passed over.
    pub(in crate::run) fn on_observation(
        &self,
        job: &Job,
        snapshot: Snapshot<'_>,
        options: &RunOptions,
    ) -> Option<Change> {
        let record = snapshot.view.engine(&job.key);
        let observation = snapshot.view.observe(&job.key, self.image_before.as_ref());
        match self.phase {
            Phase::AwaitingRead { since, .. } if snapshot.started >= since => {
                Some(match self.resend_class() {
                    None => {
                        let mut change = self.begin(
                            decide(job, &self.work, Some(snapshot.view)),
                            snapshot.finished,
                            options,
                        );
                        if let Phase::AwaitingRead { since: begun, .. } = &mut change.job_state.phase {
                            // it goes on looking, and the time that this may take goes on as well
                            *begun = since;
                        }
                        change
                    }
                    Some(class) => self.observe_refused(class, &observation, since, snapshot, options),
                })
            }
            Phase::Unconfirmed { since, old_image_since, accepted } if snapshot.started >= since => {
                let unconfirmed = |old_image_since| Phase::Unconfirmed { since, old_image_since, accepted };
                Some(self.observe_unconfirmed(&observation, old_image_since, unconfirmed, snapshot, options))
            }
            Phase::Converging { since, ready_since } if snapshot.started >= since => {
                Some(self.observe_converging(&observation, record, (since, ready_since), snapshot, options))
            }
            _ => None,
        }
    }

    /// Judges once more a job that is about to be sent, by the newest look there is. Time has passed since it
    /// became ready, perhaps much.
    pub(in crate::run) fn decide_again(
        &self,
        job: &Job,
        view: &FleetView,
        now: Instant,
        options: &RunOptions,
    ) -> Change {
        let observation = view.observe(&job.key, self.image_before.as_ref());
        let expected = job.expected_image_version_id.as_ref();
        if self.resend_class().is_none() {
            return self.begin(decide(job, &self.work, Some(view)), now, options);
        }
        let look_again = || {
            let phase = Phase::AwaitingRead { since: now, due: now + options.poll_interval };
            self.to(phase, Vec::new())
        };
        match &observation {
            Observation::Target { .. } => self.found_on_target(false, now, options),
            Observation::Contradictory | Observation::NotShown => look_again(),
            // busy, perhaps with a request of ours that was given up for lost
            Observation::OldImage { state, .. }
                if state.is_none_or(|state| state == EngineState::INITIALISING) =>
            {
                look_again()
            }
            // the plan may have come to expect another image than the one before the earlier request
            Observation::OldImage { image, .. }
                if expected.is_some_and(|expected| !view.is_on(&job.key, expected)) =>
            {
                self.fail(unexpected(&format!("it is on {image}"), expected), None, Vec::new())
            }
            Observation::OldImage { image, .. } => self.on(image).to(Phase::Ready, Vec::new()),
            _ => self
                .left_for_other_image(&observation, false)
                .unwrap_or_else(|| self.to(Phase::Ready, Vec::new())),
        }
    }

    /// For a job that was sent before, the class of what sent it back; none for one that was never sent.
    fn resend_class(&self) -> Option<Class> {
        self.refused.or(self.sent.then_some(Class::Busy))
    }

    fn observe_refused(
        &self,
        class: Class,
        observation: &Observation,
        since: Instant,
        snapshot: Snapshot<'_>,
        options: &RunOptions,
    ) -> Change {
        match observation {
            Observation::Target { state } => {
                self.found_on_target(is_running(*state), snapshot.finished, options)
            }
            Observation::OldImage { image, state: Some(state) } if *state != EngineState::INITIALISING => {
                let stands_still = class == Class::NotRunning && *state != EngineState::RUNNING;
                if stands_still || self.attempts >= options.max_attempts {
                    return self.fail(self.last_error_or_default(), None, Vec::new());
                }
                self.on(image).to(Phase::Ready, Vec::new())
            }
            // still busy with something, perhaps with our request: look again, but not at once
            _ => self.left_for_other_image(observation, false).unwrap_or_else(|| {
                self.to(
                    Phase::AwaitingRead { since, due: snapshot.finished + options.poll_interval },
                    Vec::new(),
                )
            }),
        }
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
                .left_for_other_image(observation, true)
                .unwrap_or_else(|| self.to(unconfirmed(None), Vec::new())),
        }
    }

    fn observe_converging(
        &self,
        observation: &Observation,
        record: Option<&EngineRecord>,
        (since, ready_since): (Instant, Option<Instant>),
        snapshot: Snapshot<'_>,
        options: &RunOptions,
    ) -> Change {
        let converging = |ready_since| Phase::Converging { since, ready_since };
        match observation {
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
                let step = Step::Switched {
                    image_before: self.image_before.clone(),
                    image_name_after: record.and_then(|record| record.image_version_name.clone()),
                    child_image_after: record.and_then(|record| record.child_image_version_id.clone()),
                };
                self.end(Outcome::Switched, None, vec![step])
            }
            Observation::NotShown => self.to(converging(ready_since), Vec::new()),
            _ => self.left_for_other_image(observation, true).unwrap_or_else(|| {
                let change = self.to(converging(None), Vec::new());
                if ready_since.is_some() { change.telling(Event::NotReady { job: self.job }) } else { change }
            }),
        }
    }

    /// No answer said so, but the engine is on its target.
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

    /// Read-back proves that the unconfirmed request was not applied.
    fn not_applied(&self, image: &ImageVersionId, options: &RunOptions) -> Change {
        let steps = vec![Step::NotApplied { image_seen: image.clone() }];
        let cleared = Event::NotApplied { job: self.job };
        let is_final = matches!(self.refused, Some(Class::Denied | Class::Final(_)));
        if is_final || self.attempts >= options.max_attempts {
            let last_error = self.last_error_or_default();
            // a refusal that proved true says more than we could
            let reason = match &last_error.code {
                code if code == reasons::NO_RESPONSE => {
                    found(reasons::NOT_APPLIED, last_error.message.unwrap_or_default())
                }
                _ => last_error,
            };
            return self.fail(reason, None, steps);
        }
        Self { refused: None, ..self.on(image) }.to(Phase::Ready, steps).telling(cleared)
    }

    /// The engine failed or left for a third image; `applied` is true where a request of this job may have been applied.
    fn left_for_other_image(&self, observation: &Observation, applied: bool) -> Option<Change> {
        let mut reason = match observation {
            Observation::Broken(state) => {
                let code = if applied { reasons::ENGINE_FAILED } else { reasons::ENGINE_NOT_SWITCHABLE };
                found(code, format!("the engine is {}", state_text(*state)))
            }
            Observation::OtherImage(image) => moved(image),
            _ => return None,
        };
        reason.request_id.clone_from(&self.request_id);
        Some(self.fail(reason, None, Vec::new()))
    }

    fn on(&self, image: &ImageVersionId) -> Self {
        Self { image_before: Some(image.clone()), ..self.clone() }
    }
}

fn is_running(state: Option<EngineState>) -> bool {
    state == Some(EngineState::RUNNING)
}
