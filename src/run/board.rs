//! All jobs of a run: who may go next, which wave is open, and what is held back.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use tokio::time::Instant;

use super::Rules;
use super::looked::Look;
use super::readback::Scope;
use super::reasons::{self, found};
use super::sight::FleetView;
use super::track::{Change, Phase, Track};
use crate::cloud::EngineKind;
use crate::job::{ImageVersionId, Job, JobIndex, JobKey, Outcome, Reason, Region};

/// The jobs and where each of them is.
#[derive(Debug)]
pub(super) struct Board {
    pub(super) jobs: Arc<[Job]>,
    pub(super) tracks: Vec<Track>,
    /// Jobs that go again. They come before the fresh ones: their wave waits for them.
    again: VecDeque<JobIndex>,
    /// Jobs that have not gone yet.
    fresh: VecDeque<JobIndex>,
    /// Waves up to and including this one are open.
    pub(super) open_wave: usize,
    held_images: HashSet<(Region, ImageVersionId)>,
    held_regions: HashSet<Region>,
}

impl Board {
    pub(super) fn new(jobs: Arc<[Job]>) -> Self {
        let tracks = (0..jobs.len()).map(|number| Track::new(JobIndex(number))).collect();
        Self {
            jobs,
            tracks,
            again: VecDeque::new(),
            fresh: VecDeque::new(),
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

    /// Makes a change that is on record true.
    pub(super) fn commit(&mut self, track: Track) {
        let index = track.job;
        let before = std::mem::replace(&mut self.tracks[index.0], track);
        let (was_ready, is_ready) = (before.phase == Phase::Ready, self.track(index).phase == Phase::Ready);
        if is_ready && !was_ready {
            let went_before = self.track(index).attempts > 0 || before.phase == Phase::InFlight;
            let queue = if went_before { &mut self.again } else { &mut self.fresh };
            queue.push_back(index);
        } else if was_ready && !is_ready {
            self.tidy_queues();
        }
    }

    /// The next job that may go. A job of a wave that has not opened waits in its place.
    pub(super) fn next_to_send(&self) -> Option<JobIndex> {
        self.again.iter().chain(&self.fresh).copied().find(|index| self.may_go(*index))
    }

    /// Takes out of the queues what is no longer ready.
    fn tidy_queues(&mut self) {
        let tracks = &self.tracks;
        for queue in [&mut self.again, &mut self.fresh] {
            queue.retain(|index| tracks[index.0].phase == Phase::Ready);
        }
    }

    fn may_go(&self, index: JobIndex) -> bool {
        self.track(index).phase == Phase::Ready && self.job(index).wave <= self.open_wave
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
        let held = |track: &&Track| {
            let key = &self.job(track.job).key;
            let idle = matches!(
                track.phase,
                Phase::Queued
                    | Phase::Ready
                    | Phase::Looking { refused: None, .. }
                    | Phase::BackingOff { look: None, .. }
            );
            let image = (key.region.clone(), key.new_image_version_id.clone());
            idle && (self.held_regions.contains(&key.region) || self.held_images.contains(&image))
        };
        let reason = found(reasons::HELD_BACK, format!("{}: {}", because.code, because.cause));
        let end = |track: &Track| track.end(Outcome::NotStarted, Some(reason.clone()), Vec::new());
        self.tracks.iter().filter(held).map(end).collect()
    }

    /// Jobs that still have something to do, now or later.
    pub(super) fn unsettled(&self) -> impl Iterator<Item = &Track> {
        self.tracks.iter().filter(|track| !matches!(track.phase, Phase::Settled(_)))
    }

    /// True when every job of the open wave has ended, earlier waves included.
    pub(super) fn wave_is_done(&self) -> bool {
        self.unsettled().all(|track| self.job(track.job).wave > self.open_wave)
    }

    /// Opens the next wave. Its jobs are looked at again before they go, since time has passed.
    pub(super) fn open_next_wave(&mut self, now: Instant, rules: &Rules) {
        self.open_wave += 1;
        for track in &mut self.tracks {
            let opens = self.jobs[track.job.0].wave == self.open_wave;
            if opens && rules.read_back && matches!(track.phase, Phase::Queued | Phase::Ready) {
                track.phase = Phase::Looking { since: now, refused: None };
            }
        }
        self.tidy_queues();
    }

    /// What the passing of time makes of jobs.
    pub(super) fn overdue(&self, now: Instant, rules: &Rules) -> Vec<Change> {
        self.tracks.iter().filter_map(|track| track.overdue(now, rules)).collect()
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
        let changes = self.tracks.iter().filter(covered).filter_map(judge);
        changes.filter(|change| change.track != *self.track(change.track.job)).collect()
    }

    /// When a sweep is wanted by jobs that cannot go on without one.
    pub(super) fn urgent_sweep_due(&self) -> Option<Instant> {
        self.tracks.iter().filter_map(Track::urgent_look_due).min()
    }

    /// When the next sweep for everybody is wanted.
    pub(super) fn routine_sweep_due(&self, last_sweep: Option<Instant>, rules: &Rules) -> Option<Instant> {
        self.tracks.iter().filter_map(|track| track.routine_look_due(last_sweep, rules)).min()
    }

    /// When time alone next changes a job.
    pub(super) fn next_deadline(&self, rules: &Rules) -> Option<Instant> {
        self.tracks.iter().filter_map(|track| track.deadline(rules)).min()
    }

    /// The parts of the fleet that hold the engines of these jobs.
    pub(super) fn scope(&self, view: &FleetView, wanted: impl Fn(&Track) -> bool) -> Scope {
        let wanted = self.tracks.iter().filter(|track| wanted(track));
        wanted.flat_map(|track| places(&self.job(track.job).key, view)).collect()
    }
}

/// Where a listing may show a job's engine. One that was never seen may be of any kind.
fn places(key: &JobKey, view: &FleetView) -> Vec<(Region, EngineKind)> {
    let kinds = view.engine(key).map_or_else(|| EngineKind::ALL.to_vec(), |record| vec![record.kind]);
    kinds.into_iter().map(|kind| (key.region.clone(), kind)).collect()
}
