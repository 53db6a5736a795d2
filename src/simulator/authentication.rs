//! Authenticates requests: keys, time, signature, token, and the service that the signature is for.

use hyper::HeaderMap;
use zeroize::Zeroizing;

use super::api::{Api, DLC, STS};
use super::refusal::{missing, refuse, unsupported_action};
use super::scenario::Scenario;
use super::sts::{Identity, Sessions, owner};
use crate::cloud::sign::{ALGORITHM, Signable};
use crate::cloud::{Refusal, sts};

/// Replaces the signature if the caller has no keys yet.
const UNSIGNED: &str = "SKIP";

/// Headers that every signature must include (document 1155/48995).
const MUST_BE_SIGNED: [&str; 2] = ["content-type", "host"];

/// The permanent keys that the simulator accepts. Not `Debug`, so that no log contains them.
pub struct Keys {
    secret_id: String,
    secret_key: Zeroizing<String>,
    token: Option<Zeroizing<String>>,
}

impl Keys {
    /// A pair of keys; temporary keys have a token.
    pub fn new(secret_id: impl Into<String>, secret_key: impl Into<String>, token: Option<String>) -> Self {
        Self {
            secret_id: secret_id.into(),
            secret_key: Zeroizing::new(secret_key.into()),
            token: token.map(Zeroizing::new),
        }
    }
}

/// The keys that are accepted.
#[derive(Clone, Copy)]
pub(super) struct AcceptedKeys<'a> {
    pub(super) keys: &'a Keys,
    pub(super) sessions: &'a Sessions,
    pub(super) scenario: &'a Scenario,
}

/// The owner of a pair of keys.
struct Holder<'a> {
    secret_key: &'a str,
    token: Option<&'a str>,
    /// False if the token has expired or was revoked.
    is_valid: bool,
    identity: Identity,
}

impl AcceptedKeys<'_> {
    fn holder(&self, secret_id: &str, now: i64) -> Option<Holder<'_>> {
        if secret_id == self.keys.secret_id {
            let token = self.keys.token.as_ref().map(|token| token.as_str());
            let identity = owner(self.scenario);
            return Some(Holder { secret_key: &self.keys.secret_key, token, is_valid: true, identity });
        }
        self.sessions.get(secret_id).map(|session| Holder {
            secret_key: &session.secret_key,
            token: Some(&session.token),
            is_valid: session.is_valid(now),
            identity: session.identity.clone(),
        })
    }
}

/// Clock of the service when a request arrives.
#[derive(Clone, Copy, Debug)]
pub(super) struct ServiceTime {
    /// Unix seconds.
    pub(super) now: i64,
    /// Largest difference to the timestamp of a signature, in seconds.
    pub(super) validity: u64,
}

/// The parts of an `Authorization` header.
struct Authorization<'a> {
    secret_id: &'a str,
    scope: &'a str,
    signed_headers: &'a str,
    signature: &'a str,
}

/// Identifies the caller of a request, or refuses the request with the first problem that a gateway finds.
pub(super) fn authenticate(
    headers: &HeaderMap,
    body: &[u8],
    accepted: AcceptedKeys<'_>,
    time: ServiceTime,
) -> Result<Identity, Refusal> {
    let header = text(headers, "authorization");
    if header == Some(UNSIGNED) && text(headers, "x-tc-action") == Some(sts::ASSUME_ROLE_WITH_WEB_IDENTITY) {
        timestamp(headers, time)?;
        check_action(headers, &STS)?;
        return Ok(owner(accepted.scenario));
    }
    let authorization = header
        .and_then(Authorization::parse)
        .ok_or_else(|| failure("InvalidAuthorization", "the Authorization header is missing or malformed"))?;
    let holder = accepted
        .holder(authorization.secret_id, time.now)
        .ok_or_else(|| failure("SecretIdNotFound", "the SecretId does not exist"))?;
    let timestamp = timestamp(headers, time)?;
    let api = check_signature(headers, body, &holder, &authorization, timestamp)?;
    check_action(headers, api)?;
    Ok(holder.identity)
}

fn check_action(headers: &HeaderMap, api: &Api) -> Result<(), Refusal> {
    match text(headers, "x-tc-version") {
        None => return Err(missing("X-TC-Version")),
        Some(version) if version != api.version => {
            return Err(refuse("NoSuchVersion", format!("version {version} does not exist")));
        }
        Some(_) => {}
    }
    match text(headers, "x-tc-action") {
        None => Err(missing("X-TC-Action")),
        Some(action) if !api.actions.contains(&action) => Err(unsupported_action(action)),
        Some(_) => Ok(()),
    }
}

/// Checks the signature; returns the service that it is for.
fn check_signature(
    headers: &HeaderMap,
    body: &[u8],
    holder: &Holder<'_>,
    authorization: &Authorization<'_>,
    timestamp: i64,
) -> Result<&'static Api, Refusal> {
    let mismatch = |message: &str| failure("SignatureFailure", message);
    let in_scope = |api: &&Api| {
        Signable { service: api.service, headers: &[], body, timestamp }.scope() == authorization.scope
    };
    let api = [&DLC, &STS].into_iter().find(in_scope);
    let api = api
        .ok_or_else(|| mismatch("the scope of the credential does not match the timestamp and a service"))?;
    let token = text(headers, "x-tc-token").filter(|token| !token.is_empty());
    if token != holder.token {
        return Err(failure("TokenFailure", "the token is wrong"));
    }
    if !holder.is_valid {
        return Err(failure("TokenFailure", "the token has expired"));
    }
    let names: Vec<&str> = authorization.signed_headers.split(';').collect();
    if !names.is_sorted() || !MUST_BE_SIGNED.iter().all(|name| names.contains(name)) {
        return Err(mismatch("SignedHeaders must be sorted and include content-type and host"));
    }
    let signed: Option<Vec<(&str, &str)>> =
        names.iter().map(|name| text(headers, name).map(|value| (*name, value))).collect();
    let signed = signed.ok_or_else(|| mismatch("a signed header is missing"))?;
    let signable = Signable { service: api.service, headers: &signed, body, timestamp };
    if signable.signature(holder.secret_key) == authorization.signature {
        return Ok(api);
    }
    Err(mismatch("the signature does not match what was received"))
}

impl<'a> Authorization<'a> {
    fn parse(header: &'a str) -> Option<Self> {
        let parts = header.strip_prefix(ALGORITHM)?.strip_prefix(' ')?;
        let mut parts = parts.split(',').map(str::trim);
        let credential = parts.next()?.strip_prefix("Credential=")?;
        let signed_headers = parts.next()?.strip_prefix("SignedHeaders=")?;
        let signature = parts.next()?.strip_prefix("Signature=")?;
        let (secret_id, scope) = credential.split_once('/')?;
        let whole = parts.next().is_none() && scope.split('/').count() == 3;
        whole.then_some(Self { secret_id, scope, signed_headers, signature })
    }
}

/// The timestamp of a request, if it is close to the clock of the service.
fn timestamp(headers: &HeaderMap, time: ServiceTime) -> Result<i64, Refusal> {
    let timestamp = text(headers, "x-tc-timestamp").ok_or_else(|| missing("X-TC-Timestamp"))?;
    let timestamp: i64 = timestamp
        .parse()
        .map_err(|_| refuse("InvalidParameter", "X-TC-Timestamp is not a number of seconds"))?;
    let difference = timestamp.abs_diff(time.now);
    if difference > time.validity {
        let message = format!("the clocks differ by {difference} s, more than {} s", time.validity);
        return Err(failure("SignatureExpire", &message));
    }
    Ok(timestamp)
}

/// The value of a header, if it is text.
pub(super) fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

fn failure(kind: &str, message: &str) -> Refusal {
    refuse(&format!("AuthFailure.{kind}"), message)
}

#[cfg(test)]
mod tests;
