//! Computes how long to wait before a call is repeated: exponential backoff with jitter. Of the `backoff` crate only the
//! arithmetic is used, not its clock, randomness or loop.

use std::time::Duration;

use backoff::ExponentialBackoff;
use backoff::backoff::Backoff;

/// Waits that double from `first` up to `longest`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// Upper limit of the first wait.
    pub first: Duration,
    /// Upper limit of every wait.
    pub longest: Duration,
}

impl Schedule {
    /// Upper limit of the wait after this number of failures in a row, counted from one.
    pub fn ceiling(self, failures: u32) -> Duration {
        let mut steps = ExponentialBackoff {
            current_interval: self.first,
            initial_interval: self.first,
            randomization_factor: 0.0,
            multiplier: 2.0,
            max_interval: self.longest,
            max_elapsed_time: None,
            ..ExponentialBackoff::default()
        };
        // after 32 doublings every schedule has reached its longest wait
        let step = failures.clamp(1, 32) as usize - 1;
        std::iter::from_fn(|| steps.next_backoff()).nth(step).unwrap_or(self.longest).min(self.longest)
    }

    /// A random wait after this number of failures in a row: between half the ceiling and the ceiling, so that jobs that
    /// failed at the same time are not repeated at the same time, and none is repeated at once.
    pub fn wait(self, failures: u32, random: &mut fastrand::Rng) -> Duration {
        self.ceiling(failures).mul_f64(0.5 + 0.5 * random.f64())
    }
}

/// The schedules of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delays {
    /// After faults that end within seconds, such as `InternalError`.
    pub transient: Schedule,
    /// After refusals that end when other work on the engine has finished, such as `ResourceInUse`.
    pub busy: Schedule,
}

impl Default for Delays {
    fn default() -> Self {
        Self {
            transient: Schedule { first: Duration::from_millis(500), longest: Duration::from_secs(30) },
            busy: Schedule { first: Duration::from_secs(5), longest: Duration::from_secs(60) },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ceilings_double_up_to_the_longest() {
        let schedule = Delays::default().transient;
        let ceilings: Vec<u128> = (1..=8).map(|failures| schedule.ceiling(failures).as_millis()).collect();
        assert_eq!(ceilings, [500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000]);
        assert_eq!(schedule.ceiling(u32::MAX), schedule.longest);
    }

    #[test]
    fn waits_are_spread_between_half_the_ceiling_and_the_ceiling() {
        let schedule = Delays::default().transient;
        let mut random = fastrand::Rng::with_seed(1);
        let waits: Vec<Duration> = (0..1_000).map(|_| schedule.wait(3, &mut random)).collect();
        let (shortest, longest) = (waits.iter().min().expect("some"), waits.iter().max().expect("some"));
        assert!(*shortest >= Duration::from_secs(1) && *longest <= Duration::from_secs(2));
        assert!(*shortest < Duration::from_millis(1_050) && *longest > Duration::from_millis(1_950));
    }

    #[test]
    fn the_same_seed_gives_the_same_waits() {
        let waits = |seed| {
            let mut random = fastrand::Rng::with_seed(seed);
            (1..6).map(|n| Delays::default().busy.wait(n, &mut random)).collect::<Vec<_>>()
        };
        assert_eq!(waits(7), waits(7));
        assert_ne!(waits(7), waits(8));
    }
}
