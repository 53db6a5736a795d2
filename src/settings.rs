//! What the command line means: flags, then the environment, then tccli's profile, then the simulator's clock, then
//! defaults; resolved once, here.
//!
//! | setting | flag | environment | profile | in a rehearsal | default |
//! | --- | --- | --- | --- | --- | --- |
//! | region | `--region` | `TENCENTCLOUD_REGION` | `_sys_param.region` | | none: rows must name theirs |
//! | endpoint | `--endpoint` | | `dlc.endpoint` | | [`Endpoint::default`] |
//! | waits | `--min-ready`, `--resend-after`, … | | | the scenario's `clock` | [`RunOptions::default`] |
//! | longest soak | | | | the scenario's `clock` | what the plan says |
//! | role | `--role-arn` | `TENCENTCLOUD_ROLE_ARN` | `role-arn` | refused | none |
//! | ledger | `--ledger` | | | the plan's path, `.simulated.ledger.jsonl` | the plan's path, `.ledger.jsonl` |
//!
//! A region in the plan wins over all of these for its rows. A profile that was asked for with `--profile` wins over
//! the environment. With `--simulate` no profile is read.

mod service;

use std::path::{Path, PathBuf};
use std::time::Duration;

pub use self::service::{REGION_VARIABLE, endpoint, region};
use crate::cli::{CallerArgs, LimitArgs, Output, RunArgs};
use crate::cloud::credentials::{Environment, WantedRole};
use crate::cloud::endpoint::Endpoint;
use crate::error::Failure;
use crate::exit::Exit;
use crate::job::{Region, Wave};
use crate::ledger::Retry;
use crate::rate::{Delays, Rate, Schedule};
use crate::run::RunOptions;
use crate::simulator::RunDefaults;

/// Least time between two sweeps, however short the min-ready time.
const MIN_POLL_INTERVAL: Duration = Duration::from_millis(200);

/// Where requests go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// To a simulator in this process, with the weather of a file or the built-in one.
    Simulator {
        /// The scenario file.
        scenario: Option<PathBuf>,
    },
    /// To a service.
    Service(Endpoint),
}

/// How the simulator in this process is called where an endpoint is named.
pub const SIMULATOR: &str = "simulator";

impl Target {
    /// What people and the ledger call it.
    pub fn name(&self) -> String {
        match self {
            Self::Simulator { .. } => SIMULATOR.into(),
            Self::Service(endpoint) => endpoint.to_string(),
        }
    }

    /// True where the engines are not real ones: in a simulator, in this process or elsewhere on this machine.
    pub fn is_simulation(&self) -> bool {
        match self {
            Self::Simulator { .. } => true,
            Self::Service(endpoint) => endpoint.is_loopback(),
        }
    }
}

/// What a dry run may look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DryRun {
    /// Plan, ledger and fleet.
    Online,
    /// Plan and ledger.
    Offline,
}

/// A `run` as it is meant.
#[derive(Clone, Debug)]
pub struct RunSettings {
    /// The plan.
    pub plan: PathBuf,
    /// Region for rows that name none.
    pub region: Option<Region>,
    /// The profile that the keys must come from.
    pub profile: Option<String>,
    /// The ledger.
    pub ledger: PathBuf,
    /// Where requests go.
    pub target: Target,
    /// Certificates to trust beside the system's.
    pub ca_file: Option<PathBuf>,
    /// What the dry run may look at, if it is one.
    pub dry_run: Option<DryRun>,
    /// Which failures of earlier runs are sent again.
    pub retry: Retry,
    /// Send also to image versions that are not listed.
    pub allow_unlisted_images: bool,
    /// Do not ask.
    pub yes: bool,
    /// What goes to stdout.
    pub output: Output,
    /// The account that the command line expects.
    pub expect_account: Option<String>,
    /// The role that was asked for on the command line.
    pub role: Option<WantedRole>,
    /// The limits that were typed; what is missing depends on where requests go.
    limits: LimitArgs,
}

impl RunSettings {
    /// Resolves what was typed, in these environment.
    pub fn resolve(args: &RunArgs, environment: &Environment<'_>) -> Result<Self, Failure> {
        let region = args.target.region.as_deref();
        let (target, region) = match &args.target.simulate {
            Some(scenario) => {
                let scenario = (!scenario.is_empty()).then(|| PathBuf::from(scenario));
                let elsewhere = Environment::new(environment.variable, None, None);
                (Target::Simulator { scenario }, self::region(region, &elsewhere)?)
            }
            None => (
                Target::Service(endpoint(args.target.endpoint.as_deref(), environment)?),
                self::region(region, environment)?,
            ),
        };
        let role = role(&args.caller);
        if role.is_some() && matches!(target, Target::Simulator { .. }) {
            let what = "--role-arn: the simulator has keys of its own: leave out the role, or --simulate";
            return Err(Failure::new(Exit::Usage, what));
        }
        let derived = || derived_ledger(&args.plan, target.is_simulation());
        let dry_run = match (args.dry_run, args.offline) {
            (false, _) => None,
            (true, false) => Some(DryRun::Online),
            (true, true) => Some(DryRun::Offline),
        };
        Ok(Self {
            plan: args.plan.clone(),
            region,
            profile: environment.profile.clone(),
            ledger: args.ledger.clone().unwrap_or_else(derived),
            target,
            ca_file: args.target.ca_file.clone(),
            dry_run,
            retry: Retry { failed: !args.skip_failed, moved: args.retry_moved },
            allow_unlisted_images: args.allow_unlisted_images,
            yes: args.yes,
            output: args.output,
            expect_account: args.caller.expect_account.clone(),
            role,
            limits: args.limits,
        })
    }

    /// False with `--no-verify`: the fleet is never looked at.
    pub fn verifies(&self) -> bool {
        !self.limits.no_verify
    }

    /// What the run keeps to, with the simulator's faster clock where there is one.
    pub fn options(&self, clock: Option<&RunDefaults>) -> RunOptions {
        let defaults = RunOptions::default();
        let typed = &self.limits;
        let fast = |choose: fn(&RunDefaults) -> Option<Duration>| clock.and_then(choose);
        let faster = |schedule: Schedule| Schedule {
            first: fast(|clock| clock.backoff).unwrap_or(schedule.first),
            longest: fast(|clock| clock.max_backoff).unwrap_or(schedule.longest),
        };
        let delays =
            Delays { transient: faster(defaults.delays.transient), busy: faster(defaults.delays.busy) };
        let verify = self.verifies();
        let min_ready = typed.min_ready.or(fast(|clock| clock.min_ready)).unwrap_or(defaults.min_ready);
        RunOptions {
            rate: typed.rate.and_then(Rate::new).unwrap_or(defaults.rate),
            concurrency: typed.concurrency.map_or(defaults.concurrency, |n| n as usize),
            max_attempts: typed.max_attempts.unwrap_or(defaults.max_attempts),
            request_timeout: typed
                .request_timeout
                .or(fast(|clock| clock.request_timeout))
                .unwrap_or(defaults.request_timeout),
            resend_after: typed
                .resend_after
                .or(fast(|clock| clock.resend_after))
                .unwrap_or(defaults.resend_after),
            wait_timeout: typed
                .wait_timeout
                .or(fast(|clock| clock.wait_timeout))
                .unwrap_or(defaults.wait_timeout),
            min_ready,
            // two sweeps within the min-ready time, and never so many that reading becomes the work
            poll_interval: fast(|clock| clock.poll_interval)
                .unwrap_or((min_ready / 2).clamp(MIN_POLL_INTERVAL, defaults.poll_interval)),
            wait: verify && !self.limits.no_wait,
            verify,
            delays,
            retry: self.retry,
        }
    }
}

/// The waves of a plan as a run takes them: a simulator's clock cuts their soaks short. Returns the longest soak that
/// it leaves, where it cut one.
pub fn waves(plan: Vec<Wave>, clock: Option<&RunDefaults>) -> (Vec<Wave>, Option<Duration>) {
    let Some(longest) = clock.and_then(|clock| clock.soak) else { return (plan, None) };
    let is_cut = plan.iter().any(|wave| wave.soak > longest);
    let cut = |wave: Wave| Wave { soak: wave.soak.min(longest), ..wave };
    (plan.into_iter().map(cut).collect(), is_cut.then_some(longest))
}

/// The role that was asked for on the command line.
pub fn role(args: &CallerArgs) -> Option<WantedRole> {
    let session_name = args.role_session_name.clone();
    args.role_arn.clone().map(|arn| WantedRole { arn, session_name })
}

/// The ledger beside the plan. Rehearsals have one of their own, since they say nothing about real engines.
fn derived_ledger(plan: &Path, simulation: bool) -> PathBuf {
    plan.with_extension(if simulation { "simulated.ledger.jsonl" } else { "ledger.jsonl" })
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, Parser};

    use super::*;
    use crate::cli::{Cli, Command};

    fn resolve(line: &str, region: Option<&str>) -> Result<RunSettings, Failure> {
        let cli = Cli::parse_from(line.split(' '));
        let Command::Run(args) = cli.command else { panic!("not a run") };
        let variable = |name: &str| region.filter(|_| name == REGION_VARIABLE).map(str::to_owned);
        RunSettings::resolve(&args, &Environment::new(&variable, None, None))
    }

    fn good(line: &str) -> RunSettings {
        resolve(line, None).unwrap_or_else(|failure| panic!("{failure}"))
    }

    #[test]
    fn flags_win_over_the_environment_and_both_over_nothing() {
        let region = |line: &str, variable| {
            resolve(line, variable).unwrap_or_else(|failure| panic!("{failure}")).region
        };
        let flagged = "dlc-fleet run p.csv --region ap-beijing";
        assert_eq!(region(flagged, Some("ap-shanghai")), Some(Region::new("ap-beijing")));
        assert_eq!(region("dlc-fleet run p.csv", Some("ap-shanghai")), Some(Region::new("ap-shanghai")));
        assert_eq!(region("dlc-fleet run p.csv", Some("")), None);
        assert!(resolve("dlc-fleet run p.csv", Some("Mars")).is_err());
    }

    #[test]
    fn flags_win_over_the_simulators_clock_and_that_over_defaults() {
        let clock = RunDefaults {
            min_ready: Some(Duration::from_secs(1)),
            resend_after: Some(Duration::from_secs(2)),
            backoff: Some(Duration::from_millis(100)),
            max_backoff: Some(Duration::from_millis(700)),
            ..RunDefaults::default()
        };
        let options = good("dlc-fleet run p.csv --simulate --resend-after 7s").options(Some(&clock));
        assert_eq!(
            (options.min_ready, options.resend_after),
            (Duration::from_secs(1), Duration::from_secs(7))
        );
        assert_eq!(options.wait_timeout, RunOptions::default().wait_timeout);
        assert_eq!(options.delays.transient.ceiling(1), Duration::from_millis(100));
        assert_eq!(options.delays.busy.ceiling(9), Duration::from_millis(700));
        assert_eq!(good("dlc-fleet run p.csv").options(None), RunOptions::default());
    }

    #[test]
    fn a_rehearsal_cuts_soaks_short_and_makes_none_longer() {
        let soaks = [0, 2, 600].map(|soak| Wave { soak: Duration::from_secs(soak), ..Wave::named("w") });
        let cut = |longest: Option<u64>| {
            let clock = RunDefaults { soak: longest.map(Duration::from_secs), ..RunDefaults::default() };
            let (waves, told) = waves(soaks.to_vec(), Some(&clock));
            (waves.iter().map(|wave| wave.soak.as_secs()).collect::<Vec<_>>(), told)
        };
        assert_eq!(cut(Some(3)), (vec![0, 2, 3], Some(Duration::from_secs(3))));
        assert_eq!(cut(Some(0)), (vec![0, 0, 0], Some(Duration::ZERO)));
        assert_eq!(cut(Some(600)), (vec![0, 2, 600], None), "nothing was cut, and nothing is told");
        assert_eq!(cut(None), (vec![0, 2, 600], None));
        assert_eq!(
            waves(soaks.to_vec(), None),
            (soaks.to_vec(), None),
            "a real service soaks as the plan says"
        );
    }

    #[test]
    fn a_rehearsal_never_writes_the_ledger_of_real_runs() {
        assert_eq!(good("dlc-fleet run a/p.csv").ledger, PathBuf::from("a/p.ledger.jsonl"));
        assert_eq!(
            good("dlc-fleet run a/p.csv --simulate").ledger,
            PathBuf::from("a/p.simulated.ledger.jsonl")
        );
        let elsewhere = "dlc-fleet run a/p.csv --endpoint http://127.0.0.1:8080";
        assert_eq!(good(elsewhere).ledger, PathBuf::from("a/p.simulated.ledger.jsonl"));
        assert_eq!(good("dlc-fleet run a/p.csv --ledger l").ledger, PathBuf::from("l"));
    }

    #[test]
    fn without_read_back_there_is_no_waiting() {
        let options = good("dlc-fleet run p.csv --no-verify").options(None);
        assert!(!options.verify && !options.wait);
        let options = good("dlc-fleet run p.csv --no-wait").options(None);
        assert!(options.verify && !options.wait);
    }

    #[test]
    fn the_defaults_in_the_help_are_the_defaults_in_force() {
        let options = RunOptions::default();
        let command = Cli::command();
        let run = command.find_subcommand("run").expect("run");
        let help = |flag: &str| {
            let argument =
                run.get_arguments().find(|argument| argument.get_long() == Some(flag)).expect("a flag");
            argument.get_help().expect("help").to_string()
        };
        let time = |text: Duration| format!("{:#}", jiff::SignedDuration::try_from(text).expect("short"));
        for (flag, default) in [
            ("rate", options.rate.per_second().to_string()),
            ("concurrency", options.concurrency.to_string()),
            ("max-attempts", options.max_attempts.to_string()),
            ("request-timeout", time(options.request_timeout)),
            ("resend-after", time(options.resend_after)),
            ("wait-timeout", time(options.wait_timeout)),
            ("min-ready", time(options.min_ready)),
            ("endpoint", Endpoint::default().to_string()),
        ] {
            let stated = format!("[default: {default}]");
            assert!(help(flag).contains(&stated), "--{flag}: {:?} does not state {stated}", help(flag));
            let row =
                include_str!("../README.md").lines().find(|line| line.starts_with(&format!("| `--{flag} ")));
            let cell = row.and_then(|row| row.split('|').nth(2)).unwrap_or_default();
            assert_eq!(cell.trim().trim_matches('`'), default, "the README's default of --{flag}");
        }
    }
}
