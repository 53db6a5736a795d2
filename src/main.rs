//! The program: parses the command line, runs the command, and returns a documented exit code.

use std::panic::catch_unwind;

use clap::Parser;
use dlc_fleet::cli::Cli;
use dlc_fleet::commands;
use dlc_fleet::exit::Exit;

fn main() -> Exit {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(said) => return commands::answer(&said),
    };
    // the panic message is already printed
    catch_unwind(|| commands::main(&cli)).unwrap_or_else(|_| commands::internal_error())
}
