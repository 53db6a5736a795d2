//! What the answer to a request makes of its job.

use std::time::Duration;

use tokio::time::Instant;

use super::Rules;
use super::reasons::{self, found, recorded};
use super::track::{Change, Effect, Phase, Track, unconfirmed};
use crate::cloud::catalogue::{Class, Reach, look_up, proves_not_applied};
use crate::cloud::{Fault, Receipt, Refusal};
use crate::event::Event;
use crate::job::{Outcome, Reason};
use crate::ledger::Step;

/// What came back for one request.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    pub(super) result: Result<Receipt, Fault>,
    pub(super) latency: Duration,
}

impl Answer {
    fn latency_ms(&self) -> Option<u64> {
        u64::try_from(self.latency.as_millis()).ok()
    }
}

impl Answer {
    /// True for every answer of the service but that requests come too fast.
    pub(super) fn passed_the_limit(&self) -> bool {
        match &self.result {
            Ok(_) => true,
            Err(Fault::Refused(refusal)) => look_up(&refusal.code).class != Class::Throttled,
            Err(_) => false,
        }
    }
}

impl Track {
    /// What the answer to the request under way makes of the job.
    pub(super) fn answered(
        &self,
        answer: &Answer,
        now: Instant,
        rules: &Rules,
        random: &mut fastrand::Rng,
    ) -> Change {
        let latency_ms = answer.latency_ms();
        match &answer.result {
            Ok(receipt) => self.accepted(receipt, latency_ms, now, rules),
            Err(Fault::Refused(refusal)) => self.refused(refusal, latency_ms, now, rules, random),
            Err(Fault::Outdated(refusal)) => self.outdated(refusal, latency_ms),
            Err(Fault::NotSent { cause }) => self.not_sent(cause, now, rules, random),
            Err(Fault::Barred { by, cause }) => self.stop(reasons::barred(*by, cause)),
            Err(Fault::NoCredentials { cause }) => self.stop(found(reasons::NO_CREDENTIALS, cause)),
            Err(Fault::NoAnswer { cause, http_status }) => {
                self.doubtful(cause, unconfirmed(None, cause, *http_status, latency_ms), now, rules)
            }
        }
    }

    fn accepted(&self, receipt: &Receipt, latency_ms: Option<u64>, now: Instant, rules: &Rules) -> Change {
        let request_id = Some(receipt.request_id.clone());
        let track = Self { request_id: request_id.clone(), ..self.clone() };
        if let Some(doubt) = &receipt.doubt {
            let message = format!("{doubt} (RequestId {})", receipt.request_id);
            let step = unconfirmed(None, &message, None, latency_ms);
            return track.doubtful(doubt, step, now, rules);
        }
        let step = Step::Accepted { request_id, latency_ms, read_back: false };
        let change = if rules.proves() {
            track.to(Phase::Converging { since: now, good_since: None }, vec![step])
        } else {
            track.end(Outcome::Accepted, None, vec![step])
        };
        change.telling(Event::Accepted { job: self.job }).with(Effect::Accepted)
    }

    fn refused(
        &self,
        refusal: &Refusal,
        latency_ms: Option<u64>,
        now: Instant,
        rules: &Rules,
        random: &mut fastrand::Rng,
    ) -> Change {
        let reason = reasons::refused(refusal);
        let class = look_up(&refusal.code).class;
        let effect = effect_of(class, &reason);
        // throttled calls are refused before they are read, so they use up no attempt
        let uncounted = u32::from(class == Class::Throttled);
        let track = Self { attempts: self.attempts.saturating_sub(uncounted), ..self.clone() };
        let change = if proves_not_applied(&refusal.code) {
            track.not_applied_by(class, reason, latency_ms, now, rules, random)
        } else {
            track.unproven(class, reason, latency_ms, now, rules, random)
        };
        Change { effect, ..change }
    }

    /// A refusal by a check that comes before the operation.
    fn not_applied_by(
        &self,
        class: Class,
        reason: Reason,
        latency_ms: Option<u64>,
        now: Instant,
        rules: &Rules,
        random: &mut fastrand::Rng,
    ) -> Change {
        let record = recorded(&reason, latency_ms);
        match class {
            Class::Throttled => self.to(Phase::Ready, vec![Step::Throttled(record)]),
            Class::Transient | Class::Busy | Class::NotRunning => {
                self.may_pass(class, reason, Step::Refused(record), now, rules, random)
            }
            Class::Denied | Class::Final(_) => self.fail(reason, latency_ms, Vec::new()),
        }
    }

    /// Nothing was sent, and nothing else can be.
    fn stop(&self, reason: Reason) -> Change {
        let step = Step::NotSent { message: reason.message.clone().unwrap_or_default() };
        self.fail(reason.clone(), None, vec![step]).with(Effect::Stop(reason))
    }

    /// A signature with a time or a token that the service does not accept: refused before the request was read, so
    /// it counts as no attempt and needs no look. The next one is better; if that is refused as well, nothing is.
    fn outdated(&self, refusal: &Refusal, latency_ms: Option<u64>) -> Change {
        let reason = reasons::refused(refusal);
        if self.outdated {
            return self.fail(reason.clone(), latency_ms, Vec::new()).with(Effect::Stop(reason));
        }
        let step = Step::Refused(recorded(&reason, latency_ms));
        let again = Event::WillRetry {
            job: self.job,
            attempt: self.attempts,
            reason: reason.clone(),
            after: Duration::ZERO,
        };
        let attempts = self.attempts.saturating_sub(1);
        let track = Self { attempts, trouble: Some(reason), outdated: true, ..self.clone() };
        track.to(Phase::Ready, vec![step]).telling(again).with(Effect::Outdated)
    }

    /// A refusal that may pass, of a request that was not applied.
    fn may_pass(
        &self,
        class: Class,
        reason: Reason,
        step: Step,
        now: Instant,
        rules: &Rules,
        random: &mut fastrand::Rng,
    ) -> Change {
        let track = Self { trouble: Some(reason.clone()), ..self.clone() };
        if rules.read_back {
            let track = Self { refused: Some(class), ..track };
            return track.back_off(class, reason, step, now, rules, random);
        }
        if class != Class::NotRunning && self.attempts < rules.max_attempts {
            return track.back_off(class, reason, step, now, rules, random);
        }
        track.fail(reason, None, vec![step])
    }

    /// A refusal that does not prove that nothing was applied: after the back-off the engine is read like one whose
    /// answer was lost. Where the refusal is final, the job fails once that shows that nothing was applied.
    fn unproven(
        &self,
        class: Class,
        reason: Reason,
        latency_ms: Option<u64>,
        now: Instant,
        rules: &Rules,
        random: &mut fastrand::Rng,
    ) -> Change {
        let step = unconfirmed(Some(&reason), &reason.cause, None, latency_ms);
        let track = Self { trouble: Some(reason.clone()), refused: Some(class), ..self.clone() };
        if !rules.read_back {
            let message = format!("{} and no verification", reason.code);
            let unknown = Reason {
                request_id: reason.request_id.clone(),
                ..found(reasons::READ_BACK_OFF, reason.code)
            };
            return track.end(Outcome::Unknown, Some(unknown), vec![step, Step::Unknown { message }]);
        }
        let after = match class {
            Class::Busy => rules.delays.busy.wait(self.attempts, random),
            Class::Transient | Class::NotRunning | Class::Throttled => {
                rules.delays.transient.wait(self.attempts, random)
            }
            Class::Denied | Class::Final(_) => Duration::ZERO,
        };
        let event = Event::Doubtful { job: self.job, reason };
        let phase = Phase::Doubtful { since: now + after, quiet_since: None, accepted: false };
        track.to(phase, vec![step]).telling(event)
    }

    fn back_off(
        &self,
        class: Class,
        reason: Reason,
        step: Step,
        now: Instant,
        rules: &Rules,
        random: &mut fastrand::Rng,
    ) -> Change {
        let schedule = match class {
            Class::Busy => rules.delays.busy,
            _ => rules.delays.transient,
        };
        let after = schedule.wait(self.attempts, random);
        let change = self.to(Phase::BackingOff { until: now + after }, vec![step]);
        // without another attempt there is nothing to wait for but the look
        if self.attempts >= rules.max_attempts {
            return change;
        }
        change.telling(Event::WillRetry { job: self.job, attempt: self.attempts, reason, after })
    }

    fn not_sent(&self, cause: &str, now: Instant, rules: &Rules, random: &mut fastrand::Rng) -> Change {
        let reason = found(reasons::NOT_SENT, cause);
        let step = Step::NotSent { message: cause.into() };
        if self.attempts >= rules.max_attempts {
            return self.fail(reason, None, vec![step]);
        }
        let track = Self { trouble: Some(reason.clone()), ..self.clone() };
        track.back_off(Class::Transient, reason, step, now, rules, random)
    }

    /// No readable answer.
    fn doubtful(&self, cause: &str, step: Step, now: Instant, rules: &Rules) -> Change {
        let told = |code| Reason { request_id: self.request_id.clone(), ..found(code, cause) };
        let reason = told(reasons::NO_ANSWER);
        let track = Self { trouble: Some(reason.clone()), ..self.clone() };
        if !rules.read_back {
            let unknown = told(reasons::READ_BACK_OFF);
            let steps = vec![step, Step::Unknown { message: cause.into() }];
            return track.end(Outcome::Unknown, Some(unknown), steps);
        }
        let event = Event::Doubtful { job: self.job, reason };
        let doubtful = Phase::Doubtful { since: now, quiet_since: None, accepted: false };
        track.to(doubtful, vec![step]).telling(event)
    }
}

/// What a refusal means for other jobs.
fn effect_of(class: Class, reason: &Reason) -> Option<Effect> {
    let reason = reason.clone();
    match class {
        Class::Throttled => Some(Effect::Throttled(reason)),
        Class::Denied => Some(Effect::Denied(reason)),
        Class::Final(Reach::Image) => Some(Effect::HoldImage(reason)),
        Class::Final(Reach::Region) => Some(Effect::HoldRegion(reason)),
        Class::Final(Reach::Account) => Some(Effect::Stop(reason)),
        Class::Transient | Class::Busy | Class::NotRunning | Class::Final(Reach::Engine) => None,
    }
}
