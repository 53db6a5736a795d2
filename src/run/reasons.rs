//! Builds the reasons that users read: cause and remedy of a service error, from its catalogue, and of the tool's own codes.

use crate::cloud::catalogue::{self, ErrorClass};
use crate::cloud::{CallError, ConnectionProblem, Refusal};
use crate::job::{Origin, Reason};
use crate::ledger::{LastError, RecordedReason};

/// A code of this tool with its cause and its remedy.
type ToolCode = (&'static str, &'static str, &'static str);

pub(super) const ENGINE_UNCLEAR: &str = "engine-unclear";
pub(super) const ENGINE_INITIALISING: &str = "engine-initialising";
/// The code of a row whose engine does not exist.
pub const ENGINE_NOT_FOUND: &str = "engine-not-found";
pub(super) const WRONG_NAME: &str = "wrong-name";
pub(super) const ENGINE_NOT_SWITCHABLE: &str = "engine-not-switchable";
pub(super) const ENGINE_FAILED: &str = "engine-failed";
pub(super) const UNEXPECTED_IMAGE: &str = "unexpected-image";
pub(super) const MOVED_BY_ANOTHER_CLIENT: &str = "moved-by-another-client";
pub(super) const NO_RESPONSE: &str = "no-response";
pub(super) const NOT_APPLIED: &str = "not-applied";
pub(super) const NOT_SENT: &str = "not-sent";
pub(super) const NO_CREDENTIALS: &str = "no-credentials";
pub(super) const TARGET_NOT_REACHED: &str = "target-not-reached";
pub(super) const NOT_VERIFIED: &str = "not-verified";
pub(super) const VERIFY_OFF: &str = "verify-off";
pub(super) const VERIFY_DENIED: &str = "verify-denied";
pub(super) const HELD_BACK: &str = "held-back";
pub(super) const RUN_ENDED: &str = "run-ended";
pub(super) const SOAK_FAILED: &str = "soak-failed";
pub(super) const IMAGE_NOT_LISTED: &str = "image-not-listed";
pub(super) const EARLIER_REQUEST_OPEN: &str = "earlier-request-open";

const TOOL_CODES: &[ToolCode] = &[
    (
        ENGINE_UNCLEAR,
        "the responses of the service about the engine are incomplete or contradictory",
        "run the same command again; if this repeats, check the engine in the console",
    ),
    (
        ENGINE_INITIALISING,
        "the engine is initialising, possibly because of another switch",
        "run the same command again once the engine is running",
    ),
    (
        ENGINE_NOT_FOUND,
        "the engine does not exist in this region",
        "check data_engine_id, data_engine_name and region in the plan, and the account of the credentials",
    ),
    (
        WRONG_NAME,
        "data_engine_id and data_engine_name in the plan do not belong to the same engine",
        "correct data_engine_id or data_engine_name in the plan",
    ),
    (
        ENGINE_NOT_SWITCHABLE,
        "the engine is in a state in which it cannot be switched",
        "bring the engine back to running, or remove it from the plan",
    ),
    (
        ENGINE_FAILED,
        "the engine failed after the switch was sent",
        "check the engine in the console, and open a support ticket with the RequestId; to send again, set \
         expected_image_version_id to the current image version of the engine, or pass --retry-moved",
    ),
    (
        UNEXPECTED_IMAGE,
        "the engine is not on the image version that the plan expects",
        "find out which client changed the engine, then correct expected_image_version_id or remove the row from the plan",
    ),
    (
        MOVED_BY_ANOTHER_CLIENT,
        "another client moved the engine to an image version that is neither the old one nor the target",
        "find out which client switches this engine; to send again, set expected_image_version_id to the current image \
         version of the engine, or pass --retry-moved",
    ),
    (
        NO_RESPONSE,
        "there is no readable response to the request, so it may or may not have been applied",
        "run the same command again: it verifies the engine before it sends anything",
    ),
    (
        NOT_APPLIED,
        "no attempt got a readable response, and verification shows that none was applied",
        "check the network between this machine and the endpoint, then run the same command again",
    ),
    (
        NOT_SENT,
        "the request never left this machine",
        "check the endpoint, DNS, proxy and firewall, then run the same command again",
    ),
    (
        NO_CREDENTIALS,
        "no valid credentials are left to sign the request, so it was not sent",
        "renew the credentials, then run the same command again",
    ),
    (
        TARGET_NOT_REACHED,
        "the service accepted the request, but the engine was not seen running on its target in time",
        "check the engine in the console; run the same command again: it continues to wait, and sends again only if the \
         engine stays on its old image, running, for the whole --resend-after time",
    ),
    (
        NOT_VERIFIED,
        "the engine could not be verified in time",
        "run the same command again: it verifies the engine before it sends anything",
    ),
    (
        VERIFY_DENIED,
        "the request may or may not have been applied, and the credentials have no permission to read the engine",
        "grant dlc:DescribeDataEngines (dlc:DescribeDataEngine where engines are read by name) and run the same command \
         again, or check the engine in the console",
    ),
    (
        VERIFY_OFF,
        "the request may or may not have been applied, and --no-verify turns off verification",
        "check the engine in the console, or run the same command again without --no-verify",
    ),
    (
        HELD_BACK,
        "the request for another engine was refused for a cause that also applies to this engine",
        "fix that cause, then run the same command again",
    ),
    (
        SOAK_FAILED,
        "an earlier wave did not pass its soak check, so the wave of this engine was not started",
        "fix the engines of that wave, or remove them from the plan, then run the same command again",
    ),
    (
        IMAGE_NOT_LISTED,
        "the target is not listed as an image version for engines of this type",
        "check new_image_version_id in the plan; to skip this check, pass --allow-unlisted-images",
    ),
    (
        EARLIER_REQUEST_OPEN,
        "an earlier run sent a request for another image version, and the ledger does not show how it ended",
        "restore the earlier target of this row and run the plan until the row has ended; then change the target",
    ),
    (RUN_ENDED, "the run ended before this engine was finished", "run the same command again: it resumes"),
];

/// A reason with a code of this tool. `message` gives the details of this case.
pub(super) fn found(code: &'static str, message: impl Into<String>) -> Reason {
    let message = message.into();
    described(code, (!message.is_empty()).then_some(message), None)
}

/// The reason for a refusal of the service, with cause and remedy from the catalogue.
pub(super) fn refused(refusal: &Refusal) -> Reason {
    described(&refusal.code, Some(refusal.message.clone()), refusal.request_id.clone())
}

/// The reason for the last error in the ledger.
pub fn recorded_error(error: &LastError) -> Reason {
    described(error.code.as_deref().unwrap_or(NO_RESPONSE), error.message.clone(), error.request_id.clone())
}

/// The reason for the error of a read.
pub fn reading_failed(fault: &CallError) -> Reason {
    match fault {
        CallError::Refused(refusal) | CallError::SignatureExpired(refusal) => refused(refusal),
        CallError::NotSent { cause } => found(NOT_SENT, cause.clone()),
        CallError::NoCredentials { cause } => found(NO_CREDENTIALS, cause.clone()),
        CallError::Connection { problem, cause } => connection_failed(*problem, cause),
        CallError::NoResponse { cause, .. } => found(NOT_VERIFIED, cause.clone()),
    }
}

/// Why an unconfirmed request was not verified in time; `unread` is why the latest read failed, if it did.
pub(super) fn not_verified(waited: &str, unread: Option<&Reason>) -> Reason {
    let Some(unread) = unread else { return found(NOT_VERIFIED, waited) };
    let denied = catalogue::look_up(&unread.code).class == ErrorClass::Denied;
    let detail = unread.message.as_ref().unwrap_or(&unread.cause);
    let message = format!("{waited}; the latest read failed: {}: {detail}", unread.code);
    found(if denied { VERIFY_DENIED } else { NOT_VERIFIED }, message)
}

/// The reason for a connection that cannot be established.
pub(super) fn connection_failed(by: ConnectionProblem, cause: &str) -> Reason {
    found(by.code(), cause)
}

/// The reason in the form in which the ledger records it.
pub(super) fn recorded(reason: &Reason, latency_ms: Option<u64>) -> RecordedReason {
    RecordedReason {
        code: reason.code.clone(),
        message: reason.message.clone(),
        request_id: reason.request_id.clone(),
        latency_ms,
        needs_release: reason.needs_release,
    }
}

fn described(code: &str, message: Option<String>, request_id: Option<String>) -> Reason {
    let ours = TOOL_CODES.iter().find(|(ours, _, _)| *ours == code);
    let problem = ConnectionProblem::ALL.into_iter().find(|problem| problem.code() == code);
    let (origin, cause, remedy) = match (ours, problem) {
        (Some((_, cause, remedy)), _) => (Origin::Tool, *cause, *remedy),
        (None, Some(problem)) => (Origin::Tool, problem.cause(), problem.remedy()),
        (None, None) => {
            let entry = catalogue::look_up(code);
            (Origin::Service, entry.cause, entry.remedy)
        }
    };
    Reason {
        origin,
        code: code.to_owned(),
        cause: cause.to_owned(),
        remedy: remedy.to_owned(),
        message,
        needs_release: [MOVED_BY_ANOTHER_CLIENT, ENGINE_FAILED].contains(&code),
        request_id,
    }
}
