//! What happens to engines without the tool: other clients, failures, suspensions, deletions; and how all of that ends.

use std::time::Duration;

use crate::engine::{FAILED, INITIALISING, RUNNING, SUSPENDED, Shown};
use crate::faults::Kind;
use crate::random::{between, chance, one_of};
use crate::world::{Happening, World};

const SECOND: Duration = Duration::from_secs(1);

/// Something that happens to an engine.
#[derive(Clone, Debug)]
pub enum Deed {
    /// Another client switches it.
    MoveTo(String),
    /// It shows another state.
    Show(i64),
    /// It runs again.
    Resume,
    /// It has failed, and runs again as it was before.
    ComeBack(Shown),
    /// It is deleted.
    Vanish,
}

/// Kinds of fault that are deeds.
const DEEDS: [Kind; 4] = [Kind::ThirdParty, Kind::Flips, Kind::Vanishes, Kind::Suspends];

impl World {
    /// What will happen to engines whatever the tool does.
    pub fn plan_deeds(&mut self) {
        for engine in 0..self.engines.len() {
            for kind in DEEDS {
                if self.strikes(kind) {
                    let at = between(&mut self.random, SECOND / 10, SECOND * 1_000);
                    self.plan_deed(engine, kind, at);
                }
            }
        }
    }

    /// What will happen to an engine because it has just been switched.
    pub fn disturb_later(&mut self, engine: usize) {
        for kind in DEEDS {
            if self.strikes(kind) {
                let at = self.moment + between(&mut self.random, SECOND / 10, SECOND * 120);
                self.plan_deed(engine, kind, at);
            }
        }
    }

    /// Another client switches an engine at about the time of a request.
    pub fn meddle_soon(&mut self, engine: usize) {
        if self.strikes(Kind::ThirdParty) && self.random.bool() {
            let at = self.moment + between(&mut self.random, SECOND / 100, SECOND * 20);
            self.plan_deed(engine, Kind::ThirdParty, at);
        }
    }

    fn plan_deed(&mut self, engine: usize, kind: Kind, at: Duration) {
        let deed = match kind {
            Kind::ThirdParty => Deed::MoveTo(self.image_for_others(engine)),
            Kind::Flips => Deed::Show(INITIALISING),
            Kind::Suspends => Deed::Show(one_of(&mut self.random, &[SUSPENDED, SUSPENDED, FAILED])),
            _ => Deed::Vanish,
        };
        self.schedule(at, Happening::Deed { engine, deed });
    }

    /// Where other clients move an engine: anywhere, to where it was, or to a target of plans.
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

    /// Does it.
    pub fn deed(&mut self, engine: usize, deed: Deed) {
        // a deletion is for ever
        let Some(shown) = self.engines[engine].now().cloned() else { return };
        let moment = self.moment;
        self.trace.say_at(self.moment, "others", || format!("engine {engine}: {deed:?}"));
        match deed {
            Deed::MoveTo(target) if !self.faults.are_over() => {
                let Some(to) = self.versions_of(&target) else { return };
                self.engines[engine].disturbed = true;
                let is_target = self.targets.iter().any(|ours| *ours == to.0 || *ours == to.1);
                self.engines[engine].brought_by_others |= is_target;
                self.begin_switch(engine, to);
            }
            Deed::Show(state) if !self.faults.are_over() => {
                self.engines[engine].disturbed |= state != INITIALISING;
                let flips = state == INITIALISING;
                let longest = if flips { SECOND * 5 } else { SECOND * 300 };
                let back = moment + between(&mut self.random, SECOND / 10, longest);
                self.engines[engine].show(moment, Some(Shown { state, ..shown }));
                self.schedule(back, Happening::Deed { engine, deed: Deed::Resume });
            }
            Deed::Resume if self.engines[engine].operation.is_none() => {
                self.engines[engine].show(moment, Some(Shown { state: RUNNING, ..shown }));
            }
            Deed::ComeBack(earlier) if shown.state == FAILED && self.engines[engine].operation.is_none() => {
                self.engines[engine].show(moment, Some(Shown { state: RUNNING, ..earlier }));
            }
            Deed::Vanish if !self.faults.are_over() => {
                self.leave(engine);
                self.engines[engine].operation = None;
                self.engines[engine].show(moment, None);
            }
            _ => {}
        }
    }

    /// Nothing goes wrong any more, and what hangs comes to an end.
    pub fn heal(&mut self) {
        self.catch_up();
        self.trace.say_at(self.moment, "world", || "is healed".to_owned());
        self.faults.end();
        self.habits.other_clients = None;
        self.habits.takes_while_busy = false;
        for engine in 0..self.engines.len() {
            let Some(shown) = self.engines[engine].now().cloned() else { continue };
            let operation = self.engines[engine].operation.clone();
            match operation {
                // one that is stuck is either done or undone
                Some(operation) if chance(&mut self.random, 0.5) => {
                    self.finished(engine, operation.serial);
                }
                Some(operation) => {
                    self.leave(engine);
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
