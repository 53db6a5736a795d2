//! The chain of checks: each line's check covers the line and the check before it.

use std::fmt;

use sha2::{Digest, Sha256};

use crate::format::hex;

/// Hex digits of one check.
const DIGITS: usize = 16;

/// Separates the content of a line from its check.
const SEPARATOR: &str = ",\"check\":\"";

/// Ends a line after its check.
const END: &str = "\"}";

/// The check of one line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check(String);

impl Default for Check {
    /// The check before the first line.
    fn default() -> Self {
        Self("0".repeat(DIGITS))
    }
}

impl fmt::Display for Check {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl Check {
    fn of(&self, content: &str) -> Self {
        let digest = Sha256::new().chain_update(&self.0).chain_update(content).finalize();
        Self(hex(&digest[..DIGITS / 2]))
    }

    /// Adds the check to a JSON object (`{…}`); returns the line without LF, and its check.
    pub fn seal(&self, object: &str) -> (String, Self) {
        let content = object.strip_suffix('}').unwrap_or(object);
        let check = self.of(content);
        (format!("{content}{SEPARATOR}{check}{END}"), check)
    }

    /// The check of a sealed line that follows this check, or what is wrong with the line.
    pub fn verify(&self, line: &str) -> Result<Self, &'static str> {
        let malformed = "it does not end with a check";
        let rest = line.strip_suffix(END).ok_or(malformed)?;
        let (content, written) = rest.rsplit_once(SEPARATOR).ok_or(malformed)?;
        let check = self.of(content);
        if check.0 == written {
            Ok(check)
        } else {
            Err("its check does not match: this line or the one before it was changed, lost or moved")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sealed_line_verifies_and_is_valid_json() {
        let start = Check::default();
        let (line, check) = start.seal(r#"{"seq":1}"#);
        assert_eq!(start.verify(&line), Ok(check));
        assert!(serde_json::from_str::<serde_json::Value>(&line).is_ok(), "{line}");
    }

    #[test]
    fn a_line_does_not_verify_after_a_different_line() {
        let (line, check) = Check::default().seal(r#"{"seq":1}"#);
        assert!(check.verify(&line).is_err());
    }
}
