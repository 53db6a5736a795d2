//! How fast a run moves: requests in the last ten seconds, endings in the last thirty.

use std::collections::VecDeque;
use std::time::Duration;

use crate::event::Event;
use crate::job::Outcome;
use crate::words;

/// Over how long the rate of requests is measured.
const SENT_SPAN: Duration = Duration::from_secs(10);
/// Over how long the rate of endings is measured.
const ENDED_SPAN: Duration = Duration::from_secs(30);
/// Fewer endings than this in the span say nothing about the future.
const FEWEST_ENDINGS: usize = 3;

/// Times of what happened lately, as time since the run opened.
#[derive(Debug, Default)]
pub struct Pulse {
    sent: VecDeque<Duration>,
    ended: VecDeque<Duration>,
}

impl Pulse {
    /// Takes one event in and forgets what is too old to count.
    pub fn take(&mut self, after: Duration, event: &Event) {
        match event {
            Event::Sent { .. } => self.sent.push_back(after),
            // what costs no request ends at once and says nothing about how long the others take
            Event::Settled { verdict, .. }
                if !verdict.earlier && !matches!(verdict.outcome, Outcome::Already | Outcome::NotStarted) =>
            {
                self.ended.push_back(after);
            }
            _ => {}
        }
        forget(&mut self.sent, after, SENT_SPAN);
        forget(&mut self.ended, after, ENDED_SPAN);
    }

    /// Requests per second over the last ten seconds, or since the run opened if that is less.
    pub fn sent_per_second(&self, after: Duration) -> f64 {
        words::number(self.sent.len()) / seconds(after, SENT_SPAN)
    }

    /// How long so many jobs still take at the pace of the last thirty seconds; none if too little ended to tell.
    pub fn time_left(&self, after: Duration, jobs: usize) -> Option<Duration> {
        if jobs == 0 || self.ended.len() < FEWEST_ENDINGS || after < SENT_SPAN {
            return None;
        }
        let per_second = words::number(self.ended.len()) / seconds(after, ENDED_SPAN);
        Duration::try_from_secs_f64(words::number(jobs) / per_second).ok()
    }
}

fn forget(times: &mut VecDeque<Duration>, after: Duration, span: Duration) {
    while times.front().is_some_and(|&time| time + span <= after) {
        times.pop_front();
    }
}

/// The length of the span that has really passed; never less than a second, so that a start is not a burst.
fn seconds(after: Duration, span: Duration) -> f64 {
    after.clamp(Duration::from_secs(1), span).as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::{JobIndex, Verdict};

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn ended(outcome: Outcome, earlier: bool) -> Event {
        let verdict = Verdict { outcome, reason: None, earlier, image_before: None };
        Event::Settled { job: JobIndex(0), verdict }
    }

    #[test]
    fn the_rate_counts_the_last_ten_seconds_only() {
        let mut pulse = Pulse::default();
        for second in 0..20 {
            for _ in 0..4 {
                pulse.take(at(second), &Event::Sent { job: JobIndex(0), attempt: 1 });
            }
        }
        assert_eq!(words::per_second(pulse.sent_per_second(at(19))), "4.0/s");
        pulse.take(at(24), &Event::Tick);
        assert_eq!(words::per_second(pulse.sent_per_second(at(24))), "2.0/s");
        pulse.take(at(60), &Event::Tick);
        assert_eq!(words::per_second(pulse.sent_per_second(at(60))), "0.0/s");
    }

    #[test]
    fn the_time_left_follows_the_last_thirty_seconds() {
        let mut pulse = Pulse::default();
        for second in 1..=60 {
            pulse.take(at(second), &ended(Outcome::Switched, false));
        }
        assert_eq!(pulse.time_left(at(60), 90), Some(at(90)));
        assert_eq!(pulse.time_left(at(60), 0), None);
    }

    #[test]
    fn no_time_left_is_claimed_when_too_little_ended_to_tell() {
        let mut pulse = Pulse::default();
        pulse.take(at(11), &ended(Outcome::Switched, false));
        pulse.take(at(12), &ended(Outcome::Failed, false));
        assert_eq!(pulse.time_left(at(12), 90), None);
    }

    #[test]
    fn what_cost_no_request_does_not_make_the_run_look_fast() {
        let mut pulse = Pulse::default();
        for _ in 0..100 {
            pulse.take(at(11), &ended(Outcome::Already, false));
            pulse.take(at(11), &ended(Outcome::Switched, true));
        }
        assert_eq!(pulse.time_left(at(12), 90), None);
    }
}
