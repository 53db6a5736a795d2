//! A role for a pod of a Kubernetes cluster (TKE), which the cluster's identity provider vouches for.

use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::role::USUAL_SESSION_NAME;
use super::{Credentials, CredentialsError, Environment, Fetching, Found, Source};
use crate::cloud::signed::ServiceClock;
use crate::cloud::sts::{Role, StsClient, Told, WebIdentity};
use crate::format::{printable, shown_path};

/// The region to ask (vendor's Python and Go SDKs, like the other three).
const REGION: &str = "TKE_REGION";
/// The identity provider.
const PROVIDER_ID: &str = "TKE_PROVIDER_ID";
/// The file of the token, which the cluster replaces before it runs out.
const TOKEN_FILE: &str = "TKE_WEB_IDENTITY_TOKEN_FILE";
/// The role.
const ROLE_ARN: &str = "TKE_ROLE_ARN";

/// Bytes of the largest token that is read. Tokens of clusters have about one thousand.
const LARGEST_TOKEN: u64 = 64 * 1024;

/// The role of the pod, where all four variables are set. Where only some are, that is an error: going on would act as
/// somebody else, such as the node. The region alone says nothing.
pub(super) fn find(environment: &Environment<'_>, sts: &StsClient) -> Found {
    let [region, provider_id, token_file, role_arn] =
        [REGION, PROVIDER_ID, TOKEN_FILE, ROLE_ARN].map(|name| environment.value_of(name));
    let named = [(PROVIDER_ID, &provider_id), (TOKEN_FILE, &token_file), (ROLE_ARN, &role_arn)];
    let Some((present, _)) = named.iter().find(|(_, value)| value.is_some()) else {
        environment.looked_at(format!("a pod's role ({ROLE_ARN} is unset)"));
        return Ok(None);
    };
    let missing = |missing| CredentialsError::Incomplete { present, missing };
    Ok(Some(Box::new(PodRole {
        region: region.ok_or(missing(REGION))?,
        provider_id: provider_id.ok_or(missing(PROVIDER_ID))?,
        token_file: token_file.ok_or(missing(TOKEN_FILE))?.into(),
        role_arn: role_arn.ok_or(missing(ROLE_ARN))?,
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
        let role = Role { arn: &self.role_arn, session_name: USUAL_SESSION_NAME };
        let session = self.sts.assume_role_with_web_identity(&identity, role).await;
        let session = session.map(|session| session.after([token.clone()]));
        session.map_err(|fault| {
            let told = Told::of(
                &fault,
                "let the role trust the cluster's identity provider",
                &format!("check {PROVIDER_ID}, {ROLE_ARN} and the token in {TOKEN_FILE}"),
            );
            told.about(&format!("{} was not assumed", self.name()))
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

    fn renews(&self) -> bool {
        true
    }
}

/// Reads the token anew each time, since the cluster replaces it.
fn read_token(path: &Path) -> Result<Zeroizing<String>, CredentialsError> {
    let wrong = |what: &str| CredentialsError::Source {
        what: format!("the token file {} ({TOKEN_FILE}) {what}", shown_path(path)),
        may_pass: false,
    };
    let unreadable = |error: std::io::Error| {
        wrong(&format!(
            "cannot be read: {error}: check the path, and that the pod's service account is mounted"
        ))
    };
    let facts = std::fs::metadata(path).map_err(unreadable)?;
    // opening a named pipe would wait for somebody to write into it
    if !facts.is_file() || facts.len() > LARGEST_TOKEN {
        return Err(wrong("is no file that could hold a token: check the path"));
    }
    let text = Zeroizing::new(std::fs::read(path).map_err(unreadable)?);
    let token = std::str::from_utf8(&text).map(str::trim).unwrap_or_default();
    if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(wrong("holds no token: check the path"));
    }
    Ok(Zeroizing::new(token.to_owned()))
}

#[cfg(test)]
#[path = "tke_tests.rs"]
mod tests;
