//! Refusals of the simulated service: the documented codes, with a message for people.

use crate::cloud::Refusal;

/// Code of a request above the rate limit.
pub(super) const RATE_LIMIT_EXCEEDED: &str = "RequestLimitExceeded";

/// A refusal that has no `RequestId` yet.
pub(super) fn refuse(code: &str, message: impl Into<String>) -> Refusal {
    Refusal { code: code.to_owned(), message: message.into(), request_id: None }
}

/// A required parameter or header is absent.
pub(super) fn missing(name: &str) -> Refusal {
    refuse("MissingParameter", format!("the parameter {name} is missing"))
}

/// The value of a parameter is outside its documented range.
pub(super) fn invalid(parameter: &str, value: &str) -> Refusal {
    refuse("InvalidParameterValue", format!("the value {value:?} of {parameter} is not allowed"))
}

/// The service documents this, but the simulator does not offer it.
pub(super) fn unsupported(what: &str) -> Refusal {
    refuse("UnsupportedOperation", format!("the simulator does not support {what}"))
}

/// The simulated service does not have this action.
pub(super) fn unsupported_action(action: &str) -> Refusal {
    refuse("InvalidAction", format!("the simulator does not support the action {action}"))
}
