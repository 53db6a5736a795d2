//! The time until a run ends: sending, verification and soaks of the waves that are left.

use std::time::Duration;

use super::state::ProgressState;
use crate::format;
use crate::tally::Counts;

/// An estimate of the time until the run ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeLeft {
    /// How long.
    pub left: Duration,
    /// True if a part of it is not known, so that it takes longer.
    pub at_least: bool,
}

impl TimeLeft {
    const NONE: Self = Self { left: Duration::ZERO, at_least: false };

    fn plus(self, other: Self) -> Self {
        Self { left: self.left.saturating_add(other.left), at_least: self.at_least || other.at_least }
    }
}

/// The time left; none if the run is stopping, or if nothing is known of it.
pub fn time_left(after: Duration, state: &ProgressState) -> Option<TimeLeft> {
    if state.tally.stopped().is_some() {
        return None;
    }
    let current = match (state.soaking, state.wave) {
        (Some((_, until)), _) => TimeLeft { left: until.saturating_sub(after), at_least: false },
        (None, Some((wave, _))) => {
            let rate = state.throughput.wave_rate(after, state.tally.rate());
            let soak = soak_of(state, wave);
            state.tally.waves().get(wave).map_or(TimeLeft::NONE, |counts| {
                wave_left(after, state, counts, rate).plus(TimeLeft { left: soak, at_least: false })
            })
        }
        (None, None) => TimeLeft::NONE,
    };
    let later = state.tally.waves().iter().enumerate().skip(state.next_wave);
    let left = later.fold(current, |left, (wave, counts)| {
        let of_wave = wave_left(after, state, counts, state.tally.rate());
        let soak = if of_wave == TimeLeft::NONE { Duration::ZERO } else { soak_of(state, wave) };
        left.plus(of_wave).plus(TimeLeft { left: soak, at_least: false })
    });
    (!left.left.is_zero()).then_some(left)
}

fn soak_of(state: &ProgressState, wave: usize) -> Duration {
    state.header.waves.get(wave).map_or(Duration::ZERO, |wave| wave.soak)
}

/// Sending what is left of a wave at this rate, then verification. Before an engine was switched, `--min-ready` is the
/// least that verification takes.
fn wave_left(after: Duration, state: &ProgressState, counts: &Counts, rate: f64) -> TimeLeft {
    let measured = state.throughput.verification();
    let verification = measured.or(state.header.min_ready).unwrap_or_default();
    let unknown = measured.is_none() && state.header.min_ready.is_some();
    let to_send = counts.waiting + counts.retrying;
    let left = if to_send > 0 {
        let sending = Duration::try_from_secs_f64(format::number(to_send) / rate).unwrap_or(Duration::MAX);
        sending.saturating_add(verification)
    } else if counts.in_flight > 0 {
        verification
    } else if counts.converging + counts.confirming > 0 {
        let since = state.throughput.last_accepted().unwrap_or(after);
        (since + verification).saturating_sub(after)
    } else {
        Duration::ZERO
    };
    let verifying = counts.unverified() > 0;
    // an unconfirmed request may have to be sent again, and an engine may take longer than most did
    let at_least =
        unknown && counts.unfinished() > 0 || counts.unconfirmed > 0 || verifying && left.is_zero();
    TimeLeft { left, at_least }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Event, RunHeader};
    use crate::job::{JobIndex, Outcome, Wave};
    use crate::report::fixtures::{self, SampleRun};

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// At every tick: the wave, the time, the estimate, and the time that the run still took.
    fn estimates(run: &SampleRun) -> Vec<(usize, Duration, Option<TimeLeft>, Duration)> {
        let mut state = run.state();
        let mut estimates = Vec::new();
        for (after, event) in &run.events {
            state.take(*after, event);
            if let (Event::Tick, Some((wave, _))) = (event, state.wave) {
                estimates.push((
                    wave,
                    *after,
                    time_left(*after, &state),
                    run.elapsed().saturating_sub(*after),
                ));
            }
            state.shown(event);
        }
        estimates
    }

    #[test]
    fn once_an_engine_was_switched_the_time_left_is_near_the_truth() {
        let estimates = estimates(&fixtures::growing());
        let known = estimates.iter().filter_map(|(wave, after, estimate, really)| {
            Some((wave, after, estimate.filter(|estimate| !estimate.at_least)?.left, *really))
        });
        for (wave, after, estimate, really) in known.clone() {
            let off = estimate.abs_diff(really);
            assert!(off <= at(14), "at {after:?} in wave {wave}: {estimate:?} for {really:?}");
        }
        assert!(known.filter(|(wave, ..)| **wave == 2).count() > 50);
    }

    #[test]
    fn before_an_engine_was_switched_the_time_left_is_a_lower_bound() {
        for (_, after, estimate, really) in estimates(&fixtures::all_good()) {
            let Some(estimate) = estimate.filter(|_| after < at(40)) else { continue };
            assert!(
                estimate.at_least && estimate.left <= really,
                "at {after:?}: {estimate:?} for {really:?}"
            );
        }
    }

    #[test]
    fn soaks_of_this_wave_and_later_waves_count() {
        let mut run = SampleRun::new(&[("canary", 1), ("rest", 20)]);
        let mut header = RunHeader::clone(&run.header);
        header.waves = header.waves.iter().map(|wave| Wave { soak: at(600), ..wave.clone() }).collect();
        run.set_header(header);
        let mut state = run.state();
        state.take(at(0), &Event::WaveStarted { wave: 0 });
        // 0.05 s and 1 s of sending, 10 s of verification and 600 s of soak for each wave
        let left = time_left(at(0), &state).expect("an estimate");
        assert_eq!((left.left.as_secs(), left.at_least), (1_221, true));
        state.take(at(20), &fixtures::ended(0, Outcome::Switched, None));
        state.take(at(20), &Event::WaveEnded { wave: 0 });
        state.shown(&Event::WaveEnded { wave: 0 });
        state.take(at(20), &Event::SoakStarted { wave: 0, left: at(600), verify: true });
        assert_eq!(time_left(at(120), &state).expect("an estimate").left, at(500 + 1 + 10 + 600));
    }

    #[test]
    fn a_lower_rate_makes_the_time_left_longer_at_once() {
        let mut state = fixtures::fleet(140).state();
        state.take(at(0), &Event::WaveStarted { wave: 0 });
        for job in 0..40 {
            state.take(at(1), &Event::Sent { job: JobIndex(job), attempt: 1 });
        }
        state.take(at(1), &Event::Accepted { job: JobIndex(0) });
        state.take(at(2), &fixtures::ended(0, Outcome::Switched, None));
        let left = |state: &ProgressState| time_left(at(2), state).map(|left| left.left.as_secs());
        assert_eq!(left(&state), Some(6));
        let reason = fixtures::reason("RequestLimitExceeded");
        state.take(at(2), &Event::Throttled { job: JobIndex(200), reason, rate: 5.0 });
        assert_eq!(left(&state), Some(21));
    }
}
