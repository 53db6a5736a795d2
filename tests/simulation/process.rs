//! The process that runs now, as the world sees it: what it has sent, and what it had leave to send.

use std::collections::{HashSet, VecDeque};
use std::time::Duration;

use dlc_fleet::job::Outcome;
use dlc_fleet::run::RunOptions;

use crate::engine::Moment;
use crate::plan::{Plan, Row};

/// Starts of one action.
#[derive(Debug, Default)]
pub struct Pace {
    starts: VecDeque<Moment>,
}

impl Pace {
    /// One more start; returns how many there were in the second that ends with it.
    pub fn start(&mut self, now: Moment) -> usize {
        self.starts.retain(|start| *start + Duration::from_secs(1) > now);
        self.starts.push_back(now);
        self.starts.len()
    }
}

/// How far a process is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    #[default]
    Running,
    /// It said that nothing more is sent.
    Stopping,
    /// It is gone.
    Over,
}

/// One run of the command.
#[derive(Debug, Default)]
pub struct Process {
    /// Number of the run, counted from one.
    pub run: usize,
    pub began: Moment,
    pub options: RunOptions,
    /// True with `--retry-moved`.
    pub retry_moved: bool,
    pub rows: Vec<Row>,
    /// How long each wave soaks.
    pub soaks: Vec<Duration>,
    pub stage: Stage,
    pub switches: Pace,
    pub listings: Pace,
    pub namings: Pace,
    pub images: Pace,
    /// Requests that it told of before it stopped.
    pub told: usize,
    /// Requests that left it.
    pub left: usize,
    /// Since when every answer was that requests come too fast, and how long the process was not run since then.
    pub throttled_since: Option<(Moment, Duration)>,
    /// True once it said that its ledger cannot be written.
    pub ledger_lost: bool,
    /// When the latest suspension was over, and the last line of the ledger before it.
    pub stood_still_until: Option<(Moment, u64)>,
    /// Lines of the ledger whose request has left.
    pub intents_used: HashSet<u64>,
    /// How often each row ended.
    pub endings: Vec<u32>,
    /// How each row ended, and the code that says why.
    pub codes: Vec<Option<(Outcome, String)>>,
    /// When the latest engine of each wave was switched by this run.
    pub switched: Vec<Option<Moment>>,
    /// Faults of which one is enough in a run.
    pub struck_once: HashSet<&'static str>,
}

impl Process {
    /// A process that begins.
    pub fn begin(run: usize, began: Moment, options: RunOptions, plan: &Plan) -> Self {
        let rows = plan.rows.clone();
        Self {
            run,
            began,
            options,
            soaks: plan.waves.iter().map(|wave| wave.soak).collect(),
            endings: vec![0; rows.len()],
            codes: vec![None; rows.len()],
            switched: vec![None; plan.waves.len()],
            rows,
            ..Self::default()
        }
    }

    /// Its name in the ledger.
    pub fn name(&self) -> String {
        format!("run-{:03}", self.run)
    }
}
