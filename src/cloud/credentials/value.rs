//! What a value must look like to be part of a key.

use zeroize::Zeroizing;

use super::CredentialsError;

/// Refuses what could not be a key, because the service would only speak of a bad signature. An empty value counts
/// as unset. `place` says where the value stands.
pub(super) fn checked(
    place: &str,
    value: Option<Zeroizing<String>>,
) -> Result<Option<Zeroizing<String>>, CredentialsError> {
    let Some(value) = value.filter(|value| !value.is_empty()) else { return Ok(None) };
    let place = || place.to_owned();
    if value.trim().len() != value.len() {
        return Err(CredentialsError::SurroundingSpace { place: place() });
    }
    if !could_be_a_key(&value) {
        return Err(CredentialsError::StrangeCharacter { place: place() });
    }
    Ok(Some(value))
}

/// True for a text that can stand in a header, as every part of a key does.
pub(in crate::cloud) fn could_be_a_key(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_graphic())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_that_cannot_be_a_key_is_refused_without_being_shown() {
        for value in [" PRIVATE", "PRIVATE\n", "PRIV ATE", "PRIVÄTE", "PRIV\u{0}ATE", "PRIVATE\u{a0}", " "] {
            let error = checked("PLACE", Some(Zeroizing::new(value.to_owned()))).expect_err(value);
            let shown = format!("{error} {error:?}");
            assert!(shown.contains("PLACE"), "{shown}");
            assert!(!shown.contains("PRIV"), "{shown}");
        }
    }

    #[test]
    fn every_character_that_keys_hold_is_taken_and_nothing_is_unset() {
        let taken = checked("PLACE", Some(Zeroizing::new("aZ09#;=+/%".to_owned()))).expect("sound");
        assert_eq!(taken.expect("set").as_str(), "aZ09#;=+/%");
        assert_eq!(checked("PLACE", Some(Zeroizing::default())), Ok(None));
        assert_eq!(checked("PLACE", None), Ok(None));
    }
}
