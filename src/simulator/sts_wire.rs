//! The JSON of requests to STS and of its answers.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::gateway::missing;
use super::service::Call;
use super::sts::{Identity, RoleWanted, Session};
use super::wire::{Parameters, Shape, check, is_region};
use super::world::Objection;
use crate::cloud::sts::{ASSUME_ROLE, ASSUME_ROLE_WITH_WEB_IDENTITY, GET_CALLER_IDENTITY};

/// Every action of STS that is played.
pub(super) const ACTIONS: [&str; 3] = [GET_CALLER_IDENTITY, ASSUME_ROLE, ASSUME_ROLE_WITH_WEB_IDENTITY];

/// Document 1081/48197.
const ROLE_PARAMETERS: Parameters = &[
    ("RoleArn", Shape::Text, true),
    ("RoleSessionName", Shape::Text, true),
    ("DurationSeconds", Shape::Number, false),
    ("Policy", Shape::Text, false),
    ("ExternalId", Shape::Text, false),
    ("SourceIdentity", Shape::Text, false),
    ("SerialNumber", Shape::Text, false),
    ("TokenCode", Shape::Text, false),
    ("Tags", Shape::Objects, false),
];

const WEB_IDENTITY_PARAMETERS: Parameters = &[
    ("ProviderId", Shape::Text, true),
    ("WebIdentityToken", Shape::Text, true),
    ("RoleArn", Shape::Text, true),
    ("RoleSessionName", Shape::Text, true),
    ("DurationSeconds", Shape::Number, false),
];

/// Reads what a call wants, or says what is wrong with its parameters. `caller` is who signed it.
pub(super) fn call(
    action: &str,
    region: Option<&str>,
    body: &[u8],
    caller: Identity,
    now: i64,
) -> Result<Call, Objection> {
    let region = region.filter(|region| !region.is_empty()).ok_or_else(|| missing("X-TC-Region"))?;
    if !is_region(region) {
        return Err(Objection::new("UnsupportedRegion", format!("there is no region {region}")));
    }
    let Ok(Value::Object(body)) = serde_json::from_slice(body) else {
        return Err(Objection::new("InvalidParameter", "the body is not a JSON object"));
    };
    match action {
        GET_CALLER_IDENTITY => {
            check(&body, &[])?;
            Ok(Call::Identity(caller))
        }
        ASSUME_ROLE => {
            check(&body, ROLE_PARAMETERS)?;
            Ok(Call::Role(wanted(&body, caller, now)))
        }
        _ => {
            check(&body, WEB_IDENTITY_PARAMETERS)?;
            for name in ["ProviderId", "WebIdentityToken"] {
                if text(&body, name).trim().is_empty() {
                    return Err(Objection::new("InvalidParameter", format!("{name} is empty")));
                }
            }
            Ok(Call::Role(wanted(&body, caller, now)))
        }
    }
}

fn wanted(body: &Map<String, Value>, caller: Identity, now: i64) -> RoleWanted {
    RoleWanted {
        arn: text(body, "RoleArn"),
        session_name: text(body, "RoleSessionName"),
        seconds: body.get("DurationSeconds").and_then(Value::as_i64),
        principal_id: caller.account_id,
        now,
    }
}

fn text(body: &Map<String, Value>, name: &str) -> String {
    body.get(name).and_then(Value::as_str).unwrap_or_default().to_owned()
}

pub(super) fn identity(identity: &Identity) -> Value {
    json!({
        "Arn": identity.arn,
        "AccountId": identity.account_id,
        "UserId": identity.user_id,
        "PrincipalId": identity.principal_id,
        "Type": identity.kind,
    })
}

pub(super) fn session(session: &Session) -> Value {
    let expiration = Timestamp::from_second(session.expires).unwrap_or(Timestamp::MAX);
    json!({
        "Credentials": {
            "Token": session.token,
            "TmpSecretId": session.secret_id,
            "TmpSecretKey": session.secret_key,
        },
        "ExpiredTime": session.expires,
        "Expiration": expiration.to_string(),
    })
}
