//! The composition root: one file for each subcommand, and what they share.

mod check;
mod command_line;
mod confirm;
mod dry_run;
mod ledger;
mod logs;
mod patience;
mod run;
mod signals;
mod simulate;
mod sites;
mod target;

use crate::cli::{Cli, Color, Command};
use crate::error::Failure;
use crate::exit::Exit;
use crate::report::print::{to_stderr, to_stdout};
use crate::report::{ColorChoice, Screen, set_color};

/// Runs one command from start to end.
pub fn main(cli: &Cli) -> Exit {
    set_color(match cli.everywhere.color {
        Color::Auto => ColorChoice::Auto,
        Color::Always => ColorChoice::Always,
        Color::Never => ColorChoice::Never,
    });
    let screen = Screen::on_stderr();
    let done = logs::check(cli).and_then(|()| logs::start(&cli.everywhere, &screen)).and_then(|()| {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
        let runtime = runtime
            .map_err(|error| Failure::new(Exit::Defect, format!("no threads could be started: {error}")))?;
        let done = runtime.block_on(command(cli, &screen));
        // a request that is still under way must not keep a second Ctrl-C waiting
        runtime.shutdown_background();
        done
    });
    done.unwrap_or_else(|failure| {
        to_stderr(&format!("{failure}\n"));
        failure.exit
    })
}

async fn command(cli: &Cli, screen: &Screen) -> Result<Exit, Failure> {
    match &cli.command {
        Command::Run(args) => run::run(args, screen).await,
        Command::Check(args) => check::check(args),
        Command::Simulate(args) => simulate::simulate(args).await,
        Command::Ledger(args) => ledger::ledger(args),
    }
}

/// Ends after a panic.
pub fn defect() -> Exit {
    to_stderr(
        "error: this is a defect of dlc-fleet\n next: what was written to the ledger is valid and the same \
         command resumes; please report the message above\n",
    );
    Exit::Defect
}

/// Looks up an environment variable; one that is not Unicode counts as its lossy text and fails later, by name.
fn environment(name: &str) -> Option<String> {
    std::env::var_os(name).map(|value| value.to_string_lossy().into_owned())
}

/// Prints the result. A closed pipe is the reader's choice. Where it is lost otherwise, that is said on stderr, and
/// the exit code still tells how things stand.
fn print_result(text: &str) {
    if let Err(error) = to_stdout(text) {
        to_stderr(&format!("error: the result could not be printed: {error}\n"));
    }
}
