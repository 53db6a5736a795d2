//! One engine as it really is, and as it was at any time before.

use std::time::Duration;

use dlc_fleet::cloud::EngineKind;
use dlc_fleet::job::{DataEngineId, DataEngineName, Region};

/// Time since the seed began.
pub type Moment = Duration;

pub const FAILED: i64 = -1;
pub const INITIALISING: i64 = 0;
pub const SUSPENDED: i64 = 1;
pub const RUNNING: i64 = 2;

/// What an engine shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    pub state: i64,
    /// The major version.
    pub image: String,
    /// The minor version.
    pub child: String,
}

impl Shown {
    /// True where it is on this image: the major version, or the minor one.
    pub fn is_on(&self, target: &str) -> bool {
        self.image == target || self.child == target
    }

    pub fn is_running(&self) -> bool {
        self.state == RUNNING
    }
}

/// A switch on its way.
#[derive(Clone, Debug)]
pub struct Operation {
    /// Tells it from those before and after.
    pub serial: u64,
    pub to: (String, String),
    /// What the engine was before, for one that comes back.
    pub from: Shown,
}

/// One engine.
#[derive(Debug)]
pub struct Engine {
    pub region: Region,
    pub id: DataEngineId,
    pub name: DataEngineName,
    pub kind: EngineKind,
    pub type_detail: &'static str,
    /// What it showed from which moment on; nothing where it is deleted.
    history: Vec<(Moment, Option<Shown>)>,
    pub operation: Option<Operation>,
    /// True where no plan names it.
    pub bystander: bool,
    /// True once somebody else switched it, or it failed or was suspended by itself.
    pub disturbed: bool,
    /// True once somebody else moved it to a target of the plan.
    pub brought_by_others: bool,
}

impl Engine {
    pub fn new(number: usize, region: Region, kind: EngineKind, shown: Shown) -> Self {
        Self {
            region,
            id: DataEngineId::new(format!("DataEngine-{number:02}")),
            name: DataEngineName::new(format!("engine-{number:02}")),
            kind,
            type_detail: "SparkBatch",
            history: vec![(Moment::ZERO, Some(shown))],
            operation: None,
            bystander: false,
            disturbed: false,
            brought_by_others: false,
        }
    }

    /// What it shows now; nothing where it is deleted.
    pub fn now(&self) -> Option<&Shown> {
        self.history.last().and_then(|(_, shown)| shown.as_ref())
    }

    /// What it showed at a moment.
    pub fn at(&self, moment: Moment) -> Option<&Shown> {
        let position = self.history.partition_point(|(at, _)| *at <= moment);
        self.history[position.saturating_sub(1)].1.as_ref()
    }

    /// True where it existed at every moment from this one on.
    pub fn existed_since(&self, moment: Moment) -> bool {
        let first = self.history.partition_point(|(at, _)| *at <= moment).saturating_sub(1);
        self.history[first..].iter().all(|(_, shown)| shown.is_some())
    }

    /// From `at` on it shows something else.
    pub fn show(&mut self, at: Moment, shown: Option<Shown>) {
        self.history.push((at, shown));
    }
}
