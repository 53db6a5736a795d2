//! Bars on a terminal: one for each wave, and the status of the run below them.

use std::io;
use std::time::Duration;

use super::clock;
use super::notices::Notices;
use super::sink::Sink;
use super::state::ProgressState;
use super::status;
use super::terminal::Terminal;
use crate::event::Event;

/// Most waves that have a bar; of more waves, those around the current one.
const MOST_ROWS: usize = 6;
/// Bars are redrawn at most once in this time.
const REDRAW_EVERY: Duration = Duration::from_millis(100);

/// A sink that draws bars, and prints notices above them.
pub struct Bars {
    terminal: Terminal,
    notices: Notices,
    drawn: Duration,
}

impl Bars {
    /// Bars on this terminal; they appear when the run starts, and are cleared when it ends.
    pub fn new(terminal: &Terminal) -> Self {
        Self { terminal: terminal.clone(), notices: Notices::default(), drawn: Duration::ZERO }
    }

    fn draw(&mut self, after: Duration, state: &ProgressState) -> io::Result<()> {
        let columns = Terminal::bar_columns();
        let rows = status::rows(state, columns).into_iter().skip(first_row(state)).take(MOST_ROWS);
        let status = status::status(after, state, columns);
        let bars = rows.chain([status]).chain(status::problems(state, columns)).collect();
        self.drawn = after;
        self.terminal.draw(bars)
    }
}

/// The wave in the first row: the current wave is shown with the one before it.
fn first_row(state: &ProgressState) -> usize {
    let before_current = state.next_wave.saturating_sub(2);
    before_current.min(state.header.waves.len().saturating_sub(MOST_ROWS))
}

impl Sink for Bars {
    fn show(&mut self, after: Duration, state: &ProgressState, event: &Event) -> io::Result<()> {
        for text in self.notices.take(after, state, event) {
            let time = clock::local_time(after);
            self.terminal.print_above(&clock::line(time, &text, Some(Terminal::columns())))?;
        }
        match event {
            Event::RunStarted(_)
            | Event::Tick
            | Event::WaveStarted { .. }
            | Event::WaveEnded { .. }
            | Event::SoakStarted { .. }
            | Event::SoakEnded { .. }
            | Event::Stopping(_) => self.draw(after, state),
            Event::RunEnded => self.terminal.draw(Vec::new()),
            _ if after >= self.drawn + REDRAW_EVERY => self.draw(after, state),
            _ => Ok(()),
        }
    }
}

impl Drop for Bars {
    /// However the run ends, no bar stays on the screen.
    fn drop(&mut self) {
        // a terminal that is gone has nothing to be cleared
        let _ = self.terminal.draw(Vec::new());
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;
    use crate::report::fixtures;
    use crate::report::live::terminal::log_writer;
    use crate::report::style::plain;

    #[test]
    fn the_rows_of_a_busy_moment_line_up_and_fit_eighty_columns() {
        let state = fixtures::busy_state();
        let rows: Vec<_> = status::rows(&state, 80).iter().map(|row| plain(row)).collect();
        assert!(rows.iter().all(|row| row.chars().count() <= 80), "{rows:#?}");
        insta::assert_snapshot!(rows.join("\n"));
    }

    #[test]
    fn with_many_waves_the_current_one_always_has_a_row() {
        let mut state = fixtures::waves(30).state();
        for wave in 0..30 {
            state.take(Duration::ZERO, &Event::WaveStarted { wave });
            let first = first_row(&state);
            assert!((first..first + MOST_ROWS).contains(&wave), "wave {wave} has no row from {first}");
            assert!(first + MOST_ROWS <= 30, "rows from {first} leave the bottom empty");
        }
    }

    /// A terminal that is gone: every write fails.
    struct Gone;

    impl Write for Gone {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Err(io::ErrorKind::BrokenPipe.into())
        }
    }

    #[test]
    fn a_terminal_that_is_gone_does_not_stop_the_run() {
        let terminal = Terminal::new(Box::new(Gone), true);
        log_writer(&terminal)().write_all(b"a log line of a test\n").expect("errors are ignored");
        let mut bars = Bars::new(&terminal);
        let state = fixtures::busy_state();
        assert!(bars.show(Duration::ZERO, &state, &Event::RunStarted(state.header.clone())).is_err());
    }
}
