//! One attempt: a single request, awaited no longer than the time limit, and its answer brought home.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::job_state::Response;
use crate::cloud::{CallError, Cloud};
use crate::job::JobKey;

/// Sends one request. A request that is given up may still be applied: its outcome is not known.
pub(super) async fn attempt<C: Cloud>(cloud: Arc<C>, key: JobKey, limit: Duration) -> Response {
    let left = Instant::now();
    let result = match tokio::time::timeout(limit, cloud.switch(&key)).await {
        Ok(result) => result,
        Err(_) => {
            Err(CallError::NoResponse { cause: format!("no answer within {limit:?}"), http_status: None })
        }
    };
    Response { result, latency: left.elapsed() }
}
