//! The service behind HTTPS: the calls of the traits, signed with the keys that are good at the moment.

#[cfg(test)]
mod tests;

use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::credentials::Keyring;
use super::signed::{Call, SignedClient};
use super::wire::{self, Answered};
use super::{Cloud, EngineListing, EnginePage, EngineRecord, Fault, Fleet, ImageRecord, Receipt};
use crate::job::{DataEngineId, DataEngineName, JobKey, Region};

/// Name of the service in signatures.
const SERVICE: &str = "dlc";

/// The code of a token that is not, or no longer, accepted.
const TOKEN_FAILURE: &str = "AuthFailure.TokenFailure";

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
    ) -> Result<Answered<A>, Fault> {
        let credentials = self.keyring.current(self.client.clock()).await?;
        let region = region.as_str();
        let call = Call { service: SERVICE, version: super::API_VERSION, action, region, engine };
        match self.client.call(call, Some(&credentials), body).await {
            Err(Fault::Refused(refusal))
                if refusal.code == TOKEN_FAILURE && self.keyring.can_replace(&credentials) =>
            {
                Err(Fault::Outdated(refusal))
            }
            answered => answered,
        }
    }
}

impl Fleet for HttpFleet {
    async fn engines(&self, region: &Region, page: EnginePage) -> Result<EngineListing, Fault> {
        let body = wire::EnginesRequest::new(page);
        let answered = self.call::<wire::EnginesAnswer>(super::LIST_ENGINES, region, None, &body).await?;
        Ok(answered.answer.into_listing(page))
    }

    async fn engine_by_name(
        &self,
        region: &Region,
        name: &DataEngineName,
    ) -> Result<Option<EngineRecord>, Fault> {
        let body = wire::EngineRequest { data_engine_name: name };
        let answered = self.call::<wire::EngineAnswer>(super::SHOW_ENGINE, region, None, &body).await?;
        Ok(answered.answer.into_record())
    }

    async fn images(&self, region: &Region, engine_type: &str) -> Result<Vec<ImageRecord>, Fault> {
        let body = wire::ImagesRequest { engine_type };
        let answered = self.call::<wire::ImagesAnswer>(super::LIST_IMAGES, region, None, &body).await?;
        Ok(answered.answer.into_records())
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
    async fn engines(&self, region: &Region, page: EnginePage) -> Result<EngineListing, Fault> {
        self.fleet.engines(region, page).await
    }

    async fn engine_by_name(
        &self,
        region: &Region,
        name: &DataEngineName,
    ) -> Result<Option<EngineRecord>, Fault> {
        self.fleet.engine_by_name(region, name).await
    }

    async fn images(&self, region: &Region, engine_type: &str) -> Result<Vec<ImageRecord>, Fault> {
        self.fleet.images(region, engine_type).await
    }

    fn clock_ahead(&self) -> i64 {
        self.fleet.clock_ahead()
    }
}

impl Cloud for HttpCloud {
    async fn switch(&self, key: &JobKey) -> Result<Receipt, Fault> {
        let body = wire::SwitchRequest::new(key);
        let engine = Some(&key.data_engine_id);
        let answered =
            self.fleet.call::<wire::SwitchAnswer>(super::SWITCH, &key.region, engine, &body).await?;
        Ok(Receipt { request_id: answered.request_id })
    }
}
