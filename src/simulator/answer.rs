//! From an answer to what goes over the wire, unbroken or broken.

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{CONTENT_TYPE, DATE, HeaderValue};
use hyper::{Response, StatusCode};
use jiff::Timestamp;

use super::fault::Break;
use super::service::Answer;
use super::wire;

/// What leaves instead of a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Dropped {
    /// RST.
    #[error("the simulator resets the connection")]
    Reset,
    /// FIN.
    #[error("the simulator closes the connection")]
    Closed,
}

pub(super) const JSON: &str = "application/json";
const HTML: &str = "text/html";
pub(super) const PLAIN: &str = "text/plain";

/// Renders an answer; `None` is one that never comes. `now` is the service's clock.
pub(super) fn render(answer: &Answer, now: Timestamp) -> Option<Result<Response<Full<Bytes>>, Dropped>> {
    let body = wire::body(answer);
    let Some(how) = answer.broken else { return Some(Ok(response(200, JSON, body, now))) };
    Some(match how {
        Break::Hang => return None,
        Break::ResetBeforeReading | Break::ResetAfterReading => Err(Dropped::Reset),
        Break::NoConnection | Break::Fin => Err(Dropped::Closed),
        Break::Http(status) => Ok(response(status, HTML, page(status), now)),
        Break::Html => Ok(response(200, HTML, page(200), now)),
        Break::Truncated => {
            // half a JSON text is ASCII up to here or not: cut where a character ends
            let half = (0..=body.len() / 2).rev().find(|at| body.is_char_boundary(*at)).unwrap_or_default();
            Ok(response(200, JSON, body[..half].to_owned(), now))
        }
        Break::Empty => Ok(response(200, JSON, String::new(), now)),
        Break::WrongContentType => {
            // both happen; the seeded id of the request decides
            let plain = answer.request_id.bytes().next().is_some_and(|byte| byte % 2 == 0);
            Ok(response(200, if plain { PLAIN } else { HTML }, body, now))
        }
    })
}

/// A whole response, with the `Date` of the service's clock.
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
