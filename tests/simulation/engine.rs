//! The true state of one engine, now and at any earlier moment.

use std::time::Duration;

use dlc_fleet::cloud::EngineKind;
use dlc_fleet::job::{DataEngineId, DataEngineName, Region};

/// Time since the start of the simulation.
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
    /// True if it is on this image, as the major or the minor version.
    pub fn is_on(&self, target: &str) -> bool {
        self.image == target || self.child == target
    }

    pub fn is_running(&self) -> bool {
        self.state == RUNNING
    }
}

/// A switch in progress.
#[derive(Clone, Debug)]
pub struct Operation {
    /// Identifies the switch.
    pub serial: u64,
    pub to: (String, String),
    /// What the engine showed before, in case it returns to that.
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
    /// What it showed from which moment on; none once it is deleted.
    history: Vec<(Moment, Option<Shown>)>,
    pub operation: Option<Operation>,
    /// True if no plan contains it.
    pub bystander: bool,
    /// True once another client switched it, or it failed or was suspended.
    pub changed_by_others: bool,
    /// True once another client switched it to a target of the plan.
    pub switched_to_target_by_others: bool,
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
            changed_by_others: false,
            switched_to_target_by_others: false,
        }
    }

    /// What it shows now; none if it is deleted.
    pub fn now(&self) -> Option<&Shown> {
        self.history.last().and_then(|(_, shown)| shown.as_ref())
    }

    /// What it showed at a moment.
    pub fn at(&self, moment: Moment) -> Option<&Shown> {
        let position = self.history.partition_point(|(at, _)| *at <= moment);
        self.history[position.saturating_sub(1)].1.as_ref()
    }

    /// True if it existed at every moment from this one on.
    pub fn existed_since(&self, moment: Moment) -> bool {
        let first = self.history.partition_point(|(at, _)| *at <= moment).saturating_sub(1);
        self.history[first..].iter().all(|(_, shown)| shown.is_some())
    }

    /// Sets what it shows from `at` on.
    pub fn show(&mut self, at: Moment, shown: Option<Shown>) {
        self.history.push((at, shown));
    }
}
