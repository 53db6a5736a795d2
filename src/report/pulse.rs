//! How fast a run moves: requests in the last ten seconds, and how long engines take to converge.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use crate::event::Event;
use crate::format;
use crate::job::{JobIndex, Outcome};
use crate::tally::Counts;

/// Over how long the rate of requests is measured.
const SENT_SPAN: Duration = Duration::from_secs(10);
/// A wave that opened less than this ago has no rate of its own yet.
const TOO_SHORT: Duration = Duration::from_secs(2);
/// So many of the latest convergences tell how long the next ones take.
const REMEMBERED: usize = 200;

/// Times of what happened lately, as time since the run opened.
#[derive(Debug, Default)]
pub struct Pulse {
    sent: VecDeque<Duration>,
    wave_opened: Duration,
    /// Jobs with a request of this run, and when the service took it. One that an earlier run sent would make
    /// converging look faster than it is.
    under_way: HashMap<JobIndex, Option<Duration>>,
    last_accepted: Option<Duration>,
    /// From accepted to proven.
    converged: VecDeque<Duration>,
}

impl Pulse {
    /// Takes one event in and forgets what is too old to count.
    pub fn take(&mut self, after: Duration, event: &Event) {
        match event {
            Event::WaveStarted { .. } => self.wave_opened = after,
            Event::Sent { job, .. } => {
                self.sent.push_back(after);
                self.under_way.insert(*job, None);
            }
            Event::Accepted { job } => {
                self.last_accepted = Some(after);
                if let Some(accepted) = self.under_way.get_mut(job) {
                    *accepted = Some(after);
                }
            }
            Event::JobEnded { job, result } => {
                let accepted = self.under_way.remove(job);
                let took = match (result.outcome, accepted) {
                    (Outcome::Switched, Some(Some(accepted))) => after.saturating_sub(accepted),
                    // nobody waits for it
                    (Outcome::Accepted, Some(_)) => Duration::ZERO,
                    _ => return,
                };
                self.converged.push_back(took);
                if self.converged.len() > REMEMBERED {
                    self.converged.pop_front();
                }
            }
            _ => {}
        }
        while self.sent.front().is_some_and(|&time| time + SENT_SPAN <= after) {
            self.sent.pop_front();
        }
    }

    /// Requests per second over the last ten seconds, or since the run opened if that is less.
    pub fn sent_per_second(&self, after: Duration) -> f64 {
        format::number(self.sent.len()) / seconds(after)
    }

    /// How long a wave with these counts still takes: what waits, at the pace of the last seconds or at the limit
    /// where nothing of the wave was sent lately, and then as long as engines take to converge.
    ///
    /// None if nothing converged yet in this run, and when what is left takes longer than most did.
    pub fn time_left(&self, after: Duration, counts: &Counts, limit: f64) -> Option<Duration> {
        let converging = self.most_converge_within()?;
        let to_send = counts.waiting + counts.retrying;
        if to_send > 0 {
            let sending = Duration::try_from_secs_f64(format::number(to_send) / self.pace(after, limit));
            return Some(sending.ok()? + converging);
        }
        let from = match counts {
            // a doubt takes the grace time, and perhaps another request
            Counts { unconfirmed: 1.., .. } => return None,
            Counts { in_flight: 1.., .. } => after,
            Counts { converging: 1.., .. } => self.last_accepted?,
            _ => return None,
        };
        (from + converging).checked_sub(after).filter(|left| !left.is_zero())
    }

    /// Requests of the open wave per second, never more than what is allowed.
    fn pace(&self, after: Duration, limit: f64) -> f64 {
        let open_for = after.saturating_sub(self.wave_opened);
        let sent = self.sent.iter().filter(|&&time| time >= self.wave_opened).count();
        if sent == 0 || open_for < TOO_SHORT {
            return limit;
        }
        (format::number(sent) / seconds(open_for)).min(limit)
    }

    /// The time in which nine of ten engines converged: a wave ends with its slow ones, but a single stray one
    /// says nothing.
    fn most_converge_within(&self) -> Option<Duration> {
        let mut spans: Vec<Duration> = self.converged.iter().copied().collect();
        spans.sort_unstable();
        spans.get(spans.len() * 9 / 10).copied()
    }
}

/// The length of the span that has really passed; never less than a second, so that a start is not a burst.
fn seconds(passed: Duration) -> f64 {
    passed.clamp(Duration::from_secs(1), SENT_SPAN).as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Scene;
    use crate::report::script::{self, Story};

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn the_rate_counts_the_last_ten_seconds_only() {
        let mut pulse = Pulse::default();
        for second in 0..20 {
            for _ in 0..4 {
                pulse.take(at(second), &Event::Sent { job: JobIndex(0), attempt: 1 });
            }
        }
        assert_eq!(format::per_second(pulse.sent_per_second(at(19))), "4.0/s");
        pulse.take(at(24), &Event::Tick);
        assert_eq!(format::per_second(pulse.sent_per_second(at(24))), "2.0/s");
        pulse.take(at(60), &Event::Tick);
        assert_eq!(format::per_second(pulse.sent_per_second(at(60))), "0.0/s");
    }

    /// Plays a story and asks at every tick for the time left of the open wave, and for what it really was.
    fn guesses(story: &Story) -> Vec<(usize, Duration, Option<Duration>, Duration)> {
        let mut scene: Scene = story.scene();
        let mut guesses = Vec::new();
        for (at, (after, event)) in story.events.iter().enumerate() {
            scene.take(*after, event);
            if let (Event::Tick, Some((wave, _))) = (event, scene.wave) {
                let counts = &scene.tally.waves()[wave];
                let guess = scene.pulse.time_left(*after, counts, scene.tally.rate());
                let closed =
                    story.events[at..].iter().find(|(_, event)| matches!(event, Event::WaveEnded { .. }));
                let really = closed.map_or(Duration::ZERO, |(closed, _)| closed.saturating_sub(*after));
                guesses.push((wave, *after, guess, really));
            }
            scene.leave(event);
        }
        guesses
    }

    #[test]
    fn the_time_left_of_a_large_wave_after_small_ones_is_near_the_truth() {
        let guesses = guesses(&script::growing());
        for (wave, after, guess, really) in &guesses {
            let Some(guess) = guess else {
                // before anything converged, and when the last ones are slow
                assert!(*wave == 0 || *really <= at(6), "no guess at {after:?}, {really:?} before the end");
                continue;
            };
            let off = guess.abs_diff(*really);
            assert!(off <= at(6), "at {after:?} in wave {wave}: {guess:?} for {really:?}");
        }
        assert!(guesses.iter().filter(|(wave, _, guess, _)| *wave == 2 && guess.is_some()).count() > 50);
    }

    #[test]
    fn no_time_left_is_claimed_before_anything_converged() {
        let guesses = guesses(&script::all_good());
        let early = guesses.iter().filter(|(_, after, ..)| *after < at(40));
        assert!(early.clone().count() > 30 && early.into_iter().all(|(_, _, guess, _)| guess.is_none()));
    }

    #[test]
    fn what_an_earlier_run_sent_does_not_make_converging_look_fast() {
        let mut pulse = Pulse::default();
        pulse.take(at(0), &Event::Accepted { job: JobIndex(0) });
        pulse.take(at(1), &script::settled(0, Outcome::Switched, None));
        assert_eq!(pulse.time_left(at(1), &script::counts(1, 5), 20.0), None);
    }

    #[test]
    fn a_lower_limit_makes_the_time_left_longer_at_once() {
        let mut pulse = Pulse::default();
        for job in 0..40 {
            pulse.take(at(1), &Event::Sent { job: JobIndex(job), attempt: 1 });
        }
        pulse.take(at(1), &Event::Accepted { job: JobIndex(0) });
        pulse.take(at(2), &script::settled(0, Outcome::Switched, None));
        let counts = script::counts(0, 100);
        let left = |limit| pulse.time_left(at(2), &counts, limit).map(|left| left.as_secs());
        assert_eq!((left(20.0), left(5.0)), (Some(6), Some(21)));
    }
}
