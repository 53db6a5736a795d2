//! All jobs of a run: who may go next, which wave is open, and what is held back.

use std::collections::{BTreeSet, HashSet, VecDeque};
use std::sync::Arc;

use tokio::time::Instant;

use super::Rules;
use super::looked::Look;
use super::readback::Scope;
use super::reasons::{self, found};
use super::sight::FleetView;
use super::track::{Change, Phase, Track};
use crate::cloud::EngineKind;
use crate::job::{ImageVersionId, Job, JobIndex, JobKey, Reason, Region};

/// The jobs and where each of them is. A plan may have a hundred thousand rows, and a turn of the dispatcher must
/// not look at all of them: it looks at queues, counts and the jobs that are under way.
#[derive(Debug)]
pub(super) struct Board {
    pub(super) jobs: Arc<[Job]>,
    pub(super) tracks: Vec<Track>,
    /// Jobs that go again. They come before the fresh ones: their wave waits for them.
    again: VecDeque<JobIndex>,
    /// Jobs of the open waves that have not gone yet.
    fresh: VecDeque<JobIndex>,
    /// The job whose request leaves next.
    departing: Option<JobIndex>,
    /// Jobs that time or a look may change.
    under_way: BTreeSet<JobIndex>,
    /// Jobs that have not ended, wave by wave.
    unsettled: Vec<usize>,
    /// Waves up to and including this one are open.
    pub(super) open_wave: usize,
    held_images: HashSet<(Region, ImageVersionId)>,
    held_regions: HashSet<Region>,
}

impl Board {
    pub(super) fn new(jobs: Arc<[Job]>) -> Self {
        let mut unsettled = vec![0; jobs.iter().map(|job| job.wave + 1).max().unwrap_or(0)];
        for job in jobs.iter() {
            unsettled[job.wave] += 1;
        }
        Self {
            tracks: (0..jobs.len()).map(|number| Track::new(JobIndex(number))).collect(),
            jobs,
            again: VecDeque::new(),
            fresh: VecDeque::new(),
            departing: None,
            under_way: BTreeSet::new(),
            unsettled,
            open_wave: 0,
            held_images: HashSet::new(),
            held_regions: HashSet::new(),
        }
    }

    pub(super) fn job(&self, index: JobIndex) -> &Job {
        &self.jobs[index.0]
    }

    pub(super) fn track(&self, index: JobIndex) -> &Track {
        &self.tracks[index.0]
    }

    /// Makes a change that is on record true. A job that could go but whose wave has not opened waits for it.
    pub(super) fn commit(&mut self, mut track: Track) {
        let (index, wave) = (track.job, self.job(track.job).wave);
        if track.phase == Phase::Ready && wave > self.open_wave {
            track.phase = Phase::Queued;
        }
        let before = std::mem::replace(&mut self.tracks[index.0], track);
        let after = &self.tracks[index.0];
        match (before.phase == Phase::Ready, after.phase == Phase::Ready) {
            (false, true) => {
                let went_before = after.attempts > 0 || before.phase == Phase::InFlight;
                let queue = if went_before { &mut self.again } else { &mut self.fresh };
                queue.push_back(index);
            }
            (true, false) => self.unqueue(index),
            _ => {}
        }
        if before.phase == Phase::Departing {
            self.departing = None;
        }
        let after = &self.tracks[index.0];
        if after.phase == Phase::Departing {
            self.departing = Some(index);
        }
        if matches!(after.phase, Phase::Queued | Phase::Ready | Phase::Settled(_)) {
            self.under_way.remove(&index);
        } else {
            self.under_way.insert(index);
        }
        let (was_settled, is_settled) = (before.is_settled(), after.is_settled());
        self.unsettled[wave] -= usize::from(is_settled && !was_settled);
    }

    /// The next job that may go.
    pub(super) fn next_to_send(&self) -> Option<JobIndex> {
        self.again.front().or_else(|| self.fresh.front()).copied()
    }

    /// The job whose request leaves next, its intent being on record.
    pub(super) fn departing(&self) -> Option<&Track> {
        self.departing.map(|index| self.track(index))
    }

    /// Takes a job out of its queue, mostly from the front.
    fn unqueue(&mut self, index: JobIndex) {
        for queue in [&mut self.again, &mut self.fresh] {
            if queue.front() == Some(&index) {
                queue.pop_front();
            } else {
                queue.retain(|queued| *queued != index);
            }
        }
    }

    /// Jobs that time or a look may change.
    pub(super) fn under_way(&self) -> impl Iterator<Item = &Track> {
        self.under_way.iter().map(|index| self.track(*index))
    }

    /// True when no job has anything left to do.
    pub(super) fn is_done(&self) -> bool {
        self.unsettled.iter().all(|jobs| *jobs == 0)
    }

    /// Holds back every job with this target in this region.
    pub(super) fn hold_image(&mut self, index: JobIndex) {
        let key = &self.jobs[index.0].key;
        self.held_images.insert((key.region.clone(), key.new_image_version_id.clone()));
    }

    /// Holds back every job of this region.
    pub(super) fn hold_region(&mut self, index: JobIndex) {
        self.held_regions.insert(self.jobs[index.0].key.region.clone());
    }

    /// Ends the jobs that are held back and have nothing under way.
    pub(super) fn end_held(&self, because: &Reason) -> Vec<Change> {
        let reason = found(reasons::HELD_BACK, format!("{}: {}", because.code, because.cause));
        let held = |track: &&Track| {
            let key = &self.job(track.job).key;
            let image = (key.region.clone(), key.new_image_version_id.clone());
            self.held_regions.contains(&key.region) || self.held_images.contains(&image)
        };
        self.tracks.iter().filter(held).filter_map(|track| track.hold_back(reason.clone())).collect()
    }

    /// Jobs that have not ended, in plan order.
    pub(super) fn unsettled(&self) -> impl Iterator<Item = &Track> {
        self.tracks.iter().filter(|track| !track.is_settled())
    }

    /// True when every job of the open wave has ended, earlier waves included.
    pub(super) fn wave_is_done(&self) -> bool {
        self.unsettled.iter().take(self.open_wave + 1).all(|jobs| *jobs == 0)
    }

    /// Opens the next wave. Its jobs are looked at again before they go, since time has passed.
    pub(super) fn open_next_wave(&mut self, now: Instant, rules: &Rules) {
        self.open_wave += 1;
        let phase = if rules.read_back { Phase::Looking { since: now, refused: None } } else { Phase::Ready };
        let opens =
            |track: &&Track| self.job(track.job).wave == self.open_wave && track.phase == Phase::Queued;
        let opening: Vec<Track> =
            self.tracks.iter().filter(opens).map(|track| track.to(phase.clone(), Vec::new()).track).collect();
        for track in opening {
            self.commit(track);
        }
    }

    /// What the passing of time makes of jobs.
    pub(super) fn overdue(&self, now: Instant, rules: &Rules) -> Vec<Change> {
        self.under_way().filter_map(|track| track.overdue(now, rules)).collect()
    }

    /// What a look makes of jobs. One that covered only a part of the fleet says nothing about the others;
    /// `known` is the fleet as it was seen before, and tells which part an engine belongs to.
    pub(super) fn looked(
        &self,
        look: &Look<'_>,
        scope: &Scope,
        known: &FleetView,
        rules: &Rules,
    ) -> Vec<Change> {
        let covered = |track: &&Track| {
            places(&self.job(track.job).key, known).iter().all(|place| scope.contains(place))
        };
        let judge = |track: &Track| track.looked(self.job(track.job), look, rules);
        let changes = self.under_way().filter(covered).filter_map(judge);
        changes.filter(|change| change.track != *self.track(change.track.job)).collect()
    }

    /// When a sweep is wanted by jobs that cannot go on without one.
    pub(super) fn urgent_sweep_due(&self) -> Option<Instant> {
        self.under_way().filter_map(Track::urgent_look_due).min()
    }

    /// When the next sweep for everybody is wanted.
    pub(super) fn routine_sweep_due(&self, last_sweep: Option<Instant>, rules: &Rules) -> Option<Instant> {
        self.under_way().filter_map(|track| track.routine_look_due(last_sweep, rules)).min()
    }

    /// When time alone next changes a job.
    pub(super) fn next_deadline(&self, rules: &Rules) -> Option<Instant> {
        self.under_way().filter_map(|track| track.deadline(rules)).min()
    }

    /// The parts of the fleet that hold the engines of these jobs.
    pub(super) fn scope(&self, view: &FleetView, wanted: impl Fn(&Track) -> bool) -> Scope {
        let wanted = self.under_way().filter(|track| wanted(track));
        wanted.flat_map(|track| places(&self.job(track.job).key, view)).collect()
    }
}

/// Where a listing may show a job's engine. One that was never seen may be of any kind.
fn places(key: &JobKey, view: &FleetView) -> Vec<(Region, EngineKind)> {
    let kinds = view.engine(key).map_or_else(|| EngineKind::ALL.to_vec(), |record| vec![record.kind]);
    kinds.into_iter().map(|kind| (key.region.clone(), kind)).collect()
}
