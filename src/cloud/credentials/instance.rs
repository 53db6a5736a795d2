//! The role that is bound to this virtual machine (CVM), from the metadata service of the instance.
//!
//! The service exists inside Tencent Cloud only, and uses neither encryption nor keys. It is called directly, never
//! through a proxy, with a short timeout. Tests replace it with the environment variable
//! `DLC_FLEET_METADATA_ENDPOINT`, which accepts only an `http://` address of this machine.

#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use reqwest::{Client, StatusCode, redirect, retry};
use serde::Deserialize;
use zeroize::Zeroizing;

use super::environment::{Environment, SECRET_ID, SECRET_KEY};
use super::error::CredentialsError;
use super::keys::Credentials;
use super::source::{Fetching, Found, Source};
use crate::cloud::endpoint::Endpoint;
use crate::cloud::service_clock::ServiceClock;
use crate::format::{cut, shown_path};

/// The metadata service (vendor's Python and Go SDKs).
const ADDRESS: &str = "http://metadata.tencentyun.com/";
/// The path that returns the name of the role; followed by that name, the path that returns its keys.
const PATH: &str = "latest/meta-data/cam/security-credentials/";
/// Replaces the address; on loopback only.
const OVERRIDE: &str = "DLC_FLEET_METADATA_ENDPOINT";
/// The service in messages.
const NAME: &str = "the metadata service of this instance";

/// Longest wait for a connection. The service is close to the instance.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// Longest wait for role and keys together, name resolution included.
const TIMEOUT: Duration = Duration::from_secs(2);
/// Largest response in bytes.
const MAX_RESPONSE: usize = 64 * 1024;

/// The role of the instance. Only the metadata service knows whether there is one, so this source is the last.
pub(super) fn find(environment: &Environment<'_>) -> Found {
    Ok(Some(Box::new(InstanceRole::new(environment, None)?)))
}

/// The role of the instance.
pub(super) struct InstanceRole {
    address: String,
    /// The places that were searched before, for the error if there is no role.
    searched: Vec<String>,
    /// The file of the profile that requests this role, if one does.
    profile: Option<String>,
    /// True once the metadata service has returned keys: from then on, no response is an outage.
    has_responded: AtomicBool,
}

/// Why the metadata service returned no keys.
enum MetadataError {
    /// No role is bound.
    NoRole,
    /// There is no metadata service, or another server responds.
    NoService(String),
    /// The service has an error of its own, with the HTTP status.
    Unavailable(u16),
    /// The response is not what the service returns. Shows nothing of the response.
    Invalid(String),
}

impl InstanceRole {
    /// `profile` is the file of the profile that requests the role, if one does.
    pub(super) fn new(
        environment: &Environment<'_>,
        profile: Option<&Path>,
    ) -> Result<Self, CredentialsError> {
        Ok(Self {
            address: address(environment)?,
            searched: environment.take_searched(),
            profile: profile.map(shown_path),
            has_responded: AtomicBool::new(false),
        })
    }

    async fn fetch_keys(&self) -> Result<Credentials, CredentialsError> {
        let request = async {
            let client = client().map_err(|error| MetadataError::NoService(error.to_string()))?;
            let role = get(&client, &format!("{}{PATH}", self.address)).await?;
            let role = role.trim();
            if !is_role_name(role) {
                return Err(MetadataError::Invalid("the response is not the name of a role".to_owned()));
            }
            parse_keys(&get(&client, &format!("{}{PATH}{role}", self.address)).await?)
        };
        let timed_out =
            || Err(MetadataError::NoService(format!("no response within {} s", TIMEOUT.as_secs())));
        let keys = tokio::time::timeout(TIMEOUT, request).await.unwrap_or_else(|_| timed_out());
        self.has_responded.fetch_or(keys.is_ok(), Ordering::Relaxed);
        keys.map_err(|error| self.credentials_error(error))
    }

    fn credentials_error(&self, error: MetadataError) -> CredentialsError {
        let unavailable = |problem: String| CredentialsError::Unavailable {
            place: NAME.to_owned(),
            problem: format!("{problem}: run the same command again later"),
        };
        let reason = match error {
            MetadataError::Unavailable(status) => return unavailable(format!("HTTP {status}")),
            MetadataError::NoService(reason) if self.has_responded.load(Ordering::Relaxed) => {
                return unavailable(format!("no longer responds: {reason}"));
            }
            MetadataError::Invalid(problem) => {
                return CredentialsError::Invalid {
                    place: NAME.to_owned(),
                    problem: format!(
                        "{problem}: check which role is bound to the instance, or set {SECRET_ID} and {SECRET_KEY}"
                    ),
                };
            }
            MetadataError::NoService(reason) => reason,
            MetadataError::NoRole => "no role is bound to the instance".to_owned(),
        };
        tracing::debug!(reason, "the metadata service returned no keys");
        let Some(profile) = &self.profile else {
            let searched = self.searched.iter().cloned().chain([format!("{NAME} ({reason})")]);
            return CredentialsError::Absent { searched: searched.collect() };
        };
        CredentialsError::Invalid {
            place: profile.clone(),
            problem: format!(
                "the profile uses the role of this instance, but {NAME} has none ({reason}): bind a role to the \
                 instance in the console, or use another profile"
            ),
        }
    }
}

impl Source for InstanceRole {
    fn name(&self) -> String {
        "the role of this instance (CVM)".to_owned()
    }

    fn fetch<'a>(&'a self, _clock: &'a ServiceClock) -> Fetching<'a> {
        Box::pin(self.fetch_keys())
    }

    fn is_renewable(&self) -> bool {
        true
    }
}

fn address(environment: &Environment<'_>) -> Result<String, CredentialsError> {
    let Some(address) = environment.value_of(OVERRIDE) else { return Ok(ADDRESS.to_owned()) };
    match address.parse::<Endpoint>() {
        Ok(endpoint) if endpoint.is_plain() && endpoint.is_loopback() => Ok(endpoint.url()),
        _ => Err(CredentialsError::Invalid {
            place: OVERRIDE.to_owned(),
            problem: "not an http:// address of this machine: unset it; it is meant for tests".to_owned(),
        }),
    }
}

fn client() -> reqwest::Result<Client> {
    Client::builder()
        .no_proxy()
        .retry(retry::never())
        .redirect(redirect::Policy::none())
        .connect_timeout(CONNECT_TIMEOUT)
        .timeout(TIMEOUT)
        .http1_only()
        // the service does not use TLS
        .tls_certs_only([])
        .build()
}

async fn get(client: &Client, url: &str) -> Result<Zeroizing<String>, MetadataError> {
    let no_response = |error: reqwest::Error| {
        tracing::debug!(error = %error.without_url(), "the metadata service does not respond");
        MetadataError::NoService("no response".to_owned())
    };
    let mut response = client.get(url).send().await.map_err(no_response)?;
    match response.status() {
        StatusCode::OK => {}
        StatusCode::NOT_FOUND => return Err(MetadataError::NoRole),
        status if status.is_server_error() => return Err(MetadataError::Unavailable(status.as_u16())),
        status => return Err(MetadataError::NoService(format!("HTTP {}", status.as_u16()))),
    }
    let mut body = Zeroizing::new(Vec::new());
    while let Some(chunk) = response.chunk().await.map_err(no_response)? {
        if body.len() + chunk.len() > MAX_RESPONSE {
            return Err(MetadataError::NoService("the response is too large".to_owned()));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Zeroizing::new(String::from_utf8_lossy(&body).into_owned()))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct KeysResponse {
    code: Option<String>,
    tmp_secret_id: Option<Zeroizing<String>>,
    tmp_secret_key: Option<Zeroizing<String>>,
    token: Option<Zeroizing<String>>,
    /// Unix seconds.
    expired_time: Option<i64>,
}

fn parse_keys(body: &str) -> Result<Credentials, MetadataError> {
    let response: KeysResponse = serde_json::from_str(body)
        .map_err(|_| MetadataError::Invalid("the response is not a JSON object with keys".to_owned()))?;
    if let Some(code) = response.code.filter(|code| !code.is_empty() && code != "Success") {
        return Err(MetadataError::Invalid(format!("the response has the code {:?}", cut(&code, 60))));
    }
    let KeysResponse { tmp_secret_id, tmp_secret_key, token, expired_time, .. } = response;
    Credentials::of_session(tmp_secret_id, tmp_secret_key, token, expired_time)
        .map_err(|problem| MetadataError::Invalid(problem.to_owned()))
}

fn is_role_name(name: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"+=,.@_-".contains(&byte);
    (1..=128).contains(&name.len()) && name.bytes().all(is_allowed)
}
