//! The wall clock of the simulation, which may be wrong and may jump.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use fastrand::Rng;
use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

use crate::random::{between, chance};

/// Start of every simulation, in seconds since 1970.
const START: i64 = 1_800_000_000;

/// A clock. Clones share its offset.
#[derive(Clone, Debug)]
pub struct WallClock {
    started: Instant,
    /// Its error.
    off: Arc<Mutex<SignedDuration>>,
}

impl WallClock {
    /// A correct clock.
    pub fn begin() -> Self {
        Self { started: Instant::now(), off: Arc::default() }
    }

    /// The time that it shows.
    pub fn now(&self) -> Timestamp {
        let off = *self.off.lock().unwrap_or_else(PoisonError::into_inner);
        let passed = SignedDuration::try_from(self.started.elapsed()).unwrap_or_default();
        Timestamp::from_second(START).unwrap_or_default() + passed + off
    }

    /// Changes its error to a random one, forwards or backwards.
    pub fn jump(&self, random: &mut Rng) -> SignedDuration {
        let offset = between(random, Duration::from_millis(100), Duration::from_secs(3 * 86_400));
        let offset = SignedDuration::try_from(offset).unwrap_or_default();
        let mut off = self.off.lock().unwrap_or_else(PoisonError::into_inner);
        *off = if chance(random, 0.5) { -offset } else { offset };
        *off
    }
}
