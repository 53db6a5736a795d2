//! The role that is bound to this virtual machine (CVM), from the machine's metadata service.
//!
//! The service answers inside Tencent Cloud only, without encryption and without keys, so it is asked directly, never
//! through a proxy, and not for long. Tests put another one in its place with the environment variable
//! `DLC_FLEET_METADATA_ENDPOINT`, an `http://` address of this machine and of no other.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use reqwest::{Client, StatusCode, redirect, retry};
use serde::Deserialize;
use zeroize::Zeroizing;

use super::value::could_be_a_key;
use super::{Credentials, CredentialsError, Environment, Fetching, Found, Source, environment};
use crate::cloud::endpoint::Endpoint;
use crate::cloud::signed::ServiceClock;
use crate::format::{cut, shown_path};

/// Where the metadata service answers (vendor's Python and Go SDKs).
const ADDRESS: &str = "http://metadata.tencentyun.com/";
/// The path that names the role; with the role's name behind it, the path of the keys.
const PATH: &str = "latest/meta-data/cam/security-credentials/";
/// Puts another address in the place of the usual one; on loopback only.
const OVERRIDE: &str = "DLC_FLEET_METADATA_ENDPOINT";

/// Longest wait for a connection. Where the service is there, it is in the same building.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// Longest wait for role and keys together, the name of the host included.
const TIMEOUT: Duration = Duration::from_secs(2);
/// Bytes of the largest answer that is read.
const LARGEST_ANSWER: usize = 64 * 1024;

/// The role of the machine. Whether there is one only the metadata service knows, so this is asked last.
pub(super) fn find(environment: &Environment<'_>) -> Found {
    let address = address(environment)?;
    let looked_at = environment.take_looked_at();
    Ok(Some(Box::new(InstanceRole { address, looked_at, profile: None, seen: AtomicBool::new(false) })))
}

fn address(environment: &Environment<'_>) -> Result<String, CredentialsError> {
    let Some(address) = environment.value_of(OVERRIDE) else { return Ok(ADDRESS.to_owned()) };
    match address.parse::<Endpoint>() {
        Ok(endpoint) if endpoint.is_plain() && endpoint.is_loopback() => Ok(endpoint.url()),
        _ => {
            let what =
                format!("{OVERRIDE} is no http:// address of this machine: unset it, it is meant for tests");
            Err(CredentialsError::Source { what, may_pass: false })
        }
    }
}

/// The role of the machine.
pub(super) struct InstanceRole {
    address: String,
    /// Who was asked for keys before, for the error in which the search may end.
    looked_at: Vec<String>,
    /// The file of the profile that asks for it, if one does.
    profile: Option<String>,
    /// True once the metadata service gave keys: then its silence is an outage, and not another kind of machine.
    seen: AtomicBool,
}

/// What became of one question.
enum Asked {
    Text(Zeroizing<String>),
    /// There is no such thing.
    Nothing,
    /// Nobody is there, or somebody else.
    Nobody(String),
    /// It has trouble of its own.
    Broken(u16),
}

impl InstanceRole {
    /// The role, because a profile says so.
    pub(super) fn asked_for_by(
        environment: &Environment<'_>,
        profile: &Path,
    ) -> Result<Self, CredentialsError> {
        let (address, profile) = (address(environment)?, Some(shown_path(profile)));
        Ok(Self { address, looked_at: Vec::new(), profile, seen: AtomicBool::new(false) })
    }

    async fn fetch_keys(&self) -> Result<Credentials, CredentialsError> {
        let asked = tokio::time::timeout(TIMEOUT, self.ask_for_keys()).await;
        let keys = asked.unwrap_or_else(|_| Err(self.nobody(&format!("no answer within {TIMEOUT:?}"))))?;
        self.seen.store(true, Ordering::Relaxed);
        Ok(keys)
    }

    async fn ask_for_keys(&self) -> Result<Credentials, CredentialsError> {
        let client = client().map_err(|error| self.nobody(&error.to_string()))?;
        let role = match ask(&client, &format!("{}{PATH}", self.address)).await {
            Asked::Text(role) => role,
            Asked::Nothing => return Err(self.no_role()),
            Asked::Nobody(why) => return Err(self.nobody(&why)),
            Asked::Broken(status) => return Err(broken(status)),
        };
        let role = role.trim();
        if !is_role(role) {
            return Err(strange("names no role"));
        }
        match ask(&client, &format!("{}{PATH}{role}", self.address)).await {
            Asked::Text(body) => read(&body),
            Asked::Nothing => Err(self.no_role()),
            Asked::Nobody(why) => Err(self.nobody(&why)),
            Asked::Broken(status) => Err(broken(status)),
        }
    }

    /// Off Tencent Cloud nobody answers, and then there are simply no keys.
    fn nobody(&self, why: &str) -> CredentialsError {
        if !self.seen.load(Ordering::Relaxed) {
            tracing::debug!(why, "there is no metadata service here");
            if let Some(profile) = &self.profile {
                return asked_in_vain(
                    profile,
                    &format!(
                        "its metadata service is not there ({why}): run this on an instance with a role"
                    ),
                );
            }
            let mut looked_at = self.looked_at.clone();
            looked_at.push(format!("the metadata service of this machine ({why})"));
            return CredentialsError::Absent { looked_at };
        }
        let what =
            format!("the metadata service of this machine does not answer any more: {why}: run again later");
        CredentialsError::Source { what, may_pass: true }
    }

    fn no_role(&self) -> CredentialsError {
        if let Some(profile) = &self.profile {
            return asked_in_vain(profile, "none is bound to it: bind one to the instance in the console");
        }
        let what = format!(
            "there are no API keys; looked at {}, and no role is bound to this machine: set {} and {}, or bind a role \
             to the instance in the console",
            self.looked_at.join(", "),
            environment::SECRET_ID,
            environment::SECRET_KEY
        );
        CredentialsError::Source { what, may_pass: false }
    }
}

impl Source for InstanceRole {
    fn name(&self) -> String {
        "the role of this machine (CVM)".to_owned()
    }

    fn fetch<'a>(&'a self, _clock: &'a ServiceClock) -> Fetching<'a> {
        Box::pin(self.fetch_keys())
    }

    fn renews(&self) -> bool {
        true
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
        // no certificate is ever looked at
        .tls_certs_only([])
        .build()
}

async fn ask(client: &Client, url: &str) -> Asked {
    let nobody = |error: reqwest::Error| {
        tracing::debug!(error = %error.without_url(), "there is no metadata service here");
        Asked::Nobody("nobody answers".to_owned())
    };
    let mut response = match client.get(url).send().await {
        Ok(response) if response.status() == StatusCode::OK => response,
        Ok(response) if response.status() == StatusCode::NOT_FOUND => return Asked::Nothing,
        Ok(response) if response.status().is_server_error() => {
            return Asked::Broken(response.status().as_u16());
        }
        Ok(response) => return Asked::Nobody(format!("it answers HTTP {}", response.status().as_u16())),
        Err(error) => return nobody(error),
    };
    let mut body = Zeroizing::new(Vec::new());
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) if body.len() + chunk.len() > LARGEST_ANSWER => {
                return Asked::Nobody("the answer is too large".to_owned());
            }
            Ok(Some(chunk)) => body.extend_from_slice(&chunk),
            Ok(None) => break,
            Err(error) => return nobody(error),
        }
    }
    Asked::Text(Zeroizing::new(String::from_utf8_lossy(&body).into_owned()))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    code: Option<String>,
    tmp_secret_id: Option<String>,
    tmp_secret_key: Option<String>,
    token: Option<String>,
    /// Unix seconds.
    expired_time: Option<i64>,
}

fn read(body: &str) -> Result<Credentials, CredentialsError> {
    let answer: Answer = serde_json::from_str(body).map_err(|_| strange("gives no keys that can be read"))?;
    let filled = |text: Option<String>| text.filter(|text| !text.is_empty());
    if let Some(code) = filled(answer.code).filter(|code| code != "Success") {
        return Err(strange(&format!("answers {:?} in place of keys", cut(&code, 60))));
    }
    match (
        filled(answer.tmp_secret_id),
        filled(answer.tmp_secret_key),
        filled(answer.token),
        answer.expired_time,
    ) {
        (Some(secret_id), Some(secret_key), Some(token), Some(expires)) => {
            let (secret_key, token) = (Zeroizing::new(secret_key), Zeroizing::new(token));
            if [&secret_id, &*secret_key, &*token].iter().any(|text| !could_be_a_key(text)) {
                return Err(strange("gives keys with characters that no key has"));
            }
            Ok(Credentials::new(secret_id, secret_key, Some(token)).until(expires))
        }
        _ => Err(strange("leaves out a part of the keys")),
    }
}

/// A profile wants the role of this machine, and nothing else will do.
fn asked_in_vain(profile: &str, why: &str) -> CredentialsError {
    let what = format!("{profile} asks for the role of this machine, and {why}, or choose another profile");
    CredentialsError::Source { what, may_pass: false }
}

/// Trouble that may pass.
fn broken(status: u16) -> CredentialsError {
    let what = format!(
        "the metadata service of this machine answers HTTP {status}: run the same command again later"
    );
    CredentialsError::Source { what, may_pass: true }
}

/// Says what is odd about an answer, and never what it holds.
fn strange(what: &str) -> CredentialsError {
    let what = format!(
        "there are no API keys elsewhere, and what answers as the metadata service of this machine {what}: set {} and \
         {}, or see which role is bound to the instance",
        environment::SECRET_ID,
        environment::SECRET_KEY
    );
    CredentialsError::Source { what, may_pass: false }
}

fn is_role(name: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"+=,.@_-".contains(&byte);
    (1..=128).contains(&name.len()) && name.bytes().all(fits)
}

#[cfg(test)]
#[path = "instance_tests.rs"]
mod tests;
