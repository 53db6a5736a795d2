//! `dlc-fleet simulate`: serves a simulated service until a signal arrives.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use super::output::print_outcome;
use super::service::{read_scenario, world};
use super::signals;
use crate::cli::SimulateArgs;
use crate::cloud::credentials::variables;
use crate::error::Failure;
use crate::exit::Exit;
use crate::settings;
use crate::simulator::{Keys, Scenario, Simulator, World, bind, serve};

/// Number of engines without `--engines` and `--plan`.
const ENGINES: u32 = 200;

pub(super) async fn simulate(args: &SimulateArgs) -> Result<Exit, Failure> {
    let scenario = args.scenario.as_deref().map_or_else(|| Ok(Scenario::default()), read_scenario)?;
    let Some(world) = simulated_world(args, &scenario)? else { return Ok(Exit::Usage) };
    let address: SocketAddr = args.listen.parse().map_err(|_| {
        let what =
            format!("--listen: {:?} is not an address; write, for example, 127.0.0.1:8080", args.listen);
        Failure::new(Exit::Usage, what)
    })?;
    let failed = |error: std::io::Error| Failure::new(Exit::Usage, format!("--listen {address}: {error}"));
    let listener = bind(address).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    let (keys, credentials) = keys()?;
    let mut signals = signals::listen().map_err(failed)?;
    print_outcome(&format!(
        "simulator listening on http://{address}\nstatistics: http://{address}/stats\n{credentials}\n"
    ));
    tokio::select! {
        result = serve(listener, Simulator::new(world, scenario), keys) => match result {
            Ok(never) => match never {},
            Err(error) => Err(failed(error)),
        },
        _ = signals.recv() => Ok(Exit::Success),
    }
}

/// The engines of the plan, or a generated fleet; none if the plan is invalid.
fn simulated_world(args: &SimulateArgs, scenario: &Scenario) -> Result<Option<World>, Failure> {
    let region = settings::region(Some(&args.region), &super::variables::environment(None))?;
    if let Some(path) = &args.plan {
        let plan = super::check::load(path, region.as_ref())?;
        return Ok(plan.map(|plan| world(scenario, &plan.jobs, &BTreeMap::new())));
    }
    let region = region.ok_or_else(|| Failure::new(Exit::Usage, "--region: write a region"))?;
    let engines = args.engines.unwrap_or(ENGINES) as usize;
    Ok(Some(World::generated(scenario.seed, engines, &region)))
}

/// The keys that the simulator accepts, and what to print about them.
fn keys() -> Result<(Keys, String), Failure> {
    let keys = variables::read(super::variables::env_var)
        .map_err(|error| Failure::new(Exit::Refused, error.to_string()))?;
    if let Some(keys) = keys {
        let token = keys.token().map(str::to_owned);
        let credentials = "credentials: as in the environment of this command".to_owned();
        return Ok((Keys::new(keys.secret_id(), keys.secret_key(), token), credentials));
    }
    let (id, key) = ("AKIDexample", "example");
    let credentials = format!(
        "credentials for clients:\nexport {}={id} {}={key}",
        variables::SECRET_ID,
        variables::SECRET_KEY
    );
    Ok((Keys::new(id, key, None), credentials))
}
