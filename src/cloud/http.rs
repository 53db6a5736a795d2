//! The traits of the API over HTTPS, signed with the current keys.

#[cfg(test)]
mod tests;

use std::marker::PhantomData;
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::api::{self, Cloud, Fleet};
use super::credentials::keyring::Keyring;
use super::engine::{EngineKind, EngineListing, EnginePage, EngineRecord, ImageRecord, Receipt};
use super::error::CallError;
use super::signed::{ApiCall, SignedClient};
use super::wire::{self, ApiResponse};
use crate::job::{DataEngineId, DataEngineName, JobKey, Region};

/// Name of the service in signatures.
const SERVICE: &str = "dlc";

/// Largest listing in bytes. A page of a hundred engines has a few hundred thousand.
const MAX_LISTING: usize = 8 << 20;

/// Largest response to a switch in bytes. A receipt has about a hundred, and many calls may be in flight.
const MAX_RECEIPT: usize = 256 << 10;

/// The service over HTTPS. It can be switched only as [`HttpCloud`].
#[derive(Debug)]
pub struct HttpClient<Access> {
    client: SignedClient,
    keyring: Arc<Keyring>,
    access: PhantomData<Access>,
}

/// Marks a client that only reads.
#[derive(Debug)]
pub struct ReadOnly;

/// Marks a client that may also switch engines.
#[derive(Debug)]
pub struct ReadWrite;

/// Reads the fleet over HTTPS; has no switch call.
pub type HttpFleet = HttpClient<ReadOnly>;

/// Reads and switches the fleet over HTTPS.
pub type HttpCloud = HttpClient<ReadWrite>;

impl HttpFleet {
    /// The service that the client calls, with the keys of the keyring.
    pub fn new(client: SignedClient, keyring: Arc<Keyring>) -> Self {
        Self { client, keyring, access: PhantomData }
    }
}

impl HttpCloud {
    /// Adds the switch call to a fleet.
    pub fn new(fleet: HttpFleet) -> Self {
        Self { client: fleet.client, keyring: fleet.keyring, access: PhantomData }
    }
}

impl<Access> HttpClient<Access> {
    async fn call<R: DeserializeOwned>(
        &self,
        action: &'static str,
        region: &Region,
        engine: Option<&DataEngineId>,
        body: &impl Serialize,
    ) -> Result<ApiResponse<R>, CallError> {
        // `prepare` has renewed the keys; a call that the rate limiter has admitted must not wait
        let credentials = match self.keyring.latest() {
            Some(credentials) => credentials,
            None => self.keyring.current().await?,
        };
        let call = ApiCall {
            service: SERVICE,
            version: api::API_VERSION,
            action,
            region: region.as_str(),
            engine,
            max_response: if action == api::SWITCH { MAX_RECEIPT } else { MAX_LISTING },
            confidential: false,
            secret: None,
        };
        let response = self.client.call(call, Some(&credentials), body).await;
        response.map_err(|error| self.keyring.classify(&credentials, error))
    }

    async fn list(
        &self,
        region: &Region,
        page: EnginePage,
        body: wire::EnginesRequest<'_>,
    ) -> Result<EngineListing, CallError> {
        let response = self.call::<wire::EnginesResponse>(api::LIST_ENGINES, region, None, &body).await?;
        Ok(response.body.into_listing(page))
    }
}

impl<Access: Send + Sync + 'static> Fleet for HttpClient<Access> {
    async fn engines(&self, region: &Region, page: EnginePage) -> Result<EngineListing, CallError> {
        self.list(region, page, wire::EnginesRequest::new(page)).await
    }

    async fn engines_by_id(
        &self,
        region: &Region,
        kind: EngineKind,
        ids: &[DataEngineId],
    ) -> Result<EngineListing, CallError> {
        let page = EnginePage { kind, offset: 0, limit: api::MAX_PAGE_SIZE };
        self.list(region, page, wire::EnginesRequest::by_id(page, ids)).await
    }

    async fn engine_by_name(
        &self,
        region: &Region,
        name: &DataEngineName,
    ) -> Result<Option<EngineRecord>, CallError> {
        let body = wire::EngineRequest { data_engine_name: name };
        let response = self.call::<wire::EngineResponse>(api::SHOW_ENGINE, region, None, &body).await?;
        Ok(response.body.into_record())
    }

    async fn images(&self, region: &Region, engine_type: &str) -> Result<Vec<ImageRecord>, CallError> {
        let body = wire::ImagesRequest { engine_type };
        let response = self.call::<wire::ImagesResponse>(api::LIST_IMAGES, region, None, &body).await?;
        Ok(response.body.into_records())
    }

    async fn prepare(&self) -> Result<(), CallError> {
        self.keyring.current().await?;
        Ok(())
    }

    fn clock_ahead(&self) -> i64 {
        self.client.clock().ahead()
    }
}

impl Cloud for HttpCloud {
    async fn switch(&self, key: &JobKey) -> Result<Receipt, CallError> {
        let body = wire::SwitchRequest::new(key);
        let engine = Some(&key.data_engine_id);
        let response = self.call::<wire::SwitchResponse>(api::SWITCH, &key.region, engine, &body).await?;
        Ok(Receipt { request_id: response.request_id, problem: response.problem })
    }
}
