//! Roles that are assumed, chained and refused, and a base that is renewed first.

use super::super::fixtures::{EXPIRES, UNUSED_ADDRESS, actions, find_among, refusal, session, sts_at};
use super::super::{Environment, WantedRole, find};
use super::*;
use crate::cloud::faulty_server::{Reply, Server};

const KEYS: [(&str, &str); 2] =
    [("TENCENTCLOUD_SECRET_ID", "AKID-BASE"), ("TENCENTCLOUD_SECRET_KEY", "PRIVATE-BASE")];
const ARN: &str = "qcs::cam::uin/42:roleName/fleet";

async fn fetch(source: &dyn Source) -> Result<Credentials, CredentialsError> {
    source.fetch(&ServiceClock::default()).await
}

fn bodies(server: &Server) -> Vec<String> {
    server.received().iter().map(|received| String::from_utf8_lossy(&received.body).into_owned()).collect()
}

/// Who signed each request.
fn signers(server: &Server) -> Vec<String> {
    let signer = |received: &crate::cloud::faulty_server::Received| {
        let header = received.header("authorization").expect("a signature");
        header.split(['=', '/']).nth(1).expect("an id").to_owned()
    };
    server.received().iter().map(signer).collect()
}

#[tokio::test]
async fn a_role_in_the_environment_is_assumed_with_its_keys_at_each_renewal() {
    let server = Server::start([session(1), session(2)]).await;
    let variables = [&KEYS[..], &[(ROLE_ARNS[0], ARN), (ROLE_SESSION_NAMES[0], "night")]].concat();
    let source = find_among(&variables, &server.url(), None).expect("a source");
    assert!(source.is_renewable());
    for name in [ARN, "TENCENTCLOUD_SECRET_ID"] {
        assert!(source.name().contains(name), "{}", source.name());
    }
    for id in ["id-1", "id-2"] {
        let keys = fetch(&*source).await.expect("keys");
        assert_eq!((keys.secret_id(), keys.expires()), (id, Some(EXPIRES)));
    }
    assert_eq!(actions(&server), ["AssumeRole"; 2]);
    assert_eq!(signers(&server), ["AKID-BASE"; 2]);
    assert!(bodies(&server)[0].contains(r#""RoleSessionName":"night""#));
}

#[tokio::test]
async fn the_command_line_has_precedence_over_the_environment_and_a_session_always_has_a_name() {
    let with_both = [(ROLE_ARNS[0], ARN), (ROLE_SESSION_NAMES[0], "night")];
    let wanted = |session_name: Option<&str>| {
        Some(WantedRole {
            arn: "qcs::cam::uin/42:roleName/flag".into(),
            session_name: session_name.map(Into::into),
        })
    };
    for (variables, role, arn, name) in [
        (&with_both[..], wanted(Some("typed")), "flag", "typed"),
        (&with_both, wanted(None), "flag", "night"),
        (&with_both[..1], None, "fleet", "dlc-fleet"),
        (&[(ROLE_ARNS[0], ""), (ROLE_SESSION_NAMES[0], "night")], wanted(None), "flag", "night"),
        // as Terraform calls them
        (&[(ROLE_ARNS[1], ARN), (ROLE_SESSION_NAMES[1], "terraform")], None, "fleet", "terraform"),
    ] {
        let server = Server::start([session(1)]).await;
        let source = find_among(&[&KEYS[..], variables].concat(), &server.url(), role).expect("a source");
        fetch(&*source).await.expect("keys");
        let expected = format!(r#"roleName/{arn}","RoleSessionName":"{name}""#);
        assert!(bodies(&server)[0].contains(&expected), "{expected}: {:?}", bodies(&server));
    }
}

#[tokio::test]
async fn the_profile_flag_excludes_the_role_of_the_environment() {
    let variables = [&KEYS[..], &[(ROLE_ARNS[0], ARN)]].concat();
    let variable = |wanted: &str| {
        variables.iter().find(|(name, _)| *name == wanted).map(|(_, value)| (*value).to_owned())
    };
    let home = tempfile::tempdir().expect("a folder");
    std::fs::create_dir(home.path().join(".tccli")).expect("a folder");
    let file = home.path().join(".tccli/night.credential");
    std::fs::write(&file, r#"{"secretId": "AKID-NIGHT", "secretKey": "PRIVATE-NIGHT"}"#).expect("written");
    for (profile, assumes) in [(Some("night".to_owned()), false), (None, true)] {
        let environment = Environment::new(&variable, Some(home.path().to_owned()), profile);
        let source = find(&environment, None, &sts_at(UNUSED_ADDRESS)).expect("a source");
        assert_eq!(source.name().contains("role"), assumes, "{}", source.name());
        let warned = environment.warnings().concat();
        assert_eq!(warned.contains("TENCENTCLOUD_ROLE_ARN is set but ignored"), !assumes, "{warned}");
    }
}

#[tokio::test]
async fn roles_are_chained_by_assuming_one_from_another() {
    let server = Server::start([session(1), session(2), session(3)]).await;
    let variables = [&KEYS[..], &[(ROLE_ARNS[0], ARN)]].concat();
    let first = find_among(&variables, &server.url(), None).expect("a source");
    let second = AssumedRole::new(first, "arn-2".into(), "night".into(), sts_at(&server.url()));
    let keys = fetch(&second).await.expect("keys");
    assert_eq!(keys.secret_id(), "id-2");
    let repeated = keys.redact("AKID-BASE id-1 PRIVATE-T1 PRIVATE-T2");
    assert_eq!(repeated, "[redacted] [redacted] [redacted] [redacted]", "secrets that were sent before");
    assert_eq!(fetch(&second).await.expect("keys").secret_id(), "id-3");
    assert_eq!(signers(&server), ["AKID-BASE", "id-1", "id-1"], "the first session is still valid");
    let token = |number: usize| server.received()[number].header("x-tc-token").map(str::to_owned);
    assert_eq!((token(0), token(1)), (None, Some("PRIVATE-T1".to_owned())));
}

#[tokio::test]
async fn a_base_whose_token_is_refused_is_renewed_once() {
    let expired = || refusal("AuthFailure.TokenFailure");
    let replies = [session(1), expired(), session(2), session(3), expired(), session(4), expired()];
    let server = Server::start(replies).await;
    let variables = [&KEYS[..], &[(ROLE_ARNS[0], ARN)]].concat();
    let first = find_among(&variables, &server.url(), None).expect("a source");
    let second = AssumedRole::new(first, "arn-2".into(), "night".into(), sts_at(&server.url()));
    assert_eq!(fetch(&second).await.expect("keys").secret_id(), "id-3");
    let error = fetch(&second).await.expect_err("refused twice");
    assert!(error.to_string().contains("AuthFailure.TokenFailure") && !error.is_transient(), "{error}");
    assert_eq!(server.received().len(), 7);
}

#[tokio::test]
async fn a_failed_assumption_names_role_source_cause_and_remedy_and_no_secret() {
    for (reply, said, is_transient) in [
        (refusal("AuthFailure.UnauthorizedOperation"), "grant sts:AssumeRole", false),
        (refusal("InvalidParameter.RoleNotExist"), "check the ARN", false),
        (refusal("InternalError"), "run the same command again later", true),
        (Reply::End, "check the network", true),
        (Reply::http("502 Bad Gateway", "text/html", "<html>PRIVATE-BASE PRIVATE</html>"), "HTTP 502", true),
    ] {
        let server = Server::start([reply]).await;
        let keys = [("TENCENTCLOUD_TOKEN", "PRIVATE-TOKEN"), KEYS[0], KEYS[1], (ROLE_ARNS[0], ARN)];
        let source = find_among(&keys, &server.url(), None).expect("a source");
        let error = fetch(&*source).await.expect_err("no keys");
        let shown = format!("{error} {error:?}");
        for expected in [ARN, "TENCENTCLOUD_SECRET_ID", said] {
            assert!(shown.contains(expected), "{expected}: {shown}");
        }
        assert_eq!(error.is_transient(), is_transient, "{shown}");
        assert!(!shown.contains("PRIVATE") && !shown.contains("AKID-BASE"), "{shown}");
    }
}
