//! Records every read whose response the tool has received in this run.

use std::time::Duration;

use dlc_fleet::cloud::EngineKind;
use dlc_fleet::job::Region;

use crate::engine::{INITIALISING, Moment, RUNNING};

/// What one read showed of one engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observation {
    /// Identifies the read.
    pub read: u64,
    pub started: Moment,
    pub delivered: Moment,
    /// True if the read was a query by id, several of which are processed together.
    pub by_id: bool,
    pub state: Option<i64>,
    pub image: Option<String>,
    pub child: Option<String>,
}

impl Observation {
    pub fn is_on(&self, target: &str) -> bool {
        self.image.as_deref() == Some(target) || self.child.as_deref() == Some(target)
    }

    pub fn is_running(&self) -> bool {
        self.state == Some(RUNNING)
    }

    pub fn is_initialising(&self) -> bool {
        self.state == Some(INITIALISING)
    }

    /// A record without state or image.
    fn is_incomplete(&self) -> bool {
        self.state.is_none() || self.image.is_none()
    }

    /// Failed, deleted or being deleted.
    pub fn is_broken(&self) -> bool {
        self.state.is_some_and(|state| [-1, -2, 3, 4].contains(&state))
    }
}

/// Which engines a read covered, even if it did not show them.
#[derive(Clone, Debug)]
pub enum Covered {
    Listing(Region, EngineKind),
    Engines(Vec<usize>),
}

/// All observations and reads of this run.
#[derive(Debug)]
pub struct ReadLog {
    by_engine: Vec<Vec<Observation>>,
    reads: Vec<(Moment, Covered)>,
}

impl ReadLog {
    pub fn new(engines: usize) -> Self {
        Self { by_engine: vec![Vec::new(); engines], reads: Vec::new() }
    }

    /// Clears the log for a new process.
    pub fn clear_run(&mut self) {
        self.by_engine.iter_mut().for_each(Vec::clear);
        self.reads.clear();
    }

    pub fn add_observation(&mut self, engine: usize, observation: Observation) {
        self.by_engine[engine].push(observation);
    }

    /// Adds a completed read.
    pub fn add_read(&mut self, started: Moment, covered: Covered) {
        self.reads.push((started, covered));
    }

    pub fn of(&self, engine: usize) -> &[Observation] {
        &self.by_engine[engine]
    }

    /// True if a read that started at `since` or later covered an engine.
    pub fn was_covered_since(&self, engine: usize, place: (&Region, EngineKind), since: Moment) -> bool {
        self.reads.iter().rev().any(|(started, covered)| {
            *started >= since
                && match covered {
                    Covered::Listing(region, kind) => (region, *kind) == place,
                    Covered::Engines(engines) => engines.contains(&engine),
                }
        })
    }

    /// True if every record of this read satisfies the condition.
    fn agrees(&self, engine: usize, read: u64, condition: impl Fn(&Observation) -> bool) -> bool {
        self.by_engine[engine].iter().filter(|observation| observation.read == read).all(condition)
    }

    /// True if two reads at least `apart` from each other showed an engine running on its target, and no read between them
    /// showed something else. A query by id is processed later than listings that came after it, so it does not count as a
    /// read between two listings.
    pub fn shows_ready(&self, engine: usize, target: &str, apart: Duration) -> bool {
        let is_ready = |observation: &Observation| observation.is_on(target) && observation.is_running();
        let observations = &self.by_engine[engine];
        let ready = |observation: &&Observation| {
            is_ready(observation) && self.agrees(engine, observation.read, is_ready)
        };
        observations.iter().filter(ready).any(|second| {
            let mut is_broken = false;
            let earlier = observations.iter().rev().filter(|first| first.delivered <= second.started);
            earlier.into_iter().any(|first| {
                is_broken |= !ready(&first) && !first.by_id && !first.is_incomplete();
                let counts = !is_broken || first.by_id || second.by_id;
                counts && ready(&first) && first.delivered + apart <= second.started
            })
        })
    }
}
