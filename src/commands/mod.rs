//! The subcommands, one file each, and what they share.

mod blocked;
mod caller;
mod check;
mod command_line;
mod confirm;
mod core_dumps;
mod descriptors;
mod dry_run;
mod guard;
mod ledger;
mod logs;
mod run;
mod service;
mod setup;
mod signals;
mod simulate;
mod sites;
mod slow_read;
mod unrecorded;
mod whoami;

use std::io::ErrorKind;

use crate::cli::{Cli, Color, Command};
use crate::cloud::credentials::Environment;
use crate::error::Failure;
use crate::exit::Exit;
use crate::format::{is_printable, printable};
use crate::report::print::{to_stderr, to_stdout, to_whoever_reads};
use crate::report::{ColorChoice, Screen, set_color};

/// Runs one command from start to end.
pub fn main(cli: &Cli) -> Exit {
    core_dumps::forbid_core_dumps();
    set_color(match cli.everywhere.color {
        Color::Auto => ColorChoice::Auto,
        Color::Always => ColorChoice::Always,
        Color::Never => ColorChoice::Never,
    });
    let screen = Screen::on_stderr();
    let done = descriptors::check().and_then(|()| logs::check(cli)).and_then(|()| {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
        let runtime = runtime.map_err(|error| {
            Failure::new(Exit::Refused, format!("cannot start threads: {error}"))
                .next("nothing was sent; raise the limits of this user (ulimit -u, ulimit -n)")
        })?;
        let done = runtime.block_on(command(cli, &screen));
        // a request in flight must not delay the end after a second Ctrl-C
        runtime.shutdown_background();
        done
    });
    done.unwrap_or_else(|failure| fail(&failure))
}

async fn command(cli: &Cli, screen: &Screen) -> Result<Exit, Failure> {
    signals::survive_file_size_limit();
    logs::start(&cli.everywhere, screen)?;
    match &cli.command {
        Command::Run(args) => run::run(args, screen).await,
        Command::Check(args) => check::check(args),
        Command::Whoami(args) => whoami::whoami(args).await,
        Command::Simulate(args) => simulate::simulate(args).await,
        Command::Ledger(args) => ledger::ledger(args),
        Command::ExitCodes => print_result(&Exit::table()).map(|()| Exit::Success),
    }
}

/// Ends after a panic, whose message is already printed.
pub fn internal_error() -> Exit {
    to_stderr(
        "error: internal error (bug in dlc-fleet)\n next: the ledger is valid and the same command resumes; report the message above\n",
    );
    Exit::Internal
}

/// An environment variable; one that is not Unicode is converted with replacement characters and rejected later.
fn env_var(name: &str) -> Option<String> {
    std::env::var_os(name).map(|value| value.to_string_lossy().into_owned())
}

/// The sources of keys, region and endpoint, with the requested profile.
fn environment(profile: Option<&str>) -> Environment<'static> {
    // without HOME, the user database has the home directory
    let home = std::env::home_dir().filter(|home| !home.as_os_str().is_empty());
    Environment::new(&env_var, home, profile.map(str::to_owned))
}

/// Prints a result to stdout. A closed pipe (`| head`) is not an error; any other failure is, because a truncated result
/// must not pass for the whole.
fn print_result(text: &str) -> Result<(), Failure> {
    match to_stdout(text) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            let what = format!("cannot write the whole result to stdout: {error}");
            Err(Failure::new(Exit::Unprinted, what)
                .next("free disk space or fix the redirection, then run the same command again"))
        }
        _ => Ok(()),
    }
}

/// Prints the result of work that is done and cannot be repeated for printing: to stderr if stdout fails.
fn print_outcome(text: &str) {
    if let Err(error) = to_stdout(text) {
        to_stderr(&format!("note: cannot write to stdout ({error}); the result follows\n{text}"));
    }
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

/// Prints why a command failed.
fn fail(failure: &Failure) -> Exit {
    to_whoever_reads(&format!("{failure}\n"));
    failure.exit
}
