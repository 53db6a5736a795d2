//! The nouns of the engine API: kinds, states and records of engines, and image versions.

use crate::job::{DataEngineId, DataEngineName, ImageVersionId};

/// `EngineGeneration` of the API. If it is empty, the service shows only `SuperSQL` engines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EngineGeneration {
    /// `SuperSQL`
    SuperSql,
    /// `Native`: the standard engines
    Native,
}

impl EngineGeneration {
    /// The API's spelling.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::SuperSql => "SuperSQL",
            Self::Native => "Native",
        }
    }
}

/// `EngineExecType` of the API. If it is empty, the service shows only `SQL` engines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EngineExecType {
    /// `SQL`
    Sql,
    /// `BATCH`
    Batch,
}

impl EngineExecType {
    /// The API's spelling.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sql => "SQL",
            Self::Batch => "BATCH",
        }
    }
}

/// The engines that one listing call shows. Parameters that are left empty hide engines, so a full listing calls once
/// for each kind (document 1342/86308).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EngineKind {
    /// `EngineGeneration`
    pub generation: EngineGeneration,
    /// `EngineExecType`
    pub exec_type: EngineExecType,
    /// True for Kyuubi gateways, which are hidden unless `EngineType` is `kyuubi`. Their generation and execution type
    /// are not documented, so they are listed with every combination.
    pub gateway: bool,
}

impl EngineKind {
    /// All kinds, gateways last.
    pub const ALL: [Self; 8] = [
        Self::new(EngineGeneration::SuperSql, EngineExecType::Sql, false),
        Self::new(EngineGeneration::SuperSql, EngineExecType::Batch, false),
        Self::new(EngineGeneration::Native, EngineExecType::Sql, false),
        Self::new(EngineGeneration::Native, EngineExecType::Batch, false),
        Self::new(EngineGeneration::SuperSql, EngineExecType::Sql, true),
        Self::new(EngineGeneration::SuperSql, EngineExecType::Batch, true),
        Self::new(EngineGeneration::Native, EngineExecType::Sql, true),
        Self::new(EngineGeneration::Native, EngineExecType::Batch, true),
    ];

    const fn new(generation: EngineGeneration, exec_type: EngineExecType, gateway: bool) -> Self {
        Self { generation, exec_type, gateway }
    }

    /// `EngineType` of a listing call: `kyuubi` for gateways, else left empty, which shows all other types.
    pub fn engine_type(self) -> Option<&'static str> {
        self.gateway.then_some("kyuubi")
    }
}

/// Which page of which kind to list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EnginePage {
    /// The kind of engine.
    pub kind: EngineKind,
    /// Engines to skip.
    pub offset: u32,
    /// Most engines on the page, at most [`MAX_PAGE_SIZE`].
    pub limit: u32,
}

/// Response to one page.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EngineListing {
    /// The engines of this page.
    pub engines: Vec<EngineRecord>,
    /// Number of engines of this kind on all pages.
    pub total: u32,
}

/// `State` of an engine (document 1342/86308). Other numbers are kept as they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EngineState(pub i64);

impl EngineState {
    /// Deleted.
    pub const DELETED: Self = Self(-2);
    /// Failed.
    pub const FAILED: Self = Self(-1);
    /// Initialising; a switching engine is assumed to show it too.
    pub const INITIALISING: Self = Self(0);
    /// Suspended.
    pub const SUSPENDED: Self = Self(1);
    /// Running.
    pub const RUNNING: Self = Self(2);
    /// About to be deleted.
    pub const DELETE_PENDING: Self = Self(3);
    /// Being deleted.
    pub const DELETING: Self = Self(4);

    /// The documented meaning.
    pub fn word(self) -> &'static str {
        match self {
            Self::DELETED => "deleted",
            Self::FAILED => "failed",
            Self::INITIALISING => "initialising",
            Self::SUSPENDED => "suspended",
            Self::RUNNING => "running",
            Self::DELETE_PENDING => "about to be deleted",
            Self::DELETING => "being deleted",
            _ => "in an undocumented state",
        }
    }
}

/// One engine as the service shows it; the fields that this tool uses. Absent and `null` are the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EngineRecord {
    /// `DataEngineId`
    pub data_engine_id: DataEngineId,
    /// `DataEngineName`
    pub name: Option<DataEngineName>,
    /// `State`
    pub state: Option<EngineState>,
    /// `ImageVersionId`: the major version.
    pub image_version_id: Option<ImageVersionId>,
    /// `ImageVersionName`
    pub image_version_name: Option<String>,
    /// `ChildImageVersionId`: the minor version.
    pub child_image_version_id: Option<String>,
    /// `EngineTypeDetail`: the type by which images are listed, such as `StandardSpark`.
    pub engine_type_detail: Option<String>,
    /// The kind of the listing that shows it; `None` if it was requested by name.
    pub kind: Option<EngineKind>,
}

/// One entry of `ImageParentVersions`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageRecord {
    /// `ImageVersionId`
    pub image_version_id: ImageVersionId,
    /// `ImageVersion`: its name, such as `Standard-S 1.1`.
    pub name: Option<String>,
    /// `State`: 1 initialising, 2 online, 3 offline.
    pub state: Option<i64>,
    /// `EngineType`
    pub engine_type: Option<String>,
}

impl ImageRecord {
    /// `State` of an image version that engines can be switched to.
    pub const ONLINE: i64 = 2;
}

/// Proof that the service accepted a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// `RequestId` of the response.
    pub request_id: String,
    /// Why the response may not be from the service, in one clause: its content type is not JSON.
    pub problem: Option<String>,
}
