//! What can be wrong with an answer of `DescribeDataEngines`: records left out, records repeated, a count too low.

use super::query::EngineRows;
use super::random::dice;
use super::scenario::ListingFaults;

impl ListingFaults {
    /// Makes the `nth` answer as wrong as the scenario asks for. `TotalCount` stays right but for what is uncounted;
    /// that of a filtered answer stays right altogether, since a client could not tell a service that denies an engine
    /// from one that does not have it.
    pub(super) fn apply(&self, answer: EngineRows, is_filtered: bool, seed: u64, nth: u64) -> EngineRows {
        let EngineRows { mut rows, total } = answer;
        let by_chance = |fault: &str, id: &str, percent: f64| {
            percent > 0.0 && dice(seed, &[fault, id], nth).f64() * 100.0 < percent
        };
        for place in 1..rows.len() {
            // the copy takes the place of another record: no page is longer than it was asked to be
            if by_chance("repeated", rows[place].record.data_engine_id.as_str(), self.repeated) {
                rows[place] = rows[place - 1].clone();
            }
        }
        rows.retain(|row| !by_chance("omitted", row.record.data_engine_id.as_str(), self.omitted));
        EngineRows { rows, total: if is_filtered { total } else { self.counted(total) } }
    }

    fn counted(&self, total: u32) -> u32 {
        let uncounted = (f64::from(total) * self.uncounted / 100.0).round();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of a u32")]
        total.saturating_sub(uncounted as u32)
    }
}

#[cfg(test)]
mod tests {
    use super::super::World;
    use super::*;
    use crate::job::Region;

    fn answer(engines: usize) -> EngineRows {
        let world = World::generated(1, engines, &Region::new("ap-guangzhou"));
        let rows = world.engines().map(|engine| world.row(engine)).collect();
        EngineRows { rows, total: u32::try_from(engines).expect("a small number") }
    }

    fn ids(answer: &EngineRows) -> Vec<&str> {
        answer.rows.iter().map(|row| row.record.data_engine_id.as_str()).collect()
    }

    #[test]
    fn each_answer_leaves_out_a_share_of_its_own_and_counts_all() {
        let faults = ListingFaults { omitted: 20.0, ..ListingFaults::default() };
        let [first, second] = [1, 2].map(|nth| faults.apply(answer(1_000), false, 7, nth));
        for listing in [&first, &second] {
            assert!((750..850).contains(&listing.rows.len()), "{} of 1,000", listing.rows.len());
            assert_eq!(listing.total, 1_000);
        }
        assert_ne!(ids(&first), ids(&second));
        assert_eq!(
            first,
            faults.apply(answer(1_000), false, 7, 1),
            "the same seed and answer, the same faults"
        );
    }

    #[test]
    fn a_repeated_record_takes_the_place_of_another() {
        let faults = ListingFaults { repeated: 10.0, ..ListingFaults::default() };
        let listing = faults.apply(answer(1_000), false, 7, 1);
        let mut ids = ids(&listing);
        assert_eq!((ids.len(), listing.total), (1_000, 1_000));
        ids.dedup();
        assert!((850..950).contains(&ids.len()), "{} of 1,000", ids.len());
    }

    #[test]
    fn a_count_that_is_too_low_is_right_where_a_filter_asks() {
        let faults = ListingFaults { uncounted: 40.0, ..ListingFaults::default() };
        assert_eq!(faults.apply(answer(150), false, 7, 1).total, 90);
        assert_eq!(faults.apply(answer(150), true, 7, 1), answer(150));
    }
}
