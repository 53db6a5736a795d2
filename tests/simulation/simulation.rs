//! Runs one seed: the same command several times with faults, then without faults until every row is final.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use dlc_fleet::event::StopReason;
use dlc_fleet::job::Outcome;
use dlc_fleet::run::{RunOptions, Signal};
use fastrand::Rng;
use tokio::sync::mpsc;

use crate::clock::WallClock;
use crate::command::{Ended, Setup, command};
use crate::completion::{Completion, completion};
use crate::crash::{End, Interruptions, drive};
use crate::disk::{DiskFaults, LedgerDisk};
use crate::faults::{Faults, Kind, Without};
use crate::options;
use crate::oracle::{IgnoredRules, Rule, Violation};
use crate::plan::Plan;
use crate::process::{Process, Stage};
use crate::random::{between, chance, stream};
use crate::service::Service;
use crate::trace::Trace;
use crate::world::{Figures, World};

const SECOND: Duration = Duration::from_secs(1);

/// Longest time that a run may take, in virtual time.
const LONGEST_RUN: Duration = Duration::from_secs(12 * 3_600);

/// Polls after which a run counts as endless.
const MAX_POLLS: u64 = 2_000_000;

/// Yields that let aborted tasks end: reads spawn tasks that spawn tasks.
const FINAL_YIELDS: usize = 4;

/// Runs without faults after which every row must be final.
const FAULT_FREE_RUNS: usize = 5;

/// How a seed is run.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    pub without: Without,
    pub most_engines: usize,
    /// Most runs before the faults end.
    pub most_runs: usize,
    pub traced: bool,
    /// Rules that are not checked, while a bug is known.
    pub ignored_rules: IgnoredRules,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            without: Without::default(),
            most_engines: usize::MAX,
            most_runs: usize::MAX,
            traced: false,
            ignored_rules: IgnoredRules::default(),
        }
    }
}

/// The result of a seed.
#[derive(Debug)]
pub struct SimulationResult {
    pub violations: Vec<Violation>,
    pub figures: Figures,
    /// Its kinds of fault.
    pub kinds: Vec<Kind>,
    pub trace: String,
}

/// Runs one seed on this thread.
pub fn simulate(seed: u64, options: Options) -> SimulationResult {
    fastrand::seed(seed);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    let runtime = runtime.unwrap_or_else(|error| panic!("no runtime: {error}"));
    runtime.block_on(async {
        let mut simulation = Simulation::begin(seed, options);
        simulation.simulate().await;
        let mut world = simulation.service.world();
        world.figures.seconds = world.now().as_secs();
        SimulationResult {
            violations: std::mem::take(&mut world.violations),
            figures: world.figures,
            kinds: world.faults.kinds().collect(),
            trace: simulation.trace.text(),
        }
    })
}

struct Simulation {
    options: Options,
    service: Service,
    disk: LedgerDisk,
    clock: WallClock,
    plan: Plan,
    run_options: RunOptions,
    allow_unlisted: bool,
    /// True if the next run has `--retry-moved`.
    retry_moved: bool,
    random: Rng,
    trace: Trace,
    run: usize,
    /// Why the latest run was refused before its start, if it was.
    refused: Option<String>,
}

impl Simulation {
    fn begin(seed: u64, options: Options) -> Self {
        let trace = Trace::begin(options.traced);
        let run_options = options::draw(&mut stream(seed, 1));
        let faults = Faults::draw(&mut stream(seed, 2), run_options.resend_after, options.without);
        let disk = LedgerDisk::new(stream(seed, 3), trace.clone());
        let kinds: Vec<&str> = faults.kinds().map(Kind::name).collect();
        let mut world =
            World::draw(&mut stream(seed, 4), faults, options.most_engines, disk.clone(), trace.clone());
        world.ignored_rules = options.ignored_rules;
        let plan = Plan::draw(&mut stream(seed, 5), &world, world.behavior.by_name || seed.is_multiple_of(3));
        trace.say("seed", || format!("{seed}, with {kinds:?}\n{:#?}\n{run_options:#?}", world.behavior));
        Self {
            options,
            service: Service(Arc::new(Mutex::new(world))),
            disk,
            clock: WallClock::begin(),
            plan,
            run_options,
            allow_unlisted: seed.is_multiple_of(2),
            retry_moved: false,
            random: stream(seed, 6),
            trace,
            run: 0,
            refused: None,
        }
    }

    async fn simulate(&mut self) {
        let faulty = self.random.usize(1..=4).min(self.options.most_runs);
        for number in 0..faulty {
            if number > 0 && self.has(Kind::Edit) && chance(&mut self.random, 0.5) {
                let world = self.service.world();
                self.plan.edit(&mut self.random, &world);
            }
            if self.has(Kind::Release) {
                let world = self.service.world();
                self.plan.release(&mut self.random, &world);
            }
            let unusual = self.has(Kind::Flags) && chance(&mut self.random, 0.5);
            let run_options = if unusual {
                options::with_unusual_flags(&mut self.random, self.run_options)
            } else {
                self.run_options
            };
            self.retry_moved = self.has(Kind::Flags) && chance(&mut self.random, 0.3);
            self.run(run_options, true).await;
            self.retry_moved = false;
            self.pause().await;
            if self.is_broken() {
                return;
            }
        }
        self.service.world().end_faults();
        self.run_to_completion().await;
    }

    /// Runs without faults until every row is final, and once more.
    async fn run_to_completion(&mut self) {
        let mut open = String::new();
        for _ in 0..FAULT_FREE_RUNS {
            let stopped = self.run(self.run_options, false).await;
            if self.is_broken() {
                return;
            }
            let state = {
                let world = self.service.world();
                completion(&world, &mut self.plan, matches!(stopped, Some(StopReason::SoakFailed(_))))
            };
            match state {
                Completion::Complete { refused } => {
                    self.pause().await;
                    self.run(self.run_options, false).await;
                    let mut world = self.service.world();
                    let sent = world.process.sent;
                    if sent > 0 && !refused {
                        world.violate(Rule::SentAfterCompletion, format!("{sent} requests"));
                    }
                    return;
                }
                Completion::Incomplete(what) => open = self.refused.take().unwrap_or(what),
            }
            self.pause().await;
        }
        self.service.world().violate(Rule::DoesNotComplete, open);
    }

    fn has(&self, kind: Kind) -> bool {
        self.service.world().faults.has(kind)
    }

    fn is_broken(&self) -> bool {
        !self.service.world().violations.is_empty()
    }

    /// Lets time pass before the next run.
    async fn pause(&mut self) {
        let span = between(&mut self.random, SECOND / 100, SECOND * 200);
        tokio::time::advance(span).await;
        self.service.world().catch_up();
    }

    /// One run of the command. Returns why it stopped early, if it did.
    async fn run(&mut self, options: RunOptions, faulty: bool) -> Option<StopReason> {
        self.run += 1;
        self.refused = None;
        let disk_faults = if faulty { self.disk_faults() } else { DiskFaults::default() };
        let disk_holds = disk_faults.full_from.is_none() && disk_faults.unsynced_from.is_none();
        let ledger = self.disk.begin_run(disk_faults);
        let setup = self.set_up(options, ledger);
        let interruptions = self.interruptions(faulty);
        let (sender, signals) = mpsc::unbounded_channel();
        let planned = if faulty { self.signals() } else { Vec::new() };
        let interrupted = !planned.is_empty();
        let signal_task = tokio::spawn(async move {
            for (after, signal) in planned {
                tokio::time::sleep(after).await;
                let _ = sender.send(signal);
            }
            // the channel stays open as long as the process runs
            std::future::pending::<()>().await;
        });
        let clock = self.change_clock(faulty);
        let service = self.service.clone();
        let on_suspension = |span: Duration| {
            let mut world = service.world();
            let now = world.now();
            world.trace.say("world", || format!("the process was suspended for {span:?}"));
            world.figures.suspensions += 1;
            let line = world.disk.with_records(|records| records.lines);
            world.process.suspended_until = Some((now, line));
            if let Some((_, lost)) = &mut world.process.throttled_since {
                *lost += span;
            }
        };
        let process = command(Setup { signals, ..setup });
        let end = Box::pin(drive(process, interruptions, LONGEST_RUN, on_suspension)).await;
        signal_task.abort();
        clock.abort();
        for _ in 0..FINAL_YIELDS {
            // an aborted task ends when it is scheduled
            tokio::task::yield_now().await;
        }
        self.finish(end, disk_holds && !interrupted)
    }

    fn set_up(&mut self, options: RunOptions, ledger: Vec<u8>) -> Setup {
        let mut world = self.service.world();
        world.catch_up();
        world.figures.runs += 1;
        let started = world.moment;
        world.process = Process::start(self.run, started, options, &self.plan);
        world.process.retry_moved = self.retry_moved;
        world.limit_resend_after();
        world.read_log.clear_run();
        self.trace.say("run", || format!("{} starts with {:?}", self.run, self.plan.rows));
        Setup {
            run: world.process.name(),
            service: self.service.clone(),
            disk: self.disk.clone(),
            ledger,
            jobs: self.plan.jobs(&world),
            waves: self.plan.waves.clone(),
            options,
            retry_moved: self.retry_moved,
            allow_unlisted: self.allow_unlisted || world.faults.have_ended(),
            clock: self.clock.clone(),
            signals: mpsc::unbounded_channel().1,
        }
    }

    fn finish(&mut self, end: End<Ended>, regular: bool) -> Option<StopReason> {
        self.trace.say("run", || format!("{} ends: {end:?}", self.run));
        let mut world = self.service.world();
        world.catch_up();
        world.process.stage = Stage::Over;
        if let Some(what) = self.disk.broken() {
            world.violate(Rule::LedgerBroken, what);
        }
        match end {
            End::Done(Ended::Ran { stopped, counted }) => {
                world.judge_run(counted, regular);
                return stopped;
            }
            End::Done(Ended::Refused(why)) => self.refused = Some(why),
            End::Done(Ended::LedgerRefused(what)) => world.violate(Rule::LedgerBroken, what),
            End::Crashed => {
                world.figures.crashes += 1;
                self.disk.crash();
            }
            End::Panicked(what) => world.violate(Rule::Panicked, what),
            End::Endless => {
                world.violate(Rule::DoesNotEnd, "it exceeds the limit of polls or time".to_owned());
            }
        }
        None
    }

    /// Draws a number of polls or lines, with equal probability for each order of magnitude.
    fn count(&mut self, most: f64) -> u64 {
        let drawn = most.powf(self.random.f64());
        Duration::from_secs_f64(drawn).as_secs()
    }

    fn interruptions(&mut self, faulty: bool) -> Interruptions {
        let (crash, suspension) = (self.has(Kind::Crash), self.has(Kind::Suspension));
        let (dies, at) = (chance(&mut self.random, 0.8), self.count(1_500.0));
        let dies_at_poll = (faulty && crash && dies).then_some(at);
        let mut suspensions = Vec::new();
        for _ in 0..self.random.usize(1..=3) {
            let span = between(&mut self.random, SECOND * 3, SECOND * 2_000);
            suspensions.push((self.count(2_000.0), span));
        }
        suspensions.sort_unstable();
        if !faulty || !suspension {
            suspensions.clear();
        }
        Interruptions { dies_at_poll, suspensions, most_polls: MAX_POLLS }
    }

    fn disk_faults(&mut self) -> DiskFaults {
        let torn = self.has(Kind::TornWrite) && chance(&mut self.random, 0.7);
        let (in_sync, at) = (chance(&mut self.random, 0.3), self.count(60.0));
        let full = self.has(Kind::DiskWrite) && chance(&mut self.random, 0.5);
        let unsynced = self.has(Kind::DiskSync) && chance(&mut self.random, 0.5);
        DiskFaults {
            dies_at_line: (torn && !in_sync).then_some(at),
            dies_at_sync: (torn && in_sync).then_some(at),
            full_from: full.then(|| self.count(60.0)),
            unsynced_from: unsynced.then(|| self.count(60.0)),
        }
    }

    fn signals(&mut self) -> Vec<(Duration, Signal)> {
        if !self.has(Kind::Signal) || chance(&mut self.random, 0.4) {
            return Vec::new();
        }
        let mut signal = |signal| (between(&mut self.random, SECOND / 10, SECOND * 100), signal);
        let (first, second) = (signal(Signal::Interrupt), signal(Signal::Terminate));
        if self.random.bool() { vec![first] } else { vec![first, second] }
    }

    /// Changes the wall clock at the start of and during the run.
    fn change_clock(&mut self, faulty: bool) -> tokio::task::JoinHandle<()> {
        let changes = if faulty && self.has(Kind::WrongClock) { self.random.usize(1..=4) } else { 0 };
        let (clock, trace, mut random) = (self.clock.clone(), self.trace.clone(), self.random.fork());
        tokio::spawn(async move {
            for _ in 0..changes {
                let off = clock.jump(&mut random);
                trace.say("clock", || format!("is off by {off:#}"));
                tokio::time::sleep(between(&mut random, SECOND / 10, SECOND * 100)).await;
            }
        })
    }
}

/// True for an outcome on target.
pub fn is_success(outcome: Outcome) -> bool {
    matches!(outcome, Outcome::Switched | Outcome::UpToDate)
}
