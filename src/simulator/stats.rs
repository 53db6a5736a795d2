//! What the simulator remembers of every call, and the counts that tests and people read from it.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;
use tokio::time::Instant;

use crate::job::{DataEngineId, ImageVersionId};

/// The word that stands for a success where answers are counted by code.
pub const OK: &str = "ok";

/// One call, as it arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// When it arrived, before anything was done about it.
    pub at: Instant,
    /// `X-TC-Action`
    pub action: String,
    /// The engine it named, where it named one.
    pub data_engine_id: Option<DataEngineId>,
    /// [`OK`], the code it was refused with, or the word of the fate that took its answer.
    pub answered: String,
}

/// Counts of one action.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ActionStats {
    /// Calls that arrived, whatever became of them.
    pub received: usize,
    /// The same calls by answer: [`OK`], a code, or the word of a fate.
    pub answered: BTreeMap<String, usize>,
    /// Most arrivals in any half-open second, however placed.
    pub peak_window: usize,
    /// Seconds between the first and the last arrival.
    pub first_to_last_seconds: f64,
}

/// What happened so far, in the shape that `GET /stats` answers.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Stats {
    /// By action.
    pub actions: BTreeMap<String, ActionStats>,
    /// Switches that were applied, all engines together.
    pub applied: u64,
    /// Switches that were applied, for engines with any.
    pub applied_by_engine: BTreeMap<DataEngineId, u64>,
    /// Engines that were switched more than once: what a careful client avoids.
    pub applied_more_than_once: Vec<DataEngineId>,
    /// Which engines run which image; engines without image versions are left out.
    pub engines_by_image: BTreeMap<ImageVersionId, Vec<DataEngineId>>,
}

impl Stats {
    /// Counts of one action; all zero when it was never called.
    pub fn action(&self, action: &str) -> ActionStats {
        self.actions.get(action).cloned().unwrap_or_default()
    }

    /// How many calls of an action had this answer: [`OK`], a code, or the word of a fate.
    pub fn answered(&self, action: &str, answer: &str) -> usize {
        self.actions.get(action).and_then(|stats| stats.answered.get(answer)).copied().unwrap_or_default()
    }
}

/// Every arrival, in the order in which the calls were dealt with.
#[derive(Debug, Default)]
pub(super) struct Recorder {
    arrivals: Vec<Arrival>,
}

impl Recorder {
    pub(super) fn note(&mut self, at: Instant, action: &str, engine: Option<&DataEngineId>, answered: &str) {
        self.arrivals.push(Arrival {
            at,
            action: action.to_owned(),
            data_engine_id: engine.cloned(),
            answered: answered.to_owned(),
        });
    }

    pub(super) fn arrivals(&self) -> &[Arrival] {
        &self.arrivals
    }

    pub(super) fn by_action(&self) -> BTreeMap<String, ActionStats> {
        let mut moments: BTreeMap<&str, Vec<Instant>> = BTreeMap::new();
        let mut actions: BTreeMap<String, ActionStats> = BTreeMap::new();
        for arrival in &self.arrivals {
            moments.entry(&arrival.action).or_default().push(arrival.at);
            let stats = actions.entry(arrival.action.clone()).or_default();
            stats.received += 1;
            *stats.answered.entry(arrival.answered.clone()).or_default() += 1;
        }
        for (action, mut moments) in moments {
            moments.sort_unstable();
            if let Some(stats) = actions.get_mut(action) {
                stats.peak_window = peak_window(&moments);
                stats.first_to_last_seconds = first_to_last(&moments).as_secs_f64();
            }
        }
        actions
    }
}

/// Most moments in any half-open second `[t, t + 1 s)`. The moments are sorted.
fn peak_window(moments: &[Instant]) -> usize {
    let mut first = 0;
    let mut worst = 0;
    for (last, at) in moments.iter().enumerate() {
        while at.duration_since(moments[first]) >= Duration::from_secs(1) {
            first += 1;
        }
        worst = worst.max(last - first + 1);
    }
    worst
}

fn first_to_last(moments: &[Instant]) -> Duration {
    match (moments.first(), moments.last()) {
        (Some(first), Some(last)) => last.duration_since(*first),
        _ => Duration::ZERO,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_worst_window_is_what_brute_force_finds(
            mut millis in prop::collection::vec(0_u64..5_000, 0..80),
        ) {
            millis.sort_unstable();
            let born = Instant::now();
            let moments: Vec<Instant> = millis.iter().map(|at| born + Duration::from_millis(*at)).collect();
            let brute = millis
                .iter()
                .map(|from| millis.iter().filter(|at| (*from..from + 1_000).contains(*at)).count())
                .max()
                .unwrap_or_default();
            prop_assert_eq!(peak_window(&moments), brute);
        }
    }

    #[test]
    fn answers_are_counted_by_action_and_code() {
        let born = Instant::now();
        let mut recorder = Recorder::default();
        recorder.note(born + Duration::from_millis(1_500), "A", None, OK);
        recorder.note(born, "A", None, "InternalError");
        recorder.note(born, "B", None, OK);
        let actions = recorder.by_action();
        assert_eq!(actions["A"].received, 2);
        assert_eq!(actions["A"].answered[OK], 1);
        assert_eq!(actions["A"].peak_window, 1);
        assert!((actions["A"].first_to_last_seconds - 1.5).abs() < 1e-9);
        assert_eq!(actions["B"].received, 1);
    }
}
