//! One job on its way: which phase it is in, and what an answer, a look or the passing of time makes of it.
//!
//! Everything here is pure. A change is proposed, not made: the dispatcher writes its steps to the ledger
//! first and only then lets the job go on.

mod on_observation;
mod on_response;

pub(super) use on_observation::Snapshot;
pub(super) use on_response::Response;

use std::time::Duration;

use jiff::SignedDuration;
use tokio::time::Instant;

use super::RunOptions;
use super::fleet_view::Decision;
use super::reasons::{self, found, recorded};
use crate::cloud::catalogue::{Class, look_up};
use crate::event::Event;
use crate::job::{ImageVersionId, JobIndex, JobResult, Origin, Outcome, Reason};
use crate::ledger::{Standing, Step, Work};

/// Where a job is.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Phase {
    /// Its wave has not opened.
    Queued,
    /// Needs a look that was asked for at `since` or later before it may go: as the first of a later wave, or
    /// after a refusal.
    AwaitingRead {
        since: Instant,
        /// When the next look is wanted.
        due: Instant,
    },
    /// May go as soon as the gate lets it.
    Ready,
    /// Its intent is on record; the request leaves as soon as the gate lets it.
    AwaitingLimiter,
    /// A request is under way.
    InFlight,
    /// Waits before it may go again, or before it is looked at.
    BackingOff { until: Instant },
    /// A request may have been applied.
    Unconfirmed {
        since: Instant,
        /// Since when every look has shown the old image, running.
        old_image_since: Option<Instant>,
        /// True where the service took the request, and an earlier run gave up waiting for the engine.
        accepted: bool,
    },
    /// Accepted; not yet proven.
    Converging {
        since: Instant,
        /// Since when every look has shown the target image, running.
        ready_since: Option<Instant>,
    },
    /// At its end.
    Ended(JobResult),
}

/// What the ledger says of a request whose intent was on record and that did not leave.
fn not_left() -> Step {
    Step::NotSent { message: "the run changed its mind before it left".into() }
}

/// What the ledger says of a request that may or may not have been applied.
pub(super) fn unconfirmed(
    refusal: Option<&Reason>,
    what: &str,
    http_status: Option<u16>,
    latency_ms: Option<u64>,
) -> Step {
    let message = refusal.and_then(|refusal| refusal.message.clone()).unwrap_or_else(|| what.to_owned());
    Step::Unconfirmed {
        code: refusal.map(|refusal| refusal.code.clone()),
        message,
        request_id: refusal.and_then(|refusal| refusal.request_id.clone()),
        http_status,
        latency_ms,
    }
}

/// One job on its way.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct JobState {
    pub(super) job: JobIndex,
    pub(super) phase: Phase,
    /// Attempts of this run that count.
    pub(super) attempts: u32,
    pub(super) image_before: Option<ImageVersionId>,
    /// What went wrong last.
    pub(super) last_error: Option<Reason>,
    /// `RequestId` of the accepting answer.
    pub(super) request_id: Option<String>,
    /// The class of the latest refusal, until the next request is on record.
    pub(super) refused: Option<Class>,
    /// True once a request of this run was refused for the time or the token of its signature.
    pub(super) signature_expired: bool,
    /// True once a request left, in this run or in one that is on record.
    pub(super) sent: bool,
    /// What earlier runs left of it. Holds until a request leaves.
    pub(super) work: Work,
    /// When this process went on after a suspension, until a read that was asked for since then shows the engine's part
    /// of the fleet.
    pub(super) suspended_at: Option<Instant>,
}

/// What a change means beyond its own job.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Effect {
    /// The service took a request.
    Accepted,
    /// The gate must slow down.
    Throttled(Reason),
    /// The clocks differ, a token ran out, or the request was long on its way.
    SignatureExpired,
    /// A permission is missing, perhaps for this engine only.
    Denied(Reason),
    /// Every job with this target image in this region would fail alike.
    HoldImage(Reason),
    /// Every job in this region would fail alike.
    HoldRegion(Reason),
    /// Every job would fail alike.
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
    pub(super) fn with(mut self, effect: Effect) -> Self {
        self.effect = Some(effect);
        self
    }

    pub(super) fn telling(mut self, event: Event) -> Self {
        self.events.insert(0, event);
        self
    }
}

impl JobState {
    /// A job before anything is known of it.
    pub(super) fn new(job: JobIndex, work: &Work) -> Self {
        let image_before = match work {
            Work::Send { image_before, .. } => image_before.clone(),
            _ => None,
        };
        Self {
            job,
            phase: Phase::Queued,
            attempts: 0,
            image_before,
            last_error: None,
            request_id: None,
            refused: None,
            signature_expired: false,
            sent: matches!(work, Work::Send { sent_before: true, .. } | Work::Settle { .. }),
            work: work.clone(),
            suspended_at: None,
        }
    }

    /// True where all that is left is to send, and nothing is under way or in doubt.
    pub(super) fn is_idle(&self) -> bool {
        matches!(
            self.phase,
            Phase::Queued | Phase::Ready | Phase::AwaitingRead { .. } | Phase::BackingOff { .. }
        )
    }

    /// A phase in which a look is wanted at once.
    pub(super) fn looking(now: Instant) -> Phase {
        Phase::AwaitingRead { since: now, due: now }
    }

    pub(super) fn has_ended(&self) -> bool {
        matches!(self.phase, Phase::Ended(_))
    }

    /// A change that only moves the job to another phase.
    pub(super) fn to(&self, phase: Phase, steps: Vec<Step>) -> Change {
        Change { job_state: Self { phase, ..self.clone() }, steps, events: Vec::new(), effect: None }
    }

    /// A change that leaves the job in its phase.
    pub(super) fn unchanged(&self) -> Change {
        self.to(self.phase.clone(), Vec::new())
    }

    /// A change that ends the job.
    pub(super) fn end(&self, outcome: Outcome, reason: Option<Reason>, steps: Vec<Step>) -> Change {
        let result =
            JobResult { outcome, reason, from_earlier_run: false, image_before: self.image_before.clone() };
        let event = Event::JobEnded { job: self.job, result: result.clone() };
        Change { events: vec![event], ..self.to(Phase::Ended(result), steps) }
    }

    /// Ends the job as failed, with the step that says so.
    pub(super) fn fail(&self, reason: Reason, latency_ms: Option<u64>, mut steps: Vec<Step>) -> Change {
        steps.push(Step::Failed(recorded(&reason, latency_ms)));
        self.end(Outcome::Failed, Some(reason), steps)
    }

    /// What the first judgement makes of a job.
    pub(super) fn begin(&self, decision: Decision, now: Instant, options: &RunOptions) -> Change {
        match decision {
            Decision::Keep { outcome, image_before, last_error } => {
                let reason = last_error.as_ref().map(reasons::remembered);
                let result = JobResult { outcome, reason, from_earlier_run: true, image_before };
                let event = Event::JobEnded { job: self.job, result: result.clone() };
                Change { events: vec![event], ..self.to(Phase::Ended(result), Vec::new()) }
            }
            Decision::UpToDate if self.sent => self.found_on_target(false, now, options),
            Decision::UpToDate => self.end(Outcome::UpToDate, None, vec![Step::UpToDate]),
            Decision::Arriving | Decision::Busy | Decision::Unclear => {
                self.to(Phase::AwaitingRead { since: now, due: now + options.poll_interval }, Vec::new())
            }
            Decision::Blocked(reason) => self.end(Outcome::NotStarted, Some(reason), Vec::new()),
            Decision::Fail(reason) => self.fail(reason, None, Vec::new()),
            Decision::Send { from } => {
                Self { image_before: from, ..self.clone() }.to(Phase::Ready, Vec::new())
            }
            Decision::Watch { image_before, request_id } => {
                Self { image_before, request_id, ..self.clone() }.watch(now, options)
            }
            Decision::Verify { standing, image_before, request_id, last_error } => {
                let last_error = last_error.as_ref().map(reasons::remembered);
                Self { image_before, last_error, request_id, ..self.clone() }
                    .verify_earlier(standing, now, options)
            }
        }
    }

    /// An earlier run's accepted request.
    fn watch(&self, now: Instant, options: &RunOptions) -> Change {
        if options.verifies() {
            let phase = Phase::Converging { since: now, ready_since: None };
            self.to(phase, Vec::new()).telling(Event::Accepted { job: self.job })
        } else {
            self.end(Outcome::Accepted, None, Vec::new())
        }
    }

    /// An earlier run's request that may have been applied.
    fn verify_earlier(&self, standing: Standing, now: Instant, options: &RunOptions) -> Change {
        if !options.verify {
            let reason = found(reasons::VERIFY_OFF, "");
            return self.end(Outcome::Unknown, Some(reason), Vec::new());
        }
        let phase = Phase::Unconfirmed {
            since: now,
            old_image_since: None,
            accepted: standing == Standing::TimedOut,
        };
        // a code stands in the ledger only where the service refused
        let refusal =
            self.last_error.as_ref().filter(|last_error| last_error.origin == Origin::Service).cloned();
        let refused = refusal.as_ref().map(|refusal| look_up(&refusal.code).class);
        let cause = match standing {
            Standing::Sent => "an earlier run ended before an answer was recorded",
            Standing::TimedOut => "an earlier run gave up waiting for the engine",
            Standing::Failed | Standing::NotApplied => {
                "the row is released, and the request of an earlier run may still be applied"
            }
            _ => "an earlier run could not settle it",
        };
        let steps = match standing {
            Standing::Unconfirmed => Vec::new(),
            _ => vec![unconfirmed(refusal.as_ref(), cause, None, None)],
        };
        let reason = refusal.unwrap_or_else(|| found(reasons::NO_RESPONSE, cause));
        let event = Event::Unconfirmed { job: self.job, reason: reason.clone() };
        Self { last_error: Some(reason), refused, sent: true, ..self.clone() }.to(phase, steps).telling(event)
    }

    /// The intent to send goes on record. That comes before the wait for the gate, so that the time the disk
    /// takes does not add to the gap between two requests.
    pub(super) fn prepare_send(&self) -> Change {
        let attempts = self.attempts + 1;
        let step = Step::Sent { attempt: attempts, image_before: self.image_before.clone() };
        Self { attempts, refused: None, request_id: None, ..self.clone() }
            .to(Phase::AwaitingLimiter, vec![step])
    }

    /// The request leaves.
    pub(super) fn mark_sent(&self) -> Change {
        let event = Event::Sent { job: self.job, attempt: self.attempts };
        Self { sent: true, ..self.clone() }.to(Phase::InFlight, Vec::new()).telling(event)
    }

    /// The request does not leave after all.
    pub(super) fn cancel_send(&self) -> Change {
        let attempts = self.attempts.saturating_sub(1);
        Self { attempts, ..self.clone() }.to(Phase::Ready, vec![not_left()])
    }

    /// Ends a job with which nothing is under way, because of a refusal that concerns it too.
    pub(super) fn skip_held(&self, reason: Reason) -> Option<Change> {
        let steps = match &self.phase {
            Phase::AwaitingLimiter => vec![not_left()],
            _ if self.is_idle() => Vec::new(),
            _ => return None,
        };
        Some(self.end(Outcome::NotStarted, Some(reason), steps))
    }

    /// What the passing of time alone makes of the job, if anything. `unread` is why the latest look showed nothing.
    pub(super) fn on_time(
        &self,
        now: Instant,
        options: &RunOptions,
        unread: Option<&Reason>,
    ) -> Option<Change> {
        let over = |since: Instant, longest: Duration| now >= self.waits_since(since) + longest;
        let late = |since: Instant| over(since, options.wait_timeout);
        match &self.phase {
            Phase::BackingOff { until } if now >= *until => {
                let next = if self.refused.is_some() { Self::looking(now) } else { Phase::Ready };
                Some(self.to(next, Vec::new()))
            }
            Phase::Converging { since, .. } if late(*since) => Some(self.not_converged(options.wait_timeout)),
            Phase::Unconfirmed { since, accepted, .. } if over(*since, options.longest_unconfirmed()) => {
                let waited = options.longest_unconfirmed();
                Some(if *accepted { self.not_converged(waited) } else { self.not_verified(waited, unread) })
            }
            Phase::AwaitingRead { since, .. } if late(*since) => Some(match self.refused {
                // what refused it proves that it was not applied
                Some(_) => self.fail(self.last_error_or_default(), None, Vec::new()),
                None if self.sent => self.not_verified(options.wait_timeout, unread),
                None => {
                    let waited = format!(
                        "not seen at rest within {}, so nothing was sent",
                        spell(options.wait_timeout)
                    );
                    self.end(Outcome::NotStarted, Some(found(reasons::NOT_VERIFIED, waited)), Vec::new())
                }
            }),
            _ => None,
        }
    }

    fn not_converged(&self, waited: Duration) -> Change {
        let waited = format!("not seen running on its target within {}", spell(waited));
        let mut reason = found(reasons::TARGET_NOT_REACHED, waited.clone());
        reason.request_id.clone_from(&self.request_id);
        self.end(Outcome::TimedOut, Some(reason), vec![Step::TimedOut { message: waited }])
    }

    fn not_verified(&self, waited: Duration, unread: Option<&Reason>) -> Change {
        let waited = format!("not settled by read-back within {}", spell(waited));
        let reason = reasons::not_read_back(&waited, unread);
        self.end(Outcome::Unknown, Some(reason), vec![Step::Unknown { message: waited }])
    }

    /// What went wrong last, for a job that ends because of it.
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

    /// This process stood still: the wait of the job becomes longer by that time, and does not end before a read. What
    /// earlier reads showed does not count any more, since a read that was under way may have shown something else.
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

    /// From when on a wait that began at `since` counts: after a suspension it begins again until there is a read.
    fn waits_since(&self, since: Instant) -> Instant {
        self.suspended_at.map_or(since, |unread| unread.max(since))
    }

    /// When the job cannot go on without a look.
    pub(super) fn urgent_read_due(&self) -> Option<Instant> {
        match &self.phase {
            Phase::AwaitingRead { due, .. } => Some(*due),
            _ => None,
        }
    }

    /// When the job wants to be looked at together with all others, given when that was last done.
    pub(super) fn routine_read_due(
        &self,
        last_poll: Option<Instant>,
        options: &RunOptions,
    ) -> Option<Instant> {
        let next = |since: Instant| last_poll.map_or(since, |last| since.max(last + options.poll_interval));
        match &self.phase {
            Phase::Unconfirmed { since, old_image_since: None, .. } => Some(next(*since)),
            Phase::Unconfirmed { old_image_since: Some(quiet), .. } => {
                Some(next(*quiet).min(*quiet + options.resend_after))
            }
            Phase::Converging { since, ready_since: None } => {
                Some(next(*since + options.poll_interval.min(SOON)))
            }
            Phase::Converging { ready_since: Some(good), .. } => Some(next(*good + options.min_ready)),
            _ => None,
        }
    }

    /// How the job is reported when the run ends before the job does; `code` says why, where nothing was applied. The
    /// ledger keeps its standing, so that the next run goes on from there.
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

/// A duration as people write it.
pub(super) fn spell(span: Duration) -> String {
    SignedDuration::try_from(span).map_or_else(|_| format!("{span:?}"), |span| format!("{span:#}"))
}

/// A first look at a fresh acceptance need not wait for the whole interval of sweeps.
const SOON: Duration = Duration::from_secs(1);
