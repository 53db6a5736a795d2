//! The types of engine there are, and the names their images bear.

use crate::cloud::{EngineExecType, EngineGeneration, EngineKind};

/// One value of `EngineTypeDetail`, the type by which images are listed (document 1342/99270).
#[derive(Debug, PartialEq, Eq)]
pub struct EngineType {
    /// `EngineTypeDetail` of the engine and `EngineType` of its images.
    pub detail: &'static str,
    /// `EngineType` of the engine.
    pub engine_type: &'static str,
    /// Under which generation and execution type its engines are listed.
    pub kind: EngineKind,
    /// What the names of its images begin with (document 1342/85990).
    pub image_prefix: &'static str,
    /// How many of a hundred engines are of this family in a generated world.
    pub(super) share: usize,
}

/// A kind, spelled briefly.
const fn kind(generation: EngineGeneration, exec_type: EngineExecType) -> EngineKind {
    EngineKind { generation, exec_type, gateway: false }
}

/// All families. Every kind of engine has at least one, except Kyuubi gateways, which no generated world contains.
pub static FAMILIES: [EngineType; 5] = [
    EngineType {
        detail: "StandardSpark",
        engine_type: "spark",
        kind: kind(EngineGeneration::Native, EngineExecType::Batch),
        image_prefix: "Standard-S",
        share: 40,
    },
    EngineType {
        detail: "SparkSQL",
        engine_type: "spark",
        kind: kind(EngineGeneration::SuperSql, EngineExecType::Sql),
        image_prefix: "SuperSQL-S",
        share: 25,
    },
    EngineType {
        detail: "SparkBatch",
        engine_type: "spark",
        kind: kind(EngineGeneration::SuperSql, EngineExecType::Batch),
        image_prefix: "Spark",
        share: 15,
    },
    EngineType {
        detail: "StandardPresto",
        engine_type: "presto",
        kind: kind(EngineGeneration::Native, EngineExecType::Sql),
        image_prefix: "Standard-P",
        share: 10,
    },
    EngineType {
        detail: "PrestoSQL",
        engine_type: "presto",
        kind: kind(EngineGeneration::SuperSql, EngineExecType::Sql),
        image_prefix: "SuperSQL-P",
        share: 10,
    },
];

/// The family with this `EngineTypeDetail`.
pub(super) fn engine_type_of(detail: &str) -> Option<&'static EngineType> {
    FAMILIES.iter().find(|engine_type| engine_type.detail == detail)
}

/// The family at this place of a hundred, by share.
pub(super) fn engine_type_at(place: usize) -> &'static EngineType {
    let mut passed = 0;
    FAMILIES
        .iter()
        .find(|engine_type| {
            passed += engine_type.share;
            place < passed
        })
        .unwrap_or(&FAMILIES[0])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shares_add_up_to_a_hundred_and_every_kind_has_a_family() {
        assert_eq!(FAMILIES.iter().map(|engine_type| engine_type.share).sum::<usize>(), 100);
        for kind in EngineKind::ALL.into_iter().filter(|kind| !kind.gateway) {
            assert!(FAMILIES.iter().any(|engine_type| engine_type.kind == kind), "{kind:?}");
        }
    }
}
