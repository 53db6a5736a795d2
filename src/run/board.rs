//! All jobs of a run: who may go next, and what is held back.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::Rules;
use super::looked::Look;
use super::place::Place;
use super::reasons::{self, found};
use super::sight::FleetView;
use super::track::{Change, Phase, Track};
use super::waves::Waves;
use crate::job::{DataEngineId, ImageVersionId, Job, JobIndex, Reason, Region};
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
    pub(super) waves: Waves,
    /// Targets that were refused for all engines of a region, and why.
    held_images: HashMap<(Region, ImageVersionId), Reason>,
    /// Regions that were refused, and why.
    held_regions: HashMap<Region, Reason>,
    /// True until the jobs are ended that were held back last.
    newly_held: bool,
}

impl Board {
    pub(super) fn new(jobs: Arc<[Job]>, work: &[Work], waves: Waves) -> Self {
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
            waves,
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

    /// Notes what a change means for the wave of its job.
    pub(super) fn note(&mut self, change: &Change) {
        self.waves.note(self.jobs[change.track.job.0].wave, change);
    }

    /// Makes a change that is on record true. A job that could go but whose wave has not opened waits for it.
    pub(super) fn commit(&mut self, mut track: Track) {
        let (index, wave) = (track.job, self.job(track.job).wave);
        if track.phase == Phase::Ready && !self.waves.is_open(wave) {
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
        if after.is_settled() && !before.is_settled() {
            self.waves.settle(wave);
        }
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

    /// Lets the jobs of a wave go that has opened. They are looked at again first, since time has passed.
    pub(super) fn open_wave(&mut self, wave: usize, now: Instant, rules: &Rules) {
        let phase = if rules.read_back { Track::looking(now) } else { Phase::Ready };
        let opens = |track: &&Track| self.job(track.job).wave == wave && track.phase == Phase::Queued;
        let opening: Vec<Track> =
            self.tracks.iter().filter(opens).map(|track| track.to(phase.clone(), Vec::new()).track).collect();
        for track in opening {
            self.commit(track);
        }
    }

    /// This process stood still: no wait of a job or a wave ends because of that time, or before a complete read.
    pub(super) fn extend_waits(&mut self, lost: Duration, now: Instant) {
        for index in &self.under_way {
            self.tracks[index.0].extend_wait(lost, now);
        }
        self.waves.extend_wait(now);
    }

    /// What the passing of time makes of jobs.
    pub(super) fn overdue(&self, now: Instant, rules: &Rules, unread: Option<&Reason>) -> Vec<Change> {
        self.under_way().filter_map(|track| track.overdue(now, rules, unread)).collect()
    }

    /// What a look makes of jobs, or of the `only` one that it was for, or of those that were asked for `by_id`, and of a wave that has soaked. One that covered
    /// only a part of the fleet says nothing about the others; `known` is the fleet as it was seen before, and tells
    /// which part an engine belongs to.
    pub(super) fn looked(
        &mut self,
        look: Look<'_>,
        (only, by_id): (Option<JobIndex>, Option<&BTreeSet<DataEngineId>>),
        read: &BTreeSet<Place>,
        known: &FleetView,
        rules: &Rules,
    ) -> Vec<Change> {
        let covers = |job: &Job| {
            if by_id.is_some_and(|ids| !ids.contains(&job.key.data_engine_id)) {
                return false;
            }
            let places = Place::of(job, known);
            !places.is_empty() && places.iter().all(|place| read.contains(place))
        };
        self.waves.looked(look, &self.jobs, covers, rules);
        let covered = |track: &&Track| covers(self.job(track.job));
        let judge = |track: &Track| {
            let was_read = track.unread_since.is_some_and(|unread| look.asked >= unread);
            let unread_since = track.unread_since.filter(|_| !was_read);
            let read = Track { unread_since, ..track.clone() };
            read.looked(self.job(track.job), look, rules).or_else(|| was_read.then(|| read.unchanged()))
        };
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

    /// When time alone next changes a job or a wave.
    pub(super) fn next_deadline(&self, rules: &Rules) -> Option<Instant> {
        let jobs = self.under_way().filter_map(|track| track.deadline(rules));
        jobs.chain(self.waves.deadline(rules)).min()
    }
}

fn held_back(because: &Reason) -> Reason {
    found(reasons::HELD_BACK, format!("{}: {}", because.code, because.cause))
}
