//! One attempt: a single request, awaited no longer than the time limit, and its answer brought home.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::answered::Answer;
use crate::cloud::{Cloud, Fault};
use crate::job::JobKey;

/// Sends one request. A request that is given up may still be applied: its outcome is not known.
pub(super) async fn attempt<C: Cloud>(cloud: Arc<C>, key: JobKey, limit: Duration) -> Answer {
    let left = Instant::now();
    let result = match tokio::time::timeout(limit, cloud.switch(&key)).await {
        Ok(result) => result,
        Err(_) => Err(Fault::NoAnswer { cause: format!("no answer within {limit:?}"), http_status: None }),
    };
    Answer { result, latency: left.elapsed() }
}
