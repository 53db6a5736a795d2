//! The parts of a fleet that one look covers.

use std::collections::{BTreeMap, BTreeSet};

use crate::cloud::EngineKind;
use crate::job::{DataEngineId, DataEngineName, Job, Region};
use crate::run::fleet_view::FleetView;

/// A part of a fleet. Sites that list their engines are looked at kind by kind, the others engine by engine.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::run) enum Query {
    /// Every engine of a kind.
    Listing(Region, EngineKind),
    /// One engine, which is asked for by its name and proves by its id that it is the one.
    Named(Region, DataEngineId, DataEngineName),
}

/// What to look at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::run) struct Scope {
    /// The parts of the fleet.
    pub(in crate::run) queries: BTreeSet<Query>,
    /// The engines that are looked for in them. One that a listing leaves out is asked for by its id.
    pub(in crate::run) engines: BTreeSet<(Region, DataEngineId)>,
}

impl Scope {
    /// Adds what has to be looked at for a job.
    pub(in crate::run) fn add(&mut self, job: &Job, known: &FleetView) {
        self.queries.extend(Query::of(job, known));
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

    /// The scope of each region for itself.
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

impl Query {
    /// Where a look may show a job's engine, by what is known of the fleet. A listing may show an engine that was
    /// never seen under any kind; where engines are asked for by name, one without a name is nowhere to be seen.
    pub(in crate::run) fn of(job: &Job, known: &FleetView) -> Vec<Self> {
        if known.is_by_name() {
            return Self::named(job).into_iter().collect();
        }
        let kind = known.engine(&job.key).and_then(|record| record.kind);
        let kinds = kind.map_or_else(|| EngineKind::ALL.to_vec(), |kind| vec![kind]);
        kinds.into_iter().map(|kind| Self::Listing(job.key.region.clone(), kind)).collect()
    }

    /// A job's engine, asked for by its name.
    pub(in crate::run) fn named(job: &Job) -> Option<Self> {
        let name = job.data_engine_name.clone()?;
        Some(Self::Named(job.key.region.clone(), job.key.data_engine_id.clone(), name))
    }

    pub(in crate::run) fn region(&self) -> &Region {
        match self {
            Self::Listing(region, _) | Self::Named(region, ..) => region,
        }
    }
}
