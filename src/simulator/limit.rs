//! The rate limit of the service: how many requests of one action it accepts in one second.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use serde::Deserialize;
use tokio::time::Instant;

const SECOND: Duration = Duration::from_secs(1);

/// The one-second window of the rate limit. Which one the service uses is not documented (document 1278/109059).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Window {
    /// Any period of one second: the strictest reading.
    #[default]
    Sliding,
    /// Consecutive seconds, counted from the start of the simulator.
    Fixed,
}

/// Counts admitted requests, separately for each action. Throttled requests do not count.
#[derive(Debug)]
pub(super) struct RateLimit {
    window: Window,
    start: Instant,
    admitted: HashMap<String, VecDeque<Instant>>,
}

impl RateLimit {
    pub(super) fn new(window: Window, start: Instant) -> Self {
        Self { window, start, admitted: HashMap::new() }
    }

    /// Admits a request unless `max` requests were admitted in the window of `at`.
    pub(super) fn admit(&mut self, action: &str, at: Instant, max: u32) -> bool {
        let (window, start) = (self.window, self.start);
        let bucket = self.admitted.entry(action.to_owned()).or_default();
        // arrival times are taken outside the lock, so they may be out of order
        let at = bucket.back().map_or(at, |last| at.max(*last));
        let expired = |earlier: Instant| match window {
            Window::Sliding => at.duration_since(earlier) >= SECOND,
            Window::Fixed => at.duration_since(start).as_secs() != earlier.duration_since(start).as_secs(),
        };
        while bucket.front().is_some_and(|earlier| expired(*earlier)) {
            bucket.pop_front();
        }
        let free = bucket.len() < usize::try_from(max).unwrap_or(usize::MAX);
        if free {
            bucket.push_back(at);
        }
        free
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Compares every request with every earlier one, in milliseconds.
    fn brute_force(window: Window, max: u32, arrivals: &[u64]) -> Vec<bool> {
        let mut admitted: Vec<u64> = Vec::new();
        let mut answers = Vec::new();
        for at in arrivals {
            let same = |earlier: &&u64| match window {
                Window::Sliding => at - **earlier < 1_000,
                Window::Fixed => at / 1_000 == **earlier / 1_000,
            };
            let free = admitted.iter().filter(same).count() < max as usize;
            if free {
                admitted.push(*at);
            }
            answers.push(free);
        }
        answers
    }

    proptest! {
        #[test]
        fn both_windows_agree_with_brute_force(
            gaps in prop::collection::vec(0_u64..400, 0..120),
            max in 0_u32..8,
            sliding: bool,
        ) {
            let window = if sliding { Window::Sliding } else { Window::Fixed };
            let start = Instant::now();
            let mut limit = RateLimit::new(window, start);
            let arrivals: Vec<u64> =
                gaps.iter().scan(0, |at, gap| { *at += gap; Some(*at) }).collect();
            let ours: Vec<bool> = arrivals
                .iter()
                .map(|at| limit.admit("A", start + Duration::from_millis(*at), max))
                .collect();
            prop_assert_eq!(ours, brute_force(window, max, &arrivals));
        }
    }

    #[test]
    fn a_sliding_window_is_half_open_and_a_fixed_window_starts_again_each_second() {
        let start = Instant::now();
        let at = |millis| start + Duration::from_millis(millis);
        let mut sliding = RateLimit::new(Window::Sliding, start);
        assert!(sliding.admit("A", at(500), 1));
        assert!(!sliding.admit("A", at(1_499), 1));
        assert!(sliding.admit("B", at(1_499), 1), "another action has its own limit");
        assert!(sliding.admit("A", at(1_500), 1));
        let mut fixed = RateLimit::new(Window::Fixed, start);
        assert!(fixed.admit("A", at(999), 1));
        assert!(fixed.admit("A", at(1_000), 1));
    }
}
