//! Decides which fault rule of a scenario applies to which request.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::fault::{ResponseFault, SimulatedFault, Stage};
use super::random::generator;
use super::scenario::{Applied, Engines, FaultRule, Latency, ListingFaults, Scenario};
use crate::cloud::{EngineListing, SWITCH};
use crate::job::DataEngineId;

/// A request, as far as fault rules depend on it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Received<'a> {
    pub(super) at: Instant,
    pub(super) action: &'a str,
    /// The engine that the request names, if any.
    pub(super) engine: Option<&'a DataEngineId>,
}

impl Received<'_> {
    fn engine(&self) -> &str {
        self.engine.map_or("", DataEngineId::as_str)
    }
}

/// The fault that a rule injects into a request.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct InjectedFault {
    pub(super) fault: SimulatedFault,
    pub(super) applied: Applied,
}

/// The fault rules of a scenario, and how often each was applied.
#[derive(Debug)]
pub(super) struct FaultRules {
    scenario: Arc<Scenario>,
    first_switch: Option<Instant>,
    /// How often each rule was applied to each engine; requests that name no engine count together.
    applications: HashMap<(usize, String), u32>,
    /// The rule with a number of engines that has taken an engine.
    taken: HashMap<String, usize>,
    /// Requests so far by action and engine.
    requests: HashMap<(String, String), u64>,
}

impl FaultRules {
    pub(super) fn new(scenario: Arc<Scenario>) -> Self {
        Self {
            scenario,
            first_switch: None,
            applications: HashMap::new(),
            taken: HashMap::new(),
            requests: HashMap::new(),
        }
    }

    /// Counts a request: times of rules start at the first switch. Returns its number, from one, among the requests
    /// of the same action and engine.
    pub(super) fn count(&mut self, request: Received<'_>) -> u64 {
        if request.action == SWITCH {
            self.first_switch = Some(self.first_switch.map_or(request.at, |first| first.min(request.at)));
        }
        let key = (request.action.to_owned(), request.engine().to_owned());
        let number = self.requests.entry(key).or_default();
        *number += 1;
        *number
    }

    /// The fault of the first rule that applies to a request at this stage.
    pub(super) fn inject(&mut self, stage: Stage, request: Received<'_>) -> Option<InjectedFault> {
        let scenario = Arc::clone(&self.scenario);
        let mut rules = scenario.faults.iter().enumerate();
        let (_, rule) = rules.find(|(index, rule)| {
            rule.fault.stage() == Some(stage)
                && self.is_active(rule, request.at)
                && rule.action.as_deref().is_none_or(|action| action == request.action)
                && self.selects(*index, &rule.engines, request)
                && self.use_once(*index, rule, request)
        })?;
        Some(InjectedFault { fault: rule.fault.clone(), applied: rule.applied() })
    }

    /// True if a new connection is to be closed unread. Before a request is read its action and engine are unknown,
    /// so only rules for all actions and engines count.
    pub(super) fn closes_connection(&mut self, at: Instant) -> bool {
        let scenario = Arc::clone(&self.scenario);
        let unread = Received { at, action: "", engine: None };
        scenario.faults.iter().enumerate().any(|(index, rule)| {
            rule.fault == SimulatedFault::Response(ResponseFault::NoConnection)
                && rule.action.is_none()
                && rule.engines == Engines::All
                && self.is_active(rule, at)
                && self.use_once(index, rule, unread)
        })
    }

    /// Requests of this action that other clients send in each second.
    pub(super) fn other_requests_per_second(&self, action: &str, at: Instant) -> u32 {
        self.scenario
            .faults
            .iter()
            .filter(|rule| rule.action.as_deref().is_none_or(|of_rule| of_rule == action))
            .filter(|rule| self.is_active(rule, at))
            .fold(0, |sum, rule| sum.saturating_add(rule.requests_per_second))
    }

    fn is_active(&self, rule: &FaultRule, at: Instant) -> bool {
        if rule.from.is_none() && rule.until.is_none() {
            return true;
        }
        let Some(first) = self.first_switch else { return false };
        let elapsed = at.saturating_duration_since(first);
        elapsed >= rule.from.unwrap_or_default() && rule.until.is_none_or(|until| elapsed < until)
    }

    fn selects(&mut self, index: usize, engines: &Engines, request: Received<'_>) -> bool {
        match (engines, request.engine) {
            (Engines::All, _) => true,
            (Engines::Share(percent), _) => self.is_in_share(index, *percent, request),
            (Engines::Listed(ids), Some(engine)) => ids.contains(engine),
            (Engines::First(max), Some(engine)) => {
                let count = self.taken.values().filter(|by| **by == index).count();
                let is_full = count >= usize::try_from(*max).unwrap_or(usize::MAX);
                if !is_full && !self.taken.contains_key(engine.as_str()) {
                    self.taken.insert(engine.as_str().to_owned(), index);
                }
                self.taken.get(engine.as_str()) == Some(&index)
            }
            (Engines::Listed(_) | Engines::First(_), None) => false,
        }
    }

    /// An engine is in the share for all its requests or for none; requests without an engine are chosen one by one.
    fn is_in_share(&self, index: usize, percent: f64, request: Received<'_>) -> bool {
        let (action, number) = if request.engine.is_some() {
            ("", 0)
        } else {
            let key = (request.action.to_owned(), String::new());
            (request.action, self.requests.get(&key).copied().unwrap_or_default())
        };
        let purpose = [&format!("fault rule {index}"), action, request.engine()];
        happens(self.scenario.seed, &purpose, number, percent)
    }

    /// Uses up one of the `times` of a rule; false if none is left.
    fn use_once(&mut self, index: usize, rule: &FaultRule, request: Received<'_>) -> bool {
        let Some(times) = rule.times else { return true };
        let used = self.applications.entry((index, request.engine().to_owned())).or_default();
        let is_left = *used < times;
        *used += u32::from(is_left);
        is_left
    }
}

impl Latency {
    /// How long the response to a request takes that is the `number`th of its action and engine.
    pub(super) fn of(self, seed: u64, request: Received<'_>, number: u64) -> Duration {
        let random = generator(seed, &["latency", request.action, request.engine()], number).f64();
        if random < 0.5 {
            return self.median.mul_f64(0.5 + random);
        }
        // the cube keeps most of the slower half close to the median and leaves a long tail
        let slowness = (2.0 * random - 1.0).powi(3);
        self.median + self.max.saturating_sub(self.median).mul_f64(slowness)
    }
}

impl ListingFaults {
    /// Makes the `number`th listing wrong. The total of a filtered listing stays right: a client cannot tell a service
    /// that hides an engine from one that does not have it.
    pub(super) fn apply(
        self,
        listing: EngineListing,
        is_filtered: bool,
        seed: u64,
        number: u64,
    ) -> EngineListing {
        let EngineListing { mut engines, total } = listing;
        for index in 1..engines.len() {
            // the copy replaces another record, so that no page is longer than its limit
            let id = engines[index].data_engine_id.as_str();
            if happens(seed, &["repeated", id], number, self.repeated) {
                engines[index] = engines[index - 1].clone();
            }
        }
        engines.retain(|engine| {
            !happens(seed, &["omitted", engine.data_engine_id.as_str()], number, self.omitted)
        });
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of a u32")]
        let uncounted = (f64::from(total) * self.uncounted / 100.0).round() as u32;
        EngineListing { engines, total: if is_filtered { total } else { total.saturating_sub(uncounted) } }
    }
}

fn happens(seed: u64, purpose: &[&str], number: u64, percent: f64) -> bool {
    percent > 0.0 && generator(seed, purpose, number).f64() * 100.0 < percent
}

#[cfg(test)]
mod tests {
    use super::super::world::World;
    use super::*;
    use crate::cloud::LIST_ENGINES;
    use crate::job::Region;

    fn rules(rules: &str) -> FaultRules {
        let text = format!("seed: 7\nfaults: [{rules}]");
        FaultRules::new(Arc::new(Scenario::parse(&text, "scenario.yaml").expect("a scenario")))
    }

    fn engine(number: usize) -> DataEngineId {
        DataEngineId::new(format!("DataEngine-sim{number:05}"))
    }

    fn list(at: Instant) -> Received<'static> {
        Received { at, action: LIST_ENGINES, engine: None }
    }

    fn switch_of(engine: &DataEngineId, at: Instant) -> Received<'_> {
        Received { at, action: SWITCH, engine: Some(engine) }
    }

    /// The numbers of the engines to which a rule applies.
    fn affected(rules: &mut FaultRules, engines: usize) -> Vec<usize> {
        let now = Instant::now();
        (0..engines)
            .filter(|number| rules.inject(Stage::Action, switch_of(&engine(*number), now)).is_some())
            .collect()
    }

    #[test]
    fn a_share_selects_that_share_and_the_same_engines_for_the_same_seed() {
        let rule = "{fault: InternalError, engines: 3%}";
        let hit = affected(&mut rules(rule), 10_000);
        assert!((250..350).contains(&hit.len()), "{} of 10,000", hit.len());
        assert_eq!(hit, affected(&mut rules(rule), 10_000));
        let mut two = rules("{fault: close-after-reading, engines: 0%}, {fault: InternalError, engines: 3%}");
        assert_ne!(hit, affected(&mut two, 10_000), "another rule selects other engines");
    }

    #[test]
    fn a_share_of_requests_without_an_engine_is_a_share_of_requests() {
        let mut rules = rules("{fault: truncated, action: DescribeDataEngines, engines: 10%}");
        let now = Instant::now();
        let hits = (0..2_000)
            .filter(|_| {
                rules.count(list(now));
                rules.inject(Stage::Action, list(now)).is_some()
            })
            .count();
        assert!((140..260).contains(&hits), "{hits} of 2,000");
        assert_eq!(rules.inject(Stage::Action, switch_of(&engine(1), now)), None);
    }

    #[test]
    fn a_number_takes_engines_in_the_order_of_their_first_request_and_no_engine_of_another_rule() {
        let mut rules =
            rules("{fault: InternalError, engines: 2, times: 1}, {fault: close-after-reading, engines: 1}");
        assert_eq!(affected(&mut rules, 10), [0, 1, 2]);
        assert_eq!(affected(&mut rules, 10), [2], "the first rule is used up, the second is not");
    }

    #[test]
    fn a_rule_with_times_applies_that_often_to_each_listed_engine() {
        let mut rules = rules(
            "{fault: close-after-reading, engines: [DataEngine-sim00001, DataEngine-sim00003], times: 2}",
        );
        for expected in [vec![1, 3], vec![1, 3], vec![]] {
            assert_eq!(affected(&mut rules, 5), expected);
        }
    }

    #[test]
    fn times_of_a_rule_start_at_the_first_switch() {
        let mut rules = rules(
            "{fault: close-after-reading, action: any, from: 2s, until: 4s}, {fault: other-client, requests_per_second: 9, until: 1s}",
        );
        let start = Instant::now();
        let at = |millis| start + Duration::from_millis(millis);
        let applies =
            |rules: &mut FaultRules, millis| rules.inject(Stage::Action, list(at(millis))).is_some();
        rules.count(list(at(0)));
        assert!(!applies(&mut rules, 3_000), "no switch request has arrived");
        assert_eq!(rules.other_requests_per_second(SWITCH, at(0)), 0);
        rules.count(switch_of(&engine(1), at(1_000)));
        rules.count(switch_of(&engine(2), at(9_000)));
        assert_eq!(
            (
                rules.other_requests_per_second(SWITCH, at(1_999)),
                rules.other_requests_per_second(SWITCH, at(2_000))
            ),
            (9, 0)
        );
        assert_eq!(rules.other_requests_per_second(LIST_ENGINES, at(1_999)), 0);
        let seen: Vec<bool> = [2_999, 3_000, 4_999, 5_000].map(|millis| applies(&mut rules, millis)).to_vec();
        assert_eq!(seen, [false, true, true, false]);
    }

    #[test]
    fn latency_is_skewed_and_keeps_its_median_and_max() {
        let shape = Latency { median: Duration::from_millis(120), max: Duration::from_millis(600) };
        let mut all: Vec<Duration> =
            (0..10_000).map(|number| shape.of(7, list(Instant::now()), number)).collect();
        all.sort_unstable();
        let median = all[5_000].as_millis();
        assert!((110..130).contains(&median), "{median}");
        assert!(all[9_999] <= shape.max && all[9_999] > Duration::from_millis(550));
        let mean = all.iter().sum::<Duration>() / 10_000;
        assert!(mean > all[5_000], "the tail is on the slow side");
    }

    fn listing(count: usize) -> EngineListing {
        let world = World::generated(1, count, &Region::new("ap-guangzhou"));
        let engines = world.engines().map(|engine| world.record(engine)).collect();
        EngineListing { engines, total: u32::try_from(count).expect("a small number") }
    }

    fn ids(listing: &EngineListing) -> Vec<&str> {
        listing.engines.iter().map(|engine| engine.data_engine_id.as_str()).collect()
    }

    #[test]
    fn each_listing_omits_its_own_share_and_counts_all_engines() {
        let faults = ListingFaults { omitted: 20.0, ..ListingFaults::default() };
        let [first, second] = [1, 2].map(|number| faults.apply(listing(1_000), false, 7, number));
        for listing in [&first, &second] {
            assert!((750..850).contains(&listing.engines.len()), "{} of 1,000", listing.engines.len());
            assert_eq!(listing.total, 1_000);
        }
        assert_ne!(ids(&first), ids(&second));
        assert_eq!(
            first,
            faults.apply(listing(1_000), false, 7, 1),
            "the same seed and number give the same faults"
        );
    }

    #[test]
    fn a_repeated_record_replaces_another() {
        let faults = ListingFaults { repeated: 10.0, ..ListingFaults::default() };
        let listing = faults.apply(listing(1_000), false, 7, 1);
        let mut ids = ids(&listing);
        assert_eq!((ids.len(), listing.total), (1_000, 1_000));
        ids.dedup();
        assert!((850..950).contains(&ids.len()), "{} of 1,000", ids.len());
    }

    #[test]
    fn a_count_is_too_low_only_in_unfiltered_listings() {
        let faults = ListingFaults { uncounted: 40.0, ..ListingFaults::default() };
        assert_eq!(faults.apply(listing(150), false, 7, 1).total, 90);
        assert_eq!(faults.apply(listing(150), true, 7, 1), listing(150));
    }
}
