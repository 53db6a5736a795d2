//! One attempt: sends a single request and waits for its response, no longer than the request timeout.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::job_state::Response;
use crate::cloud::{CallError, Cloud};
use crate::job::JobKey;

/// Sends one request. A request that times out may still be applied.
pub(super) async fn attempt<C: Cloud>(cloud: Arc<C>, key: JobKey, limit: Duration) -> Response {
    let sent_at = Instant::now();
    let result = match tokio::time::timeout(limit, cloud.switch(&key)).await {
        Ok(result) => result,
        Err(_) => {
            Err(CallError::NoResponse { cause: format!("no response within {limit:?}"), http_status: None })
        }
    };
    Response { result, latency: sent_at.elapsed() }
}
