//! The states of all jobs of a run, the queue of jobs to send, and the jobs that are held back.

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

/// The jobs and their states. A plan may have 100,000 rows, so a step of the dispatcher only visits the queues, the counts
/// and the jobs that are under way, not all jobs.
#[derive(Debug)]
pub(super) struct JobTable {
    pub(super) jobs: Arc<[Job]>,
    pub(super) job_states: Vec<JobState>,
    /// Jobs that are sent again. They come before the jobs that are sent for the first time, because their wave waits for
    /// them.
    resend_queue: VecDeque<JobIndex>,
    /// Jobs of the started waves that have not been sent yet.
    first_queue: VecDeque<JobIndex>,
    /// The job whose request is sent next.
    next_send: Option<JobIndex>,
    /// Jobs that time or a read may change.
    under_way: BTreeSet<JobIndex>,
    pub(super) waves: Waves,
    /// Targets that the service refused for all engines of a region, and why.
    held_images: HashMap<(Region, ImageVersionId), Reason>,
    /// Regions that the service refused, and why.
    held_regions: HashMap<Region, Reason>,
    /// True while jobs that are newly held back have not been ended.
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
            resend_queue: VecDeque::new(),
            first_queue: VecDeque::new(),
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

    /// Marks the wave of a job as switched if this change switches the job.
    pub(super) fn count_switched(&mut self, change: &Change) {
        self.waves.count_switched(self.jobs[change.job_state.job.0].wave, change);
    }

    /// Commits a state that the ledger records. A job that is ready before its wave has started is queued.
    pub(super) fn commit(&mut self, mut job_state: JobState) {
        let (index, wave) = (job_state.job, self.job(job_state.job).wave);
        if job_state.phase == Phase::Ready && !self.waves.has_started(wave) {
            job_state.phase = Phase::Queued;
        }
        let before = std::mem::replace(&mut self.job_states[index.0], job_state);
        let after = &self.job_states[index.0];
        if after.phase == Phase::Ready && before.phase != Phase::Ready {
            let is_resend = after.attempts > 0 || before.phase == Phase::InFlight;
            let queue = if is_resend { &mut self.resend_queue } else { &mut self.first_queue };
            queue.push_back(index);
        }
        // a job that is no longer ready is removed when it reaches the front of its queue
        for queue in [&mut self.resend_queue, &mut self.first_queue] {
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

    /// The next job that may be sent.
    pub(super) fn next_to_send(&self) -> Option<JobIndex> {
        self.resend_queue.front().or_else(|| self.first_queue.front()).copied()
    }

    /// The job whose intent is in the ledger and whose request is sent next.
    pub(super) fn next_send(&self) -> Option<&JobState> {
        self.next_send.map(|index| self.job_state(index))
    }

    /// Jobs that time or a read may change.
    pub(super) fn under_way(&self) -> impl Iterator<Item = &JobState> {
        self.under_way.iter().map(|index| self.job_state(*index))
    }

    /// True if every job has ended and no wave soaks.
    pub(super) fn is_done(&self) -> bool {
        self.waves.are_done()
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

    /// The change that ends a job that is held back and has no request in flight or unconfirmed.
    fn end_if_held(&self, job_state: &JobState) -> Option<Change> {
        if self.held_images.is_empty() && self.held_regions.is_empty() {
            return None;
        }
        let key = &self.job(job_state.job).key;
        let image = (key.region.clone(), key.new_image_version_id.clone());
        let reason = self.held_regions.get(&key.region).or_else(|| self.held_images.get(&image))?;
        job_state.end_held(reason.clone())
    }

    /// The changes that end held-back jobs: of all jobs if an image or a region was just held back, else of the jobs that just
    /// changed.
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

    /// Advances the current wave by one step, if one is due.
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

    /// Makes the jobs of a started wave ready. Their engines are read again first, because the last read may be out of date.
    fn start_wave(&mut self, wave: usize, now: Instant, options: &RunOptions) {
        let phase = if options.verify { JobState::awaiting_read(now) } else { Phase::Ready };
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

    /// Extends all waits by the time in which this process was suspended; none ends before a complete read.
    pub(super) fn extend_waits(&mut self, lost: Duration, now: Instant) {
        for index in &self.under_way {
            self.job_states[index.0].extend_wait(lost, now);
        }
        self.waves.extend_wait(now);
    }

    /// The changes that are due because of time.
    pub(super) fn on_time(&self, now: Instant, options: &RunOptions, unread: Option<&Reason>) -> Vec<Change> {
        self.under_way().filter_map(|job_state| job_state.on_time(now, options, unread)).collect()
    }

    /// The changes that follow from a read: of the job `only` if it was for one job, of the engines in `by_id` if it was a
    /// query by id, else of all jobs and of the soak check. A read of a part of the fleet says nothing about the rest;
    /// `known` is the fleet as seen before, and shows to which part an engine belongs.
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
        let observe = |job_state: &JobState| {
            let was_read =
                job_state.suspended_at.is_some_and(|suspended_at| snapshot.started >= suspended_at);
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
        let changes = candidates.into_iter().filter(covered).filter_map(observe);
        changes.filter(|change| change.job_state != *self.job_state(change.job_state.job)).collect()
    }

    /// Jobs that are about to be sent, in no particular order.
    pub(super) fn ready(&self) -> impl Iterator<Item = &JobState> {
        self.resend_queue
            .iter()
            .chain(&self.first_queue)
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

#[cfg(test)]
mod tests;
