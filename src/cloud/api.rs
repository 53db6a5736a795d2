//! The actions of the service as two traits: `Fleet` reads, `Cloud` adds the one call that writes.
//!
//! Code that must not write, such as the dry run, is given a `Fleet` and has no access to the switch call. The service
//! over HTTPS and the simulator implement both traits.

use std::future::Future;

use super::engine::{EngineKind, EngineListing, EnginePage, EngineRecord, ImageRecord, Receipt};
use super::error::CallError;
use crate::job::{DataEngineId, DataEngineName, JobKey, Region};

/// Most engines on one page of `DescribeDataEngines` (document 1342/86308).
pub const MAX_PAGE_SIZE: u32 = 100;

/// Most values of one filter of `DescribeDataEngines` (the general error texts of the product).
pub const MAX_IDS_PER_CALL: usize = 50;

/// Version of the API, sent as `X-TC-Version`.
pub const API_VERSION: &str = "2021-01-25";

/// Action that switches one engine to another image version.
pub const SWITCH: &str = "SwitchDataEngineImage";
/// Action that lists engines.
pub const LIST_ENGINES: &str = "DescribeDataEngines";
/// Action that shows one engine by its name. The international site has it, but not [`LIST_ENGINES`].
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

    /// `DescribeDataEngines` with the filter `engine-id` for at most [`MAX_IDS_PER_CALL`] ids: the engines of this kind.
    /// It is not documented whether the filter shows engines that empty parameters hide, so the kind is sent with it.
    fn engines_by_id(
        &self,
        region: &Region,
        kind: EngineKind,
        ids: &[DataEngineId],
    ) -> impl Future<Output = Result<EngineListing, CallError>> + Send;

    /// `DescribeDataEngine`: the engine with this name, if there is one.
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

    /// Renews the keys for the next call if necessary, so that the call itself does not wait for them after the rate
    /// limiter has admitted it. The future may be dropped at any time.
    fn prepare(&self) -> impl Future<Output = Result<(), CallError>> + Send {
        async { Ok(()) }
    }

    /// Seconds by which the service's clock is ahead of this machine's: 0 until the service refuses the time of a
    /// signature.
    fn clock_ahead(&self) -> i64 {
        0
    }
}

/// A fleet whose engines can also be switched.
pub trait Cloud: Fleet {
    /// Sends one `SwitchDataEngineImage`. `Ok` means that the service accepted the request, nothing more.
    fn switch(&self, key: &JobKey) -> impl Future<Output = Result<Receipt, CallError>> + Send;
}
