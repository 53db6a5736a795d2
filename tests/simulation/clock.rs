//! The clock on the wall: right, wrong, or jumping.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use fastrand::Rng;
use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

use crate::random::{between, chance};

/// Seconds since 1970 at which every seed begins.
const BEGINS: i64 = 1_800_000_000;

/// A clock; its clones are the same one.
#[derive(Clone, Debug)]
pub struct WallClock {
    begun: Instant,
    /// By how much it is wrong.
    off: Arc<Mutex<SignedDuration>>,
}

impl WallClock {
    /// A clock that is right.
    pub fn begin() -> Self {
        Self { begun: Instant::now(), off: Arc::default() }
    }

    /// What it shows.
    pub fn now(&self) -> Timestamp {
        let off = *self.off.lock().unwrap_or_else(PoisonError::into_inner);
        let passed = SignedDuration::try_from(self.begun.elapsed()).unwrap_or_default();
        Timestamp::from_second(BEGINS).unwrap_or_default() + passed + off
    }

    /// Is set to something else, forwards or backwards.
    pub fn jump(&self, random: &mut Rng) -> SignedDuration {
        let far = between(random, Duration::from_millis(100), Duration::from_secs(3 * 86_400));
        let far = SignedDuration::try_from(far).unwrap_or_default();
        let mut off = self.off.lock().unwrap_or_else(PoisonError::into_inner);
        *off = if chance(random, 0.5) { -far } else { far };
        *off
    }
}
