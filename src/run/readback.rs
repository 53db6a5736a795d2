//! Reads the fleet: whole listings in pages, through the gate of their own action, with retries. Reading
//! changes nothing, so a page without an answer is simply asked for again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tokio::sync::Mutex;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::Rules;
use super::sight::FleetView;
use crate::cloud::catalogue::{Class, look_up};
use crate::cloud::{EngineKind, EngineListing, EnginePage, Fault, Fleet, ImageRecord, LARGEST_PAGE};
use crate::job::Region;
use crate::pace::{Gate, Rate, until};

/// Throttled reads in a row that are borne before a reading is given up.
const MOST_THROTTLES: u32 = 100;

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

    /// Lists every engine of these regions, of all kinds.
    pub async fn survey(&self, regions: &BTreeSet<Region>) -> Result<FleetView, Fault> {
        let everything = |region: &Region| EngineKind::ALL.map(|kind| (region.clone(), kind));
        let mut view = FleetView::default();
        self.sweep(&regions.iter().flat_map(everything).collect(), &mut view).await?;
        Ok(view)
    }

    /// Lists a part of the fleet into a view.
    pub(super) async fn sweep(&self, scope: &Scope, view: &mut FleetView) -> Result<(), Fault> {
        let mut pages = JoinSet::new();
        // how far each listing has been asked for; every page may say that there are more engines
        let mut asked: BTreeMap<(Region, EngineKind), u32> = BTreeMap::new();
        for (region, kind) in scope {
            self.ask(&mut pages, region, EnginePage { kind: *kind, offset: 0, limit: LARGEST_PAGE });
            asked.insert((region.clone(), *kind), LARGEST_PAGE);
        }
        while let Some(finished) = pages.join_next().await {
            // a panic in a page is a defect of ours and goes where all panics go
            let (region, page, answer) =
                finished.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()));
            let listing = answer?;
            let next = asked.entry((region.clone(), page.kind)).or_default();
            while *next < listing.total {
                self.ask(&mut pages, &region, EnginePage { offset: *next, ..page });
                *next += LARGEST_PAGE;
            }
            view.take(&region, listing.engines);
        }
        Ok(())
    }

    fn ask(
        &self,
        pages: &mut JoinSet<(Region, EnginePage, Result<EngineListing, Fault>)>,
        region: &Region,
        page: EnginePage,
    ) {
        let (reader, region) = (self.clone(), region.clone());
        pages.spawn(async move {
            let answer = reader.patiently(&reader.engines, || reader.fleet.engines(&region, page)).await;
            (region, page, answer)
        });
    }

    /// Lists the image versions for an engine type.
    pub async fn images(&self, region: &Region, engine_type: &str) -> Result<Vec<ImageRecord>, Fault> {
        self.patiently(&self.images, || self.fleet.images(region, engine_type)).await
    }

    /// Calls through a gate until there is an answer, a refusal that will not pass, or no attempt left.
    async fn patiently<T, Call>(&self, gate: &Mutex<Gate>, call: impl Fn() -> Call) -> Result<T, Fault>
    where
        Call: Future<Output = Result<T, Fault>>,
    {
        let mut random = fastrand::Rng::new();
        let (mut failures, mut throttles) = (0, 0);
        loop {
            {
                let mut gate = gate.lock().await;
                gate.ready().await;
                gate.start();
            }
            let limit = self.rules.request_timeout;
            let fault = match tokio::time::timeout(limit, call()).await {
                Ok(Ok(answer)) => return Ok(answer),
                Ok(Err(fault)) => fault,
                Err(_) => Fault::NoAnswer { cause: format!("no answer within {limit:?}"), http_status: None },
            };
            tracing::debug!(%fault, "a reading call failed");
            match kind_of(&fault) {
                Kind::Throttled if throttles < MOST_THROTTLES => {
                    throttles += 1;
                    gate.lock().await.throttled();
                }
                Kind::MayPass if failures + 1 < self.rules.max_attempts => {
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
    MayPass,
    Final,
}

fn kind_of(fault: &Fault) -> Kind {
    match fault {
        Fault::Refused(refusal) => match look_up(&refusal.code).class {
            Class::Throttled => Kind::Throttled,
            Class::Transient | Class::Busy => Kind::MayPass,
            Class::NotRunning | Class::Denied | Class::Final(_) => Kind::Final,
        },
        Fault::NotSent { .. } | Fault::NoAnswer { .. } => Kind::MayPass,
        Fault::Untrusted { .. } => Kind::Final,
    }
}
