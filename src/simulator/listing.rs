//! Answers `DescribeDataEngines`: which engines a request shows, page by page (document 1342/86308).

use super::refusal::invalid;
use super::world::{Engine, World};
use crate::cloud::{EngineKind, EngineListing, MAX_PAGE_SIZE, Refusal};
use crate::job::{DataEngineId, Region};

/// `EngineType` of Kyuubi gateways, which a listing hides unless it asks for them.
const GATEWAY: &str = "kyuubi";

/// The engines that a request asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct EngineQuery {
    pub(super) kind: EngineKind,
    /// `EngineType`; none shows all types except gateways.
    pub(super) engine_type: Option<String>,
    /// The filter `engine-id`; none shows all engines.
    pub(super) ids: Option<Vec<DataEngineId>>,
    pub(super) offset: i64,
    pub(super) limit: i64,
}

impl EngineQuery {
    /// The page that the request asks for: the newest engine first, as the service documents it for `Sorting` `asc`.
    pub(super) fn listing(&self, world: &World, region: &Region) -> Result<EngineListing, Refusal> {
        let offset = usize::try_from(self.offset).map_err(|_| invalid("Offset", &self.offset.to_string()))?;
        let limit = usize::try_from(self.limit)
            .ok()
            .filter(|_| (1..=i64::from(MAX_PAGE_SIZE)).contains(&self.limit))
            .ok_or_else(|| invalid("Limit", &self.limit.to_string()))?;
        let mut engines: Vec<&Engine> =
            world.engines().filter(|engine| engine.region == *region && self.selects(engine)).collect();
        engines.sort_by_key(|engine| std::cmp::Reverse(engine.number));
        Ok(EngineListing {
            total: u32::try_from(engines.len()).unwrap_or(u32::MAX),
            engines: engines.iter().skip(offset).take(limit).map(|engine| world.record(engine)).collect(),
        })
    }

    fn selects(&self, engine: &Engine) -> bool {
        let engine_type = if engine.is_gateway { GATEWAY } else { engine.engine_type.engine_type };
        engine.engine_type.kind == self.kind
            && self.engine_type.as_deref().map_or(!engine.is_gateway, |asked| asked == engine_type)
            && self.ids.as_ref().is_none_or(|ids| ids.contains(&engine.data_engine_id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(kind: EngineKind) -> EngineQuery {
        EngineQuery { kind, engine_type: None, ids: None, offset: 0, limit: 100 }
    }

    fn region() -> Region {
        Region::new("ap-guangzhou")
    }

    fn ids(query: &EngineQuery, world: &World) -> Vec<DataEngineId> {
        let listing = query.listing(world, &region()).expect("a listing");
        listing.engines.into_iter().map(|engine| engine.data_engine_id).collect()
    }

    #[test]
    fn the_pages_of_the_four_kinds_show_every_engine_once() {
        let world = World::generated(1, 200, &region());
        let mut seen = Vec::new();
        for kind in EngineKind::ALL {
            for offset in (0..200).step_by(7) {
                seen.extend(ids(&EngineQuery { offset, limit: 7, ..query(kind) }, &world));
            }
        }
        seen.sort();
        let all: Vec<_> = world.engines().map(|engine| engine.data_engine_id.clone()).collect();
        assert_eq!(seen, all);
    }

    #[test]
    fn a_listing_shows_the_newest_engine_first_and_only_engines_of_its_region() {
        let world = World::generated(1, 200, &region());
        let shown = ids(&query(EngineKind::ALL[0]), &world);
        assert!(shown.len() > 10 && shown.is_sorted_by(|newer, older| newer > older));
        let elsewhere = query(EngineKind::ALL[0]).listing(&world, &Region::new("ap-shanghai"));
        assert_eq!(elsewhere, Ok(EngineListing::default()));
    }

    #[test]
    fn a_filter_by_id_shows_only_engines_of_the_kind_that_was_asked_for() {
        let world = World::generated(1, 200, &region());
        let [kind, other_kind] = [EngineKind::ALL[0], EngineKind::ALL[3]];
        let first = ids(&query(kind), &world)[0].clone();
        let other = ids(&query(other_kind), &world)[0].clone();
        let filtered = EngineQuery { ids: Some(vec![first.clone(), other]), ..query(kind) };
        assert_eq!(ids(&filtered, &world), [first]);
    }

    #[test]
    fn a_gateway_is_listed_only_if_its_engine_type_is_asked_for() {
        let mut world = World::generated(1, 200, &region());
        let kind = EngineKind::ALL[0];
        let gateway = ids(&query(kind), &world)[0].clone();
        assert!(world.set_gateway(&region(), &gateway));
        assert!(!ids(&query(kind), &world).contains(&gateway));
        let asked = EngineQuery { engine_type: Some("kyuubi".to_owned()), ..query(kind) };
        assert_eq!(ids(&asked, &world), [gateway]);
    }

    #[test]
    fn an_offset_or_limit_out_of_range_is_refused() {
        let world = World::generated(1, 1, &region());
        for (offset, limit) in [(0, 101), (0, 0), (-1, 10)] {
            let query = EngineQuery { offset, limit, ..query(EngineKind::ALL[0]) };
            let refusal = query.listing(&world, &region()).expect_err("a refusal");
            assert_eq!(refusal.code, "InvalidParameterValue", "{query:?}");
        }
    }
}
