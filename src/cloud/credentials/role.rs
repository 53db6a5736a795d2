//! Assumes a role with the keys of another source, and again before its session runs out.

use std::sync::Arc;

use super::{Credentials, CredentialsError, Fetching, Keyring, Source};
use crate::cloud::CallError;
use crate::cloud::signed::ServiceClock;
use crate::cloud::sts::{Role, StsClient, Told};
use crate::format::printable;

/// Variables of the role to assume: of the vendor's command line, and of its Terraform provider. The first that is set
/// counts.
pub const ROLE_ARNS: [&str; 2] = ["TENCENTCLOUD_ROLE_ARN", "TENCENTCLOUD_ASSUME_ROLE_ARN"];
/// Variables of the name that its session is given, likewise.
pub const ROLE_SESSION_NAMES: [&str; 2] =
    ["TENCENTCLOUD_ROLE_SESSION_NAME", "TENCENTCLOUD_ASSUME_ROLE_SESSION_NAME"];

/// The name of a session that nobody named.
pub const USUAL_SESSION_NAME: &str = "dlc-fleet";

/// A role, assumed over a base source. The base may itself be a role: that is how roles are chained.
pub struct AssumedRole {
    /// Keeps the keys of the base, which may be needed again or have to be renewed themselves.
    base: Arc<Keyring>,
    arn: String,
    session_name: String,
    sts: StsClient,
}

impl AssumedRole {
    /// Assumes nothing yet.
    pub fn new(base: Box<dyn Source>, role_arn: String, session_name: String, sts: StsClient) -> Self {
        Self { base: Arc::new(Keyring::new(base, sts.clock())), arn: role_arn, session_name, sts }
    }

    async fn assume(&self) -> Result<Credentials, CredentialsError> {
        let role = Role { arn: &self.arn, session_name: &self.session_name };
        let mut signature_expired = false;
        loop {
            let keys = self.base.current().await?;
            let fault = match self.sts.assume_role(&keys, role).await {
                Ok(session) => return Ok(session.after(keys.sent().chain(keys.sent_before.iter().cloned()))),
                Err(fault) => self.base.judge(&keys, fault),
            };
            if matches!(fault, CallError::SignatureExpired(_)) && !signature_expired {
                // the base has other keys next time
                signature_expired = true;
                continue;
            }
            let told = Told::of(
                &fault,
                "grant sts:AssumeRole on the role to this caller, and let the role trust it",
                "check the ARN of the role, the name of the session, and that the role exists",
            );
            let (arn, base) = (printable(&self.arn), self.base.source());
            return Err(told.about(&format!("the role {arn} was not assumed with the keys of {base}")));
        }
    }
}

impl Source for AssumedRole {
    fn name(&self) -> String {
        format!("the role {}, assumed with the keys of {}", printable(&self.arn), self.base.source())
    }

    fn fetch<'a>(&'a self, _clock: &'a ServiceClock) -> Fetching<'a> {
        Box::pin(self.assume())
    }

    fn renews(&self) -> bool {
        true
    }
}

#[cfg(test)]
#[path = "role_tests.rs"]
mod tests;
