//! API keys: they cannot be printed, and are wiped from memory when dropped.

use std::fmt;

use zeroize::Zeroizing;

use super::error::CredentialsError;

/// Replaces secrets in texts that would otherwise show them.
pub(in crate::cloud) const REDACTED: &str = "[redacted]";

/// One set of API keys. There is no `Display`, and `Debug` shows no part of them.
#[derive(Clone)]
pub struct Credentials {
    secret_id: String,
    secret_key: Zeroizing<String>,
    token: Option<Zeroizing<String>>,
    expires: Option<i64>,
    /// Secrets that were sent to obtain these keys. The service may repeat them.
    earlier_secrets: Vec<Zeroizing<String>>,
}

impl Credentials {
    /// Takes the keys unchecked; `token` belongs to temporary keys only.
    pub fn new(secret_id: String, secret_key: Zeroizing<String>, token: Option<Zeroizing<String>>) -> Self {
        Self { secret_id, secret_key, token, expires: None, earlier_secrets: Vec::new() }
    }

    /// The keys of a role session, as a service returns them. `expires` is in Unix seconds. The error says what is wrong
    /// and shows no part of the keys.
    pub(in crate::cloud) fn of_session(
        secret_id: Option<Zeroizing<String>>,
        secret_key: Option<Zeroizing<String>>,
        token: Option<Zeroizing<String>>,
        expires: Option<i64>,
    ) -> Result<Self, &'static str> {
        let parts = [secret_id, secret_key, token].map(|part| part.filter(|part| !part.is_empty()));
        let ([Some(secret_id), Some(secret_key), Some(token)], Some(expires)) = (parts, expires) else {
            return Err("the response contains only a part of the keys");
        };
        if ![&secret_id, &secret_key, &token].iter().all(|part| is_visible_ascii(part)) {
            return Err("the response contains keys with characters that no key has");
        }
        Ok(Self::new(secret_id.to_string(), secret_key, Some(token)).expiring_at(expires))
    }

    /// The same keys, valid until a time in Unix seconds.
    #[must_use]
    pub fn expiring_at(mut self, expires: i64) -> Self {
        self.expires = Some(expires);
        self
    }

    /// The same keys, obtained by sending these secrets.
    #[must_use]
    pub(super) fn obtained_with(mut self, secrets: impl IntoIterator<Item = Zeroizing<String>>) -> Self {
        self.earlier_secrets.extend(secrets);
        self
    }

    /// The secrets that are sent with a request that these keys sign.
    pub(super) fn own_secrets(&self) -> impl Iterator<Item = Zeroizing<String>> {
        [Some(Zeroizing::new(self.secret_id.clone())), self.token.clone()].into_iter().flatten()
    }

    /// The same, and the secrets that were sent to obtain the keys.
    pub(super) fn all_secrets(&self) -> impl Iterator<Item = Zeroizing<String>> {
        self.own_secrets().chain(self.earlier_secrets.iter().cloned())
    }

    /// When they expire, in Unix seconds; `None` where the source does not say.
    pub fn expires(&self) -> Option<i64> {
        self.expires
    }

    /// The public half, which says whose key signs.
    pub fn secret_id(&self) -> &str {
        &self.secret_id
    }

    /// The half that signs. Use it for the signature only.
    pub fn secret_key(&self) -> &str {
        &self.secret_key
    }

    /// The value of `X-TC-Token` for temporary keys.
    pub fn token(&self) -> Option<&str> {
        self.token.as_ref().map(|token| token.as_str())
    }

    /// The text without any of the keys: the error page of a proxy may repeat the request.
    pub fn redact(&self, text: &str) -> String {
        let earlier = self.earlier_secrets.iter().map(|secret| secret.as_str());
        [Some(self.secret_key()), self.token(), Some(self.secret_id())]
            .into_iter()
            .flatten()
            .chain(earlier)
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
            .field("earlier_secrets", &self.earlier_secrets.len())
            .finish()
    }
}

/// One part of a key, and the place it was read from.
pub(super) struct KeyPart {
    /// The variable, or the field with its file.
    pub(super) place: String,
    /// An empty value counts as unset, as it does for the vendor's Python SDK.
    pub(super) value: Option<Zeroizing<String>>,
}

impl KeyPart {
    /// False for an empty value as well.
    pub(super) fn is_set(&self) -> bool {
        self.value.as_ref().is_some_and(|value| !value.is_empty())
    }

    /// Refuses a value that cannot be a key: the service would only report a wrong signature.
    pub(super) fn checked(&self) -> Result<Option<&Zeroizing<String>>, CredentialsError> {
        let Some(value) = self.value.as_ref().filter(|value| !value.is_empty()) else { return Ok(None) };
        let problem = if value.trim().len() != value.len() {
            "the value starts or ends with white space: remove it"
        } else if !is_visible_ascii(value) {
            "the value contains a space or a character that is not visible ASCII: copy the key again"
        } else {
            return Ok(Some(value));
        };
        Err(CredentialsError::Invalid { place: self.place.clone(), problem: problem.to_owned() })
    }
}

/// Keys from their parts; `None` if neither half is set. One half without the other is an error.
pub(super) fn from_parts(
    id: &KeyPart,
    key: &KeyPart,
    token: Option<&KeyPart>,
) -> Result<Option<Credentials>, CredentialsError> {
    let incomplete = |present: &KeyPart, missing: &KeyPart| CredentialsError::Incomplete {
        present: present.place.clone(),
        missing: missing.place.clone(),
    };
    match (id.checked()?, key.checked()?) {
        (Some(secret_id), Some(secret_key)) => {
            let token = token.map(KeyPart::checked).transpose()?.flatten().cloned();
            Ok(Some(Credentials::new(secret_id.to_string(), secret_key.clone(), token)))
        }
        (Some(_), None) => Err(incomplete(id, key)),
        (None, Some(_)) => Err(incomplete(key, id)),
        (None, None) => Ok(None),
    }
}

/// True for a text that can be in a header, as every part of a key can.
pub(super) fn is_visible_ascii(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_graphic())
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
    fn every_key_in_a_text_is_redacted() {
        let text = "id=AKID-1, key=SECRET-1, token=TOKEN-1, again TOKEN-1";
        assert_eq!(
            credentials().redact(text),
            "id=[redacted], key=[redacted], token=[redacted], again [redacted]"
        );
    }

    #[test]
    fn secrets_that_were_sent_to_obtain_the_keys_are_redacted_as_well() {
        let session = Credentials::new("AKID-2".to_owned(), Zeroizing::new("SECRET-2".to_owned()), None);
        let session = session.obtained_with(credentials().all_secrets());
        assert_eq!(session.redact("AKID-1 TOKEN-1 AKID-2"), "[redacted] [redacted] [redacted]");
    }

    #[test]
    fn empty_keys_redact_nothing() {
        let empty = Credentials::new(String::new(), Zeroizing::new(String::new()), None);
        assert_eq!(empty.redact("plain text"), "plain text");
    }

    fn part(value: Option<&str>) -> KeyPart {
        KeyPart { place: "PLACE".to_owned(), value: value.map(|value| Zeroizing::new(value.to_owned())) }
    }

    #[test]
    fn a_value_that_cannot_be_a_key_is_refused_and_not_shown() {
        for value in [" PRIVATE", "PRIVATE\n", "PRIV ATE", "PRIVÄTE", "PRIV\u{0}ATE", "PRIVATE\u{a0}", " "] {
            let error = part(Some(value)).checked().expect_err(value);
            let shown = format!("{error} {error:?}");
            assert!(shown.contains("PLACE"), "{shown}");
            assert!(!shown.contains("PRIV"), "{shown}");
        }
    }

    #[test]
    fn every_character_of_keys_is_accepted_and_an_empty_value_counts_as_unset() {
        let whole = part(Some("aZ09#;=+/%"));
        assert_eq!(whole.checked().expect("valid").expect("set").as_str(), "aZ09#;=+/%");
        assert_eq!(part(Some("")).checked(), Ok(None));
        assert_eq!(part(None).checked(), Ok(None));
    }

    #[test]
    fn keys_of_a_session_are_complete_or_refused_without_being_shown() {
        let whole = |change: Option<(usize, Option<&str>)>| {
            let mut parts = [Some("id"), Some("PRIVATE-K"), Some("PRIVATE-T")];
            if let Some((number, value)) = change {
                parts[number] = value;
            }
            let [id, key, token] = parts.map(|part| part.map(|part| Zeroizing::new(part.to_owned())));
            Credentials::of_session(id, key, token, Some(7))
        };
        let keys = whole(None).expect("keys");
        assert_eq!((keys.secret_id(), keys.token(), keys.expires()), ("id", Some("PRIVATE-T"), Some(7)));
        for number in 0..3 {
            for value in [None, Some(""), Some("PRIVATE K"), Some("PRIVÄTE")] {
                let error = whole(Some((number, value))).expect_err("incomplete");
                assert!(!error.contains("PRIV"), "{error}");
            }
        }
        let value = || Some(Zeroizing::new("x".to_owned()));
        assert!(Credentials::of_session(value(), value(), value(), None).is_err(), "no expiry");
    }
}
