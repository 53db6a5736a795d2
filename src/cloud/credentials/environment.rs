//! Reads the keys from environment variables, by the names that the vendor's own tools use.

use std::sync::Mutex;

use zeroize::Zeroizing;

use super::value::checked;
use super::{Credentials, CredentialsError, Environment, Fetching, Found, Source};
use crate::cloud::signed::ServiceClock;

/// Variable of the `SecretId` (vendor's Python SDK, Go SDK and command line).
pub const SECRET_ID: &str = "TENCENTCLOUD_SECRET_ID";
/// Variable of the `SecretKey` (vendor's Python SDK, Go SDK and command line).
pub const SECRET_KEY: &str = "TENCENTCLOUD_SECRET_KEY";
/// Variable of the token of temporary keys (vendor's command line).
pub const TOKEN: &str = "TENCENTCLOUD_TOKEN";

/// The same by the name that the vendor's Terraform provider uses.
pub const SECURITY_TOKEN: &str = "TENCENTCLOUD_SECURITY_TOKEN";

/// Keys from the environment, where both halves are set; half a key is an error.
pub fn find(environment: &Environment<'_>) -> Found {
    let Some(credentials) = read(environment.variable)? else {
        environment.looked_at(format!("the environment ({SECRET_ID} is unset)"));
        return Ok(None);
    };
    Ok(Some(Box::new(EnvironmentKeys { credentials: Mutex::new(Some(credentials)) })))
}

/// Keys that were in the environment when the process began, and never change.
struct EnvironmentKeys {
    credentials: Mutex<Option<Credentials>>,
}

impl Source for EnvironmentKeys {
    fn name(&self) -> String {
        format!("the environment ({SECRET_ID})")
    }

    fn fetch<'a>(&'a self, _clock: &'a ServiceClock) -> Fetching<'a> {
        let credentials = self.credentials.lock().ok().and_then(|mut held| held.take());
        // asked for once, since these keys never change
        Box::pin(std::future::ready(credentials.ok_or(CredentialsError::Absent { looked_at: Vec::new() })))
    }

    fn renews(&self) -> bool {
        false
    }
}

/// Reads the keys through `lookup`, which answers with the value of a variable; none where neither half is set. An
/// empty value counts as unset, as it does for the vendor's Python SDK.
pub fn read(lookup: impl Fn(&str) -> Option<String>) -> Result<Option<Credentials>, CredentialsError> {
    let value_of = |variable| checked(variable, lookup(variable).map(Zeroizing::new));
    let missing = |present, missing| Err(CredentialsError::Incomplete { present, missing });
    match (value_of(SECRET_ID)?, value_of(SECRET_KEY)?) {
        (Some(secret_id), Some(secret_key)) => {
            let token = match (value_of(TOKEN)?, value_of(SECURITY_TOKEN)?) {
                (Some(token), Some(other)) if token != other => return Err(CredentialsError::TwoTokens),
                (token, other) => token.or(other),
            };
            Ok(Some(Credentials::new(secret_id.to_string(), secret_key, token)))
        }
        (Some(_), None) => missing(SECRET_ID, SECRET_KEY),
        (None, Some(_)) => missing(SECRET_KEY, SECRET_ID),
        (None, None) => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads from a list of variables in place of the process's environment.
    fn read_from(variables: &[(&str, &str)]) -> Result<Option<Credentials>, CredentialsError> {
        read(|wanted| {
            variables.iter().find(|(name, _)| *name == wanted).map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn both_halves_and_the_token_are_read() {
        let read = read_from(&[(SECRET_ID, "AKID"), (SECRET_KEY, "K#;=+/"), (TOKEN, "T")]);
        let read = read.expect("sound").expect("keys");
        assert_eq!((read.secret_id(), read.secret_key(), read.token()), ("AKID", "K#;=+/", Some("T")));
    }

    #[test]
    fn a_token_has_two_names_that_must_not_disagree() {
        let keys = [(SECRET_ID, "AKID"), (SECRET_KEY, "K")];
        let with = |tokens: &[(&str, &str)]| read_from(&[&keys[..], tokens].concat());
        let token =
            |tokens: &[(&str, &str)]| with(tokens).expect("sound").expect("keys").token().map(str::to_owned);
        assert_eq!(token(&[(SECURITY_TOKEN, "T")]), Some("T".to_owned()));
        assert_eq!(token(&[(TOKEN, "T"), (SECURITY_TOKEN, "T")]), Some("T".to_owned()));
        assert_eq!(token(&[(TOKEN, ""), (SECURITY_TOKEN, "T")]), Some("T".to_owned()));
        let error = with(&[(TOKEN, "PRIVATE-1"), (SECURITY_TOKEN, "PRIVATE-2")]).expect_err("which one");
        assert_eq!(error, CredentialsError::TwoTokens);
        assert!(!error.to_string().contains("PRIVATE"));
    }

    #[test]
    fn an_empty_value_counts_as_unset() {
        let read = read_from(&[(SECRET_ID, "AKID"), (SECRET_KEY, "K"), (TOKEN, "")]);
        assert_eq!(read.expect("sound").expect("keys").token(), None);
        assert!(read_from(&[(SECRET_ID, ""), (SECRET_KEY, ""), (TOKEN, "T")]).expect("sound").is_none());
    }

    #[test]
    fn a_missing_half_is_named() {
        let no_key = read_from(&[(SECRET_ID, "AKID"), (SECRET_KEY, "")]).expect_err("no key");
        assert_eq!(
            no_key.to_string(),
            "TENCENTCLOUD_SECRET_ID is set but TENCENTCLOUD_SECRET_KEY is not: set TENCENTCLOUD_SECRET_KEY too"
        );
        let no_id = read_from(&[(SECRET_KEY, "K")]).expect_err("no id");
        assert_eq!(no_id, CredentialsError::Incomplete { present: SECRET_KEY, missing: SECRET_ID });
    }

    #[test]
    fn a_value_that_cannot_be_a_key_is_refused_by_the_name_of_its_variable() {
        let sound = [(SECRET_ID, "AKID"), (SECRET_KEY, "K"), (TOKEN, "T")];
        for (at, (variable, _)) in sound.into_iter().enumerate() {
            let mut variables = sound;
            variables[at].1 = "PRIVATE\n";
            let error = read_from(&variables).expect_err(variable);
            let shown = format!("{error} {error:?}");
            assert!(shown.contains(variable) && !shown.contains("PRIV"), "{shown}");
        }
    }
}
