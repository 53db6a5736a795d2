//! Connects to the service of a run: the real one, or a simulator that is started for the run.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use zeroize::Zeroizing;

use super::caller::{Caller, Wanted};
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
use crate::simulator::{FastClock, Keys, Scenario, Simulator, World, bind, serve};

/// Largest scenario file in bytes; one that lists 100,000 engines has 3 MB.
const MAX_SCENARIO: u64 = 4 << 20;

/// The service of a run, with the credentials to sign requests.
pub(super) struct Service {
    pub(super) endpoint: Endpoint,
    pub(super) network: Network,
    pub(super) caller: Caller,
    /// Name in messages and in the ledger.
    pub(super) name: String,
    /// False for a simulator whose scenario names no account.
    pub(super) names_account: bool,
    /// The clock of the simulator, if it is one.
    pub(super) clock: Option<FastClock>,
}

impl Service {
    /// A client for the service. Opens no connection.
    pub(super) fn fleet(self, request_timeout: Duration) -> Result<HttpFleet, Failure> {
        let Caller { keyring, time, .. } = self.caller;
        // if STS has the same endpoint, the network was already reported
        if self.endpoint != self.endpoint.of_service(SERVICE) {
            self.network.tell(&self.endpoint);
        }
        let client = SignedClient::new(self.endpoint, &self.network, request_timeout, time)?;
        Ok(HttpFleet::new(client, keyring))
    }
}

/// Checks that the ledger belongs to the service: another site or a simulation has other engines.
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
        "the ledger {} belongs to {} (run {run}) and cannot be used for a run against {}",
        format::shown_path(ledger),
        started.endpoint,
        target.name(),
    );
    Err(Failure::new(Exit::Ledger, what).next("nothing was sent; pass another file with --ledger"))
}

/// Finds the service, or starts a simulator with the engines of the plan in the state that the ledger records.
pub(super) async fn connect(
    settings: &RunSettings,
    jobs: &[Job],
    history: &BTreeMap<JobKey, JobHistory>,
) -> Result<Service, Failure> {
    match &settings.target {
        Target::Service(endpoint) => {
            let network = Network::resolve(endpoint, settings.ca_file.as_deref(), super::env_var)?;
            Ok(Service {
                endpoint: endpoint.clone(),
                caller: Caller::find(wanted(settings, endpoint, &network, None)).await?,
                network,
                name: settings.target.name(),
                names_account: true,
                clock: None,
            })
        }
        Target::Simulator { scenario } => {
            let scenario = scenario_or_default(scenario.as_deref())?;
            let world = world(&scenario, jobs, history);
            start(settings, scenario, world).await
        }
    }
}

/// The clock of the simulator, without starting it; none for a real service.
pub(super) fn clock(target: &Target) -> Result<Option<FastClock>, Failure> {
    match target {
        Target::Service(_) => Ok(None),
        Target::Simulator { scenario } => Ok(Some(scenario_or_default(scenario.as_deref())?.clock)),
    }
}

/// The scenario of a simulator in this process.
fn scenario_or_default(scenario: Option<&Path>) -> Result<Scenario, Failure> {
    scenario.map_or_else(|| Ok(Scenario::simulation()), read_scenario)
}

fn wanted<'a>(
    settings: &'a RunSettings,
    endpoint: &'a Endpoint,
    network: &'a Network,
    clock: Option<&FastClock>,
) -> Wanted<'a> {
    Wanted {
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

/// The text of a scenario, if it is a regular file of limited size: a named pipe would block, and a device may never end.
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

/// The engines of the plan. Those that an earlier simulation switched are on their target.
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
    let (clock, names_account) = (scenario.clock, scenario.account.is_some());
    let mut random = fastrand::Rng::new();
    let mut key = || std::iter::repeat_with(|| random.alphanumeric()).take(32).collect::<String>();
    let (secret_id, secret_key) = (format!("AKID{}", key()), key());
    let keys = Keys::new(secret_id.clone(), secret_key.clone(), None);
    tokio::spawn(serve(listener, Simulator::new(world, scenario), keys));
    let credentials = Credentials::new(secret_id, Zeroizing::new(secret_key), None);
    let endpoint: Endpoint = format!("http://{address}").parse()?;
    let network = Network::default();
    let wanted = wanted(settings, &endpoint, &network, Some(&clock));
    Ok(Service {
        caller: Caller::with(&wanted, Keyring::of(credentials, SIMULATOR))?,
        endpoint,
        network,
        name: SIMULATOR.into(),
        names_account,
        clock: Some(clock),
    })
}

/// Time between two requests at a rate, headroom included.
pub(super) fn request_gap(rate: Rate) -> Duration {
    (Duration::from_secs(1) + HEADROOM) / rate.per_second()
}
