//! Reads the fleet: whole listings in pages, through the gate of their own action, with retries. Reading
//! changes nothing, so a page without an answer is simply asked for again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tokio::sync::Mutex;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::Rules;
use super::reasons::reading_failed;
use super::sight::FleetView;
use crate::cloud::catalogue::{Class, Reach, look_up};
use crate::cloud::{EngineKind, EngineListing, EnginePage, Fault, Fleet, ImageRecord, LARGEST_PAGE};
use crate::job::{Job, Region};
use crate::pace::{Gate, Rate, until};

/// Throttled reads in a row that are borne before a reading is given up.
const MOST_THROTTLES: u32 = 100;

/// Engines of one kind in one region beyond which a listing's own count is not believed.
const MOST_ENGINES: u32 = 1_000_000;

/// How a sweep went.
#[derive(Clone, Debug)]
pub(super) struct Sweep {
    /// The parts of the fleet that were read to their end.
    pub(super) read: Scope,
    /// The regions in which a part could not be read, and why.
    pub(super) failed: Vec<(Region, Fault)>,
}

/// Which part of the fleet to list.
pub(super) type Scope = BTreeSet<(Region, EngineKind)>;

/// Reads engines and images; each action has its own gate.
#[derive(Debug)]
pub struct Reader<F> {
    fleet: Arc<F>,
    engines: Arc<Mutex<Gate>>,
    images: Arc<Mutex<Gate>>,
    rules: Rules,
}

impl<F> Clone for Reader<F> {
    fn clone(&self) -> Self {
        Self {
            fleet: Arc::clone(&self.fleet),
            engines: Arc::clone(&self.engines),
            images: Arc::clone(&self.images),
            rules: self.rules,
        }
    }
}

impl<F: Fleet> Reader<F> {
    /// A reader with gates at the documented limit.
    pub fn new(fleet: Arc<F>, rules: Rules) -> Self {
        let gate = || Arc::new(Mutex::new(Gate::new(Rate::FULL)));
        Self { fleet, engines: gate(), images: gate(), rules }
    }

    /// Seconds by which the service's clock is known to be ahead of this machine's.
    pub fn clock_ahead(&self) -> i64 {
        self.fleet.clock_ahead()
    }

    /// Lists every engine of the regions of these jobs, of all kinds. A region that the service does not serve is
    /// noted in the view; whatever else cannot be read is an error.
    pub async fn survey(&self, jobs: &[Job]) -> Result<FleetView, Fault> {
        let regions: BTreeSet<&Region> = jobs.iter().map(|job| &job.key.region).collect();
        let everything = |region: &&Region| EngineKind::ALL.map(|kind| ((*region).clone(), kind));
        let scope: Scope = regions.iter().flat_map(everything).collect();
        let mut view = FleetView::default();
        for _ in 0..2 {
            for (region, fault) in self.sweep(&scope, self.rules.max_attempts, &mut view).await.failed {
                match class_of(&fault) {
                    Some(Class::Final(Reach::Region)) => view.refuse_region(&region, reading_failed(&fault)),
                    _ => return Err(fault),
                }
            }
            // engines that come and go while pages are read can hide another one, so what is missing is asked
            // for once more
            if jobs.iter().all(|job| view.engine(&job.key).is_some()) {
                break;
            }
        }
        Ok(view)
    }

    /// Lists parts of the fleet into a view.
    pub(super) async fn sweep(&self, scope: &Scope, attempts: u32, view: &mut FleetView) -> Sweep {
        let mut sweep = Sweep { read: scope.clone(), failed: Vec::new() };
        let mut pages = JoinSet::new();
        // how far each listing has been asked for; every page may say that there are more engines
        let mut asked: BTreeMap<(Region, EngineKind), u32> = BTreeMap::new();
        for (region, kind) in scope {
            let first = EnginePage { kind: *kind, offset: 0, limit: LARGEST_PAGE };
            self.ask(&mut pages, region, first, attempts);
            asked.insert((region.clone(), *kind), LARGEST_PAGE);
        }
        while let Some(finished) = pages.join_next().await {
            // a panic in a page is a defect of ours and goes where all panics go
            let (region, page, answer) =
                finished.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()));
            let place = (region, page.kind);
            match answer {
                Ok(listing) => {
                    let next = asked.entry(place.clone()).or_default();
                    while *next < listing.total.min(MOST_ENGINES) {
                        self.ask(&mut pages, &place.0, EnginePage { offset: *next, ..page }, attempts);
                        *next += LARGEST_PAGE;
                    }
                    view.take(&place.0, listing.engines);
                }
                Err(fault) => {
                    // told once for each place
                    if sweep.read.remove(&place) {
                        sweep.failed.push((place.0, fault));
                    }
                }
            }
        }
        sweep
    }

    fn ask(
        &self,
        pages: &mut JoinSet<(Region, EnginePage, Result<EngineListing, Fault>)>,
        region: &Region,
        page: EnginePage,
        attempts: u32,
    ) {
        let (reader, region) = (self.clone(), region.clone());
        pages.spawn(async move {
            let answer =
                reader.patiently(&reader.engines, attempts, || reader.fleet.engines(&region, page)).await;
            (region, page, answer)
        });
    }

    /// Lists the image versions for an engine type.
    pub async fn images(&self, region: &Region, engine_type: &str) -> Result<Vec<ImageRecord>, Fault> {
        self.patiently(&self.images, self.rules.max_attempts, || self.fleet.images(region, engine_type)).await
    }

    /// Calls through a gate until there is an answer, a refusal that will not pass, or no attempt left.
    async fn patiently<T, Call>(
        &self,
        gate: &Mutex<Gate>,
        attempts: u32,
        call: impl Fn() -> Call,
    ) -> Result<T, Fault>
    where
        Call: Future<Output = Result<T, Fault>>,
    {
        let mut random = fastrand::Rng::new();
        let (mut failures, mut throttles, mut outdated) = (0, 0, false);
        loop {
            {
                let mut gate = gate.lock().await;
                gate.ready().await;
                gate.start();
            }
            let limit = self.rules.request_timeout;
            let fault = match tokio::time::timeout(limit, call()).await {
                Ok(Ok(answer)) => {
                    gate.lock().await.passed();
                    return Ok(answer);
                }
                Ok(Err(fault)) => fault,
                Err(_) => Fault::NoAnswer { cause: format!("no answer within {limit:?}"), http_status: None },
            };
            tracing::debug!(%fault, "a reading call failed");
            match kind_of(&fault) {
                Kind::Throttled if throttles < MOST_THROTTLES => {
                    throttles += 1;
                    gate.lock().await.throttled();
                }
                Kind::Outdated if !outdated => outdated = true,
                Kind::MayPass if failures + 1 < attempts => {
                    failures += 1;
                    until(Instant::now() + self.rules.delays.transient.wait(failures, &mut random)).await;
                }
                _ => return Err(fault),
            }
        }
    }
}

enum Kind {
    Throttled,
    Outdated,
    MayPass,
    Final,
}

fn kind_of(fault: &Fault) -> Kind {
    match fault {
        Fault::Refused(_) => match class_of(fault) {
            Some(Class::Throttled) => Kind::Throttled,
            Some(Class::Transient | Class::Busy) => Kind::MayPass,
            _ => Kind::Final,
        },
        Fault::Outdated(_) => Kind::Outdated,
        Fault::NotSent { .. } | Fault::NoAnswer { .. } => Kind::MayPass,
        Fault::Barred { .. } | Fault::NoCredentials { .. } => Kind::Final,
    }
}

fn class_of(fault: &Fault) -> Option<Class> {
    match fault {
        Fault::Refused(refusal) => Some(look_up(&refusal.code).class),
        _ => None,
    }
}
