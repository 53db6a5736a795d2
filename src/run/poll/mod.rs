//! When the fleet is looked at, for all jobs that want it: one look at a time in each region, or of each engine where
//! engines are asked for by name, so that what does not answer holds up nobody but itself.

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

/// Attempts for a call of a sweep. Poller come again anyway, so a call is not waited for any longer.
const ATTEMPTS: u32 = 2;

/// While jobs wait to be sent, what is known of their engines is never much older than this, as far as the limit for
/// reading lets it.
const FRESH: Duration = Duration::from_secs(30);

/// Engines that are asked for by name at once: what the gate lets through in two seconds, so that whoever has waited
/// longest goes next.
const MAX_READS: usize = 40;

/// What a sweep brought.
pub(super) struct PollResult {
    /// When it was asked for; whatever happened later is not in it.
    pub(super) asked: Instant,
    /// Where.
    region: Region,
    /// For whom, where an engine was asked for by name.
    pub(super) job: Option<JobIndex>,
    /// The engines that were asked for by their ids, because a listing had left them out.
    pub(super) by_id: Option<BTreeSet<DataEngineId>>,
    /// What it shows of the parts of the fleet that could be read.
    pub(super) view: FleetView,
    /// Which parts could be read, and which not.
    pub(super) reads: ReadResult,
}

/// How it goes in one region, or with one engine.
#[derive(Clone, Copy, Debug, Default)]
struct Going {
    /// True while a sweep is under way.
    busy: bool,
    /// Poller in a row that could read nothing.
    failures: u32,
    /// Nothing begins before this, after a failure.
    not_before: Option<Instant>,
}

/// Begins sweeps and collects them.
pub(super) struct Poller<F> {
    reader: Reader<F>,
    by_name: bool,
    under_way: JoinSet<PollResult>,
    regions: BTreeMap<Region, Going>,
    /// Where engines are asked for by name.
    engines: HashMap<JobIndex, Going>,
    /// When each engine was asked for by name last.
    asked: HashMap<JobIndex, Instant>,
    /// Regions in which engines are being asked for by their ids.
    asking_by_id: BTreeSet<Region>,
    /// When the latest sweep for everybody began.
    last_routine: Option<Instant>,
    /// When the engines of jobs that wait to be sent were last asked for.
    last_fresh: Instant,
    /// Why the latest sweep could not read all that it was to read.
    last_error: Option<Reason>,
}

impl<F: Fleet> Poller<F> {
    /// Poller of a fleet that was just surveyed.
    pub(super) fn new(reader: Reader<F>, by_name: bool) -> Self {
        Self {
            reader,
            by_name,
            under_way: JoinSet::new(),
            regions: BTreeMap::new(),
            engines: HashMap::new(),
            asked: HashMap::new(),
            asking_by_id: BTreeSet::new(),
            last_routine: None,
            last_fresh: Instant::now(),
            last_error: None,
        }
    }

    pub(super) fn is_under_way(&self) -> bool {
        !self.under_way.is_empty()
    }

    /// Why the latest sweep could not read all that it was to read; none where it could.
    pub(super) fn last_error(&self) -> Option<&Reason> {
        self.last_error.as_ref()
    }

    /// When the next sweep is wanted.
    pub(super) fn due(&self, job_table: &JobTable, options: &RunOptions) -> Option<Instant> {
        if self.free() == 0 {
            return None;
        }
        let looks =
            job_table.under_way().filter_map(|job_state| self.read_due(job_table, job_state, options));
        let soaked = job_table.waves.reads_due().filter_map(|(job, due)| self.possible(job_table, job, due));
        let fresh = job_table.next_to_send().and_then(|index| self.fresh_due(job_table, index));
        looks.chain(soaked).chain(fresh).min()
    }

    /// Poller that may begin now. There are not many regions, but many engines.
    fn free(&self) -> usize {
        if self.by_name { MAX_READS.saturating_sub(self.under_way.len()) } else { usize::MAX }
    }

    /// When a look for a job is wanted and can begin.
    fn read_due(&self, job_table: &JobTable, job_state: &JobState, options: &RunOptions) -> Option<Instant> {
        let last = if self.by_name { self.asked.get(&job_state.job).copied() } else { self.last_routine };
        let routine = job_state.routine_read_due(last, options);
        let due = [job_state.urgent_read_due(), routine].into_iter().flatten().min()?;
        self.possible(job_table, job_state.job, due)
    }

    /// When what is known of the engine of a job that waits to be sent is too old, and a look can begin.
    fn fresh_due(&self, job_table: &JobTable, index: JobIndex) -> Option<Instant> {
        let last = self.asked.get(&index).copied().unwrap_or(self.last_fresh);
        self.possible(job_table, index, last + FRESH)
    }

    /// When a look that is wanted can begin; none while one is under way.
    fn possible(&self, job_table: &JobTable, index: JobIndex, due: Instant) -> Option<Instant> {
        let job = job_table.job(index);
        let going = match self.by_name {
            true if job.data_engine_name.is_none() => return None,
            true => self.engines.get(&index),
            false => self.regions.get(&job.key.region),
        };
        let going = going.copied().unwrap_or_default();
        (!going.busy).then(|| going.not_before.map_or(due, |not_before| due.max(not_before)))
    }

    /// Begins the sweeps that are due.
    pub(super) fn begin_if_due(&mut self, job_table: &JobTable, view: &FleetView, options: &RunOptions) {
        let asked = Instant::now();
        if self.due(job_table, options).is_none_or(|due| due > asked) {
            return;
        }
        if self.by_name {
            self.ask_by_name(job_table, view, options, asked);
        } else {
            self.list(job_table, view, options, asked);
        }
    }

    /// Begins listings. What comes before its time, because jobs cannot go on without it, covers only the parts of
    /// the fleet that hold their engines, and does not put off the next sweep for everybody.
    fn list(&mut self, job_table: &JobTable, view: &FleetView, options: &RunOptions, asked: Instant) {
        for (region, scope) in self.scope(job_table, view, options, asked).by_region() {
            let going = self.regions.entry(region.clone()).or_default();
            if going.busy || going.not_before.is_some_and(|not_before| not_before > asked) {
                continue;
            }
            going.busy = true;
            self.begin(region, None, scope, view, asked);
        }
    }

    /// Asks for engines by name, those first whose look has been due for longest.
    fn ask_by_name(&mut self, job_table: &JobTable, view: &FleetView, options: &RunOptions, now: Instant) {
        let look =
            |job_state: &JobState| Some((self.read_due(job_table, job_state, options)?, job_state.job));
        let fresh = |job_state: &JobState| Some((self.fresh_due(job_table, job_state.job)?, job_state.job));
        let looks = job_table.under_way().filter_map(look);
        // those that go next; the others have time
        let soaked = job_table
            .waves
            .reads_due()
            .filter_map(|(job, due)| Some((self.possible(job_table, job, due)?, job)));
        let wanted = looks.chain(soaked).chain(job_table.ready().take(MAX_READS).filter_map(fresh));
        let mut due: Vec<(Instant, JobIndex)> = wanted.filter(|(due, _)| *due <= now).collect();
        due.sort_unstable();
        for (_, index) in due.into_iter().take(self.free()) {
            let job = job_table.job(index);
            if Query::by_name(job).is_none() {
                continue;
            }
            self.engines.entry(index).or_default().busy = true;
            self.asked.insert(index, now);
            let scope = Scope::of([job], view);
            self.begin(job.key.region.clone(), Some(index), scope, view, now);
        }
    }

    fn begin(
        &mut self,
        region: Region,
        job: Option<JobIndex>,
        scope: Scope,
        known: &FleetView,
        asked: Instant,
    ) {
        let reader = self.reader.clone();
        let mut view = known.before_read();
        self.under_way.spawn(async move {
            let reads = reader.read_fleet(&scope, ATTEMPTS, &mut view).await;
            PollResult { asked, region, job, by_id: None, view, reads }
        });
    }

    /// Asks by their ids for the engines that listings left out. This holds up neither the next listing of the region nor
    /// what the last one showed.
    pub(super) fn ask_for_left_out(&mut self, polled: &PollResult, known: &FleetView) {
        for left_out in polled.reads.left_out.clone() {
            if !self.asking_by_id.insert(left_out.region.clone()) {
                continue;
            }
            let (reader, asked) = (self.reader.clone(), Instant::now());
            let mut view = known.before_read();
            let read = polled.reads.read.clone();
            self.under_way.spawn(async move {
                reader.ask_by_id(&left_out, ATTEMPTS, &mut view).await;
                let reads = ReadResult { read, failed: Vec::new(), left_out: Vec::new() };
                let by_id = Some(left_out.ids.into_iter().collect());
                PollResult { asked, region: left_out.region, job: None, by_id, view, reads }
            });
        }
    }

    /// The parts of the fleet that are wanted now.
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
        if now >= self.last_fresh + FRESH {
            self.last_fresh = now;
            job_table.ready().for_each(|job_state| add(job_state.job));
        }
        scope
    }

    /// A sweep that was under way, once it is done.
    pub(super) async fn next(&mut self) -> Option<PollResult> {
        let polled = self.under_way.join_next().await?;
        // a panic in a sweep is a defect of ours and goes where all panics go
        Some(polled.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic())))
    }

    /// Notes how a sweep went: after one that could read nothing the next in its place waits longer and longer.
    pub(super) fn note(&mut self, polled: &PollResult, options: &RunOptions, random: &mut fastrand::Rng) {
        if polled.by_id.is_some() {
            self.asking_by_id.remove(&polled.region);
            return;
        }
        let now = Instant::now();
        self.last_error = polled.reads.failed.first().map(|(_, fault)| reading_failed(fault));
        let going = match polled.job {
            Some(job) => self.engines.entry(job).or_default(),
            None => self.regions.entry(polled.region.clone()).or_default(),
        };
        going.busy = false;
        going.failures = if polled.reads.read.is_empty() { going.failures + 1 } else { 0 };
        going.not_before = match (polled.reads.failed.is_empty(), going.failures) {
            (true, _) => None,
            (false, 0) => Some(now + options.poll_interval),
            (false, failures) => Some(now + options.delays.transient.wait(failures, random)),
        };
    }
}
