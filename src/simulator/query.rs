//! What `DescribeDataEngines` shows: the hiding defaults, the filters and the pages (document 1342/86308).

use super::filter::Filter;
use super::record::EngineRow;
use super::world::{Engine, Objection, World};
use crate::cloud::{EngineExecType, EngineGeneration, EngineListing, EnginePage, MAX_PAGE_SIZE};
use crate::job::Region;

/// Most filters in one call (the general error texts of the product).
const MOST_FILTERS: usize = 5;

/// Which engines are asked for. What is left empty hides engines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct EngineQuery {
    /// Empty shows `SuperSQL` only.
    pub(super) generation: Option<String>,
    /// Empty shows `SQL` only.
    pub(super) exec_type: Option<String>,
    /// Empty shows `spark` and `presto`; Kyuubi gateways are hidden unless it is `kyuubi`.
    pub(super) engine_type: Option<String>,
    /// Empty shows all.
    pub(super) engine_type_detail: Option<String>,
    pub(super) filters: Vec<Filter>,
    /// Empty is `create-time`, and there is no other.
    pub(super) sort_by: Option<String>,
    /// `desc` is documented as ascending, and `asc`, the default, as descending.
    pub(super) sorting: Option<String>,
    pub(super) offset: i64,
    pub(super) limit: i64,
}

/// One page, and how many engines there are in all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct EngineRows {
    pub(super) rows: Vec<EngineRow>,
    pub(super) total: u32,
}

impl EngineRows {
    /// The page in our nouns.
    pub(super) fn into_listing(self) -> EngineListing {
        EngineListing { engines: self.rows.into_iter().map(|row| row.record).collect(), total: self.total }
    }
}

impl EngineQuery {
    /// One page of a kind, unfiltered.
    pub(super) fn page(page: EnginePage) -> Self {
        Self {
            generation: Some(page.kind.generation.as_str().to_owned()),
            exec_type: Some(page.kind.exec_type.as_str().to_owned()),
            engine_type: page.kind.engine_type().map(str::to_owned),
            engine_type_detail: None,
            filters: Vec::new(),
            sort_by: None,
            sorting: None,
            offset: i64::from(page.offset),
            limit: i64::from(page.limit),
        }
    }

    /// The page this query asks for.
    pub(super) fn listing(&self, world: &World, region: &Region) -> Result<EngineRows, Objection> {
        let generation = self.generation()?;
        let exec_type = self.exec_type()?;
        let (offset, limit) = self.bounds()?;
        self.check_filters()?;
        let oldest_first = self.oldest_first()?;
        let asked = |given: &Option<String>, ours: &str| given.as_deref().is_none_or(|given| given == ours);
        let mut engines: Vec<&Engine> = world
            .engines()
            .filter(|engine| engine.region == *region)
            .filter(|engine| engine.engine_type.kind.generation == generation)
            .filter(|engine| engine.engine_type.kind.exec_type == exec_type)
            .filter(|engine| asked(&self.engine_type, engine.engine_type.engine_type))
            .filter(|engine| asked(&self.engine_type_detail, engine.engine_type.detail))
            .filter(|engine| self.filters.iter().all(|filter| filter.passes(engine)))
            .collect();
        engines.sort_by_key(|engine| engine.created);
        if !oldest_first {
            engines.reverse();
        }
        let rows = engines.iter().skip(offset).take(limit).map(|engine| world.row(engine)).collect();
        Ok(EngineRows { rows, total: u32::try_from(engines.len()).unwrap_or(u32::MAX) })
    }

    fn generation(&self) -> Result<EngineGeneration, Objection> {
        let hidden = EngineGeneration::SuperSql;
        let all = [EngineGeneration::SuperSql, EngineGeneration::Native];
        let Some(text) = given(self.generation.as_ref()) else { return Ok(hidden) };
        all.into_iter()
            .find(|generation| generation.as_str() == text)
            .ok_or_else(|| wrong("EngineGeneration", text))
    }

    fn exec_type(&self) -> Result<EngineExecType, Objection> {
        let hidden = EngineExecType::Sql;
        let all = [EngineExecType::Sql, EngineExecType::Batch];
        let Some(text) = given(self.exec_type.as_ref()) else { return Ok(hidden) };
        all.into_iter()
            .find(|exec_type| exec_type.as_str() == text)
            .ok_or_else(|| wrong("EngineExecType", text))
    }

    fn bounds(&self) -> Result<(usize, usize), Objection> {
        let offset = usize::try_from(self.offset).map_err(|_| wrong("Offset", &self.offset.to_string()))?;
        usize::try_from(self.limit)
            .ok()
            .filter(|_| (1..=i64::from(MAX_PAGE_SIZE)).contains(&self.limit))
            .map(|limit| (offset, limit))
            .ok_or_else(|| wrong("Limit", &self.limit.to_string()))
    }

    fn check_filters(&self) -> Result<(), Objection> {
        if self.filters.len() > MOST_FILTERS {
            return Err(wrong("Filters", &format!("{} filters", self.filters.len())));
        }
        match self.filters.iter().find_map(Filter::fault) {
            Some((parameter, value)) => Err(wrong(parameter, &value)),
            None => Ok(()),
        }
    }

    fn oldest_first(&self) -> Result<bool, Objection> {
        match given(self.sort_by.as_ref()) {
            None | Some("create-time") => {}
            Some(other) => return Err(wrong("SortBy", other)),
        }
        match given(self.sorting.as_ref()) {
            None | Some("asc") => Ok(false),
            Some("desc") => Ok(true),
            Some(other) => Err(wrong("Sorting", other)),
        }
    }
}

/// An empty text is the same as none.
fn given(text: Option<&String>) -> Option<&str> {
    text.map(String::as_str).filter(|text| !text.is_empty())
}

fn wrong(parameter: &str, value: &str) -> Objection {
    Objection::new("InvalidParameterValue", format!("the value of {parameter} is not allowed: {value}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query() -> EngineQuery {
        EngineQuery {
            generation: None,
            exec_type: None,
            engine_type: None,
            engine_type_detail: None,
            filters: Vec::new(),
            sort_by: None,
            sorting: None,
            offset: 0,
            limit: 10,
        }
    }

    fn region() -> Region {
        Region::new("ap-guangzhou")
    }

    fn by_id(ids: &[&str], operator: Option<&str>) -> Vec<Filter> {
        let values = ids.iter().map(|id| (*id).to_owned()).collect();
        vec![Filter { name: "engine-id".to_owned(), values, operator: operator.map(str::to_owned) }]
    }

    #[test]
    fn an_empty_query_hides_all_but_the_first_ten_supersql_engines_for_sql() {
        let world = World::generated(1, 200, &region());
        let listing = query().listing(&world, &region()).expect("a listing");
        assert_eq!(listing.rows.len(), 10);
        assert!(listing.rows.iter().all(|row| {
            row.record.kind.is_some_and(|kind| {
                kind.generation == EngineGeneration::SuperSql && kind.exec_type == EngineExecType::Sql
            })
        }));
        assert!((listing.total as usize) < world.engines().count() / 2);
        let elsewhere = query().listing(&world, &Region::new("ap-shanghai")).expect("a listing");
        assert_eq!(elsewhere, EngineRows::default());
    }

    #[test]
    fn the_four_kinds_together_show_every_engine_once() {
        let world = World::generated(1, 200, &region());
        let mut seen = Vec::new();
        for (generation, exec_type) in
            [("SuperSQL", "SQL"), ("SuperSQL", "BATCH"), ("Native", "SQL"), ("Native", "BATCH")]
        {
            for offset in [0, 100] {
                let query = EngineQuery {
                    generation: Some(generation.to_owned()),
                    exec_type: Some(exec_type.to_owned()),
                    offset,
                    limit: 100,
                    ..query()
                };
                let listing = query.listing(&world, &region()).expect("a listing");
                seen.extend(listing.rows.into_iter().map(|row| row.record.data_engine_id));
            }
        }
        seen.sort();
        let all: Vec<_> = world.engines().map(|engine| engine.data_engine_id.clone()).collect();
        assert_eq!(seen, all);
    }

    #[test]
    fn a_filter_looks_at_its_first_value_unless_it_says_in_and_does_not_lift_the_hiding() {
        let world = World::generated(1, 200, &region());
        let shown = EngineQuery { limit: 100, ..query() }.listing(&world, &region()).expect("a listing");
        let ids: Vec<&str> =
            shown.rows.iter().take(2).map(|row| row.record.data_engine_id.as_str()).collect();
        let count = |filters: Vec<Filter>| {
            EngineQuery { filters, ..query() }.listing(&world, &region()).map(|listing| listing.total)
        };
        assert_eq!(count(by_id(&ids, None)), Ok(1));
        assert_eq!(count(by_id(&ids, Some("IN"))), Ok(2));
        let hidden =
            world.engines().find(|engine| engine.engine_type.detail == "StandardSpark").expect("one");
        assert_eq!(count(by_id(&[hidden.data_engine_id.as_str()], Some("IN"))), Ok(0));
    }

    #[test]
    fn sorting_goes_the_wrong_way_round_as_documented() {
        let world = World::generated(1, 200, &region());
        let times = |sorting: Option<&str>| {
            let sorting = sorting.map(str::to_owned);
            let listing = EngineQuery { sorting, limit: 100, ..query() }.listing(&world, &region());
            listing.expect("a listing").rows.into_iter().map(|row| row.created).collect::<Vec<_>>()
        };
        assert!(times(Some("desc")).is_sorted_by(|earlier, later| earlier < later));
        assert!(times(Some("asc")).is_sorted_by(|later, earlier| earlier < later));
        assert_eq!(times(None), times(Some("asc")));
    }

    #[test]
    fn values_out_of_bounds_are_refused() {
        let world = World::generated(1, 1, &region());
        let many = vec!["x"; 51];
        for query in [
            EngineQuery { limit: 101, ..query() },
            EngineQuery { limit: 0, ..query() },
            EngineQuery { offset: -1, ..query() },
            EngineQuery { generation: Some("Old".to_owned()), ..query() },
            EngineQuery { exec_type: Some("sql".to_owned()), ..query() },
            EngineQuery { filters: by_id(&many, Some("IN")), ..query() },
            EngineQuery { filters: by_id(&[], None), ..query() },
            EngineQuery { filters: by_id(&["x"], Some("IS")), ..query() },
            EngineQuery {
                filters: vec![Filter { name: "colour".to_owned(), ..by_id(&["x"], None).remove(0) }],
                ..query()
            },
            EngineQuery { sort_by: Some("name".to_owned()), ..query() },
            EngineQuery { sorting: Some("up".to_owned()), ..query() },
            EngineQuery { filters: vec![by_id(&["x"], None).remove(0); 6], ..query() },
        ] {
            let objection = query.listing(&world, &region()).expect_err("a refusal");
            assert_eq!(objection.code, "InvalidParameterValue", "{query:?}");
        }
    }
}
