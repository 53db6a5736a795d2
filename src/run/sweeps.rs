//! When the fleet is read back: one sweep at a time, for all jobs that want to be looked at.

use tokio::task::JoinSet;
use tokio::time::Instant;

use super::Rules;
use super::board::Board;
use super::readback::{Reader, Scope};
use super::sight::FleetView;
use crate::cloud::{Fault, Fleet};

/// What a sweep brought.
pub(super) struct Swept {
    /// When it was asked for; whatever happened later is not in it.
    pub(super) asked: Instant,
    /// The parts of the fleet that it covered.
    pub(super) scope: Scope,
    pub(super) view: FleetView,
    pub(super) result: Result<(), Fault>,
}

/// Begins sweeps and collects them.
pub(super) struct Sweeps<F> {
    reader: Reader<F>,
    under_way: JoinSet<Swept>,
    /// When the latest sweep for everybody began.
    last_routine: Option<Instant>,
    /// Failures in a row.
    failures: u32,
    /// Nothing begins before this, after a failure.
    not_before: Option<Instant>,
}

impl<F: Fleet> Sweeps<F> {
    pub(super) fn new(reader: Reader<F>) -> Self {
        Self { reader, under_way: JoinSet::new(), last_routine: None, failures: 0, not_before: None }
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
        let due = [board.urgent_sweep_due(), routine].into_iter().flatten().min()?;
        Some(self.not_before.map_or(due, |not_before| due.max(not_before)))
    }

    /// Begins a sweep. One that comes before its time, because jobs cannot go on without it, covers only the
    /// parts of the fleet that hold their engines, and does not put off the next one for everybody.
    pub(super) fn begin_if_due(&mut self, board: &Board, view: &FleetView, rules: &Rules) {
        let asked = Instant::now();
        if self.due(board, rules).is_none_or(|due| due > asked) {
            return;
        }
        let routine = board.routine_sweep_due(self.last_routine, rules).is_some_and(|due| due <= asked);
        if routine {
            self.last_routine = Some(asked);
        }
        let scope = board.scope(view, |track| {
            track.urgent_look_due().is_some() || routine && track.routine_look_due(None, rules).is_some()
        });
        let reader = self.reader.clone();
        self.under_way.spawn(async move {
            let mut view = FleetView::default();
            let result = reader.sweep(&scope, &mut view).await;
            Swept { asked, scope, view, result }
        });
    }

    /// The sweep under way, once it is done.
    pub(super) async fn next(&mut self) -> Option<Swept> {
        let swept = self.under_way.join_next().await?;
        // a panic in a sweep is a defect of ours and goes where all panics go
        let swept = swept.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()));
        if swept.result.is_ok() {
            self.failures = 0;
            self.not_before = None;
        }
        Some(swept)
    }

    /// A sweep failed: the next one waits a while.
    pub(super) fn failed(&mut self, rules: &Rules, random: &mut fastrand::Rng) {
        self.failures += 1;
        self.not_before = Some(Instant::now() + rules.delays.transient.wait(self.failures, random));
    }
}
