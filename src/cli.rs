//! The command line as it was typed: no defaults resolved, no I/O.

#![expect(clippy::doc_markdown, reason = "these comments are the help text, shown to people as they stand")]

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};

use crate::format::read_duration;

/// Move fleets of Tencent Cloud DLC data engines to new image versions
///
/// Reads a CSV or YAML plan, calls `SwitchDataEngineImage` for each engine at no more than 20 requests per
/// second, proves by read-back what happened, and remembers every step in a ledger. The same command again
/// resumes.
#[derive(Debug, Parser)]
#[command(name = "dlc-fleet", version, arg_required_else_help = true, after_help = EXIT_CODES)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// Flags that every command takes.
    #[command(flatten)]
    pub everywhere: Everywhere,
}

/// The exit codes as `--help` shows them; a test compares them with `exit`.
pub const EXIT_CODES: &str = "\
Exit codes:
  0    every row is on its target (or the dry run found that it can be)
  1    some rows failed
  2    the command line or the plan is invalid; nothing was sent
  3    refused before the first write: credentials, another account or region than expected, read rights, no service to be reached, or no confirmation
  4    no failures, but rows are unknown, timed-out, not started, or were moved away since
  5    stopped early by an account-wide refusal, or by a wave that did not come through its soak
  6    the ledger is locked, damaged or not writable
  70   a defect of dlc-fleet
  74   what was asked for could not be written to stdout, or only a part of it
  129  interrupted by SIGHUP; the ledger is valid and the same command resumes
  130  interrupted by SIGINT; the ledger is valid and the same command resumes
  143  interrupted by SIGTERM; the ledger is valid and the same command resumes";

/// Flags that every command takes.
#[derive(Debug, Args)]
pub struct Everywhere {
    /// Log more to stderr: -v what happens, -vv each call (RUST_LOG, where set, decides instead)
    #[arg(short, long, action = ArgAction::Count, global = true, help_heading = "Everywhere")]
    pub verbose: u8,
    /// Also write a log of everything, each call included, to this file
    #[arg(long, value_name = "FILE", global = true, help_heading = "Everywhere")]
    pub log_file: Option<PathBuf>,
    /// Colours: auto looks at the terminal and at NO_COLOR
    #[arg(long, value_name = "WHEN", default_value = "auto", global = true, help_heading = "Everywhere")]
    pub color: Color,
}

/// When to use colours.
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
    /// Check a plan and report every finding at once; sends nothing
    Check(CheckArgs),
    /// Tell whose keys a run would use, where it finds them, and when they expire; changes nothing
    Whoami(WhoamiArgs),
    /// Serve a simulated service on loopback until Ctrl-C
    Simulate(SimulateArgs),
    /// Check, mend or show a ledger
    Ledger(LedgerArgs),
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
    /// Say whether the chain of checks holds; exit 6 names the line where it does not
    Check {
        /// The ledger
        file: PathBuf,
    },
    /// Set a damaged end aside, and keep a copy of the whole; invents nothing
    Repair {
        /// The ledger
        file: PathBuf,
    },
    /// Show where each job stands
    Show {
        /// The ledger
        file: PathBuf,
        /// Leave out jobs that are on their target, or that the service has taken
        #[arg(long)]
        failed: bool,
        /// One JSON object a line
        #[arg(long)]
        json: bool,
    },
    /// Write where each job stands in another format
    Export {
        /// The ledger
        file: PathBuf,
        /// The format
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
    /// Region for rows that name none [default: $TENCENTCLOUD_REGION, else that of tccli's profile]
    #[arg(long, value_name = "REGION")]
    pub region: Option<String>,
    /// Profile of tccli to take the region from, before the environment [default: $TCCLI_PROFILE, else default]
    #[arg(long, value_name = "NAME")]
    pub profile: Option<String>,
}

/// Arguments of `run`.
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES)]
pub struct RunArgs {
    /// The plan, CSV or YAML
    pub plan: PathBuf,
    /// What was done so far and is done now [default: the plan's path with .ledger.jsonl as its ending]
    #[arg(long, value_name = "FILE")]
    pub ledger: Option<PathBuf>,
    /// Tell for every row what the run would do; sends and writes nothing
    #[arg(long)]
    pub dry_run: bool,
    /// With --dry-run: ask nobody, look only at plan and ledger
    #[arg(long, requires = "dry_run")]
    pub offline: bool,
    /// Leave alone what failed in an earlier run
    #[arg(long)]
    pub skip_failed: bool,
    /// Switch also engines that another client moved, or that failed after their switch, in an earlier run
    #[arg(long, conflicts_with = "skip_failed")]
    pub retry_moved: bool,
    /// Switch also to image versions that the service does not list for the type of the engine
    #[arg(long)]
    pub allow_unlisted_images: bool,
    /// Do not ask before the first switch
    #[arg(long)]
    pub yes: bool,
    /// What goes to stdout at the end
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    pub output: Output,
    /// Where to send requests.
    #[command(flatten)]
    pub target: TargetArgs,
    /// With whose keys.
    #[command(flatten)]
    pub caller: CallerArgs,
    /// How fast, how often, how long.
    #[command(flatten)]
    pub limits: LimitArgs,
}

/// Where to send requests.
#[derive(Debug, Args)]
#[command(next_help_heading = "Where")]
pub struct TargetArgs {
    /// Profile of tccli to take keys, region and endpoint from, before the environment [default: $TCCLI_PROFILE, else default]
    #[arg(long, value_name = "NAME")]
    pub profile: Option<String>,
    /// Region for rows that name none [default: $TENCENTCLOUD_REGION, else that of the profile]
    #[arg(long, value_name = "REGION")]
    pub region: Option<String>,
    /// Host of the service: a name, or https:// with a name and a port; http:// only to loopback; before that of the profile [default: dlc.tencentcloudapi.com]
    #[arg(long, value_name = "ENDPOINT", conflicts_with = "simulate")]
    pub endpoint: Option<String>,
    /// Trust the CA certificates of this PEM file too, beside the system's
    #[arg(long, value_name = "FILE", conflicts_with = "simulate")]
    pub ca_file: Option<PathBuf>,
    /// Run against a simulated service in this process, with the faults of a scenario file or of the built-in scenario; no profile is read
    #[arg(long, value_name = "SCENARIO", num_args = 0..=1, require_equals = true, default_missing_value = "")]
    pub simulate: Option<String>,
}

/// With whose keys.
#[derive(Debug, Args)]
#[command(next_help_heading = "Who")]
pub struct CallerArgs {
    /// Call nothing unless the keys belong to this main account (whoami shows it); compared with the plan's as well
    #[arg(long, value_name = "ID", value_parser = account)]
    pub expect_account: Option<String>,
    /// Assume this role with the keys that are found [default without --profile: $TENCENTCLOUD_ROLE_ARN]
    #[arg(long, value_name = "ARN")]
    pub role_arn: Option<String>,
    /// What the role's session is called [default: $TENCENTCLOUD_ROLE_SESSION_NAME, else dlc-fleet]
    #[arg(long, value_name = "NAME", requires = "role_arn")]
    pub role_session_name: Option<String>,
}

/// How fast, how often, how long.
#[derive(Clone, Copy, Debug, Args)]
#[command(next_help_heading = "Limits")]
pub struct LimitArgs {
    /// Switch requests per second, 1 to 20 [default: 20]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=20))]
    pub rate: Option<u32>,
    /// Requests under way at once, 1 to 1000 [default: 64]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub concurrency: Option<u32>,
    /// Attempts for one engine, 1 to 100; throttled ones do not count [default: 6]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100))]
    pub max_attempts: Option<u32>,
    /// Longest wait for one answer [default: 30s]
    #[arg(long, value_name = "TIME", value_parser = positive)]
    pub request_timeout: Option<Duration>,
    /// How long an engine must stay on its old image, running, before a request that may have been applied is sent again;
    /// 0s sends it again at the first read, and risks a second switch [default: 1m]
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub resend_after: Option<Duration>,
    /// Longest wait for an engine to run its new image, or, beyond --resend-after, for an unconfirmed request to be verified [default: 30m]
    #[arg(long, value_name = "TIME", value_parser = positive)]
    pub wait_timeout: Option<Duration>,
    /// Least time between the two looks that prove a switch [default: 10s]
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub min_ready: Option<Duration>,
    /// Be content when the service took the request; do not wait for engines to run their new image
    #[arg(long, conflicts_with = "min_ready")]
    pub no_wait: bool,
    /// Never look at the fleet: for keys without that right. Nothing in doubt is sent again; implies --no-wait
    #[arg(long, conflicts_with_all = ["wait_timeout", "min_ready", "resend_after"])]
    pub no_verify: bool,
}

/// Arguments of `whoami`.
#[derive(Debug, Args)]
pub struct WhoamiArgs {
    /// What goes to stdout at the end
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    pub output: Output,
    /// Profile of tccli to take keys, region and endpoint from, before the environment [default: $TCCLI_PROFILE, else default]
    #[arg(long, value_name = "NAME", help_heading = "Where")]
    pub profile: Option<String>,
    /// Region to ask in [default: $TENCENTCLOUD_REGION, else that of the profile, else ap-guangzhou]
    #[arg(long, value_name = "REGION", help_heading = "Where")]
    pub region: Option<String>,
    /// Host of DLC, as for run; STS is asked at the host beside it [default: dlc.tencentcloudapi.com]
    #[arg(long, value_name = "ENDPOINT", help_heading = "Where")]
    pub endpoint: Option<String>,
    /// Trust the CA certificates of this PEM file too, beside the system's
    #[arg(long, value_name = "FILE", help_heading = "Where")]
    pub ca_file: Option<PathBuf>,
    /// Longest wait for one answer [default: 30s]
    #[arg(long, value_name = "TIME", value_parser = positive, help_heading = "Where")]
    pub request_timeout: Option<Duration>,
    /// With whose keys.
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
    /// Simulate exactly the engines and images of a plan
    #[arg(long, value_name = "PLAN")]
    pub plan: Option<PathBuf>,
    /// How the service behaves and what goes wrong [default: a service without faults]
    #[arg(long, value_name = "SCENARIO")]
    pub scenario: Option<PathBuf>,
    /// Region of the simulated engines, and of plan rows without a region
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
    let remedy = "write a duration such as 500ms, 10s or 1m30s, of at most 168h";
    read_duration(text).map_err(|fault| format!("{fault}; {remedy}"))
}

fn positive(text: &str) -> Result<Duration, String> {
    match duration(text)? {
        Duration::ZERO => Err("must be longer than nothing".to_owned()),
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
    fn a_time_that_is_refused_is_named_with_its_fault_and_the_remedy() {
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
