//! Keys from environment variables, by the names that the vendor's tools use.

use zeroize::Zeroizing;

use super::environment::Environment;
pub use super::environment::{SECRET_ID, SECRET_KEY};
use super::error::CredentialsError;
use super::keys::{Credentials, KeyPart, from_parts};
use super::source::{FixedKeys, Found};

/// Variable of the token of temporary keys (vendor's command line).
pub const TOKEN: &str = "TENCENTCLOUD_TOKEN";
/// Variable of the same token (vendor's Terraform provider).
pub const SECURITY_TOKEN: &str = "TENCENTCLOUD_SECURITY_TOKEN";

/// Keys from the environment, if both halves are set; one half without the other is an error.
pub(super) fn find(environment: &Environment<'_>) -> Found {
    let Some(keys) = read(environment.variable)? else {
        environment.note_searched(format!("the environment ({SECRET_ID} is not set)"));
        return Ok(None);
    };
    Ok(Some(Box::new(FixedKeys { name: format!("the environment ({SECRET_ID})"), keys })))
}

/// Reads the keys; `variable` returns the value of an environment variable. `None` if neither half is set.
pub fn read(variable: impl Fn(&str) -> Option<String>) -> Result<Option<Credentials>, CredentialsError> {
    let part = |name: &str| KeyPart { place: name.to_owned(), value: variable(name).map(Zeroizing::new) };
    let (token, other) = (part(TOKEN), part(SECURITY_TOKEN));
    let chosen = if token.is_set() { &token } else { &other };
    let keys = from_parts(&part(SECRET_ID), &part(SECRET_KEY), Some(chosen))?;
    if keys.is_some() && token.is_set() && other.is_set() && token.value != other.value {
        return Err(CredentialsError::Invalid {
            place: SECURITY_TOKEN.to_owned(),
            problem: format!("the value differs from that of {TOKEN}: unset one of them"),
        });
    }
    Ok(keys)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads from a list of variables in place of the environment of the process.
    fn read_from(variables: &[(&str, &str)]) -> Result<Option<Credentials>, CredentialsError> {
        read(|wanted| {
            variables.iter().find(|(name, _)| *name == wanted).map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn both_halves_and_the_token_are_read() {
        let read = read_from(&[(SECRET_ID, "AKID"), (SECRET_KEY, "K#;=+/"), (TOKEN, "T")]);
        let read = read.expect("valid").expect("keys");
        assert_eq!((read.secret_id(), read.secret_key(), read.token()), ("AKID", "K#;=+/", Some("T")));
    }

    #[test]
    fn the_two_variables_of_the_token_must_not_differ() {
        let keys = [(SECRET_ID, "AKID"), (SECRET_KEY, "K")];
        let with = |tokens: &[(&str, &str)]| read_from(&[&keys[..], tokens].concat());
        let token =
            |tokens: &[(&str, &str)]| with(tokens).expect("valid").expect("keys").token().map(str::to_owned);
        assert_eq!(token(&[(SECURITY_TOKEN, "T")]), Some("T".to_owned()));
        assert_eq!(token(&[(TOKEN, "T"), (SECURITY_TOKEN, "T")]), Some("T".to_owned()));
        assert_eq!(token(&[(TOKEN, ""), (SECURITY_TOKEN, "T")]), Some("T".to_owned()));
        let error = with(&[(TOKEN, "PRIVATE-1"), (SECURITY_TOKEN, "PRIVATE-2")]).expect_err("different");
        let text = "TENCENTCLOUD_SECURITY_TOKEN: the value differs from that of TENCENTCLOUD_TOKEN: unset one of them";
        assert_eq!(error.to_string(), text);
    }

    #[test]
    fn an_empty_variable_counts_as_unset() {
        let read = read_from(&[(SECRET_ID, "AKID"), (SECRET_KEY, "K"), (TOKEN, "")]);
        assert_eq!(read.expect("valid").expect("keys").token(), None);
        assert!(read_from(&[(SECRET_ID, ""), (SECRET_KEY, ""), (TOKEN, "T")]).expect("valid").is_none());
    }

    #[test]
    fn a_missing_half_is_named() {
        for (set, missing) in [(SECRET_ID, SECRET_KEY), (SECRET_KEY, SECRET_ID)] {
            let error = read_from(&[(set, "x"), (missing, "")]).expect_err("one half");
            assert_eq!(error.to_string(), format!("{set} is set, but {missing} is not: set both"));
        }
    }

    #[test]
    fn a_value_that_cannot_be_a_key_is_refused_with_the_name_of_its_variable() {
        let good = [(SECRET_ID, "AKID"), (SECRET_KEY, "K"), (TOKEN, "T")];
        for (at, (variable, _)) in good.into_iter().enumerate() {
            let mut variables = good;
            variables[at].1 = "PRIVATE\n";
            let error = read_from(&variables).expect_err(variable);
            let shown = format!("{error} {error:?}");
            assert!(shown.contains(variable) && !shown.contains("PRIV"), "{shown}");
        }
    }
}
