//! What stands before the actions: who calls, when, and whether the signature covers what was received.

use hyper::HeaderMap;
use zeroize::Zeroizing;

use super::world::Objection;
use crate::cloud::sign::{ALGORITHM, Signable};
use crate::cloud::{API_VERSION, LIST_ENGINES, LIST_IMAGES, SHOW_ENGINE, SWITCH};

/// The actions that there are.
pub(super) const ACTIONS: [&str; 4] = [SWITCH, LIST_ENGINES, SHOW_ENGINE, LIST_IMAGES];

/// The service's name in the scope of a signature.
const SERVICE: &str = "dlc";

/// Headers that every signature must cover (document 1155/48995).
const MUST_BE_SIGNED: [&str; 2] = ["content-type", "host"];

/// The one pair of keys that the simulator knows. Not `Debug`, so that no log can hold it.
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

/// Lets a request pass, or says what is wrong with it, in the order in which a gateway would notice.
pub(super) fn check(
    headers: &HeaderMap,
    body: &[u8],
    keys: &Keys,
    time: ServiceTime,
) -> Result<(), Objection> {
    let authorization = text(headers, "authorization")
        .and_then(Authorization::parse)
        .ok_or_else(|| failure("InvalidAuthorization", "the Authorization header is missing or malformed"))?;
    if authorization.secret_id != keys.secret_id {
        return Err(failure("SecretIdNotFound", "the SecretId is not found"));
    }
    let timestamp = timestamp(headers)?;
    let (apart, most) = (timestamp.abs_diff(time.now), time.validity);
    if apart > most {
        return Err(failure(
            "SignatureExpire",
            &format!("the clocks differ by {apart} s, more than {most} s"),
        ));
    }
    check_signature(headers, body, keys, &authorization, timestamp)?;
    match text(headers, "x-tc-version") {
        None => return Err(missing("X-TC-Version")),
        Some(version) if version != API_VERSION => {
            return Err(Objection::new("NoSuchVersion", format!("there is no version {version}")));
        }
        Some(_) => {}
    }
    match text(headers, "x-tc-action") {
        None => Err(missing("X-TC-Action")),
        Some(action) if !ACTIONS.contains(&action) => Err(no_such_action(action)),
        Some(_) => Ok(()),
    }
}

fn check_signature(
    headers: &HeaderMap,
    body: &[u8],
    keys: &Keys,
    authorization: &Authorization<'_>,
    timestamp: i64,
) -> Result<(), Objection> {
    let unsigned = |what: &str| failure("SignatureFailure", what);
    let scope = Signable { service: SERVICE, headers: &[], body, timestamp }.scope();
    if authorization.scope != scope {
        return Err(unsigned("the scope of the credential does not match the timestamp and the service"));
    }
    let token = text(headers, "x-tc-token").filter(|token| !token.is_empty());
    if token != keys.token.as_ref().map(|token| token.as_str()) {
        return Err(failure("TokenFailure", "the token is wrong"));
    }
    let names: Vec<&str> = authorization.signed_headers.split(';').collect();
    if !names.is_sorted() || !MUST_BE_SIGNED.iter().all(|name| names.contains(name)) {
        return Err(unsigned("SignedHeaders must be sorted and hold content-type and host"));
    }
    let signed: Option<Vec<(&str, &str)>> =
        names.iter().map(|name| text(headers, name).map(|value| (*name, value))).collect();
    let signed = signed.ok_or_else(|| unsigned("a signed header is missing"))?;
    let signable = Signable { service: SERVICE, headers: &signed, body, timestamp };
    if signable.signature(&keys.secret_key) == authorization.signature {
        return Ok(());
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

fn timestamp(headers: &HeaderMap) -> Result<i64, Objection> {
    let timestamp = text(headers, "x-tc-timestamp").ok_or_else(|| missing("X-TC-Timestamp"))?;
    timestamp
        .parse()
        .map_err(|_| Objection::new("InvalidParameter", "X-TC-Timestamp is not a number of seconds"))
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
