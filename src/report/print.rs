//! The only way to stdout and stderr: applies `--color`, and wraps at spaces on terminals.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt};

use anstream::{AutoStream, ColorChoice};
use console::{Term, measure_text_width};

/// Sets for the whole process when colours are printed; call it once, before anything is printed. `Auto` prints them on
/// terminals, unless `NO_COLOR` or `CLICOLOR=0` is set, and elsewhere with `CLICOLOR_FORCE`.
pub fn set_color(choice: ColorChoice) {
    choice.write_global();
}

/// Writes a result to stdout unchanged; the text brings its line break. The caller decides whether a closed pipe
/// (`| head`) is an error.
pub fn to_stdout(text: &str) -> io::Result<()> {
    write_all(anstream::stdout().lock(), text)
}

/// True if stdout may have been closed when the process started (`>&-`): the Rust runtime then opens `/dev/null` there,
/// for reading as well as for writing, and what is written is lost without an error. It is no proof, because some
/// programs discard the output of others in the same way.
pub fn may_be_closed() -> bool {
    let is_null_for_reading = || -> io::Result<bool> {
        let mut stdout = stdout_file()?;
        let is_null = stdout.metadata()?.rdev() == fs::metadata("/dev/null")?.rdev();
        Ok(is_null && stdout.read(&mut [0]).is_ok())
    };
    is_null_for_reading().unwrap_or(false)
}

/// True if an error of stdout says that its reader is gone: a closed pipe, or a terminal that was closed.
pub fn is_reader_gone(error: &io::Error) -> bool {
    let is_device = || -> io::Result<bool> { Ok(stdout_file()?.metadata()?.file_type().is_char_device()) };
    let is_io_error = error.raw_os_error() == Some(rustix::io::Errno::IO.raw_os_error());
    error.kind() == io::ErrorKind::BrokenPipe || is_io_error && is_device().unwrap_or(false)
}

fn stdout_file() -> io::Result<File> {
    Ok(File::from(io::stdout().as_fd().try_clone_to_owned()?))
}

/// Writes a message to stderr unchanged; the text brings its line break. An error is ignored, because it could be
/// reported nowhere.
pub fn to_stderr(text: &str) {
    let _ = write_all(anstream::stderr().lock(), text);
}

/// Writes a message to stderr, and wraps it at spaces if stderr is a terminal; continued lines are indented.
pub fn to_stderr_wrapped(text: &str, indent: usize) {
    to_stderr(&wrap(text, stderr_columns(), indent));
}

/// Writes what must not be lost to stderr, or to stdout if stderr cannot be written.
pub fn to_stderr_or_stdout(text: &str) {
    if write_all(anstream::stderr().lock(), text).is_err() {
        // with both closed, the exit code is all that is left
        let _ = to_stdout(text);
    }
}

/// Columns of the terminal behind stdout; none if stdout is no terminal, so that files and pipes keep whole lines.
pub fn stdout_columns() -> Option<usize> {
    columns(&Term::stdout())
}

/// Columns of the terminal behind stderr; none if stderr is no terminal.
pub(super) fn stderr_columns() -> Option<usize> {
    columns(&Term::stderr())
}

fn columns(terminal: &Term) -> Option<usize> {
    terminal.size_checked().map(|(_, columns)| columns.into())
}

/// Breaks each line of a text at spaces, so that it fits into so many columns; continued lines are indented by
/// `indent`. Without a number of columns nothing changes. A word that is longer than a line is not broken.
pub(super) fn wrap(text: &str, columns: Option<usize>, indent: usize) -> String {
    let Some(columns) = columns else { return text.to_owned() };
    text.split('\n').map(|line| wrap_line(line, columns, indent)).collect::<Vec<_>>().join("\n")
}

fn wrap_line(line: &str, columns: usize, indent: usize) -> String {
    let mut wrapped = String::new();
    let mut width = 0;
    for (at, word) in line.split(' ').enumerate() {
        let word_width = measure_text_width(word);
        if at == 0 {
            width = word_width;
        } else if width > indent && width + 1 + word_width > columns {
            wrapped.push('\n');
            wrapped.push_str(&" ".repeat(indent));
            width = indent + word_width;
        } else {
            wrapped.push(' ');
            width += 1 + word_width;
        }
        wrapped.push_str(word);
    }
    wrapped
}

/// Stderr for a sink that writes line by line.
pub(super) fn stderr() -> AutoStream<io::Stderr> {
    anstream::stderr()
}

/// The text with colours or without, as `--color` and stderr demand.
pub(super) fn for_stderr(text: &str) -> String {
    match AutoStream::choice(&io::stderr()) {
        ColorChoice::Never => anstream::adapter::strip_str(text).to_string(),
        _ => text.to_owned(),
    }
}

fn write_all(mut out: impl Write, text: &str) -> io::Result<()> {
    out.write_all(text.as_bytes())?;
    out.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_wrap_at_spaces_and_continue_indented() {
        let text = "  cause    the service refuses it\nshort\n/a/path/that/is/longer/than/the/line";
        let wrapped = wrap(text, Some(24), 11);
        assert_eq!(
            wrapped,
            "  cause    the service\n           refuses it\nshort\n/a/path/that/is/longer/than/the/line"
        );
        assert_eq!(wrap(text, None, 11), text);
    }
}
