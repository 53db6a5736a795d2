//! A simulator of the service, of STS and of the metadata service, for tests and for `--simulate`.
//!
//! A [`Simulator`] is one account: its engines and images are a [`World`], a [`Scenario`] says how the service behaves
//! and what goes wrong, and it records every request, so that a test can check how fast a client was and whether any
//! engine was switched twice. It implements the traits of `cloud` for runs in virtual time, and [`serve`] serves it
//! over HTTP. It supports the requests of this tool; every other request is refused with a documented code. Where the
//! behaviour of the service is not documented, the simulator takes the reading that harms a careless client. It uses
//! the clock of tokio, paused or not, and nothing runs in the background.

mod api;
mod authentication;
mod engine_type;
mod fault;
mod fault_rules;
mod generate;
mod http;
mod in_memory;
mod limit;
mod listing;
mod metadata;
mod random;
mod refusal;
mod request;
mod response;
mod scenario;
mod service;
mod statistics;
mod sts;
mod world;

pub use authentication::Keys;
pub use engine_type::{ENGINE_TYPES, EngineType};
pub use fault::{ResponseFault, SimulatedFault, SwitchFault};
pub use http::{bind, serve};
pub use limit::Window;
pub use metadata::METADATA;
pub use scenario::{
    ActionName, Applied, Engines, FaultRule, Latency, ListingFaults, RunDefaults, Scenario, ScenarioError,
    SwitchTime,
};
pub use service::Simulator;
pub use statistics::{ActionStats, Arrival, OK, Stats};
pub use world::{Engine, Image, ImageChanges, MinorVersions, SwitchEffect, World};
