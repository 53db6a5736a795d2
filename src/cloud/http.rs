//! The service behind HTTPS: the calls of the traits, signed with the keys that are good at the moment.

#[cfg(test)]
mod tests;

use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::credentials::Keyring;
use super::signed::{Call, SignedClient};
use super::wire::{self, Answered};
use super::{
    CallError, Cloud, EngineKind, EngineListing, EnginePage, EngineRecord, Fleet, ImageRecord, Receipt,
};
use crate::job::{DataEngineId, DataEngineName, JobKey, Region};

/// Name of the service in signatures.
const SERVICE: &str = "dlc";

/// Bytes of the largest page that is read. A page of a hundred engines has a few hundred thousand.
const LARGEST_LISTING: usize = 8 << 20;

/// Bytes of the largest answer to a switch that is read; a receipt has about a hundred, and many may be under way.
const LARGEST_RECEIPT: usize = 256 << 10;

/// Reads the fleet over HTTPS. Has no way to switch anything.
#[derive(Debug)]
pub struct HttpFleet {
    client: SignedClient,
    keyring: Arc<Keyring>,
}

/// A fleet over HTTPS that can also be switched.
#[derive(Debug)]
pub struct HttpCloud {
    fleet: HttpFleet,
}

impl HttpFleet {
    /// The service that a client leads to, called with the keys of a keyring.
    pub fn new(client: SignedClient, keyring: Arc<Keyring>) -> Self {
        Self { client, keyring }
    }

    async fn call<A: DeserializeOwned>(
        &self,
        action: &'static str,
        region: &Region,
        engine: Option<&DataEngineId>,
        body: &impl Serialize,
    ) -> Result<Answered<A>, CallError> {
        // whoever asked for leave first has had the keys renewed, and what has leave to go must not wait any more
        let credentials = match self.keyring.held() {
            Some(credentials) => credentials,
            None => self.keyring.current().await?,
        };
        let call = Call {
            service: SERVICE,
            version: super::API_VERSION,
            action,
            region: region.as_str(),
            engine,
            largest: if action == super::SWITCH { LARGEST_RECEIPT } else { LARGEST_LISTING },
            hush: false,
            secret: None,
        };
        let answered = self.client.call(call, Some(&credentials), body).await;
        answered.map_err(|fault| self.keyring.judge(&credentials, fault))
    }
}

impl Fleet for HttpFleet {
    async fn engines(&self, region: &Region, page: EnginePage) -> Result<EngineListing, CallError> {
        let body = wire::EnginesRequest::new(page);
        let answered = self.call::<wire::EnginesAnswer>(super::LIST_ENGINES, region, None, &body).await?;
        Ok(answered.answer.into_listing(page))
    }

    async fn engines_by_id(
        &self,
        region: &Region,
        kind: EngineKind,
        ids: &[DataEngineId],
    ) -> Result<EngineListing, CallError> {
        let page = EnginePage { kind, offset: 0, limit: super::MAX_PAGE_SIZE };
        let body = wire::EnginesRequest::by_id(page, ids);
        let answered = self.call::<wire::EnginesAnswer>(super::LIST_ENGINES, region, None, &body).await?;
        Ok(answered.answer.into_listing(page))
    }

    async fn engine_by_name(
        &self,
        region: &Region,
        name: &DataEngineName,
    ) -> Result<Option<EngineRecord>, CallError> {
        let body = wire::EngineRequest { data_engine_name: name };
        let answered = self.call::<wire::EngineAnswer>(super::SHOW_ENGINE, region, None, &body).await?;
        Ok(answered.answer.into_record())
    }

    async fn images(&self, region: &Region, engine_type: &str) -> Result<Vec<ImageRecord>, CallError> {
        let body = wire::ImagesRequest { engine_type };
        let answered = self.call::<wire::ImagesAnswer>(super::LIST_IMAGES, region, None, &body).await?;
        Ok(answered.answer.into_records())
    }

    async fn prepare(&self) -> Result<(), CallError> {
        self.keyring.current().await?;
        Ok(())
    }

    fn clock_ahead(&self) -> i64 {
        self.client.clock().ahead()
    }
}

impl HttpCloud {
    /// Adds the switching call to a fleet.
    pub fn new(fleet: HttpFleet) -> Self {
        Self { fleet }
    }
}

impl Fleet for HttpCloud {
    async fn engines(&self, region: &Region, page: EnginePage) -> Result<EngineListing, CallError> {
        self.fleet.engines(region, page).await
    }

    async fn engines_by_id(
        &self,
        region: &Region,
        kind: EngineKind,
        ids: &[DataEngineId],
    ) -> Result<EngineListing, CallError> {
        self.fleet.engines_by_id(region, kind, ids).await
    }

    async fn engine_by_name(
        &self,
        region: &Region,
        name: &DataEngineName,
    ) -> Result<Option<EngineRecord>, CallError> {
        self.fleet.engine_by_name(region, name).await
    }

    async fn images(&self, region: &Region, engine_type: &str) -> Result<Vec<ImageRecord>, CallError> {
        self.fleet.images(region, engine_type).await
    }

    async fn prepare(&self) -> Result<(), CallError> {
        self.fleet.prepare().await
    }

    fn clock_ahead(&self) -> i64 {
        self.fleet.clock_ahead()
    }
}

impl Cloud for HttpCloud {
    async fn switch(&self, key: &JobKey) -> Result<Receipt, CallError> {
        let body = wire::SwitchRequest::new(key);
        let engine = Some(&key.data_engine_id);
        let answered =
            self.fleet.call::<wire::SwitchAnswer>(super::SWITCH, &key.region, engine, &body).await?;
        Ok(Receipt { request_id: answered.request_id, problem: answered.problem })
    }
}
