//! The simulated account: processes each request by fault rules, rate limit and world, under one lock.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::SignedDuration;
use tokio::time::Instant;

use super::fault::{ResponseFault, SimulatedFault, Stage, SwitchFault};
use super::fault_rules::{FaultRules, InjectedFault, Received};
use super::limit::RateLimit;
use super::random::{between, generator, uuid};
use super::refusal::{RATE_LIMIT_EXCEEDED, refuse, unsupported_action};
use super::request::Call;
use super::scenario::{Applied, Scenario};
use super::statistics::{Arrival, OK, Recorder, Stats};
use super::sts::{ASSUME_ROLE_LIMIT, Identity, Session, Sessions};
use super::world::{Image, SwitchEffect, World};
use crate::cloud::sts::ASSUME_ROLE;
use crate::cloud::{EngineListing, EngineRecord, EngineState, ImageRecord, Refusal};
use crate::job::JobKey;

/// Time after which a response that never comes ends in memory: longer than any caller waits.
pub(super) const NEVER: Duration = Duration::from_secs(3_600);

/// One simulated account. Clones share it.
#[derive(Clone, Debug)]
pub struct Simulator {
    scenario: Arc<Scenario>,
    service: Arc<Mutex<Service>>,
}

impl Simulator {
    /// A service with these engines that behaves as the scenario says, from now on.
    pub fn new(mut world: World, scenario: Scenario) -> Self {
        world.minor_versions = scenario.minor_versions;
        let scenario = Arc::new(scenario);
        let service = Service::new(world, Arc::clone(&scenario));
        Self { scenario, service: Arc::new(Mutex::new(service)) }
    }

    /// The scenario.
    pub fn scenario(&self) -> &Scenario {
        &self.scenario
    }

    /// How far the clock of the service is ahead of the clock of this machine.
    pub fn skew(&self) -> SignedDuration {
        self.lock().skew
    }

    /// Sets the clock of the service to this difference to the clock of this machine.
    pub fn step_clock(&self, skew: SignedDuration) {
        self.lock().skew = skew;
    }

    /// What happened so far.
    pub fn stats(&self) -> Stats {
        self.lock().stats()
    }

    /// Every request so far, in the order in which they were processed.
    pub fn arrivals(&self) -> Vec<Arrival> {
        self.lock().recorder.arrivals().to_vec()
    }

    /// Reads or changes the world as it is now.
    pub fn with_world<T>(&self, act: impl FnOnce(&mut World) -> T) -> T {
        let mut service = self.lock();
        service.world.advance(Instant::now());
        act(&mut service.world)
    }

    /// Revokes all temporary keys that were issued so far.
    pub fn end_sessions(&self) {
        self.lock().sessions.revoke_all();
    }

    /// Every secret that was issued so far, by STS and by the metadata service, whether or not the response arrived:
    /// each `SecretId`, secret key and token. Tests check that a client writes none of them.
    pub fn secrets(&self) -> Vec<String> {
        self.lock().sessions.secrets().map(str::to_owned).collect()
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Service> {
        // a panic under the lock has already failed its test; the state is still worth reading
        self.service.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The result of a request that was accepted.
#[derive(Clone, Debug)]
pub(super) enum Payload {
    Switched,
    Engines(EngineListing),
    Engine(Box<EngineRecord>),
    Images(Vec<ImageRecord>),
    Identity(Identity),
    Session(Box<Session>),
}

/// The reply to one request.
#[derive(Clone, Debug)]
pub(super) struct Reply {
    pub(super) request_id: String,
    /// When it is to be sent.
    pub(super) due: Instant,
    pub(super) result: Result<Payload, Refusal>,
    /// How the response is lost or damaged, if it is.
    pub(super) fault: Option<ResponseFault>,
}

/// The state of the account.
#[derive(Debug)]
pub(super) struct Service {
    scenario: Arc<Scenario>,
    world: World,
    skew: SignedDuration,
    limit: RateLimit,
    recorder: Recorder,
    pub(super) rules: FaultRules,
    pub(super) sessions: Sessions,
}

impl Service {
    fn new(world: World, scenario: Arc<Scenario>) -> Self {
        Self {
            world,
            skew: scenario.clock_skew,
            limit: RateLimit::new(scenario.rate_limit_window, Instant::now()),
            recorder: Recorder::default(),
            rules: FaultRules::new(Arc::clone(&scenario)),
            sessions: Sessions::default(),
            scenario,
        }
    }

    /// Processes an authenticated request; `call` is the request or what is wrong with its parameters.
    pub(super) fn process(&mut self, request: Received<'_>, call: Result<Call, Refusal>) -> Reply {
        let Received { at, action, .. } = request;
        self.world.advance(at);
        if self.scenario.unsupported_actions.iter().any(|unsupported| unsupported.0 == action) {
            return self.refuse(request, unsupported_action(action));
        }
        let due = self.due(request);
        if let Some(InjectedFault { fault, .. }) = self.rules.inject(Stage::BeforeLimit, request) {
            let due = if matches!(fault, SimulatedFault::Response(_)) { at } else { due };
            let result = Err(refuse(RATE_LIMIT_EXCEEDED, "a fault rule throttles this request"));
            return self.reply(request, due, result, Some(fault));
        }
        let limit = if action == ASSUME_ROLE { ASSUME_ROLE_LIMIT } else { self.scenario.rate_limit };
        let left = limit.saturating_sub(self.rules.other_requests_per_second(action, at));
        if !self.limit.admit(action, at, left) {
            let message = format!("more than {limit} requests of {action} in one second");
            return self.reply(request, due, Err(refuse(RATE_LIMIT_EXCEEDED, message)), None);
        }
        let injected = self.rules.inject(Stage::Action, request);
        let result = call.and_then(|call| self.carry_out(call, request, due, injected.as_ref()));
        self.reply(request, due, result, injected.map(|injected| injected.fault))
    }

    /// Refuses a request that is not authenticated or that no rule applies to.
    pub(super) fn refuse(&mut self, request: Received<'_>, refusal: Refusal) -> Reply {
        let due = self.due(request);
        self.reply(request, due, Err(refusal), None)
    }

    /// Records a request that is not a request of the API.
    pub(super) fn record(&mut self, at: Instant, name: &str, answered: &str) {
        self.recorder.record(at, name, None, answered);
    }

    /// Counts a request and returns when its reply is to be sent.
    fn due(&mut self, request: Received<'_>) -> Instant {
        let number = self.rules.count(request);
        request.at + self.scenario.latency.of(self.scenario.seed, request, number)
    }

    /// Carries out an action, as far as an injected fault lets it.
    fn carry_out(
        &mut self,
        call: Call,
        request: Received<'_>,
        due: Instant,
        injected: Option<&InjectedFault>,
    ) -> Result<Payload, Refusal> {
        match call {
            Call::Switch(key) => {
                self.world.check_switch(&key)?;
                match injected.map_or(Applied::Before, |injected| injected.applied) {
                    Applied::Never => {}
                    Applied::Before => {
                        let effect = self.effect(&key, request);
                        self.world.apply(&key, effect, request.at);
                    }
                    Applied::After(delay) => {
                        let effect = self.effect(&key, request);
                        self.world.apply_late(key, effect, due + delay);
                    }
                }
                Ok(Payload::Switched)
            }
            Call::Engines(region, query) => {
                let listing = query.listing(&self.world, &region)?;
                let Scenario { listing_faults, seed, .. } = &*self.scenario;
                let is_filtered = query.ids.is_some();
                Ok(Payload::Engines(listing_faults.apply(listing, is_filtered, *seed, self.requests())))
            }
            Call::Engine(region, name) => {
                self.world.record_by_name(&region, &name).map(|record| Payload::Engine(Box::new(record)))
            }
            Call::Images(region, engine_type) => {
                let selected =
                    |image: &&Image| image.region == region && image.engine_type.detail == engine_type;
                Ok(Payload::Images(self.world.images().filter(selected).map(Image::record).collect()))
            }
            Call::Identity(identity) => Ok(Payload::Identity(identity)),
            Call::Role(role) => {
                let session = self.sessions.issue(&role, &self.scenario)?;
                Ok(Payload::Session(Box::new(session)))
            }
        }
    }

    /// What an accepted switch does to its engine.
    fn effect(&mut self, key: &JobKey, request: Received<'_>) -> SwitchEffect {
        let engine = &key.data_engine_id;
        let applied = self.world.engine(&key.region, engine).map_or(0, |engine| engine.applied);
        let mut random = generator(self.scenario.seed, &["switching", engine.as_str()], applied);
        let switching = self.scenario.switching;
        let mut effect = SwitchEffect {
            duration: Some(between(&mut random, switching.min, switching.max)),
            end_state: EngineState::RUNNING,
            image_version_id: Some(key.new_image_version_id.clone()),
            image_changes: self.scenario.image_changes,
        };
        if let Some(InjectedFault { fault: SimulatedFault::Switch(fault), .. }) =
            self.rules.inject(Stage::Switch, request)
        {
            match fault {
                SwitchFault::NeverSwitches => effect.duration = None,
                SwitchFault::EngineFails => {
                    effect.end_state = EngineState::FAILED;
                    effect.image_version_id = None;
                }
                SwitchFault::OtherImage => effect.image_version_id = self.world.other_image(key),
            }
        }
        effect
    }

    /// Completes and records a reply. A fault that is a refusal replaces the result.
    fn reply(
        &mut self,
        request: Received<'_>,
        due: Instant,
        result: Result<Payload, Refusal>,
        fault: Option<SimulatedFault>,
    ) -> Reply {
        let answered = match (&fault, &result) {
            (Some(fault), _) => fault.to_string(),
            (None, Err(refusal)) => refusal.code.clone(),
            (None, Ok(_)) => OK.to_owned(),
        };
        let (result, fault) = match fault {
            Some(SimulatedFault::Refusal(code)) => {
                (Err(refuse(&code, "a fault rule of the simulator refuses this request")), None)
            }
            Some(SimulatedFault::Response(fault)) => (result, Some(fault)),
            Some(SimulatedFault::OtherClient | SimulatedFault::Switch(_)) | None => (result, None),
        };
        self.recorder.record(request.at, request.action, request.engine, &answered);
        let request_id = uuid(&mut generator(self.scenario.seed, &["request"], self.requests()));
        Reply { request_id, due, result, fault }
    }

    /// Requests so far.
    fn requests(&self) -> u64 {
        u64::try_from(self.recorder.arrivals().len()).unwrap_or(u64::MAX)
    }

    fn stats(&mut self) -> Stats {
        self.world.advance(Instant::now());
        let mut stats = Stats { actions: self.recorder.by_action(), ..Stats::default() };
        for engine in self.world.engines() {
            let id = &engine.data_engine_id;
            stats.applied += engine.applied;
            if engine.applied > 0 {
                *stats.applied_by_engine.entry(id.clone()).or_default() += engine.applied;
            }
            if engine.applied > 1 {
                stats.applied_more_than_once.push(id.clone());
            }
            if let Some(image) = &engine.image_version_id {
                stats.engines_by_image.entry(image.clone()).or_default().push(id.clone());
            }
        }
        stats
    }
}
