//! The keys that sign requests: held so that they cannot be printed, and wiped from memory when dropped.

mod chain;
pub mod environment;
mod file;
#[cfg(test)]
mod fixtures;
mod instance;
mod keyring;
mod role;
mod sdk_file;
pub mod tccli;
mod tke;
mod value;

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};

use zeroize::Zeroizing;

pub use chain::{Environment, Found, WantedRole, find};
pub use keyring::{Fetching, Keyring, Source};
pub use role::AssumedRole;
pub(super) use value::could_be_a_key;

/// What stands in place of a secret wherever one would otherwise show.
pub(super) const REDACTED: &str = "[redacted]";

/// One set of API keys. There is no `Display`, and `Debug` shows no part of them.
pub struct Credentials {
    secret_id: String,
    secret_key: Zeroizing<String>,
    token: Option<Zeroizing<String>>,
    expires: Option<i64>,
    /// What the site was sent before these keys, and may repeat.
    sent_before: Vec<Zeroizing<String>>,
    /// Set once the service refused them.
    refused: AtomicBool,
}

impl Credentials {
    /// Takes the keys as they stand, unchecked; `token` belongs to temporary keys only.
    pub fn new(secret_id: String, secret_key: Zeroizing<String>, token: Option<Zeroizing<String>>) -> Self {
        Self {
            secret_id,
            secret_key,
            token,
            expires: None,
            sent_before: Vec::new(),
            refused: AtomicBool::new(false),
        }
    }

    /// The same keys, good until a moment in Unix seconds.
    #[must_use]
    pub fn until(mut self, expires: i64) -> Self {
        self.expires = Some(expires);
        self
    }

    /// The same keys, to which these secrets led.
    #[must_use]
    fn after(mut self, secrets: impl IntoIterator<Item = Zeroizing<String>>) -> Self {
        self.sent_before.extend(secrets);
        self
    }

    /// What travels with a request that they sign.
    fn sent(&self) -> impl Iterator<Item = Zeroizing<String>> {
        [Some(Zeroizing::new(self.secret_id.clone())), self.token.clone()].into_iter().flatten()
    }

    /// Until when they are good, in Unix seconds; none where nobody said.
    pub fn expires(&self) -> Option<i64> {
        self.expires
    }

    /// Notes that the service refused them.
    fn refuse(&self) {
        self.refused.store(true, Ordering::Release);
    }

    fn is_refused(&self) -> bool {
        self.refused.load(Ordering::Acquire)
    }

    /// The public half: says which key signs.
    pub fn secret_id(&self) -> &str {
        &self.secret_id
    }

    /// The half that signs. Give it to the signature and to nothing else.
    pub fn secret_key(&self) -> &str {
        &self.secret_key
    }

    /// What travels as `X-TC-Token` with temporary keys.
    pub fn token(&self) -> Option<&str> {
        self.token.as_ref().map(|token| token.as_str())
    }

    /// The text with every key in it blotted out: a proxy's error page may repeat what was sent to it.
    pub fn redact(&self, text: &str) -> String {
        let before = self.sent_before.iter().map(|secret| secret.as_str());
        [Some(self.secret_key()), self.token(), Some(self.secret_id())]
            .into_iter()
            .flatten()
            .chain(before)
            .filter(|secret| !secret.is_empty())
            .fold(text.to_owned(), |text, secret| text.replace(secret, REDACTED))
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Credentials")
            .field("secret_id", &REDACTED)
            .field("secret_key", &REDACTED)
            .field("token", &self.token.as_ref().map(|_| REDACTED))
            .field("expires", &self.expires)
            .field("sent_before", &self.sent_before.len())
            .field("refused", &self.refused)
            .finish()
    }
}

/// Why there are no credentials. Names variables and files, never values.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CredentialsError {
    /// No source has keys.
    #[error(
        "there are no API keys; looked at {}: log in with `tccli auth login`, keep keys with `tccli configure`, or \
         set {} and {}",
        looked_at.join(", "),
        environment::SECRET_ID,
        environment::SECRET_KEY
    )]
    Absent {
        /// Every place that was looked at, with what is missing there.
        looked_at: Vec<String>,
    },
    /// Only one half of a key is there.
    #[error("{present} is set but {missing} is not: set {missing} too")]
    Incomplete {
        /// The variable that is set.
        present: &'static str,
        /// The variable that is unset or empty.
        missing: &'static str,
    },
    /// The value begins or ends with white space, as happens when it is pasted.
    #[error("the value of {place} begins or ends with white space: set it again without")]
    SurroundingSpace {
        /// The variable at fault, or the key with its file.
        place: String,
    },
    /// The value holds something that no key holds.
    #[error("the value of {place} holds a space or a character outside visible ASCII: copy the key again")]
    StrangeCharacter {
        /// The variable at fault, or the key with its file.
        place: String,
    },
    /// Two variables that mean the same say different things.
    #[error(
        "{} and {} hold different tokens: unset one of them",
        environment::TOKEN,
        environment::SECURITY_TOKEN
    )]
    TwoTokens,
    /// There are new keys, and they belong to another account than the one that was made sure of.
    #[error("{what}")]
    AnotherAccount {
        /// Whose keys they are, and what to do next.
        what: String,
    },
    /// Another source could not give its keys.
    #[error("{what}")]
    Source {
        /// What happened, where, and what to do next.
        what: String,
        /// True for what may pass by itself, such as a network that does not answer.
        may_pass: bool,
    },
}

impl CredentialsError {
    /// True for what may pass by itself.
    pub fn may_pass(&self) -> bool {
        matches!(self, Self::Source { may_pass: true, .. })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn credentials() -> Credentials {
        let token = Some(Zeroizing::new("TOKEN-1".to_owned()));
        Credentials::new("AKID-1".to_owned(), Zeroizing::new("SECRET-1".to_owned()), token)
    }

    #[test]
    fn debug_shows_no_part_of_the_keys() {
        let shown = format!("{:?} {:#?}", credentials(), credentials());
        for secret in ["AKID-1", "SECRET-1", "TOKEN-1"] {
            assert!(!shown.contains(secret), "{shown}");
        }
        assert!(shown.contains(REDACTED));
    }

    #[test]
    fn every_key_in_a_text_is_blotted_out() {
        let text = "id=AKID-1, key=SECRET-1, token=TOKEN-1, again TOKEN-1";
        assert_eq!(
            credentials().redact(text),
            "id=[redacted], key=[redacted], token=[redacted], again [redacted]"
        );
    }

    #[test]
    fn what_led_to_the_keys_is_blotted_out_as_well() {
        let base = credentials();
        let session = Credentials::new("AKID-2".to_owned(), Zeroizing::new("SECRET-2".to_owned()), None);
        let session = session.after(base.sent());
        assert_eq!(session.redact("AKID-1 TOKEN-1 AKID-2"), "[redacted] [redacted] [redacted]");
    }

    #[test]
    fn an_empty_key_blots_out_nothing() {
        let empty = Credentials::new(String::new(), Zeroizing::new(String::new()), None);
        assert_eq!(empty.redact("plain text"), "plain text");
    }
}
