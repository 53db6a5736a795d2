//! Reasons in words: the service's refusals through its catalogue, and the ends that we find ourselves.

use crate::cloud::catalogue::{self, ErrorClass};
use crate::cloud::{CallError, ConnectionProblem, Refusal};
use crate::job::{Origin, Reason};
use crate::ledger::{LastError, RecordedReason};

/// An end of our own finding: code, cause, remedy.
type Finding = (&'static str, &'static str, &'static str);

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

const FINDINGS: &[Finding] = &[
    (
        ENGINE_UNCLEAR,
        "the responses of the service do not show the engine clearly",
        "run the same command again; if this repeats, look at the engine in the console",
    ),
    (
        ENGINE_INITIALISING,
        "the engine is initialising, perhaps because of another switch",
        "run the same command again once the engine is running",
    ),
    (
        ENGINE_NOT_FOUND,
        "the service shows no such engine in this region",
        "check data_engine_id, data_engine_name and region in the plan, and that the account is the right one",
    ),
    (
        WRONG_NAME,
        "name and id in the plan are not those of one engine",
        "find out which of the two is meant, and correct data_engine_id or data_engine_name",
    ),
    (
        ENGINE_NOT_SWITCHABLE,
        "the engine is in a state that cannot be switched",
        "bring it back to running, or take it out of the plan",
    ),
    (
        ENGINE_FAILED,
        "the engine failed after the switch was sent",
        "look at it in the console, and open a ticket with the RequestId; the row stays failed until \
         expected_image_version_id names the image version that the engine has now, or --retry-moved is passed",
    ),
    (
        UNEXPECTED_IMAGE,
        "the engine is not on the image version that the plan expects",
        "find out who moved it, then correct expected_image_version_id or take it out of the plan",
    ),
    (
        MOVED_BY_ANOTHER_CLIENT,
        "the engine went to an image version that is neither the old one nor the target",
        "find out who else switches this engine; the row stays failed until expected_image_version_id names the image \
         version that the engine has now, or --retry-moved is passed",
    ),
    (
        NO_RESPONSE,
        "the request brought no answer that can be read, so it may or may not have been applied",
        "run the same command again: it reads the engine back before anything is sent",
    ),
    (
        NOT_APPLIED,
        "no attempt was answered clearly, and read-back shows that none was applied",
        "check the network between here and the endpoint, then run the same command again",
    ),
    (
        NOT_SENT,
        "the request never left this machine",
        "check the endpoint, DNS, proxy and firewall, then run the same command again",
    ),
    (
        NO_CREDENTIALS,
        "there are no good keys to sign with any more, so nothing was sent",
        "renew the keys, then run the same command again",
    ),
    (
        TARGET_NOT_REACHED,
        "the service took the request, but the engine was not seen running on its target in time",
        "look at it in the console; run the same command again: it goes on watching, and sends again only if the engine \
         stays on its old image, running, for the grace time",
    ),
    (
        NOT_VERIFIED,
        "the engine could not be read back in time",
        "run the same command again: it reads the engine back before anything is sent",
    ),
    (
        VERIFY_DENIED,
        "the request may or may not have been applied, and these keys may not look",
        "grant dlc:DescribeDataEngines (dlc:DescribeDataEngine where engines are named) and run the same command again, \
         or look at the engine in the console",
    ),
    (
        VERIFY_OFF,
        "the request may or may not have been applied, and --no-verify forbids to look",
        "look at the engine in the console, or run the same command again without --no-verify",
    ),
    (
        HELD_BACK,
        "another engine was refused for a cause that concerns this one too",
        "mend that cause, then run the same command again",
    ),
    (
        SOAK_FAILED,
        "an earlier wave did not come through its soak, so this engine's wave did not open",
        "see to the engines of that wave, or take them out of the plan, then run the same command again",
    ),
    (
        IMAGE_NOT_LISTED,
        "the target is not known as an image version for engines of this type",
        "check new_image_version_id in the plan; to go on without this check, pass --allow-unlisted-images",
    ),
    (
        EARLIER_REQUEST_OPEN,
        "an earlier run sent this engine to another image version, and how that ended is not on record",
        "put the row back as it was and run it to its end; then change the target",
    ),
    (RUN_ENDED, "the run ended before this engine's turn was over", "run the same command again: it resumes"),
];

/// A reason of our own finding. `message` says what was seen in this case.
pub(super) fn found(code: &'static str, message: impl Into<String>) -> Reason {
    let message = message.into();
    described(code, (!message.is_empty()).then_some(message), None)
}

/// The service's refusal, with what the catalogue knows of its code.
pub(super) fn refused(refusal: &Refusal) -> Reason {
    described(&refusal.code, Some(refusal.message.clone()), refusal.request_id.clone())
}

/// The reason for the last error on record.
pub fn recorded_error(error: &LastError) -> Reason {
    described(error.code.as_deref().unwrap_or(NO_RESPONSE), error.message.clone(), error.request_id.clone())
}

/// Any fault of a call that reads.
pub fn reading_failed(fault: &CallError) -> Reason {
    match fault {
        CallError::Refused(refusal) | CallError::SignatureExpired(refusal) => refused(refusal),
        CallError::NotSent { cause } => found(NOT_SENT, cause.clone()),
        CallError::NoCredentials { cause } => found(NO_CREDENTIALS, cause.clone()),
        CallError::Connection { problem, cause } => connection_failed(*problem, cause),
        CallError::NoResponse { cause, .. } => found(NOT_VERIFIED, cause.clone()),
    }
}

/// Why a doubt was not settled in time; `unread` is why the latest look showed nothing, where it did not.
pub(super) fn not_read_back(waited: &str, unread: Option<&Reason>) -> Reason {
    let Some(unread) = unread else { return found(NOT_VERIFIED, waited) };
    let denied = catalogue::look_up(&unread.code).class == ErrorClass::Denied;
    let said = unread.message.as_ref().unwrap_or(&unread.cause);
    let message = format!("{waited}; the latest look failed: {}: {said}", unread.code);
    found(if denied { VERIFY_DENIED } else { NOT_VERIFIED }, message)
}

/// What bars the way.
pub(super) fn connection_failed(by: ConnectionProblem, cause: &str) -> Reason {
    found(by.code(), cause)
}

/// How a reason stands in the ledger.
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
    let ours = FINDINGS.iter().find(|(ours, _, _)| *ours == code);
    let barrier = ConnectionProblem::ALL.into_iter().find(|barrier| barrier.code() == code);
    let (origin, cause, remedy) = match (ours, barrier) {
        (Some((_, cause, remedy)), _) => (Origin::Tool, *cause, *remedy),
        (None, Some(barrier)) => (Origin::Tool, barrier.cause(), barrier.remedy()),
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
