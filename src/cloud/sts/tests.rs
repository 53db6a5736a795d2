//! STS against a scripted server: requests, results, and no secret in any error.

use std::time::Duration;

use proptest::prelude::{prop_assert, proptest};

use super::*;
use crate::cloud::credentials::Keyring;
use crate::cloud::faulty_server::{Received, Reply, Server};
use crate::cloud::network::Network;
use crate::cloud::sign::Signable;

const ROLE: Role<'_> = Role { arn: "qcs::cam::uin/100000000001:roleName/fleet", session_name: "night" };
const IDENTITY: WebIdentity<'_> =
    WebIdentity { region: "ap-beijing", provider_id: "tke-oidc", token: "PRIVATE-WEB-TOKEN" };
const KEYS: &str = r#"{"Response":{"Credentials":{"Token":"PRIVATE-TOKEN","TmpSecretId":"AKID-TMP",
    "TmpSecretKey":"PRIVATE-KEY"},"ExpiredTime":1790000000,"Expiration":"2026-09-21T14:13:20Z","RequestId":"r-1"}}"#;

fn keys() -> Credentials {
    Credentials::new("AKIDEXAMPLE".to_owned(), Zeroizing::new("SECRETEXAMPLE".to_owned()), None)
}

fn sts(server: &Server) -> (StsClient, Arc<ServiceClock>) {
    let clock = Arc::<ServiceClock>::default();
    let endpoint = server.url().parse().expect("an endpoint");
    let client =
        SignedClient::new(endpoint, &Network::default(), Duration::from_secs(20), Arc::clone(&clock))
            .expect("a client");
    (StsClient::new(client, None), clock)
}

fn header<'a>(received: &'a Received, name: &str) -> &'a str {
    received.header(name).expect(name)
}

fn refused(code: &str, message: &str) -> Reply {
    Reply::json(&format!(
        r#"{{"Response":{{"Error":{{"Code":"{code}","Message":"{message}"}},"RequestId":"r-9"}}}}"#
    ))
}

#[tokio::test]
async fn a_role_is_requested_with_a_signature_for_sts_and_its_keys_have_an_expiry() {
    let server = Server::start([Reply::json(KEYS)]).await;
    let session = sts(&server).0.assume_role(&keys(), ROLE).await.expect("keys");
    assert_eq!((session.secret_id(), session.secret_key()), ("AKID-TMP", "PRIVATE-KEY"));
    assert_eq!((session.token(), session.expires()), (Some("PRIVATE-TOKEN"), Some(1_790_000_000)));
    let received = server.received().remove(0);
    for (name, value) in [
        ("x-tc-action", "AssumeRole"),
        ("x-tc-version", "2018-08-13"),
        ("x-tc-region", "ap-guangzhou"),
        ("content-type", "application/json"),
    ] {
        assert_eq!(header(&received, name), value);
    }
    let headers = [("content-type", "application/json"), ("host", header(&received, "host"))];
    let timestamp = header(&received, "x-tc-timestamp").parse().expect("seconds");
    let signable = Signable { service: "sts", headers: &headers, body: &received.body, timestamp };
    let expected = signable.authorization("AKIDEXAMPLE", "SECRETEXAMPLE");
    assert_eq!(header(&received, "authorization"), expected);
    assert_eq!(
        String::from_utf8_lossy(&received.body),
        r#"{"RoleArn":"qcs::cam::uin/100000000001:roleName/fleet","RoleSessionName":"night","DurationSeconds":7200}"#
    );
}

#[tokio::test]
async fn a_web_identity_is_sent_unsigned_and_in_its_own_region() {
    let server = Server::start([Reply::json(KEYS)]).await;
    let session = sts(&server).0.assume_role_with_web_identity(&IDENTITY, ROLE).await.expect("keys");
    assert_eq!(session.secret_id(), "AKID-TMP");
    let received = server.received().remove(0);
    assert_eq!(header(&received, "authorization"), "SKIP");
    assert_eq!(header(&received, "x-tc-region"), "ap-beijing");
    assert_eq!(received.header("x-tc-token"), None);
    let body = String::from_utf8_lossy(&received.body);
    assert!(
        body.starts_with(r#"{"ProviderId":"tke-oidc","WebIdentityToken":"PRIVATE-WEB-TOKEN","#),
        "{body}"
    );
}

#[tokio::test]
async fn the_caller_is_identified_and_a_response_without_an_account_is_unreadable() {
    let caller = r#"{"Response":{"Arn":"qcs::cam::uin/1:uin/2","AccountId":"1","UserId":"2","PrincipalId":"2",
        "Type":"CAMUser","RequestId":"r"}}"#;
    let bare = r#"{"Response":{"Arn":"qcs::cam::uin/1:uin/2","AccountId":"","RequestId":"r"}}"#;
    let server = Server::start([Reply::json(caller), Reply::json(bare)]).await;
    let keyring = Arc::new(Keyring::of(keys(), "a test"));
    let (sts, _) = sts(&server);
    let identity = keyring.identity(&sts).await.expect("an identity");
    let expected = CallerIdentity {
        account_id: "1".into(),
        arn: "qcs::cam::uin/1:uin/2".into(),
        user_id: Some("2".into()),
        principal_id: Some("2".into()),
        kind: Some("CAMUser".into()),
    };
    assert_eq!(identity, expected);
    assert!(matches!(keyring.identity(&sts).await, Err(CallError::NoResponse { .. })));
    assert_eq!(String::from_utf8_lossy(&server.received()[0].body), "{}");
}

/// The response of a service whose clock is ten minutes ahead, which refuses the time of a signature.
fn expired(message: &str) -> String {
    let late = jiff::Timestamp::now() + jiff::SignedDuration::from_mins(10);
    let body = format!(
        r#"{{"Response":{{"Error":{{"Code":"AuthFailure.SignatureExpire","Message":"{message}"}},"RequestId":"r"}}}}"#
    );
    let date = late.strftime("%a, %d %b %Y %H:%M:%S GMT");
    format!("HTTP/1.1 200 OK\r\ndate: {date}\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

#[tokio::test]
async fn a_refused_time_corrects_the_clock_and_the_call_is_repeated_once() {
    let expired = || Reply::Bytes(expired("m").into_bytes());
    let server = Server::start([expired(), Reply::json(KEYS), expired(), expired()]).await;
    let (sts, clock) = sts(&server);
    assert!(sts.assume_role(&keys(), ROLE).await.is_ok());
    assert!((598..=602).contains(&clock.ahead()), "{}", clock.ahead());
    assert!(sts.assume_role(&keys(), ROLE).await.is_err(), "not a third time");
    assert_eq!(server.received().len(), 4);
}

#[tokio::test]
async fn no_error_shows_a_secret_of_request_or_response() {
    let half = KEYS.replace("ExpiredTime", "Expired");
    let cut = &KEYS[..KEYS.len() / 2];
    let no_key = KEYS.replace("PRIVATE-KEY", "");
    for reply in [
        Reply::json(&half),
        Reply::json(cut),
        Reply::json(&no_key),
        Reply::http("502 Bad Gateway", "text/html", "<html>PRIVATE-WEB-TOKEN SECRETEXAMPLE</html>"),
        refused("AuthFailure", "the token PRIVATE-WEB-TOKEN and AKIDEXAMPLE are not accepted"),
        refused("Bad.PRIVATE-WEB-TOKEN", "and SECRETEXAMPLE"),
        Reply::Bytes(expired("PRIVATE-WEB-TOKEN and SECRETEXAMPLE").into_bytes()),
        Reply::End,
    ] {
        let server = Server::start([reply.clone(), reply]).await;
        let (sts, _) = sts(&server);
        let web = sts.assume_role_with_web_identity(&IDENTITY, ROLE).await.expect_err("an error");
        // the service cannot repeat a web token that it was not sent
        let signed = sts.assume_role(&keys(), ROLE).await.expect_err("an error");
        let told = format!("{signed} {signed:?}").replace("PRIVATE-WEB-TOKEN", "");
        let shown = format!("{web} {web:?} {:?}", StsFailure::of(&web, "d", "u"));
        // nor can it repeat keys where nothing is signed
        for (told, secret) in [(&shown, "PRIVATE"), (&told, "PRIVATE"), (&told, "SECRETEXAMPLE")] {
            assert!(!told.contains(secret), "{secret} in {told}");
        }
    }
}

#[tokio::test]
async fn a_refusal_is_described_with_code_message_request_id_and_remedy() {
    for (code, remedy, is_transient) in [
        ("AuthFailure.UnauthorizedOperation", "denied", false),
        ("UnauthorizedOperation.Whatever", "denied", false),
        ("InvalidParameter.RoleNotExist", "rejected", false),
        ("ResourceNotFound.RoleNotFound", "rejected", false),
        ("AuthFailure.SecretIdNotFound", look_up("AuthFailure.SecretIdNotFound").remedy, false),
        ("InternalError.DbError", look_up("InternalError").remedy, true),
        ("RequestLimitExceeded", look_up("RequestLimitExceeded").remedy, true),
    ] {
        let server = Server::start([refused(code, "said\\nso")]).await;
        let error = sts(&server).0.assume_role(&keys(), ROLE).await.expect_err("a refusal");
        let failure = StsFailure::of(&error, "denied", "rejected");
        assert_eq!((failure.remedy.as_str(), failure.is_transient), (remedy, is_transient), "{code}");
        assert!(failure.cause.ends_with(&format!("({code}: said\\nso, RequestId r-9)")), "{}", failure.cause);
    }
    let unsent = StsFailure::of(&CallError::NotSent { cause: "connection refused".into() }, "d", "u");
    assert!(
        unsent.is_transient && unsent.cause.contains("connection refused") && unsent.remedy.contains("proxy")
    );
    let keys: CallError = CredentialsError::Absent { searched: Vec::new() }.into();
    assert!(StsFailure::of(&keys, "d", "u").cause.contains("TENCENTCLOUD_SECRET_ID"));
}

proptest! {
    #[test]
    fn any_response_gives_an_account_or_complete_keys_or_an_error(
        text in r#"[\[{]?("(AccountId|Arn|Type|Credentials|Token|TmpSecretId|TmpSecretKey|ExpiredTime)":?|[{}\[\],:]|"[a-z]{0,3}"|-?[0-9]{1,20}|null){0,16}"#,
        account in "[a-z]{0,2}",
        token in "[a-z]{0,2}",
    ) {
        let whole = format!(
            r#"{{"AccountId":"{account}","Arn":"a","ExpiredTime":1,"Credentials":{{"Token":"{token}","TmpSecretId":"i","TmpSecretKey":"k"}}}}"#
        );
        for text in [text, whole] {
            if let Ok(response) = serde_json::from_str::<IdentityResponse>(&text)
                && let Ok(identity) = response.into_identity(&keys())
            {
                prop_assert!(!identity.account_id.is_empty() && !identity.arn.is_empty());
            }
            if let Ok(response) = serde_json::from_str::<SessionResponse>(&text)
                && let Ok(keys) = response.into_credentials()
            {
                prop_assert!(!keys.secret_id().is_empty() && !keys.secret_key().is_empty());
                prop_assert!(keys.token().is_some_and(|token| !token.is_empty()) && keys.expires().is_some());
            }
        }
    }
}
