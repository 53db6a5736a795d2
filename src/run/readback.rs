//! Reads the fleet: whole listings in pages, or engines by their names, through the gate of the action, with
//! retries. Reading changes nothing, so what brought no answer is simply asked for again.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use tokio::sync::Mutex;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::Rules;
use super::listing::Listing;
use super::place::{Place, Scope};
use super::sight::FleetView;
use crate::cloud::catalogue::{Class, Reach, is_definitive, look_up};
use crate::cloud::{
    EngineKind, EngineListing, EnginePage, EngineRecord, Fault, Fleet, ImageRecord, LARGEST_PAGE, MOST_IDS,
};
use crate::job::{DataEngineId, Region};
use crate::pace::{Gate, Rate, until};

/// Throttled reads in a row that are borne before a reading is given up.
const MOST_THROTTLES: u32 = 100;

/// The code of an action that a site does not have.
pub(super) const INVALID_ACTION: &str = "InvalidAction";

/// Answers in a row that it takes to believe that a site has no such action, or does not serve a region: a gateway
/// that is being changed may say so once.
const ANSWERS_THAT_CONFIRM: u32 = 3;

/// The code of an engine that there is not.
const NO_SUCH_ENGINE: &str = "ResourceNotFound.DataEngineNotFound";

/// How a sweep went.
#[derive(Clone, Debug)]
pub(super) struct Sweep {
    /// The parts of the fleet that were read to their end.
    pub(super) read: BTreeSet<Place>,
    /// The parts that could not be read, and why.
    pub(super) failed: Vec<(Place, Fault)>,
    /// The engines that were looked for in listings which were read to their end, and that these left out.
    pub(super) left_out: Vec<LeftOut>,
}

/// Engines that the listings of a region left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct LeftOut {
    pub(super) region: Region,
    pub(super) ids: Vec<DataEngineId>,
    /// True where every kind was listed, and as many engines as the service counts.
    pub(super) is_listed_completely: bool,
}

/// What one call showed.
enum Shown {
    Page(EngineListing),
    Engine(Option<EngineRecord>),
}

/// Reads engines and images; each action has its own gate.
#[derive(Debug)]
pub struct Reader<F> {
    fleet: Arc<F>,
    listing: Arc<Mutex<Gate>>,
    naming: Arc<Mutex<Gate>>,
    images: Arc<Mutex<Gate>>,
    pub(super) rules: Rules,
}

impl<F> Clone for Reader<F> {
    fn clone(&self) -> Self {
        Self {
            fleet: Arc::clone(&self.fleet),
            listing: Arc::clone(&self.listing),
            naming: Arc::clone(&self.naming),
            images: Arc::clone(&self.images),
            rules: self.rules,
        }
    }
}

impl<F: Fleet> Reader<F> {
    /// A reader with gates at the documented limit.
    pub fn new(fleet: Arc<F>, rules: Rules) -> Self {
        let gate = || Arc::new(Mutex::new(Gate::new(Rate::FULL)));
        Self { fleet, listing: gate(), naming: gate(), images: gate(), rules }
    }

    /// Seconds by which the service's clock is known to be ahead of this machine's.
    pub fn clock_ahead(&self) -> i64 {
        self.fleet.clock_ahead()
    }

    /// Looks at parts of the fleet, and notes what they show in a view.
    pub(super) async fn sweep(&self, scope: &Scope, attempts: u32, view: &mut FleetView) -> Sweep {
        let mut sweep = Sweep { read: scope.places.clone(), failed: Vec::new(), left_out: Vec::new() };
        let mut calls = JoinSet::new();
        let mut listings: BTreeMap<Place, Listing> = BTreeMap::new();
        for place in &scope.places {
            let listing = listings.entry(place.clone()).or_default();
            while let Some(offset) = listing.next_page() {
                self.ask(&mut calls, place, offset, attempts);
            }
        }
        while let Some(finished) = calls.join_next().await {
            // a panic in a call is a defect of ours and goes where all panics go
            let (place, shown) =
                finished.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()));
            match shown {
                Ok(Shown::Page(page)) => {
                    let listing = listings.entry(place.clone()).or_default();
                    listing.take(&page);
                    while let Some(offset) = listing.next_page() {
                        self.ask(&mut calls, &place, offset, attempts);
                    }
                    view.take(place.region(), page.engines);
                }
                Ok(Shown::Engine(record)) => view.take_named(&place, record),
                Err(fault) => {
                    listings.entry(place.clone()).or_default().give_up();
                    // told once for each place
                    if sweep.read.remove(&place) {
                        sweep.failed.push((place, fault));
                    }
                }
            }
        }
        let complete = |region: &Region| {
            EngineKind::ALL.into_iter().all(|kind| {
                let place = Place::Listing(region.clone(), kind);
                sweep.read.contains(&place) && listings.get(&place).is_some_and(Listing::is_complete)
            })
        };
        sweep.left_out = left_out(scope, &sweep, view)
            .into_iter()
            .map(|(region, ids)| LeftOut { is_listed_completely: complete(&region), region, ids })
            .collect();
        sweep
    }

    /// Asks for engines that a listing left out. One that is then left out as well does not exist if the service counts
    /// no more engines than it shows. Where it does not take the filter, a complete listing of the region tells.
    pub(super) async fn ask_by_id(&self, left_out: &LeftOut, attempts: u32, view: &mut FleetView) {
        let LeftOut { region, ids, is_listed_completely } = left_out.clone();
        let mut calls = JoinSet::new();
        for ids in ids.chunks(MOST_IDS) {
            let (reader, region, ids) = (self.clone(), region.clone(), ids.to_vec());
            calls.spawn(
                async move { reader.ask_for_some(&region, ids, is_listed_completely, attempts).await },
            );
        }
        while let Some(finished) = calls.join_next().await {
            // a panic in a call is a defect of ours and goes where all panics go
            let (shown, absent) =
                finished.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()));
            view.take(&region, shown);
            for id in absent {
                view.take_absent(&region, &id);
            }
        }
    }

    /// Asks for as many engines as one call takes, kind by kind: the records that came, and the engines that do not
    /// exist.
    async fn ask_for_some(
        &self,
        region: &Region,
        mut ids: Vec<DataEngineId>,
        is_listed_completely: bool,
        attempts: u32,
    ) -> (Vec<EngineRecord>, Vec<DataEngineId>) {
        let mut records = Vec::new();
        let mut tells = true;
        for kind in EngineKind::ALL {
            if ids.is_empty() {
                break;
            }
            let call = || self.fleet.engines_by_id(region, kind, &ids);
            match self.patiently(&self.listing, attempts, call).await {
                Ok(page) => {
                    // a record can be repeated in place of another one
                    let shown: HashSet<_> =
                        page.engines.iter().map(|record| record.data_engine_id.clone()).collect();
                    tells &= page.total as usize <= shown.len();
                    ids.retain(|id| !shown.contains(id));
                    records.extend(page.engines);
                }
                Err(fault) => {
                    tracing::debug!(%fault, "engines could not be asked for by their ids");
                    tells &= is_listed_completely && matches!(class_of(&fault), Some(Class::Final(_)));
                }
            }
        }
        if !tells {
            ids.clear();
        }
        (records, ids)
    }

    fn ask(
        &self,
        calls: &mut JoinSet<(Place, Result<Shown, Fault>)>,
        place: &Place,
        offset: u32,
        attempts: u32,
    ) {
        let (reader, place) = (self.clone(), place.clone());
        calls.spawn(async move {
            let shown = reader.call(&place, offset, attempts).await;
            (place, shown)
        });
    }

    async fn call(&self, place: &Place, offset: u32, attempts: u32) -> Result<Shown, Fault> {
        match place {
            Place::Listing(region, kind) => {
                let page = EnginePage { kind: *kind, offset, limit: LARGEST_PAGE };
                let call = || self.fleet.engines(region, page);
                self.patiently(&self.listing, attempts, call).await.map(Shown::Page)
            }
            Place::Named(region, _, name) => {
                let call = || self.fleet.engine_by_name(region, name);
                match self.patiently(&self.naming, attempts, call).await {
                    Err(Fault::Refused(refusal)) if refusal.code == NO_SUCH_ENGINE => Ok(Shown::Engine(None)),
                    shown => shown.map(Shown::Engine),
                }
            }
        }
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
        let (mut failures, mut throttles, mut outdated, mut absences) = (0, 0, false, 0);
        loop {
            let fault = match self.once(gate, &call).await {
                Ok(answer) => return Ok(answer),
                Err(fault) => fault,
            };
            tracing::debug!(%fault, "a reading call failed");
            let kind = kind_of(&fault);
            absences = if kind == Kind::Absent { absences + 1 } else { 0 };
            let tries = match kind {
                Kind::Throttled if throttles < MOST_THROTTLES => {
                    throttles += 1;
                    gate.lock().await.throttled();
                    continue;
                }
                Kind::Outdated if !outdated => {
                    outdated = true;
                    continue;
                }
                Kind::Absent if absences < ANSWERS_THAT_CONFIRM => absences,
                Kind::MayPass if failures + 1 < attempts => {
                    failures += 1;
                    failures
                }
                _ => return Err(fault),
            };
            until(Instant::now() + self.rules.delays.transient.wait(tries, &mut random)).await;
        }
    }

    /// One call through a gate.
    async fn once<T, Call>(&self, gate: &Mutex<Gate>, call: &impl Fn() -> Call) -> Result<T, Fault>
    where
        Call: Future<Output = Result<T, Fault>>,
    {
        // before the gate, which counts on what it lets through leaving at once
        self.fleet.prepare().await?;
        {
            let mut gate = gate.lock().await;
            gate.ready().await;
            gate.start();
        }
        let limit = self.rules.request_timeout;
        let answer = tokio::time::timeout(limit, call()).await.unwrap_or_else(|_| {
            Err(Fault::NoAnswer { cause: format!("no answer within {limit:?}"), http_status: None })
        })?;
        gate.lock().await.passed();
        Ok(answer)
    }
}

/// The engines that were looked for in listings of their region, all of which were read, and not shown.
fn left_out(scope: &Scope, sweep: &Sweep, view: &FleetView) -> BTreeMap<Region, Vec<DataEngineId>> {
    let is_listed = |region: &Region| {
        let mut places = scope.places.iter().filter(|place| place.region() == region).peekable();
        places.peek().is_some()
            && places.all(|place| matches!(place, Place::Listing(..)) && sweep.read.contains(place))
    };
    let mut left_out: BTreeMap<Region, Vec<DataEngineId>> = BTreeMap::new();
    for (region, id) in &scope.engines {
        if !view.shows(region, id) && is_listed(region) {
            left_out.entry(region.clone()).or_default().push(id.clone());
        }
    }
    left_out
}

#[derive(PartialEq)]
enum Kind {
    Throttled,
    Outdated,
    MayPass,
    /// The site has no such action, or does not serve the region.
    Absent,
    Final,
}

fn kind_of(fault: &Fault) -> Kind {
    match fault {
        Fault::Refused(refusal) => match look_up(&refusal.code).class {
            Class::Throttled => Kind::Throttled,
            Class::Final(Reach::Region) => Kind::Absent,
            _ if refusal.code == INVALID_ACTION => Kind::Absent,
            _ if is_definitive(&refusal.code) => Kind::Final,
            _ => Kind::MayPass,
        },
        Fault::Outdated(_) => Kind::Outdated,
        Fault::NotSent { .. } | Fault::NoAnswer { .. } => Kind::MayPass,
        Fault::Barred { .. } | Fault::NoCredentials { .. } => Kind::Final,
    }
}

/// The class of a refusal.
pub(super) fn class_of(fault: &Fault) -> Option<Class> {
    match fault {
        Fault::Refused(refusal) => Some(look_up(&refusal.code).class),
        _ => None,
    }
}
