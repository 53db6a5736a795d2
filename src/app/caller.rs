//! Who calls: where the keys come from.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::environment as variable;
use crate::cloud::credentials::{Keyring, Surroundings, WantedRole, find};
use crate::cloud::endpoint::Endpoint;
use crate::cloud::signed::{ServiceClock, SignedClient};
use crate::cloud::sts::{SERVICE, StsClient};
use crate::error::Failure;
use crate::job::Region;

/// The keys for one site.
pub(super) struct Caller {
    pub(super) keyring: Arc<Keyring>,
    /// The site's clock, which tells when keys expire.
    pub(super) time: Arc<ServiceClock>,
}

/// What is known before any keys are.
pub(super) struct Wanted<'a> {
    pub(super) endpoint: &'a Endpoint,
    /// The region to ask STS in.
    pub(super) region: Option<&'a Region>,
    pub(super) request_timeout: Duration,
    /// The role that was asked for on the command line.
    pub(super) role: Option<WantedRole>,
}

/// Finds a source of keys and sees that it has any.
pub(super) async fn identify(wanted: Wanted<'_>) -> Result<Caller, Failure> {
    let time = Arc::<ServiceClock>::default();
    let sts = sts_client(&wanted, &time)?;
    let source = find(&Surroundings {
        variable: &variable,
        home: variable("HOME").map(PathBuf::from),
        profile: None,
        role: wanted.role,
        sts,
    })?;
    let keyring = Arc::new(Keyring::new(source, Arc::clone(&time)));
    keyring.current().await?;
    Ok(Caller { keyring, time })
}

fn sts_client(wanted: &Wanted<'_>, time: &Arc<ServiceClock>) -> Result<StsClient, Failure> {
    let endpoint = wanted.endpoint.of_service(SERVICE);
    let client = SignedClient::new(endpoint, wanted.request_timeout, Arc::clone(time))?;
    Ok(StsClient::new(client, wanted.region.map(Region::as_str)))
}
