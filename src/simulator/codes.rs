//! The error codes that the simulator can answer with: those of the catalogue, so that a scenario cannot ask for
//! a misspelt one by accident.

use crate::cloud::catalogue;

/// Every documented code, once.
pub(super) fn documented() -> impl Iterator<Item = &'static str> {
    catalogue::all().iter().map(|entry| entry.code)
}

/// Code of a call that came too fast.
pub(super) const TOO_FAST: &str = "RequestLimitExceeded";

/// True for every code that the rate limits answer with; such calls do not count against the quota.
pub(super) fn is_throttle(code: &str) -> bool {
    code.split('.').next() == Some(TOO_FAST)
}
