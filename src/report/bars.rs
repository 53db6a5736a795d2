//! Bars on a terminal, and log lines that do not tear them; the only file that knows indicatif.

use std::fmt;
use std::io::{self, Write};
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use tracing_subscriber::fmt::MakeWriter;

use super::notices::Notices;
use super::{Scene, Sink, lines, print, progress};
use crate::event::Event;

/// More waves than this are shown as a window around the open one, so that bars never fill the screen.
const MOST_ROWS: usize = 6;
/// Columns of a terminal that does not tell.
const USUAL_COLUMNS: usize = 80;
/// Redrawing more often than this only costs time.
const REDRAW_EVERY: Duration = Duration::from_millis(100);

/// The part of the terminal that is redrawn, shared by the bars and everybody else who writes to stderr meanwhile.
#[derive(Clone)]
pub struct Screen(MultiProgress);

impl Screen {
    /// The screen behind stderr.
    pub fn on_stderr() -> Self {
        Self(MultiProgress::new())
    }

    /// True if stderr is a terminal that can move its cursor.
    pub fn can_draw(&self) -> bool {
        !self.0.is_hidden()
    }

    fn columns() -> usize {
        console::Term::stderr().size_checked().map_or(USUAL_COLUMNS, |(_, columns)| columns.into())
    }

    /// Writes whole lines to stderr, above the bars where there are any. A terminal that is gone takes nothing, and
    /// then there is nobody left to tell, so it never fails.
    pub fn print(&self, lines: &str) {
        if self.can_draw() {
            // nothing to be done: see above. `MultiProgress::suspend` would panic
            let _ = self.0.println(print::for_stderr(lines.trim_end_matches('\n')));
        } else {
            print::to_stderr(lines);
        }
    }
}

impl fmt::Debug for Screen {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Screen").field("can_draw", &self.can_draw()).finish()
    }
}

/// A sink that draws one bar for each wave and a status line below them, and prints notices above.
pub struct Bars {
    screen: Screen,
    notices: Notices,
    rows: Vec<ProgressBar>,
    status: Option<ProgressBar>,
    trouble: Option<ProgressBar>,
    drawn: Duration,
}

impl Bars {
    /// Bars on this screen; they appear when the run opens and leave nothing behind when it closes.
    pub fn new(screen: &Screen) -> Self {
        Self {
            screen: screen.clone(),
            notices: Notices::default(),
            rows: Vec::new(),
            status: None,
            trouble: None,
            drawn: Duration::ZERO,
        }
    }

    fn open(&mut self, waves: usize) -> io::Result<()> {
        self.rows = (0..waves.min(MOST_ROWS)).map(|_| self.row()).collect::<io::Result<_>>()?;
        self.status = Some(self.row()?);
        Ok(())
    }

    /// A new row at the bottom. The text in it is ours, so that colours follow `--color` and tests can read it;
    /// `wide_msg` cuts it at the edge of the terminal, whatever its width.
    fn row(&self) -> io::Result<ProgressBar> {
        let style = ProgressStyle::with_template("{wide_msg}").map_err(io::Error::other)?;
        Ok(self.screen.0.add(ProgressBar::no_length().with_style(style)))
    }

    fn draw(&mut self, after: Duration, scene: &Scene) -> io::Result<()> {
        let columns = Screen::columns();
        let first = first_row(scene, self.rows.len());
        for (row, text) in self.rows.iter().zip(progress::rows(scene, columns).into_iter().skip(first)) {
            row.set_message(print::for_stderr(&text));
        }
        if let Some(status) = &self.status {
            status.set_message(print::for_stderr(&progress::status(after, scene, columns)));
        }
        if let Some(trouble) = progress::trouble(scene, columns) {
            let row = match self.trouble.take() {
                Some(row) => row,
                None => self.row()?,
            };
            row.set_message(print::for_stderr(&trouble));
            self.trouble = Some(row);
        } else if let Some(row) = &self.trouble {
            row.set_message("");
        }
        self.drawn = after;
        Ok(())
    }

    fn close(&mut self) {
        for row in self.rows.drain(..).chain(self.status.take()).chain(self.trouble.take()) {
            row.finish_and_clear();
        }
    }
}

/// The wave in the first row: the open wave keeps its predecessor in sight.
fn first_row(scene: &Scene, shown: usize) -> usize {
    let last_opened = scene.next_wave.saturating_sub(1);
    let waves = scene.header.waves.len();
    last_opened.saturating_sub(1).min(waves.saturating_sub(shown))
}

impl Sink for Bars {
    fn show(&mut self, after: Duration, scene: &Scene, event: &Event) -> io::Result<()> {
        for text in self.notices.take(after, scene, event) {
            let line = lines::timed(after, &text);
            self.screen.0.println(print::for_stderr(line.trim_end_matches('\n')))?;
        }
        match event {
            Event::RunStarted(_) => {
                self.open(scene.header.waves.len())?;
                self.draw(after, scene)?;
            }
            Event::Tick
            | Event::WaveStarted { .. }
            | Event::WaveEnded { .. }
            | Event::SoakStarted { .. }
            | Event::SoakEnded { .. }
            | Event::Stopping(_) => {
                self.draw(after, scene)?;
            }
            Event::RunEnded => self.close(),
            _ if after >= self.drawn + REDRAW_EVERY => self.draw(after, scene)?,
            _ => {}
        }
        Ok(())
    }
}

impl Drop for Bars {
    /// Whatever ends the run, the summary or the error stands on a clean screen.
    fn drop(&mut self) {
        self.close();
    }
}

/// Gives log lines a way to stderr between the bars, for `tracing_subscriber::fmt().with_writer(…)`.
pub fn log_writer(screen: &Screen) -> LogWriter {
    LogWriter(screen.clone())
}

/// Makes a [`LogLine`] for each log line.
#[derive(Clone, Debug)]
pub struct LogWriter(Screen);

impl<'a> MakeWriter<'a> for LogWriter {
    type Writer = LogLine;

    fn make_writer(&'a self) -> LogLine {
        LogLine { screen: self.0.clone(), text: Vec::new() }
    }
}

/// Collects one log line and writes it, whole, when it is complete.
#[derive(Debug)]
pub struct LogLine {
    screen: Screen,
    text: Vec<u8>,
}

impl Write for LogLine {
    fn write(&mut self, part: &[u8]) -> io::Result<usize> {
        self.text.extend_from_slice(part);
        Ok(part.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if !self.text.is_empty() {
            let text = std::mem::take(&mut self.text);
            self.screen.print(&String::from_utf8_lossy(&text));
        }
        Ok(())
    }
}

impl Drop for LogLine {
    fn drop(&mut self) {
        // never fails: see `flush`
        let _ = self.flush();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::paint::plain;
    use crate::report::script;

    #[test]
    fn the_rows_of_a_busy_moment_line_up_and_fit_eighty_columns() {
        let scene = script::busy_scene();
        let rows: Vec<_> = progress::rows(&scene, 80).iter().map(|row| plain(row)).collect();
        assert!(rows.iter().all(|row| row.chars().count() <= 80), "{rows:#?}");
        insta::assert_snapshot!(rows.join("\n"));
    }

    #[test]
    fn with_many_waves_the_open_one_is_always_in_sight() {
        let mut scene = script::waves(30).scene();
        for wave in 0..30 {
            scene.take(Duration::ZERO, &Event::WaveStarted { wave });
            let first = first_row(&scene, MOST_ROWS);
            assert!(
                (first..first + MOST_ROWS).contains(&wave),
                "wave {wave} is not among the rows from {first}"
            );
            assert!(first + MOST_ROWS <= 30, "rows from {first} leave the bottom empty");
        }
    }

    #[test]
    fn a_log_line_is_collected_until_it_is_whole_and_written_once() {
        let screen = Screen(MultiProgress::with_draw_target(indicatif::ProgressDrawTarget::hidden()));
        let mut line = log_writer(&screen).make_writer();
        for part in ["a log line ", "of a test\n"] {
            line.write_all(part.as_bytes()).expect("collecting never fails");
        }
        assert_eq!(line.text, b"a log line of a test\n");
        line.flush().expect("writing never fails");
        assert!(line.text.is_empty(), "what was written would be written again");
    }

    /// A terminal that is gone: it takes nothing.
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
    fn neither_bars_nor_log_lines_stop_a_run_whose_terminal_is_gone() {
        let target = indicatif::ProgressDrawTarget::term_like(Box::new(Gone));
        let screen = Screen(MultiProgress::with_draw_target(target));
        let mut line = log_writer(&screen).make_writer();
        line.write_all(b"a log line of a test\n").expect("collecting never fails");
        line.flush().expect("writing never fails");
        let mut bars = Bars::new(&screen);
        let scene = script::busy_scene();
        assert!(bars.show(Duration::ZERO, &scene, &Event::RunStarted(scene.header.clone())).is_err());
    }

    #[test]
    fn bars_without_a_terminal_break_nothing() {
        let mut bars =
            Bars::new(&Screen(MultiProgress::with_draw_target(indicatif::ProgressDrawTarget::hidden())));
        script::mixed().show_to(&mut bars);
        assert!(bars.rows.is_empty() && bars.status.is_none());
    }
}
