//! Runs the library in virtual time for tests: a plan, a simulated cloud, a disk, signals and a listener.

use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use dlc_fleet::cloud::Cloud;
use dlc_fleet::event::{Event, Listener, RunHeader};
use dlc_fleet::job::{DataEngineId, Decision, ImageVersionId, Job, JobKey, Outcome, Region, Wave};
use dlc_fleet::ledger::{self, Check, Disk, History, Line, RunStarted, Standing, Writer, pasts};
use dlc_fleet::run::{Ended, Reader, RunOptions, Signal, Start, execute};
use dlc_fleet::simulator::{Scenario, Simulator, World};
use dlc_fleet::tally::Tally;
use jiff::SignedDuration;
use tokio::sync::mpsc;
use tokio::time::Instant;

/// A disk in memory, which can fail from a given line on.
#[derive(Clone, Default)]
pub struct Memo {
    pub lines: Arc<Mutex<Vec<String>>>,
    pub fails_after: Option<usize>,
    pub delay: Duration,
}

impl Disk for Memo {
    fn append(&mut self, line: &[u8]) -> io::Result<()> {
        let mut lines = self.lines.lock().expect("no panic");
        if self.fails_after.is_some_and(|limit| lines.len() >= limit) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        lines.push(String::from_utf8_lossy(line).into_owned());
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        std::thread::sleep(self.delay);
        Ok(())
    }
}

/// The events of a run, and when they happened.
#[derive(Clone)]
struct RecordedEvents {
    tally: Tally,
    events: Vec<Event>,
    moments: Vec<Instant>,
}

#[derive(Clone)]
struct Heard(Arc<Mutex<RecordedEvents>>);

impl Listener for Heard {
    fn on_event(&mut self, _: Duration, event: &Event) {
        let mut recorded = self.0.lock().expect("no panic");
        recorded.tally.take(event);
        recorded.events.push(event.clone());
        recorded.moments.push(Instant::now());
    }
}

/// The result of a run.
pub struct RunResult {
    pub simulator: Simulator,
    pub tally: Tally,
    pub events: Vec<Event>,
    /// When each event happened.
    pub moments: Vec<Instant>,
    pub ended: Ended,
    pub ledger: Vec<String>,
    memory_before: History,
    /// The decision for each row before the first write.
    pub decisions: Vec<Decision>,
}

impl RunResult {
    pub fn count(&self, outcome: Outcome) -> usize {
        self.tally.outcomes().of(outcome)
    }

    pub fn applied_once(&self) -> bool {
        self.simulator.stats().applied_more_than_once.is_empty()
    }

    /// The moments of the events that match.
    pub fn when(&self, matches: impl Fn(&Event) -> bool) -> Vec<Instant> {
        let result = self.events.iter().zip(&self.moments);
        result.filter(|(event, _)| matches(event)).map(|(_, moment)| *moment).collect()
    }

    /// The history that the next run reads from the ledger.
    pub fn history(&self) -> History {
        let mut history = self.memory_before.clone();
        for line in &self.ledger {
            history.apply(&Line::from_json(line).expect("a line")).expect("a legal line");
        }
        history
    }

    pub fn lines(&self, kind: &str) -> usize {
        let kind = format!("\"kind\":\"{kind}\"");
        self.ledger.iter().filter(|line| line.contains(&kind)).count()
    }
}

/// A plan of `count` engines over `waves` waves of equal size.
pub fn jobs(count: usize, waves: usize) -> Vec<Job> {
    (0..count)
        .map(|number| Job {
            key: JobKey {
                region: Region::new("ap-guangzhou"),
                data_engine_id: DataEngineId::new(format!("DataEngine-{number:04}")),
                new_image_version_id: ImageVersionId::new("image-new"),
            },
            wave: number * waves / count,
            data_engine_name: None,
            expected_image_version_id: None,
            note: None,
        })
        .collect()
}

pub type Meddling = (Duration, fn(&mut World));

/// The setup of one run.
pub struct Staging {
    pub jobs: Vec<Job>,
    pub scenario: Scenario,
    pub options: RunOptions,
    pub disk: Memo,
    /// Signals, and when they arrive.
    pub signals: Vec<(Duration, Signal)>,
    change_world: Box<dyn FnOnce(&mut World) + Send>,
    /// Changes of the world by other clients, and when they happen.
    pub meddle: Option<Meddling>,
    /// Number of the last rows whose engines the world does not have.
    pub missing: usize,
    /// Soak time of each wave; further waves do not soak.
    pub soaks: Vec<Duration>,
    /// The ledger of earlier runs.
    pub history: History,
    /// The wall-clock time, counted from the latest step of a job in that ledger.
    pub passed: SignedDuration,
}

impl Staging {
    pub fn new(jobs: Vec<Job>, scenario: &str) -> Self {
        let scenario = Scenario::parse(scenario, "test").expect("a scenario");
        let options = RunOptions::default();
        Self {
            jobs,
            scenario,
            options,
            disk: Memo::default(),
            signals: vec![],
            change_world: Box::new(|_| {}),
            meddle: None,
            missing: 0,
            soaks: vec![],
            history: History::default(),
            passed: SignedDuration::ZERO,
        }
    }

    /// Changes the world before the run.
    pub fn change_world(&mut self, change: impl FnOnce(&mut World) + Send + 'static) {
        self.change_world = Box::new(change);
    }

    pub async fn run(self) -> RunResult {
        self.run_in(|simulator| simulator).await
    }

    /// Runs in a cloud that wraps the simulator.
    pub async fn run_in<C: Cloud>(mut self, make: impl FnOnce(Simulator) -> C) -> RunResult {
        let rows: Vec<(JobKey, bool)> = self
            .jobs
            .iter()
            .map(|job| (job.key.clone(), self.is_switched(&job.key)))
            .take(self.jobs.len() - self.missing)
            .collect();
        let world = World::holding(self.scenario.seed, &rows);
        let simulator = Simulator::new(world, self.scenario.clone());
        simulator.with_world(std::mem::replace(&mut self.change_world, Box::new(|_| {})));
        let cloud = Arc::new(make(simulator.clone()));
        let reader = Reader::new(Arc::clone(&cloud), self.options);
        let pasts = pasts(&self.jobs, &self.history);
        let preflight = reader.preflight(&self.jobs, &pasts, false).await.expect("a preflight");
        let decisions = preflight.decisions.clone();
        let header = Arc::new(self.header());
        let soaks_left = self.soaks_left(&header);
        let story = RecordedEvents { tally: Tally::new(&header), events: vec![], moments: vec![] };
        let recorded = Heard(Arc::new(Mutex::new(story)));
        let (sender, signals) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            let begun = Instant::now();
            for (at, signal) in self.signals {
                tokio::time::sleep_until(begun + at).await;
                let _ = sender.send(signal);
            }
            std::future::pending::<()>().await;
        });
        if let Some((at, act)) = self.meddle {
            let simulator = simulator.clone();
            tokio::spawn(async move {
                tokio::time::sleep(at).await;
                simulator.with_world(act);
            });
        }
        let memory_before = self.history.clone();
        let disk = Box::new(self.disk.clone());
        let path = Path::new("ledger");
        let writer = Writer::new(disk, path, &header.run_id, self.history, Check::default());
        let listener = Box::new(recorded.clone());
        let (run_line, options) = (run_line(header.parent_run_id.clone()), self.options);
        let start = Start {
            cloud,
            reader,
            header,
            run_line,
            pasts,
            soaks_left,
            preflight,
            writer,
            options,
            listener,
            signals,
        };
        let ended = execute(start).await;
        let RecordedEvents { tally, events, moments } = recorded.0.lock().expect("no panic").clone();
        let ledger = self.disk.lines.lock().expect("no panic").clone();
        RunResult { simulator, tally, events, moments, ended, ledger, memory_before, decisions }
    }

    fn is_switched(&self, key: &JobKey) -> bool {
        self.history.jobs.get(key).is_some_and(|job| job.record.standing == Standing::Switched)
    }

    fn soaks_left(&self, header: &RunHeader) -> Vec<Option<Duration>> {
        let latest = self.history.jobs.values().map(|job| job.at).max().unwrap_or_default();
        let now = latest + self.passed;
        ledger::remaining_soaks(&self.jobs, &header.waves, &self.history, self.options.verifies(), now)
    }

    fn header(&self) -> RunHeader {
        let waves = self.jobs.iter().map(|job| job.wave).max().unwrap_or(0) + 1;
        let soak = |wave: usize| self.soaks.get(wave).copied().unwrap_or_default();
        let wave = |wave| Wave { soak: soak(wave), ..Wave::named(format!("wave-{wave}")) };
        RunHeader {
            run_id: format!("run-{}", self.history.runs.len() + 1),
            parent_run_id: self.history.latest_run.as_ref().map(|(run, _)| run.clone()),
            plan: "plan.csv".into(),
            ledger: "plan.ledger.jsonl".into(),
            endpoint: "simulator".into(),
            rate: self.options.rate.per_second(),
            max_attempts: self.options.max_attempts,
            resend_after: self.options.resend_after,
            min_ready: self.options.verifies().then_some(self.options.min_ready),
            wait_timeout: self.options.wait_timeout,
            jobs: self.jobs.clone().into(),
            waves: (0..waves).map(wave).collect(),
        }
    }
}

fn run_line(parent_run: Option<String>) -> RunStarted {
    RunStarted {
        schema: ledger::SCHEMA.into(),
        parent_run,
        tool_version: "0".into(),
        plan: "plan.csv".into(),
        plan_digest: "0".into(),
        regions: vec!["ap-guangzhou".into()],
        endpoint: "simulator".into(),
        simulated: true,
        rate: 20,
    }
}
