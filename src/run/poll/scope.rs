//! The queries and engines that one read of the fleet covers.

use std::collections::{BTreeMap, BTreeSet};

use crate::cloud::EngineKind;
use crate::job::{DataEngineId, Job, Region};
use crate::run::fleet_view::FleetView;
use crate::run::query::Query;

/// The queries that may show a job's engine. An engine that no read has shown yet may be listed under any kind. Where engines are queried by name, there is none for an engine without a name.
pub(in crate::run) fn queries_for(job: &Job, known: &FleetView) -> Vec<Query> {
    if known.is_by_name() {
        return Query::by_name(job).into_iter().collect();
    }
    let kind = known.engine(&job.key).and_then(|record| record.kind);
    let kinds = kind.map_or_else(|| EngineKind::ALL.to_vec(), |kind| vec![kind]);
    kinds.into_iter().map(|kind| Query::List(job.key.region.clone(), kind)).collect()
}

/// What to read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::run) struct Scope {
    pub(in crate::run) queries: BTreeSet<Query>,
    /// The engines that the read is for. An engine that a listing omits is queried by its id.
    pub(in crate::run) engines: BTreeSet<(Region, DataEngineId)>,
}

impl Scope {
    /// Adds the queries for a job.
    pub(in crate::run) fn add(&mut self, job: &Job, known: &FleetView) {
        self.queries.extend(queries_for(job, known));
        self.engines.insert((job.key.region.clone(), job.key.data_engine_id.clone()));
    }

    /// The scope of these jobs.
    pub(in crate::run) fn of<'a>(jobs: impl IntoIterator<Item = &'a Job>, known: &FleetView) -> Self {
        let mut scope = Self::default();
        for job in jobs {
            scope.add(job, known);
        }
        scope
    }

    /// Splits the scope by region.
    pub(in crate::run) fn by_region(self) -> BTreeMap<Region, Self> {
        let mut regions: BTreeMap<Region, Self> = BTreeMap::new();
        for query in self.queries {
            regions.entry(query.region().clone()).or_default().queries.insert(query);
        }
        for (region, engine) in self.engines {
            if let Some(scope) = regions.get_mut(&region) {
                scope.engines.insert((region, engine));
            }
        }
        regions
    }
}
