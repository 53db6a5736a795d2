//! Why a call to the service failed, and what that says about the request.

use super::connection::ConnectionProblem;

/// The service's `Error`, with the `RequestId` for a support ticket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// `Error.Code`
    pub code: String,
    /// `Error.Message`. The service may change the wording, so no decision depends on it.
    pub message: String,
    /// `RequestId`
    pub request_id: Option<String>,
}

/// Why a call brought no result. The variants differ in what they say about the request.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// The service read the request and refused it.
    #[error("{}: {}", .0.code, .0.message)]
    Refused(Refusal),
    /// The service refused the time or the token of the signature before it read the request. The next signature uses a
    /// corrected time or renewed keys.
    #[error("{}: {}", .0.code, .0.message)]
    SignatureExpired(Refusal),
    /// There are no keys to sign the request with, so it was not sent.
    #[error("no API keys: {cause}")]
    NoCredentials {
        /// The error of the source of the keys.
        cause: String,
    },
    /// The request did not leave this machine: connection refused, unknown host. It is safe to send it again.
    #[error("the request was not sent: {cause}")]
    NotSent {
        /// The error of the network.
        cause: String,
    },
    /// No connection can be made until a person removes the problem, so the request was not sent.
    #[error("the request was not sent: {cause}")]
    Connection {
        /// What prevents the connection.
        problem: ConnectionProblem,
        /// The error of the network.
        cause: String,
    },
    /// The request may have been applied: there is no response, or none that can be read.
    #[error("no readable response: {cause}")]
    NoResponse {
        /// The error of the network or of the parser.
        cause: String,
        /// HTTP status, if a response arrived.
        http_status: Option<u16>,
    },
}
