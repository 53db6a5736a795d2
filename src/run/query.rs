//! One query to the service: it lists the engines of a kind, or shows one engine.

use crate::cloud::EngineKind;
use crate::job::{DataEngineId, DataEngineName, Job, Region};

/// Services that can list engines are queried by kind, the others by the name of each engine.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Query {
    /// All engines of a kind.
    List(Region, EngineKind),
    /// One engine by its name. The response is checked against the id.
    Engine(Region, DataEngineId, DataEngineName),
}

impl Query {
    /// The query for a job's engine by its name; none if the plan gives no name.
    pub(super) fn by_name(job: &Job) -> Option<Self> {
        let name = job.data_engine_name.clone()?;
        Some(Self::Engine(job.key.region.clone(), job.key.data_engine_id.clone(), name))
    }

    pub(super) fn region(&self) -> &Region {
        match self {
            Self::List(region, _) | Self::Engine(region, ..) => region,
        }
    }
}
