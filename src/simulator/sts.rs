//! STS as the simulator plays it: who is calling, temporary keys for roles, and for how long they are good.

use std::collections::BTreeMap;
use std::fmt;

use super::random::dice;
use super::scenario::Scenario;
use super::world::Objection;

/// The account where a scenario names none.
pub(super) const ACCOUNT: &str = "100000000001";

/// Calls of `AssumeRole` that one second lets through (document 1081/48197); the scenario's limit stands for the others.
pub(super) const ASSUME_ROLE_LIMIT: u32 = 600;

/// Seconds that keys of a role last where nobody says, and at most (document 1081/48197).
const LASTS: (i64, i64) = (7_200, 43_200);

/// Who is calling, in the shape of the answer of `GetCallerIdentity` (document 1312/66098).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Identity {
    pub(super) arn: String,
    pub(super) account_id: String,
    pub(super) user_id: String,
    pub(super) principal_id: String,
    pub(super) kind: &'static str,
}

/// What a call of `AssumeRole` or its sister asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RoleWanted {
    pub(super) arn: String,
    pub(super) session_name: String,
    pub(super) seconds: Option<i64>,
    /// The account on whose behalf it is asked.
    pub(super) principal_id: String,
    /// The service's time, in Unix seconds.
    pub(super) now: i64,
}

/// Temporary keys. Not `Debug`, so that no log can hold them.
#[derive(Clone)]
pub(super) struct Session {
    pub(super) secret_id: String,
    pub(super) secret_key: String,
    pub(super) token: String,
    /// Unix seconds.
    pub(super) expires: i64,
    pub(super) identity: Identity,
    ended: bool,
}

impl Session {
    /// Whether its token is accepted at this time.
    pub(super) fn is_good(&self, now: i64) -> bool {
        !self.ended && now < self.expires
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Session").field("identity", &self.identity).finish_non_exhaustive()
    }
}

/// Every pair of temporary keys that was handed out, by `SecretId`.
#[derive(Debug, Default)]
pub(super) struct Sessions {
    handed_out: BTreeMap<String, Session>,
}

impl Sessions {
    pub(super) fn get(&self, secret_id: &str) -> Option<&Session> {
        self.handed_out.get(secret_id)
    }

    /// Whatever of them must never show: each `SecretId`, secret key and token.
    pub(super) fn secrets(&self) -> impl Iterator<Item = &str> {
        let sessions = self.handed_out.values();
        sessions
            .flat_map(|session| [&session.secret_id, &session.secret_key, &session.token])
            .map(String::as_str)
    }

    /// No token that was handed out so far is accepted any more, as when an administrator revokes them.
    pub(super) fn end_all(&mut self) {
        for session in self.handed_out.values_mut() {
            session.ended = true;
        }
    }

    /// Hands out keys for a role.
    pub(super) fn hand_out(
        &mut self,
        wanted: &RoleWanted,
        scenario: &Scenario,
    ) -> Result<Session, Objection> {
        let (account, role) = role_of(&wanted.arn).ok_or_else(|| {
            let what = format!("RoleArn {} is not the name of a role", wanted.arn);
            Objection::new("InvalidParameter", what)
        })?;
        if !is_session_name(&wanted.session_name) {
            return Err(Objection::new(
                "InvalidParameter",
                "RoleSessionName is too short, too long or strange",
            ));
        }
        let (usual, most) = LASTS;
        let asked = wanted.seconds.unwrap_or(usual);
        if !(1..=most).contains(&asked) {
            return Err(Objection::new("InvalidParameter", "DurationSeconds is out of range"));
        }
        let lasts = scenario.session_duration.map_or(asked, |lasts| lasts.as_secs().cast_signed());
        let number = u64::try_from(self.handed_out.len()).unwrap_or(u64::MAX);
        let mut dice = dice(scenario.seed, &["session"], number);
        let mut letters =
            |count| std::iter::repeat_with(|| dice.alphanumeric()).take(count).collect::<String>();
        let session = Session {
            secret_id: format!("AKID{}", letters(60)),
            secret_key: letters(44),
            token: letters(400),
            expires: wanted.now.saturating_add(lasts),
            identity: Identity {
                arn: format!("qcs::sts:{account}:assumed-role/{role}"),
                account_id: account.to_owned(),
                user_id: format!("{role}:{}", wanted.session_name),
                principal_id: wanted.principal_id.clone(),
                kind: "CAMRole",
            },
            ended: false,
        };
        self.handed_out.insert(session.secret_id.clone(), session.clone());
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

/// The scenario's account.
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

/// 2 to 128 of letters, digits and `+=,.@_-` (document 1081/48197).
fn is_session_name(name: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"+=,.@_-".contains(&byte);
    (2..=128).contains(&name.len()) && name.bytes().all(fits)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(arn: &str) -> RoleWanted {
        RoleWanted {
            arn: arn.to_owned(),
            session_name: "night".to_owned(),
            seconds: None,
            principal_id: "7".to_owned(),
            now: 1_000,
        }
    }

    fn lasting(seconds: Option<i64>, scenario: &str) -> Result<i64, String> {
        let scenario = Scenario::parse(scenario, "test").expect("a scenario");
        let wanted = RoleWanted { seconds, ..wanted("qcs::cam::uin/42:roleName/x") };
        let session = Sessions::default().hand_out(&wanted, &scenario);
        session.map(|session| session.expires - 1_000).map_err(|objection| objection.code)
    }

    #[test]
    fn keys_last_as_long_as_is_asked_for_unless_the_scenario_says_otherwise() {
        assert_eq!(lasting(None, ""), Ok(7_200));
        assert_eq!(lasting(Some(900), ""), Ok(900));
        assert_eq!(lasting(Some(43_201), ""), Err("InvalidParameter".to_owned()));
        assert_eq!(lasting(Some(0), ""), Err("InvalidParameter".to_owned()));
        assert_eq!(lasting(Some(900), "session_duration: 310s"), Ok(310));
    }

    #[test]
    fn a_session_belongs_to_the_account_of_the_role_and_no_two_are_alike() {
        let mut sessions = Sessions::default();
        let scenario = Scenario::calm();
        let first = sessions.hand_out(&wanted("qcs::cam::uin/42:roleName/x"), &scenario).expect("keys");
        let second = sessions.hand_out(&wanted("qcs::cam::uin/42:role/4611"), &scenario).expect("keys");
        assert_eq!(first.identity.account_id, "42");
        assert_eq!((first.identity.user_id.as_str(), first.identity.principal_id.as_str()), ("x:night", "7"));
        assert_ne!((&first.secret_id, &first.token), (&second.secret_id, &second.token));
        assert_eq!(sessions.get(&first.secret_id).map(|session| session.is_good(1_000)), Some(true));
        assert_eq!(sessions.get(&first.secret_id).map(|session| session.is_good(8_200)), Some(false));
        sessions.end_all();
        assert_eq!(sessions.get(&second.secret_id).map(|session| session.is_good(1_000)), Some(false));
    }

    #[test]
    fn what_is_no_role_or_no_name_of_a_session_is_refused() {
        for arn in
            ["", "x", "qcs::cam::uin/42:user/x", "qcs::cam::uin/x:roleName/x", "qcs::cam::uin/42:roleName/"]
        {
            let refused = Sessions::default().hand_out(&wanted(arn), &Scenario::calm());
            assert_eq!(
                refused.err().map(|objection| objection.code).as_deref(),
                Some("InvalidParameter"),
                "{arn}"
            );
        }
        for (name, good) in
            [("ab", true), ("a", false), ("a b", false), ("a+=,.@_-b", true), (&"x".repeat(129), false)]
        {
            assert_eq!(is_session_name(name), good, "{name}");
        }
    }
}
