//! The simulator: a seeded world and its weather behind the traits of `cloud`, and the same behind HTTP.
//!
//! One [`Simulator`] is one account of the service, STS and the metadata service of its machines included. Its engines come from [`World`], what goes wrong from
//! [`Scenario`], and it remembers every call, so a test can ask afterwards how fast a client was and whether any
//! engine was switched twice. It runs on tokio's clock, paused or not, and nothing runs in the background. Where
//! the behaviour of the service is not documented, the simulator takes the reading that harms a careless client.

mod answer;
mod codes;
mod engine_type;
mod fault;
mod faults;
mod filter;
#[cfg(test)]
mod foreign_tests;
mod gateway;
mod image_query;
mod limit;
mod listing_faults;
mod metadata;
mod populate;
mod query;
mod random;
mod record;
mod scenario;
mod serve;
mod service;
mod stats;
mod sts;
mod sts_wire;
mod values;
mod wire;
mod world;
mod yaml;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::SignedDuration;
use tokio::time::{Instant, sleep, sleep_until};

pub use engine_type::{EngineType, FAMILIES};
pub use fault::{Break, SimulatedFault, WrongImage};
pub use gateway::Keys;
pub use limit::Window;
pub use metadata::METADATA;
pub use scenario::{Applied, Engines, FastClock, FaultRule, Latency, ListingFaults, Scenario, ScenarioError};
pub use serve::{bind, serve};
pub use stats::{ActionStats, Arrival, OK, Stats};
pub use world::{Course, Engine, Image, ImageChanges, MinorVersions, Objection, World};

use crate::cloud::{
    CallError, Cloud, EngineKind, EngineListing, EnginePage, EngineRecord, Fleet, ImageRecord, LIST_ENGINES,
    LIST_IMAGES, MAX_PAGE_SIZE, Receipt, Refusal, SHOW_ENGINE, SWITCH,
};
use crate::job::{DataEngineId, DataEngineName, JobKey, Region};
use filter::Filter;
use image_query::ImageQuery;
use query::EngineQuery;
use service::{Answer, Arriving, Call, FOR_EVER, Payload, Service};

/// One simulated account. Clones share it.
#[derive(Clone, Debug)]
pub struct Simulator {
    scenario: Arc<Scenario>,
    service: Arc<Mutex<Service>>,
    skew: Arc<Mutex<SignedDuration>>,
}

impl Simulator {
    /// A world in which the scenario's weather reigns from now on.
    pub fn new(mut world: World, scenario: Scenario) -> Self {
        world.minor_versions = scenario.minor_versions;
        let scenario = Arc::new(scenario);
        let service = Service::new(world, Arc::clone(&scenario));
        let skew = Arc::new(Mutex::new(scenario.skew));
        Self { scenario, service: Arc::new(Mutex::new(service)), skew }
    }

    /// The scenario in force.
    pub fn scenario(&self) -> &Scenario {
        &self.scenario
    }

    /// How far the service's clock is ahead of this machine's.
    pub fn skew(&self) -> SignedDuration {
        *self.skew.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Steps the service's clock; or, as far as a client can tell, the client's the other way.
    pub fn step_clock(&self, skew: SignedDuration) {
        *self.skew.lock().unwrap_or_else(PoisonError::into_inner) = skew;
    }

    /// What happened so far.
    pub fn stats(&self) -> Stats {
        self.lock().stats()
    }

    /// Every call so far, in the order in which they were dealt with.
    pub fn arrivals(&self) -> Vec<Arrival> {
        self.lock().arrivals().to_vec()
    }

    /// Looks at the world as it is now, or interferes with it.
    pub fn with_world<T>(&self, act: impl FnOnce(&mut World) -> T) -> T {
        let mut service = self.lock();
        service.world.advance(Instant::now());
        act(&mut service.world)
    }

    /// Accepts no temporary keys any more that were handed out so far.
    pub fn end_sessions(&self) {
        self.lock().sessions.end_all();
    }

    /// Every secret that was made so far, by STS and by the metadata service, whether or not its answer arrived: each
    /// `SecretId`, secret key and token. A test looks for them wherever a client may have left them.
    pub fn secrets(&self) -> Vec<String> {
        self.lock().sessions.secrets().map(str::to_owned).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Service> {
        // a panic under the lock is a failed test already; what it left is still worth reading
        self.service.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends a call in memory, waits as long as the answer takes, and lets it through or not.
    async fn call(&self, action: &str, call: Call) -> Result<(Payload, String), CallError> {
        let engine = match &call {
            Call::Switch(key) => Some(key.data_engine_id.clone()),
            _ => None,
        };
        let arriving = Arriving { at: Instant::now(), action, engine: engine.as_ref() };
        let answer = self.lock().receive(arriving, Ok(call));
        sleep_until(answer.due).await;
        if answer.broken == Some(Break::Hang) {
            sleep(FOR_EVER).await;
        }
        heard(answer)
    }

    async fn list(&self, region: &Region, query: EngineQuery) -> Result<EngineListing, CallError> {
        match self.call(LIST_ENGINES, Call::Engines(region.clone(), query)).await? {
            (Payload::Engines(rows), _) => Ok(rows.into_listing()),
            _ => Ok(EngineListing::default()),
        }
    }
}

/// What a client makes of an answer.
fn heard(answer: Answer) -> Result<(Payload, String), CallError> {
    let Answer { request_id, reply, broken, .. } = answer;
    match broken {
        Some(Break::NoConnection) => {
            Err(CallError::NotSent { cause: "the simulator accepts no connection".to_owned() })
        }
        Some(how) => {
            let http_status = how.http_status();
            Err(CallError::NoResponse {
                cause: format!("the simulator's answer was lost: {how}"),
                http_status,
            })
        }
        None => match reply {
            Ok(payload) => Ok((payload, request_id)),
            Err(Objection { code, message }) => {
                Err(CallError::Refused(Refusal { code, message, request_id: Some(request_id) }))
            }
        },
    }
}

impl Fleet for Simulator {
    async fn engines(&self, region: &Region, page: EnginePage) -> Result<EngineListing, CallError> {
        self.list(region, EngineQuery::page(page)).await
    }

    async fn engines_by_id(
        &self,
        region: &Region,
        kind: EngineKind,
        ids: &[DataEngineId],
    ) -> Result<EngineListing, CallError> {
        let page = EnginePage { kind, offset: 0, limit: MAX_PAGE_SIZE };
        self.list(region, EngineQuery { filters: vec![Filter::any_of(ids)], ..EngineQuery::page(page) }).await
    }

    async fn engine_by_name(
        &self,
        region: &Region,
        name: &DataEngineName,
    ) -> Result<Option<EngineRecord>, CallError> {
        match self.call(SHOW_ENGINE, Call::Engine(region.clone(), name.clone())).await? {
            (Payload::Engine(row), _) => Ok(Some(row.record)),
            _ => Ok(None),
        }
    }

    async fn images(&self, region: &Region, engine_type: &str) -> Result<Vec<ImageRecord>, CallError> {
        let query = ImageQuery { engine_type: engine_type.to_owned(), sort: None, ascending: false };
        match self.call(LIST_IMAGES, Call::Images(region.clone(), query)).await? {
            (Payload::Images(images), _) => Ok(images.iter().map(Image::record).collect()),
            _ => Ok(Vec::new()),
        }
    }
}

impl Cloud for Simulator {
    async fn switch(&self, key: &JobKey) -> Result<Receipt, CallError> {
        let (_, request_id) = self.call(SWITCH, Call::Switch(key.clone())).await?;
        Ok(Receipt { request_id, problem: None })
    }
}

#[cfg(test)]
mod tests;
