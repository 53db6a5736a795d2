//! Bars on a terminal: one for each wave, and the status of the run below them.

use std::io;
use std::time::Duration;

use indicatif::ProgressBar;

use super::clock;
use super::notices::Notices;
use super::sink::Sink;
use super::state::ProgressState;
use super::status;
use super::terminal::Terminal;
use crate::event::Event;
use crate::report::print;

/// Most waves that have a bar; of more waves, those around the current one.
const MOST_ROWS: usize = 6;
/// Bars are redrawn at most once in this time.
const REDRAW_EVERY: Duration = Duration::from_millis(100);

/// A sink that draws bars, and prints notices above them.
pub struct Bars {
    terminal: Terminal,
    notices: Notices,
    /// All rows are one bar of several lines.
    bar: Option<ProgressBar>,
    drawn: Duration,
}

impl Bars {
    /// Bars on this terminal; they appear when the run starts, and are cleared when it ends.
    pub fn new(terminal: &Terminal) -> Self {
        Self { terminal: terminal.clone(), notices: Notices::default(), bar: None, drawn: Duration::ZERO }
    }

    fn draw(&mut self, after: Duration, state: &ProgressState) {
        let Some(bar) = &self.bar else { return };
        let columns = Terminal::bar_columns();
        let mut lines: Vec<String> =
            status::rows(state, columns).into_iter().skip(first_row(state)).take(MOST_ROWS).collect();
        lines.push(status::status(after, state, columns));
        lines.extend(status::problems(state, columns));
        bar.set_message(print::for_stderr(&lines.join("\n")));
        self.drawn = after;
    }

    fn clear(&mut self) {
        if let Some(bar) = self.bar.take() {
            self.terminal.clear_bar(&bar);
        }
    }
}

/// The wave in the first row: the current wave is shown with the one before it.
fn first_row(state: &ProgressState) -> usize {
    let before_current = state.next_wave.saturating_sub(2);
    before_current.min(state.header.waves.len().saturating_sub(MOST_ROWS))
}

impl Sink for Bars {
    fn show(&mut self, after: Duration, state: &ProgressState, event: &Event) -> io::Result<()> {
        if matches!(event, Event::RunStarted(_)) {
            self.bar = Some(self.terminal.add_bar()?);
        }
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
            Event::RunEnded => self.clear(),
            _ if after >= self.drawn + REDRAW_EVERY => self.draw(after, state),
            _ => {}
        }
        Ok(())
    }
}

impl Drop for Bars {
    /// However the run ends, no bar stays on the screen.
    fn drop(&mut self) {
        self.clear();
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use indicatif::ProgressDrawTarget;

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
    #[derive(Debug)]
    struct Gone;

    macro_rules! refuse {
        ($($name:ident($($argument:ty),*)),*) => {
            $(fn $name(&self, $(_: $argument),*) -> io::Result<()> { Err(io::ErrorKind::BrokenPipe.into()) })*
        };
    }

    impl indicatif::TermLike for Gone {
        fn width(&self) -> u16 {
            80
        }
        refuse!(move_cursor_up(usize), move_cursor_down(usize), move_cursor_right(usize));
        refuse!(move_cursor_left(usize), write_line(&str), write_str(&str), clear_line(), flush());
    }

    #[test]
    fn a_terminal_that_is_gone_does_not_stop_the_run() {
        let terminal = Terminal::drawing_to(ProgressDrawTarget::term_like(Box::new(Gone)));
        let mut line = log_writer(&terminal)();
        line.write_all(b"a log line of a test\n").expect("writing never fails");
        let mut bars = Bars::new(&terminal);
        let state = fixtures::busy_state();
        assert!(bars.show(Duration::ZERO, &state, &Event::RunStarted(state.header.clone())).is_err());
    }

    #[test]
    fn a_run_leaves_no_bar_behind() {
        let mut bars = Bars::new(&Terminal::drawing_to(ProgressDrawTarget::hidden()));
        fixtures::mixed().show_to(&mut bars);
        assert!(bars.bar.is_none());
    }
}
