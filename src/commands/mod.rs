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
mod output;
mod run;
mod service;
mod setup;
mod signals;
mod simulate;
mod sites;
mod slow_read;
mod unrecorded;
mod variables;
mod whoami;

pub use output::{answer, internal_error};
use output::{fail, print_result};

use crate::cli::{Cli, Color, Command};
use crate::error::Failure;
use crate::exit::Exit;
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
