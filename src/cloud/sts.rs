//! The security token service (STS): who is calling, and temporary keys for a role.

#[cfg(test)]
mod tests;

use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::catalogue::{ErrorClass, ErrorScope, is_definitive, look_up};
use super::credentials::error::CredentialsError;
use super::credentials::keys::Credentials;
use super::error::{CallError, Refusal};
use super::service_clock::ServiceClock;
use super::signed::{ApiCall, SignedClient};
use crate::format::printable;

/// Version of the API, sent as `X-TC-Version`.
pub const API_VERSION: &str = "2018-08-13";

/// Action that identifies the caller (document 1312/66098).
pub const GET_CALLER_IDENTITY: &str = "GetCallerIdentity";
/// Action that returns the keys of a role (document 1081/48197).
pub const ASSUME_ROLE: &str = "AssumeRole";
/// Action that returns the keys of a role for the token of an identity provider; unsigned.
pub const ASSUME_ROLE_WITH_WEB_IDENTITY: &str = "AssumeRoleWithWebIdentity";

/// The region of a call if none is known (vendor's Python SDK, `credential.py`). Accounts and roles are the same in all
/// regions.
pub const DEFAULT_REGION: &str = "ap-guangzhou";

/// Name of the service in signatures and hosts.
pub const SERVICE: &str = "sts";

/// Requested lifetime of the keys of a role, in seconds: the default of the service (document 1081/48197).
const SESSION_SECONDS: u32 = 7_200;

/// Largest response in bytes: a token has up to 4,096 (`AssumeRole`).
const MAX_RESPONSE: usize = 64 << 10;

/// STS at one host. Clones share their connections.
#[derive(Clone, Debug)]
pub struct StsClient {
    client: SignedClient,
    region: String,
}

/// Whose keys they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallerIdentity {
    /// `AccountId`: the main account.
    pub account_id: String,
    /// `Arn`
    pub arn: String,
    /// `UserId`: of a role, its id and the name of the session.
    pub user_id: Option<String>,
    /// `PrincipalId`: the account that the keys were issued to.
    pub principal_id: Option<String>,
    /// `Type`, such as `CAMUser`.
    pub kind: Option<String>,
}

/// A role, and the name of its session in the audit log of the account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Role<'a> {
    /// `RoleArn`
    #[serde(rename = "RoleArn")]
    pub arn: &'a str,
    /// `RoleSessionName`: 2 to 128 of letters, digits and `+=,.@_-`.
    #[serde(rename = "RoleSessionName")]
    pub session_name: &'a str,
}

/// The identity of this process, signed by an identity provider. There is no `Debug`, since the token is a secret.
#[derive(Clone, Copy, Serialize)]
pub struct WebIdentity<'a> {
    /// `X-TC-Region`
    #[serde(skip)]
    pub region: &'a str,
    /// `ProviderId`
    #[serde(rename = "ProviderId")]
    pub provider_id: &'a str,
    /// `WebIdentityToken`
    #[serde(rename = "WebIdentityToken")]
    pub token: &'a str,
}

/// A failed call of STS in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StsFailure {
    /// What happened, with code, message and `RequestId` if there are any.
    pub cause: String,
    /// What to do.
    pub remedy: String,
    /// True if retrying may help.
    pub is_transient: bool,
}

impl StsClient {
    /// Calls STS in this region, else in the [`DEFAULT_REGION`].
    pub fn new(client: SignedClient, region: Option<&str>) -> Self {
        Self { client, region: region.unwrap_or(DEFAULT_REGION).to_owned() }
    }

    /// The service's clock, by which keys expire.
    pub(super) fn clock(&self) -> Arc<ServiceClock> {
        Arc::clone(self.client.clock())
    }

    /// Whose keys these are.
    pub(super) async fn identity(&self, keys: &Credentials) -> Result<CallerIdentity, CallError> {
        #[derive(Serialize)]
        struct NoParameters {}
        let call = api_call(GET_CALLER_IDENTITY, &self.region, false);
        self.call::<IdentityResponse>(call, Some(keys), &NoParameters {}).await?.into_identity(keys)
    }

    /// The keys of a role, for a caller that may assume it.
    pub async fn assume_role(&self, keys: &Credentials, role: Role<'_>) -> Result<Credentials, CallError> {
        let call = api_call(ASSUME_ROLE, &self.region, true);
        self.session(call, Some(keys), SessionRequest::new(None, role)).await
    }

    /// The keys of a role, for a process with a token of an identity provider.
    pub async fn assume_role_with_web_identity(
        &self,
        identity: &WebIdentity<'_>,
        role: Role<'_>,
    ) -> Result<Credentials, CallError> {
        let call = api_call(ASSUME_ROLE_WITH_WEB_IDENTITY, identity.region, true);
        let call = ApiCall { secret: Some(identity.token), ..call };
        self.session(call, None, SessionRequest::new(Some(*identity), role)).await
    }

    async fn session(
        &self,
        call: ApiCall<'_>,
        keys: Option<&Credentials>,
        request: SessionRequest<'_>,
    ) -> Result<Credentials, CallError> {
        self.call::<SessionResponse>(call, keys, &request).await?.into_credentials()
    }

    /// One call, repeated once if only the time of its signature was refused: the service's time is known then.
    async fn call<R: DeserializeOwned>(
        &self,
        call: ApiCall<'_>,
        keys: Option<&Credentials>,
        body: &impl Serialize,
    ) -> Result<R, CallError> {
        let response = match self.client.call(call, keys, body).await {
            Err(CallError::SignatureExpired(_)) => self.client.call(call, keys, body).await,
            response => response,
        };
        response.map(|response| response.body)
    }
}

fn api_call<'a>(action: &'static str, region: &'a str, confidential: bool) -> ApiCall<'a> {
    ApiCall {
        service: SERVICE,
        version: API_VERSION,
        action,
        region,
        engine: None,
        confidential,
        secret: None,
        max_response: MAX_RESPONSE,
    }
}

impl StsFailure {
    /// Describes a failed call. `if_denied` is the remedy if the caller lacks the permission, `if_rejected` if the
    /// parameters are wrong.
    pub fn of(error: &CallError, if_denied: &str, if_rejected: &str) -> Self {
        let failure = |cause: String, remedy: &str, is_transient| Self {
            cause,
            remedy: remedy.to_owned(),
            is_transient,
        };
        match error {
            CallError::Refused(refusal) | CallError::SignatureExpired(refusal) => {
                let entry = look_up(&refusal.code);
                let remedy = match entry.class {
                    ErrorClass::Denied => if_denied,
                    // the remedies in the catalogue are about engines
                    ErrorClass::Final(ErrorScope::Engine | ErrorScope::Image)
                    | ErrorClass::NotRunning
                    | ErrorClass::Busy => if_rejected,
                    ErrorClass::Throttled | ErrorClass::Transient | ErrorClass::Final(_) => entry.remedy,
                };
                failure(refusal_text(entry.cause, refusal), remedy, !is_definitive(&refusal.code))
            }
            CallError::NotSent { .. } => failure(
                error.to_string(),
                "check the endpoint, DNS, proxy and firewall, then run the same command again",
                true,
            ),
            CallError::NoResponse { .. } => failure(
                error.to_string(),
                "check the network between this machine and the endpoint, then run the same command again",
                true,
            ),
            CallError::Connection { problem, cause } => {
                failure(format!("{} ({}: {cause})", problem.cause(), problem.code()), problem.remedy(), false)
            }
            // the cause says what to correct
            CallError::NoCredentials { cause } => {
                failure(cause.clone(), "correct this, then run the same command again", false)
            }
        }
    }

    /// The error of a source of keys that failed in this place.
    pub(super) fn into_credentials_error(self, place: String) -> CredentialsError {
        let problem = format!("{}: {}", self.cause, self.remedy);
        if self.is_transient {
            CredentialsError::Unavailable { place, problem }
        } else {
            CredentialsError::Invalid { place, problem }
        }
    }
}

fn refusal_text(cause: &str, refusal: &Refusal) -> String {
    let message = Some(&refusal.message).filter(|message| !message.is_empty());
    let message = message.map_or_else(String::new, |message| format!(": {message}"));
    let id = refusal.request_id.as_ref().map_or_else(String::new, |id| format!(", RequestId {id}"));
    format!("{cause} ({}{message}{id})", refusal.code)
}

/// The body of `AssumeRole`, and with an identity of `AssumeRoleWithWebIdentity`.
#[derive(Serialize)]
struct SessionRequest<'a> {
    #[serde(flatten)]
    identity: Option<WebIdentity<'a>>,
    #[serde(flatten)]
    role: Role<'a>,
    #[serde(rename = "DurationSeconds")]
    duration_seconds: u32,
}

impl<'a> SessionRequest<'a> {
    fn new(identity: Option<WebIdentity<'a>>, role: Role<'a>) -> Self {
        Self { identity, role, duration_seconds: SESSION_SECONDS }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct IdentityResponse {
    account_id: Option<String>,
    arn: Option<String>,
    user_id: Option<String>,
    principal_id: Option<String>,
    #[serde(rename = "Type")]
    kind: Option<String>,
}

impl IdentityResponse {
    /// A response without account or ARN is not readable.
    fn into_identity(self, keys: &Credentials) -> Result<CallerIdentity, CallError> {
        let set = |text: Option<String>| {
            text.filter(|text| !text.is_empty()).map(|text| keys.redact(&printable(&text)))
        };
        match (set(self.account_id), set(self.arn)) {
            (Some(account_id), Some(arn)) => Ok(CallerIdentity {
                account_id,
                arn,
                user_id: set(self.user_id),
                principal_id: set(self.principal_id),
                kind: set(self.kind),
            }),
            _ => Err(unreadable("the response contains no account")),
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct SessionResponse {
    credentials: SessionKeys,
    /// Unix seconds.
    expired_time: i64,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct SessionKeys {
    token: Zeroizing<String>,
    tmp_secret_id: Zeroizing<String>,
    tmp_secret_key: Zeroizing<String>,
}

impl SessionResponse {
    fn into_credentials(self) -> Result<Credentials, CallError> {
        let SessionKeys { token, tmp_secret_id, tmp_secret_key } = self.credentials;
        Credentials::of_session(
            Some(tmp_secret_id),
            Some(tmp_secret_key),
            Some(token),
            Some(self.expired_time),
        )
        .map_err(unreadable)
    }
}

fn unreadable(cause: &str) -> CallError {
    CallError::NoResponse { cause: cause.to_owned(), http_status: Some(200) }
}
