//! The terminal behind stderr: bars at its bottom, and lines above them that do not break them.

use std::env;
use std::fmt;
use std::io::{self, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use console::{Term, is_dumb};

use crate::report::print;

/// Columns of a terminal that does not report its size.
const USUAL_COLUMNS: usize = 80;
/// Columns at the right edge that bars leave free for `^C`, which the terminal prints behind the last one: on a full
/// line it would wrap, and the first bar would never be cleared.
const ECHO: usize = 3;
/// Erases from the cursor to the end of the screen.
const ERASE_BELOW: &str = "\x1b[J";

/// The part of the terminal that is redrawn, shared by the bars and everything else that writes to stderr meanwhile.
#[derive(Clone)]
pub struct Terminal(Arc<Mutex<Screen>>);

struct Screen {
    out: Box<dyn Write + Send>,
    can_draw: bool,
    /// The bars on the screen; the cursor is behind the last one.
    bars: Vec<String>,
}

impl Terminal {
    /// The terminal behind stderr.
    pub fn on_stderr() -> Self {
        let can_draw = Term::stderr().is_term() && !is_dumb() && env::var_os("CI").is_none();
        Self::new(Box::new(io::stderr()), can_draw)
    }

    /// A terminal that draws into any writer.
    pub(super) fn new(out: Box<dyn Write + Send>, can_draw: bool) -> Self {
        Self(Arc::new(Mutex::new(Screen { out, can_draw, bars: Vec::new() })))
    }

    fn screen(&self) -> MutexGuard<'_, Screen> {
        // whoever panicked while writing leaves bars that are cleared at the next write
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// True if stderr is a terminal that can move its cursor, and not that of a CI job.
    pub fn can_draw(&self) -> bool {
        self.screen().can_draw
    }

    /// Columns of a line.
    pub(super) fn columns() -> usize {
        print::stderr_columns().unwrap_or(USUAL_COLUMNS)
    }

    /// Columns of a bar.
    pub(super) fn bar_columns() -> usize {
        Self::columns().saturating_sub(ECHO)
    }

    /// Draws bars in place of those on the screen; without bars it clears them.
    pub(super) fn draw(&self, bars: Vec<String>) -> io::Result<()> {
        self.screen().update("", bars)
    }

    /// Prints whole lines above the bars.
    pub(super) fn print_above(&self, lines: &str) -> io::Result<()> {
        let mut screen = self.screen();
        let bars = screen.bars.clone();
        screen.update(&print::for_stderr(lines), bars)
    }

    /// Prints whole lines to stderr, above the bars if there are any. Errors are ignored, because they could be
    /// reported nowhere.
    pub fn print(&self, lines: &str) {
        let _ = self.print_above(lines);
    }
}

impl Screen {
    /// Clears the bars, prints lines, and draws bars below them, in one write.
    fn update(&mut self, lines: &str, bars: Vec<String>) -> io::Result<()> {
        let clear = match self.bars.len() {
            0 => String::new(),
            1 => format!("\r{ERASE_BELOW}"),
            // to the first bar
            bars => format!("\r\x1b[{}A{ERASE_BELOW}", bars - 1),
        };
        let drawn = bars.iter().map(|bar| print::for_stderr(bar)).collect::<Vec<_>>().join("\n");
        self.bars = bars;
        self.out.write_all(format!("{clear}{lines}{drawn}").as_bytes())?;
        self.out.flush()
    }
}

impl fmt::Debug for Terminal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Terminal").field("can_draw", &self.can_draw()).finish()
    }
}

/// Makes a writer for each log line, for `tracing_subscriber::fmt::layer().with_writer(…)`.
pub fn log_writer(terminal: &Terminal) -> impl Fn() -> LogLine + use<> {
    let terminal = terminal.clone();
    move || LogLine(terminal.clone())
}

/// Writes log lines above the bars; each write is a whole line.
#[derive(Debug)]
pub struct LogLine(Terminal);

impl Write for LogLine {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.print(&String::from_utf8_lossy(line));
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl Write for Written {
        fn write(&mut self, text: &[u8]) -> io::Result<usize> {
            self.0.lock().expect("no panic").extend_from_slice(text);
            Ok(text.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn lines_are_printed_above_the_bars_and_cleared_bars_leave_nothing() {
        let written = Written::default();
        let terminal = Terminal::new(Box::new(written.clone()), true);
        let taken =
            || String::from_utf8(std::mem::take(&mut *written.0.lock().expect("no panic"))).expect("text");
        terminal.print("a note\n");
        assert_eq!(taken(), "a note\n");
        terminal.draw(vec!["canary 0/2".into(), "0:01".into()]).expect("written");
        assert_eq!(taken(), "canary 0/2\n0:01");
        log_writer(&terminal)().write_all(b"a log line\n").expect("written");
        assert_eq!(taken(), "\r\x1b[1A\x1b[Ja log line\ncanary 0/2\n0:01");
        terminal.draw(Vec::new()).expect("written");
        assert_eq!(taken(), "\r\x1b[1A\x1b[J");
        terminal.print("the end\n");
        assert_eq!(taken(), "the end\n");
    }
}
