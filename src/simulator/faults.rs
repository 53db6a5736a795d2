//! A scenario in force: which spell strikes which call.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::fault::{Break, SimulatedFault, Stage};
use super::random::dice;
use super::scenario::{Applied, Engines, FaultRule, Latency, Scenario};
use crate::cloud::SWITCH;
use crate::job::DataEngineId;

/// What a spell does to the call it strikes.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct InjectedFault {
    pub(super) fault: SimulatedFault,
    pub(super) applied: Applied,
}

/// The scenario and what it has done so far.
#[derive(Debug)]
pub(super) struct FaultSchedule {
    scenario: Arc<Scenario>,
    first_switch: Option<Instant>,
    /// Strikes by spell and engine; calls that name no engine count together.
    strikes: HashMap<(usize, String), u32>,
    /// Which spell chose an engine because it takes so many as they come.
    chosen: HashMap<String, usize>,
    /// Calls so far by action and engine, to give each its own chance.
    calls: HashMap<(String, String), u64>,
}

impl FaultSchedule {
    pub(super) fn new(scenario: Arc<Scenario>) -> Self {
        Self {
            scenario,
            first_switch: None,
            strikes: HashMap::new(),
            chosen: HashMap::new(),
            calls: HashMap::new(),
        }
    }

    /// Notes an arrival: faults with a time count from the first switch. Returns which call of this action and
    /// engine it is, from one.
    pub(super) fn notice(&mut self, action: &str, engine: Option<&DataEngineId>, at: Instant) -> u64 {
        if action == SWITCH {
            self.first_switch = Some(self.first_switch.map_or(at, |first| first.min(at)));
        }
        let nth = self.calls.entry((action.to_owned(), word(engine).to_owned())).or_default();
        *nth += 1;
        *nth
    }

    /// The first spell in force that strikes this call at this stage.
    pub(super) fn inject(
        &mut self,
        stage: Stage,
        action: &str,
        engine: Option<&DataEngineId>,
        at: Instant,
    ) -> Option<InjectedFault> {
        let scenario = Arc::clone(&self.scenario);
        let faults = scenario.faults.iter().enumerate().filter(|(_, rule)| rule.fault.stage() == Some(stage));
        for (place, rule) in faults {
            let meets = self.in_force(rule, at)
                && rule.action.as_deref().is_none_or(|theirs| theirs == action)
                && self.selects(place, &rule.engines, action, engine)
                && self.has_times_left(place, rule, engine);
            if meets {
                return Some(InjectedFault { fault: rule.fault.clone(), applied: rule.applied });
            }
        }
        None
    }

    /// True when new connections are closed unread: only a spell for every action and engine can tell before
    /// anything is read.
    pub(super) fn closes_connection(&mut self, at: Instant) -> bool {
        let scenario = Arc::clone(&self.scenario);
        scenario.faults.iter().enumerate().any(|(place, rule)| {
            rule.fault == SimulatedFault::Broken(Break::NoConnection)
                && rule.action.is_none()
                && rule.engines == Engines::All
                && self.in_force(rule, at)
                && self.has_times_left(place, rule, None)
        })
    }

    /// Calls per second that other clients use up of this action's limit.
    pub(super) fn taken(&self, action: &str, at: Instant) -> u32 {
        self.scenario
            .faults
            .iter()
            .filter(|rule| rule.action.as_deref().is_none_or(|theirs| theirs == action))
            .filter(|rule| self.in_force(rule, at))
            .fold(0, |taken, rule| taken.saturating_add(rule.requests_per_second))
    }

    fn in_force(&self, rule: &FaultRule, at: Instant) -> bool {
        if rule.from.is_none() && rule.until.is_none() {
            return true;
        }
        let Some(first) = self.first_switch else { return false };
        let elapsed = at.saturating_duration_since(first);
        elapsed >= rule.from.unwrap_or_default() && rule.until.is_none_or(|until| elapsed < until)
    }

    fn selects(
        &mut self,
        place: usize,
        engines: &Engines,
        action: &str,
        engine: Option<&DataEngineId>,
    ) -> bool {
        match (engines, engine) {
            (Engines::All, _) => true,
            (Engines::Share(percent), _) => self.is_in_share(place, *percent, action, engine),
            (Engines::Listed(ids), Some(engine)) => ids.contains(engine),
            (Engines::First(most), Some(engine)) => {
                let chosen = self.chosen.values().filter(|by| **by == place).count();
                match self.chosen.get(engine.as_str()) {
                    Some(by) => *by == place,
                    None if chosen < usize::try_from(*most).unwrap_or(usize::MAX) => {
                        self.chosen.insert(engine.as_str().to_owned(), place);
                        true
                    }
                    None => false,
                }
            }
            (Engines::Listed(_) | Engines::First(_), None) => false,
        }
    }

    fn is_in_share(&self, place: usize, percent: f64, action: &str, engine: Option<&DataEngineId>) -> bool {
        let rule = format!("spell {place}");
        // an engine is in or out for good; a call without one takes its chance each time
        let nth = match engine {
            Some(_) => 0,
            None => self.calls.get(&(action.to_owned(), String::new())).copied().unwrap_or_default(),
        };
        let action = if engine.is_some() { "" } else { action };
        dice(self.scenario.seed, &[&rule, action, word(engine)], nth).f64() * 100.0 < percent
    }

    fn has_times_left(&mut self, place: usize, rule: &FaultRule, engine: Option<&DataEngineId>) -> bool {
        let Some(times) = rule.times else { return true };
        let strikes = self.strikes.entry((place, word(engine).to_owned())).or_default();
        let left = *strikes < times;
        if left {
            *strikes += 1;
        }
        left
    }
}

fn word(engine: Option<&DataEngineId>) -> &str {
    engine.map_or("", DataEngineId::as_str)
}

/// How long the `nth` call of an action on an engine takes.
pub(super) fn latency(
    seed: u64,
    latency: Latency,
    action: &str,
    engine: Option<&DataEngineId>,
    nth: u64,
) -> Duration {
    let luck = dice(seed, &["latency", action, word(engine)], nth).f64();
    if luck < 0.5 {
        return latency.median.mul_f64(0.5 + luck);
    }
    // the cube keeps most of the slower half close to the median and leaves a long tail
    let slowness = (2.0 * luck - 1.0).powi(3);
    latency.median + latency.worst.saturating_sub(latency.median).mul_f64(slowness)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cloud::LIST_ENGINES;

    fn faults(faults: &str) -> FaultSchedule {
        let text = format!("seed: 7\nfaults: [{faults}]");
        FaultSchedule::new(Arc::new(Scenario::parse(&text, "weather.yaml").expect("a scenario")))
    }

    fn engine(number: usize) -> DataEngineId {
        DataEngineId::new(format!("DataEngine-sim{number:05}"))
    }

    /// Which of so many engines are struck by a spell.
    fn struck(faults: &mut FaultSchedule, engines: usize) -> Vec<usize> {
        let now = Instant::now();
        (0..engines)
            .filter(|number| faults.inject(Stage::Action, SWITCH, Some(&engine(*number)), now).is_some())
            .collect()
    }

    #[test]
    fn a_share_hits_about_that_share_and_the_same_engines_for_the_same_seed() {
        let rule = "{fault: InternalError, engines: 3%}";
        let hit = struck(&mut faults(rule), 10_000);
        assert!((250..350).contains(&hit.len()), "{} of 10,000", hit.len());
        assert_eq!(hit, struck(&mut faults(rule), 10_000));
        let mut two = faults("{fault: fin, engines: 0%}, {fault: InternalError, engines: 3%}");
        assert_ne!(hit, struck(&mut two, 10_000), "another spell hits other engines");
    }

    #[test]
    fn a_share_of_calls_without_an_engine_is_a_share_of_calls() {
        let mut faults = faults("{fault: truncated, action: DescribeDataEngines, engines: 10%}");
        let now = Instant::now();
        let hits = (0..2_000)
            .filter(|_| {
                faults.notice(LIST_ENGINES, None, now);
                faults.inject(Stage::Action, LIST_ENGINES, None, now).is_some()
            })
            .count();
        assert!((140..260).contains(&hits), "{hits} of 2,000");
        assert_eq!(faults.inject(Stage::Action, SWITCH, Some(&engine(1)), now), None);
    }

    #[test]
    fn a_number_takes_engines_as_they_come_and_shares_none_with_another_number() {
        let mut faults = faults("{fault: InternalError, engines: 2, times: 1}, {fault: fin, engines: 1}");
        assert_eq!(struck(&mut faults, 10), [0, 1, 2]);
        assert_eq!(struck(&mut faults, 10), [2], "the first spell is used up, the second is not");
    }

    #[test]
    fn listed_engines_are_struck_so_many_times_each() {
        let mut faults =
            faults("{fault: fin, engines: [DataEngine-sim00001, DataEngine-sim00003], times: 2}");
        for expected in [vec![1, 3], vec![1, 3], vec![]] {
            assert_eq!(struck(&mut faults, 5), expected);
        }
    }

    #[test]
    fn a_spell_with_a_time_counts_from_the_first_switch() {
        let mut faults = faults(
            "{fault: fin, action: any, from: 2s, until: 4s}, {fault: other-client, requests_per_second: 9, until: 1s}",
        );
        let born = Instant::now();
        let at = |millis| born + Duration::from_millis(millis);
        let struck = |faults: &mut FaultSchedule, millis| {
            faults.inject(Stage::Action, LIST_ENGINES, None, at(millis)).is_some()
        };
        faults.notice(LIST_ENGINES, None, at(0));
        assert!(!struck(&mut faults, 3_000), "no switch has arrived");
        assert_eq!(faults.taken(SWITCH, at(0)), 0);
        faults.notice(SWITCH, Some(&engine(1)), at(1_000));
        faults.notice(SWITCH, Some(&engine(2)), at(9_000));
        assert_eq!((faults.taken(SWITCH, at(1_999)), faults.taken(SWITCH, at(2_000))), (9, 0));
        assert_eq!(faults.taken(LIST_ENGINES, at(1_999)), 0);
        let seen: Vec<bool> = [2_999, 3_000, 4_999, 5_000].map(|millis| struck(&mut faults, millis)).to_vec();
        assert_eq!(seen, [false, true, true, false]);
    }

    #[test]
    fn latency_is_skewed_but_keeps_its_median_and_its_worst() {
        let shape = Latency { median: Duration::from_millis(120), worst: Duration::from_millis(600) };
        let mut all: Vec<Duration> = (0..10_000).map(|nth| latency(7, shape, SWITCH, None, nth)).collect();
        all.sort_unstable();
        let median = all[5_000].as_millis();
        assert!((110..130).contains(&median), "{median}");
        assert!(all[9_999] <= shape.worst && all[9_999] > Duration::from_millis(550));
        let mean = all.iter().sum::<Duration>() / 10_000;
        assert!(mean > all[5_000], "the tail is on the slow side");
    }
}
