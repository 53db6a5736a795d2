//! What happened, line by line, where somebody wants to read it.

use std::fmt::Write;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Takes lines with the time since the seed began, or nothing at all.
#[derive(Clone, Debug)]
pub struct Trace {
    begun: Instant,
    lines: Option<Arc<Mutex<String>>>,
}

impl Trace {
    /// A trace from now on, which keeps its lines where they are `wanted`.
    pub fn begin(wanted: bool) -> Self {
        Self { begun: Instant::now(), lines: wanted.then(Arc::default) }
    }

    /// Adds a line; `who` did or saw `what` just now.
    pub fn say(&self, who: &str, what: impl FnOnce() -> String) {
        self.say_at(self.begun.elapsed(), who, what);
    }

    /// Adds a line about another moment: the world catches up with time only where it is looked at.
    pub fn say_at(&self, moment: Duration, who: &str, what: impl FnOnce() -> String) {
        let Some(lines) = &self.lines else { return };
        let mut lines = lines.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = writeln!(lines, "{:>11.3} {who:<8} {}", moment.as_secs_f64(), what());
    }

    /// Everything so far.
    pub fn text(&self) -> String {
        let lines = self.lines.as_ref();
        lines.map(|lines| lines.lock().unwrap_or_else(PoisonError::into_inner).clone()).unwrap_or_default()
    }
}
