//! All jobs of a run: who may go next, which wave is open, and what is held back.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use tokio::time::Instant;

use super::Rules;
use super::looked::Look;
use super::place::{Place, Scope};
use super::reasons::{self, found};
use super::sight::FleetView;
use super::track::{Change, Phase, Track};
use crate::job::{ImageVersionId, Job, JobIndex, Reason, Region};
use crate::ledger::Work;

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
    /// Targets that were refused for all engines of a region, and why.
    held_images: HashMap<(Region, ImageVersionId), Reason>,
    /// Regions that were refused, and why.
    held_regions: HashMap<Region, Reason>,
    /// True until the jobs are ended that were held back last.
    newly_held: bool,
}

impl Board {
    pub(super) fn new(jobs: Arc<[Job]>, work: &[Work]) -> Self {
        let mut unsettled = vec![0; jobs.iter().map(|job| job.wave + 1).max().unwrap_or(0)];
        for job in jobs.iter() {
            unsettled[job.wave] += 1;
        }
        Self {
            tracks: (0..jobs.len())
                .map(JobIndex)
                .zip(work)
                .map(|(index, work)| Track::new(index, work))
                .collect(),
            jobs,
            again: VecDeque::new(),
            fresh: VecDeque::new(),
            departing: None,
            under_way: BTreeSet::new(),
            unsettled,
            open_wave: 0,
            held_images: HashMap::new(),
            held_regions: HashMap::new(),
            newly_held: false,
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
        if after.phase == Phase::Ready && before.phase != Phase::Ready {
            let went_before = after.attempts > 0 || before.phase == Phase::InFlight;
            let queue = if went_before { &mut self.again } else { &mut self.fresh };
            queue.push_back(index);
        }
        // what is no longer ready leaves a queue when it comes to the front, which costs nothing
        for queue in [&mut self.again, &mut self.fresh] {
            while queue.front().is_some_and(|front| self.tracks[front.0].phase != Phase::Ready) {
                queue.pop_front();
            }
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

    /// Jobs that time or a look may change.
    pub(super) fn under_way(&self) -> impl Iterator<Item = &Track> {
        self.under_way.iter().map(|index| self.track(*index))
    }

    /// True when no job has anything left to do.
    pub(super) fn is_done(&self) -> bool {
        self.unsettled.iter().all(|jobs| *jobs == 0)
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
    fn end_if_held(&self, track: &Track) -> Option<Change> {
        if self.held_images.is_empty() && self.held_regions.is_empty() {
            return None;
        }
        let key = &self.job(track.job).key;
        let image = (key.region.clone(), key.new_image_version_id.clone());
        let reason = self.held_regions.get(&key.region).or_else(|| self.held_images.get(&image))?;
        track.hold_back(reason.clone())
    }

    /// Ends jobs that are held back and have nothing under way: all of them where something has come to be held
    /// back, else those among the jobs that just changed.
    pub(super) fn end_held(&mut self, changed: &[JobIndex]) -> Vec<Change> {
        if std::mem::take(&mut self.newly_held) {
            return self.tracks.iter().filter_map(|track| self.end_if_held(track)).collect();
        }
        changed.iter().filter_map(|index| self.end_if_held(self.track(*index))).collect()
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
        let phase = if rules.read_back { Track::looking(now) } else { Phase::Ready };
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

    /// What a look makes of jobs, or of the `only` one that it was for. One that covered only a part of the fleet
    /// says nothing about the others; `known` is the fleet as it was seen before, and tells which part an engine
    /// belongs to.
    pub(super) fn looked(
        &self,
        look: Look<'_>,
        only: Option<JobIndex>,
        scope: &Scope,
        known: &FleetView,
        rules: &Rules,
    ) -> Vec<Change> {
        let covered = |track: &&Track| {
            let places = Place::of(self.job(track.job), known);
            !places.is_empty() && places.iter().all(|place| scope.contains(place))
        };
        let judge = |track: &Track| track.looked(self.job(track.job), look, rules);
        let candidates: Vec<&Track> = match only {
            Some(index) => self.under_way.get(&index).map(|index| self.track(*index)).into_iter().collect(),
            None => self.under_way().collect(),
        };
        let changes = candidates.into_iter().filter(covered).filter_map(judge);
        changes.filter(|change| change.track != *self.track(change.track.job)).collect()
    }

    /// Jobs that are about to be sent, in no particular order.
    pub(super) fn ready(&self) -> impl Iterator<Item = &Track> {
        self.again
            .iter()
            .chain(&self.fresh)
            .map(|index| self.track(*index))
            .filter(|track| track.phase == Phase::Ready)
    }

    /// When time alone next changes a job.
    pub(super) fn next_deadline(&self, rules: &Rules) -> Option<Instant> {
        self.under_way().filter_map(|track| track.deadline(rules)).min()
    }

    /// The parts of the fleet that hold the engines of these jobs.
    pub(super) fn scope<'a>(&self, view: &FleetView, wanted: impl Iterator<Item = &'a Track>) -> Scope {
        wanted.flat_map(|track| Place::of(self.job(track.job), view)).collect()
    }
}

fn held_back(because: &Reason) -> Reason {
    found(reasons::HELD_BACK, format!("{}: {}", because.code, because.cause))
}
