//! All jobs of a run: who may go next, and what is held back.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::fleet_view::FleetView;
use super::job_state::Snapshot;
use super::job_state::{Change, JobState, Phase};
use super::options::RunOptions;
use super::poll::scope::queries_for;
use super::query::Query;
use super::reasons::{self, found};
use super::waves::{WaveStep, Waves};
use crate::job::{DataEngineId, ImageVersionId, Job, JobIndex, Reason, Region};
use crate::ledger::Past;

/// The jobs and where each of them is. A plan may have a hundred thousand rows, and a turn of the dispatcher must
/// not look at all of them: it looks at queues, counts and the jobs that are under way.
#[derive(Debug)]
pub(super) struct JobTable {
    pub(super) jobs: Arc<[Job]>,
    pub(super) job_states: Vec<JobState>,
    /// Jobs that go again. They come before the fresh ones: their wave waits for them.
    again: VecDeque<JobIndex>,
    /// Jobs of the open waves that have not gone yet.
    fresh: VecDeque<JobIndex>,
    /// The job whose request leaves next.
    next_send: Option<JobIndex>,
    /// Jobs that time or a look may change.
    under_way: BTreeSet<JobIndex>,
    pub(super) waves: Waves,
    /// Targets that were refused for all engines of a region, and why.
    held_images: HashMap<(Region, ImageVersionId), Reason>,
    /// Regions that were refused, and why.
    held_regions: HashMap<Region, Reason>,
    /// True until the jobs are ended that were held back last.
    newly_held: bool,
}

impl JobTable {
    pub(super) fn new(jobs: Arc<[Job]>, pasts: Vec<Past>, waves: Waves) -> Self {
        Self {
            job_states: (0..jobs.len())
                .map(JobIndex)
                .zip(pasts)
                .map(|(index, past)| JobState::new(index, past))
                .collect(),
            jobs,
            again: VecDeque::new(),
            fresh: VecDeque::new(),
            next_send: None,
            under_way: BTreeSet::new(),
            waves,
            held_images: HashMap::new(),
            held_regions: HashMap::new(),
            newly_held: false,
        }
    }

    pub(super) fn job(&self, index: JobIndex) -> &Job {
        &self.jobs[index.0]
    }

    pub(super) fn job_state(&self, index: JobIndex) -> &JobState {
        &self.job_states[index.0]
    }

    /// Notes what a change means for the wave of its job.
    pub(super) fn note(&mut self, change: &Change) {
        self.waves.note(self.jobs[change.job_state.job.0].wave, change);
    }

    /// Makes a change that is on record true. A job that could go but whose wave has not opened waits for it.
    pub(super) fn commit(&mut self, mut job_state: JobState) {
        let (index, wave) = (job_state.job, self.job(job_state.job).wave);
        if job_state.phase == Phase::Ready && !self.waves.is_open(wave) {
            job_state.phase = Phase::Queued;
        }
        let before = std::mem::replace(&mut self.job_states[index.0], job_state);
        let after = &self.job_states[index.0];
        if after.phase == Phase::Ready && before.phase != Phase::Ready {
            let went_before = after.attempts > 0 || before.phase == Phase::InFlight;
            let queue = if went_before { &mut self.again } else { &mut self.fresh };
            queue.push_back(index);
        }
        // what is no longer ready leaves a queue when it comes to the front, which costs nothing
        for queue in [&mut self.again, &mut self.fresh] {
            while queue.front().is_some_and(|front| self.job_states[front.0].phase != Phase::Ready) {
                queue.pop_front();
            }
        }
        if before.phase == Phase::AwaitingLimiter {
            self.next_send = None;
        }
        let after = &self.job_states[index.0];
        if after.phase == Phase::AwaitingLimiter {
            self.next_send = Some(index);
        }
        if matches!(after.phase, Phase::Queued | Phase::Ready | Phase::Ended(_)) {
            self.under_way.remove(&index);
        } else {
            self.under_way.insert(index);
        }
        if after.has_ended() && !before.has_ended() {
            self.waves.job_ended(wave);
        }
    }

    /// The next job that may go.
    pub(super) fn next_to_send(&self) -> Option<JobIndex> {
        self.again.front().or_else(|| self.fresh.front()).copied()
    }

    /// The job whose request leaves next, its intent being on record.
    pub(super) fn next_send(&self) -> Option<&JobState> {
        self.next_send.map(|index| self.job_state(index))
    }

    /// Jobs that time or a look may change.
    pub(super) fn under_way(&self) -> impl Iterator<Item = &JobState> {
        self.under_way.iter().map(|index| self.job_state(*index))
    }

    /// True when no job has anything left to do, and no wave soaks.
    pub(super) fn is_done(&self) -> bool {
        self.waves.are_over()
    }

    /// Holds back every job with this target in this region, from now on.
    pub(super) fn hold_image(&mut self, index: JobIndex, because: &Reason) {
        let key = &self.jobs[index.0].key;
        let image = (key.region.clone(), key.new_image_version_id.clone());
        self.held_images.entry(image).or_insert_with(|| held_back(because));
        self.newly_held = true;
    }

    /// Holds back every job of this region, from now on.
    pub(super) fn hold_region(&mut self, index: JobIndex, because: &Reason) {
        let region = self.jobs[index.0].key.region.clone();
        self.held_regions.entry(region).or_insert_with(|| held_back(because));
        self.newly_held = true;
    }

    /// Ends a job that is held back and has nothing under way.
    fn end_if_held(&self, job_state: &JobState) -> Option<Change> {
        if self.held_images.is_empty() && self.held_regions.is_empty() {
            return None;
        }
        let key = &self.job(job_state.job).key;
        let image = (key.region.clone(), key.new_image_version_id.clone());
        let reason = self.held_regions.get(&key.region).or_else(|| self.held_images.get(&image))?;
        job_state.skip_held(reason.clone())
    }

    /// Ends jobs that are held back and have nothing under way: all of them where something has come to be held
    /// back, else those among the jobs that just changed.
    pub(super) fn end_held(&mut self, changed: &[JobIndex]) -> Vec<Change> {
        if std::mem::take(&mut self.newly_held) {
            return self.job_states.iter().filter_map(|job_state| self.end_if_held(job_state)).collect();
        }
        changed.iter().filter_map(|index| self.end_if_held(self.job_state(*index))).collect()
    }

    /// Jobs that have not ended, in plan order.
    pub(super) fn unfinished(&self) -> impl Iterator<Item = &JobState> {
        self.job_states.iter().filter(|job_state| !job_state.has_ended())
    }

    /// Takes the current wave one step further, where one is due.
    pub(super) fn advance_wave(
        &mut self,
        now: Instant,
        is_stopping: bool,
        options: &RunOptions,
    ) -> Option<WaveStep> {
        let (jobs, job_states) = (&self.jobs, &self.job_states);
        let results = job_states.iter().filter_map(|state| match &state.phase {
            Phase::Ended(result) => Some((state.job, result.outcome)),
            _ => None,
        });
        let step = self.waves.advance(jobs, results, now, is_stopping, options)?;
        if let Some(wave) = step.started {
            self.start_wave(wave, now, options);
        }
        Some(step)
    }

    /// Lets the jobs of a wave that has started be sent. They are read again first, since time has passed.
    fn start_wave(&mut self, wave: usize, now: Instant, options: &RunOptions) {
        let phase = if options.verify { JobState::looking(now) } else { Phase::Ready };
        let starts = |state: &&JobState| self.job(state.job).wave == wave && state.phase == Phase::Queued;
        let starting: Vec<JobState> = self
            .job_states
            .iter()
            .filter(starts)
            .map(|state| state.to(phase.clone(), Vec::new()).job_state)
            .collect();
        for job_state in starting {
            self.commit(job_state);
        }
    }

    /// This process stood still: no wait of a job or a wave ends because of that time, or before a complete read.
    pub(super) fn extend_waits(&mut self, lost: Duration, now: Instant) {
        for index in &self.under_way {
            self.job_states[index.0].extend_wait(lost, now);
        }
        self.waves.extend_wait(now);
    }

    /// What the passing of time makes of jobs.
    pub(super) fn on_time(&self, now: Instant, options: &RunOptions, unread: Option<&Reason>) -> Vec<Change> {
        self.under_way().filter_map(|job_state| job_state.on_time(now, options, unread)).collect()
    }

    /// What a look makes of jobs, or of the `only` one that it was for, or of those that were asked for `by_id`, and of a wave that has soaked. One that covered
    /// only a part of the fleet says nothing about the others; `known` is the fleet as it was seen before, and tells
    /// which part an engine belongs to.
    pub(super) fn on_observation(
        &mut self,
        snapshot: Snapshot<'_>,
        (only, by_id): (Option<JobIndex>, Option<&BTreeSet<DataEngineId>>),
        read: &BTreeSet<Query>,
        known: &FleetView,
        options: &RunOptions,
    ) -> Vec<Change> {
        let covers = |job: &Job| {
            if by_id.is_some_and(|ids| !ids.contains(&job.key.data_engine_id)) {
                return false;
            }
            let queries = queries_for(job, known);
            !queries.is_empty() && queries.iter().all(|query| read.contains(query))
        };
        self.waves.on_observation(snapshot, &self.jobs, covers, options);
        let covered = |job_state: &&JobState| covers(self.job(job_state.job));
        let judge = |job_state: &JobState| {
            let was_read = job_state.suspended_at.is_some_and(|unread| snapshot.started >= unread);
            let suspended_at = job_state.suspended_at.filter(|_| !was_read);
            let read = JobState { suspended_at, ..job_state.clone() };
            read.on_observation(self.job(job_state.job), snapshot, options)
                .or_else(|| was_read.then(|| read.unchanged()))
        };
        let candidates: Vec<&JobState> = match only {
            Some(index) => {
                self.under_way.get(&index).map(|index| self.job_state(*index)).into_iter().collect()
            }
            None => self.under_way().collect(),
        };
        let changes = candidates.into_iter().filter(covered).filter_map(judge);
        changes.filter(|change| change.job_state != *self.job_state(change.job_state.job)).collect()
    }

    /// Jobs that are about to be sent, in no particular order.
    pub(super) fn ready(&self) -> impl Iterator<Item = &JobState> {
        self.again
            .iter()
            .chain(&self.fresh)
            .map(|index| self.job_state(*index))
            .filter(|job_state| job_state.phase == Phase::Ready)
    }

    /// When time alone next changes a job or a wave.
    pub(super) fn next_deadline(&self, options: &RunOptions) -> Option<Instant> {
        let jobs = self.under_way().filter_map(|job_state| job_state.deadline(options));
        jobs.chain(self.waves.deadline(options)).min()
    }
}

fn held_back(because: &Reason) -> Reason {
    found(reasons::HELD_BACK, format!("{}: {}", because.code, because.cause))
}
