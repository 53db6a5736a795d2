//! What a change to one job, or a signal, means for all the others: slower, held back, or stopped.

use std::time::Duration;

use tokio::time::Instant;

use super::Dispatcher;
use crate::cloud::catalogue::{Class, Reach, look_up};
use crate::cloud::{CallError, Cloud};
use crate::event::{Event, StopReason};
use crate::job::{JobIndex, Reason};
use crate::run::job_state::Effect;
use crate::run::stop::{Signal, Stopping};

/// So long after a throttled request nothing was to be sent, at all but the slowest rates.
const NOTHING_SENT: Duration = Duration::from_secs(10);

/// Denials in a row that are taken to concern the whole account.
const DENIALS_THAT_STOP: u32 = 3;

impl<C: Cloud> Dispatcher<C> {
    /// What a change means for others. What is held back from now on is ended once the whole batch is true.
    pub(super) fn follow(&mut self, index: JobIndex, effect: Effect) {
        match effect {
            Effect::Accepted => {
                self.accepted_any = true;
                self.denied_in_a_row = 0;
            }
            Effect::Throttled(reason) => self.throttled(index, reason),
            Effect::SignatureExpired => self.tell_clock(),
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

    /// Slows down. A service that has let nothing through for as long as a run waits for anything is not waited
    /// for any longer.
    fn throttled(&mut self, index: JobIndex, reason: Reason) {
        self.limiter.throttled();
        self.tell(&Event::Throttled { job: index, reason: reason.clone(), rate: self.limiter.rate() });
        let now = Instant::now();
        // time in which nothing was sent says nothing about the service
        let (since, last) = self.throttled.unwrap_or((now, now));
        let idle = NOTHING_SENT.max(Duration::from_secs_f64(3.0 / self.limiter.rate()));
        let since = if now > last + idle { now } else { since };
        self.throttled = Some((since, now));
        if now >= since + self.options.wait_timeout {
            self.refuse_account(reason);
        }
    }

    /// Tells how far the clocks are apart, once for each difference.
    pub(super) fn tell_clock(&mut self) {
        let ahead = self.cloud.clock_ahead();
        if ahead != self.clock_ahead {
            self.clock_ahead = ahead;
            self.tell(&Event::ClockSkew { ahead });
        }
    }

    fn refuse_account(&mut self, reason: Reason) {
        self.stopping = self.stopping.max(Stopping::NoMoreSends);
        self.stop_because(StopReason::AccountRefused(reason));
    }

    /// Where nothing can be sent and the fleet cannot be read for the same kind of reason, there is nothing to be
    /// gained from watching.
    pub(super) fn stop_polling_if_unreadable(&mut self, fault: &CallError) {
        let blind = match fault {
            CallError::Refused(refusal) => look_up(&refusal.code).class == Class::Final(Reach::Account),
            CallError::Connection { .. } | CallError::NoCredentials { .. } => true,
            CallError::SignatureExpired(_) | CallError::NotSent { .. } | CallError::NoResponse { .. } => {
                false
            }
        };
        if blind && matches!(self.stopped, Some(StopReason::AccountRefused(_))) {
            self.stopping = self.stopping.max(Stopping::Draining);
        }
    }

    pub(super) fn signalled(&mut self, signal: Signal) {
        // a run may be draining for another cause, and its requests under way are still waited for
        let again = std::mem::replace(&mut self.signalled, true);
        self.stopping = if again { Stopping::Now } else { Stopping::Draining };
        self.stop_because(StopReason::Interrupted { signal: signal.name() });
    }

    /// Takes the open wave as far as it goes.
    pub(super) fn turn_waves(&mut self) {
        loop {
            let is_stopping = self.stopping > Stopping::No;
            let Some(turn) = self.job_table.turn_wave(Instant::now(), is_stopping, &self.options) else {
                return;
            };
            for event in &turn.events {
                self.tell(event);
            }
            if let Some(reason) = turn.stop {
                self.stopping = self.stopping.max(Stopping::NoMoreSends);
                self.stop_because(reason);
            }
        }
    }

    /// Notes why the run stops. A signal outranks a refusal, and a lost ledger outranks everything, since it
    /// decides what can be relied on afterwards.
    pub(super) fn stop_because(&mut self, reason: StopReason) {
        let rank = |reason: &StopReason| match reason {
            StopReason::AccountRefused(_) | StopReason::SoakFailed(_) => 1,
            StopReason::Interrupted { .. } => 2,
            StopReason::LedgerFailed { .. } => 3,
        };
        if self.stopped.as_ref().is_none_or(|stopped| rank(stopped) < rank(&reason)) {
            self.tell(&Event::Stopping(reason.clone()));
            self.stopped = Some(reason);
        }
    }
}
