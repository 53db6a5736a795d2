//! The terminal behind stderr: bars at its bottom, and lines above them that do not break them.

use std::fmt;
use std::io::{self, Write};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use crate::report::print;

/// Columns of a terminal that does not report its size.
const USUAL_COLUMNS: usize = 80;
/// Columns at the right edge that bars leave free for `^C`, which the terminal prints behind the last bar: on a full
/// line it would wrap, and one bar would never be cleared.
const ECHO: usize = 3;

/// The part of the terminal that is redrawn, shared by the bars and everything else that writes to stderr meanwhile.
#[derive(Clone)]
pub struct Terminal(MultiProgress);

impl Terminal {
    /// The terminal behind stderr.
    pub fn on_stderr() -> Self {
        Self(MultiProgress::new())
    }

    /// A terminal that draws to this target.
    #[cfg(test)]
    pub fn drawing_to(target: indicatif::ProgressDrawTarget) -> Self {
        Self(MultiProgress::with_draw_target(target))
    }

    /// True if stderr is a terminal that can move its cursor.
    pub fn can_draw(&self) -> bool {
        !self.0.is_hidden()
    }

    /// Columns of a line.
    pub(super) fn columns() -> usize {
        print::stderr_columns().unwrap_or(USUAL_COLUMNS)
    }

    /// Columns of a bar.
    pub(super) fn bar_columns() -> usize {
        Self::columns().saturating_sub(ECHO)
    }

    /// Adds a bar at the bottom. Its text is all there is in it, so that colours follow `--color`.
    pub(super) fn add_bar(&self) -> io::Result<ProgressBar> {
        let style = ProgressStyle::with_template("{msg}").map_err(io::Error::other)?;
        Ok(self.0.add(ProgressBar::no_length().with_style(style)))
    }

    /// Prints lines above the bars.
    pub(super) fn print_above(&self, lines: &str) -> io::Result<()> {
        self.0.println(print::for_stderr(lines.trim_end_matches('\n')))
    }

    /// Writes whole lines to stderr, above the bars if there are any. Errors are ignored, because they could be
    /// reported nowhere.
    pub fn print(&self, lines: &str) {
        if self.can_draw() {
            // `MultiProgress::suspend` would panic if the terminal is gone
            let _ = self.print_above(lines);
        } else {
            print::to_stderr(lines);
        }
    }
}

impl fmt::Debug for Terminal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Terminal").field("can_draw", &self.can_draw()).finish()
    }
}

/// Makes a [`LogLine`] for each log line, for `tracing_subscriber::fmt::layer().with_writer(…)`.
pub fn log_writer(terminal: &Terminal) -> impl Fn() -> LogLine + use<> {
    let terminal = terminal.clone();
    move || LogLine { terminal: terminal.clone(), text: Vec::new() }
}

/// Collects one log line and writes it when it is complete.
#[derive(Debug)]
pub struct LogLine {
    terminal: Terminal,
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
            self.terminal.print(&String::from_utf8_lossy(&text));
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
    use indicatif::ProgressDrawTarget;

    use super::*;

    #[test]
    fn a_log_line_is_collected_until_it_is_complete_and_written_once() {
        let terminal = Terminal::drawing_to(ProgressDrawTarget::hidden());
        let mut line = log_writer(&terminal)();
        for part in ["a log line ", "of a test\n"] {
            line.write_all(part.as_bytes()).expect("collecting never fails");
        }
        assert_eq!(line.text, b"a log line of a test\n");
        line.flush().expect("writing never fails");
        assert!(line.text.is_empty(), "the line would be written again");
    }
}
