//! The filters of `DescribeDataEngines` (document 1342/86308, and the model `Filter` of the vendor's Python SDK).

use std::cmp::Ordering;

use super::record::{MODE, NETWORK, cluster_type};
use super::world::Engine;
use crate::job::DataEngineId;

/// One entry of `Filters`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Filter {
    pub(super) name: String,
    pub(super) values: Vec<String>,
    /// One of the documented ones; empty is `EQ`.
    pub(super) operator: Option<String>,
}

/// Most values in one filter (the general error texts of the product).
const MOST_VALUES: usize = 50;

/// All look at the first value only, but `IN`.
const OPERATORS: [&str; 8] = ["EQ", "NE", "GT", "GE", "LT", "LE", "LIKE", "IN"];

/// The filter that finds parts of several fields, whichever operator it has.
const KEY_WORD: &str = "key-word";

/// What a filter looks at.
type Looks = fn(&Engine) -> String;

const FILTERS: [(&str, Looks); 11] = [
    ("data-engine-name", |engine| engine.name.as_str().to_owned()),
    ("engine-type", |engine| engine.engine_type.engine_type.to_owned()),
    ("state", |engine| engine.state.0.to_string()),
    ("mode", |_| MODE.to_string()),
    ("create-time", |engine| engine.created.to_string()),
    // no engine has a message
    ("message", |_| String::new()),
    ("cluster-type", |engine| cluster_type(engine.engine_type.engine_type)),
    ("engine-id", |engine| engine.data_engine_id.as_str().to_owned()),
    (KEY_WORD, |engine| format!("{}\n{}", engine.name, cluster_type(engine.engine_type.engine_type))),
    ("engine-exec-type", |engine| engine.engine_type.kind.exec_type.as_str().to_owned()),
    ("engine-network-id", |_| NETWORK.to_owned()),
];

impl Filter {
    /// The engines with these ids.
    pub(super) fn any_of(ids: &[DataEngineId]) -> Self {
        let values = ids.iter().map(|id| id.as_str().to_owned()).collect();
        Self { name: "engine-id".to_owned(), values, operator: Some("IN".to_owned()) }
    }

    /// What is wrong with it: the parameter and its value.
    pub(super) fn fault(&self) -> Option<(&'static str, String)> {
        if self.values.is_empty() || self.values.len() > MOST_VALUES {
            return Some(("Filters.Values", format!("{} values", self.values.len())));
        }
        if self.looks().is_none() {
            return Some(("Filters.Name", self.name.clone()));
        }
        let operator = self.operator();
        (!OPERATORS.contains(&operator)).then(|| ("Filters.Operator", operator.to_owned()))
    }

    /// Whether it lets an engine through.
    pub(super) fn passes(&self, engine: &Engine) -> bool {
        let Some(ours) = self.looks().map(|looks| looks(engine)) else { return false };
        let first = self.values.first().map(String::as_str).unwrap_or_default();
        match self.operator() {
            _ if self.name == KEY_WORD => ours.contains(first),
            "IN" => self.values.contains(&ours),
            "LIKE" => ours.contains(first),
            "NE" => ours != first,
            "GT" => compare(&ours, first).is_gt(),
            "GE" => compare(&ours, first).is_ge(),
            "LT" => compare(&ours, first).is_lt(),
            "LE" => compare(&ours, first).is_le(),
            _ => ours == first,
        }
    }

    fn looks(&self) -> Option<Looks> {
        FILTERS.iter().find(|(name, _)| *name == self.name).map(|(_, looks)| *looks)
    }

    fn operator(&self) -> &str {
        self.operator.as_deref().filter(|operator| !operator.is_empty()).unwrap_or("EQ")
    }
}

/// Numbers as numbers, everything else as text.
fn compare(ours: &str, theirs: &str) -> Ordering {
    match (ours.parse::<i64>(), theirs.parse::<i64>()) {
        (Ok(ours), Ok(theirs)) => ours.cmp(&theirs),
        _ => ours.cmp(theirs),
    }
}

#[cfg(test)]
mod tests {
    use super::super::World;
    use super::*;
    use crate::job::Region;

    fn passing(name: &str, operator: &str, values: &[&str]) -> Vec<usize> {
        let world = World::generated(1, 12, &Region::new("ap-guangzhou"));
        let values = values.iter().map(|value| (*value).to_owned()).collect();
        let filter = Filter { name: name.to_owned(), values, operator: Some(operator.to_owned()) };
        assert_eq!(filter.fault(), None);
        world
            .engines()
            .zip(1..)
            .filter(|(engine, _)| filter.passes(engine))
            .map(|(_, number)| number)
            .collect()
    }

    #[test]
    fn every_operator_but_in_looks_at_the_first_value() {
        let asked = ["DataEngine-sim00003", "DataEngine-sim00005"];
        let by_id = |operator: &str| passing("engine-id", operator, &asked);
        assert_eq!(by_id("IN"), [3, 5]);
        assert_eq!(by_id("EQ"), [3]);
        assert_eq!(by_id(""), [3]);
        assert_eq!(by_id("NE").len(), 11);
        assert_eq!(by_id("LT"), [1, 2]);
        assert_eq!(by_id("LE"), [1, 2, 3]);
        assert_eq!(by_id("GE").len(), 10);
        assert_eq!(by_id("GT").len(), 9);
        assert_eq!(passing("engine-id", "LIKE", &["0001"]), [1, 10, 11, 12]);
    }

    #[test]
    fn times_and_states_are_compared_as_numbers_and_key_words_are_found_anywhere() {
        assert_eq!(passing("state", "LT", &["10"]).len(), 12);
        assert_eq!(passing("create-time", "GT", &["999"]).len(), 12);
        assert_eq!(passing("key-word", "EQ", &["_private"]).len(), 12);
        assert_eq!(passing("key-word", "EQ", &["-00007"]), [7]);
    }
}
