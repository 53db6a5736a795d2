//! What the outside can do for us, as two small traits, and the nouns they speak.
//!
//! `Fleet` only reads; `Cloud` adds the one call that writes. Code that must not write, such as the dry
//! run, is given a `Fleet` and has no way to reach the switch. The service behind HTTPS and the simulator
//! are equal implementations.

pub mod catalogue;
mod connection;
pub mod credentials;
pub mod endpoint;
#[cfg(test)]
mod faulty_server;
pub mod http;
pub mod network;
pub mod sign;
pub mod signed;
pub mod sts;
mod wire;

use std::future::Future;

pub use connection::ConnectionProblem;

use crate::job::{DataEngineId, DataEngineName, ImageVersionId, JobKey, Region};

/// Most engines one page of `DescribeDataEngines` may hold (document 1342/86308).
pub const MAX_PAGE_SIZE: u32 = 100;

/// Most values that one filter of `DescribeDataEngines` may have (the general error texts of the product).
pub const MAX_IDS_PER_CALL: usize = 50;

/// Version of the API, sent as `X-TC-Version`.
pub const API_VERSION: &str = "2021-01-25";

/// Action that moves one engine to another image version.
pub const SWITCH: &str = "SwitchDataEngineImage";
/// Action that lists engines.
pub const LIST_ENGINES: &str = "DescribeDataEngines";
/// Action that shows one engine by its name. A site may have it and not [`LIST_ENGINES`].
pub const SHOW_ENGINE: &str = "DescribeDataEngine";
/// Action that lists image versions.
pub const LIST_IMAGES: &str = "DescribeDataEngineImageVersions";

/// Reads engines and images; cannot change anything.
pub trait Fleet: Send + Sync + 'static {
    /// One page of `DescribeDataEngines`.
    fn engines(
        &self,
        region: &Region,
        page: EnginePage,
    ) -> impl Future<Output = Result<EngineListing, CallError>> + Send;

    /// `DescribeDataEngines` with the filter `engine-id`: those of at most [`MAX_IDS_PER_CALL`] engines that are of this kind.
    /// Whether the filter lifts the hiding defaults is not documented, so the kind is asked for with it.
    fn engines_by_id(
        &self,
        region: &Region,
        kind: EngineKind,
        ids: &[DataEngineId],
    ) -> impl Future<Output = Result<EngineListing, CallError>> + Send;

    /// `DescribeDataEngine`: the engine of this name, where there is one.
    fn engine_by_name(
        &self,
        region: &Region,
        name: &DataEngineName,
    ) -> impl Future<Output = Result<Option<EngineRecord>, CallError>> + Send;

    /// `DescribeDataEngineImageVersions` for one engine type, such as `SparkSQL`.
    fn images(
        &self,
        region: &Region,
        engine_type: &str,
    ) -> impl Future<Output = Result<Vec<ImageRecord>, CallError>> + Send;

    /// Gets what the next call is signed with, where that may take a while, so that a call that has leave to go leaves
    /// at once. Dropped before it is done, it loses nothing.
    fn prepare(&self) -> impl Future<Output = Result<(), CallError>> + Send {
        async { Ok(()) }
    }

    /// Seconds by which the service's clock is known to be ahead of this machine's: 0 until it refuses a signature
    /// because of its time.
    fn clock_ahead(&self) -> i64 {
        0
    }
}

/// A fleet that can also be switched.
pub trait Cloud: Fleet {
    /// Sends one `SwitchDataEngineImage`. `Ok` means that the service took the request, nothing more.
    fn switch(&self, key: &JobKey) -> impl Future<Output = Result<Receipt, CallError>> + Send;
}

/// `EngineGeneration` of the API. Left empty, the service hides everything but `SuperSQL`.
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

/// `EngineExecType` of the API. Left empty, the service hides everything but `SQL`.
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

/// The kinds of engine one listing call can show. A full listing asks for all four.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EngineKind {
    /// Which generation.
    pub generation: EngineGeneration,
    /// Which execution type.
    pub exec_type: EngineExecType,
}

impl EngineKind {
    /// All four kinds.
    pub const ALL: [Self; 4] = [
        Self { generation: EngineGeneration::SuperSql, exec_type: EngineExecType::Sql },
        Self { generation: EngineGeneration::SuperSql, exec_type: EngineExecType::Batch },
        Self { generation: EngineGeneration::Native, exec_type: EngineExecType::Sql },
        Self { generation: EngineGeneration::Native, exec_type: EngineExecType::Batch },
    ];
}

/// Which page of which kind to list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EnginePage {
    /// The kind of engine.
    pub kind: EngineKind,
    /// Engines to skip.
    pub offset: u32,
    /// Engines wanted, at most [`MAX_PAGE_SIZE`].
    pub limit: u32,
}

/// Answer to one page.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EngineListing {
    /// The engines of this page.
    pub engines: Vec<EngineRecord>,
    /// How many engines of this kind there are in all.
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
    /// Initialising; also what a switching engine is taken to show.
    pub const INITIALISING: Self = Self(0);
    /// Suspended.
    pub const SUSPENDED: Self = Self(1);
    /// Running.
    pub const RUNNING: Self = Self(2);
    /// About to be deleted.
    pub const DELETE_PENDING: Self = Self(3);
    /// Being deleted.
    pub const DELETING: Self = Self(4);

    /// The documented meaning in a word or two.
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

/// What the service says of one engine; the fields this tool uses. Absent and `null` are the same.
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
    /// The kind under which a listing showed it; none where it was asked for by name.
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
    /// `EngineType`, as the record itself says.
    pub engine_type: Option<String>,
}

impl ImageRecord {
    /// `State` of an image that engines may be moved to.
    pub const ONLINE: i64 = 2;
}

/// Proof that the service took a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// `RequestId` of the answer.
    pub request_id: String,
    /// Why it may not be the service's word, in one clause: what says it is called something else than JSON.
    pub problem: Option<String>,
}

/// The service's `Error`, with the `RequestId` that support asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// `Error.Code`
    pub code: String,
    /// `Error.Message`; its wording may change and is never matched on.
    pub message: String,
    /// `RequestId`
    pub request_id: Option<String>,
}

/// Why a call brought no result. The variants differ in what they say about the service's state.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// The service read the request and said no.
    #[error("{}: {}", .0.code, .0.message)]
    Refused(Refusal),
    /// Refused before it was read, because of the time or the token it was signed with. The next signature will have
    /// better ones.
    #[error("{}: {}", .0.code, .0.message)]
    SignatureExpired(Refusal),
    /// There are no keys to sign with, so nothing was sent.
    #[error("there is nothing to sign with: {cause}")]
    NoCredentials {
        /// What the source of the keys said.
        cause: String,
    },
    /// The request never left this machine: connection refused, no such host. Safe to send again.
    #[error("nothing was sent: {cause}")]
    NotSent {
        /// What the network said.
        cause: String,
    },
    /// Something stands between here and the service, so nothing was sent.
    #[error("nothing was sent: {cause}")]
    Connection {
        /// What it is.
        by: ConnectionProblem,
        /// What the network said.
        cause: String,
    },
    /// The request may have been applied: no answer, or none that can be read.
    #[error("no readable answer: {cause}")]
    NoResponse {
        /// What the network or the parser said.
        cause: String,
        /// HTTP status, where one arrived.
        http_status: Option<u16>,
    },
}
