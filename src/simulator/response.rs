//! Renders replies as HTTP responses, including the damage that a fault does to them.

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{CONTENT_TYPE, DATE, HeaderValue};
use hyper::{Response, StatusCode};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::engine_type;
use super::fault::ResponseFault;
use super::service::{Payload, Reply};
use super::sts::Session;
use crate::cloud::{EngineRecord, ImageRecord};

/// A connection that ends without a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Disconnect {
    /// RST
    #[error("the simulator resets the connection")]
    Reset,
    /// FIN
    #[error("the simulator closes the connection")]
    Close,
}

pub(super) const JSON: &str = "application/json";
pub(super) const PLAIN: &str = "text/plain";
const HTML: &str = "text/html";

/// Renders a reply; `None` is one that never comes. `now` is the clock of the service.
pub(super) fn render(reply: &Reply, now: Timestamp) -> Option<Result<Response<Full<Bytes>>, Disconnect>> {
    let body = body(reply);
    let Some(fault) = reply.fault else { return Some(Ok(response(200, JSON, body, now))) };
    Some(match fault {
        ResponseFault::NoResponse => return None,
        ResponseFault::ResetBeforeReading | ResponseFault::ResetAfterReading => Err(Disconnect::Reset),
        ResponseFault::NoConnection | ResponseFault::CloseAfterReading => Err(Disconnect::Close),
        ResponseFault::Http(status) => Ok(response(status, HTML, page(status), now)),
        ResponseFault::Html => Ok(response(200, HTML, page(200), now)),
        ResponseFault::Truncated => {
            let half = body.chars().take(body.chars().count() / 2).collect();
            Ok(response(200, JSON, half, now))
        }
        ResponseFault::Empty => Ok(response(200, JSON, String::new(), now)),
        ResponseFault::WrongContentType => {
            // both occur in practice; the seeded id of the request decides
            let plain = reply.request_id.bytes().next().is_some_and(|byte| byte % 2 == 0);
            Ok(response(200, if plain { PLAIN } else { HTML }, body, now))
        }
    })
}

/// A complete response with the `Date` of the service.
pub(super) fn response(
    status: u16,
    content_type: &'static str,
    body: String,
    now: Timestamp,
) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    // RFC 9110, section 5.6.7
    let date = now.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
    if let Ok(date) = HeaderValue::from_str(&date) {
        response.headers_mut().insert(DATE, date);
    }
    response
}

fn page(status: u16) -> String {
    format!("<html><head><title>{status}</title></head><body><h1>{status}</h1></body></html>\n")
}

fn body(reply: &Reply) -> String {
    let mut response = match &reply.result {
        Ok(Payload::Switched) => json!({}),
        Ok(Payload::Engines(listing)) => {
            let engines: Vec<Value> = listing.engines.iter().map(engine).collect();
            // the list is documented as nullable, and is null if it is empty
            let engines = if engines.is_empty() { Value::Null } else { Value::Array(engines) };
            json!({ "DataEngines": engines, "TotalCount": listing.total })
        }
        Ok(Payload::Engine(record)) => json!({ "DataEngine": engine(record) }),
        Ok(Payload::Images(images)) => {
            let images: Vec<Value> = images.iter().map(image).collect();
            json!({ "Total": images.len(), "ImageParentVersions": images })
        }
        Ok(Payload::Identity(identity)) => json!({
            "Arn": identity.arn,
            "AccountId": identity.account_id,
            "UserId": identity.user_id,
            "PrincipalId": identity.principal_id,
            "Type": identity.kind,
        }),
        Ok(Payload::Session(session)) => json!({
            "Credentials": {
                "Token": session.token,
                "TmpSecretId": session.secret_id,
                "TmpSecretKey": session.secret_key,
            },
            "ExpiredTime": session.expires,
            "Expiration": expiration(session),
        }),
        Err(refusal) => json!({ "Error": { "Code": refusal.code, "Message": refusal.message } }),
    };
    response["RequestId"] = Value::from(reply.request_id.as_str());
    json!({ "Response": response }).to_string()
}

/// The time at which temporary keys expire, in the format of STS and of the metadata service.
pub(super) fn expiration(session: &Session) -> String {
    Timestamp::from_second(session.expires).unwrap_or(Timestamp::MAX).to_string()
}

/// One entry of `DataEngines`: the fields that tell what the engine is and which image it runs.
fn engine(record: &EngineRecord) -> Value {
    let engine_type = record.engine_type_detail.as_deref().and_then(engine_type::by_detail);
    json!({
        "DataEngineId": record.data_engine_id,
        "DataEngineName": record.name,
        "EngineType": engine_type.map(|engine_type| engine_type.engine_type),
        "EngineTypeDetail": record.engine_type_detail,
        "EngineExecType": record.kind.map(|kind| kind.exec_type.as_str()),
        "EngineGeneration": record.kind.map(|kind| kind.generation.as_str()),
        "State": record.state.map(|state| state.0),
        "ImageVersionId": record.image_version_id,
        "ImageVersionName": record.image_version_name,
        "ChildImageVersionId": record.child_image_version_id,
    })
}

/// One entry of `ImageParentVersions`.
fn image(record: &ImageRecord) -> Value {
    json!({
        "ImageVersionId": record.image_version_id,
        "ImageVersion": record.name,
        "EngineType": record.engine_type,
        "State": record.state,
    })
}
