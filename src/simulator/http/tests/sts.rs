//! STS and the metadata service over HTTP, and the requests that their keys authenticate.

use std::time::Duration;

use zeroize::Zeroizing;

use super::super::*;
use crate::cloud::credentials::{Credentials, Keyring};
use crate::cloud::endpoint::Endpoint;
use crate::cloud::http::HttpFleet;
use crate::cloud::network::Network;
use crate::cloud::signed::SignedClient;
use crate::cloud::sts::{
    ASSUME_ROLE, ASSUME_ROLE_WITH_WEB_IDENTITY, GET_CALLER_IDENTITY, Role, StsClient, WebIdentity,
};
use crate::cloud::{CallError, EngineKind, EnginePage, Fleet};
use crate::job::Region;
use crate::simulator::{METADATA, OK, Scenario, World};

const ROLE: Role<'_> = Role { arn: "qcs::cam::uin/42:roleName/fleet", session_name: "session" };

struct Served {
    simulator: Simulator,
    client: SignedClient,
    sts: StsClient,
    address: SocketAddr,
}

async fn served(scenario: &str) -> Served {
    let listener = bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let scenario = format!("latency: {{median: 0ms, max: 0ms}}\n{scenario}");
    let scenario = Scenario::parse(&scenario, "test").expect("a scenario");
    let simulator = Simulator::new(World::generated(1, 4, &Region::new("ap-guangzhou")), scenario);
    tokio::spawn(serve(listener, simulator.clone(), Keys::new("AKIDEXAMPLE", "SECRETEXAMPLE", None)));
    let endpoint: Endpoint = format!("http://{address}").parse().expect("an endpoint");
    let client = SignedClient::new(endpoint, &Network::default(), Duration::from_secs(20), Arc::default())
        .expect("a client");
    Served { simulator, sts: StsClient::new(client.clone(), None), client, address }
}

fn permanent() -> Credentials {
    Credentials::new("AKIDEXAMPLE".to_owned(), Zeroizing::new("SECRETEXAMPLE".to_owned()), None)
}

fn keyring(credentials: Credentials) -> Arc<Keyring> {
    Arc::new(Keyring::of(credentials, "a test"))
}

fn code<T>(result: Result<T, CallError>) -> String {
    match result {
        Ok(_) => OK.to_owned(),
        Err(CallError::Refused(refusal)) => refusal.code,
        Err(fault) => fault.to_string(),
    }
}

impl Served {
    /// The response code of a listing with these keys.
    async fn list(&self, keyring: &Arc<Keyring>) -> String {
        let fleet = HttpFleet::new(self.client.clone(), Arc::clone(keyring));
        let page = EnginePage { kind: EngineKind::ALL[0], offset: 0, limit: 100 };
        code(fleet.engines(&Region::new("ap-guangzhou"), page).await)
    }

    async fn get(&self, path: &str) -> (u16, String) {
        let client = reqwest::Client::builder().no_proxy().build().expect("a client");
        let response = client.get(format!("http://{}{path}", self.address)).send().await.expect("an answer");
        (response.status().as_u16(), response.text().await.expect("a body"))
    }
}

#[tokio::test]
async fn keys_of_a_role_are_accepted_until_they_expire_or_are_revoked() {
    let served = served("session_duration: 310s\n").await;
    let session = served.sts.assume_role(&permanent(), ROLE).await.expect("keys");
    let expires = session.expires().expect("a time");
    assert!((305..=310).contains(&(expires - Timestamp::now().as_second())));
    let session = keyring(session);
    assert_eq!(served.list(&session).await, OK);
    // the clock of the service counts; signatures are still valid
    served.simulator.step_clock(jiff::SignedDuration::from_secs(299));
    assert_eq!(served.list(&session).await, OK);
    let renewed = keyring(served.sts.assume_role(&permanent(), ROLE).await.expect("keys"));
    served.simulator.end_sessions();
    for ended in [&session, &renewed] {
        assert_eq!(served.list(ended).await, "AuthFailure.TokenFailure");
    }
    let last = keyring(served.sts.assume_role(&permanent(), ROLE).await.expect("keys"));
    assert_eq!(served.list(&last).await, OK, "only keys that were issued before are revoked");
}

#[tokio::test]
async fn expired_keys_of_a_role_are_refused_because_of_their_token() {
    let served = served("session_duration: 0s\n").await;
    let session = keyring(served.sts.assume_role(&permanent(), ROLE).await.expect("keys"));
    assert_eq!(served.list(&session).await, "AuthFailure.TokenFailure");
    assert_eq!(code(session.identity(&served.sts).await), "AuthFailure.TokenFailure");
}

#[tokio::test]
async fn each_caller_has_its_own_identity_and_a_role_can_assume_a_role() {
    let served = served("account: \"100000000007\"\n").await;
    let owner = keyring(permanent()).identity(&served.sts).await.expect("an identity");
    assert_eq!((owner.account_id.as_str(), owner.kind.as_deref()), ("100000000007", Some("CAMUser")));
    let session = served.sts.assume_role(&permanent(), ROLE).await.expect("keys");
    let other = Role { arn: "qcs::cam::uin/43:roleName/other", session_name: "session" };
    let chained = served.sts.assume_role(&session, other).await.expect("keys of another role");
    let caller = keyring(chained).identity(&served.sts).await.expect("an identity");
    assert_eq!((caller.account_id.as_str(), caller.principal_id.as_deref()), ("43", Some("42")));
    assert_eq!(caller.user_id.as_deref(), Some("other:session"));
}

#[tokio::test]
async fn only_a_complete_web_identity_request_is_accepted_unsigned() {
    let served = served("").await;
    let identity = |provider_id, token| WebIdentity { region: "ap-guangzhou", provider_id, token };
    let sts = &served.sts;
    let session = sts.assume_role_with_web_identity(&identity("oidc", "T"), ROLE).await.expect("keys");
    assert_eq!(served.list(&keyring(session)).await, OK);
    for wrong in [identity("", "T"), identity("oidc", " ")] {
        assert_eq!(code(sts.assume_role_with_web_identity(&wrong, ROLE).await), "InvalidParameter");
    }
    let no_role = Role { arn: "fleet", session_name: "session" };
    let refused = sts.assume_role_with_web_identity(&identity("oidc", "T"), no_role).await;
    assert_eq!(code(refused), "InvalidParameter");
    let stats = served.simulator.stats();
    assert_eq!(stats.answered(ASSUME_ROLE_WITH_WEB_IDENTITY, OK), 1);
    assert_eq!(stats.answered(ASSUME_ROLE_WITH_WEB_IDENTITY, "InvalidParameter"), 3);
    for action in [ASSUME_ROLE, GET_CALLER_IDENTITY, crate::cloud::SWITCH] {
        let client = reqwest::Client::builder().no_proxy().build().expect("a client");
        let request = client
            .post(format!("http://{}/", served.address))
            .header("authorization", "SKIP")
            .header("x-tc-action", action)
            .header("x-tc-version", crate::cloud::sts::API_VERSION)
            .header("x-tc-timestamp", Timestamp::now().as_second().to_string());
        let body = request.send().await.expect("an answer").text().await.expect("a body");
        assert!(body.contains("AuthFailure.InvalidAuthorization"), "{action}: {body}");
    }
}

#[tokio::test]
async fn the_metadata_service_returns_the_keys_of_the_instance_role() {
    let path = "/latest/meta-data/cam/security-credentials/";
    assert_eq!(served("").await.get(path).await.0, 404, "no role is bound");
    let served = served("instance_role: fleet\nsession_duration: 600s\n").await;
    assert_eq!(served.get(path).await, (200, "fleet".to_owned()));
    assert_eq!(served.get(&format!("{path}another")).await.0, 404);
    let (status, body) = served.get(&format!("{path}fleet")).await;
    let answer: serde_json::Value = serde_json::from_str(&body).expect("JSON");
    assert_eq!((status, answer["Code"].as_str()), (200, Some("Success")));
    let field = |name: &str| answer[name].as_str().expect(name).to_owned();
    let token = Some(Zeroizing::new(field("Token")));
    let keys = Credentials::new(field("TmpSecretId"), Zeroizing::new(field("TmpSecretKey")), token);
    assert_eq!(served.list(&keyring(keys)).await, OK);
    let counted = served.simulator.stats();
    assert_eq!((counted.answered(METADATA, OK), counted.answered(METADATA, "http-404")), (2, 1));
}

#[tokio::test]
async fn a_fault_rule_can_apply_to_an_action_of_sts() {
    let served = served("faults: [{fault: InternalError, action: AssumeRole}]\n").await;
    assert_eq!(code(served.sts.assume_role(&permanent(), ROLE).await), "InternalError");
    assert_eq!(code(keyring(permanent()).identity(&served.sts).await), OK);
}
