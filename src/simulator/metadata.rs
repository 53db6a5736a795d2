//! The metadata service of a virtual machine (CVM), as far as it hands out the keys of the machine's role.

use http_body_util::Full;
use hyper::Response;
use hyper::body::Bytes;
use jiff::Timestamp;
use serde_json::json;
use tokio::time::Instant;

use super::Simulator;
use super::answer::{JSON, PLAIN, response};
use super::stats::OK;
use super::sts::{RoleWanted, Session, account};

/// Where it answers, beneath the simulator's address.
const PATH: &str = "/latest/meta-data/cam/security-credentials/";

/// How its calls are counted; the service itself has no such actions.
pub const METADATA: &str = "metadata";

/// Answers a GET, where the path is one of the metadata service's.
pub(super) fn answer(path: &str, simulator: &Simulator, now: Timestamp) -> Option<Response<Full<Bytes>>> {
    let asked = path.strip_prefix(PATH)?;
    let bound = simulator.scenario().instance_role.as_deref();
    let (status, content_type, body) = match bound {
        Some(role) if asked.is_empty() => (200, PLAIN, role.to_owned()),
        Some(role) if asked == role => match keys(role, simulator, now) {
            Some(session) => (200, JSON, written(&session)),
            None => (500, PLAIN, String::new()),
        },
        _ => (404, PLAIN, "404 - Not Found".to_owned()),
    };
    let answered = if status == 200 { OK.to_owned() } else { format!("http-{status}") };
    simulator.lock().note(Instant::now(), METADATA, &answered);
    Some(response(status, content_type, body, now))
}

fn keys(role: &str, simulator: &Simulator, now: Timestamp) -> Option<Session> {
    let account = account(simulator.scenario());
    let wanted = RoleWanted {
        arn: format!("qcs::cam::uin/{account}:roleName/{role}"),
        session_name: "instance".to_owned(),
        seconds: None,
        principal_id: account.to_owned(),
        now: now.as_second(),
    };
    simulator.lock().sessions.hand_out(&wanted, simulator.scenario()).ok()
}

fn written(session: &Session) -> String {
    let expiration = Timestamp::from_second(session.expires).unwrap_or(Timestamp::MAX);
    json!({
        "TmpSecretId": session.secret_id,
        "TmpSecretKey": session.secret_key,
        "ExpiredTime": session.expires,
        "Expiration": expiration.to_string(),
        "Token": session.token,
        "Code": "Success",
    })
    .to_string()
}
