//! A role that is assumed with the keys of another source, and assumed again before its session expires.

#[cfg(test)]
mod tests;

use std::sync::Arc;

use super::error::CredentialsError;
use super::keyring::Keyring;
use super::keys::Credentials;
use super::source::{Fetching, Source};
use crate::cloud::error::CallError;
use crate::cloud::service_clock::ServiceClock;
use crate::cloud::sts::{Role, StsClient, StsFailure};
use crate::format::printable;

/// Variables of the role to assume: of the vendor's command line, and of its Terraform provider. The first that is set
/// is used.
pub(super) const ROLE_ARNS: [&str; 2] = ["TENCENTCLOUD_ROLE_ARN", "TENCENTCLOUD_ASSUME_ROLE_ARN"];
/// Variables of the name of its session, likewise.
pub(super) const ROLE_SESSION_NAMES: [&str; 2] =
    ["TENCENTCLOUD_ROLE_SESSION_NAME", "TENCENTCLOUD_ASSUME_ROLE_SESSION_NAME"];

/// The name of a session if none is given.
pub(super) const DEFAULT_SESSION_NAME: &str = "dlc-fleet";

/// A role, assumed with the keys of a base source. The base may be a role itself: that is how roles are chained.
pub(super) struct AssumedRole {
    /// Keeps the keys of the base, which are used again and may have to be renewed themselves.
    base: Arc<Keyring>,
    arn: String,
    session_name: String,
    sts: StsClient,
}

impl AssumedRole {
    /// Does not call STS yet.
    pub(super) fn new(base: Box<dyn Source>, arn: String, session_name: String, sts: StsClient) -> Self {
        Self { base: Arc::new(Keyring::new(base, sts.clock())), arn, session_name, sts }
    }

    async fn assume(&self) -> Result<Credentials, CredentialsError> {
        let mut result = self.assume_with_current_keys().await?;
        if let Err(CallError::SignatureExpired(_)) = result {
            // the base has renewed keys now
            result = self.assume_with_current_keys().await?;
        }
        result.map_err(|error| {
            let failure = StsFailure::of(
                &error,
                "grant sts:AssumeRole on the role to this caller, and allow the caller in the trust policy of the role",
                "check the ARN of the role and the name of the session, and that the role exists",
            );
            failure.into_credentials_error(format!("cannot assume {}", self.name()))
        })
    }

    async fn assume_with_current_keys(&self) -> Result<Result<Credentials, CallError>, CredentialsError> {
        let role = Role { arn: &self.arn, session_name: &self.session_name };
        let keys = self.base.current().await?;
        let session = self.sts.assume_role(&keys, role).await;
        let session = session.map(|session| session.obtained_with(keys.all_secrets()));
        Ok(session.map_err(|error| self.base.classify(&keys, error)))
    }
}

impl Source for AssumedRole {
    fn name(&self) -> String {
        format!("the role {} with the keys of {}", printable(&self.arn), self.base.source())
    }

    fn fetch<'a>(&'a self, _clock: &'a ServiceClock) -> Fetching<'a> {
        Box::pin(self.assume())
    }

    fn is_renewable(&self) -> bool {
        true
    }
}
