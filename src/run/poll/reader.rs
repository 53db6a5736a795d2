//! Reads the fleet: whole listings in pages, or engines by their names, through the gate of the action, with
//! retries. Reading changes nothing, so what brought no answer is simply asked for again.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use tokio::sync::Mutex;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::listing::Listing;
use super::scope::Scope;
use crate::cloud::catalogue::{ErrorClass, ErrorScope, is_definitive, look_up};
use crate::cloud::{
    CallError, EngineKind, EngineListing, EnginePage, EngineRecord, Fleet, ImageRecord, MAX_IDS_PER_CALL,
    MAX_PAGE_SIZE,
};
use crate::job::{DataEngineId, Region};
use crate::rate::{Rate, RateLimiter, until};
use crate::run::fleet_view::FleetView;
use crate::run::options::RunOptions;
use crate::run::query::Query;

/// Throttled reads in a row that are borne before a reading is given up.
const MAX_THROTTLES: u32 = 100;

/// The code of an action that a site does not have.
pub(in crate::run) const INVALID_ACTION: &str = "InvalidAction";

/// Answers in a row that it takes to believe that a site has no such action, or does not serve a region: a gateway
/// that is being changed may say so once.
const ANSWERS_THAT_CONFIRM: u32 = 3;

/// The code of an engine that there is not.
const NO_SUCH_ENGINE: &str = "ResourceNotFound.DataEngineNotFound";

/// How a sweep went.
#[derive(Clone, Debug)]
pub(in crate::run) struct ReadResult {
    /// The parts of the fleet that were read to their end.
    pub(in crate::run) read: BTreeSet<Query>,
    /// The parts that could not be read, and why.
    pub(in crate::run) failed: Vec<(Query, CallError)>,
    /// The engines that were looked for in listings which were read to their end, and that these left out.
    pub(in crate::run) left_out: Vec<LeftOut>,
}

/// Engines that the listings of a region left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::run) struct LeftOut {
    pub(in crate::run) region: Region,
    pub(in crate::run) ids: Vec<DataEngineId>,
    /// True where every kind was listed, and as many engines as the service counts.
    pub(in crate::run) is_listed_completely: bool,
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
    listing: Arc<Mutex<RateLimiter>>,
    naming: Arc<Mutex<RateLimiter>>,
    images: Arc<Mutex<RateLimiter>>,
    pub(in crate::run) options: RunOptions,
}

impl<F> Clone for Reader<F> {
    fn clone(&self) -> Self {
        Self {
            fleet: Arc::clone(&self.fleet),
            listing: Arc::clone(&self.listing),
            naming: Arc::clone(&self.naming),
            images: Arc::clone(&self.images),
            options: self.options,
        }
    }
}

impl<F: Fleet> Reader<F> {
    /// A reader with gates at the documented limit.
    pub fn new(fleet: Arc<F>, options: RunOptions) -> Self {
        let limiter = || Arc::new(Mutex::new(RateLimiter::new(Rate::FULL)));
        Self { fleet, listing: limiter(), naming: limiter(), images: limiter(), options }
    }

    /// Seconds by which the service's clock is known to be ahead of this machine's.
    pub fn clock_ahead(&self) -> i64 {
        self.fleet.clock_ahead()
    }

    /// Looks at parts of the fleet, and notes what they show in a view.
    pub(in crate::run) async fn read_fleet(
        &self,
        scope: &Scope,
        attempts: u32,
        view: &mut FleetView,
    ) -> ReadResult {
        let mut read_fleet =
            ReadResult { read: scope.queries.clone(), failed: Vec::new(), left_out: Vec::new() };
        let mut calls = JoinSet::new();
        let mut listings: BTreeMap<Query, Listing> = BTreeMap::new();
        for query in &scope.queries {
            let listing = listings.entry(query.clone()).or_default();
            while let Some(offset) = listing.next_page() {
                self.ask(&mut calls, query, offset, attempts);
            }
        }
        while let Some(finished) = calls.join_next().await {
            // a panic in a call is a defect of ours and goes where all panics go
            let (query, shown) =
                finished.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()));
            match shown {
                Ok(Shown::Page(page)) => {
                    let listing = listings.entry(query.clone()).or_default();
                    listing.take(&page);
                    while let Some(offset) = listing.next_page() {
                        self.ask(&mut calls, &query, offset, attempts);
                    }
                    view.take(query.region(), page.engines);
                }
                Ok(Shown::Engine(record)) => view.record_named(&query, record),
                Err(fault) => {
                    listings.entry(query.clone()).or_default().give_up();
                    // told once for each place
                    if read_fleet.read.remove(&query) {
                        read_fleet.failed.push((query, fault));
                    }
                }
            }
        }
        let complete = |region: &Region| {
            EngineKind::ALL.into_iter().all(|kind| {
                let query = Query::List(region.clone(), kind);
                read_fleet.read.contains(&query) && listings.get(&query).is_some_and(Listing::is_complete)
            })
        };
        read_fleet.left_out = left_out(scope, &read_fleet, view)
            .into_iter()
            .map(|(region, ids)| LeftOut { is_listed_completely: complete(&region), region, ids })
            .collect();
        read_fleet
    }

    /// Asks for engines that a listing left out. One that is then left out as well does not exist if the service counts
    /// no more engines than it shows. Where it does not take the filter, a complete listing of the region tells.
    pub(in crate::run) async fn ask_by_id(&self, left_out: &LeftOut, attempts: u32, view: &mut FleetView) {
        let LeftOut { region, ids, is_listed_completely } = left_out.clone();
        let mut calls = JoinSet::new();
        for ids in ids.chunks(MAX_IDS_PER_CALL) {
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
                view.mark_absent(&region, &id);
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
            match self.with_retries(&self.listing, attempts, call).await {
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
                    tells &= is_listed_completely && matches!(class_of(&fault), Some(ErrorClass::Final(_)));
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
        calls: &mut JoinSet<(Query, Result<Shown, CallError>)>,
        query: &Query,
        offset: u32,
        attempts: u32,
    ) {
        let (reader, query) = (self.clone(), query.clone());
        calls.spawn(async move {
            let shown = reader.call(&query, offset, attempts).await;
            (query, shown)
        });
    }

    async fn call(&self, query: &Query, offset: u32, attempts: u32) -> Result<Shown, CallError> {
        match query {
            Query::List(region, kind) => {
                let page = EnginePage { kind: *kind, offset, limit: MAX_PAGE_SIZE };
                let call = || self.fleet.engines(region, page);
                self.with_retries(&self.listing, attempts, call).await.map(Shown::Page)
            }
            Query::Engine(region, _, name) => {
                let call = || self.fleet.engine_by_name(region, name);
                match self.with_retries(&self.naming, attempts, call).await {
                    Err(CallError::Refused(refusal)) if refusal.code == NO_SUCH_ENGINE => {
                        Ok(Shown::Engine(None))
                    }
                    shown => shown.map(Shown::Engine),
                }
            }
        }
    }

    /// Lists the image versions for an engine type.
    pub async fn images(&self, region: &Region, engine_type: &str) -> Result<Vec<ImageRecord>, CallError> {
        self.with_retries(&self.images, self.options.max_attempts, || self.fleet.images(region, engine_type))
            .await
    }

    /// Calls through a gate until there is an answer, a refusal that will not pass, or no attempt left.
    async fn with_retries<T, Call>(
        &self,
        limiter: &Mutex<RateLimiter>,
        attempts: u32,
        call: impl Fn() -> Call,
    ) -> Result<T, CallError>
    where
        Call: Future<Output = Result<T, CallError>>,
    {
        let mut random = fastrand::Rng::new();
        let (mut failures, mut throttles, mut signature_expired, mut absences) = (0, 0, false, 0);
        loop {
            let fault = match self.once(limiter, &call).await {
                Ok(answer) => return Ok(answer),
                Err(fault) => fault,
            };
            tracing::debug!(%fault, "a reading call failed");
            let kind = kind_of(&fault);
            absences = if kind == Kind::Absent { absences + 1 } else { 0 };
            let tries = match kind {
                Kind::Throttled if throttles < MAX_THROTTLES => {
                    throttles += 1;
                    limiter.lock().await.throttled();
                    continue;
                }
                Kind::SignatureExpired if !signature_expired => {
                    signature_expired = true;
                    continue;
                }
                Kind::Absent if absences < ANSWERS_THAT_CONFIRM => absences,
                Kind::MayPass if failures + 1 < attempts => {
                    failures += 1;
                    failures
                }
                _ => return Err(fault),
            };
            until(Instant::now() + self.options.delays.transient.wait(tries, &mut random)).await;
        }
    }

    /// One call through a gate.
    async fn once<T, Call>(
        &self,
        limiter: &Mutex<RateLimiter>,
        call: &impl Fn() -> Call,
    ) -> Result<T, CallError>
    where
        Call: Future<Output = Result<T, CallError>>,
    {
        // before the gate, which counts on what it lets through leaving at once
        self.fleet.prepare().await?;
        {
            let mut limiter = limiter.lock().await;
            limiter.ready().await;
            limiter.start();
        }
        let limit = self.options.request_timeout;
        let answer = tokio::time::timeout(limit, call()).await.unwrap_or_else(|_| {
            Err(CallError::NoResponse { cause: format!("no answer within {limit:?}"), http_status: None })
        })?;
        limiter.lock().await.passed();
        Ok(answer)
    }
}

/// The engines that were looked for in listings of their region, all of which were read, and not shown.
fn left_out(scope: &Scope, read_fleet: &ReadResult, view: &FleetView) -> BTreeMap<Region, Vec<DataEngineId>> {
    let is_listed = |region: &Region| {
        let mut queries = scope.queries.iter().filter(|query| query.region() == region).peekable();
        queries.peek().is_some()
            && queries.all(|query| matches!(query, Query::List(..)) && read_fleet.read.contains(query))
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
    SignatureExpired,
    MayPass,
    /// The site has no such action, or does not serve the region.
    Absent,
    Final,
}

fn kind_of(fault: &CallError) -> Kind {
    match fault {
        CallError::Refused(refusal) => match look_up(&refusal.code).class {
            ErrorClass::Throttled => Kind::Throttled,
            ErrorClass::Final(ErrorScope::Region) => Kind::Absent,
            _ if refusal.code == INVALID_ACTION => Kind::Absent,
            _ if is_definitive(&refusal.code) => Kind::Final,
            _ => Kind::MayPass,
        },
        CallError::SignatureExpired(_) => Kind::SignatureExpired,
        CallError::NotSent { .. } | CallError::NoResponse { .. } => Kind::MayPass,
        CallError::Connection { .. } | CallError::NoCredentials { .. } => Kind::Final,
    }
}

/// The class of a refusal.
pub(in crate::run) fn class_of(fault: &CallError) -> Option<ErrorClass> {
    match fault {
        CallError::Refused(refusal) => Some(look_up(&refusal.code).class),
        _ => None,
    }
}
