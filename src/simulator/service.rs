//! How one call is dealt with: world, weather, limit and book under one lock.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::codes::{TOO_FAST, is_throttle};
use super::fault::{Break, SimulatedFault, Stage, WrongImage};
use super::faults::{FaultSchedule, InjectedFault, latency};
use super::gateway::no_such_action;
use super::image_query::ImageQuery;
use super::limit::Limit;
use super::query::{EngineQuery, EngineRows};
use super::random::{between, dice, uuid};
use super::record::EngineRow;
use super::scenario::{Applied, Scenario};
use super::stats::{Arrival, OK, Recorder, Stats};
use super::sts::{ASSUME_ROLE_LIMIT, Identity, RoleWanted, Session, Sessions};
use super::world::{Course, Image, Objection, World};
use crate::cloud::EngineState;
use crate::cloud::sts::ASSUME_ROLE;
use crate::job::{DataEngineId, DataEngineName, JobKey, Region};

/// What a call wants, its parameters being in order.
#[derive(Clone, Debug)]
pub(super) enum Call {
    /// `SwitchDataEngineImage`
    Switch(JobKey),
    /// `DescribeDataEngines`
    Engines(Region, EngineQuery),
    /// `DescribeDataEngine`
    Engine(Region, DataEngineName),
    /// `DescribeDataEngineImageVersions`
    Images(Region, ImageQuery),
    /// `GetCallerIdentity`
    Identity(Identity),
    /// `AssumeRole` and `AssumeRoleWithWebIdentity`
    Role(RoleWanted),
}

/// What a call gets when it succeeds.
#[derive(Clone, Debug)]
pub(super) enum Payload {
    Switched,
    Engines(EngineRows),
    Engine(EngineRow),
    Images(Vec<Image>),
    Identity(Identity),
    Session(Box<Session>),
}

/// The answer to one call, and how it gets through.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    pub(super) request_id: String,
    /// When it shall be sent.
    pub(super) due: Instant,
    pub(super) reply: Result<Payload, Objection>,
    /// How it fails to get through.
    pub(super) broken: Option<Break>,
}

/// Who calls and when, before anything is known to be in order.
#[derive(Clone, Copy, Debug)]
pub(super) struct Arriving<'a> {
    pub(super) at: Instant,
    pub(super) action: &'a str,
    /// The engine the call names, where it names one.
    pub(super) engine: Option<&'a DataEngineId>,
}

/// Everything that changes.
#[derive(Debug)]
pub(super) struct Service {
    scenario: Arc<Scenario>,
    pub(super) world: World,
    pub(super) faults: FaultSchedule,
    pub(super) sessions: Sessions,
    limit: Limit,
    recorder: Recorder,
}

impl Service {
    pub(super) fn new(world: World, scenario: Arc<Scenario>) -> Self {
        Self {
            world,
            faults: FaultSchedule::new(Arc::clone(&scenario)),
            sessions: Sessions::default(),
            limit: Limit::new(scenario.window, Instant::now()),
            recorder: Recorder::default(),
            scenario,
        }
    }

    /// Deals with a call that passed the gateway; `call` says whether its parameters are in order.
    pub(super) fn receive(&mut self, arriving: Arriving<'_>, call: Result<Call, Objection>) -> Answer {
        let Arriving { at, action, engine } = arriving;
        self.world.advance(at);
        if self.scenario.unsupported_actions.iter().any(|lacking| lacking == action) {
            return self.turn_away(arriving, no_such_action(action));
        }
        let due = self.due(arriving);
        if let Some(inject) = self.faults.inject(Stage::Door, action, engine, at) {
            let due = if matches!(inject.fault, SimulatedFault::Broken(_)) { at } else { due };
            let reply = Err(Objection::new(TOO_FAST, "the weather keeps this call out"));
            return self.answer(arriving, due, reply, Some(inject.fault));
        }
        let limit = if action == ASSUME_ROLE { ASSUME_ROLE_LIMIT } else { self.scenario.limit };
        let most = limit.saturating_sub(self.faults.taken(action, at));
        if !self.limit.admit(action, at, most) {
            let message = format!("more than {limit} calls of {action} in one second");
            return self.answer(arriving, due, Err(Objection::new(TOO_FAST, message)), None);
        }
        let inject = self.faults.inject(Stage::Action, action, engine, at);
        let reply = call.and_then(|call| self.act(call, arriving, due, inject.as_ref()));
        self.answer(arriving, due, reply, inject.map(|inject| inject.fault))
    }

    /// Answers a call that did not pass the gateway.
    pub(super) fn turn_away(&mut self, arriving: Arriving<'_>, objection: Objection) -> Answer {
        let due = self.due(arriving);
        self.answer(arriving, due, Err(objection), None)
    }

    /// Counts the call and tells when its answer shall be sent.
    fn due(&mut self, arriving: Arriving<'_>) -> Instant {
        let Arriving { at, action, engine } = arriving;
        let nth = self.faults.notice(action, engine, at);
        at + latency(self.scenario.seed, self.scenario.latency, action, engine, nth)
    }

    /// Does what the call wants, as far as the strike lets it.
    fn act(
        &mut self,
        call: Call,
        arriving: Arriving<'_>,
        due: Instant,
        inject: Option<&InjectedFault>,
    ) -> Result<Payload, Objection> {
        match call {
            Call::Switch(key) => {
                self.world.judge(&key)?;
                let applied = inject.map_or(Applied::Before, |inject| inject.applied);
                if applied != Applied::Never {
                    let course = self.course(&key, arriving);
                    match applied {
                        Applied::Late(later) => self.world.apply_late(key, course, due + later),
                        Applied::Before | Applied::Never => self.world.apply(&key, course, arriving.at),
                    }
                }
                Ok(Payload::Switched)
            }
            Call::Engines(region, query) => {
                let answer = query.listing(&self.world, &region)?;
                let nth = u64::try_from(self.recorder.arrivals().len()).unwrap_or(u64::MAX);
                let Scenario { listings, seed, .. } = &*self.scenario;
                Ok(Payload::Engines(listings.apply(answer, !query.filters.is_empty(), *seed, nth)))
            }
            Call::Engine(region, name) => self.world.show(&region, &name).map(Payload::Engine),
            Call::Images(region, query) => query.listing(&self.world, &region).map(Payload::Images),
            Call::Identity(identity) => Ok(Payload::Identity(identity)),
            Call::Role(wanted) => {
                let session = self.sessions.hand_out(&wanted, &self.scenario)?;
                Ok(Payload::Session(Box::new(session)))
            }
        }
    }

    /// How a switch that is taken goes on.
    fn course(&mut self, key: &JobKey, arriving: Arriving<'_>) -> Course {
        let applied = self.world.engine(&key.region, &key.data_engine_id).map_or(0, |engine| engine.applied);
        let mut dice = dice(self.scenario.seed, &["switching", key.data_engine_id.as_str()], applied);
        let (least, most) = self.scenario.switching;
        let mut course = Course {
            lasts: Some(between(&mut dice, least, most)),
            ends: EngineState::RUNNING,
            image_version_id: Some(key.new_image_version_id.clone()),
            image_changes: self.scenario.image_changes,
        };
        let inject = self.faults.inject(Stage::Taken, arriving.action, arriving.engine, arriving.at);
        match inject.map(|inject| inject.fault) {
            Some(SimulatedFault::Derailed(WrongImage::NeverSwitches)) => course.lasts = None,
            Some(SimulatedFault::Derailed(WrongImage::EngineFails)) => {
                course.ends = EngineState::FAILED;
                course.image_version_id = None;
            }
            Some(SimulatedFault::Derailed(WrongImage::OtherImage)) => {
                course.image_version_id = self.world.third_image(key);
            }
            Some(SimulatedFault::Refused(_) | SimulatedFault::Broken(_) | SimulatedFault::OtherClient)
            | None => {}
        }
        course
    }

    /// Puts a call into the book and finishes its answer. A fate that refuses overrides the reply.
    fn answer(
        &mut self,
        arriving: Arriving<'_>,
        due: Instant,
        reply: Result<Payload, Objection>,
        fault: Option<SimulatedFault>,
    ) -> Answer {
        let (reply, broken) = match fault {
            Some(SimulatedFault::Refused(code)) => {
                let what = if is_throttle(&code) { "too many calls" } else { "bad weather" };
                (Err(Objection::new(&code, format!("{what}, says the simulator"))), None)
            }
            Some(SimulatedFault::Broken(how)) => (reply, Some(how)),
            Some(SimulatedFault::OtherClient | SimulatedFault::Derailed(_)) | None => (reply, None),
        };
        let answered = match (&broken, &reply) {
            (Some(how), _) => how.to_string(),
            (None, Err(objection)) => objection.code.clone(),
            (None, Ok(_)) => OK.to_owned(),
        };
        self.recorder.note(arriving.at, arriving.action, arriving.engine, &answered);
        let number = u64::try_from(self.recorder.arrivals().len()).unwrap_or(u64::MAX);
        let request_id = uuid(&mut dice(self.scenario.seed, &["request"], number));
        Answer { request_id, due, reply, broken }
    }

    /// Puts something into the book that is no call of the API.
    pub(super) fn note(&mut self, at: Instant, what: &str, answered: &str) {
        self.recorder.note(at, what, None, answered);
    }

    pub(super) fn arrivals(&self) -> &[Arrival] {
        self.recorder.arrivals()
    }

    pub(super) fn stats(&mut self) -> Stats {
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

/// How long a call waits for an answer that never comes: longer than any caller's patience.
pub(super) const FOR_EVER: Duration = Duration::from_secs(3_600);
