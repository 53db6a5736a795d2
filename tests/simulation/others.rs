//! Events of engines that the tool does not cause: other clients, failures, suspensions, deletions; and the end of faults.

use std::time::Duration;

use crate::engine::{FAILED, INITIALISING, RUNNING, SUSPENDED, Shown};
use crate::faults::Kind;
use crate::random::{between, chance, one_of};
use crate::world::{World, WorldEvent};

const SECOND: Duration = Duration::from_secs(1);

/// An event of an engine that the tool does not cause.
#[derive(Clone, Debug)]
pub enum EngineEvent {
    /// Another client switches it.
    MoveTo(String),
    /// It shows another state.
    Show(i64),
    /// It runs again.
    Resume,
    /// It has failed, and runs again on its earlier image.
    Recover(Shown),
    /// It is deleted.
    Delete,
}

/// Kinds of fault that are engine events.
const EVENT_KINDS: [Kind; 4] = [Kind::ThirdParty, Kind::Flips, Kind::Vanishes, Kind::Suspends];

impl World {
    /// Schedules events that do not depend on the tool.
    pub fn plan_events(&mut self) {
        for engine in 0..self.engines.len() {
            for kind in EVENT_KINDS {
                if self.occurs(kind) {
                    let at = between(&mut self.random, SECOND / 10, SECOND * 1_000);
                    self.plan_event(engine, kind, at);
                }
            }
        }
    }

    /// Schedules events of an engine that has just been switched.
    pub fn plan_events_after_switch(&mut self, engine: usize) {
        for kind in EVENT_KINDS {
            if self.occurs(kind) {
                let at = self.moment + between(&mut self.random, SECOND / 10, SECOND * 120);
                self.plan_event(engine, kind, at);
            }
        }
    }

    /// Schedules a switch by another client at about the time of a request.
    pub fn plan_switch_by_other_client(&mut self, engine: usize) {
        if self.occurs(Kind::ThirdParty) && self.random.bool() {
            let at = self.moment + between(&mut self.random, SECOND / 100, SECOND * 20);
            self.plan_event(engine, Kind::ThirdParty, at);
        }
    }

    fn plan_event(&mut self, engine: usize, kind: Kind, at: Duration) {
        let event = match kind {
            Kind::ThirdParty => EngineEvent::MoveTo(self.image_for_others(engine)),
            Kind::Flips => EngineEvent::Show(INITIALISING),
            Kind::Suspends => EngineEvent::Show(one_of(&mut self.random, &[SUSPENDED, SUSPENDED, FAILED])),
            _ => EngineEvent::Delete,
        };
        self.schedule(at, WorldEvent::Engine { engine, event });
    }

    /// Draws the image to which another client switches an engine: any image, the current one, or a target of plans.
    fn image_for_others(&mut self, engine: usize) -> String {
        match self.random.u8(..4) {
            0 => one_of(&mut self.random, &self.targets.iter().collect::<Vec<_>>()).clone(),
            1 => self.image_of(engine).unwrap_or_default(),
            _ => {
                let number = self.random.usize(..self.images.len());
                self.images[number].id.clone()
            }
        }
    }

    /// Applies an event.
    pub fn apply_event(&mut self, engine: usize, event: EngineEvent) {
        // a deleted engine stays deleted
        let Some(shown) = self.engines[engine].now().cloned() else { return };
        let moment = self.moment;
        self.trace.say_at(self.moment, "others", || format!("engine {engine}: {event:?}"));
        match event {
            EngineEvent::MoveTo(target) if !self.faults.have_ended() => {
                let Some(to) = self.versions_of(&target) else { return };
                self.engines[engine].changed_by_others = true;
                let is_target = self.targets.iter().any(|target| *target == to.0 || *target == to.1);
                self.engines[engine].switched_to_target_by_others |= is_target;
                self.start_switch(engine, to);
            }
            EngineEvent::Show(state) if !self.faults.have_ended() => {
                self.engines[engine].changed_by_others |= state != INITIALISING;
                let is_short = state == INITIALISING;
                let longest = if is_short { SECOND * 5 } else { SECOND * 300 };
                let back = moment + between(&mut self.random, SECOND / 10, longest);
                self.engines[engine].show(moment, Some(Shown { state, ..shown }));
                self.schedule(back, WorldEvent::Engine { engine, event: EngineEvent::Resume });
            }
            EngineEvent::Resume if self.engines[engine].operation.is_none() => {
                self.engines[engine].show(moment, Some(Shown { state: RUNNING, ..shown }));
            }
            EngineEvent::Recover(earlier)
                if shown.state == FAILED && self.engines[engine].operation.is_none() =>
            {
                self.engines[engine].show(moment, Some(Shown { state: RUNNING, ..earlier }));
            }
            EngineEvent::Delete if !self.faults.have_ended() => {
                self.replace_requests(engine);
                self.engines[engine].operation = None;
                self.engines[engine].show(moment, None);
            }
            _ => {}
        }
    }

    /// Ends all faults, and finishes or reverts every switch in progress.
    pub fn end_faults(&mut self) {
        self.catch_up();
        self.trace.say_at(self.moment, "world", || "faults end".to_owned());
        self.faults.end();
        self.behavior.other_clients = None;
        self.behavior.accepts_while_busy = false;
        for engine in 0..self.engines.len() {
            let Some(shown) = self.engines[engine].now().cloned() else { continue };
            let operation = self.engines[engine].operation.clone();
            match operation {
                // a switch that is stuck is either finished or reverted
                Some(operation) if chance(&mut self.random, 0.5) => {
                    self.finished(engine, operation.serial);
                }
                Some(operation) => {
                    self.replace_requests(engine);
                    self.engines[engine].operation = None;
                    self.engines[engine].show(self.moment, Some(Shown { state: RUNNING, ..operation.from }));
                }
                None if shown.state != RUNNING => {
                    self.engines[engine].show(self.moment, Some(Shown { state: RUNNING, ..shown }));
                }
                None => {}
            }
        }
    }
}
