//! The terminal behind stderr: bars at its bottom, and lines above them that do not break them.

use std::fmt;
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use console::Term;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle, TermLike};

use crate::report::print;

/// Columns of a terminal that does not report its size.
const USUAL_COLUMNS: usize = 80;
/// Columns at the right edge that bars leave free for `^C`, which the terminal prints behind the last one.
const ECHO: usize = 3;
/// How often bars are drawn in one second, at most.
const DRAWN_PER_SECOND: u8 = 20;

/// The part of the terminal that is redrawn, shared by the bars and everything else that writes to stderr meanwhile.
#[derive(Clone)]
pub struct Terminal {
    bars: MultiProgress,
    /// True while there are bars.
    has_bars: Arc<AtomicBool>,
}

impl Terminal {
    /// The terminal behind stderr.
    pub fn on_stderr() -> Self {
        let terminal = Term::buffered_stderr();
        if !terminal.is_term() {
            return Self::drawing_to(ProgressDrawTarget::hidden());
        }
        let lines = ShortLines { terminal, ended: AtomicBool::new(false) };
        Self::drawing_to(ProgressDrawTarget::term_like_with_hz(Box::new(lines), DRAWN_PER_SECOND))
    }

    /// A terminal that draws to this target.
    pub(super) fn drawing_to(target: ProgressDrawTarget) -> Self {
        Self { bars: MultiProgress::with_draw_target(target), has_bars: Arc::default() }
    }

    /// True if stderr is a terminal that can move its cursor.
    pub fn can_draw(&self) -> bool {
        !self.bars.is_hidden()
    }

    /// Columns of a line.
    pub(super) fn columns() -> usize {
        print::stderr_columns().unwrap_or(USUAL_COLUMNS)
    }

    /// Columns of a bar.
    pub(super) fn bar_columns() -> usize {
        Self::columns().saturating_sub(ECHO)
    }

    /// Adds the bar at the bottom. Its text is all there is in it, so that colours follow `--color`.
    pub(super) fn add_bar(&self) -> io::Result<ProgressBar> {
        let style = ProgressStyle::with_template("{msg}").map_err(io::Error::other)?;
        let bar = self.bars.add(ProgressBar::no_length().with_style(style));
        self.has_bars.store(true, Ordering::Relaxed);
        Ok(bar)
    }

    /// Clears a bar that was added.
    pub(super) fn clear_bar(&self, bar: &ProgressBar) {
        bar.finish_and_clear();
        self.has_bars.store(false, Ordering::Relaxed);
    }

    /// Prints lines above the bars.
    pub(super) fn print_above(&self, lines: &str) -> io::Result<()> {
        self.bars.println(print::for_stderr(lines.trim_end_matches('\n')))
    }

    /// Writes whole lines to stderr, above the bars if there are any. Errors are ignored, because they could be
    /// reported nowhere.
    pub fn print(&self, lines: &str) {
        if self.has_bars.load(Ordering::Relaxed) {
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

/// A terminal on which a line ends with a line break. indicatif fills each line with spaces up to the right edge; the
/// `^C` that the terminal prints behind the last line would then wrap, and one bar would never be cleared.
#[derive(Debug)]
struct ShortLines {
    terminal: Term,
    /// True if the next text starts a new line.
    ended: AtomicBool,
}

impl TermLike for ShortLines {
    fn width(&self) -> u16 {
        self.terminal.size().1
    }

    fn height(&self) -> u16 {
        self.terminal.size().0
    }

    fn move_cursor_up(&self, lines: usize) -> io::Result<()> {
        self.terminal.move_cursor_up(lines)
    }

    fn move_cursor_down(&self, lines: usize) -> io::Result<()> {
        self.terminal.move_cursor_down(lines)
    }

    fn move_cursor_right(&self, columns: usize) -> io::Result<()> {
        self.terminal.move_cursor_right(columns)
    }

    fn move_cursor_left(&self, columns: usize) -> io::Result<()> {
        self.terminal.move_cursor_left(columns)
    }

    fn write_line(&self, text: &str) -> io::Result<()> {
        self.terminal.write_line(text)
    }

    fn write_str(&self, text: &str) -> io::Result<()> {
        let is_filler = !text.is_empty() && text.bytes().all(|byte| byte == b' ');
        if self.ended.swap(is_filler, Ordering::Relaxed) {
            self.terminal.write_line("")?;
        }
        if is_filler { Ok(()) } else { self.terminal.write_str(text) }
    }

    fn clear_line(&self) -> io::Result<()> {
        self.ended.store(false, Ordering::Relaxed);
        self.terminal.clear_line()
    }

    fn flush(&self) -> io::Result<()> {
        self.terminal.flush()
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
