//! The rate limit: how many calls of one action the service lets through in one second.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use tokio::time::Instant;

const SECOND: Duration = Duration::from_secs(1);

/// Shape of the one-second window. Which one the service uses is not documented (document 1278/109059).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Window {
    /// Any second, however placed: the strictest reading.
    #[default]
    Sliding,
    /// Seconds side by side, counted from the birth of the simulator.
    Fixed,
}

/// Counts admitted calls, one bucket for each action. Refused calls do not count.
#[derive(Debug)]
pub(super) struct Limit {
    window: Window,
    born: Instant,
    admitted: HashMap<String, VecDeque<Instant>>,
}

impl Limit {
    pub(super) fn new(window: Window, born: Instant) -> Self {
        Self { window, born, admitted: HashMap::new() }
    }

    /// Lets a call through unless `most` were let through in the second that `at` belongs to.
    pub(super) fn admit(&mut self, action: &str, at: Instant, most: u32) -> bool {
        let (window, born) = (self.window, self.born);
        let bucket = self.admitted.entry(action.to_owned()).or_default();
        // arrivals are stamped outside the lock, so neighbours may come in the wrong order
        let at = bucket.back().map_or(at, |last| at.max(*last));
        let over = |earlier: Instant| match window {
            Window::Sliding => at.duration_since(earlier) >= SECOND,
            Window::Fixed => at.duration_since(born).as_secs() != earlier.duration_since(born).as_secs(),
        };
        while bucket.front().is_some_and(|earlier| over(*earlier)) {
            bucket.pop_front();
        }
        let free = bucket.len() < usize::try_from(most).unwrap_or(usize::MAX);
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

    /// Admits by looking at every earlier admission, millisecond by millisecond.
    fn brute_force(window: Window, most: u32, arrivals: &[u64]) -> Vec<bool> {
        let mut admitted: Vec<u64> = Vec::new();
        let mut answers = Vec::new();
        for at in arrivals {
            let same = |earlier: &&u64| match window {
                Window::Sliding => at - **earlier < 1_000,
                Window::Fixed => at / 1_000 == **earlier / 1_000,
            };
            let free = admitted.iter().filter(same).count() < most as usize;
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
            most in 0_u32..8,
            sliding: bool,
        ) {
            let window = if sliding { Window::Sliding } else { Window::Fixed };
            let born = Instant::now();
            let mut limit = Limit::new(window, born);
            let arrivals: Vec<u64> =
                gaps.iter().scan(0, |at, gap| { *at += gap; Some(*at) }).collect();
            let ours: Vec<bool> = arrivals
                .iter()
                .map(|at| limit.admit("A", born + Duration::from_millis(*at), most))
                .collect();
            prop_assert_eq!(ours, brute_force(window, most, &arrivals));
        }
    }

    #[test]
    fn a_sliding_second_is_half_open_and_a_fixed_one_forgets_at_its_edge() {
        let born = Instant::now();
        let at = |millis| born + Duration::from_millis(millis);
        let mut sliding = Limit::new(Window::Sliding, born);
        assert!(sliding.admit("A", at(500), 1));
        assert!(!sliding.admit("A", at(1_499), 1));
        assert!(sliding.admit("B", at(1_499), 1), "another action has another bucket");
        assert!(sliding.admit("A", at(1_500), 1));
        let mut fixed = Limit::new(Window::Fixed, born);
        assert!(fixed.admit("A", at(999), 1));
        assert!(fixed.admit("A", at(1_000), 1));
    }
}
