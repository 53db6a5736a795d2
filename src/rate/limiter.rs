//! Limits the rate of one API action: evenly spaced slots, a guard over the actual starts, and governor as the hard limit.
//!
//! A start is the moment at which the caller sends a request. Three conditions must hold:
//!
//! 1. the slot of the adaptive rate, which is lower after throttling, has come;
//! 2. the guard: the start that is one full quota back was at least one second and [`GUARD`] ago. It uses the actual starts,
//!    so a delay between permission and start cannot create a burst;
//! 3. governor, with the gap of the full rate and a burst of [`LATE_STARTS`] late starts, allows it.
//!
//! Late starts are made up for, because on a busy machine or a slow disk many starts are late, and the losses would add up.
//! Several starts may then follow each other closely, and the guard still counts them.

use std::collections::VecDeque;
use std::num::NonZeroU32;
use std::time::Duration;

use governor::Quota;
use governor::middleware::NoOpMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use tokio::time::Instant;

use super::Rate;
use super::adaptive::{AdaptiveRate, LATE_STARTS};
use super::clock::{TokioClock, TokioInstant, until};

/// Time by which one quota of starts takes longer than one second. The service counts arrivals, and the network changes
/// their spacing: with this margin, jitter below 20 ms cannot turn 20 even starts into 21 arrivals in one second.
pub const HEADROOM: Duration = Duration::from_millis(20);

/// The margin that the guard enforces. It is less than [`HEADROOM`], so that one late start does not delay every twentieth
/// start after it.
const GUARD: Duration = Duration::from_millis(15);

const SECOND: Duration = Duration::from_secs(1);

type Cap = governor::RateLimiter<NotKeyed, InMemoryState, TokioClock, NoOpMiddleware<TokioInstant>>;

/// The rate limiter of one action. Every request passes through it, including retries.
#[derive(Debug)]
pub struct RateLimiter {
    rate: Rate,
    adaptive: AdaptiveRate,
    /// The latest starts, oldest first, at most one quota of them.
    starts: VecDeque<Instant>,
    cap: Cap,
    peak_requests_per_second: u32,
}

impl RateLimiter {
    /// A rate limiter without starts.
    pub fn new(rate: Rate) -> Self {
        let quota = Quota::with_period(SECOND / rate.per_second())
            .unwrap_or_else(|| Quota::per_second(NonZeroU32::MIN))
            .allow_burst(NonZeroU32::MIN.saturating_add(LATE_STARTS));
        Self {
            rate,
            adaptive: AdaptiveRate::new((SECOND + HEADROOM) / rate.per_second(), Instant::now()),
            starts: VecDeque::with_capacity(rate.per_second() as usize),
            cap: governor::RateLimiter::direct_with_clock(quota, TokioClock),
            peak_requests_per_second: 0,
        }
    }

    /// Waits until one call may be sent. If it is dropped before it returns, nothing is used up. Once it returns, the caller
    /// sends the call at once and records it with [`RateLimiter::start`].
    pub async fn ready(&mut self) {
        loop {
            let earliest = self.earliest();
            if earliest > Instant::now() {
                until(earliest).await;
                continue;
            }
            match self.cap.check() {
                Ok(()) => return,
                Err(not_yet) => until(not_yet.earliest_possible().0).await,
            }
        }
    }

    /// Records that a call is sent now.
    pub fn start(&mut self) {
        let now = Instant::now();
        let recent = self.starts.iter().filter(|start| now < **start + SECOND).count();
        self.peak_requests_per_second =
            self.peak_requests_per_second.max(u32::try_from(recent).unwrap_or(u32::MAX).saturating_add(1));
        if self.starts.len() == self.quota() {
            self.starts.pop_front();
        }
        self.starts.push_back(now);
        self.adaptive.use_slot(now);
    }

    /// Counts the calls in flight as started now, because this process was suspended and they may arrive only now.
    pub fn suspended(&mut self, in_flight: usize) {
        let now = Instant::now();
        for start in self.starts.iter_mut().rev().take(in_flight) {
            *start = now;
        }
    }

    /// The service throttled a call: reduce the rate, and increase it again in steps.
    pub fn throttled(&mut self) {
        self.adaptive.throttled(Instant::now());
    }

    /// The service responded to a call without throttling it.
    pub fn not_throttled(&mut self) {
        self.adaptive.not_throttled(Instant::now());
    }

    /// Requests per second at this moment.
    pub fn rate(&self) -> f64 {
        f64::from(self.rate.per_second()) * self.adaptive.part()
    }

    /// False after throttling, until the full rate is reached again.
    pub fn at_full_rate(&self) -> bool {
        self.adaptive.part() >= 1.0
    }

    /// Most starts in any one-second span so far.
    pub fn peak_requests_per_second(&self) -> u32 {
        self.peak_requests_per_second
    }

    fn earliest(&self) -> Instant {
        let guard = (self.starts.len() == self.quota())
            .then(|| self.starts.front().map(|oldest| *oldest + SECOND + GUARD))
            .flatten();
        guard.map_or(self.adaptive.slot(), |guard| guard.max(self.adaptive.slot()))
    }

    fn quota(&self) -> usize {
        self.rate.per_second() as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Most starts in any half-open second, by comparing all pairs.
    fn peak_window(starts: &[Instant]) -> usize {
        let in_second =
            |first: &Instant| starts.iter().filter(|s| *s >= first && **s < *first + SECOND).count();
        starts.iter().map(in_second).max().unwrap_or(0)
    }

    /// Starts `count` calls; `delay` gives the time between permission and start of each.
    async fn starts_of(
        rate: u32,
        count: usize,
        mut delay: impl FnMut(usize) -> Duration,
    ) -> (Vec<Instant>, RateLimiter) {
        let mut limiter = RateLimiter::new(Rate::new(rate).expect("a rate"));
        let mut starts = Vec::new();
        for number in 0..count {
            limiter.ready().await;
            until(Instant::now() + delay(number)).await;
            limiter.start();
            starts.push(Instant::now());
        }
        (starts, limiter)
    }

    #[tokio::test(start_paused = true)]
    async fn no_second_holds_more_than_twenty_starts_and_the_rate_is_within_three_percent() {
        let (starts, limiter) = starts_of(20, 2_000, |_| Duration::ZERO).await;
        let took = *starts.last().expect("starts") - starts[0];
        assert_eq!(peak_window(&starts), 20);
        assert_eq!(limiter.peak_requests_per_second(), 20);
        let ideal = SECOND.mul_f64(1_999.0 / 20.0);
        assert!(took <= ideal.mul_f64(1.03), "{took:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn delays_between_permission_and_start_never_exceed_the_limit() {
        for seed in 0..50 {
            let mut random = fastrand::Rng::with_seed(seed);
            let slow_disk = |_| {
                Duration::from_millis(if random.u8(..) < 20 { random.u64(..400) } else { random.u64(..8) })
            };
            let (starts, _) = starts_of(20, 400, slow_disk).await;
            assert!(peak_window(&starts) <= 20, "seed {seed}: {}", peak_window(&starts));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn late_starts_are_made_up_for() {
        // one start in fifty is 120 ms late; if these were not made up for, they would cost 3 %
        let mut random = fastrand::Rng::with_seed(1);
        let stall = |_| Duration::from_millis(if random.u8(..50) == 0 { 120 } else { 1 });
        let (starts, _) = starts_of(20, 2_000, stall).await;
        let took = *starts.last().expect("starts") - starts[0];
        assert!(peak_window(&starts) <= 20);
        assert!(took <= SECOND.mul_f64(1.03 * 1_999.0 / 20.0), "{took:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn every_rate_keeps_its_own_limit() {
        for rate in 1..=20 {
            let (starts, limiter) = starts_of(rate, 100, |_| Duration::ZERO).await;
            assert_eq!(peak_window(&starts), rate as usize, "rate {rate}");
            assert_eq!(limiter.peak_requests_per_second(), rate, "rate {rate}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_idle_limiter_does_not_allow_a_burst() {
        let mut limiter = RateLimiter::new(Rate::FULL);
        let mut starts = Vec::new();
        for burst in 0..4 {
            until(Instant::now() + Duration::from_secs(burst * 30)).await;
            for _ in 0..60 {
                limiter.ready().await;
                limiter.start();
                starts.push(Instant::now());
            }
        }
        assert!(peak_window(&starts) <= 20, "{}", peak_window(&starts));
    }

    #[tokio::test(start_paused = true)]
    async fn calls_in_flight_during_a_suspension_count_as_started_after_it() {
        for in_flight in [0, 1, 7, 20, 64] {
            let mut limiter = RateLimiter::new(Rate::FULL);
            for _ in 0..30 {
                limiter.ready().await;
                limiter.start();
            }
            until(Instant::now() + Duration::from_secs(600)).await;
            let mut arrivals = vec![Instant::now(); in_flight];
            limiter.suspended(in_flight);
            for _ in 0..60 {
                limiter.ready().await;
                limiter.start();
                arrivals.push(Instant::now());
            }
            assert_eq!(peak_window(&arrivals), in_flight.max(20), "{in_flight} in flight");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn throttling_halves_the_rate_and_the_full_rate_returns() {
        let mut limiter = RateLimiter::new(Rate::FULL);
        limiter.ready().await;
        limiter.start();
        limiter.throttled();
        assert!((limiter.rate() - 10.0).abs() < 1e-9);
        assert!(!limiter.at_full_rate());
        let slowed = Instant::now();
        for _ in 0..10 {
            limiter.ready().await;
            limiter.start();
        }
        assert!(Instant::now() - slowed >= Duration::from_millis(900));
        while !limiter.at_full_rate() {
            limiter.ready().await;
            limiter.start();
            limiter.not_throttled();
        }
        assert!(Instant::now() - slowed <= Duration::from_secs(12));
    }

    #[tokio::test(start_paused = true)]
    async fn a_wait_that_is_dropped_uses_up_no_start() {
        let mut limiter = RateLimiter::new(Rate::FULL);
        let started_at = Instant::now();
        for _ in 0..40 {
            for _ in 0..3 {
                let limit = Duration::from_millis(7);
                if tokio::time::timeout(limit, limiter.ready()).await.is_ok() {
                    limiter.start();
                    break;
                }
            }
        }
        let expected = (Instant::now() - started_at).as_secs_f64() / 0.051;
        let started = f64::from(u32::try_from(limiter.starts.len()).expect("small"));
        assert!(started >= (expected - 1.0).min(20.0).floor(), "{started} of {expected}");
    }
}
