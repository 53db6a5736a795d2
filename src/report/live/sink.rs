//! The interface of everything that shows events.

use std::io;
use std::time::Duration;

use super::state::ProgressState;
use crate::event::Event;

/// Shows events to people. An error means that it can show nothing any more.
pub trait Sink: Send {
    /// Shows one event, `after` the run started; the state includes it already.
    fn show(&mut self, after: Duration, state: &ProgressState, event: &Event) -> io::Result<()>;
}
