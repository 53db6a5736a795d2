//! How fast requests are sent, and how long engines take from accepted to switched.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use crate::event::Event;
use crate::format;
use crate::job::{JobIndex, Outcome};

/// The rate of requests is measured over this time.
const SENT_SPAN: Duration = Duration::from_secs(10);
/// A wave has a rate of its own from this long after its start.
const TOO_SHORT: Duration = Duration::from_secs(2);
/// So many of the latest engines tell how long the next ones take.
const KEPT: usize = 200;

/// What was sent and verified lately. All times are times since the run started.
#[derive(Debug, Default)]
pub struct Throughput {
    sent: VecDeque<Duration>,
    wave_started: Duration,
    /// Jobs with a request of this run, and when it was accepted. The requests of earlier runs were accepted at a time
    /// that is not known.
    accepted: HashMap<JobIndex, Option<Duration>>,
    last_accepted: Option<Duration>,
    /// From accepted to switched.
    verification: VecDeque<Duration>,
}

impl Throughput {
    /// Adds one event, and drops what is too old to count.
    pub fn take(&mut self, after: Duration, event: &Event) {
        match event {
            Event::WaveStarted { .. } => self.wave_started = after,
            Event::Sent { job, .. } => {
                self.sent.push_back(after);
                self.accepted.insert(*job, None);
            }
            Event::Accepted { job } => {
                self.last_accepted = Some(after);
                if let Some(accepted) = self.accepted.get_mut(job) {
                    *accepted = Some(after);
                }
            }
            Event::JobEnded { job, result } => {
                let accepted = self.accepted.remove(job);
                let took = match (result.outcome, accepted) {
                    (Outcome::Switched, Some(Some(accepted))) => after.saturating_sub(accepted),
                    // verification is off
                    (Outcome::Accepted, Some(_)) => Duration::ZERO,
                    _ => return,
                };
                self.verification.push_back(took);
                if self.verification.len() > KEPT {
                    self.verification.pop_front();
                }
            }
            _ => {}
        }
        while self.sent.front().is_some_and(|&time| time + SENT_SPAN <= after) {
            self.sent.pop_front();
        }
    }

    /// Requests per second over the last ten seconds, or since the run started if that is less.
    pub fn sent_per_second(&self, after: Duration) -> f64 {
        format::number(self.sent.len()) / seconds(after)
    }

    /// Requests per second of the current wave, never more than `limit`, which it is before there are enough requests to
    /// measure.
    pub fn wave_rate(&self, after: Duration, limit: f64) -> f64 {
        let running_for = after.saturating_sub(self.wave_started);
        let sent = self.sent.iter().filter(|&&time| time >= self.wave_started).count();
        if sent == 0 || running_for < TOO_SHORT {
            return limit;
        }
        (format::number(sent) / seconds(running_for)).min(limit)
    }

    /// When a request was last accepted.
    pub fn last_accepted(&self) -> Option<Duration> {
        self.last_accepted
    }

    /// The time from accepted to switched that nine of ten engines did not exceed: a wave ends with its slow engines,
    /// and a single very slow one is no measure. None before the first engine was switched.
    pub fn verification(&self) -> Option<Duration> {
        let mut spans: Vec<Duration> = self.verification.iter().copied().collect();
        spans.sort_unstable();
        spans.get(spans.len() * 9 / 10).copied()
    }
}

/// The length of the span that has passed; at least a second, so that a start is no burst.
fn seconds(passed: Duration) -> f64 {
    passed.clamp(Duration::from_secs(1), SENT_SPAN).as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixtures;

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn the_rate_counts_the_last_ten_seconds_only() {
        let mut throughput = Throughput::default();
        for second in 0..20 {
            for _ in 0..4 {
                throughput.take(at(second), &Event::Sent { job: JobIndex(0), attempt: 1 });
            }
        }
        assert_eq!(format::per_second(throughput.sent_per_second(at(19))), "4.0/s");
        throughput.take(at(24), &Event::Tick);
        assert_eq!(format::per_second(throughput.sent_per_second(at(24))), "2.0/s");
        throughput.take(at(60), &Event::Tick);
        assert_eq!(format::per_second(throughput.sent_per_second(at(60))), "0.0/s");
    }

    #[test]
    fn requests_of_earlier_runs_do_not_count_as_verified_quickly() {
        let mut throughput = Throughput::default();
        throughput.take(at(0), &Event::Accepted { job: JobIndex(0) });
        throughput.take(at(1), &fixtures::ended(0, Outcome::Switched, None));
        assert_eq!(throughput.verification(), None);
    }
}
