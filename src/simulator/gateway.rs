//! What stands before the actions: who calls which service, when, and whether the signature covers what was received.

use hyper::HeaderMap;
use zeroize::Zeroizing;

use super::scenario::Scenario;
use super::sts::{Identity, Sessions, owner};
use super::sts_wire;
use super::world::Objection;
use crate::cloud::sign::{ALGORITHM, Signable};
use crate::cloud::{API_VERSION, LIST_ENGINES, LIST_IMAGES, SHOW_ENGINE, SWITCH, sts};

/// The actions of DLC that there are.
pub(super) const ACTIONS: [&str; 4] = [SWITCH, LIST_ENGINES, SHOW_ENGINE, LIST_IMAGES];

/// A service that answers at this address.
struct Api {
    /// Its name in the scope of a signature.
    service: &'static str,
    version: &'static str,
    actions: &'static [&'static str],
}

const DLC: Api = Api { service: "dlc", version: API_VERSION, actions: &ACTIONS };
const STS: Api = Api { service: sts::SERVICE, version: sts::API_VERSION, actions: &sts_wire::ACTIONS };

/// What stands in place of a signature where the caller has no keys yet.
const UNSIGNED: &str = "SKIP";

/// Headers that every signature must cover (document 1155/48995).
const MUST_BE_SIGNED: [&str; 2] = ["content-type", "host"];

/// Value of `X-TC-Content-SHA256` that leaves the body out of the signature, and what is hashed in its place
/// (vendor's Python SDK, `abstract_client.py`).
const UNSIGNED_PAYLOAD: &str = "UNSIGNED-PAYLOAD";

/// The one pair of permanent keys that the simulator knows. Not `Debug`, so that no log can hold it.
pub struct Keys {
    secret_id: String,
    secret_key: Zeroizing<String>,
    token: Option<Zeroizing<String>>,
}

impl Keys {
    /// A pair of keys, with the token that temporary ones need.
    pub fn new(secret_id: impl Into<String>, secret_key: impl Into<String>, token: Option<String>) -> Self {
        Self {
            secret_id: secret_id.into(),
            secret_key: Zeroizing::new(secret_key.into()),
            token: token.map(Zeroizing::new),
        }
    }
}

/// Whose keys are accepted.
#[derive(Clone, Copy)]
pub(super) struct Known<'a> {
    pub(super) keys: &'a Keys,
    pub(super) sessions: &'a Sessions,
    pub(super) scenario: &'a Scenario,
}

/// A pair of keys that is known.
struct Holder<'a> {
    secret_key: &'a str,
    token: Option<&'a str>,
    /// False where the token has expired or was ended.
    is_good: bool,
    identity: Identity,
}

impl Known<'_> {
    fn holder(&self, secret_id: &str, now: i64) -> Option<Holder<'_>> {
        if secret_id == self.keys.secret_id {
            let token = self.keys.token.as_ref().map(|token| token.as_str());
            let identity = owner(self.scenario);
            return Some(Holder { secret_key: &self.keys.secret_key, token, is_good: true, identity });
        }
        self.sessions.get(secret_id).map(|session| Holder {
            secret_key: &session.secret_key,
            token: Some(&session.token),
            is_good: session.is_good(now),
            identity: session.identity.clone(),
        })
    }
}

/// The service's clock at the moment of a call.
#[derive(Clone, Copy, Debug)]
pub(super) struct ServiceTime {
    /// Unix seconds.
    pub(super) now: i64,
    /// Seconds by which the time stamp of a signature may differ.
    pub(super) validity: u64,
}

/// The parts of an `Authorization` header.
struct Authorization<'a> {
    secret_id: &'a str,
    scope: &'a str,
    signed_headers: &'a str,
    signature: &'a str,
}

/// Lets a request pass and says who calls, or says what is wrong with it, in the order in which a gateway would notice.
pub(super) fn check(
    headers: &HeaderMap,
    body: &[u8],
    known: Known<'_>,
    time: ServiceTime,
) -> Result<Identity, Objection> {
    let header = text(headers, "authorization");
    if header == Some(UNSIGNED) && text(headers, "x-tc-action") == Some(sts::ASSUME_ROLE_WITH_WEB_IDENTITY) {
        timestamp(headers, time)?;
        check_action(headers, &STS)?;
        return Ok(owner(known.scenario));
    }
    let authorization = header
        .and_then(Authorization::parse)
        .ok_or_else(|| failure("InvalidAuthorization", "the Authorization header is missing or malformed"))?;
    let holder = known
        .holder(authorization.secret_id, time.now)
        .ok_or_else(|| failure("SecretIdNotFound", "the SecretId is not found"))?;
    let timestamp = timestamp(headers, time)?;
    let api = check_signature(headers, body, &holder, &authorization, timestamp)?;
    check_action(headers, api)?;
    Ok(holder.identity)
}

fn check_action(headers: &HeaderMap, api: &Api) -> Result<(), Objection> {
    match text(headers, "x-tc-version") {
        None => return Err(missing("X-TC-Version")),
        Some(version) if version != api.version => {
            return Err(Objection::new("NoSuchVersion", format!("there is no version {version}")));
        }
        Some(_) => {}
    }
    match text(headers, "x-tc-action") {
        None => Err(missing("X-TC-Action")),
        Some(action) if !api.actions.contains(&action) => Err(no_such_action(action)),
        Some(_) => Ok(()),
    }
}

/// The service that the signature is for.
fn check_signature(
    headers: &HeaderMap,
    body: &[u8],
    holder: &Holder<'_>,
    authorization: &Authorization<'_>,
    timestamp: i64,
) -> Result<&'static Api, Objection> {
    let unsigned = |what: &str| failure("SignatureFailure", what);
    let in_scope = |api: &&Api| {
        Signable { service: api.service, headers: &[], body, timestamp }.scope() == authorization.scope
    };
    let api = [&DLC, &STS].into_iter().find(in_scope);
    let api = api
        .ok_or_else(|| unsigned("the scope of the credential does not match the timestamp and a service"))?;
    let token = text(headers, "x-tc-token").filter(|token| !token.is_empty());
    if token != holder.token {
        return Err(failure("TokenFailure", "the token is wrong"));
    }
    if !holder.is_good {
        return Err(failure("TokenFailure", "the token has expired"));
    }
    let names: Vec<&str> = authorization.signed_headers.split(';').collect();
    if !names.is_sorted() || !MUST_BE_SIGNED.iter().all(|name| names.contains(name)) {
        return Err(unsigned("SignedHeaders must be sorted and hold content-type and host"));
    }
    let signed: Option<Vec<(&str, &str)>> =
        names.iter().map(|name| text(headers, name).map(|value| (*name, value))).collect();
    let signed = signed.ok_or_else(|| unsigned("a signed header is missing"))?;
    let unsigned_payload = text(headers, "x-tc-content-sha256") == Some(UNSIGNED_PAYLOAD);
    let body = if unsigned_payload { UNSIGNED_PAYLOAD.as_bytes() } else { body };
    let signable = Signable { service: api.service, headers: &signed, body, timestamp };
    if signable.signature(holder.secret_key) == authorization.signature {
        return Ok(api);
    }
    Err(unsigned("the signature does not match what was received"))
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

/// The time of a request, where it is near the service's own.
fn timestamp(headers: &HeaderMap, time: ServiceTime) -> Result<i64, Objection> {
    let timestamp = text(headers, "x-tc-timestamp").ok_or_else(|| missing("X-TC-Timestamp"))?;
    let timestamp: i64 = timestamp
        .parse()
        .map_err(|_| Objection::new("InvalidParameter", "X-TC-Timestamp is not a number of seconds"))?;
    let (apart, most) = (timestamp.abs_diff(time.now), time.validity);
    if apart > most {
        let what = format!("the clocks differ by {apart} s, more than {most} s");
        return Err(failure("SignatureExpire", &what));
    }
    Ok(timestamp)
}

/// A header's value, where it is text.
pub(super) fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

pub(super) fn no_such_action(action: &str) -> Objection {
    Objection::new("InvalidAction", format!("there is no action {action}"))
}

pub(super) fn missing(parameter: &str) -> Objection {
    Objection::new("MissingParameter", format!("the parameter {parameter} is missing"))
}

fn failure(kind: &str, what: &str) -> Objection {
    Objection::new(&format!("AuthFailure.{kind}"), what)
}

#[cfg(test)]
#[path = "gateway_tests.rs"]
mod tests;
