//! One seed from its first run to its rest: the same command again and again, in a world that is healed at last.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use dlc_fleet::event::StopReason;
use dlc_fleet::job::Outcome;
use dlc_fleet::run::{RunOptions, Signal};
use fastrand::Rng;
use tokio::sync::mpsc;

use crate::clock::WallClock;
use crate::command::{Ended, Setup, command};
use crate::crash::{End, Interruptions, drive};
use crate::disk::{DiskFaults, Platter};
use crate::faults::{Faults, Kind, Without};
use crate::options;
use crate::oracle::{PassedOver, Rule, Violation};
use crate::plan::Plan;
use crate::process::{Process, Stage};
use crate::random::{between, chance, stream};
use crate::service::Service;
use crate::settled::{Rest, rest};
use crate::trace::Trace;
use crate::world::{Figures, World};

const SECOND: Duration = Duration::from_secs(1);

/// Longest time that a run may take, in virtual time.
const LONGEST_RUN: Duration = Duration::from_secs(12 * 3_600);

/// Polls after which a run is taken to go round in circles.
const MOST_POLLS: u64 = 2_000_000;

/// Turns that tasks of a process get while they are being dropped: reads spawn tasks that spawn tasks.
const LAST_TURNS: usize = 4;

/// Runs in a healed world after which everything must be at rest.
const HEALED_RUNS: usize = 5;

/// How a seed is played.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    pub without: Without,
    pub most_engines: usize,
    /// Most runs before the world is healed.
    pub most_runs: usize,
    pub traced: bool,
    /// Rules that are not judged, while a bug is known.
    pub passed_over: PassedOver,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            without: Without::default(),
            most_engines: usize::MAX,
            most_runs: usize::MAX,
            traced: false,
            passed_over: PassedOver::default(),
        }
    }
}

/// What a seed brought.
#[derive(Debug)]
pub struct Told {
    pub violations: Vec<Violation>,
    pub figures: Figures,
    /// The kinds of fault that it had.
    pub kinds: Vec<Kind>,
    pub trace: String,
}

/// Plays one seed on this thread.
pub fn play(seed: u64, options: Options) -> Told {
    fastrand::seed(seed);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    let runtime = runtime.unwrap_or_else(|error| panic!("no runtime: {error}"));
    runtime.block_on(async {
        let mut story = Story::begin(seed, options);
        story.play().await;
        let mut world = story.service.world();
        world.figures.seconds = world.now().as_secs();
        Told {
            violations: std::mem::take(&mut world.violations),
            figures: world.figures,
            kinds: world.faults.kinds().collect(),
            trace: story.trace.text(),
        }
    })
}

struct Story {
    options: Options,
    service: Service,
    platter: Platter,
    clock: WallClock,
    plan: Plan,
    run_options: RunOptions,
    allow_unlisted: bool,
    /// True where the next run has `--retry-moved`.
    retry_moved: bool,
    random: Rng,
    trace: Trace,
    run: usize,
    /// Why the latest run sent nothing, where it was refused before it began.
    refused: Option<String>,
}

impl Story {
    fn begin(seed: u64, options: Options) -> Self {
        let trace = Trace::begin(options.traced);
        let run_options = options::draw(&mut stream(seed, 1));
        let faults = Faults::draw(&mut stream(seed, 2), run_options.resend_after, options.without);
        let platter = Platter::new(stream(seed, 3), trace.clone());
        let kinds: Vec<&str> = faults.kinds().map(Kind::name).collect();
        let mut world =
            World::draw(&mut stream(seed, 4), faults, options.most_engines, platter.clone(), trace.clone());
        world.passed_over = options.passed_over;
        let plan = Plan::draw(&mut stream(seed, 5), &world, world.habits.by_name || seed.is_multiple_of(3));
        trace.say("seed", || format!("{seed}, with {kinds:?}\n{:#?}\n{run_options:#?}", world.habits));
        Self {
            options,
            service: Service(Arc::new(Mutex::new(world))),
            platter,
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

    async fn play(&mut self) {
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
        self.service.world().heal();
        self.settle().await;
    }

    /// Runs in the healed world until everything is at rest, and once more.
    async fn settle(&mut self) {
        let mut open = String::new();
        for _ in 0..HEALED_RUNS {
            let stopped = self.run(self.run_options, false).await;
            if self.is_broken() {
                return;
            }
            let state = {
                let world = self.service.world();
                rest(&world, &mut self.plan, matches!(stopped, Some(StopReason::SoakFailed(_))))
            };
            match state {
                Rest::Settled { refused } => {
                    self.pause().await;
                    self.run(self.run_options, false).await;
                    let mut world = self.service.world();
                    let sent = world.process.left;
                    if sent > 0 && !refused {
                        world.violate(Rule::SentWhenSettled, format!("{sent} requests"));
                    }
                    return;
                }
                Rest::Open(what) => open = self.refused.take().unwrap_or(what),
            }
            self.pause().await;
        }
        self.service.world().violate(Rule::DoesNotSettle, open);
    }

    fn has(&self, kind: Kind) -> bool {
        self.service.world().faults.has(kind)
    }

    fn is_broken(&self) -> bool {
        !self.service.world().violations.is_empty()
    }

    /// Time passes before the command is given again.
    async fn pause(&mut self) {
        let span = between(&mut self.random, SECOND / 100, SECOND * 200);
        tokio::time::advance(span).await;
        self.service.world().catch_up();
    }

    /// One run of the command. Returns why it stopped, where it did.
    async fn run(&mut self, options: RunOptions, faulty: bool) -> Option<StopReason> {
        self.run += 1;
        self.refused = None;
        let disk_faults = if faulty { self.disk_faults() } else { DiskFaults::default() };
        let disk_holds = disk_faults.full_from.is_none() && disk_faults.unsynced_from.is_none();
        let ledger = self.platter.begin_run(disk_faults);
        let setup = self.set_up(options, ledger);
        let interruptions = self.interruptions(faulty);
        let (sender, signals) = mpsc::unbounded_channel();
        let planned = if faulty { self.signals() } else { Vec::new() };
        let interrupted = !planned.is_empty();
        let outside = tokio::spawn(async move {
            for (after, signal) in planned {
                tokio::time::sleep(after).await;
                let _ = sender.send(signal);
            }
            // signals can come as long as the process is there
            std::future::pending::<()>().await;
        });
        let clock = self.turn_clock(faulty);
        let service = self.service.clone();
        let stood_still = |span: Duration| {
            let mut world = service.world();
            let now = world.now();
            world.trace.say("world", || format!("the process was not run for {span:?}"));
            world.figures.suspensions += 1;
            let line = world.platter.with_records(|records| records.lines);
            world.process.stood_still_until = Some((now, line));
            if let Some((_, lost)) = &mut world.process.throttled_since {
                *lost += span;
            }
        };
        let process = command(Setup { signals, ..setup });
        let end = Box::pin(drive(process, interruptions, LONGEST_RUN, stood_still)).await;
        outside.abort();
        clock.abort();
        for _ in 0..LAST_TURNS {
            // tasks that are aborted are gone once they had their turn
            tokio::task::yield_now().await;
        }
        self.conclude(end, disk_holds && !interrupted)
    }

    fn set_up(&mut self, options: RunOptions, ledger: Vec<u8>) -> Setup {
        let mut world = self.service.world();
        world.catch_up();
        world.figures.runs += 1;
        let began = world.moment;
        world.process = Process::begin(self.run, began, options, &self.plan);
        world.process.retry_moved = self.retry_moved;
        world.be_patient();
        world.sights.forget();
        self.trace.say("run", || format!("{} begins with {:?}", self.run, self.plan.rows));
        Setup {
            run: world.process.name(),
            service: self.service.clone(),
            platter: self.platter.clone(),
            ledger,
            jobs: self.plan.jobs(&world),
            waves: self.plan.waves.clone(),
            options,
            retry_moved: self.retry_moved,
            allow_unlisted: self.allow_unlisted || world.faults.are_over(),
            clock: self.clock.clone(),
            signals: mpsc::unbounded_channel().1,
        }
    }

    fn conclude(&mut self, end: End<Ended>, regular: bool) -> Option<StopReason> {
        self.trace.say("run", || format!("{} ends: {end:?}", self.run));
        let mut world = self.service.world();
        world.catch_up();
        world.process.stage = Stage::Over;
        if let Some(what) = self.platter.broken() {
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
                self.platter.crash();
            }
            End::Panicked(what) => world.violate(Rule::Panicked, what),
            End::Endless => world.violate(Rule::DoesNotEnd, "it goes on and on".to_owned()),
        }
        None
    }

    /// A number of polls or lines, small ones as likely as large ones of the next order of magnitude.
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
        Interruptions { dies_at_poll, suspensions, most_polls: MOST_POLLS }
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

    /// Sets the clock on the wall to something else, now and while the run goes.
    fn turn_clock(&mut self, faulty: bool) -> tokio::task::JoinHandle<()> {
        let turns = if faulty && self.has(Kind::WrongClock) { self.random.usize(1..=4) } else { 0 };
        let (clock, trace, mut random) = (self.clock.clone(), self.trace.clone(), self.random.fork());
        tokio::spawn(async move {
            for _ in 0..turns {
                let off = clock.jump(&mut random);
                trace.say("clock", || format!("is wrong by {off:#}"));
                tokio::time::sleep(between(&mut random, SECOND / 10, SECOND * 100)).await;
            }
        })
    }
}

/// True where a row ended as it should.
pub fn is_good(outcome: Outcome) -> bool {
    matches!(outcome, Outcome::Switched | Outcome::UpToDate)
}
