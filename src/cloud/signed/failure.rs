//! What a failed exchange says about the service's state, and the words for it.

use std::error::Error;

use super::Credentials;
use crate::cloud::{CallError, ConnectionProblem};
use crate::format::{cut, printable};

/// Characters of a body that are worth showing.
const LONGEST_EXCERPT: usize = 120;

/// How the libraries word what will not pass by itself; the first that fits decides (rustls, `error.rs`; hyper-util,
/// `tunnel.rs`).
const BARRIERS: [(&str, ConnectionProblem); 10] = [
    ("invalid peer certificate: UnknownIssuer", ConnectionProblem::UnknownIssuer),
    ("invalid peer certificate: certificate expired", ConnectionProblem::OutOfDate),
    ("invalid peer certificate: certificate not valid yet", ConnectionProblem::OutOfDate),
    ("invalid peer certificate: certificate not valid for name", ConnectionProblem::OtherHost),
    ("invalid peer certificate", ConnectionProblem::Certificate),
    ("peer sent no certificates", ConnectionProblem::Certificate),
    ("received corrupt message", ConnectionProblem::NoTls),
    ("received fatal alert: ProtocolVersion", ConnectionProblem::NoTls),
    ("peer is incompatible", ConnectionProblem::NoTls),
    ("tunnel error: proxy authorization required", ConnectionProblem::ProxyCredentials),
];

/// What the libraries' words for a connection that did not come about mean.
const MEANINGS: [(&str, &str); 6] = [
    ("Too many open files", "there are too few file descriptors, raise the limit with `ulimit -n 1024`"),
    ("tunnel error: unsuccessful", "the proxy refused to lead to the endpoint"),
    ("tunnel error: unexpected end of file", "the proxy hung up"),
    ("tunnel error: failed to create underlying connection", "the proxy could not be reached"),
    ("tls handshake eof", "the peer hung up during the TLS handshake"),
    ("operation timed out", "there was no connection in time, TLS handshake included"),
];

/// The fault behind an error that came before any answer. Only what failed while connecting, name resolution and
/// the TLS handshake included, is sure not to have been sent.
pub(super) fn without_answer(error: reqwest::Error) -> CallError {
    let (connecting, building) = (error.is_connect(), error.is_builder());
    let cause = chain(&error.without_url());
    if connecting {
        while_connecting(cause)
    } else if building {
        CallError::NotSent { cause }
    } else {
        CallError::NoResponse { cause, http_status: None }
    }
}

fn while_connecting(cause: String) -> CallError {
    if let Some((_, by)) = BARRIERS.iter().find(|(words, _)| cause.contains(words)) {
        return CallError::Connection { by: *by, cause };
    }
    let meaning = MEANINGS.iter().find(|(words, _)| cause.contains(words));
    CallError::NotSent { cause: meaning.map_or(cause.clone(), |(_, meaning)| format!("{meaning}: {cause}")) }
}

/// An error and everything behind it, joined by colons; what only repeats the one before is left out.
pub(super) fn chain(error: &dyn Error) -> String {
    let mut texts = Vec::new();
    let mut next = Some(error);
    while let Some(error) = next {
        let text = error.to_string();
        // a link to the library's manual helps nobody who reads a log
        texts.push(printable(text.split(": https://docs.rs/").next().unwrap_or_default()));
        next = error.source();
    }
    texts.dedup();
    texts.join(": ")
}

/// The beginning of a body on one line, without any key that a proxy may have echoed. Keys are looked for in the whole
/// of it, since one that is cut would not be known again.
pub(super) fn excerpt(body: &[u8], credentials: Option<&Credentials>) -> String {
    let whole = String::from_utf8_lossy(body);
    let text = credentials.map_or_else(|| whole.to_string(), |credentials| credentials.redact(&whole));
    printable(&cut(&text, LONGEST_EXCERPT))
}

#[cfg(test)]
mod tests {
    use std::io;

    use zeroize::Zeroizing;

    use super::*;

    /// An error with a cause, as libraries stack them.
    #[derive(Debug, thiserror::Error)]
    #[error("{text}")]
    struct Layer {
        text: &'static str,
        source: io::Error,
    }

    fn credentials() -> Credentials {
        let token = Some(Zeroizing::new("T".repeat(4096)));
        Credentials::new("AKID-1".to_owned(), Zeroizing::new("SECRET-1".to_owned()), token)
    }

    #[test]
    fn a_certificate_that_is_not_accepted_bars_the_way() {
        for (words, by) in [
            ("UnknownIssuer", ConnectionProblem::UnknownIssuer),
            ("BadSignature", ConnectionProblem::Certificate),
        ] {
            let source = io::Error::other(format!("invalid peer certificate: {words}"));
            let cause = chain(&Layer { text: "client error (Connect)", source });
            assert_eq!(cause, format!("client error (Connect): invalid peer certificate: {words}"));
            assert_eq!(while_connecting(cause.clone()), CallError::Connection { by, cause });
        }
    }

    #[test]
    fn a_link_to_a_librarys_manual_is_left_out() {
        let source = io::Error::other("peer closed connection: https://docs.rs/rustls/manual");
        assert_eq!(
            chain(&Layer { text: "connection error", source }),
            "connection error: peer closed connection"
        );
    }

    #[test]
    fn a_layer_that_only_repeats_its_cause_is_told_once() {
        let source = io::Error::other("connection reset");
        assert_eq!(chain(&Layer { text: "connection reset", source }), "connection reset");
    }

    #[test]
    fn any_other_trouble_while_connecting_means_not_sent() {
        let cause = "tcp connect error: Connection refused".to_owned();
        assert_eq!(while_connecting(cause.clone()), CallError::NotSent { cause });
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
    fn an_excerpt_never_shows_an_echoed_key_not_even_its_beginning() {
        let body = format!("X-TC-Token: {} and SECRET-1", "T".repeat(4096));
        assert_eq!(excerpt(body.as_bytes(), Some(&credentials())), "X-TC-Token: [redacted] and [redacted]");
        let often = format!("{} ", "T".repeat(4096)).repeat(5);
        assert_eq!(excerpt(often.as_bytes(), Some(&credentials())), "[redacted] ".repeat(5));
    }

    proptest::proptest! {
        #[test]
        fn any_body_gives_a_short_excerpt_on_one_line(body in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..400)) {
            let shown = excerpt(&body, Some(&credentials()));
            // an escape has up to ten letters
            assert!(shown.chars().count() <= 10 * LONGEST_EXCERPT && shown.chars().all(crate::format::is_printable), "{shown}");
        }
    }
}
