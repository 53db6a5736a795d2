//! The gate one action passes through: governor as the hard cap, even slots before it, and a guard over the
//! starts that really happened.
//!
//! A start is the moment in which the caller lets a request go. Three things must agree to it:
//!
//! 1. the slot of the moment's rate, which is lower after throttling;
//! 2. the guard: the start that lies one full quota back is at least a second and [`GUARD`] ago. It looks at
//!    starts as they happened, so that no delay between leave and start can bunch them;
//! 3. governor, with the gap of the full rate and room for [`LATE_STARTS`] starts that came late.
//!
//! Late starts are made up, since on a busy machine or a slow disk one in a few comes late, and what is lost each
//! time adds up. That several then leave close together is no matter: the guard still counts them.

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

/// What one quota of starts takes above one second. The service counts arrivals, and the network bunches
/// them: with this much room, jitter below 20 ms cannot make 21 arrivals in a second out of 20 even starts.
pub const HEADROOM: Duration = Duration::from_millis(20);

/// The same as the guard holds it, whatever happens. A little less than [`HEADROOM`], so that a start which came
/// late does not make every twentieth start after it late for ever.
const GUARD: Duration = Duration::from_millis(15);

const SECOND: Duration = Duration::from_secs(1);

type Cap = governor::RateLimiter<NotKeyed, InMemoryState, TokioClock, NoOpMiddleware<TokioInstant>>;

/// Lets starts of one action through, never faster than its rate. Every request passes, retries included.
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
    /// A gate that has seen no start.
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

    /// Waits until one call may go. Dropped before it returns, it has used up nothing; once it returns, the
    /// caller lets the call go and says so with [`RateLimiter::start`].
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

    /// Records that a call goes now.
    pub fn start(&mut self) {
        let now = Instant::now();
        let recent = self.starts.iter().filter(|start| now < **start + SECOND).count();
        self.peak_requests_per_second =
            self.peak_requests_per_second.max(u32::try_from(recent).unwrap_or(u32::MAX).saturating_add(1));
        if self.starts.len() == self.quota() {
            self.starts.pop_front();
        }
        self.starts.push_back(now);
        self.adaptive.take(now);
    }

    /// This process stood still until now, so the calls under way may only now be leaving: as far as the limit
    /// goes, they start now.
    pub fn suspended(&mut self, under_way: usize) {
        let now = Instant::now();
        for start in self.starts.iter_mut().rev().take(under_way) {
            *start = now;
        }
    }

    /// The service refused a call as too fast: slow down for everybody, and come back step by step.
    pub fn throttled(&mut self) {
        self.adaptive.throttled(Instant::now());
    }

    /// A call passed the limit, whatever else became of it.
    pub fn passed(&mut self) {
        self.adaptive.passed(Instant::now());
    }

    /// Requests per second at this moment.
    pub fn rate(&self) -> f64 {
        f64::from(self.rate.per_second()) * self.adaptive.part()
    }

    /// False after throttling, until the full rate is regained.
    pub fn at_full_rate(&self) -> bool {
        self.adaptive.part() >= 1.0
    }

    /// Most starts that any one second has held so far, wherever it is placed.
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

    /// Most instants in any half-open second, counted the slow way.
    fn peak_window(starts: &[Instant]) -> usize {
        let in_second =
            |first: &Instant| starts.iter().filter(|s| *s >= first && **s < *first + SECOND).count();
        starts.iter().map(in_second).max().unwrap_or(0)
    }

    /// Starts `count` calls; each is held up between leave and start by what `delay` says.
    async fn play(
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
        let (starts, limiter) = play(20, 2_000, |_| Duration::ZERO).await;
        let took = *starts.last().expect("starts") - starts[0];
        assert_eq!(peak_window(&starts), 20);
        assert_eq!(limiter.peak_requests_per_second(), 20);
        let ideal = SECOND.mul_f64(1_999.0 / 20.0);
        assert!(took <= ideal.mul_f64(1.03), "{took:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn delays_between_leave_and_start_never_bunch_starts() {
        for seed in 0..50 {
            let mut random = fastrand::Rng::with_seed(seed);
            let slow_disk = |_| {
                Duration::from_millis(if random.u8(..) < 20 { random.u64(..400) } else { random.u64(..8) })
            };
            let (starts, _) = play(20, 400, slow_disk).await;
            assert!(peak_window(&starts) <= 20, "seed {seed}: {}", peak_window(&starts));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn late_starts_are_made_up() {
        // one start in fifty comes 120 ms late; without making up that alone would cost 3 %
        let mut random = fastrand::Rng::with_seed(1);
        let stall = |_| Duration::from_millis(if random.u8(..50) == 0 { 120 } else { 1 });
        let (starts, _) = play(20, 2_000, stall).await;
        let took = *starts.last().expect("starts") - starts[0];
        assert!(peak_window(&starts) <= 20);
        assert!(took <= SECOND.mul_f64(1.03 * 1_999.0 / 20.0), "{took:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn every_rate_keeps_its_own_limit() {
        for rate in 1..=20 {
            let (starts, limiter) = play(rate, 100, |_| Duration::ZERO).await;
            assert_eq!(peak_window(&starts), rate as usize, "rate {rate}");
            assert_eq!(limiter.peak_requests_per_second(), rate, "rate {rate}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_idle_gate_does_not_save_up_starts() {
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
    async fn calls_that_may_leave_only_after_a_standstill_count_as_leaving_then() {
        for under_way in [0, 1, 7, 20, 64] {
            let mut limiter = RateLimiter::new(Rate::FULL);
            for _ in 0..30 {
                limiter.ready().await;
                limiter.start();
            }
            until(Instant::now() + Duration::from_secs(600)).await;
            let mut arrivals = vec![Instant::now(); under_way];
            limiter.suspended(under_way);
            for _ in 0..60 {
                limiter.ready().await;
                limiter.start();
                arrivals.push(Instant::now());
            }
            assert_eq!(peak_window(&arrivals), under_way.max(20), "{under_way} under way");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn throttling_halves_the_rate_and_the_full_rate_comes_back() {
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
            limiter.passed();
        }
        assert!(Instant::now() - slowed <= Duration::from_secs(12));
    }

    #[tokio::test(start_paused = true)]
    async fn leave_that_is_dropped_before_it_comes_uses_up_nothing() {
        let mut limiter = RateLimiter::new(Rate::FULL);
        let begun = Instant::now();
        for _ in 0..40 {
            for _ in 0..3 {
                let patience = Duration::from_millis(7);
                if tokio::time::timeout(patience, limiter.ready()).await.is_ok() {
                    limiter.start();
                    break;
                }
            }
        }
        let expected = (Instant::now() - begun).as_secs_f64() / 0.051;
        let started = f64::from(u32::try_from(limiter.starts.len()).expect("small"));
        assert!(started >= (expected - 1.0).min(20.0).floor(), "{started} of {expected}");
    }
}
