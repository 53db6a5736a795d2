//! Decides when a call may be sent, and how long to wait before it is repeated.

mod adaptive;
mod clock;
mod limiter;
mod retry;

pub use clock::until;
pub use limiter::{HEADROOM, RateLimiter};
pub use retry::{Delays, Schedule};

/// Highest number of requests per second of one action that the service documents (1342/99266).
pub const DOCUMENTED_LIMIT: u32 = 20;

/// The highest number of requests per second that a rate limiter allows: 1 to [`DOCUMENTED_LIMIT`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate(u32);

impl Rate {
    /// The documented limit itself.
    pub const FULL: Self = Self(DOCUMENTED_LIMIT);

    /// A rate; none for zero or above the documented limit.
    pub fn new(per_second: u32) -> Option<Self> {
        (1..=DOCUMENTED_LIMIT).contains(&per_second).then_some(Self(per_second))
    }

    /// Requests per second.
    pub fn per_second(self) -> u32 {
        self.0
    }
}
