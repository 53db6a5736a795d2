//! How the response to a request changes its job.

use std::time::Duration;

use tokio::time::Instant;

use super::{Change, Effect, JobState, Phase, unconfirmed};
use crate::cloud::catalogue::{ErrorClass, ErrorScope, look_up, proves_not_applied};
use crate::cloud::{CallError, Receipt, Refusal};
use crate::event::Event;
use crate::job::{Outcome, Reason};
use crate::ledger::Step;
use crate::run::options::RunOptions;
use crate::run::reasons::{self, found, recorded};

/// The response to one request, or the error in its place.
#[derive(Clone, Debug)]
pub(in crate::run) struct Response {
    pub(in crate::run) result: Result<Receipt, CallError>,
    pub(in crate::run) latency: Duration,
}

impl Response {
    fn latency_ms(&self) -> Option<u64> {
        u64::try_from(self.latency.as_millis()).ok()
    }
}

impl Response {
    /// True if the service responded with anything but throttling.
    pub(in crate::run) fn was_not_throttled(&self) -> bool {
        match &self.result {
            Ok(_) => true,
            Err(CallError::Refused(refusal)) => look_up(&refusal.code).class != ErrorClass::Throttled,
            Err(_) => false,
        }
    }
}

impl JobState {
    /// The change that follows from the response to the request in flight.
    pub(in crate::run) fn on_response(
        &self,
        response: &Response,
        now: Instant,
        options: &RunOptions,
        random: &mut fastrand::Rng,
    ) -> Change {
        let latency_ms = response.latency_ms();
        match &response.result {
            Ok(receipt) => self.accepted(receipt, latency_ms, now, options),
            Err(CallError::Refused(refusal)) => self.refused(refusal, latency_ms, now, options, random),
            Err(CallError::SignatureExpired(refusal)) => self.signature_expired(refusal, latency_ms),
            Err(CallError::NotSent { cause }) => self.not_sent(cause, now, options, random),
            Err(CallError::Connection { problem, cause }) => {
                self.stop(reasons::connection_failed(*problem, cause))
            }
            Err(CallError::NoCredentials { cause }) => self.stop(found(reasons::NO_CREDENTIALS, cause)),
            Err(CallError::NoResponse { cause, http_status }) => {
                self.unconfirmed(cause, unconfirmed(None, cause, *http_status, latency_ms), now, options)
            }
        }
    }

    fn accepted(
        &self,
        receipt: &Receipt,
        latency_ms: Option<u64>,
        now: Instant,
        options: &RunOptions,
    ) -> Change {
        let request_id = Some(receipt.request_id.clone());
        let job_state = Self { request_id: request_id.clone(), ..self.clone() };
        if let Some(problem) = &receipt.problem {
            let message = format!("{problem} (RequestId {})", receipt.request_id);
            let step = unconfirmed(None, &message, None, latency_ms);
            return job_state.unconfirmed(problem, step, now, options);
        }
        let step = Step::Accepted { request_id, latency_ms, verified: false };
        let change = if options.verifies() {
            job_state.to(Phase::Converging { since: now, ready_since: None }, vec![step])
        } else {
            job_state.end(Outcome::Accepted, None, vec![step])
        };
        change.with_event(Event::Accepted { job: self.job }).with_effect(Effect::Accepted)
    }

    fn refused(
        &self,
        refusal: &Refusal,
        latency_ms: Option<u64>,
        now: Instant,
        options: &RunOptions,
        random: &mut fastrand::Rng,
    ) -> Change {
        let reason = reasons::refused(refusal);
        let class = look_up(&refusal.code).class;
        let effect = effect_of(class, &reason);
        // the service throttles a request before it reads it, so it uses up no attempt
        let uncounted = u32::from(class == ErrorClass::Throttled);
        let job_state = Self { attempts: self.attempts.saturating_sub(uncounted), ..self.clone() };
        let change = if proves_not_applied(&refusal.code) {
            job_state.refused_before_operation(class, reason, latency_ms, now, options, random)
        } else {
            job_state.refused_unconfirmed(class, reason, latency_ms, now, options, random)
        };
        Change { effect, ..change }
    }

    /// A refusal by a check of the service that comes before the operation.
    fn refused_before_operation(
        &self,
        class: ErrorClass,
        reason: Reason,
        latency_ms: Option<u64>,
        now: Instant,
        options: &RunOptions,
        random: &mut fastrand::Rng,
    ) -> Change {
        let record = recorded(&reason, latency_ms);
        match class {
            ErrorClass::Throttled => self.to(Phase::Ready, vec![Step::Throttled(record)]),
            ErrorClass::Transient | ErrorClass::Busy | ErrorClass::NotRunning => {
                self.refused_temporarily(class, reason, Step::Refused(record), now, options, random)
            }
            ErrorClass::Denied | ErrorClass::Final(_) => self.fail(reason, latency_ms, Vec::new()),
        }
    }

    /// The request was not sent, and no other one can be.
    fn stop(&self, reason: Reason) -> Change {
        let step = Step::NotSent { message: reason.message.clone().unwrap_or_default() };
        self.fail(reason.clone(), None, vec![step]).with_effect(Effect::Stop(reason))
    }

    /// The service does not accept the time or the token of the signature. It refuses such a request before it reads it, so
    /// this uses up no attempt and the engine need not be read. The request is signed anew and sent once more; if that is
    /// refused as well, the run stops.
    fn signature_expired(&self, refusal: &Refusal, latency_ms: Option<u64>) -> Change {
        let reason = reasons::refused(refusal);
        if self.signature_expired {
            return self.fail(reason.clone(), latency_ms, Vec::new()).with_effect(Effect::Stop(reason));
        }
        let step = Step::Refused(recorded(&reason, latency_ms));
        let event = Event::WillRetry {
            job: self.job,
            attempt: self.attempts,
            reason: reason.clone(),
            after: Duration::ZERO,
        };
        let attempts = self.attempts.saturating_sub(1);
        let job_state = Self { attempts, last_error: Some(reason), signature_expired: true, ..self.clone() };
        job_state.to(Phase::Ready, vec![step]).with_event(event).with_effect(Effect::SignatureExpired)
    }

    /// A refusal for a temporary cause; the request was not applied.
    fn refused_temporarily(
        &self,
        class: ErrorClass,
        reason: Reason,
        step: Step,
        now: Instant,
        options: &RunOptions,
        random: &mut fastrand::Rng,
    ) -> Change {
        let job_state = Self { last_error: Some(reason.clone()), ..self.clone() };
        if options.verify {
            let job_state = Self { refused: Some(class), ..job_state };
            return job_state.back_off(class, reason, step, now, options, random);
        }
        if class != ErrorClass::NotRunning && self.attempts < options.max_attempts {
            return job_state.back_off(class, reason, step, now, options, random);
        }
        job_state.fail(reason, None, vec![step])
    }

    /// A refusal that does not prove that the request was not applied: after the backoff the engine is verified like one
    /// without a response. If the refusal is final, the job fails once verification shows that nothing was applied.
    fn refused_unconfirmed(
        &self,
        class: ErrorClass,
        reason: Reason,
        latency_ms: Option<u64>,
        now: Instant,
        options: &RunOptions,
        random: &mut fastrand::Rng,
    ) -> Change {
        let step = unconfirmed(Some(&reason), &reason.cause, None, latency_ms);
        let job_state = Self { last_error: Some(reason.clone()), refused: Some(class), ..self.clone() };
        if !options.verify {
            let message = format!("{}, and --no-verify turns off verification", reason.code);
            let unknown =
                Reason { request_id: reason.request_id.clone(), ..found(reasons::VERIFY_OFF, reason.code) };
            return job_state.end(Outcome::Unknown, Some(unknown), vec![step, Step::Unknown { message }]);
        }
        let after = match class {
            ErrorClass::Busy => options.delays.busy.wait(self.attempts, random),
            ErrorClass::Transient | ErrorClass::NotRunning | ErrorClass::Throttled => {
                options.delays.transient.wait(self.attempts, random)
            }
            ErrorClass::Denied | ErrorClass::Final(_) => Duration::ZERO,
        };
        let event = Event::Unconfirmed { job: self.job, reason };
        let phase = Phase::Unconfirmed { since: now + after, old_image_since: None, accepted: false };
        job_state.to(phase, vec![step]).with_event(event)
    }

    fn back_off(
        &self,
        class: ErrorClass,
        reason: Reason,
        step: Step,
        now: Instant,
        options: &RunOptions,
        random: &mut fastrand::Rng,
    ) -> Change {
        let schedule = match class {
            ErrorClass::Busy => options.delays.busy,
            _ => options.delays.transient,
        };
        let after = schedule.wait(self.attempts, random);
        let change = self.to(Phase::BackingOff { until: now + after }, vec![step]);
        // without another attempt the job only waits for the read
        if self.attempts >= options.max_attempts {
            return change;
        }
        change.with_event(Event::WillRetry { job: self.job, attempt: self.attempts, reason, after })
    }

    fn not_sent(
        &self,
        cause: &str,
        now: Instant,
        options: &RunOptions,
        random: &mut fastrand::Rng,
    ) -> Change {
        let reason = found(reasons::NOT_SENT, cause);
        let step = Step::NotSent { message: cause.into() };
        if self.attempts >= options.max_attempts {
            return self.fail(reason, None, vec![step]);
        }
        let job_state = Self { last_error: Some(reason.clone()), ..self.clone() };
        job_state.back_off(ErrorClass::Transient, reason, step, now, options, random)
    }

    /// There is no readable response.
    fn unconfirmed(&self, cause: &str, step: Step, now: Instant, options: &RunOptions) -> Change {
        let reason = |code| Reason { request_id: self.request_id.clone(), ..found(code, cause) };
        let no_response = reason(reasons::NO_RESPONSE);
        let job_state = Self { last_error: Some(no_response.clone()), ..self.clone() };
        if !options.verify {
            let unknown = reason(reasons::VERIFY_OFF);
            let steps = vec![step, Step::Unknown { message: cause.into() }];
            return job_state.end(Outcome::Unknown, Some(unknown), steps);
        }
        let event = Event::Unconfirmed { job: self.job, reason: no_response };
        let unconfirmed = Phase::Unconfirmed { since: now, old_image_since: None, accepted: false };
        job_state.to(unconfirmed, vec![step]).with_event(event)
    }
}

/// What a refusal means for other jobs.
fn effect_of(class: ErrorClass, reason: &Reason) -> Option<Effect> {
    let reason = reason.clone();
    match class {
        ErrorClass::Throttled => Some(Effect::Throttled(reason)),
        ErrorClass::Denied => Some(Effect::Denied(reason)),
        ErrorClass::Final(ErrorScope::Image) => Some(Effect::HoldImage(reason)),
        ErrorClass::Final(ErrorScope::Region) => Some(Effect::HoldRegion(reason)),
        ErrorClass::Final(ErrorScope::Account) => Some(Effect::Stop(reason)),
        ErrorClass::Transient
        | ErrorClass::Busy
        | ErrorClass::NotRunning
        | ErrorClass::Final(ErrorScope::Engine) => None,
    }
}
