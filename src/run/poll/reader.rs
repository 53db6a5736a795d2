//! Reads the fleet: listings page by page, or engines by name or id, through the rate limiter of each action. A read
//! changes nothing, so a call without a response is repeated.

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

/// Throttled responses to one call before it fails.
const MAX_THROTTLES: u32 = 100;

/// The code of the service for an action that it does not have.
pub(in crate::run) const INVALID_ACTION: &str = "InvalidAction";

/// Equal responses in a row that confirm that the service has no such action or does not serve a region: a gateway may
/// return one such response during a deployment.
const RESPONSES_THAT_CONFIRM: u32 = 3;

/// The code of the service for an engine that does not exist.
const NO_SUCH_ENGINE: &str = "ResourceNotFound.DataEngineNotFound";

/// Which queries of a read succeeded, and which failed.
#[derive(Clone, Debug)]
pub(in crate::run) struct ReadResult {
    /// The queries that were completed.
    pub(in crate::run) read: BTreeSet<Query>,
    /// The queries that failed, and why.
    pub(in crate::run) failed: Vec<(Query, CallError)>,
    /// The engines in scope that completed listings omitted.
    pub(in crate::run) omitted: Vec<Omitted>,
}

/// Engines that the listings of a region omitted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::run) struct Omitted {
    pub(in crate::run) region: Region,
    pub(in crate::run) ids: Vec<DataEngineId>,
    /// True if every kind was listed, with as many engines as the service counts.
    pub(in crate::run) is_listed_completely: bool,
}

/// The result of one call.
enum Shown {
    Page(EngineListing),
    Engine(Option<EngineRecord>),
}

/// Reads engines and images; each action has its own rate limiter.
#[derive(Debug)]
pub struct Reader<F> {
    fleet: Arc<F>,
    listing: Arc<Mutex<RateLimiter>>,
    by_name: Arc<Mutex<RateLimiter>>,
    images: Arc<Mutex<RateLimiter>>,
    pub(in crate::run) options: RunOptions,
}

impl<F> Clone for Reader<F> {
    fn clone(&self) -> Self {
        Self {
            fleet: Arc::clone(&self.fleet),
            listing: Arc::clone(&self.listing),
            by_name: Arc::clone(&self.by_name),
            images: Arc::clone(&self.images),
            options: self.options,
        }
    }
}

impl<F: Fleet> Reader<F> {
    /// A reader with rate limiters at the documented limit.
    pub fn new(fleet: Arc<F>, options: RunOptions) -> Self {
        let limiter = || Arc::new(Mutex::new(RateLimiter::new(Rate::FULL)));
        Self { fleet, listing: limiter(), by_name: limiter(), images: limiter(), options }
    }

    /// Seconds by which the clock of the service is ahead of the clock of this machine, as far as known.
    pub fn clock_ahead(&self) -> i64 {
        self.fleet.clock_ahead()
    }

    /// Reads parts of the fleet and adds the records to a view.
    pub(in crate::run) async fn read_fleet(
        &self,
        scope: &Scope,
        attempts: u32,
        view: &mut FleetView,
    ) -> ReadResult {
        let mut result = ReadResult { read: scope.queries.clone(), failed: Vec::new(), omitted: Vec::new() };
        let mut calls = JoinSet::new();
        let mut listings: BTreeMap<Query, Listing> = BTreeMap::new();
        for query in &scope.queries {
            let listing = listings.entry(query.clone()).or_default();
            while let Some(offset) = listing.next_page() {
                self.spawn_call(&mut calls, query, offset, attempts);
            }
        }
        while let Some(finished) = calls.join_next().await {
            // a panic in a call is an internal error and continues in this task
            let (query, shown) =
                finished.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()));
            match shown {
                Ok(Shown::Page(page)) => {
                    let listing = listings.entry(query.clone()).or_default();
                    listing.add(&page);
                    while let Some(offset) = listing.next_page() {
                        self.spawn_call(&mut calls, &query, offset, attempts);
                    }
                    view.add_records(query.region(), page.engines);
                }
                Ok(Shown::Engine(record)) => view.add_named(&query, record),
                Err(fault) => {
                    listings.entry(query.clone()).or_default().stop();
                    // each query is reported once
                    if result.read.remove(&query) {
                        result.failed.push((query, fault));
                    }
                }
            }
        }
        let complete = |region: &Region| {
            EngineKind::ALL.into_iter().all(|kind| {
                let query = Query::List(region.clone(), kind);
                result.read.contains(&query) && listings.get(&query).is_some_and(Listing::is_complete)
            })
        };
        result.omitted = omitted(scope, &result, view)
            .into_iter()
            .map(|(region, ids)| Omitted { is_listed_completely: complete(&region), region, ids })
            .collect();
        result
    }

    /// Queries engines by id that a listing omitted. An engine that this omits as well does not exist, if the service counts
    /// no more engines than it shows. If the service does not accept the filter, a complete listing of the region is the
    /// proof.
    pub(in crate::run) async fn query_by_id(&self, omitted: &Omitted, attempts: u32, view: &mut FleetView) {
        let Omitted { region, ids, is_listed_completely } = omitted.clone();
        let mut calls = JoinSet::new();
        for ids in ids.chunks(MAX_IDS_PER_CALL) {
            let (reader, region, ids) = (self.clone(), region.clone(), ids.to_vec());
            calls
                .spawn(async move { reader.query_chunk(&region, ids, is_listed_completely, attempts).await });
        }
        while let Some(finished) = calls.join_next().await {
            // a panic in a call is an internal error and continues in this task
            let (shown, absent) =
                finished.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()));
            view.add_records(&region, shown);
            for id in absent {
                view.mark_absent(&region, &id);
            }
        }
    }

    /// Queries as many engines as one call may contain, once for each kind. Returns the records and the engines that do not
    /// exist.
    async fn query_chunk(
        &self,
        region: &Region,
        mut ids: Vec<DataEngineId>,
        is_listed_completely: bool,
        attempts: u32,
    ) -> (Vec<EngineRecord>, Vec<DataEngineId>) {
        let mut records = Vec::new();
        let mut proves_absence = true;
        for kind in EngineKind::ALL {
            if ids.is_empty() {
                break;
            }
            let call = || self.fleet.engines_by_id(region, kind, &ids);
            match self.with_retries(&self.listing, attempts, call).await {
                Ok(page) => {
                    // a response can contain one record twice in place of another one
                    let shown: HashSet<_> =
                        page.engines.iter().map(|record| record.data_engine_id.clone()).collect();
                    proves_absence &= page.total as usize <= shown.len();
                    ids.retain(|id| !shown.contains(id));
                    records.extend(page.engines);
                }
                Err(fault) => {
                    tracing::debug!(%fault, "query of engines by id failed");
                    proves_absence &=
                        is_listed_completely && matches!(class_of(&fault), Some(ErrorClass::Final(_)));
                }
            }
        }
        if !proves_absence {
            ids.clear();
        }
        (records, ids)
    }

    fn spawn_call(
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
                match self.with_retries(&self.by_name, attempts, call).await {
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

    /// Calls through a rate limiter until there is a result, a permanent error, or no attempt left.
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
                Ok(result) => return Ok(result),
                Err(fault) => fault,
            };
            tracing::debug!(%fault, "read failed");
            let kind = error_kind(&fault);
            absences = if kind == ErrorKind::Absent { absences + 1 } else { 0 };
            let tries = match kind {
                ErrorKind::Throttled if throttles < MAX_THROTTLES => {
                    throttles += 1;
                    limiter.lock().await.throttled();
                    continue;
                }
                ErrorKind::SignatureExpired if !signature_expired => {
                    signature_expired = true;
                    continue;
                }
                ErrorKind::Absent if absences < RESPONSES_THAT_CONFIRM => absences,
                ErrorKind::Temporary if failures + 1 < attempts => {
                    failures += 1;
                    failures
                }
                _ => return Err(fault),
            };
            until(Instant::now() + self.options.delays.transient.wait(tries, &mut random)).await;
        }
    }

    /// Makes one call through a rate limiter.
    async fn once<T, Call>(
        &self,
        limiter: &Mutex<RateLimiter>,
        call: &impl Fn() -> Call,
    ) -> Result<T, CallError>
    where
        Call: Future<Output = Result<T, CallError>>,
    {
        // before the rate limiter, which assumes that each call it allows is sent at once
        self.fleet.prepare().await?;
        {
            let mut limiter = limiter.lock().await;
            limiter.ready().await;
            limiter.start();
        }
        let limit = self.options.request_timeout;
        let result = tokio::time::timeout(limit, call()).await.unwrap_or_else(|_| {
            Err(CallError::NoResponse { cause: format!("no response within {limit:?}"), http_status: None })
        })?;
        limiter.lock().await.not_throttled();
        Ok(result)
    }
}

/// The engines in scope that the listings of their region do not show, if all of these listings were completed.
fn omitted(scope: &Scope, result: &ReadResult, view: &FleetView) -> BTreeMap<Region, Vec<DataEngineId>> {
    let is_listed = |region: &Region| {
        let mut queries = scope.queries.iter().filter(|query| query.region() == region).peekable();
        queries.peek().is_some()
            && queries.all(|query| matches!(query, Query::List(..)) && result.read.contains(query))
    };
    let mut omitted: BTreeMap<Region, Vec<DataEngineId>> = BTreeMap::new();
    for (region, id) in &scope.engines {
        if !view.shows(region, id) && is_listed(region) {
            omitted.entry(region.clone()).or_default().push(id.clone());
        }
    }
    omitted
}

#[derive(PartialEq)]
enum ErrorKind {
    Throttled,
    SignatureExpired,
    Temporary,
    /// The service has no such action, or does not serve the region.
    Absent,
    Final,
}

fn error_kind(fault: &CallError) -> ErrorKind {
    match fault {
        CallError::Refused(refusal) => match look_up(&refusal.code).class {
            ErrorClass::Throttled => ErrorKind::Throttled,
            ErrorClass::Final(ErrorScope::Region) => ErrorKind::Absent,
            _ if refusal.code == INVALID_ACTION => ErrorKind::Absent,
            _ if is_definitive(&refusal.code) => ErrorKind::Final,
            _ => ErrorKind::Temporary,
        },
        CallError::SignatureExpired(_) => ErrorKind::SignatureExpired,
        CallError::NotSent { .. } | CallError::NoResponse { .. } => ErrorKind::Temporary,
        CallError::Connection { .. } | CallError::NoCredentials { .. } => ErrorKind::Final,
    }
}

/// The class of a refusal.
pub(in crate::run) fn class_of(fault: &CallError) -> Option<ErrorClass> {
    match fault {
        CallError::Refused(refusal) => Some(look_up(&refusal.code).class),
        _ => None,
    }
}
