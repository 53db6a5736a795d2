//! Decides when to read the fleet and which part of it. At most one read runs at a time for each region, or for each
//! engine where engines are read by name, so a region or an engine that does not respond delays no other one.

mod listing;
mod reader;
pub(super) mod scope;
mod survey;

pub use reader::Reader;
pub use survey::SurveyError;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::Instant;

use super::fleet_view::FleetView;
use super::job_state::JobState;
use super::job_table::JobTable;
use super::options::RunOptions;
use super::query::Query;
use super::reasons::reading_failed;
use crate::cloud::Fleet;
use crate::job::{DataEngineId, JobIndex, Reason, Region};
use reader::ReadResult;
use scope::Scope;

/// Attempts for a call of a poll. The next poll comes anyway, so more attempts are not needed.
const ATTEMPTS: u32 = 2;

/// How old the last read of an engine may be while its job waits to be sent, as far as the read rate allows it.
const MAX_AGE: Duration = Duration::from_secs(30);

/// Engines that are read by name concurrently: as many as the rate limiter allows in two seconds, so that the engine that
/// has waited longest is read next.
const MAX_READS: usize = 40;

/// The result of one poll.
pub(super) struct PollResult {
    /// When it started. What happened later is not in it.
    pub(super) started: Instant,
    /// The region that was read.
    region: Region,
    /// The job whose engine was read, if engines are read by name.
    pub(super) job: Option<JobIndex>,
    /// The engines that were queried by their ids because a listing omitted them.
    pub(super) by_id: Option<BTreeSet<DataEngineId>>,
    /// What the poll shows.
    pub(super) view: FleetView,
    /// Which queries succeeded, and which failed.
    pub(super) reads: ReadResult,
}

/// The polls of one region or one engine.
#[derive(Clone, Copy, Debug, Default)]
struct PollState {
    /// True while a poll runs.
    is_running: bool,
    /// Polls in a row in which every query failed.
    failures: u32,
    /// The next poll starts no earlier than this, after a failure.
    not_before: Option<Instant>,
}

/// Starts polls and collects their results.
pub(super) struct Poller<F> {
    reader: Reader<F>,
    by_name: bool,
    running: JoinSet<PollResult>,
    regions: BTreeMap<Region, PollState>,
    /// Only if engines are read by name.
    engines: HashMap<JobIndex, PollState>,
    /// When each engine was last read by name.
    last_by_name: HashMap<JobIndex, Instant>,
    /// Regions in which a query by id runs.
    querying_by_id: BTreeSet<Region>,
    /// When the latest routine poll started.
    last_routine: Option<Instant>,
    /// When the engines of jobs that wait to be sent were last read.
    last_of_waiting: Instant,
    /// Why a query of the latest poll failed.
    last_error: Option<Reason>,
}

impl<F: Fleet> Poller<F> {
    /// A poller for a fleet that was just surveyed.
    pub(super) fn new(reader: Reader<F>, by_name: bool) -> Self {
        Self {
            reader,
            by_name,
            running: JoinSet::new(),
            regions: BTreeMap::new(),
            engines: HashMap::new(),
            last_by_name: HashMap::new(),
            querying_by_id: BTreeSet::new(),
            last_routine: None,
            last_of_waiting: Instant::now(),
            last_error: None,
        }
    }

    pub(super) fn is_running(&self) -> bool {
        !self.running.is_empty()
    }

    /// Why a query of the latest poll failed; none if all succeeded.
    pub(super) fn last_error(&self) -> Option<&Reason> {
        self.last_error.as_ref()
    }

    /// When the next poll is due.
    pub(super) fn due(&self, job_table: &JobTable, options: &RunOptions) -> Option<Instant> {
        if self.free_slots() == 0 {
            return None;
        }
        let reads =
            job_table.under_way().filter_map(|job_state| self.read_due(job_table, job_state, options));
        let soaked =
            job_table.waves.reads_due().filter_map(|(job, due)| self.earliest_start(job_table, job, due));
        let waiting = job_table.next_to_send().and_then(|index| self.waiting_due(job_table, index));
        reads.chain(soaked).chain(waiting).min()
    }

    /// How many polls may start now. Only reads by name are limited: there are few regions, but many engines.
    fn free_slots(&self) -> usize {
        if self.by_name { MAX_READS.saturating_sub(self.running.len()) } else { usize::MAX }
    }

    /// When a read for a job is due and can start.
    fn read_due(&self, job_table: &JobTable, job_state: &JobState, options: &RunOptions) -> Option<Instant> {
        let last =
            if self.by_name { self.last_by_name.get(&job_state.job).copied() } else { self.last_routine };
        let routine = job_state.routine_read_due(last, options);
        let due = [job_state.urgent_read_due(), routine].into_iter().flatten().min()?;
        self.earliest_start(job_table, job_state.job, due)
    }

    /// When the last read of the engine of a job that waits to be sent becomes too old, and a read can start.
    fn waiting_due(&self, job_table: &JobTable, index: JobIndex) -> Option<Instant> {
        let last = self.last_by_name.get(&index).copied().unwrap_or(self.last_of_waiting);
        self.earliest_start(job_table, index, last + MAX_AGE)
    }

    /// When a read that is due can start; none while one is running.
    fn earliest_start(&self, job_table: &JobTable, index: JobIndex, due: Instant) -> Option<Instant> {
        let job = job_table.job(index);
        let state = match self.by_name {
            true if job.data_engine_name.is_none() => return None,
            true => self.engines.get(&index),
            false => self.regions.get(&job.key.region),
        };
        let state = state.copied().unwrap_or_default();
        (!state.is_running).then(|| state.not_before.map_or(due, |not_before| due.max(not_before)))
    }

    /// Starts the polls that are due.
    pub(super) fn start_if_due(&mut self, job_table: &JobTable, view: &FleetView, options: &RunOptions) {
        let now = Instant::now();
        if self.due(job_table, options).is_none_or(|due| due > now) {
            return;
        }
        if self.by_name {
            self.read_by_name(job_table, view, options, now);
        } else {
            self.list(job_table, view, options, now);
        }
    }

    /// Starts listings. An urgent read, without which jobs cannot continue, covers only the parts of the fleet with their
    /// engines, and does not delay the next routine poll.
    fn list(&mut self, job_table: &JobTable, view: &FleetView, options: &RunOptions, now: Instant) {
        for (region, scope) in self.scope(job_table, view, options, now).by_region() {
            let state = self.regions.entry(region.clone()).or_default();
            if state.is_running || state.not_before.is_some_and(|not_before| not_before > now) {
                continue;
            }
            state.is_running = true;
            self.start(region, None, scope, view, now);
        }
    }

    /// Starts reads of engines by name. The reads that have been due longest come first.
    fn read_by_name(&mut self, job_table: &JobTable, view: &FleetView, options: &RunOptions, now: Instant) {
        let read =
            |job_state: &JobState| Some((self.read_due(job_table, job_state, options)?, job_state.job));
        let waiting =
            |job_state: &JobState| Some((self.waiting_due(job_table, job_state.job)?, job_state.job));
        let reads = job_table.under_way().filter_map(read);
        // only the jobs that are sent next need a recent read
        let soaked = job_table
            .waves
            .reads_due()
            .filter_map(|(job, due)| Some((self.earliest_start(job_table, job, due)?, job)));
        let wanted = reads.chain(soaked).chain(job_table.ready().take(MAX_READS).filter_map(waiting));
        let mut due: Vec<(Instant, JobIndex)> = wanted.filter(|(due, _)| *due <= now).collect();
        due.sort_unstable();
        for (_, index) in due.into_iter().take(self.free_slots()) {
            let job = job_table.job(index);
            if Query::by_name(job).is_none() {
                continue;
            }
            self.engines.entry(index).or_default().is_running = true;
            self.last_by_name.insert(index, now);
            let scope = Scope::of([job], view);
            self.start(job.key.region.clone(), Some(index), scope, view, now);
        }
    }

    fn start(
        &mut self,
        region: Region,
        job: Option<JobIndex>,
        scope: Scope,
        known: &FleetView,
        started: Instant,
    ) {
        let reader = self.reader.clone();
        let mut view = known.before_read();
        self.running.spawn(async move {
            let reads = reader.read_fleet(&scope, ATTEMPTS, &mut view).await;
            PollResult { started, region, job, by_id: None, view, reads }
        });
    }

    /// Queries the engines by id that listings omitted. This delays neither the next listing of the region nor the use of
    /// the last one.
    pub(super) fn query_omitted(&mut self, polled: &PollResult, known: &FleetView) {
        for omitted in polled.reads.omitted.clone() {
            if !self.querying_by_id.insert(omitted.region.clone()) {
                continue;
            }
            let (reader, started) = (self.reader.clone(), Instant::now());
            let mut view = known.before_read();
            let read = polled.reads.read.clone();
            self.running.spawn(async move {
                reader.query_by_id(&omitted, ATTEMPTS, &mut view).await;
                let reads = ReadResult { read, failed: Vec::new(), omitted: Vec::new() };
                let by_id = Some(omitted.ids.into_iter().collect());
                PollResult { started, region: omitted.region, job: None, by_id, view, reads }
            });
        }
    }

    /// The parts of the fleet that must be read now.
    fn scope(&mut self, job_table: &JobTable, view: &FleetView, options: &RunOptions, now: Instant) -> Scope {
        let urgent = |job_state: &&JobState| job_state.urgent_read_due().is_some_and(|due| due <= now);
        let mut scope = Scope::default();
        let mut add = |index| scope.add(job_table.job(index), view);
        job_table.under_way().filter(urgent).for_each(|job_state| add(job_state.job));
        job_table.waves.reads_due().filter(|(_, due)| *due <= now).for_each(|(job, _)| add(job));
        let routine = |job_state: &JobState| job_state.routine_read_due(self.last_routine, options);
        if job_table.under_way().filter_map(routine).any(|due| due <= now) {
            self.last_routine = Some(now);
            let wanted = |job_state: &&JobState| job_state.routine_read_due(None, options).is_some();
            job_table.under_way().filter(wanted).for_each(|job_state| add(job_state.job));
        }
        if now >= self.last_of_waiting + MAX_AGE {
            self.last_of_waiting = now;
            job_table.ready().for_each(|job_state| add(job_state.job));
        }
        scope
    }

    /// Waits for the next poll to finish; none if none is running.
    pub(super) async fn next(&mut self) -> Option<PollResult> {
        let polled = self.running.join_next().await?;
        // a panic in a poll is an internal error and continues in this task
        Some(polled.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic())))
    }

    /// Schedules the next poll of the same region or engine: with a growing backoff if every query failed.
    pub(super) fn on_result(
        &mut self,
        polled: &PollResult,
        options: &RunOptions,
        random: &mut fastrand::Rng,
    ) {
        if polled.by_id.is_some() {
            self.querying_by_id.remove(&polled.region);
            return;
        }
        let now = Instant::now();
        self.last_error = polled.reads.failed.first().map(|(_, fault)| reading_failed(fault));
        let state = match polled.job {
            Some(job) => self.engines.entry(job).or_default(),
            None => self.regions.entry(polled.region.clone()).or_default(),
        };
        state.is_running = false;
        state.failures = if polled.reads.read.is_empty() { state.failures + 1 } else { 0 };
        state.not_before = match (polled.reads.failed.is_empty(), state.failures) {
            (true, _) => None,
            (false, 0) => Some(now + options.poll_interval),
            (false, failures) => Some(now + options.delays.transient.wait(failures, random)),
        };
    }
}
