//! Records the events of a simulation as text, if requested.

use std::fmt::Write;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Lines with the time since the start of the simulation, or nothing if not requested.
#[derive(Clone, Debug)]
pub struct Trace {
    started: Instant,
    lines: Option<Arc<Mutex<String>>>,
}

impl Trace {
    /// A trace that starts now, and records lines only if `is_recorded`.
    pub fn begin(is_recorded: bool) -> Self {
        Self { started: Instant::now(), lines: is_recorded.then(Arc::default) }
    }

    /// Adds a line: what `who` did now.
    pub fn say(&self, who: &str, what: impl FnOnce() -> String) {
        self.say_at(self.started.elapsed(), who, what);
    }

    /// Adds a line with another moment: the world processes its events only when it is accessed.
    pub fn say_at(&self, moment: Duration, who: &str, what: impl FnOnce() -> String) {
        let Some(lines) = &self.lines else { return };
        let mut lines = lines.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = writeln!(lines, "{:>11.3} {who:<8} {}", moment.as_secs_f64(), what());
    }

    /// All lines.
    pub fn text(&self) -> String {
        let lines = self.lines.as_ref();
        lines.map(|lines| lines.lock().unwrap_or_else(PoisonError::into_inner).clone()).unwrap_or_default()
    }
}
