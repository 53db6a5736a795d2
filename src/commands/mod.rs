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

use crate::cli::{Cli, Color, Command};
use crate::cloud::credentials::Environment;
use crate::error::Failure;
use crate::exit::Exit;
use crate::format::{is_printable, printable};
use crate::report::print::{is_reader_gone, may_be_closed, to_stderr, to_stderr_or_stdout, to_stdout};
use crate::report::{ColorChoice, Terminal, set_color};

/// Runs one command from start to end.
pub fn main(cli: &Cli) -> Exit {
    core_dumps::forbid_core_dumps();
    set_color(match cli.everywhere.color {
        Color::Auto => ColorChoice::Auto,
        Color::Always => ColorChoice::Always,
        Color::Never => ColorChoice::Never,
    });
    let terminal = Terminal::on_stderr();
    let done = descriptors::check().and_then(|()| logs::check(cli)).and_then(|()| {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
        let runtime = runtime.map_err(|error| {
            Failure::new(Exit::Refused, format!("cannot start threads: {error}"))
                .next("nothing was sent; raise the limits of this user (ulimit -u, ulimit -n)")
        })?;
        let done = runtime.block_on(command(cli, &terminal));
        // a request that is still under way must not keep a second Ctrl-C waiting
        runtime.shutdown_background();
        done
    });
    done.unwrap_or_else(|failure| fail(&failure))
}

async fn command(cli: &Cli, terminal: &Terminal) -> Result<Exit, Failure> {
    signals::survive_file_size_limit();
    logs::start(&cli.everywhere, terminal)?;
    match &cli.command {
        Command::Run(args) => run::run(args, terminal).await,
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

/// Prints the result of a command that changed nothing. That its reader is gone (`| head`) is no error: it has read what
/// it wanted. Any other failure is, because a part of the result must not pass for all of it.
fn print_result(text: &str) -> Result<(), Failure> {
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
fn print_outcome(text: &str) -> bool {
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
fn fail(failure: &Failure) -> Exit {
    to_stderr_or_stdout(&format!("{failure}\n"));
    failure.exit
}
