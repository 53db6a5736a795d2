//! Variables, a service on loopback, and responses of STS for the tests of sources.

use std::sync::Arc;
use std::time::Duration;

use super::{CredentialsError, Environment, Source, WantedRole, find};
use crate::cloud::faulty_server::{Reply, Server};
use crate::cloud::network::Network;
use crate::cloud::service_clock::ServiceClock;
use crate::cloud::signed::SignedClient;
use crate::cloud::sts::StsClient;

/// When the keys of [`session`] expire.
pub const EXPIRES: i64 = 4_000_000_000;

/// An address without a server.
pub const UNUSED_ADDRESS: &str = "http://127.0.0.1:1";

pub fn sts_at(url: &str) -> StsClient {
    let endpoint = url.parse().expect("an endpoint");
    let client = SignedClient::new(
        endpoint,
        &Network::default(),
        Duration::from_secs(20),
        Arc::<ServiceClock>::default(),
    );
    StsClient::new(client.expect("a client"), None)
}

/// A response of STS with keys, which contain `number`.
pub fn session(number: usize) -> Reply {
    Reply::json(&format!(
        r#"{{"Response":{{"Credentials":{{"Token":"PRIVATE-T{number}","TmpSecretId":"id-{number}","TmpSecretKey":"PRIVATE-K{number}"}},"ExpiredTime":{EXPIRES},"RequestId":"r-{number}"}}}}"#
    ))
}

/// A refusal of STS.
pub fn refusal(code: &str) -> Reply {
    Reply::json(&format!(
        r#"{{"Response":{{"Error":{{"Code":"{code}","Message":"PRIVATE-TOKEN is not accepted"}},"RequestId":"r-9"}}}}"#
    ))
}

/// Searches for a source with these variables, and STS and metadata service at an address.
pub fn find_among(
    variables: &[(&str, &str)],
    url: &str,
    role: Option<WantedRole>,
) -> Result<Box<dyn Source>, CredentialsError> {
    let variable = |wanted: &str| {
        let metadata = ("DLC_FLEET_METADATA_ENDPOINT", url);
        let named = variables.iter().chain([&metadata]).find(|(name, _)| *name == wanted);
        named.map(|(_, value)| (*value).to_owned())
    };
    find(&Environment::new(&variable, None, None), role, &sts_at(url))
}

/// The received actions, in their order.
pub fn actions(server: &Server) -> Vec<String> {
    let action = |received: &crate::cloud::faulty_server::Received| {
        received
            .header("x-tc-action")
            .map_or_else(|| received.head.lines().next().unwrap_or_default().to_owned(), str::to_owned)
    };
    server.received().iter().map(action).collect()
}
