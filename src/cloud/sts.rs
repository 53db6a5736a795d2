//! The security token service (STS): who is calling, and temporary keys for a role.

#[cfg(test)]
mod tests;

use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::catalogue::{Class, Reach, is_definitive, look_up};
use super::credentials::{Credentials, CredentialsError, Keyring, could_be_a_key};
use super::signed::{Call, ServiceClock, SignedClient};
use super::{CallError, Refusal};
use crate::format::printable;

/// Version of the API, sent as `X-TC-Version`.
pub const API_VERSION: &str = "2018-08-13";

/// Action that tells who is calling (document 1312/66098).
pub const GET_CALLER_IDENTITY: &str = "GetCallerIdentity";
/// Action that gives a caller the keys of a role (document 1081/48197).
pub const ASSUME_ROLE: &str = "AssumeRole";
/// Action that gives the keys of a role for the token of an identity provider; unsigned.
pub const ASSUME_ROLE_WITH_WEB_IDENTITY: &str = "AssumeRoleWithWebIdentity";

/// The region that is named where none is known (vendor's Python SDK, `credential.py`). Accounts and roles are the
/// same in all of them.
pub const USUAL_REGION: &str = "ap-guangzhou";

/// Name of the service in signatures and hosts.
pub const SERVICE: &str = "sts";

/// Seconds for which keys of a role are asked for: what the service gives where nothing is said (document
/// 1081/48197).
const LASTS: u32 = 7_200;

/// Bytes of an answer that are read: a token has up to 4,096 (`AssumeRole`).
const LARGEST_ANSWER: usize = 64 << 10;

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
    /// `PrincipalId`: the account that the keys were made for.
    pub principal_id: Option<String>,
    /// `Type`, such as `CAMUser`.
    pub kind: Option<String>,
}

/// A role, and what its session is called in the account's audit log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Role<'a> {
    /// `RoleArn`
    pub arn: &'a str,
    /// `RoleSessionName`: 2 to 128 of letters, digits and `+=,.@_-`.
    pub session_name: &'a str,
}

/// What an identity provider says about this process. There is no `Debug`, since the token is a secret.
pub struct WebIdentity<'a> {
    /// `X-TC-Region`
    pub region: &'a str,
    /// `ProviderId`
    pub provider_id: &'a str,
    /// `WebIdentityToken`
    pub token: &'a str,
}

/// A fault in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// What happened, with code, message and `RequestId` where there are any.
    pub what: String,
    /// What to do next.
    pub remedy: String,
    /// True for what may pass by itself.
    pub may_pass: bool,
}

impl StsClient {
    /// The service that a client leads to, asked in a region, or else in the [`USUAL_REGION`].
    pub fn new(client: SignedClient, region: Option<&str>) -> Self {
        Self { client, region: region.unwrap_or(USUAL_REGION).to_owned() }
    }

    /// The service's clock, by which keys expire.
    pub(super) fn clock(&self) -> Arc<ServiceClock> {
        Arc::clone(self.client.clock())
    }

    /// Who is calling, by the keys of a keyring.
    pub async fn caller(&self, keyring: &Arc<Keyring>) -> Result<CallerIdentity, CallError> {
        match self.caller_by_current_keys(keyring).await {
            // the next keys are other ones
            Err(CallError::SignatureExpired(_)) => self.caller_by_current_keys(keyring).await,
            answered => answered,
        }
    }

    async fn caller_by_current_keys(&self, keyring: &Arc<Keyring>) -> Result<CallerIdentity, CallError> {
        let keys = keyring.current().await?;
        self.caller_by(&keys).await.map_err(|fault| keyring.judge(&keys, fault))
    }

    /// Who is calling, by these keys.
    pub(super) async fn caller_by(&self, keys: &Credentials) -> Result<CallerIdentity, CallError> {
        let call = call_of(GET_CALLER_IDENTITY, &self.region, false);
        let identity =
            self.call::<IdentityAnswer>(call, Some(keys), &NoParameters {}).await?.into_identity()?;
        let redacted = |text: Option<String>| text.map(|text| keys.redact(&text));
        Ok(CallerIdentity {
            account_id: keys.redact(&identity.account_id),
            arn: keys.redact(&identity.arn),
            user_id: redacted(identity.user_id),
            principal_id: redacted(identity.principal_id),
            kind: redacted(identity.kind),
        })
    }

    /// Keys of a role, for a caller who may assume it.
    pub async fn assume_role(&self, keys: &Credentials, role: Role<'_>) -> Result<Credentials, CallError> {
        let body =
            RoleRequest { role_arn: role.arn, role_session_name: role.session_name, duration_seconds: LASTS };
        let call = call_of(ASSUME_ROLE, &self.region, true);
        self.call::<SessionAnswer>(call, Some(keys), &body).await?.into_credentials()
    }

    /// Keys of a role, for a process that an identity provider vouches for.
    pub async fn assume_role_with_web_identity(
        &self,
        identity: &WebIdentity<'_>,
        role: Role<'_>,
    ) -> Result<Credentials, CallError> {
        let body = WebIdentityRequest {
            provider_id: identity.provider_id,
            web_identity_token: identity.token,
            role_arn: role.arn,
            role_session_name: role.session_name,
            duration_seconds: LASTS,
        };
        let call = call_of(ASSUME_ROLE_WITH_WEB_IDENTITY, identity.region, true);
        let call = Call { secret: Some(identity.token), ..call };
        self.call::<SessionAnswer>(call, None, &body).await?.into_credentials()
    }

    /// One call; and once more where it was only refused for its time, which is known by then.
    async fn call<A: DeserializeOwned>(
        &self,
        call: Call<'_>,
        keys: Option<&Credentials>,
        body: &impl Serialize,
    ) -> Result<A, CallError> {
        let answered = match self.client.call(call, keys, body).await {
            Err(CallError::SignatureExpired(_)) => self.client.call(call, keys, body).await,
            answered => answered,
        };
        answered.map(|answered| answered.answer)
    }
}

fn call_of<'a>(action: &'static str, region: &'a str, hush: bool) -> Call<'a> {
    Call {
        service: SERVICE,
        version: API_VERSION,
        action,
        region,
        engine: None,
        hush,
        secret: None,
        largest: LARGEST_ANSWER,
    }
}

impl Told {
    /// Says what a fault of STS means. `denied` and `unfit` are the remedies where the caller has no right to ask
    /// for that, and where there is no such thing.
    pub fn of(fault: &CallError, denied: &str, unfit: &str) -> Self {
        match fault {
            CallError::Refused(refusal) | CallError::SignatureExpired(refusal) => {
                Self::of_refusal(refusal, denied, unfit)
            }
            CallError::NotSent { .. } => {
                Self::new(fault, "check the endpoint, DNS, proxy and firewall, then run again", true)
            }
            CallError::NoResponse { .. } => {
                Self::new(fault, "check the network between here and the endpoint, then run again", true)
            }
            CallError::Connection { by, cause } => Self {
                what: format!("{} ({}: {cause})", by.cause(), by.code()),
                remedy: by.remedy().to_owned(),
                may_pass: false,
            },
            // says what to do already
            CallError::NoCredentials { cause } => {
                Self { what: cause.clone(), remedy: "mend that, then run again".to_owned(), may_pass: false }
            }
        }
    }

    /// Why a source has no keys: what was not done, and this as the reason.
    pub(super) fn about(self, not_done: &str) -> CredentialsError {
        let Self { what, remedy, may_pass } = self;
        CredentialsError::Source { what: format!("{not_done}: {what}: {remedy}"), may_pass }
    }

    fn new(fault: &CallError, remedy: &str, may_pass: bool) -> Self {
        Self { what: fault.to_string(), remedy: remedy.to_owned(), may_pass }
    }

    fn of_refusal(refusal: &Refusal, denied: &str, unfit: &str) -> Self {
        let entry = look_up(&refusal.code);
        let message = Some(&refusal.message).filter(|message| !message.is_empty());
        let message = message.map_or_else(String::new, |message| format!(": {message}"));
        let id = refusal.request_id.as_ref().map_or_else(String::new, |id| format!(", RequestId {id}"));
        let what = format!("{} ({}{message}{id})", entry.cause, refusal.code);
        let remedy = match entry.class {
            Class::Denied => denied,
            // the table's remedies for these speak of engines
            Class::Final(Reach::Engine | Reach::Image) | Class::NotRunning | Class::Busy => unfit,
            Class::Throttled | Class::Transient | Class::Final(_) => entry.remedy,
        };
        let may_pass = !is_definitive(&refusal.code);
        Self { what, remedy: remedy.to_owned(), may_pass }
    }
}

#[derive(Serialize)]
struct NoParameters {}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct RoleRequest<'a> {
    role_arn: &'a str,
    role_session_name: &'a str,
    duration_seconds: u32,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct WebIdentityRequest<'a> {
    provider_id: &'a str,
    web_identity_token: &'a str,
    role_arn: &'a str,
    role_session_name: &'a str,
    duration_seconds: u32,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct IdentityAnswer {
    account_id: Option<String>,
    arn: Option<String>,
    user_id: Option<String>,
    principal_id: Option<String>,
    #[serde(rename = "Type")]
    kind: Option<String>,
}

impl IdentityAnswer {
    /// What does not say whose keys they are is no answer.
    fn into_identity(self) -> Result<CallerIdentity, CallError> {
        let filled = |text: Option<String>| text.filter(|text| !text.is_empty()).map(|text| printable(&text));
        match (filled(self.account_id), filled(self.arn)) {
            (Some(account_id), Some(arn)) => Ok(CallerIdentity {
                account_id,
                arn,
                user_id: filled(self.user_id),
                principal_id: filled(self.principal_id),
                kind: filled(self.kind),
            }),
            _ => Err(unreadable("the answer names no account")),
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct SessionAnswer {
    credentials: SessionKeys,
    /// Unix seconds.
    expired_time: i64,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct SessionKeys {
    token: String,
    tmp_secret_id: String,
    tmp_secret_key: String,
}

impl SessionAnswer {
    fn into_credentials(self) -> Result<Credentials, CallError> {
        let SessionKeys { token, tmp_secret_id, tmp_secret_key } = self.credentials;
        let (token, secret_key) = (Zeroizing::new(token), Zeroizing::new(tmp_secret_key));
        if token.is_empty() || secret_key.is_empty() || tmp_secret_id.is_empty() {
            return Err(unreadable("the answer leaves out a part of the keys"));
        }
        if [&*token, &*secret_key, &tmp_secret_id].iter().any(|text| !could_be_a_key(text)) {
            return Err(unreadable("the answer holds keys with characters that no key has"));
        }
        Ok(Credentials::new(tmp_secret_id, secret_key, Some(token)).until(self.expired_time))
    }
}

fn unreadable(cause: &str) -> CallError {
    CallError::NoResponse { cause: cause.to_owned(), http_status: Some(200) }
}
