//! The documented engine types: how their engines are listed and how their images are named.

use crate::cloud::{EngineExecType, EngineGeneration, EngineKind};

/// One value of `EngineTypeDetail`, the type by which images are listed (document 1342/99270).
#[derive(Debug, PartialEq, Eq)]
pub struct EngineType {
    /// `EngineTypeDetail` of the engine and `EngineType` of its images.
    pub detail: &'static str,
    /// `EngineType` of the engine.
    pub engine_type: &'static str,
    /// Generation and execution type under which its engines are listed.
    pub kind: EngineKind,
    /// First part of its image names (document 1342/85990).
    pub image_prefix: &'static str,
    /// How many of a hundred generated engines are of this type.
    pub(super) share: usize,
}

/// All documented types. Every kind of engine has at least one.
pub static ENGINE_TYPES: [EngineType; 5] = [
    EngineType {
        detail: "StandardSpark",
        engine_type: "spark",
        kind: EngineKind {
            generation: EngineGeneration::Native,
            exec_type: EngineExecType::Batch,
            gateway: false,
        },
        image_prefix: "Standard-S",
        share: 40,
    },
    EngineType {
        detail: "SparkSQL",
        engine_type: "spark",
        kind: EngineKind {
            generation: EngineGeneration::SuperSql,
            exec_type: EngineExecType::Sql,
            gateway: false,
        },
        image_prefix: "SuperSQL-S",
        share: 25,
    },
    EngineType {
        detail: "SparkBatch",
        engine_type: "spark",
        kind: EngineKind {
            generation: EngineGeneration::SuperSql,
            exec_type: EngineExecType::Batch,
            gateway: false,
        },
        image_prefix: "Spark",
        share: 15,
    },
    EngineType {
        detail: "StandardPresto",
        engine_type: "presto",
        kind: EngineKind {
            generation: EngineGeneration::Native,
            exec_type: EngineExecType::Sql,
            gateway: false,
        },
        image_prefix: "Standard-P",
        share: 10,
    },
    EngineType {
        detail: "PrestoSQL",
        engine_type: "presto",
        kind: EngineKind {
            generation: EngineGeneration::SuperSql,
            exec_type: EngineExecType::Sql,
            gateway: false,
        },
        image_prefix: "SuperSQL-P",
        share: 10,
    },
];

/// The type with this `EngineTypeDetail`.
pub(super) fn by_detail(detail: &str) -> Option<&'static EngineType> {
    ENGINE_TYPES.iter().find(|engine_type| engine_type.detail == detail)
}

/// The type at a position from 0 to 99, according to the shares.
pub(super) fn by_share(position: usize) -> &'static EngineType {
    let mut end = 0;
    ENGINE_TYPES
        .iter()
        .find(|engine_type| {
            end += engine_type.share;
            position < end
        })
        .unwrap_or(&ENGINE_TYPES[0])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_add_up_to_100_and_every_kind_has_a_type() {
        assert_eq!(ENGINE_TYPES.iter().map(|engine_type| engine_type.share).sum::<usize>(), 100);
        for kind in EngineKind::ALL.into_iter().filter(|kind| !kind.gateway) {
            assert!(ENGINE_TYPES.iter().any(|engine_type| engine_type.kind == kind), "{kind:?}");
        }
    }
}
