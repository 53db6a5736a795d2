//! The state of one job in a run, and how responses, observations and time change it.
//!
//! Everything here is pure: each method proposes a change. The dispatcher writes its steps to the ledger before it
//! commits the new state.

mod on_observation;
mod on_response;

pub(super) use on_observation::Snapshot;
pub(super) use on_response::Response;

use std::time::Duration;

use jiff::SignedDuration;
use tokio::time::Instant;

use super::options::RunOptions;
use super::reasons::{self, found, recorded, recorded_error};
use crate::cloud::catalogue::{ErrorClass, look_up};
use crate::event::Event;
use crate::job::{Decision, ImageVersionId, JobIndex, JobResult, Origin, Outcome, Reason};
use crate::ledger::{Past, Standing, Step};

/// The phase of a running job.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Phase {
    /// Its wave has not started.
    Queued,
    /// Needs a read that starts at `since` or later before it may be sent: when its wave starts, or after a refusal.
    AwaitingRead {
        since: Instant,
        /// When the next read is due.
        due: Instant,
    },
    /// May be sent as soon as the rate limiter allows it.
    Ready,
    /// The intent to send is in the ledger; the request is sent as soon as the rate limiter allows it.
    AwaitingLimiter,
    /// A request was sent, and there is no response yet.
    InFlight,
    /// Waits before it is sent again or read.
    BackingOff { until: Instant },
    /// A request may have been applied.
    Unconfirmed {
        since: Instant,
        /// Since when every read has shown the old image, running.
        old_image_since: Option<Instant>,
        /// True if the service accepted the request and an earlier run timed out.
        accepted: bool,
    },
    /// Accepted; the engine has not been on its target for `min_ready` yet.
    Converging {
        since: Instant,
        /// Since when every read has shown the target image, running.
        ready_since: Option<Instant>,
    },
    /// The job has ended.
    Ended(JobResult),
}

/// The ledger step for an intent whose request is not sent after all.
fn canceled() -> Step {
    Step::NotSent { message: "the run canceled the request before it was sent".into() }
}

/// The ledger step for a request that may or may not have been applied.
pub(super) fn unconfirmed(
    refusal: Option<&Reason>,
    cause: &str,
    http_status: Option<u16>,
    latency_ms: Option<u64>,
) -> Step {
    let message = refusal.and_then(|refusal| refusal.message.clone()).unwrap_or_else(|| cause.to_owned());
    Step::Unconfirmed {
        code: refusal.map(|refusal| refusal.code.clone()),
        message,
        request_id: refusal.and_then(|refusal| refusal.request_id.clone()),
        http_status,
        latency_ms,
    }
}

/// The state of one job in a run.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct JobState {
    pub(super) job: JobIndex,
    pub(super) phase: Phase,
    /// What the ledger proves, the steps of this run included.
    pub(super) past: Past,
    /// Attempts of this run that count.
    pub(super) attempts: u32,
    /// The last error of this run, or of the earlier run whose request is verified.
    pub(super) last_error: Option<Reason>,
    /// `RequestId` of the latest response that accepted a request.
    pub(super) request_id: Option<String>,
    /// The class of the latest refusal, until the next request is on record.
    pub(super) refused: Option<ErrorClass>,
    /// True once a request of this run was refused for the time or the token of its signature.
    pub(super) signature_expired: bool,
    /// When this process continued after a suspension, until a read that was started since then shows the engine's part
    /// of the fleet.
    pub(super) suspended_at: Option<Instant>,
}

/// What a change means for other jobs.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Effect {
    /// The service accepted a request.
    Accepted,
    /// The rate limiter must slow down.
    Throttled(Reason),
    /// The clocks differ, a token expired, or the request took too long to arrive.
    SignatureExpired,
    /// A permission is missing, perhaps for this engine only.
    Denied(Reason),
    /// Every job with this target in this region would fail in the same way.
    HoldImage(Reason),
    /// Every job in this region would fail in the same way.
    HoldRegion(Reason),
    /// Every job would fail in the same way.
    Stop(Reason),
}

/// A proposed change.
#[derive(Clone, Debug)]
pub(super) struct Change {
    pub(super) job_state: JobState,
    pub(super) steps: Vec<Step>,
    pub(super) events: Vec<Event>,
    pub(super) effect: Option<Effect>,
}

impl Change {
    pub(super) fn with_effect(mut self, effect: Effect) -> Self {
        self.effect = Some(effect);
        self
    }

    pub(super) fn with_event(mut self, event: Event) -> Self {
        self.events.insert(0, event);
        self
    }
}

impl JobState {
    /// A job before anything was read.
    pub(super) fn new(job: JobIndex, past: Past) -> Self {
        Self {
            job,
            phase: Phase::Queued,
            past,
            attempts: 0,
            last_error: None,
            request_id: None,
            refused: None,
            signature_expired: false,
            suspended_at: None,
        }
    }

    /// True if nothing is in flight, unconfirmed or converging, and the job has not ended.
    pub(super) fn is_idle(&self) -> bool {
        matches!(
            self.phase,
            Phase::Queued | Phase::Ready | Phase::AwaitingRead { .. } | Phase::BackingOff { .. }
        )
    }

    /// The phase of a job that must be read at once.
    pub(super) fn awaiting_read(now: Instant) -> Phase {
        Phase::AwaitingRead { since: now, due: now }
    }

    pub(super) fn has_ended(&self) -> bool {
        matches!(self.phase, Phase::Ended(_))
    }

    /// A change that moves the job to another phase, with its ledger steps.
    pub(super) fn to(&self, phase: Phase, steps: Vec<Step>) -> Change {
        let mut job_state = Self { phase, ..self.clone() };
        for step in &steps {
            job_state.past.apply(step);
        }
        Change { job_state, steps, events: Vec::new(), effect: None }
    }

    /// A change that leaves the job in its phase.
    pub(super) fn unchanged(&self) -> Change {
        self.to(self.phase.clone(), Vec::new())
    }

    /// A change that ends the job.
    pub(super) fn end(&self, outcome: Outcome, reason: Option<Reason>, steps: Vec<Step>) -> Change {
        let result = JobResult {
            outcome,
            reason,
            from_earlier_run: false,
            image_before: self.past.image_before.clone(),
        };
        let event = Event::JobEnded { job: self.job, result: result.clone() };
        Change { events: vec![event], ..self.to(Phase::Ended(result), steps) }
    }

    /// A change that ends the job as failed, with its ledger step.
    pub(super) fn fail(&self, reason: Reason, latency_ms: Option<u64>, mut steps: Vec<Step>) -> Change {
        steps.push(Step::Failed(recorded(&reason, latency_ms)));
        self.end(Outcome::Failed, Some(reason), steps)
    }

    /// Carries out a decision.
    pub(super) fn carry_out(&self, decision: Decision, now: Instant, options: &RunOptions) -> Change {
        match decision {
            Decision::Keep { outcome, reason, .. } => {
                let image_before = self.past.image_before.clone();
                let result = JobResult { outcome, reason, from_earlier_run: true, image_before };
                let event = Event::JobEnded { job: self.job, result: result.clone() };
                self.to(Phase::Ended(result), Vec::new()).with_event(event)
            }
            Decision::UpToDate if self.past.was_sent() => self.found_on_target(false, now, options),
            Decision::UpToDate => self.end(Outcome::UpToDate, None, vec![Step::UpToDate]),
            Decision::Watch => {
                let request_id = self.past.record.as_ref().and_then(|record| record.request_id.clone());
                Self { request_id, ..self.clone() }.watch(now, options)
            }
            Decision::Verify { image_before } => self.with_image(image_before).verify_earlier(now, options),
            Decision::Send { .. } if self.attempts >= options.max_attempts => {
                self.fail(self.last_error_or_default(), None, Vec::new())
            }
            Decision::Send { from } => self.with_image(from).to(Phase::Ready, Vec::new()),
            Decision::Wait(_) => {
                let since = match self.phase {
                    // the wait continues
                    Phase::AwaitingRead { since, .. } => since,
                    _ => now,
                };
                self.to(Phase::AwaitingRead { since, due: now + options.poll_interval }, Vec::new())
            }
            Decision::Block(reason) | Decision::Refuse(reason) => {
                self.end(Outcome::NotStarted, Some(reason), Vec::new())
            }
            Decision::Fail(reason) => self.fail(reason, None, Vec::new()),
        }
    }

    /// The same job with the image version that its engine has before the next request.
    pub(super) fn with_image(&self, image_before: Option<ImageVersionId>) -> Self {
        let mut job_state = self.clone();
        job_state.past.image_before = image_before;
        job_state
    }

    /// Waits for the request of an earlier run that was accepted.
    fn watch(&self, now: Instant, options: &RunOptions) -> Change {
        if options.verifies() {
            let phase = Phase::Converging { since: now, ready_since: None };
            self.to(phase, Vec::new()).with_event(Event::Accepted { job: self.job })
        } else {
            self.end(Outcome::Accepted, None, Vec::new())
        }
    }

    /// Verifies the request of an earlier run that may have been applied.
    fn verify_earlier(&self, now: Instant, options: &RunOptions) -> Change {
        if !options.verify {
            let reason = found(reasons::VERIFY_OFF, "");
            return self.end(Outcome::Unknown, Some(reason), Vec::new());
        }
        let record = self.past.record.as_ref();
        let standing = self.past.standing();
        let accepted = standing == Some(Standing::TimedOut);
        let phase = Phase::Unconfirmed { since: now, old_image_since: None, accepted };
        let last_error = record.and_then(|record| record.last_error.as_ref()).map(recorded_error);
        // the ledger has a code of the service only if the service refused the request
        let refusal = last_error.filter(|error| error.origin == Origin::Service);
        let refused = refusal.as_ref().map(|refusal| look_up(&refusal.code).class);
        let cause = match standing {
            Some(Standing::Sent) => "an earlier run ended before it recorded a response",
            Some(Standing::TimedOut) => "an earlier run timed out while it waited for the engine",
            Some(Standing::Failed | Standing::NotApplied) => {
                "the row is released, and the request of an earlier run may still be applied"
            }
            _ => "an earlier run could not verify it",
        };
        let steps = match standing {
            Some(Standing::Unconfirmed) => Vec::new(),
            _ => vec![unconfirmed(refusal.as_ref(), cause, None, None)],
        };
        let reason = refusal.unwrap_or_else(|| found(reasons::NO_RESPONSE, cause));
        let event = Event::Unconfirmed { job: self.job, reason: reason.clone() };
        let request_id = record.and_then(|record| record.request_id.clone());
        let mut job_state = Self { last_error: Some(reason), refused, request_id, ..self.clone() };
        job_state.past.release();
        job_state.to(phase, steps).with_event(event)
    }

    /// Records the intent to send. That comes before the wait for the rate limiter, so that a slow disk does not add to
    /// the time between two requests.
    pub(super) fn prepare_send(&self) -> Change {
        let attempts = self.attempts + 1;
        let step = Step::Sent { attempt: attempts, image_before: self.past.image_before.clone() };
        Self { attempts, refused: None, request_id: None, ..self.clone() }
            .to(Phase::AwaitingLimiter, vec![step])
    }

    /// The request is sent.
    pub(super) fn mark_sent(&self) -> Change {
        let event = Event::Sent { job: self.job, attempt: self.attempts };
        self.to(Phase::InFlight, Vec::new()).with_event(event)
    }

    /// The request is not sent after all.
    pub(super) fn cancel_send(&self) -> Change {
        let attempts = self.attempts.saturating_sub(1);
        Self { attempts, ..self.clone() }.to(Phase::Ready, vec![canceled()])
    }

    /// Ends a job that has no request in flight or unconfirmed, because of a refusal that also applies to it.
    pub(super) fn end_held(&self, reason: Reason) -> Option<Change> {
        let steps = match &self.phase {
            Phase::AwaitingLimiter => vec![canceled()],
            _ if self.is_idle() => Vec::new(),
            _ => return None,
        };
        Some(self.end(Outcome::NotStarted, Some(reason), steps))
    }

    /// The change that is due because of time alone, if any. `unread` is why the latest read failed, if it did.
    pub(super) fn on_time(
        &self,
        now: Instant,
        options: &RunOptions,
        unread: Option<&Reason>,
    ) -> Option<Change> {
        let exceeds = |since: Instant, longest: Duration| now >= self.waits_since(since) + longest;
        let is_late = |since: Instant| exceeds(since, options.wait_timeout);
        match &self.phase {
            Phase::BackingOff { until } if now >= *until => {
                let next = if self.refused.is_some() { Self::awaiting_read(now) } else { Phase::Ready };
                Some(self.to(next, Vec::new()))
            }
            Phase::Converging { since, .. } if is_late(*since) => {
                Some(self.not_converged(options.wait_timeout))
            }
            Phase::Unconfirmed { since, accepted, .. } if exceeds(*since, options.longest_unconfirmed()) => {
                let waited = options.longest_unconfirmed();
                Some(if *accepted { self.not_converged(waited) } else { self.not_verified(waited, unread) })
            }
            Phase::AwaitingRead { since, .. } if is_late(*since) => Some(match self.refused {
                // the refusal proves that the request was not applied
                Some(_) => self.fail(self.last_error_or_default(), None, Vec::new()),
                None if self.past.was_sent() => self.not_verified(options.wait_timeout, unread),
                None => {
                    let waited = format!(
                        "not seen running within {}, so nothing was sent",
                        duration_text(options.wait_timeout)
                    );
                    self.end(Outcome::NotStarted, Some(found(reasons::NOT_VERIFIED, waited)), Vec::new())
                }
            }),
            _ => None,
        }
    }

    fn not_converged(&self, waited: Duration) -> Change {
        let waited = format!("not seen running on its target within {}", duration_text(waited));
        let mut reason = found(reasons::TARGET_NOT_REACHED, waited.clone());
        reason.request_id.clone_from(&self.request_id);
        self.end(Outcome::TimedOut, Some(reason), vec![Step::TimedOut { message: waited }])
    }

    fn not_verified(&self, waited: Duration, unread: Option<&Reason>) -> Change {
        let waited = format!("not verified within {}", duration_text(waited));
        let reason = reasons::not_verified(&waited, unread);
        self.end(Outcome::Unknown, Some(reason), vec![Step::Unknown { message: waited }])
    }

    /// The last error, for a job that ends because of it.
    pub(super) fn last_error_or_default(&self) -> Reason {
        self.last_error.clone().unwrap_or_else(|| found(reasons::NO_RESPONSE, ""))
    }

    /// When time alone changes the job.
    pub(super) fn deadline(&self, options: &RunOptions) -> Option<Instant> {
        match &self.phase {
            Phase::BackingOff { until } => Some(*until),
            Phase::Unconfirmed { since, .. } => {
                Some(self.waits_since(*since) + options.longest_unconfirmed())
            }
            Phase::Converging { since, .. } | Phase::AwaitingRead { since, .. } => {
                Some(self.waits_since(*since) + options.wait_timeout)
            }
            Phase::Queued | Phase::Ready | Phase::AwaitingLimiter | Phase::InFlight | Phase::Ended(_) => None,
        }
    }

    /// Extends the wait of the job by the time in which this process was suspended; it does not end before the next read.
    /// What earlier reads showed no longer counts, because a read during the suspension could have shown something else.
    pub(super) fn extend_wait(&mut self, lost: Duration, now: Instant) {
        self.suspended_at = Some(now);
        let later = |since: Instant| since.max((since + lost).min(now));
        match &mut self.phase {
            Phase::AwaitingRead { since, .. } => *since = later(*since),
            Phase::Converging { since, ready_since } => (*since, *ready_since) = (later(*since), None),
            Phase::Unconfirmed { since, old_image_since, .. } => {
                (*since, *old_image_since) = (later(*since), None);
            }
            _ => {}
        }
    }

    /// The start of a wait that began at `since`: after a suspension it starts again until there is a read.
    fn waits_since(&self, since: Instant) -> Instant {
        self.suspended_at.map_or(since, |suspended_at| suspended_at.max(since))
    }

    /// When a read is due without which the job cannot continue.
    pub(super) fn urgent_read_due(&self) -> Option<Instant> {
        match &self.phase {
            Phase::AwaitingRead { due, .. } => Some(*due),
            _ => None,
        }
    }

    /// When the next routine read is due for the job, given the time of the last one.
    pub(super) fn routine_read_due(
        &self,
        last_poll: Option<Instant>,
        options: &RunOptions,
    ) -> Option<Instant> {
        let next = |since: Instant| last_poll.map_or(since, |last| since.max(last + options.poll_interval));
        match &self.phase {
            Phase::Unconfirmed { since, old_image_since: None, .. } => Some(next(*since)),
            Phase::Unconfirmed { old_image_since: Some(since), .. } => {
                Some(next(*since).min(*since + options.resend_after))
            }
            Phase::Converging { since, ready_since: None } => {
                Some(next(*since + options.poll_interval.min(FIRST_READ)))
            }
            Phase::Converging { ready_since: Some(since), .. } => Some(next(*since + options.min_ready)),
            _ => None,
        }
    }

    /// How a job is reported that has not ended when the run ends; `code` is the reason if nothing was applied. The ledger
    /// keeps its standing, so the next run continues from there.
    pub(super) fn end_with_run(&self, code: &'static str, why: &str) -> Change {
        let (outcome, reason) = match &self.phase {
            Phase::Converging { .. } | Phase::Unconfirmed { accepted: true, .. } => {
                let mut reason = found(reasons::RUN_ENDED, why);
                reason.request_id.clone_from(&self.request_id);
                (Outcome::TimedOut, reason)
            }
            Phase::InFlight => (Outcome::Unknown, found(reasons::NO_RESPONSE, why)),
            Phase::Unconfirmed { .. } => (Outcome::Unknown, self.last_error_or_default()),
            _ => (Outcome::NotStarted, found(code, why)),
        };
        self.end(outcome, Some(reason), Vec::new())
    }
}

/// A duration in the form `1h 30m`.
pub(super) fn duration_text(span: Duration) -> String {
    SignedDuration::try_from(span).map_or_else(|_| format!("{span:?}"), |span| format!("{span:#}"))
}

/// Longest wait for the first read after a request was accepted, even if `poll_interval` is longer.
const FIRST_READ: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests;
