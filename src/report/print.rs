//! The only way to stdout and stderr: in colour where it is wanted, and quiet when nobody reads any more.

use std::io::{self, Write};

use anstream::AutoStream;

/// When to print colours, as `--color` says it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ColorChoice {
    /// On terminals, unless `NO_COLOR` or `CLICOLOR=0` is set; elsewhere with `CLICOLOR_FORCE`.
    #[default]
    Auto,
    /// Everywhere.
    Always,
    /// Nowhere.
    Never,
}

/// Settles for the whole process when colours are printed; call it once, before anything is printed.
pub fn set_color(choice: ColorChoice) {
    let choice = match choice {
        ColorChoice::Auto => anstream::ColorChoice::Auto,
        ColorChoice::Always => anstream::ColorChoice::Always,
        ColorChoice::Never => anstream::ColorChoice::Never,
    };
    choice.write_global();
}

/// Writes a result to stdout as it stands, so give it its line break. Whether a reader that went away (`| head`) is an
/// error is for the caller to say.
pub fn to_stdout(text: &str) -> io::Result<()> {
    write_all(anstream::stdout().lock(), text)
}

/// Writes a message to stderr as it stands, so give it its line break. There is nobody left to tell when that
/// does not work, so it never fails.
pub fn to_stderr(text: &str) {
    // nothing to be done: see above
    let _ = write_all(anstream::stderr().lock(), text);
}

/// Writes to stderr what must not be lost, or to stdout where nobody reads stderr any more.
pub fn to_whoever_reads(text: &str) {
    if write_all(anstream::stderr().lock(), text).is_err() {
        // with both gone there is nobody left
        let _ = to_stdout(text);
    }
}

/// Stderr for a sink that writes line by line.
pub(super) fn stderr() -> AutoStream<io::Stderr> {
    anstream::stderr()
}

/// The text as stderr takes it: with its colours, or without any.
pub(super) fn for_stderr(text: &str) -> String {
    match AutoStream::choice(&io::stderr()) {
        anstream::ColorChoice::Never => anstream::adapter::strip_str(text).to_string(),
        _ => text.to_owned(),
    }
}

fn write_all(mut out: impl Write, text: &str) -> io::Result<()> {
    out.write_all(text.as_bytes())?;
    out.flush()
}
