//! When the fleet is read back: one sweep at a time, for all jobs that want to be looked at.

use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::Instant;

use super::Rules;
use super::board::Board;
use super::readback::{Reader, Sweep};
use super::sight::FleetView;
use super::track::Track;
use crate::cloud::Fleet;

/// While jobs wait to be sent, what is known of their engines is never much older than this.
const FRESH: Duration = Duration::from_secs(30);

/// What a sweep brought.
pub(super) struct Swept {
    /// When it was asked for; whatever happened later is not in it.
    pub(super) asked: Instant,
    /// What it shows of the parts of the fleet that could be read.
    pub(super) view: FleetView,
    /// Which parts could be read, and which not.
    pub(super) sweep: Sweep,
}

/// Begins sweeps and collects them.
pub(super) struct Sweeps<F> {
    reader: Reader<F>,
    under_way: JoinSet<Swept>,
    /// When the latest sweep for everybody began.
    last_routine: Option<Instant>,
    /// When the engines of jobs that wait to be sent were last asked for.
    last_fresh: Instant,
    /// Sweeps in a row that could read nothing.
    failures: u32,
    /// Nothing begins before this, after a failure.
    not_before: Option<Instant>,
}

impl<F: Fleet> Sweeps<F> {
    pub(super) fn new(reader: Reader<F>) -> Self {
        Self {
            reader,
            under_way: JoinSet::new(),
            last_routine: None,
            last_fresh: Instant::now(),
            failures: 0,
            not_before: None,
        }
    }

    pub(super) fn is_under_way(&self) -> bool {
        !self.under_way.is_empty()
    }

    /// When the next sweep is wanted; never while one is under way.
    pub(super) fn due(&self, board: &Board, rules: &Rules) -> Option<Instant> {
        if self.is_under_way() {
            return None;
        }
        let routine = board.routine_sweep_due(self.last_routine, rules);
        let fresh = board.next_to_send().map(|_| self.last_fresh + FRESH);
        let due = [board.urgent_sweep_due(), routine, fresh].into_iter().flatten().min()?;
        Some(self.not_before.map_or(due, |not_before| due.max(not_before)))
    }

    /// Begins a sweep. One that comes before its time, because jobs cannot go on without it, covers only the
    /// parts of the fleet that hold their engines, and does not put off the next one for everybody.
    pub(super) fn begin_if_due(&mut self, board: &Board, view: &FleetView, rules: &Rules) {
        let asked = Instant::now();
        if self.due(board, rules).is_none_or(|due| due > asked) {
            return;
        }
        let urgent = |track: &&Track| track.urgent_look_due().is_some_and(|due| due <= asked);
        let mut scope = board.scope(view, board.under_way().filter(urgent));
        if board.routine_sweep_due(self.last_routine, rules).is_some_and(|due| due <= asked) {
            self.last_routine = Some(asked);
            let routine = |track: &&Track| track.routine_look_due(None, rules).is_some();
            scope.extend(board.scope(view, board.under_way().filter(routine)));
        }
        if asked >= self.last_fresh + FRESH {
            self.last_fresh = asked;
            scope.extend(board.scope(view, board.ready()));
        }
        let reader = self.reader.clone();
        self.under_way.spawn(async move {
            let mut view = FleetView::default();
            let sweep = reader.sweep(&scope, &mut view).await;
            Swept { asked, view, sweep }
        });
    }

    /// The sweep under way, once it is done.
    pub(super) async fn next(&mut self) -> Option<Swept> {
        let swept = self.under_way.join_next().await?;
        // a panic in a sweep is a defect of ours and goes where all panics go
        Some(swept.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic())))
    }

    /// Notes how a sweep went: after one that could read nothing the next waits longer and longer.
    pub(super) fn note(&mut self, sweep: &Sweep, rules: &Rules, random: &mut fastrand::Rng) {
        let now = Instant::now();
        self.failures = if sweep.read.is_empty() { self.failures + 1 } else { 0 };
        self.not_before = match (sweep.failed.is_empty(), self.failures) {
            (true, _) => None,
            (false, 0) => Some(now + rules.sweep_every),
            (false, failures) => Some(now + rules.delays.transient.wait(failures, random)),
        };
    }
}
