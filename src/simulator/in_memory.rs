//! The simulator behind the traits of `cloud`, without HTTP: for runs in virtual time.

use tokio::time::{Instant, sleep, sleep_until};

use super::fault::{ResponseFault, SimulatedFault};
use super::fault_rules::Received;
use super::listing::EngineQuery;
use super::request::Call;
use super::service::{NEVER, Payload, Reply, Simulator};
use crate::cloud::{
    CallError, Cloud, EngineKind, EngineListing, EnginePage, EngineRecord, Fleet, ImageRecord, LIST_ENGINES,
    LIST_IMAGES, MAX_PAGE_SIZE, Receipt, Refusal, SHOW_ENGINE, SWITCH,
};
use crate::job::{DataEngineId, DataEngineName, JobKey, Region};

impl Simulator {
    /// Sends a request and waits for its response, as long as the response takes.
    async fn send(&self, action: &str, call: Call) -> Result<(Payload, String), CallError> {
        let engine = match &call {
            Call::Switch(key) => Some(key.data_engine_id.clone()),
            _ => None,
        };
        let request = Received { at: Instant::now(), action, engine: engine.as_ref() };
        let reply = self.lock().process(request, Ok(call));
        sleep_until(reply.due).await;
        if reply.fault == Some(ResponseFault::NoResponse) {
            sleep(NEVER).await;
        }
        as_received(reply)
    }

    async fn list(
        &self,
        region: &Region,
        page: EnginePage,
        ids: Option<Vec<DataEngineId>>,
    ) -> Result<EngineListing, CallError> {
        let (offset, limit) = (i64::from(page.offset), i64::from(page.limit));
        let engine_type = page.kind.engine_type().map(str::to_owned);
        let kind = EngineKind { gateway: false, ..page.kind };
        let query = EngineQuery { kind, engine_type, ids, offset, limit };
        match self.send(LIST_ENGINES, Call::Engines(region.clone(), query)).await? {
            (Payload::Engines(listing), _) => Ok(listing),
            _ => Ok(EngineListing::default()),
        }
    }
}

/// A reply as the client receives it.
fn as_received(reply: Reply) -> Result<(Payload, String), CallError> {
    let Reply { request_id, result, fault, .. } = reply;
    match fault {
        Some(ResponseFault::NoConnection) => {
            Err(CallError::NotSent { cause: "the simulator accepts no connection".to_owned() })
        }
        Some(fault) => Err(CallError::NoResponse {
            http_status: fault.http_status(),
            cause: format!("the simulator injected the fault {}", SimulatedFault::Response(fault)),
        }),
        None => match result {
            Ok(payload) => Ok((payload, request_id)),
            Err(refusal) => Err(CallError::Refused(Refusal { request_id: Some(request_id), ..refusal })),
        },
    }
}

impl Fleet for Simulator {
    async fn engines(&self, region: &Region, page: EnginePage) -> Result<EngineListing, CallError> {
        self.list(region, page, None).await
    }

    async fn engines_by_id(
        &self,
        region: &Region,
        kind: EngineKind,
        ids: &[DataEngineId],
    ) -> Result<EngineListing, CallError> {
        let page = EnginePage { kind, offset: 0, limit: MAX_PAGE_SIZE };
        self.list(region, page, Some(ids.to_vec())).await
    }

    async fn engine_by_name(
        &self,
        region: &Region,
        name: &DataEngineName,
    ) -> Result<Option<EngineRecord>, CallError> {
        match self.send(SHOW_ENGINE, Call::Engine(region.clone(), name.clone())).await? {
            (Payload::Engine(record), _) => Ok(Some(*record)),
            _ => Ok(None),
        }
    }

    async fn images(&self, region: &Region, engine_type: &str) -> Result<Vec<ImageRecord>, CallError> {
        match self.send(LIST_IMAGES, Call::Images(region.clone(), engine_type.to_owned())).await? {
            (Payload::Images(images), _) => Ok(images),
            _ => Ok(Vec::new()),
        }
    }
}

impl Cloud for Simulator {
    async fn switch(&self, key: &JobKey) -> Result<Receipt, CallError> {
        let (_, request_id) = self.send(SWITCH, Call::Switch(key.clone())).await?;
        Ok(Receipt { request_id, problem: None })
    }
}

#[cfg(test)]
mod tests;
