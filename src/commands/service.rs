//! The service of a run: the real one, or a simulator that is started for the run.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use zeroize::Zeroizing;

use super::caller::{Caller, CallerOptions};
use crate::cloud::credentials::{Credentials, Keyring};
use crate::cloud::endpoint::Endpoint;
use crate::cloud::http::HttpFleet;
use crate::cloud::network::Network;
use crate::cloud::signed::SignedClient;
use crate::cloud::sts::SERVICE;
use crate::error::Failure;
use crate::exit::Exit;
use crate::format;
use crate::job::{Job, JobKey};
use crate::ledger::{History, JobHistory, Standing};
use crate::rate::{HEADROOM, Rate};
use crate::settings::{RunSettings, SIMULATOR, Target};
use crate::simulator::{Keys, RunDefaults, Scenario, Simulator, World, bind, serve};

/// Largest scenario file in bytes; one that lists 100,000 engines has 3 MB.
const MAX_SCENARIO: u64 = 4 << 20;

/// An endpoint, with the keys for its requests.
pub(super) struct Service {
    pub(super) endpoint: Endpoint,
    pub(super) network: Network,
    pub(super) caller: Caller,
    /// The name in messages and in the ledger.
    pub(super) name: String,
    /// False if the account of the engines is unknown, as for a scenario without an account.
    pub(super) has_account: bool,
    /// The shorter waits of a simulator.
    pub(super) clock: Option<RunDefaults>,
}

impl Service {
    /// A client for the service. Opens no connection.
    pub(super) fn fleet(self, request_timeout: Duration) -> Result<HttpFleet, Failure> {
        let Caller { keyring, clock, .. } = self.caller;
        // an endpoint that serves STS as well is already logged
        if self.endpoint != self.endpoint.of_service(SERVICE) {
            self.network.log_route(&self.endpoint);
        }
        let client = SignedClient::new(self.endpoint, &self.network, request_timeout, clock)?;
        Ok(HttpFleet::new(client, keyring))
    }
}

/// Refuses a ledger of another service: engines of another site, or of a simulation, are not the same engines.
pub(super) fn check_ledger_fits(target: &Target, ledger: &Path, history: &History) -> Result<(), Failure> {
    let Some((run, started)) = &history.latest_run else { return Ok(()) };
    let endpoint: Option<Endpoint> = started.endpoint.parse().ok();
    let fits = match (target, endpoint) {
        (Target::Simulator { .. }, _) => started.endpoint == SIMULATOR,
        (Target::Service(target), Some(ledger)) => {
            started.endpoint != SIMULATOR && target.site() == ledger.site()
        }
        (Target::Service(_), None) => false,
    };
    if fits {
        return Ok(());
    }
    let what = format!(
        "the ledger {} is about engines at {} (run {run}) and cannot be used for a run against {}",
        format::shown_path(ledger),
        started.endpoint,
        target.name(),
    );
    Err(Failure::new(Exit::Ledger, what).next("nothing was sent; pass another file with --ledger"))
}

/// The service, or a simulator with the plan's engines in the state of the ledger.
pub(super) async fn connect(
    settings: &RunSettings,
    jobs: &[Job],
    history: &BTreeMap<JobKey, JobHistory>,
) -> Result<Service, Failure> {
    match &settings.target {
        Target::Service(endpoint) => {
            let network = Network::resolve(endpoint, settings.ca_file.as_deref(), super::variables::env_var)?;
            Ok(Service {
                endpoint: endpoint.clone(),
                caller: Caller::find(caller_options(settings, endpoint, &network, None)).await?,
                network,
                name: settings.target.name(),
                has_account: true,
                clock: None,
            })
        }
        Target::Simulator { scenario } => {
            let scenario = load_scenario(scenario.as_deref())?;
            let world = world(&scenario, jobs, history);
            start(settings, scenario, world).await
        }
    }
}

/// The clock of the simulator, without starting it; `None` for a service.
pub(super) fn clock(target: &Target) -> Result<Option<RunDefaults>, Failure> {
    match target {
        Target::Service(_) => Ok(None),
        Target::Simulator { scenario } => Ok(Some(load_scenario(scenario.as_deref())?.run_defaults)),
    }
}

/// The scenario of a simulator in this process.
fn load_scenario(scenario: Option<&Path>) -> Result<Scenario, Failure> {
    scenario.map_or_else(|| Ok(Scenario::built_in()), read_scenario)
}

fn caller_options<'a>(
    settings: &'a RunSettings,
    endpoint: &'a Endpoint,
    network: &'a Network,
    clock: Option<&RunDefaults>,
) -> CallerOptions<'a> {
    CallerOptions {
        endpoint,
        network,
        region: settings.region.as_ref(),
        request_timeout: settings.options(clock).request_timeout,
        profile: settings.profile.as_deref(),
        role: settings.role.clone(),
    }
}

/// Reads a scenario file.
pub(super) fn read_scenario(path: &Path) -> Result<Scenario, Failure> {
    let name = format::shown_path(path);
    let text = scenario_text(path).map_err(|error| {
        Failure::new(Exit::Usage, format!("the scenario {name} cannot be read: {error}: check the path"))
    })?;
    Ok(Scenario::parse(&text, &name)?)
}

/// Reads a regular file: a pipe would block, and a device may have no end.
fn scenario_text(path: &Path) -> io::Result<String> {
    if !std::fs::metadata(path)?.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    let mut text = String::new();
    File::open(path)?.take(MAX_SCENARIO + 1).read_to_string(&mut text)?;
    if text.len() as u64 > MAX_SCENARIO {
        return Err(io::Error::other(format!("it is larger than {MAX_SCENARIO} bytes")));
    }
    Ok(text)
}

/// The plan's engines. Those that an earlier simulation switched have their new image version.
pub(super) fn world(scenario: &Scenario, jobs: &[Job], history: &BTreeMap<JobKey, JobHistory>) -> World {
    let is_switched = |key: &JobKey| {
        let standing = history.get(key).map(|job| job.record.standing);
        matches!(
            standing,
            Some(Standing::Accepted | Standing::Switched | Standing::UpToDate | Standing::TimedOut)
        )
    };
    let rows: Vec<(JobKey, bool)> = jobs.iter().map(|job| (job.key.clone(), is_switched(&job.key))).collect();
    let mut world = World::holding(scenario.seed, &rows);
    for job in jobs {
        if let Some(name) = &job.data_engine_name {
            world.set_name(&job.key.region, &job.key.data_engine_id, name.clone());
        }
    }
    for (job, (_, is_switched)) in jobs.iter().zip(&rows) {
        if let (Some(expected), false) = (&job.expected_image_version_id, is_switched) {
            world.set_image(&job.key.region, &job.key.data_engine_id, Some(expected.clone()));
        }
    }
    world
}

async fn start(settings: &RunSettings, scenario: Scenario, world: World) -> Result<Service, Failure> {
    let failed = |error: io::Error| {
        Failure::new(Exit::Refused, format!("the simulator cannot listen on loopback: {error}"))
    };
    let listener = bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    let (clock, has_account) = (scenario.run_defaults, scenario.account.is_some());
    let mut random = fastrand::Rng::new();
    let mut key = || std::iter::repeat_with(|| random.alphanumeric()).take(32).collect::<String>();
    let (secret_id, secret_key) = (format!("AKID{}", key()), key());
    let keys = Keys::new(secret_id.clone(), secret_key.clone(), None);
    tokio::spawn(serve(listener, Simulator::new(world, scenario), keys));
    let credentials = Credentials::new(secret_id, Zeroizing::new(secret_key), None);
    let endpoint: Endpoint = format!("http://{address}").parse()?;
    let network = Network::default();
    let options = caller_options(settings, &endpoint, &network, Some(&clock));
    Ok(Service {
        caller: Caller::with(&options, Keyring::of(credentials, SIMULATOR))?,
        endpoint,
        network,
        name: SIMULATOR.into(),
        has_account,
        clock: Some(clock),
    })
}

/// Time between two requests at a rate, headroom included.
pub(super) fn request_gap(rate: Rate) -> Duration {
    (Duration::from_secs(1) + HEADROOM) / rate.per_second()
}
