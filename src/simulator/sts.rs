//! The simulated STS: callers, temporary keys of roles, and how long the keys are valid.

use std::collections::BTreeMap;
use std::fmt;

use super::random::generator;
use super::refusal::refuse;
use super::scenario::Scenario;
use crate::cloud::Refusal;

/// The account if the scenario names none.
const ACCOUNT: &str = "100000000001";

/// Requests of `AssumeRole` that are accepted in one second (document 1081/48197).
pub(super) const ASSUME_ROLE_LIMIT: u32 = 600;

/// Validity in seconds of the keys of a role: default and maximum (document 1081/48197).
const DEFAULT_DURATION: i64 = 7_200;
const MAX_DURATION: i64 = 43_200;

/// A caller, with the fields of the response of `GetCallerIdentity` (document 1312/66098).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Identity {
    pub(super) arn: String,
    pub(super) account_id: String,
    pub(super) user_id: String,
    pub(super) principal_id: String,
    /// `Type`
    pub(super) kind: &'static str,
}

/// A request for the keys of a role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RoleRequest {
    pub(super) arn: String,
    pub(super) session_name: String,
    pub(super) seconds: Option<i64>,
    /// The account of the caller.
    pub(super) principal_id: String,
    /// Clock of the service, in Unix seconds.
    pub(super) now: i64,
}

/// Temporary keys. The `Debug` output leaves them out, so that no log contains them.
#[derive(Clone)]
pub(super) struct Session {
    pub(super) secret_id: String,
    pub(super) secret_key: String,
    pub(super) token: String,
    /// Unix seconds.
    pub(super) expires: i64,
    pub(super) identity: Identity,
    revoked: bool,
}

impl Session {
    /// True if its token is accepted at this time, in Unix seconds.
    pub(super) fn is_valid(&self, now: i64) -> bool {
        !self.revoked && now < self.expires
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Session").field("identity", &self.identity).finish_non_exhaustive()
    }
}

/// All temporary keys that were issued, by `SecretId`.
#[derive(Debug, Default)]
pub(super) struct Sessions {
    issued: BTreeMap<String, Session>,
}

impl Sessions {
    pub(super) fn get(&self, secret_id: &str) -> Option<&Session> {
        self.issued.get(secret_id)
    }

    /// Each `SecretId`, secret key and token that was issued.
    pub(super) fn secrets(&self) -> impl Iterator<Item = &str> {
        let sessions = self.issued.values();
        sessions
            .flat_map(|session| [&session.secret_id, &session.secret_key, &session.token])
            .map(String::as_str)
    }

    /// Revokes all keys that were issued so far.
    pub(super) fn revoke_all(&mut self) {
        for session in self.issued.values_mut() {
            session.revoked = true;
        }
    }

    /// Issues keys for a role.
    pub(super) fn issue(&mut self, request: &RoleRequest, scenario: &Scenario) -> Result<Session, Refusal> {
        let invalid = |message: String| refuse("InvalidParameter", message);
        let (account, role) = role_of(&request.arn)
            .ok_or_else(|| invalid(format!("RoleArn {} is not the ARN of a role", request.arn)))?;
        if !is_session_name(&request.session_name) {
            return Err(invalid("RoleSessionName needs 2 to 128 letters, digits or +=,.@_-".to_owned()));
        }
        let seconds = request.seconds.unwrap_or(DEFAULT_DURATION);
        if !(1..=MAX_DURATION).contains(&seconds) {
            return Err(invalid(format!("DurationSeconds is not between 1 and {MAX_DURATION}")));
        }
        let seconds = scenario.session_duration.map_or(seconds, |time| time.as_secs().cast_signed());
        let number = u64::try_from(self.issued.len()).unwrap_or(u64::MAX);
        let mut random = generator(scenario.seed, &["session"], number);
        let mut text =
            |length| std::iter::repeat_with(|| random.alphanumeric()).take(length).collect::<String>();
        let session = Session {
            secret_id: format!("AKID{}", text(60)),
            secret_key: text(44),
            token: text(400),
            expires: request.now.saturating_add(seconds),
            identity: Identity {
                arn: format!("qcs::sts:{account}:assumed-role/{role}"),
                account_id: account.to_owned(),
                user_id: format!("{role}:{}", request.session_name),
                principal_id: request.principal_id.clone(),
                kind: "CAMRole",
            },
            revoked: false,
        };
        self.issued.insert(session.secret_id.clone(), session.clone());
        Ok(session)
    }
}

/// The owner of the permanent keys.
pub(super) fn owner(scenario: &Scenario) -> Identity {
    let account = account(scenario);
    Identity {
        arn: format!("qcs::cam::uin/{account}:uin/{account}"),
        account_id: account.to_owned(),
        user_id: account.to_owned(),
        principal_id: account.to_owned(),
        kind: "CAMUser",
    }
}

/// The main account of a scenario.
pub(super) fn account(scenario: &Scenario) -> &str {
    scenario.account.as_deref().unwrap_or(ACCOUNT)
}

/// Account and name in the ARN of a role: `qcs::cam::uin/1:roleName/x` or `qcs::cam::uin/1:role/461…`.
fn role_of(arn: &str) -> Option<(&str, &str)> {
    let (account, role) = arn.strip_prefix("qcs::cam::uin/")?.split_once(':')?;
    let role = role.strip_prefix("roleName/").or_else(|| role.strip_prefix("role/"))?;
    let is_account = !account.is_empty() && account.bytes().all(|byte| byte.is_ascii_digit());
    (is_account && !role.is_empty()).then_some((account, role))
}

/// 2 to 128 letters, digits and `+=,.@_-` (document 1081/48197).
fn is_session_name(name: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"+=,.@_-".contains(&byte);
    (2..=128).contains(&name.len()) && name.bytes().all(fits)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(arn: &str) -> RoleRequest {
        RoleRequest {
            arn: arn.to_owned(),
            session_name: "session".to_owned(),
            seconds: None,
            principal_id: "7".to_owned(),
            now: 1_000,
        }
    }

    fn validity(seconds: Option<i64>, scenario: &str) -> Result<i64, String> {
        let scenario = Scenario::parse(scenario, "test").expect("a scenario");
        let request = RoleRequest { seconds, ..request("qcs::cam::uin/42:roleName/x") };
        let session = Sessions::default().issue(&request, &scenario);
        session.map(|session| session.expires - 1_000).map_err(|refusal| refusal.code)
    }

    #[test]
    fn keys_are_valid_as_long_as_requested_unless_the_scenario_sets_a_duration() {
        assert_eq!(validity(None, ""), Ok(7_200));
        assert_eq!(validity(Some(900), ""), Ok(900));
        assert_eq!(validity(Some(43_201), ""), Err("InvalidParameter".to_owned()));
        assert_eq!(validity(Some(0), ""), Err("InvalidParameter".to_owned()));
        assert_eq!(validity(Some(900), "session_duration: 310s"), Ok(310));
    }

    #[test]
    fn a_session_belongs_to_the_account_of_the_role_and_each_has_its_own_keys() {
        let mut sessions = Sessions::default();
        let scenario = Scenario::default();
        let first = sessions.issue(&request("qcs::cam::uin/42:roleName/x"), &scenario).expect("keys");
        let second = sessions.issue(&request("qcs::cam::uin/42:role/4611"), &scenario).expect("keys");
        assert_eq!(first.identity.account_id, "42");
        assert_eq!(
            (first.identity.user_id.as_str(), first.identity.principal_id.as_str()),
            ("x:session", "7")
        );
        assert_ne!((&first.secret_id, &first.token), (&second.secret_id, &second.token));
        assert_eq!(sessions.get(&first.secret_id).map(|session| session.is_valid(1_000)), Some(true));
        assert_eq!(sessions.get(&first.secret_id).map(|session| session.is_valid(8_200)), Some(false));
        sessions.revoke_all();
        assert_eq!(sessions.get(&second.secret_id).map(|session| session.is_valid(1_000)), Some(false));
    }

    #[test]
    fn an_invalid_role_arn_or_session_name_is_refused() {
        for arn in
            ["", "x", "qcs::cam::uin/42:user/x", "qcs::cam::uin/x:roleName/x", "qcs::cam::uin/42:roleName/"]
        {
            let refused = Sessions::default().issue(&request(arn), &Scenario::default());
            assert_eq!(
                refused.err().map(|refusal| refusal.code).as_deref(),
                Some("InvalidParameter"),
                "{arn}"
            );
        }
        for (name, valid) in
            [("ab", true), ("a", false), ("a b", false), ("a+=,.@_-b", true), (&"x".repeat(129), false)]
        {
            assert_eq!(is_session_name(name), valid, "{name}");
        }
    }
}
