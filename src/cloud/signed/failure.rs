//! What a failed exchange says about the service's state, and the words for it.

use std::error::Error;

use super::Credentials;
use crate::cloud::Fault;

/// Characters of a body that are worth showing.
const LONGEST_EXCERPT: usize = 120;

/// How rustls words that a peer could not prove who it is (rustls, `error.rs`).
const DISTRUST: [&str; 2] = ["invalid peer certificate", "peer sent no certificates"];

/// The fault behind an error that came before any answer. Only what failed while connecting, name resolution and
/// the TLS handshake included, is sure not to have been sent.
pub(super) fn without_answer(error: reqwest::Error) -> Fault {
    let (connecting, building) = (error.is_connect(), error.is_builder());
    let cause = chain(&error.without_url());
    if connecting {
        while_connecting(cause)
    } else if building {
        Fault::NotSent { cause }
    } else {
        Fault::NoAnswer { cause, http_status: None }
    }
}

fn while_connecting(cause: String) -> Fault {
    if DISTRUST.iter().any(|words| cause.contains(words)) {
        Fault::Untrusted { cause }
    } else {
        Fault::NotSent { cause }
    }
}

/// An error and everything behind it, joined by colons; what only repeats the one before is left out.
pub(super) fn chain(error: &dyn Error) -> String {
    let mut texts = vec![error.to_string()];
    let mut next = error.source();
    while let Some(source) = next {
        texts.push(source.to_string());
        next = source.source();
    }
    texts.dedup();
    texts.join(": ")
}

/// The beginning of a body on one line, without any key that a proxy may have echoed. Keys are looked for in the whole
/// of it, since one that is cut would not be known again.
pub(super) fn excerpt(body: &[u8], credentials: Option<&Credentials>) -> String {
    let whole = String::from_utf8_lossy(body);
    let text = credentials.map_or_else(|| whole.to_string(), |credentials| credentials.redact(&whole));
    let mut shown = String::new();
    for (position, character) in text.chars().enumerate() {
        if position == LONGEST_EXCERPT {
            shown.push('…');
            break;
        }
        if character.is_control() {
            shown.extend(character.escape_default());
        } else {
            shown.push(character);
        }
    }
    shown
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
    fn a_certificate_that_is_not_accepted_means_untrusted() {
        let source = io::Error::other("invalid peer certificate: UnknownIssuer");
        let cause = chain(&Layer { text: "client error (Connect)", source });
        assert_eq!(cause, "client error (Connect): invalid peer certificate: UnknownIssuer");
        assert_eq!(while_connecting(cause.clone()), Fault::Untrusted { cause });
    }

    #[test]
    fn a_layer_that_only_repeats_its_cause_is_told_once() {
        let source = io::Error::other("connection reset");
        assert_eq!(chain(&Layer { text: "connection reset", source }), "connection reset");
    }

    #[test]
    fn any_other_trouble_while_connecting_means_not_sent() {
        let cause = "tcp connect error: Connection refused".to_owned();
        assert_eq!(while_connecting(cause.clone()), Fault::NotSent { cause });
    }

    #[test]
    fn an_excerpt_is_short_and_on_one_line() {
        let body = format!("<html>\r\n\u{1b}[31m{}", "ä".repeat(500));
        let shown = excerpt(body.as_bytes(), Some(&credentials()));
        assert!(shown.starts_with(r"<html>\r\n\u{1b}[31mää"), "{shown}");
        assert!(shown.ends_with('…'));
        assert_eq!(shown.chars().filter(|character| *character == 'ä').count(), 120 - 13);
    }

    #[test]
    fn an_excerpt_never_shows_an_echoed_key_not_even_its_beginning() {
        let body = format!("X-TC-Token: {} and SECRET-1", "T".repeat(4096));
        assert_eq!(excerpt(body.as_bytes(), Some(&credentials())), "X-TC-Token: [redacted] and [redacted]");
        let often = format!("{} ", "T".repeat(4096)).repeat(5);
        assert_eq!(excerpt(often.as_bytes(), Some(&credentials())), "[redacted] ".repeat(5));
    }
}
