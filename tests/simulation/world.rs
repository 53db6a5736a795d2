//! The true state of the service: its engines, its images and the events to come. Independent of the tool and of its
//! simulator.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use dlc_fleet::cloud::EngineKind;
use dlc_fleet::job::{DataEngineId, Region};
use fastrand::Rng;
use tokio::time::Instant;

use crate::disk::LedgerDisk;
use crate::engine::{Engine, Moment, RUNNING, Shown};
use crate::faults::{Faults, Kind};
use crate::oracle::{IgnoredRules, Rule, Violation};
use crate::others::EngineEvent;
use crate::process::Process;
use crate::random::{between, chance, one_of, up_to};
use crate::read_log::ReadLog;
use crate::requests::Request;
use crate::trace::Trace;

/// What an engine shows while it is switched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DuringSwitch {
    /// Initialising, on its old image.
    OldImage,
    /// Initialising, on its new image.
    NewImage,
    /// Running, on its old image.
    Nothing,
}

/// How the service behaves without faults.
#[derive(Clone, Debug)]
pub struct ServiceBehavior {
    /// How long a switch takes.
    pub switching: (Duration, Duration),
    /// What an engine shows during a switch.
    pub shows: DuringSwitch,
    /// True if a busy engine accepts another request.
    pub accepts_while_busy: bool,
    /// True if minor versions are accepted as targets.
    pub accepts_minor: bool,
    /// Transmission time of a request or a response: median and worst.
    pub latency: (Duration, Duration),
    /// From when until when other clients send how many requests per second.
    pub other_clients: Option<(Moment, Moment, usize)>,
    /// True if engines can only be read by name.
    pub by_name: bool,
}

/// One image version.
#[derive(Clone, Debug)]
pub struct Image {
    pub id: String,
    pub children: Vec<String>,
}

/// An event at a moment.
#[derive(Clone, Debug)]
pub enum WorldEvent {
    /// The service receives a request.
    Arrives(usize),
    /// A request is applied.
    Applied(usize),
    /// A switch finishes.
    Finished { engine: usize, serial: u64 },
    /// An event that the tool does not cause.
    Engine { engine: usize, event: EngineEvent },
}

/// The world of one seed.
#[derive(Debug)]
pub struct World {
    started: Instant,
    /// The moment up to which events have been processed.
    pub moment: Moment,
    pub random: Rng,
    pub faults: Faults,
    pub behavior: ServiceBehavior,
    pub engines: Vec<Engine>,
    by_id: HashMap<(Region, DataEngineId), usize>,
    pub images: Vec<Image>,
    /// Targets of plans: major versions, or minor ones.
    pub targets: Vec<String>,
    pub requests: Vec<Request>,
    /// When the requests of all clients arrived, the latest last.
    pub arrivals: Vec<Moment>,
    events: BTreeMap<(Moment, u64), WorldEvent>,
    serial: u64,
    pub read_log: ReadLog,
    pub process: Process,
    pub disk: LedgerDisk,
    pub violations: Vec<Violation>,
    pub ignored_rules: IgnoredRules,
    pub figures: Figures,
    pub trace: Trace,
}

/// What is counted over seeds.
#[derive(Clone, Copy, Debug, Default)]
pub struct Figures {
    pub runs: u64,
    pub crashes: u64,
    pub requests: u64,
    pub reads: u64,
    pub suspensions: u64,
    pub lost_responses: u64,
    /// Switches applied twice although each effect was visible in time.
    pub twice_within_promise: u64,
    /// Switches applied twice of which one effect was visible too late.
    pub twice_beyond_promise: u64,
    /// Requests that the service itself applied twice.
    pub doubled_by_service: u64,
    /// Rows that ended, by run.
    pub outcomes: u64,
    /// Virtual seconds.
    pub seconds: u64,
}

impl std::ops::AddAssign for Figures {
    fn add_assign(&mut self, other: Self) {
        self.runs += other.runs;
        self.crashes += other.crashes;
        self.requests += other.requests;
        self.reads += other.reads;
        self.suspensions += other.suspensions;
        self.lost_responses += other.lost_responses;
        self.twice_within_promise += other.twice_within_promise;
        self.twice_beyond_promise += other.twice_beyond_promise;
        self.doubled_by_service += other.doubled_by_service;
        self.outcomes += other.outcomes;
        self.seconds += other.seconds;
    }
}

/// Regions that plans use.
const REGIONS: [&str; 2] = ["ap-guangzhou", "ap-shanghai"];

impl ServiceBehavior {
    fn draw(random: &mut Rng, faults: &Faults) -> Self {
        let ms = Duration::from_millis;
        let least = between(random, ms(200), ms(20_000));
        let most = least + between(random, ms(100), ms(40_000));
        let at_once = chance(random, 0.08);
        let shows = if random.bool() { DuringSwitch::NewImage } else { DuringSwitch::OldImage };
        let shows = if chance(random, 0.04) { DuringSwitch::Nothing } else { shows };
        let median = between(random, ms(5), ms(400));
        let worst = between(random, ms(500), ms(if faults.has(Kind::Slow) { 60_000 } else { 2_000 }));
        let (from, takes) = (up_to(random, ms(60_000)), random.usize(1..=25));
        let until = from + between(random, ms(500), ms(30_000));
        Self {
            switching: if at_once { (Duration::ZERO, Duration::ZERO) } else { (least, most) },
            shows,
            accepts_while_busy: chance(random, 0.2),
            accepts_minor: chance(random, 0.8),
            latency: (median, worst),
            other_clients: faults.has(Kind::OtherClients).then_some((from, until, takes)),
            by_name: faults.has(Kind::ByName),
        }
    }
}

impl World {
    /// Draws a world with at most this number of engines.
    pub fn draw(
        random: &mut Rng,
        faults: Faults,
        most_engines: usize,
        disk: LedgerDisk,
        trace: Trace,
    ) -> Self {
        let behavior = ServiceBehavior::draw(random, &faults);
        let image = |number: usize| Image {
            id: format!("image-{number}"),
            children: (0..2).map(|minor| format!("image-{number}.{minor}")).collect(),
        };
        let images: Vec<Image> = (0..4).map(image).collect();
        let minor = faults.has(Kind::Minor);
        let target = |image: &Image| if minor { image.children[0].clone() } else { image.id.clone() };
        // most plans have one target, and most engines start on image 0
        let targets = images[1..].iter().map(target).collect();
        let few = chance(random, 0.5);
        let count = if few { random.usize(1..=4) } else { random.usize(1..=14) };
        let regions = if chance(random, 0.25) { 2 } else { 1 };
        let one_kind = one_of(random, &EngineKind::ALL);
        let engines: Vec<Engine> = (0..count)
            .map(|number| {
                let begins = if chance(random, 0.85) { 0 } else { random.usize(..images.len()) };
                let child = random.usize(..2);
                let shown = Shown {
                    state: RUNNING,
                    image: images[begins].id.clone(),
                    child: images[begins].children[child].clone(),
                };
                let kind = if chance(random, 0.8) { one_kind } else { one_of(random, &EngineKind::ALL) };
                let region = Region::new(REGIONS[random.usize(..regions)]);
                Engine::new(number, region, kind, shown)
            })
            .take(most_engines)
            .collect();
        let planned = engines.len();
        let mut engines = engines;
        if faults.has(Kind::Crowd) {
            let template = (engines[0].region.clone(), engines[0].kind);
            for number in planned..planned + random.usize(95..130) {
                let (image, child) = (images[0].id.clone(), images[0].children[0].clone());
                let shown = Shown { state: RUNNING, image, child };
                let mut engine = Engine::new(number, template.0.clone(), template.1, shown);
                engine.bystander = true;
                engines.push(engine);
            }
            // the position in a listing does not follow from the name
            random.shuffle(&mut engines);
        }
        let place = |(number, engine): (usize, &Engine)| ((engine.region.clone(), engine.id.clone()), number);
        let mut world = Self {
            started: Instant::now(),
            moment: Moment::ZERO,
            random: random.fork(),
            faults,
            behavior,
            by_id: engines.iter().enumerate().map(place).collect(),
            read_log: ReadLog::new(engines.len()),
            engines,
            images,
            targets,
            requests: Vec::new(),
            arrivals: Vec::new(),
            events: BTreeMap::new(),
            serial: 0,
            process: Process::default(),
            disk,
            violations: Vec::new(),
            ignored_rules: IgnoredRules::default(),
            figures: Figures::default(),
            trace,
        };
        world.plan_events();
        world
    }

    /// Time since the start of the simulation.
    pub fn now(&self) -> Moment {
        self.started.elapsed()
    }

    /// Processes all events up to now.
    pub fn catch_up(&mut self) {
        let now = self.now();
        while let Some(entry) = self.events.first_entry() {
            if entry.key().0 > now {
                break;
            }
            let ((at, _), event) = entry.remove_entry();
            self.moment = at;
            match event {
                WorldEvent::Arrives(request) => self.on_arrival(request),
                WorldEvent::Applied(request) => self.applied(request),
                WorldEvent::Finished { engine, serial } => self.finished(engine, serial),
                WorldEvent::Engine { engine, event } => self.apply_event(engine, event),
            }
        }
        self.moment = now;
    }

    /// Schedules an event.
    pub fn schedule(&mut self, at: Moment, event: WorldEvent) {
        let serial = self.next_serial();
        self.events.insert((at, serial), event);
    }

    pub fn next_serial(&mut self) -> u64 {
        self.serial += 1;
        self.serial
    }

    /// Draws whether a kind of fault occurs now.
    pub fn occurs(&mut self, kind: Kind) -> bool {
        self.faults.occurs(kind, &mut self.random)
    }

    /// The engine of this id.
    pub fn find(&self, region: &Region, id: &DataEngineId) -> Option<usize> {
        self.by_id.get(&(region.clone(), id.clone())).copied()
    }

    /// Engines that plans may name.
    pub fn candidates(&self) -> impl Iterator<Item = usize> {
        (0..self.engines.len()).filter(|engine| !self.engines[*engine].bystander)
    }

    /// A target for a row of a plan: usually the same one.
    pub fn target(&self, random: &mut Rng) -> String {
        let usual = chance(random, 0.8);
        let other = random.usize(..self.targets.len());
        self.targets[if usual { 0 } else { other }].clone()
    }

    /// The image that an engine is on now.
    pub fn image_of(&self, engine: usize) -> Option<String> {
        self.engines[engine].now().map(|shown| shown.image.clone())
    }

    /// The major and minor version of an engine after a switch to this target.
    pub fn versions_of(&self, target: &str) -> Option<(String, String)> {
        self.images.iter().find_map(|image| {
            if image.id == target {
                return Some((image.id.clone(), image.children[1].clone()));
            }
            let child = image.children.iter().find(|child| *child == target)?;
            Some((image.id.clone(), child.clone()))
        })
    }

    /// Draws the transmission time of a message.
    pub fn latency(&mut self) -> Duration {
        let (median, worst) = self.behavior.latency;
        let slow = chance(&mut self.random, 0.03);
        let usual = median.mul_f64(0.5 + self.random.f64());
        if slow && !self.faults.have_ended() { up_to(&mut self.random, worst) } else { usual }
    }

    /// Records the violation of a rule.
    pub fn violate(&mut self, rule: Rule, what: String) {
        let run = self.process.run;
        self.trace.say("ORACLE", || format!("{rule:?}: {what}"));
        if !self.ignored_rules.contains(rule) {
            self.violations.push(Violation { rule, run, at: self.now(), what });
        }
    }
}
