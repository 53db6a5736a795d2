//! Records every request that the simulator received, and counts them.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;
use tokio::time::Instant;

use crate::job::{DataEngineId, ImageVersionId};

/// Stands for a success where responses are counted by code.
pub const OK: &str = "ok";

/// One request that the simulator received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// When it arrived.
    pub at: Instant,
    /// `X-TC-Action`
    pub action: String,
    /// The engine that it names, if any.
    pub data_engine_id: Option<DataEngineId>,
    /// [`OK`], the code of the refusal, or the name of the fault that lost or damaged the response.
    pub answered: String,
}

/// Counts of one action.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ActionStats {
    /// Requests received.
    pub received: usize,
    /// The same requests by response: [`OK`], a code, or the name of a fault.
    pub answered: BTreeMap<String, usize>,
    /// Most requests received in any period of one second.
    pub peak_requests_per_second: usize,
    /// Seconds between the first and the last request.
    pub first_to_last_seconds: f64,
}

/// What happened so far; `GET /stats` returns it as JSON.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Stats {
    /// By action.
    pub actions: BTreeMap<String, ActionStats>,
    /// Switches that were applied to all engines together.
    pub applied: u64,
    /// Switches that were applied to each engine, if any.
    pub applied_by_engine: BTreeMap<DataEngineId, u64>,
    /// Engines to which more than one switch was applied.
    pub applied_more_than_once: Vec<DataEngineId>,
    /// Engines by the image that they run, without engines that have no image versions.
    pub engines_by_image: BTreeMap<ImageVersionId, Vec<DataEngineId>>,
}

impl Stats {
    /// Counts of one action; all zero if it was never requested.
    pub fn action(&self, action: &str) -> ActionStats {
        self.actions.get(action).cloned().unwrap_or_default()
    }

    /// How many requests of an action had this response: [`OK`], a code, or the name of a fault.
    pub fn answered(&self, action: &str, answer: &str) -> usize {
        self.actions.get(action).and_then(|stats| stats.answered.get(answer)).copied().unwrap_or_default()
    }
}

/// Every request, in the order in which they were processed.
#[derive(Debug, Default)]
pub(super) struct Recorder {
    arrivals: Vec<Arrival>,
}

impl Recorder {
    pub(super) fn record(
        &mut self,
        at: Instant,
        action: &str,
        engine: Option<&DataEngineId>,
        answered: &str,
    ) {
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
        let mut times: BTreeMap<&str, Vec<Instant>> = BTreeMap::new();
        let mut actions: BTreeMap<String, ActionStats> = BTreeMap::new();
        for arrival in &self.arrivals {
            times.entry(&arrival.action).or_default().push(arrival.at);
            let stats = actions.entry(arrival.action.clone()).or_default();
            stats.received += 1;
            *stats.answered.entry(arrival.answered.clone()).or_default() += 1;
        }
        for (action, mut times) in times {
            times.sort_unstable();
            if let Some(stats) = actions.get_mut(action) {
                stats.peak_requests_per_second = peak_requests_per_second(&times);
                stats.first_to_last_seconds = first_to_last(&times).as_secs_f64();
            }
        }
        actions
    }
}

/// Most times in any half-open second `[t, t + 1 s)`; `times` is sorted.
fn peak_requests_per_second(times: &[Instant]) -> usize {
    let mut first = 0;
    let mut peak = 0;
    for (last, at) in times.iter().enumerate() {
        while at.duration_since(times[first]) >= Duration::from_secs(1) {
            first += 1;
        }
        peak = peak.max(last - first + 1);
    }
    peak
}

fn first_to_last(times: &[Instant]) -> Duration {
    match (times.first(), times.last()) {
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
        fn the_peak_is_the_same_as_by_brute_force(
            mut millis in prop::collection::vec(0_u64..5_000, 0..80),
        ) {
            millis.sort_unstable();
            let start = Instant::now();
            let times: Vec<Instant> = millis.iter().map(|at| start + Duration::from_millis(*at)).collect();
            let brute = millis
                .iter()
                .map(|from| millis.iter().filter(|at| (*from..from + 1_000).contains(*at)).count())
                .max()
                .unwrap_or_default();
            prop_assert_eq!(peak_requests_per_second(&times), brute);
        }
    }

    #[test]
    fn requests_are_counted_by_action_and_response() {
        let start = Instant::now();
        let mut recorder = Recorder::default();
        recorder.record(start + Duration::from_millis(1_500), "A", None, OK);
        recorder.record(start, "A", None, "InternalError");
        recorder.record(start, "B", None, OK);
        let actions = recorder.by_action();
        assert_eq!(actions["A"].received, 2);
        assert_eq!(actions["A"].answered[OK], 1);
        assert_eq!(actions["A"].peak_requests_per_second, 1);
        assert!((actions["A"].first_to_last_seconds - 1.5).abs() < 1e-9);
        assert_eq!(actions["B"].received, 1);
    }
}
