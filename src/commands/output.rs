//! What every command prints at its end: its result, or why it failed.

use crate::error::Failure;
use crate::exit::Exit;
use crate::format::{is_printable, printable};
use crate::report::print::{is_reader_gone, may_be_closed, to_stderr, to_stderr_or_stdout, to_stdout};

/// Ends after a panic, whose message is already printed.
pub fn internal_error() -> Exit {
    to_stderr(
        "error: internal error (bug in dlc-fleet)\n next: the ledger is valid and the same command resumes; report the message above\n",
    );
    Exit::Internal
}

/// Prints the result of a command that changed nothing. That its reader is gone (`| head`) is no error: it has read what
/// it wanted. Any other failure is, because a part of the result must not pass for all of it.
pub(super) fn print_result(text: &str) -> Result<(), Failure> {
    match to_stdout(text) {
        Err(error) if !is_reader_gone(&error) => {
            let what = format!("the result could not be written to stdout, or only a part of it: {error}");
            Err(Failure::new(Exit::Unprinted, what).next("fix stdout and run the same command again"))
        }
        _ => Ok(()),
    }
}

/// Prints the result of a run, to stderr if stdout cannot be written. False if that is an error of stdout, and not only
/// a reader that is gone. Whether it was closed by a shell (`>&-`) cannot be known, so then the result goes to both.
pub(super) fn print_outcome(text: &str) -> bool {
    let Err(error) = to_stdout(text) else {
        if may_be_closed() {
            to_stderr(text);
        }
        return true;
    };
    to_stderr(&format!("note: stdout could not be written ({error}); this is the result:\n{text}"));
    is_reader_gone(&error)
}

/// Prints help, version, or the error in the command line.
pub fn answer(said: &clap::Error) -> Exit {
    let said_plainly = said.render().to_string();
    let text = if said_plainly.chars().all(|letter| letter == '\n' || is_printable(letter)) {
        said.render().ansi().to_string()
    } else {
        // the message repeats the command line
        said_plainly.lines().map(|line| printable(line) + "\n").collect()
    };
    if said.use_stderr() {
        to_stderr(&text);
        return Exit::Usage;
    }
    let printed = print_result(&text).map(|()| Exit::Success);
    printed.unwrap_or_else(|failure| fail(&failure))
}

/// Prints why a command did not do what it was asked to.
pub(super) fn fail(failure: &Failure) -> Exit {
    to_stderr_or_stdout(&format!("{failure}\n"));
    failure.exit
}
