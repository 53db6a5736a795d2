//! What a look at the engine makes of its job.

use tokio::time::Instant;

use super::Rules;
use super::reasons::{self, found};
use super::sight::{FleetView, Sight, first_sight};
use super::track::{Change, Phase, Track};
use crate::cloud::catalogue::Class;
use crate::cloud::{EngineRecord, EngineState};
use crate::event::Event;
use crate::job::{ImageVersionId, Job, Outcome};
use crate::ledger::Step;

/// A look at the whole fleet: what a sweep showed, and when it was asked for.
pub(super) struct Look<'a> {
    pub(super) view: &'a FleetView,
    pub(super) asked: Instant,
}

impl Track {
    /// What a look makes of the job, if anything. A look that was asked for before the job came into its
    /// phase proves nothing and is passed over.
    pub(super) fn looked(&self, job: &Job, look: &Look<'_>, rules: &Rules) -> Option<Change> {
        let record = look.view.engine(&job.key);
        let target = &job.key.new_image_version_id;
        let sight = Sight::of(record, target, self.image_before.as_ref());
        match self.phase {
            Phase::Looking { since, refused: None } if look.asked >= since => {
                Some(self.begin(first_sight(job, look.view), look.asked, rules))
            }
            Phase::Looking { since, refused: Some(class) } if look.asked >= since => {
                self.looked_after_refusal(class, &sight, look.asked, rules)
            }
            Phase::Doubtful { since, quiet_since } if look.asked >= since => {
                self.looked_in_doubt(&sight, since, quiet_since, look.asked, rules)
            }
            Phase::Converging { since, good_since } if look.asked >= since => {
                self.looked_converging(&sight, record, since, good_since, look.asked, rules)
            }
            _ => None,
        }
    }

    fn looked_after_refusal(
        &self,
        class: Class,
        sight: &Sight,
        asked: Instant,
        rules: &Rules,
    ) -> Option<Change> {
        let trouble = || self.trouble.clone().unwrap_or_else(|| found(reasons::NO_ANSWER, ""));
        match sight {
            Sight::Target { running } => Some(self.applied_after_all(*running, asked, rules)),
            Sight::Lost(_) | Sight::Third(_) => self.went_elsewhere(sight),
            // still busy with something, perhaps with our request
            Sight::Old { state: EngineState::INITIALISING, .. } | Sight::Missing | Sight::Blank => None,
            Sight::Old { state, .. } if class == Class::NotRunning && *state != EngineState::RUNNING => {
                Some(self.fail(trouble(), None, Vec::new()))
            }
            Sight::Old { .. } if self.attempts >= rules.max_attempts => {
                Some(self.fail(trouble(), None, Vec::new()))
            }
            Sight::Old { image, .. } => Some(self.on(image).to(Phase::Ready, Vec::new())),
        }
    }

    fn looked_in_doubt(
        &self,
        sight: &Sight,
        since: Instant,
        quiet_since: Option<Instant>,
        asked: Instant,
        rules: &Rules,
    ) -> Option<Change> {
        let doubtful = |quiet_since| Phase::Doubtful { since, quiet_since };
        match sight {
            Sight::Target { running } => Some(self.applied_after_all(*running, asked, rules)),
            Sight::Lost(_) | Sight::Third(_) => self.went_elsewhere(sight),
            Sight::Old { image, state: EngineState::RUNNING } => match quiet_since {
                Some(quiet) if asked >= quiet + rules.grace => Some(self.not_applied(image, rules)),
                earlier => Some(self.on(image).to(doubtful(earlier.or(Some(asked))), Vec::new())),
            },
            Sight::Old { .. } | Sight::Missing | Sight::Blank => Some(self.to(doubtful(None), Vec::new())),
        }
    }

    fn looked_converging(
        &self,
        sight: &Sight,
        record: Option<&EngineRecord>,
        since: Instant,
        good_since: Option<Instant>,
        asked: Instant,
        rules: &Rules,
    ) -> Option<Change> {
        let converging = |good_since| Phase::Converging { since, good_since };
        match sight {
            Sight::Target { running: true } => {
                let proven = good_since.is_some_and(|good| asked >= good + rules.settle);
                if !proven {
                    return Some(self.to(converging(good_since.or(Some(asked))), Vec::new()));
                }
                let step = Step::Switched {
                    image_before: self.image_before.clone(),
                    image_name_after: record.and_then(|record| record.image_version_name.clone()),
                    child_image_after: record.and_then(|record| record.child_image_version_id.clone()),
                };
                Some(self.end(Outcome::Switched, None, vec![step]))
            }
            Sight::Lost(_) | Sight::Third(_) => self.went_elsewhere(sight),
            Sight::Target { running: false } | Sight::Old { .. } | Sight::Missing | Sight::Blank => {
                Some(self.to(converging(None), Vec::new()))
            }
        }
    }

    /// No answer said so, but the engine is on its target.
    fn applied_after_all(&self, running: bool, asked: Instant, rules: &Rules) -> Change {
        let step = Step::Accepted { request_id: None, latency_ms: None, read_back: true };
        let change = if rules.wait {
            let good_since = running.then_some(asked);
            self.to(Phase::Converging { since: asked, good_since }, vec![step])
        } else {
            self.end(Outcome::Accepted, None, vec![step])
        };
        change.telling(Event::Accepted { job: self.job })
    }

    /// Read-back proves that the doubtful request was not applied.
    fn not_applied(&self, image: &ImageVersionId, rules: &Rules) -> Change {
        let steps = vec![Step::Cleared { image_seen: image.clone() }];
        let cleared = Event::Cleared { job: self.job };
        if self.attempts >= rules.max_attempts {
            let message = self.trouble.as_ref().and_then(|trouble| trouble.message.clone());
            let reason = found(reasons::NOT_APPLIED, message.unwrap_or_default());
            return self.fail(reason, None, steps).telling(cleared);
        }
        self.on(image).to(Phase::Ready, steps).telling(cleared)
    }

    fn went_elsewhere(&self, sight: &Sight) -> Option<Change> {
        let mut reason = match sight {
            Sight::Lost(state) => {
                found(reasons::ENGINE_BROKE, format!("the engine is {} (State {})", state.word(), state.0))
            }
            Sight::Third(image) => found(reasons::MOVED_BY_SOMEBODY_ELSE, format!("it is on {image}")),
            _ => return None,
        };
        reason.request_id.clone_from(&self.request_id);
        Some(self.fail(reason, None, Vec::new()))
    }

    fn on(&self, image: &ImageVersionId) -> Self {
        Self { image_before: Some(image.clone()), ..self.clone() }
    }
}
