//! The metadata service of a virtual machine (CVM), as far as it returns the keys of the machine's role.

use http_body_util::Full;
use hyper::Response;
use hyper::body::Bytes;
use jiff::Timestamp;
use serde_json::json;
use tokio::time::Instant;

use super::response::{JSON, PLAIN, expiration, response};
use super::service::Simulator;
use super::statistics::OK;
use super::sts::{RoleRequest, Session, account};

/// Path of the role, and prefix of the path of its keys.
const PATH: &str = "/latest/meta-data/cam/security-credentials/";

/// Name under which its requests are counted; the service has no actions.
pub const METADATA: &str = "metadata";

/// Answers a GET request; none if the path does not belong to the metadata service.
pub(super) fn answer(path: &str, simulator: &Simulator, now: Timestamp) -> Option<Response<Full<Bytes>>> {
    let name = path.strip_prefix(PATH)?;
    let (status, content_type, body) = match simulator.scenario().instance_role.as_deref() {
        Some(role) if name.is_empty() => (200, PLAIN, role.to_owned()),
        Some(role) if name == role => match issue(role, simulator, now) {
            Some(session) => (200, JSON, body(&session)),
            None => (500, PLAIN, String::new()),
        },
        _ => (404, PLAIN, "404 - Not Found".to_owned()),
    };
    let answered = if status == 200 { OK.to_owned() } else { format!("http-{status}") };
    simulator.lock().record(Instant::now(), METADATA, &answered);
    Some(response(status, content_type, body, now))
}

fn issue(role: &str, simulator: &Simulator, now: Timestamp) -> Option<Session> {
    let account = account(simulator.scenario());
    let request = RoleRequest {
        arn: format!("qcs::cam::uin/{account}:roleName/{role}"),
        session_name: "instance".to_owned(),
        seconds: None,
        principal_id: account.to_owned(),
        now: now.as_second(),
    };
    simulator.lock().sessions.issue(&request, simulator.scenario()).ok()
}

fn body(session: &Session) -> String {
    json!({
        "TmpSecretId": session.secret_id,
        "TmpSecretKey": session.secret_key,
        "ExpiredTime": session.expires,
        "Expiration": expiration(session),
        "Token": session.token,
        "Code": "Success",
    })
    .to_string()
}
