//! What the tool has been shown in this run, read by read.

use std::time::Duration;

use dlc_fleet::cloud::EngineKind;
use dlc_fleet::job::Region;

use crate::engine::{INITIALISING, Moment, RUNNING};

/// What one read showed of one engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observation {
    /// Tells reads apart.
    pub read: u64,
    pub asked: Moment,
    pub delivered: Moment,
    /// True where the read was one of several that are taken in together, beside the listings.
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

    /// A record without what it would have to tell.
    fn says_nothing(&self) -> bool {
        self.state.is_none() || self.image.is_none()
    }

    /// Failed, deleted or about to be.
    pub fn is_broken(&self) -> bool {
        self.state.is_some_and(|state| [-1, -2, 3, 4].contains(&state))
    }
}

/// Which engines a read covered, whether it showed them or not.
#[derive(Clone, Debug)]
pub enum Covered {
    Listing(Region, EngineKind),
    Engines(Vec<usize>),
}

/// Everything that was delivered in this run.
#[derive(Debug)]
pub struct Sights {
    by_engine: Vec<Vec<Observation>>,
    reads: Vec<(Moment, Covered)>,
}

impl Sights {
    pub fn new(engines: usize) -> Self {
        Self { by_engine: vec![Vec::new(); engines], reads: Vec::new() }
    }

    /// A new process has seen nothing.
    pub fn forget(&mut self) {
        self.by_engine.iter_mut().for_each(Vec::clear);
        self.reads.clear();
    }

    pub fn see(&mut self, engine: usize, sight: Observation) {
        self.by_engine[engine].push(sight);
    }

    /// A read has come to its end.
    pub fn cover(&mut self, asked: Moment, covered: Covered) {
        self.reads.push((asked, covered));
    }

    pub fn of(&self, engine: usize) -> &[Observation] {
        &self.by_engine[engine]
    }

    /// True where a read that was asked for at `since` or later covered an engine.
    pub fn was_covered_since(&self, engine: usize, place: (&Region, EngineKind), since: Moment) -> bool {
        self.reads.iter().rev().any(|(asked, covered)| {
            *asked >= since
                && match covered {
                    Covered::Listing(region, kind) => (region, *kind) == place,
                    Covered::Engines(engines) => engines.contains(&engine),
                }
        })
    }

    /// True where every record of this read agrees with what is wanted.
    fn agrees(&self, engine: usize, read: u64, wanted: impl Fn(&Observation) -> bool) -> bool {
        self.by_engine[engine].iter().filter(|sight| sight.read == read).all(wanted)
    }

    /// True where two reads at least so far apart showed an engine running its target, and none between them something
    /// else. What is asked for by ids is taken in later than listings that came after it, so it breaks no row of them.
    pub fn prove(&self, engine: usize, target: &str, apart: Duration) -> bool {
        let is_good = |sight: &Observation| sight.is_on(target) && sight.is_running();
        let sights = &self.by_engine[engine];
        let good = |sight: &&Observation| is_good(sight) && self.agrees(engine, sight.read, is_good);
        sights.iter().filter(good).any(|second| {
            let mut is_broken = false;
            let earlier = sights.iter().rev().filter(|first| first.delivered <= second.asked);
            earlier.into_iter().any(|first| {
                is_broken |= !good(&first) && !first.by_id && !first.says_nothing();
                let counts = !is_broken || first.by_id || second.by_id;
                counts && good(&first) && first.delivered + apart <= second.asked
            })
        })
    }
}
