//! When the fleet is read back: for all jobs that want to be looked at, one sweep at a time in each region, so that
//! a region that does not answer holds up nobody but itself.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::Instant;

use super::Rules;
use super::board::Board;
use super::readback::{Reader, Scope, Sweep};
use super::sight::FleetView;
use super::track::Track;
use crate::cloud::Fleet;
use crate::job::Region;

/// Attempts for a page of a sweep. Sweeps come again anyway, so a page is not waited for any longer.
const ATTEMPTS: u32 = 2;

/// While jobs wait to be sent, what is known of their engines is never much older than this.
const FRESH: Duration = Duration::from_secs(30);

/// What a sweep brought.
pub(super) struct Swept {
    /// When it was asked for; whatever happened later is not in it.
    pub(super) asked: Instant,
    /// Where.
    pub(super) region: Region,
    /// What it shows of the parts of the fleet that could be read.
    pub(super) view: FleetView,
    /// Which parts could be read, and which not.
    pub(super) sweep: Sweep,
}

/// How it goes in one region.
#[derive(Clone, Copy, Debug, Default)]
struct Place {
    /// True while a sweep is under way.
    busy: bool,
    /// Sweeps in a row that could read nothing.
    failures: u32,
    /// Nothing begins before this, after a failure.
    not_before: Option<Instant>,
}

/// Begins sweeps and collects them.
pub(super) struct Sweeps<F> {
    reader: Reader<F>,
    under_way: JoinSet<Swept>,
    places: BTreeMap<Region, Place>,
    /// When the latest sweep for everybody began.
    last_routine: Option<Instant>,
    /// When the engines of jobs that wait to be sent were last asked for.
    last_fresh: Instant,
}

impl<F: Fleet> Sweeps<F> {
    pub(super) fn new(reader: Reader<F>) -> Self {
        Self {
            reader,
            under_way: JoinSet::new(),
            places: BTreeMap::new(),
            last_routine: None,
            last_fresh: Instant::now(),
        }
    }

    pub(super) fn is_under_way(&self) -> bool {
        !self.under_way.is_empty()
    }

    /// When the next sweep is wanted.
    pub(super) fn due(&self, board: &Board, rules: &Rules) -> Option<Instant> {
        let looks = board.under_way().filter_map(|track| {
            let routine = track.routine_look_due(self.last_routine, rules);
            let due = [track.urgent_look_due(), routine].into_iter().flatten().min()?;
            self.possible(&board.job(track.job).key.region, due)
        });
        let soaked = board.waves.looks_due();
        let soaked = soaked.filter_map(|(job, due)| self.possible(&board.job(job).key.region, due));
        let waiting = board.next_to_send().map(|index| &board.job(index).key.region);
        let fresh = waiting.and_then(|region| self.possible(region, self.last_fresh + FRESH));
        looks.chain(soaked).chain(fresh).min()
    }

    /// When a sweep that is wanted in a region can begin; none while one is under way there.
    fn possible(&self, region: &Region, due: Instant) -> Option<Instant> {
        let place = self.places.get(region).copied().unwrap_or_default();
        (!place.busy).then(|| place.not_before.map_or(due, |not_before| due.max(not_before)))
    }

    /// Begins sweeps. What comes before its time, because jobs cannot go on without it, covers only the parts of
    /// the fleet that hold their engines, and does not put off the next sweep for everybody.
    pub(super) fn begin_if_due(&mut self, board: &Board, view: &FleetView, rules: &Rules) {
        let asked = Instant::now();
        if self.due(board, rules).is_none_or(|due| due > asked) {
            return;
        }
        let mut scope = self.scope(board, view, rules, asked);
        scope.retain(|(region, _)| self.possible(region, asked).is_some_and(|moment| moment <= asked));
        let mut regions: BTreeMap<Region, Scope> = BTreeMap::new();
        for place in scope {
            regions.entry(place.0.clone()).or_default().insert(place);
        }
        for (region, scope) in regions {
            self.places.entry(region.clone()).or_default().busy = true;
            let reader = self.reader.clone();
            self.under_way.spawn(async move {
                let mut view = FleetView::default();
                let sweep = reader.sweep(&scope, ATTEMPTS, &mut view).await;
                Swept { asked, region, view, sweep }
            });
        }
    }

    /// The parts of the fleet that are wanted now.
    fn scope(&mut self, board: &Board, view: &FleetView, rules: &Rules, now: Instant) -> Scope {
        let urgent = |track: &&Track| track.urgent_look_due().is_some_and(|due| due <= now);
        let mut scope = board.scope(view, board.under_way().filter(urgent));
        let soaked = board.waves.looks_due().filter(|(_, due)| *due <= now);
        scope.extend(board.scope(view, soaked.map(|(job, _)| board.track(job))));
        let routine = |track: &Track| track.routine_look_due(self.last_routine, rules);
        if board.under_way().filter_map(routine).any(|due| due <= now) {
            self.last_routine = Some(now);
            let wanted = |track: &&Track| track.routine_look_due(None, rules).is_some();
            scope.extend(board.scope(view, board.under_way().filter(wanted)));
        }
        if now >= self.last_fresh + FRESH {
            self.last_fresh = now;
            scope.extend(board.scope(view, board.ready()));
        }
        scope
    }

    /// A sweep that was under way, once it is done.
    pub(super) async fn next(&mut self) -> Option<Swept> {
        let swept = self.under_way.join_next().await?;
        // a panic in a sweep is a defect of ours and goes where all panics go
        Some(swept.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic())))
    }

    /// Notes how a sweep went: after one that could read nothing the next in its region waits longer and longer.
    pub(super) fn note(&mut self, swept: &Swept, rules: &Rules, random: &mut fastrand::Rng) {
        let now = Instant::now();
        let place = self.places.entry(swept.region.clone()).or_default();
        place.busy = false;
        place.failures = if swept.sweep.read.is_empty() { place.failures + 1 } else { 0 };
        place.not_before = match (swept.sweep.failed.is_empty(), place.failures) {
            (true, _) => None,
            (false, 0) => Some(now + rules.sweep_every),
            (false, failures) => Some(now + rules.delays.transient.wait(failures, random)),
        };
    }
}
