//! Applies the effects that one job or a signal has on other jobs: slow down, hold back, stop.

use std::time::Duration;

use tokio::time::Instant;

use super::Dispatcher;
use crate::cloud::catalogue::{ErrorClass, ErrorScope, look_up};
use crate::cloud::{CallError, Cloud};
use crate::event::{Event, StopReason};
use crate::job::{JobIndex, Reason};
use crate::run::job_state::Effect;
use crate::run::stop::{Signal, Stopping};

/// A gap between two throttled responses that is longer than this starts a new series, except at very low rates.
const IDLE: Duration = Duration::from_secs(10);

/// Denials in a row after which the whole account counts as refused.
const DENIALS_THAT_STOP: u32 = 3;

impl<C: Cloud> Dispatcher<C> {
    /// Applies the effect of a change on other jobs. Jobs that are held back are ended after the whole batch is committed.
    pub(super) fn apply_effect(&mut self, index: JobIndex, effect: Effect) {
        match effect {
            Effect::Accepted => {
                self.accepted_any = true;
                self.denied_in_a_row = 0;
            }
            Effect::Throttled(reason) => self.throttled(index, reason),
            Effect::SignatureExpired => self.report_clock(),
            Effect::Denied(reason) => {
                self.denied_in_a_row += 1;
                if !self.accepted_any || self.denied_in_a_row >= DENIALS_THAT_STOP {
                    self.refuse_account(reason);
                }
            }
            Effect::Stop(reason) => self.refuse_account(reason),
            Effect::HoldImage(reason) => self.job_table.hold_image(index, &reason),
            Effect::HoldRegion(reason) => self.job_table.hold_region(index, &reason),
        }
    }

    /// Slows down. If the service throttles every request for the whole `wait_timeout`, the run stops.
    fn throttled(&mut self, index: JobIndex, reason: Reason) {
        self.limiter.throttled();
        self.report(&Event::Throttled { job: index, reason: reason.clone(), rate: self.limiter.rate() });
        let now = Instant::now();
        // a time without requests says nothing about the service
        let (since, last) = self.throttled.unwrap_or((now, now));
        let idle = IDLE.max(Duration::from_secs_f64(3.0 / self.limiter.rate()));
        let since = if now > last + idle { now } else { since };
        self.throttled = Some((since, now));
        if now >= since + self.options.wait_timeout {
            self.refuse_account(reason);
        }
    }

    /// Reports the clock difference, once for each value.
    pub(super) fn report_clock(&mut self) {
        let ahead = self.cloud.clock_ahead();
        if ahead != self.clock_ahead {
            self.clock_ahead = ahead;
            self.report(&Event::ClockSkew { ahead });
        }
    }

    fn refuse_account(&mut self, reason: Reason) {
        self.stopping = self.stopping.max(Stopping::NoMoreSends);
        self.stop_because(StopReason::AccountRefused(reason));
    }

    /// Stops polling if the account is refused for the switch and reads fail for the same kind of reason.
    pub(super) fn stop_polling_if_unreadable(&mut self, fault: &CallError) {
        let is_permanent = match fault {
            CallError::Refused(refusal) => {
                look_up(&refusal.code).class == ErrorClass::Final(ErrorScope::Account)
            }
            CallError::Connection { .. } | CallError::NoCredentials { .. } => true,
            CallError::SignatureExpired(_) | CallError::NotSent { .. } | CallError::NoResponse { .. } => {
                false
            }
        };
        if is_permanent && matches!(self.stopped, Some(StopReason::AccountRefused(_))) {
            self.stopping = self.stopping.max(Stopping::Draining);
        }
    }

    pub(super) fn signalled(&mut self, signal: Signal) {
        // the first signal still waits for the requests in flight, even if the run is draining for another cause
        let is_second = std::mem::replace(&mut self.signalled, true);
        self.stopping = if is_second { Stopping::Now } else { Stopping::Draining };
        self.stop_because(StopReason::Interrupted { signal: signal.name() });
    }

    /// Advances the waves as far as possible now.
    pub(super) fn advance_waves(&mut self) {
        loop {
            let is_stopping = self.stopping > Stopping::No;
            let Some(step) = self.job_table.advance_wave(Instant::now(), is_stopping, &self.options) else {
                return;
            };
            for event in &step.events {
                self.report(event);
            }
            if let Some(reason) = step.stop {
                self.stopping = self.stopping.max(Stopping::NoMoreSends);
                self.stop_because(reason);
            }
        }
    }

    /// Records why the run stops. A signal replaces a refusal, and a ledger that cannot be written replaces both, because it
    /// affects what the next run knows.
    pub(super) fn stop_because(&mut self, reason: StopReason) {
        let rank = |reason: &StopReason| match reason {
            StopReason::AccountRefused(_) | StopReason::SoakFailed(_) => 1,
            StopReason::Interrupted { .. } => 2,
            StopReason::LedgerFailed { .. } => 3,
        };
        if self.stopped.as_ref().is_none_or(|stopped| rank(stopped) < rank(&reason)) {
            self.report(&Event::Stopping(reason.clone()));
            self.stopped = Some(reason);
        }
    }
}
