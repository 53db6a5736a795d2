//! The command line as it was typed: no defaults resolved, no I/O.

#![expect(clippy::doc_markdown, reason = "these comments are the help text, shown to people as they stand")]

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};

use crate::exit::Exit;
use crate::format::read_duration;

/// Move fleets of Tencent Cloud DLC data engines to new image versions
///
/// Reads a CSV or YAML plan, calls `SwitchDataEngineImage` for each engine at no more than 20 requests per
/// second, verifies the result, and records every step in a ledger. Run the same command again to resume.
#[derive(Debug, Parser)]
#[command(name = "dlc-fleet", version, arg_required_else_help = true, after_help = EXIT_CODES_HINT)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// Flags that every command takes.
    #[command(flatten)]
    pub everywhere: Everywhere,
}

/// Where the table of exit codes is.
const EXIT_CODES_HINT: &str = "Exit codes: see `dlc-fleet help exit-codes`";

/// Flags that every command takes.
#[derive(Debug, Args)]
pub struct Everywhere {
    /// Log more to stderr: -v shows steps, -vv each call, -vvv everything; RUST_LOG overrides it [default: errors only]
    #[arg(short, long, action = ArgAction::Count, global = true, help_heading = "Global options")]
    pub verbose: u8,
    /// Append a log of everything, including each call, to this file [default: no log file]
    #[arg(long, value_name = "FILE", global = true, help_heading = "Global options")]
    pub log_file: Option<PathBuf>,
    /// When to use colors; auto uses them on a terminal unless NO_COLOR is set
    #[arg(long, value_name = "WHEN", default_value = "auto", global = true, help_heading = "Global options")]
    pub color: Color,
}

/// When to use colors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// On a terminal, unless `NO_COLOR` is set.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// What the result looks like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// Tables and sentences.
    #[default]
    Human,
    /// One JSON document.
    Json,
}

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Switch the engines of a plan; run it again to resume
    Run(RunArgs),
    /// Check a plan and report every problem at once; sends nothing
    Check(CheckArgs),
    /// Show the identity that a run would use, the source of its keys, and when they expire; changes nothing
    Whoami(WhoamiArgs),
    /// Serve the simulator on a loopback address
    Simulate(SimulateArgs),
    /// Check, repair, show or export a ledger
    Ledger(LedgerArgs),
    /// Show the exit codes
    #[command(after_help = Exit::table(), help_template = "{after-help}")]
    ExitCodes,
}

/// Arguments of `ledger`.
#[derive(Debug, Args)]
pub struct LedgerArgs {
    /// What to do with it.
    #[command(subcommand)]
    pub command: LedgerCommand,
}

impl LedgerArgs {
    /// The ledger.
    pub fn file(&self) -> &Path {
        match &self.command {
            LedgerCommand::Check { file }
            | LedgerCommand::Repair { file }
            | LedgerCommand::Show { file, .. }
            | LedgerCommand::Export { file, .. } => file,
        }
    }
}

/// What can be done with a ledger.
#[derive(Debug, Subcommand)]
pub enum LedgerCommand {
    /// Verify the chain of checks; exit code 6 and the line when it is broken
    Check {
        /// The ledger
        file: PathBuf,
    },
    /// Move a damaged end to another file, and keep a copy of the original
    Repair {
        /// The ledger
        file: PathBuf,
    },
    /// Show the state of each job
    Show {
        /// The ledger
        file: PathBuf,
        /// Omit jobs that are on their target or were accepted [default: show all]
        #[arg(long)]
        failed: bool,
        /// Print one JSON object per line [default: a table]
        #[arg(long)]
        json: bool,
    },
    /// Write the state of each job in another format
    Export {
        /// The ledger
        file: PathBuf,
        /// Output format
        #[arg(long, value_name = "FORMAT", default_value = "csv")]
        format: LedgerFormat,
    },
}

/// What a ledger can be exported to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LedgerFormat {
    /// Comma-separated values with a header.
    Csv,
}

/// Arguments of `check`.
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// The plan, CSV or YAML
    pub plan: PathBuf,
    /// Region of rows without one [default: $TENCENTCLOUD_REGION, then the tccli profile]
    #[arg(long, value_name = "REGION")]
    pub region: Option<String>,
    /// tccli profile to read the region from; takes precedence over the environment [default: $TCCLI_PROFILE, else default]
    #[arg(long, value_name = "NAME")]
    pub profile: Option<String>,
}

/// Arguments of `run`.
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES_HINT)]
pub struct RunArgs {
    /// The plan, CSV or YAML
    pub plan: PathBuf,
    /// Ledger to resume from and to write [default: the path of the plan, with the extension .ledger.jsonl]
    #[arg(long, value_name = "FILE")]
    pub ledger: Option<PathBuf>,
    /// Print what the run would do with each row; sends and writes nothing [default: off]
    #[arg(long)]
    pub dry_run: bool,
    /// With --dry-run: make no API calls; use only the plan and the ledger [default: off]
    #[arg(long, requires = "dry_run")]
    pub offline: bool,
    /// Skip jobs that failed in an earlier run [default: retry them]
    #[arg(long)]
    pub skip_failed: bool,
    /// Also switch engines that drifted or failed after their switch in an earlier run [default: off]
    #[arg(long, conflicts_with = "skip_failed")]
    pub retry_moved: bool,
    /// Allow image versions that the service does not list for the type of the engine [default: off]
    #[arg(long)]
    pub allow_unlisted_images: bool,
    /// Do not ask for confirmation before the first switch [default: ask]
    #[arg(short, long)]
    pub yes: bool,
    /// Format of the result on stdout
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    pub output: Output,
    /// Where to send requests.
    #[command(flatten)]
    pub target: TargetArgs,
    /// Identity to use.
    #[command(flatten)]
    pub caller: CallerArgs,
    /// Rate, retries and timeouts.
    #[command(flatten)]
    pub limits: LimitArgs,
}

/// Where to send requests.
#[derive(Debug, Args)]
#[command(next_help_heading = "Service")]
pub struct TargetArgs {
    /// tccli profile to read keys, region and endpoint from; takes precedence over the environment [default: $TCCLI_PROFILE, else default]
    #[arg(long, value_name = "NAME")]
    pub profile: Option<String>,
    /// Region of rows without one [default: $TENCENTCLOUD_REGION, then the profile]
    #[arg(long, value_name = "REGION")]
    pub region: Option<String>,
    /// Endpoint of the service: a host name, or a URL with https://, or with http:// for loopback addresses; takes precedence over the profile [default: dlc.tencentcloudapi.com]
    #[arg(long, value_name = "ENDPOINT", conflicts_with = "simulate")]
    pub endpoint: Option<String>,
    /// PEM file of CA certificates to trust in addition to those of the system [default: none]
    #[arg(long, value_name = "FILE", conflicts_with = "simulate")]
    pub ca_file: Option<PathBuf>,
    /// Run against the built-in simulator; SCENARIO is a file of fault rules [default: off; without a value: the built-in scenario]
    #[arg(long, value_name = "SCENARIO", num_args = 0..=1, require_equals = true, default_missing_value = "")]
    pub simulate: Option<String>,
}

/// Identity to use.
#[derive(Debug, Args)]
#[command(next_help_heading = "Identity")]
pub struct CallerArgs {
    /// Refuse to run unless the keys belong to this main account (`dlc-fleet whoami` shows it) [default: no check]
    #[arg(long, value_name = "ID", value_parser = account)]
    pub expect_account: Option<String>,
    /// Role to assume [default: $TENCENTCLOUD_ROLE_ARN, unless --profile is given]
    #[arg(long, value_name = "ARN")]
    pub role_arn: Option<String>,
    /// Session name of the assumed role [default: $TENCENTCLOUD_ROLE_SESSION_NAME, then dlc-fleet]
    #[arg(long, value_name = "NAME", requires = "role_arn")]
    pub role_session_name: Option<String>,
}

/// Rate, retries and timeouts.
#[derive(Clone, Copy, Debug, Args)]
#[command(next_help_heading = "Limits")]
pub struct LimitArgs {
    /// Maximum switch requests per second, 1 to 20 [default: 20]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=20))]
    pub rate: Option<u32>,
    /// Maximum requests in flight, 1 to 1000 [default: 64]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub concurrency: Option<u32>,
    /// Maximum attempts per engine, 1 to 100; throttled attempts do not count [default: 6]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100))]
    pub max_attempts: Option<u32>,
    /// Maximum time to wait for one response [default: 30s]
    #[arg(long, value_name = "TIME", value_parser = positive)]
    pub request_timeout: Option<Duration>,
    /// How long an engine must stay on its old image, running, before an unconfirmed request is sent again; 0s sends
    /// it again at the first read and risks a second switch [default: 1m]
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub resend_after: Option<Duration>,
    /// Maximum time to wait for an engine to run its new image, or, beyond --resend-after, for an unconfirmed request to be verified [default: 30m]
    #[arg(long, value_name = "TIME", value_parser = positive)]
    pub wait_timeout: Option<Duration>,
    /// How long an engine must be seen running on its target before it counts as switched [default: 10s]
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub min_ready: Option<Duration>,
    /// Do not wait for engines to run their new image; accepted requests count as success [default: wait]
    #[arg(long, conflicts_with = "min_ready")]
    pub no_wait: bool,
    /// Do not read engines: for keys without read permission; unconfirmed requests are not sent again; implies --no-wait [default: verify]
    #[arg(long, conflicts_with_all = ["wait_timeout", "min_ready", "resend_after"])]
    pub no_verify: bool,
}

/// Arguments of `whoami`.
#[derive(Debug, Args)]
pub struct WhoamiArgs {
    /// Format of the result on stdout
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    pub output: Output,
    /// tccli profile to read keys, region and endpoint from; takes precedence over the environment [default: $TCCLI_PROFILE, else default]
    #[arg(long, value_name = "NAME", help_heading = "Service")]
    pub profile: Option<String>,
    /// Region of the calls [default: $TENCENTCLOUD_REGION, then the profile, then ap-guangzhou]
    #[arg(long, value_name = "REGION", help_heading = "Service")]
    pub region: Option<String>,
    /// Endpoint of DLC, as for run; STS is called at the matching host [default: dlc.tencentcloudapi.com]
    #[arg(long, value_name = "ENDPOINT", help_heading = "Service")]
    pub endpoint: Option<String>,
    /// PEM file of CA certificates to trust in addition to those of the system [default: none]
    #[arg(long, value_name = "FILE", help_heading = "Service")]
    pub ca_file: Option<PathBuf>,
    /// Maximum time to wait for one response [default: 30s]
    #[arg(long, value_name = "TIME", value_parser = positive, help_heading = "Service")]
    pub request_timeout: Option<Duration>,
    /// Identity to use.
    #[command(flatten)]
    pub caller: CallerArgs,
}

/// Arguments of `simulate`.
#[derive(Debug, Args)]
pub struct SimulateArgs {
    /// Loopback address to listen on; port 0 selects a free port
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0")]
    pub listen: String,
    /// Number of simulated engines, named DataEngine-sim00001 and so on [default: 200]
    #[arg(long, value_name = "N", conflicts_with = "plan", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub engines: Option<u32>,
    /// Simulate exactly the engines and images of this plan [default: see --engines]
    #[arg(long, value_name = "PLAN")]
    pub plan: Option<PathBuf>,
    /// File of fault rules [default: no faults]
    #[arg(long, value_name = "SCENARIO")]
    pub scenario: Option<PathBuf>,
    /// Region of the simulated fleet, and of rows without one
    #[arg(long, value_name = "REGION", default_value = "ap-guangzhou")]
    pub region: String,
}

/// The id of an account, as the API writes it.
fn account(text: &str) -> Result<String, String> {
    let is_account = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    is_account.then(|| text.to_owned()).ok_or_else(|| "write the main account's id, digits only".to_owned())
}

/// A duration as people write it.
fn duration(text: &str) -> Result<Duration, String> {
    let help = "write a duration such as 500ms, 10s or 1m30s, of at most 168h";
    read_duration(text).map_err(|fault| format!("{fault}; {help}"))
}

fn positive(text: &str) -> Result<Duration, String> {
    match duration(text)? {
        Duration::ZERO => Err("it must be longer than 0s".to_owned()),
        duration => Ok(duration),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn simulate_takes_a_scenario_only_after_an_equals_sign() {
        let plain = Cli::parse_from(["dlc-fleet", "run", "--simulate", "plan.csv"]);
        let named = Cli::parse_from(["dlc-fleet", "run", "--simulate=scenario.yaml", "plan.csv"]);
        let simulate = |cli: Cli| match cli.command {
            Command::Run(run) => (run.target.simulate, run.plan),
            other => panic!("{other:?}"),
        };
        assert_eq!(simulate(plain), (Some(String::new()), PathBuf::from("plan.csv")));
        assert_eq!(simulate(named), (Some("scenario.yaml".into()), PathBuf::from("plan.csv")));
    }

    #[test]
    fn rates_above_the_documented_limit_are_refused() {
        for (rate, good) in [("0", false), ("1", true), ("20", true), ("21", false), ("fast", false)] {
            let parsed = Cli::try_parse_from(["dlc-fleet", "run", "p.csv", "--rate", rate]);
            assert_eq!(parsed.is_ok(), good, "{rate}");
        }
    }

    #[test]
    fn an_invalid_duration_is_reported_with_the_reason_and_the_fix() {
        let refused = |value| Cli::try_parse_from(["dlc-fleet", "run", "p.csv", "--min-ready", value]);
        let message = refused("10").expect_err("no unit").to_string();
        let expected = "it has no unit; write a duration such as 500ms, 10s or 1m30s, of at most 168h";
        assert!(message.contains(expected), "{message}");
        assert!(refused("10s").is_ok());
        assert!(positive("0s").is_err() && positive("1ms").is_ok());
    }

    #[test]
    fn accounts_are_digits() {
        for (id, good) in
            [("100000000001", true), ("", false), ("uin/1", false), ("-1", false), ("1 ", false)]
        {
            let flag = format!("--expect-account={id}");
            assert_eq!(Cli::try_parse_from(["dlc-fleet", "whoami", &flag]).is_ok(), good, "{id:?}");
        }
    }

    #[test]
    fn offline_is_refused_without_a_dry_run() {
        assert!(Cli::try_parse_from(["dlc-fleet", "run", "p.csv", "--offline"]).is_err());
        assert!(Cli::try_parse_from(["dlc-fleet", "run", "p.csv", "--dry-run", "--offline"]).is_ok());
    }
}
