//! What a look at the engine makes of its job.

use tokio::time::Instant;

use super::Rules;
use super::reasons::{self, found};
use super::sight::{FleetView, Sight, forecast, in_state, moved, unexpected};
use super::track::{Change, Phase, Track};
use crate::cloud::catalogue::Class;
use crate::cloud::{EngineRecord, EngineState};
use crate::event::Event;
use crate::job::{ImageVersionId, Job, Outcome};
use crate::ledger::Step;

/// A look at the fleet.
#[derive(Clone, Copy)]
pub(super) struct Look<'a> {
    /// What a sweep showed.
    pub(super) view: &'a FleetView,
    /// When the sweep was asked for. Whatever happened later need not be in it, so this counts where a look must
    /// come after something.
    pub(super) asked: Instant,
    /// When the sweep was over. Whatever it shows was so at some moment before, so this counts where something
    /// must come after a look.
    pub(super) seen: Instant,
}

impl Track {
    /// What a look makes of the job, if anything. A look that was asked for before the job came into its
    /// phase proves nothing and is passed over.
    pub(super) fn looked(&self, job: &Job, look: Look<'_>, rules: &Rules) -> Option<Change> {
        let record = look.view.engine(&job.key);
        let sight = look.view.sight(&job.key, self.image_before.as_ref());
        match self.phase {
            Phase::Looking { since, .. } if look.asked >= since => Some(match self.class_of_return() {
                None => {
                    let mut change = self.begin(forecast(job, &self.work, Some(look.view)), look.seen, rules);
                    if let Phase::Looking { since: begun, .. } = &mut change.track.phase {
                        // it goes on looking, and the time that this may take goes on as well
                        *begun = since;
                    }
                    change
                }
                Some(class) => self.looked_after_refusal(class, &sight, since, look, rules),
            }),
            Phase::Doubtful { since, quiet_since, accepted } if look.asked >= since => {
                let doubtful = |quiet_since| Phase::Doubtful { since, quiet_since, accepted };
                Some(self.looked_in_doubt(&sight, quiet_since, doubtful, look, rules))
            }
            Phase::Converging { since, good_since } if look.asked >= since => {
                Some(self.looked_converging(&sight, record, (since, good_since), look, rules))
            }
            _ => None,
        }
    }

    /// Judges once more a job that is about to be sent, by the newest look there is. Time has passed since it
    /// became ready, perhaps much.
    pub(super) fn reconsidered(&self, job: &Job, view: &FleetView, now: Instant, rules: &Rules) -> Change {
        let sight = view.sight(&job.key, self.image_before.as_ref());
        let expected = job.expected_image_version_id.as_ref();
        if self.class_of_return().is_none() {
            return self.begin(forecast(job, &self.work, Some(view)), now, rules);
        }
        let look_again = || {
            let phase = Phase::Looking { since: now, due: now + rules.sweep_every };
            self.to(phase, Vec::new())
        };
        match &sight {
            Sight::Target { .. } => self.applied_after_all(false, now, rules),
            Sight::Unclear | Sight::NotShown => look_again(),
            // busy, perhaps with a request of ours that was given up for lost
            Sight::Old { state, .. } if state.is_none_or(|state| state == EngineState::INITIALISING) => {
                look_again()
            }
            // the plan may have come to expect another image than the one before the earlier request
            Sight::Old { image, .. } if expected.is_some_and(|expected| !view.is_on(&job.key, expected)) => {
                self.fail(unexpected(&format!("it is on {image}"), expected), None, Vec::new())
            }
            Sight::Old { image, .. } => self.on(image).to(Phase::Ready, Vec::new()),
            _ => self.went_elsewhere(&sight, false).unwrap_or_else(|| self.to(Phase::Ready, Vec::new())),
        }
    }

    /// For a job that was sent before, the class of what sent it back; none for one that was never sent.
    fn class_of_return(&self) -> Option<Class> {
        self.refused.or(self.sent.then_some(Class::Busy))
    }

    fn looked_after_refusal(
        &self,
        class: Class,
        sight: &Sight,
        since: Instant,
        look: Look<'_>,
        rules: &Rules,
    ) -> Change {
        match sight {
            Sight::Target { state } => self.applied_after_all(is_running(*state), look.seen, rules),
            Sight::Old { image, state: Some(state) } if *state != EngineState::INITIALISING => {
                let stands_still = class == Class::NotRunning && *state != EngineState::RUNNING;
                if stands_still || self.attempts >= rules.max_attempts {
                    return self.fail(self.last_trouble(), None, Vec::new());
                }
                self.on(image).to(Phase::Ready, Vec::new())
            }
            // still busy with something, perhaps with our request: look again, but not at once
            _ => self.went_elsewhere(sight, false).unwrap_or_else(|| {
                self.to(Phase::Looking { since, due: look.seen + rules.sweep_every }, Vec::new())
            }),
        }
    }

    fn looked_in_doubt(
        &self,
        sight: &Sight,
        quiet_since: Option<Instant>,
        doubtful: impl Fn(Option<Instant>) -> Phase,
        look: Look<'_>,
        rules: &Rules,
    ) -> Change {
        match sight {
            Sight::Target { state } => self.applied_after_all(is_running(*state), look.seen, rules),
            Sight::Old { image, state: Some(EngineState::RUNNING) } => match quiet_since {
                Some(quiet) if look.asked >= quiet + rules.grace => self.not_applied(image, rules),
                None if rules.grace.is_zero() => self.not_applied(image, rules),
                earlier => self.on(image).to(doubtful(earlier.or(Some(look.seen))), Vec::new()),
            },
            Sight::NotShown => self.to(doubtful(quiet_since), Vec::new()),
            _ => self.went_elsewhere(sight, true).unwrap_or_else(|| self.to(doubtful(None), Vec::new())),
        }
    }

    fn looked_converging(
        &self,
        sight: &Sight,
        record: Option<&EngineRecord>,
        (since, good_since): (Instant, Option<Instant>),
        look: Look<'_>,
        rules: &Rules,
    ) -> Change {
        let converging = |good_since| Phase::Converging { since, good_since };
        match sight {
            Sight::Target { state: Some(EngineState::RUNNING) } => {
                let proven = good_since.is_some_and(|good| look.asked >= good + rules.settle);
                if !proven {
                    return self.to(converging(good_since.or(Some(look.seen))), Vec::new());
                }
                let step = Step::Switched {
                    image_before: self.image_before.clone(),
                    image_name_after: record.and_then(|record| record.image_version_name.clone()),
                    child_image_after: record.and_then(|record| record.child_image_version_id.clone()),
                };
                self.end(Outcome::Switched, None, vec![step])
            }
            Sight::NotShown => self.to(converging(good_since), Vec::new()),
            _ => self.went_elsewhere(sight, true).unwrap_or_else(|| self.to(converging(None), Vec::new())),
        }
    }

    /// No answer said so, but the engine is on its target.
    pub(super) fn applied_after_all(&self, running: bool, seen: Instant, rules: &Rules) -> Change {
        let step = Step::Accepted { request_id: self.request_id.clone(), latency_ms: None, read_back: true };
        let change = if rules.wait {
            let good_since = running.then_some(seen);
            self.to(Phase::Converging { since: seen, good_since }, vec![step])
        } else {
            self.end(Outcome::Accepted, None, vec![step])
        };
        change.telling(Event::Accepted { job: self.job })
    }

    /// Read-back proves that the doubtful request was not applied.
    fn not_applied(&self, image: &ImageVersionId, rules: &Rules) -> Change {
        let steps = vec![Step::Cleared { image_seen: image.clone() }];
        let cleared = Event::Cleared { job: self.job };
        let is_final = matches!(self.refused, Some(Class::Denied | Class::Final(_)));
        if is_final || self.attempts >= rules.max_attempts {
            let trouble = self.last_trouble();
            // a refusal that proved true says more than we could
            let reason = match &trouble.code {
                code if code == reasons::NO_ANSWER => {
                    found(reasons::NOT_APPLIED, trouble.message.unwrap_or_default())
                }
                _ => trouble,
            };
            return self.fail(reason, None, steps);
        }
        Self { refused: None, ..self.on(image) }.to(Phase::Ready, steps).telling(cleared)
    }

    /// The engine failed or left for a third image; `applied` is true where a request of this job may have been applied.
    fn went_elsewhere(&self, sight: &Sight, applied: bool) -> Option<Change> {
        let mut reason = match sight {
            Sight::Lost(state) => {
                let code = if applied { reasons::ENGINE_BROKE } else { reasons::ENGINE_UNFIT };
                found(code, format!("the engine is {}", in_state(*state)))
            }
            Sight::Third(image) => moved(image),
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
