//! `dlc-fleet simulate`: serves the simulator alone, until it is stopped.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use super::service::{read_scenario, world};
use super::{print_outcome, signals};
use crate::cli::SimulateArgs;
use crate::cloud::credentials::variables;
use crate::error::Failure;
use crate::exit::Exit;
use crate::settings;
use crate::simulator::{Keys, Scenario, Simulator, World, bind, serve};

/// Engines where neither --engines nor --plan says how many.
const ENGINES: u32 = 200;

pub(super) async fn simulate(args: &SimulateArgs) -> Result<Exit, Failure> {
    let scenario = match &args.scenario {
        Some(path) => read_scenario(path)?,
        None => Scenario::calm(),
    };
    let region = settings::region(Some(&args.region), &super::environment(None))?;
    let world = match (&args.plan, &region) {
        (Some(path), region) => {
            let Some(plan) = super::check::load(path, region.as_ref())? else { return Ok(Exit::Usage) };
            world(&scenario, &plan.jobs, &BTreeMap::new())
        }
        (None, Some(region)) => {
            World::generated(scenario.seed, args.engines.unwrap_or(ENGINES) as usize, region)
        }
        (None, None) => return Err(Failure::new(Exit::Usage, "--region: name one")),
    };
    let address: SocketAddr = args.listen.parse().map_err(|_| {
        let what = format!("--listen: {:?} is no address: write one such as 127.0.0.1:8080", args.listen);
        Failure::new(Exit::Usage, what)
    })?;
    let failed = |error: std::io::Error| Failure::new(Exit::Usage, format!("--listen {address}: {error}"));
    let listener = bind(address).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    let (keys, exports) = keys()?;
    let mut signals = signals::listen().map_err(failed)?;
    print_outcome(&format!("simulating on http://{address}\n{exports}"));
    tokio::select! {
        result = serve(listener, Simulator::new(world, scenario), keys) => match result {
            Ok(never) => match never {},
            Err(error) => Err(failed(error)),
        },
        _ = signals.recv() => Ok(Exit::Success),
    }
}

/// The keys that the simulator accepts: those of the environment, or example keys, with the lines that export them.
fn keys() -> Result<(Keys, String), Failure> {
    let read =
        variables::read(super::env_var).map_err(|error| Failure::new(Exit::Refused, error.to_string()))?;
    if let Some(keys) = read {
        let token = keys.token().map(str::to_owned);
        return Ok((Keys::new(keys.secret_id(), keys.secret_key(), token), String::new()));
    }
    let (id, key) = ("AKIDexample", "example");
    let exports = format!("export {}={id} {}={key}\n", variables::SECRET_ID, variables::SECRET_KEY);
    Ok((Keys::new(id, key, None), exports))
}
