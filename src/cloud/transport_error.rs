//! Turns errors of the HTTP library into call errors: was the request sent, and what prevents the connection.

use std::error::Error;
use std::io;

use rustix::io::Errno;
use rustls::{AlertDescription, CertificateError};

use super::connection::ConnectionProblem;
use super::credentials::keys::Credentials;
use super::error::CallError;
use crate::format::{cut, printable};

/// Most characters of a response body in an error.
const MAX_EXCERPT: usize = 120;

/// Messages of hyper-util's `TunnelError` (`client/legacy/connect/proxy/tunnel.rs`), and what they mean. The type is
/// private, so that its messages are all there is to match on.
const TUNNEL_ERRORS: [(&str, &str); 3] = [
    ("tunnel error: unsuccessful", "the proxy refused to connect to the endpoint"),
    ("tunnel error: unexpected end of file", "the proxy closed the connection"),
    ("tunnel error: failed to create underlying connection", "the proxy cannot be reached"),
];

/// The message of the same type for a proxy that responds with 407.
const TUNNEL_NEEDS_CREDENTIALS: &str = "tunnel error: proxy authorization required";

/// The error of a request that brought no response. Only errors while connecting, which includes name resolution and
/// the TLS handshake, prove that the request was not sent.
pub(super) fn without_response(error: reqwest::Error) -> CallError {
    let error = error.without_url();
    if error.is_connect() {
        while_connecting(&error, error.is_timeout())
    } else if error.is_builder() {
        CallError::NotSent { cause: chain(&error) }
    } else {
        CallError::NoResponse { cause: chain(&error), http_status: None }
    }
}

fn while_connecting(error: &(dyn Error + 'static), timed_out: bool) -> CallError {
    let cause = chain(error);
    if let Some(problem) = errors(error).find_map(connection_problem) {
        return CallError::Connection { problem, cause };
    }
    let meaning = errors(error).find_map(meaning);
    let meaning = meaning.or(timed_out.then_some("the connection, TLS handshake included, took too long"));
    CallError::NotSent { cause: meaning.map_or(cause.clone(), |meaning| format!("{meaning}: {cause}")) }
}

fn connection_problem(error: &(dyn Error + 'static)) -> Option<ConnectionProblem> {
    if error.to_string() == TUNNEL_NEEDS_CREDENTIALS {
        return Some(ConnectionProblem::ProxyCredentials);
    }
    match error.downcast_ref::<rustls::Error>()? {
        rustls::Error::InvalidCertificate(invalid) => Some(match invalid {
            CertificateError::UnknownIssuer => ConnectionProblem::UnknownIssuer,
            CertificateError::Expired
            | CertificateError::ExpiredContext { .. }
            | CertificateError::NotValidYet
            | CertificateError::NotValidYetContext { .. } => ConnectionProblem::OutOfDate,
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                ConnectionProblem::OtherHost
            }
            _ => ConnectionProblem::Certificate,
        }),
        rustls::Error::NoCertificatesPresented => Some(ConnectionProblem::Certificate),
        rustls::Error::InvalidMessage(_)
        | rustls::Error::PeerIncompatible(_)
        | rustls::Error::AlertReceived(AlertDescription::ProtocolVersion) => Some(ConnectionProblem::NoTls),
        _ => None,
    }
}

/// What an error while connecting means, where its own message does not say it.
fn meaning(error: &(dyn Error + 'static)) -> Option<&'static str> {
    if let Some(error) = error.downcast_ref::<io::Error>() {
        if error.raw_os_error() == Some(Errno::MFILE.raw_os_error()) {
            return Some("too many open files, raise the limit with `ulimit -n 1024`");
        }
        let closed = error.kind() == io::ErrorKind::UnexpectedEof;
        return closed.then_some("the server closed the connection during the TLS handshake");
    }
    let message = error.to_string();
    TUNNEL_ERRORS.iter().find(|(known, _)| *known == message).map(|(_, meaning)| *meaning)
}

/// An error and every error behind it. `io::Error::source` skips the error that it wraps, which is where TLS errors are.
fn errors<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&error: &&'a (dyn Error + 'static)| {
        match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            Some(wrapped) => Some(wrapped),
            None => error.source(),
        }
    })
}

/// The messages of an error and of every error behind it, joined by colons; repeated messages are left out.
pub(super) fn chain(error: &(dyn Error + 'static)) -> String {
    let mut texts: Vec<String> = errors(error)
        // links to the manual of a library do not help the reader of a log
        .map(|error| printable(error.to_string().split(": https://docs.rs/").next().unwrap_or_default()))
        .collect();
    texts.dedup();
    texts.join(": ")
}

/// The start of a response body on one line, without keys: a proxy may repeat the request. Keys are removed from the
/// whole body first, since a key that is cut off is not recognised.
pub(super) fn excerpt(body: &[u8], credentials: Option<&Credentials>) -> String {
    let whole = String::from_utf8_lossy(body);
    let text = credentials.map_or_else(|| whole.to_string(), |credentials| credentials.redact(&whole));
    printable(&cut(&text, MAX_EXCERPT))
}

#[cfg(test)]
mod tests {
    use zeroize::Zeroizing;

    use super::*;

    /// An error with a cause, as libraries wrap them.
    #[derive(Debug, thiserror::Error)]
    #[error("{text}")]
    struct Layer {
        text: &'static str,
        source: io::Error,
    }

    fn layer(text: &'static str, source: io::Error) -> Layer {
        Layer { text, source }
    }

    fn credentials() -> Credentials {
        let token = Some(Zeroizing::new("T".repeat(4096)));
        Credentials::new("AKID-1".to_owned(), Zeroizing::new("SECRET-1".to_owned()), token)
    }

    #[test]
    fn each_tls_error_has_its_connection_problem() {
        let certificate = rustls::Error::InvalidCertificate;
        for (error, expected) in [
            (certificate(CertificateError::UnknownIssuer), ConnectionProblem::UnknownIssuer),
            (certificate(CertificateError::Expired), ConnectionProblem::OutOfDate),
            (certificate(CertificateError::NotValidYet), ConnectionProblem::OutOfDate),
            (certificate(CertificateError::NotValidForName), ConnectionProblem::OtherHost),
            (certificate(CertificateError::BadSignature), ConnectionProblem::Certificate),
            (rustls::Error::NoCertificatesPresented, ConnectionProblem::Certificate),
            (rustls::Error::AlertReceived(AlertDescription::ProtocolVersion), ConnectionProblem::NoTls),
        ] {
            let text = error.to_string();
            // tokio-rustls and hyper-rustls each wrap it in an io::Error
            let error = layer("client error (Connect)", io::Error::other(io::Error::other(error)));
            let result = while_connecting(&error, false);
            let CallError::Connection { problem, cause } = result else { panic!("{result:?}") };
            assert_eq!((problem, cause), (expected, format!("client error (Connect): {text}")));
        }
    }

    #[test]
    fn links_to_manuals_and_repeated_messages_are_left_out() {
        let linked = io::Error::other("peer closed connection: https://docs.rs/rustls/manual");
        assert_eq!(chain(&layer("connection error", linked)), "connection error: peer closed connection");
        let repeated = io::Error::other("connection reset");
        assert_eq!(chain(&layer("connection reset", repeated)), "connection reset");
    }

    #[test]
    fn every_other_error_while_connecting_means_not_sent_and_says_what_it_means() {
        for (error, timed_out, meaning) in [
            (io::Error::other("connection refused"), false, ""),
            (
                io::Error::from_raw_os_error(Errno::MFILE.raw_os_error()),
                false,
                "too many open files, raise the limit with `ulimit -n 1024`: ",
            ),
            (
                io::ErrorKind::UnexpectedEof.into(),
                false,
                "the server closed the connection during the TLS handshake: ",
            ),
            (
                io::Error::other("tunnel error: unsuccessful"),
                false,
                "the proxy refused to connect to the endpoint: ",
            ),
            (io::Error::other("deadline"), true, "the connection, TLS handshake included, took too long: "),
        ] {
            let error = layer("tcp connect error", error);
            let cause = format!("{meaning}{}", chain(&error));
            assert_eq!(while_connecting(&error, timed_out), CallError::NotSent { cause });
        }
    }

    #[test]
    fn an_excerpt_is_short_and_on_one_line() {
        let body = format!("<html>\r\n\u{1b}[31m{}", "ä".repeat(500));
        let shown = excerpt(body.as_bytes(), Some(&credentials()));
        assert!(shown.starts_with(r"<html>\r\n\u{1b}[31mää"), "{shown}");
        assert!(shown.ends_with('…'));
        assert_eq!(shown.chars().filter(|character| *character == 'ä').count(), 119 - 13);
    }

    #[test]
    fn an_excerpt_never_shows_a_repeated_key_or_the_start_of_one() {
        let body = format!("X-TC-Token: {} and SECRET-1", "T".repeat(4096));
        assert_eq!(excerpt(body.as_bytes(), Some(&credentials())), "X-TC-Token: [redacted] and [redacted]");
        let often = format!("{} ", "T".repeat(4096)).repeat(5);
        assert_eq!(excerpt(often.as_bytes(), Some(&credentials())), "[redacted] ".repeat(5));
    }

    proptest::proptest! {
        #[test]
        fn any_body_gives_a_short_excerpt_on_one_line(body in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..400)) {
            let shown = excerpt(&body, Some(&credentials()));
            // an escape has up to ten characters
            assert!(shown.chars().count() <= 10 * MAX_EXCERPT && shown.chars().all(crate::format::is_printable), "{shown}");
        }
    }
}
