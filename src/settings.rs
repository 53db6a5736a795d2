//! Resolves the command line: flags, then the environment, then the profile of tccli, then the clock of the simulator,
//! then defaults.
//!
//! | setting | flag | environment | profile | in a simulation | default |
//! | --- | --- | --- | --- | --- | --- |
//! | region | `--region` | `TENCENTCLOUD_REGION` | `_sys_param.region` | | none: every row needs its own |
//! | endpoint | `--endpoint` | | `dlc.endpoint` | | [`Endpoint::default`] |
//! | waits | `--min-ready`, `--resend-after`, … | | | the scenario's `clock` | [`RunOptions::default`] |
//! | longest soak | | | | the scenario's `clock` | as in the plan |
//! | role | `--role-arn` | `TENCENTCLOUD_ROLE_ARN` | `role-arn` | refused | none |
//! | ledger | `--ledger` | | | the plan's path, `.simulated.ledger.jsonl` | the plan's path, `.ledger.jsonl` |
//!
//! A region in the plan has precedence over all of these for its rows. A profile of `--profile` has precedence over the
//! environment. With `--simulate` no profile is read.

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

/// Least time between two polls, however short `--min-ready` is.
const MIN_POLL_INTERVAL: Duration = Duration::from_millis(200);

/// Where requests go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// To a simulator in this process, with the built-in scenario or one from a file.
    Simulator {
        /// The scenario file.
        scenario: Option<PathBuf>,
    },
    /// To a service.
    Service(Endpoint),
}

/// The endpoint of the simulator in this process, in messages and ledgers.
pub const SIMULATOR: &str = "simulator";

impl Target {
    /// The name in messages and in the ledger.
    pub fn name(&self) -> String {
        match self {
            Self::Simulator { .. } => SIMULATOR.into(),
            Self::Service(endpoint) => endpoint.to_string(),
        }
    }

    /// True for a simulator, in this process or elsewhere on this machine.
    pub fn is_simulation(&self) -> bool {
        match self {
            Self::Simulator { .. } => true,
            Self::Service(endpoint) => endpoint.is_loopback(),
        }
    }
}

/// What a dry run reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DryRun {
    /// Plan, ledger and fleet.
    Online,
    /// Plan and ledger.
    Offline,
}

/// The settings of a `run`.
#[derive(Clone, Debug)]
pub struct RunSettings {
    /// The plan.
    pub plan: PathBuf,
    /// Region for rows without one.
    pub region: Option<Region>,
    /// The profile of `--profile`.
    pub profile: Option<String>,
    /// The ledger.
    pub ledger: PathBuf,
    /// Where requests go.
    pub target: Target,
    /// A file of certificates to trust in addition to those of the system.
    pub ca_file: Option<PathBuf>,
    /// What the dry run reads, if it is one.
    pub dry_run: Option<DryRun>,
    /// Which failures of earlier runs are sent again.
    pub retry: Retry,
    /// Also switch to image versions that are not listed.
    pub allow_unlisted_images: bool,
    /// Do not ask for confirmation.
    pub yes: bool,
    /// The format of stdout.
    pub output: Output,
    /// The account of `--expect-account`.
    pub expect_account: Option<String>,
    /// The role of `--role-arn`.
    pub role: Option<WantedRole>,
    /// The limits of the command line; the defaults depend on the target.
    limits: LimitArgs,
}

impl RunSettings {
    /// Resolves the arguments in this environment.
    pub fn resolve(args: &RunArgs, environment: &Environment<'_>) -> Result<Self, Failure> {
        let region = args.target.region.as_deref();
        let (target, region) = match &args.target.simulate {
            Some(scenario) => {
                let scenario = (!scenario.is_empty()).then(|| PathBuf::from(scenario));
                let without_profile = Environment::new(environment.variable, None, None);
                (Target::Simulator { scenario }, self::region(region, &without_profile)?)
            }
            None => (
                Target::Service(endpoint(args.target.endpoint.as_deref(), environment)?),
                self::region(region, environment)?,
            ),
        };
        let role = role(&args.caller);
        if role.is_some() && matches!(target, Target::Simulator { .. }) {
            let what = "--role-arn cannot be used with --simulate, because the simulator has keys of its own: remove one of them";
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

    /// False with `--no-verify`: engines are never read.
    pub fn verifies(&self) -> bool {
        !self.limits.no_verify
    }

    /// The options of the run, with the faster clock of the simulator if there is one.
    pub fn options(&self, clock: Option<&RunDefaults>) -> RunOptions {
        let defaults = RunOptions::default();
        let flags = &self.limits;
        let fast = |choose: fn(&RunDefaults) -> Option<Duration>| clock.and_then(choose);
        let faster = |schedule: Schedule| Schedule {
            first: fast(|clock| clock.backoff).unwrap_or(schedule.first),
            longest: fast(|clock| clock.max_backoff).unwrap_or(schedule.longest),
        };
        let delays =
            Delays { transient: faster(defaults.delays.transient), busy: faster(defaults.delays.busy) };
        let verify = self.verifies();
        let min_ready = flags.min_ready.or(fast(|clock| clock.min_ready)).unwrap_or(defaults.min_ready);
        RunOptions {
            rate: flags.rate.and_then(Rate::new).unwrap_or(defaults.rate),
            concurrency: flags.concurrency.map_or(defaults.concurrency, |n| n as usize),
            max_attempts: flags.max_attempts.unwrap_or(defaults.max_attempts),
            request_timeout: flags
                .request_timeout
                .or(fast(|clock| clock.request_timeout))
                .unwrap_or(defaults.request_timeout),
            resend_after: flags
                .resend_after
                .or(fast(|clock| clock.resend_after))
                .unwrap_or(defaults.resend_after),
            wait_timeout: flags
                .wait_timeout
                .or(fast(|clock| clock.wait_timeout))
                .unwrap_or(defaults.wait_timeout),
            min_ready,
            // two polls within the min-ready time, with a lower bound on the time between them
            poll_interval: fast(|clock| clock.poll_interval)
                .unwrap_or((min_ready / 2).clamp(MIN_POLL_INTERVAL, defaults.poll_interval)),
            wait: verify && !self.limits.no_wait,
            verify,
            delays,
            retry: self.retry,
        }
    }
}

/// The waves of a plan, with their soaks limited by the clock of the simulator. Returns that limit if it shortened one.
pub fn waves(plan: Vec<Wave>, clock: Option<&RunDefaults>) -> (Vec<Wave>, Option<Duration>) {
    let Some(longest) = clock.and_then(|clock| clock.soak) else { return (plan, None) };
    let is_shortened = plan.iter().any(|wave| wave.soak > longest);
    let shorten = |wave: Wave| Wave { soak: wave.soak.min(longest), ..wave };
    (plan.into_iter().map(shorten).collect(), is_shortened.then_some(longest))
}

/// The role of the command line.
pub fn role(args: &CallerArgs) -> Option<WantedRole> {
    let session_name = args.role_session_name.clone();
    args.role_arn.clone().map(|arn| WantedRole { arn, session_name })
}

/// The ledger beside the plan. Simulations have one of their own, since they are not about real engines.
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
    fn flags_have_precedence_over_the_environment() {
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
    fn flags_have_precedence_over_the_clock_of_the_simulator_and_that_over_defaults() {
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
    fn a_simulation_shortens_soaks_and_lengthens_none() {
        let soaks = [0, 2, 600].map(|soak| Wave { soak: Duration::from_secs(soak), ..Wave::named("w") });
        let cut = |longest: Option<u64>| {
            let clock = RunDefaults { soak: longest.map(Duration::from_secs), ..RunDefaults::default() };
            let (waves, limit) = waves(soaks.to_vec(), Some(&clock));
            (waves.iter().map(|wave| wave.soak.as_secs()).collect::<Vec<_>>(), limit)
        };
        assert_eq!(cut(Some(3)), (vec![0, 2, 3], Some(Duration::from_secs(3))));
        assert_eq!(cut(Some(0)), (vec![0, 0, 0], Some(Duration::ZERO)));
        assert_eq!(cut(Some(600)), (vec![0, 2, 600], None), "nothing was shortened");
        assert_eq!(cut(None), (vec![0, 2, 600], None));
        assert_eq!(
            waves(soaks.to_vec(), None),
            (soaks.to_vec(), None),
            "a real service keeps the soaks of the plan"
        );
    }

    #[test]
    fn a_simulation_never_writes_the_ledger_of_real_runs() {
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
    fn without_verification_there_is_no_waiting() {
        let options = good("dlc-fleet run p.csv --no-verify").options(None);
        assert!(!options.verify && !options.wait);
        let options = good("dlc-fleet run p.csv --no-wait").options(None);
        assert!(options.verify && !options.wait);
    }

    #[test]
    fn the_defaults_in_the_help_are_the_defaults_in_use() {
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
        }
    }
}
