//! The running process as the world sees it: what it has sent, and what it was allowed to send.

use std::collections::{HashSet, VecDeque};
use std::time::Duration;

use dlc_fleet::job::Outcome;
use dlc_fleet::run::RunOptions;

use crate::engine::Moment;
use crate::plan::{Plan, Row};

/// The starts of one action.
#[derive(Debug, Default)]
pub struct Starts {
    starts: VecDeque<Moment>,
}

impl Starts {
    /// Adds a start; returns the number of starts in the second that ends with it.
    pub fn add(&mut self, now: Moment) -> usize {
        self.starts.retain(|start| *start + Duration::from_secs(1) > now);
        self.starts.push_back(now);
        self.starts.len()
    }
}

/// The stage of a process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    #[default]
    Running,
    /// It reported that nothing more is sent.
    Stopping,
    /// It has ended.
    Over,
}

/// One run of the command.
#[derive(Debug, Default)]
pub struct Process {
    /// Number of the run, counted from one.
    pub run: usize,
    pub started: Moment,
    pub options: RunOptions,
    /// True with `--retry-moved`.
    pub retry_moved: bool,
    pub rows: Vec<Row>,
    /// How long each wave soaks.
    pub soaks: Vec<Duration>,
    pub stage: Stage,
    pub switches: Starts,
    pub listings: Starts,
    pub by_name: Starts,
    pub images: Starts,
    /// Requests that it reported before it stopped.
    pub reported: usize,
    /// Requests that it sent.
    pub sent: usize,
    /// Since when every response was throttling, and how long the process was suspended since then.
    pub throttled_since: Option<(Moment, Duration)>,
    /// True once it reported that its ledger cannot be written.
    pub ledger_lost: bool,
    /// When the latest suspension ended, and the last line of the ledger before it.
    pub suspended_until: Option<(Moment, u64)>,
    /// Lines of the ledger whose request was sent.
    pub intents_used: HashSet<u64>,
    /// How often each row ended.
    pub endings: Vec<u32>,
    /// The outcome of each row, and its code.
    pub codes: Vec<Option<(Outcome, String)>>,
    /// When the latest engine of each wave was switched by this run.
    pub switched: Vec<Option<Moment>>,
    /// Faults that occur at most once in a run.
    pub occurred_once: HashSet<&'static str>,
}

impl Process {
    /// A process that starts.
    pub fn start(run: usize, started: Moment, options: RunOptions, plan: &Plan) -> Self {
        let rows = plan.rows.clone();
        Self {
            run,
            started,
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
