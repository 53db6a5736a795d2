//! What tests of sources give them to look at: variables, a service on loopback, and answers of STS.

use std::sync::Arc;
use std::time::Duration;

use super::{CredentialsError, Environment, Source, WantedRole, find};
use crate::cloud::faulty_server::{Reply, Server};
use crate::cloud::network::Network;
use crate::cloud::signed::{ServiceClock, SignedClient};
use crate::cloud::sts::StsClient;

/// When the keys of [`session`] expire.
pub const EXPIRES: i64 = 4_000_000_000;

/// An address at which nobody listens.
pub const NOBODY: &str = "http://127.0.0.1:1";

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

/// What STS answers where it gives keys; `number` tells them apart.
pub fn session(number: usize) -> Reply {
    Reply::json(&format!(
        r#"{{"Response":{{"Credentials":{{"Token":"PRIVATE-T{number}","TmpSecretId":"id-{number}","TmpSecretKey":"PRIVATE-K{number}"}},"ExpiredTime":{EXPIRES},"RequestId":"r-{number}"}}}}"#
    ))
}

/// What STS answers where it refuses.
pub fn refusal(code: &str) -> Reply {
    Reply::json(&format!(
        r#"{{"Response":{{"Error":{{"Code":"{code}","Message":"PRIVATE-TOKEN is not liked"}},"RequestId":"r-9"}}}}"#
    ))
}

/// Looks for a source among variables, with STS and metadata service at an address.
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

/// The actions that arrived, in their order.
pub fn actions(server: &Server) -> Vec<String> {
    let action = |received: &crate::cloud::faulty_server::Received| {
        received
            .header("x-tc-action")
            .map_or_else(|| received.head.lines().next().unwrap_or_default().to_owned(), str::to_owned)
    };
    server.received().iter().map(action).collect()
}
