//! What all JSON documents have in common: layout, times, and the fields of reasons and failed soaks.
//!
//! Within a schema version fields are only added. A field without a value is `null`, never absent.

use std::time::Duration;

use serde::Serialize;

use crate::event::SoakFailure;
use crate::job::Reason;

/// A document as text, with a final line break.
pub fn to_json(document: &impl Serialize) -> String {
    // only maps with keys that are no strings can fail, and the documents have none; if that changes, the reader gets
    // the error in place of the document
    let text = serde_json::to_string_pretty(document);
    text.unwrap_or_else(|error| serde_json::Value::from(error.to_string()).to_string()) + "\n"
}

/// A time in milliseconds.
pub fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// Why a job ended as it did.
#[derive(Serialize)]
pub struct ReasonFields<'a> {
    code: &'a str,
    cause: &'a str,
    remedy: &'a str,
    message: Option<&'a str>,
    request_id: Option<&'a str>,
}

impl<'a> From<&'a Reason> for ReasonFields<'a> {
    fn from(reason: &'a Reason) -> Self {
        Self {
            code: &reason.code,
            cause: &reason.cause,
            remedy: &reason.remedy,
            message: reason.message.as_deref(),
            request_id: reason.request_id.as_deref(),
        }
    }
}

/// A wave that failed its soak.
#[derive(Serialize)]
pub struct SoakFailureFields<'a> {
    wave: &'a str,
    /// How many of its engines have drifted or could not be verified.
    engines: usize,
    /// One of them.
    first: &'a str,
    /// Where that one is.
    seen: &'a str,
}

impl<'a> From<&'a SoakFailure> for SoakFailureFields<'a> {
    fn from(failure: &'a SoakFailure) -> Self {
        Self {
            wave: &failure.wave,
            engines: failure.engines,
            first: failure.first.as_str(),
            seen: &failure.seen,
        }
    }
}
