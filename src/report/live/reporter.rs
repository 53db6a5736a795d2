//! Folds the events of a run, and passes them on to what shows them.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::bars::Bars;
use super::lines::Lines;
use super::sink::Sink;
use super::state::ProgressState;
use super::terminal::Terminal;
use crate::event::{Event, Listener};
use crate::tally::Tally;

/// Folds events into a [`ProgressState`] and shows both to its sink, until that fails.
#[derive(Default)]
pub struct Reporter {
    sink: Option<Box<dyn Sink>>,
    state: TallyReader,
}

/// Reads the tally of a reporter, also after the run has dropped the reporter.
#[derive(Clone, Debug, Default)]
pub struct TallyReader(Arc<Mutex<Option<ProgressState>>>);

impl TallyReader {
    /// The tally of all events so far; none before the run started.
    pub fn tally(&self) -> Option<Tally> {
        self.lock().as_ref().map(|state| state.tally.clone())
    }

    fn lock(&self) -> MutexGuard<'_, Option<ProgressState>> {
        // a sink that panicked leaves a complete state: it changes before the sinks see it
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Reporter {
    /// Shows bars if stderr is a terminal that can draw them, and lines otherwise.
    pub fn on_stderr(terminal: &Terminal) -> Self {
        let sink: Box<dyn Sink> =
            if terminal.can_draw() { Box::new(Bars::new(terminal)) } else { Box::new(Lines::on_stderr()) };
        Self { sink: Some(sink), ..Self::default() }
    }

    /// A reader of the tally, for when the run has ended.
    pub fn tally_reader(&self) -> TallyReader {
        self.state.clone()
    }
}

impl Listener for Reporter {
    fn on_event(&mut self, after: Duration, event: &Event) {
        let mut state = self.state.lock();
        if let Event::RunStarted(header) = event {
            *state = Some(ProgressState::new(Arc::clone(header)));
        }
        // a run starts before anything else happens, so there is nothing to show without a state
        let Some(state) = state.as_mut() else { return };
        state.take(after, event);
        if self.sink.as_mut().is_some_and(|sink| sink.show(after, state, event).is_err()) {
            self.sink = None;
        }
        state.shown(event);
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;
    use crate::report::fixtures;

    /// Fails at the third event.
    #[derive(Default)]
    struct Failing(usize);

    impl Sink for Failing {
        fn show(&mut self, _: Duration, _: &ProgressState, _: &Event) -> io::Result<()> {
            self.0 += 1;
            assert!(self.0 <= 3, "a sink that failed is shown nothing more");
            if self.0 == 3 { Err(io::ErrorKind::BrokenPipe.into()) } else { Ok(()) }
        }
    }

    #[test]
    fn a_sink_that_failed_is_removed_and_the_tally_goes_on() {
        let mut reporter = Reporter { sink: Some(Box::new(Failing::default())), ..Reporter::default() };
        let run = fixtures::mixed();
        run.play(&mut reporter);
        let tally = reporter.tally_reader().tally().expect("the run started");
        assert_eq!(tally.outcomes(), run.tally().outcomes());
    }

    #[test]
    fn the_tally_can_be_read_after_the_reporter_is_dropped() {
        let mut reporter = Reporter::default();
        let reader = reporter.tally_reader();
        let run = fixtures::mixed();
        run.play(&mut reporter);
        drop(reporter);
        let tally = reader.tally().expect("the run started");
        assert_eq!(tally.outcomes(), run.tally().outcomes());
    }

    #[test]
    fn events_before_the_start_of_a_run_are_ignored() {
        let mut reporter = Reporter::default();
        reporter.on_event(Duration::ZERO, &Event::Tick);
        assert!(reporter.tally_reader().tally().is_none());
    }
}
