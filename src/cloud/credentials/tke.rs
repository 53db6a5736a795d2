//! The role of a pod in a Kubernetes cluster (TKE), assumed with a token of the cluster's identity provider.

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::environment::Environment;
use super::error::CredentialsError;
use super::keys::{Credentials, is_visible_ascii};
use super::role::DEFAULT_SESSION_NAME;
use super::source::{Fetching, Found, Source};
use crate::cloud::file::read_regular;
use crate::cloud::service_clock::ServiceClock;
use crate::cloud::sts::{Role, StsClient, StsFailure, WebIdentity};
use crate::format::{printable, shown_path};

/// The region of STS (vendor's Python and Go SDKs, like the other three).
const REGION: &str = "TKE_REGION";
/// The identity provider.
const PROVIDER_ID: &str = "TKE_PROVIDER_ID";
/// The file of the token, which the cluster replaces before it expires.
const TOKEN_FILE: &str = "TKE_WEB_IDENTITY_TOKEN_FILE";
/// The role.
const ROLE_ARN: &str = "TKE_ROLE_ARN";

/// Largest token file in bytes. Tokens of clusters have about one thousand.
const MAX_TOKEN_BYTES: u64 = 64 * 1024;

/// The role of the pod, if all four variables are set. Only some of them are an error: to go on would act as another
/// caller, such as the node. The region alone means nothing.
pub(super) fn find(environment: &Environment<'_>, sts: &StsClient) -> Found {
    let values @ [_, provider_id, token_file, role_arn] =
        &[REGION, PROVIDER_ID, TOKEN_FILE, ROLE_ARN].map(|name| environment.value_of(name));
    let named = [(PROVIDER_ID, provider_id), (TOKEN_FILE, token_file), (ROLE_ARN, role_arn)];
    let Some((present, _)) = named.iter().find(|(_, value)| value.is_some()) else {
        environment.note_searched(format!("the role of a TKE pod ({ROLE_ARN} is not set)"));
        return Ok(None);
    };
    let required = |number: usize, name: &str| {
        values[number].clone().ok_or_else(|| CredentialsError::Incomplete {
            present: (*present).to_owned(),
            missing: name.to_owned(),
        })
    };
    Ok(Some(Box::new(PodRole {
        region: required(0, REGION)?,
        provider_id: required(1, PROVIDER_ID)?,
        token_file: required(2, TOKEN_FILE)?.into(),
        role_arn: required(3, ROLE_ARN)?,
        sts: sts.clone(),
    })))
}

struct PodRole {
    region: String,
    provider_id: String,
    token_file: PathBuf,
    role_arn: String,
    sts: StsClient,
}

impl PodRole {
    async fn assume(&self) -> Result<Credentials, CredentialsError> {
        let token = read_token(&self.token_file)?;
        let identity = WebIdentity { region: &self.region, provider_id: &self.provider_id, token: &token };
        let role = Role { arn: &self.role_arn, session_name: DEFAULT_SESSION_NAME };
        let session = self.sts.assume_role_with_web_identity(&identity, role).await;
        session.map(|session| session.obtained_with([token.clone()])).map_err(|error| {
            let failure = StsFailure::of(
                &error,
                "allow the identity provider of the cluster in the trust policy of the role",
                &format!("check {PROVIDER_ID}, {ROLE_ARN} and the token in {TOKEN_FILE}"),
            );
            failure.into_credentials_error(format!("cannot assume {}", self.name()))
        })
    }
}

impl Source for PodRole {
    fn name(&self) -> String {
        format!("the role {} of this pod ({ROLE_ARN})", printable(&self.role_arn))
    }

    fn fetch<'a>(&'a self, _clock: &'a ServiceClock) -> Fetching<'a> {
        Box::pin(self.assume())
    }

    fn is_renewable(&self) -> bool {
        true
    }
}

/// Reads the token for each session, since the cluster replaces it.
fn read_token(path: &Path) -> Result<Zeroizing<String>, CredentialsError> {
    let invalid = |problem: String| CredentialsError::Invalid {
        place: format!("the token file {} ({TOKEN_FILE})", shown_path(path)),
        problem,
    };
    let bytes = read_regular(path, MAX_TOKEN_BYTES).map_err(|error| {
        invalid(format!(
            "cannot be read: {error}: check the path, and that the token of the service account is mounted"
        ))
    })?;
    let token = std::str::from_utf8(&bytes).map(str::trim).unwrap_or_default();
    if token.is_empty() || !is_visible_ascii(token) {
        return Err(invalid("contains no token: check the path".to_owned()));
    }
    Ok(Zeroizing::new(token.to_owned()))
}
