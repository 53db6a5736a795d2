//! The simulator over HTTP, as a client on a socket sees it.

use std::time::Duration;

use serde_json::Value;
use tokio::io::AsyncReadExt;

use super::super::fault::documented_codes;
use super::super::scenario::Scenario;
use super::super::world::World;
use super::*;
use crate::cloud::sign::Signable;
use crate::cloud::{API_VERSION, LIST_ENGINES, LIST_IMAGES, SWITCH};
use crate::job::{DataEngineId, ImageVersionId, JobKey, Region};

mod sts;

/// A simulator on a port of its own; dropping it ends it.
struct Served {
    address: SocketAddr,
    simulator: Simulator,
    client: reqwest::Client,
    task: tokio::task::JoinHandle<io::Result<Infallible>>,
}

impl Drop for Served {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn keys() -> Keys {
    Keys::new("AKIDEXAMPLE", "SECRETEXAMPLE", None)
}

fn key(engine: &str) -> JobKey {
    JobKey {
        region: Region::new("ap-guangzhou"),
        data_engine_id: DataEngineId::new(engine),
        new_image_version_id: ImageVersionId::new("target"),
    }
}

fn scenario(rest: &str) -> Scenario {
    let text = format!("latency: {{median: 0ms, max: 0ms}}\n{rest}");
    Scenario::parse(&text, "scenario.yaml").expect("a scenario")
}

async fn start(world: World, scenario: Scenario) -> Served {
    let listener = bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let simulator = Simulator::new(world, scenario);
    let task = tokio::spawn(serve(listener, simulator.clone(), keys()));
    let client =
        reqwest::Client::builder().no_proxy().retry(reqwest::retry::never()).build().expect("a client");
    Served { address, simulator, client, task }
}

/// One engine and one rule.
async fn rule(rule: &str) -> Served {
    let world = World::holding(1, &[(key("DataEngine-a"), false)]);
    start(world, scenario(&format!("faults: [{{{rule}}}]"))).await
}

impl Served {
    fn request(&self, action: &str, body: &str, timestamp: i64) -> reqwest::RequestBuilder {
        let host = self.address.to_string();
        let headers = [("content-type", JSON), ("host", host.as_str())];
        let signable = Signable { service: "dlc", headers: &headers, body: body.as_bytes(), timestamp };
        self.client
            .post(format!("http://{host}/"))
            .header("content-type", JSON)
            .header("authorization", signable.authorization("AKIDEXAMPLE", "SECRETEXAMPLE"))
            .header("x-tc-action", action)
            .header("x-tc-version", API_VERSION)
            .header("x-tc-timestamp", timestamp.to_string())
            .header("x-tc-region", "ap-guangzhou")
            .body(body.to_owned())
    }

    async fn send(&self, action: &str, body: &str) -> reqwest::Result<reqwest::Response> {
        self.request(action, body, Timestamp::now().as_second()).send().await
    }

    async fn ask(&self, action: &str, body: &str) -> Value {
        let text = self.send(action, body).await.expect("a response").text().await.expect("a body");
        serde_json::from_str(&text).expect("JSON")
    }

    async fn switch(&self) -> reqwest::Result<reqwest::Response> {
        self.send(SWITCH, r#"{"DataEngineId":"DataEngine-a","NewImageVersionId":"target"}"#).await
    }
}

fn code(answer: &Value) -> &str {
    answer["Response"]["Error"]["Code"].as_str().unwrap_or("ok")
}

/// Everything an error says, its causes included.
fn causes(error: &reqwest::Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

#[tokio::test]
async fn the_simulator_listens_only_on_loopback() {
    let error = bind(SocketAddr::from(([0, 0, 0, 0], 0))).await.expect_err("a refusal");
    assert!(error.to_string().contains("use a loopback address"), "{error}");
    let listener = TcpListener::bind("0.0.0.0:0").await.expect("a port");
    let simulator = Simulator::new(World::generated(1, 0, &Region::new("ap-guangzhou")), Scenario::default());
    assert!(serve(listener, simulator, keys()).await.is_err());
    assert!(
        bind("[::1]:0".parse().expect("an address"))
            .await
            .is_ok_and(|listener| listener.local_addr().is_ok())
    );
}

#[tokio::test]
async fn a_switch_gets_a_json_response_with_a_request_id_and_a_date() {
    let served = start(World::holding(1, &[(key("DataEngine-a"), false)]), scenario("")).await;
    let response = served.switch().await.expect("a response");
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["content-type"], JSON);
    let date = response.headers()["date"].to_str().expect("text").to_owned();
    let date = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(&date).expect(&date);
    assert!(date.duration_since(Timestamp::now()).abs() < jiff::SignedDuration::from_secs(3));
    let answer: Value = serde_json::from_str(&response.text().await.expect("a body")).expect("JSON");
    assert_eq!(answer["Response"].as_object().map(serde_json::Map::len), Some(1));
    assert_eq!(answer["Response"]["RequestId"].as_str().map(str::len), Some(36));
    assert_eq!(served.simulator.stats().applied, 1);
}

#[tokio::test]
async fn every_documented_code_can_be_a_fault() {
    let mut count = 0;
    for wanted in documented_codes() {
        let served = rule(&format!("fault: {wanted}, times: 1")).await;
        let response = served.switch().await.expect("a response");
        assert_eq!(response.status(), 200, "{wanted}");
        let answer: Value = serde_json::from_str(&response.text().await.expect("a body")).expect("JSON");
        assert_eq!(code(&answer), wanted);
        assert!(answer["Response"]["RequestId"].is_string(), "{wanted}");
        assert_eq!(served.simulator.stats().answered(SWITCH, wanted), 1);
        count += 1;
    }
    assert!(count > 60, "{count}");
}

#[tokio::test]
async fn each_connection_fault_ends_the_connection_in_its_own_way() {
    for (fault, applied) in [
        ("no-connection", 0),
        ("no-connection, action: any", 0),
        ("reset-before-reading", 0),
        ("reset-after-reading", 1),
        ("close-after-reading", 1),
    ] {
        let served = rule(&format!("fault: {fault}")).await;
        let error = served.switch().await.expect_err(fault);
        let causes = causes(&error).to_lowercase();
        let is_reset = causes.contains("reset");
        match fault {
            "reset-before-reading" | "reset-after-reading" => assert!(is_reset, "{fault}: {causes}"),
            // closing a socket that holds unread bytes resets it, so either may be seen
            "no-connection, action: any" => {}
            _ => assert!(causes.contains("closed before message completed"), "{fault}: {causes}"),
        }
        assert_eq!(served.simulator.stats().applied, applied, "{fault}");
    }
}

#[tokio::test]
async fn the_fault_no_response_sends_no_response() {
    let served = rule("fault: no-response").await;
    let request = served.request(
        SWITCH,
        r#"{"DataEngineId":"DataEngine-a","NewImageVersionId":"target"}"#,
        Timestamp::now().as_second(),
    );
    let error = request.timeout(Duration::from_millis(300)).send().await.expect_err("a time-out");
    assert!(error.is_timeout(), "{error}");
    assert_eq!(served.simulator.stats().applied, 1);
}

#[tokio::test]
async fn each_response_fault_damages_the_response_in_its_own_way() {
    for (fault, status, content_type) in [
        ("http-502", 502, "text/html"),
        ("http-504", 504, "text/html"),
        ("html", 200, "text/html"),
        ("truncated", 200, JSON),
        ("empty", 200, JSON),
        ("wrong-content-type", 200, "text/"),
    ] {
        let served = rule(&format!("fault: {fault}")).await;
        let response = served.switch().await.expect("a response");
        assert_eq!(response.status(), status, "{fault}");
        let ours = response.headers()["content-type"].to_str().expect("text").to_owned();
        assert!(ours.starts_with(content_type), "{fault}: {ours}");
        let body = response.text().await.expect("a body");
        let is_json = serde_json::from_str::<Value>(&body).is_ok();
        assert_eq!(is_json, fault == "wrong-content-type", "{fault}: {body}");
        assert_eq!(body.is_empty(), fault == "empty");
        assert_eq!(
            body.starts_with("{\"Response\""),
            matches!(fault, "truncated" | "wrong-content-type"),
            "{fault}"
        );
    }
}

#[tokio::test]
async fn no_connection_for_all_actions_also_closes_connections_of_reads() {
    let served = rule("fault: no-connection, action: any, until: 1s").await;
    assert!(
        served.ask(LIST_ENGINES, "{}").await["Response"]["TotalCount"].is_u64(),
        "the rule starts at the first switch"
    );
    assert!(served.switch().await.is_err());
    assert!(served.send(LIST_ENGINES, "{}").await.is_err());
    // a client that sends nothing is disconnected as well
    let mut silent = TcpStream::connect(served.address).await.expect("a connection");
    let read = tokio::time::timeout(Duration::from_millis(500), silent.read(&mut [0; 16])).await;
    assert!(matches!(read, Ok(Ok(0) | Err(_))), "{read:?}");
    sleep(Duration::from_millis(1_100)).await;
    assert_eq!(code(&served.ask(LIST_ENGINES, "{}").await), "ok");
}

#[tokio::test]
async fn authentication_comes_before_fault_rules() {
    let served = rule("fault: close-after-reading").await;
    let now = Timestamp::now().as_second();
    let body = r#"{"DataEngineId":"DataEngine-a","NewImageVersionId":"target"}"#;
    let refused = async |request: reqwest::RequestBuilder| {
        let text = request.send().await.expect("a response").text().await.expect("a body");
        code(&serde_json::from_str(&text).expect("JSON")).to_owned()
    };
    assert_eq!(refused(served.request(SWITCH, body, now).body("{}")).await, "AuthFailure.SignatureFailure");
    assert_eq!(refused(served.request(SWITCH, body, now - 400)).await, "AuthFailure.SignatureExpire");
    assert_eq!(
        refused(served.request(SWITCH, body, now).header("x-tc-token", "T")).await,
        "AuthFailure.TokenFailure"
    );
    assert_eq!(refused(served.request("GetCallerIdentity", "{}", now)).await, "InvalidAction");
    let url = format!("http://{}/", served.address);
    assert_eq!(refused(served.client.get(&url)).await, "UnsupportedProtocol");
    assert_eq!(refused(served.client.post(format!("{url}v2"))).await, "InvalidRequest");
    assert_eq!(refused(served.client.post(&url)).await, "AuthFailure.InvalidAuthorization");
    let large = "x".repeat(LARGEST_BODY + 1);
    assert_eq!(refused(served.client.post(&url).body(large)).await, "RequestSizeLimitExceeded");
    assert_eq!(served.simulator.stats().applied, 0);
}

#[tokio::test]
async fn the_date_of_a_response_has_the_clock_skew_of_the_service() {
    let served = start(World::holding(1, &[(key("DataEngine-a"), false)]), scenario("clock_skew: 10m")).await;
    let response = served.switch().await.expect("a response");
    let date = response.headers()["date"].to_str().expect("text").to_owned();
    let answer: Value = serde_json::from_str(&response.text().await.expect("a body")).expect("JSON");
    assert_eq!(code(&answer), "AuthFailure.SignatureExpire");
    let theirs = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(&date).expect(&date).as_second();
    let body = r#"{"DataEngineId":"DataEngine-a","NewImageVersionId":"target"}"#;
    let again = served.request(SWITCH, body, theirs).send().await.expect("a response");
    assert_eq!(code(&serde_json::from_str(&again.text().await.expect("a body")).expect("JSON")), "ok");
}

#[tokio::test]
async fn a_listing_has_defaults_that_hide_engines_and_is_null_if_it_is_empty() {
    let served = start(World::generated(1, 120, &Region::new("ap-guangzhou")), scenario("")).await;
    let hidden = served.ask(LIST_ENGINES, "{}").await;
    let engines = hidden["Response"]["DataEngines"].as_array().expect("engines").clone();
    assert_eq!(engines.len(), 10);
    assert!(
        engines
            .iter()
            .all(|engine| engine["EngineGeneration"] == "SuperSQL" && engine["EngineExecType"] == "SQL")
    );
    assert!(engines[0]["ImageVersionId"].is_string());
    let native = served
        .ask(LIST_ENGINES, r#"{"EngineGeneration":"Native","EngineExecType":"BATCH","Limit":100}"#)
        .await;
    let total = native["Response"]["TotalCount"].as_u64().expect("a total");
    assert_eq!(native["Response"]["DataEngines"].as_array().map(Vec::len), usize::try_from(total).ok());
    assert_eq!(native["Response"]["DataEngines"][0]["EngineTypeDetail"], "StandardSpark");
    assert_eq!(code(&served.ask(LIST_ENGINES, r#"{"Limit":101}"#).await), "InvalidParameterValue");
    let empty = served
        .ask(LIST_ENGINES, r#"{"Filters":[{"Name":"engine-id","Operator":"IN","Values":["DataEngine-x"]}]}"#)
        .await;
    assert!(empty["Response"]["DataEngines"].is_null());
    assert_eq!(empty["Response"]["TotalCount"], 0);
    let images = served.ask(LIST_IMAGES, r#"{"EngineType":"StandardSpark"}"#).await;
    assert_eq!(images["Response"]["Total"], 4);
    assert_eq!(images["Response"]["ImageParentVersions"][0]["EngineType"], "StandardSpark");
}

#[tokio::test]
async fn responses_take_the_latency_of_the_scenario() {
    let world = World::holding(1, &[(key("DataEngine-a"), false)]);
    let slow = Scenario::parse("latency: {median: 400ms, max: 400ms}", "slow.yaml").expect("a scenario");
    let served = start(world, slow).await;
    let started = std::time::Instant::now();
    served.switch().await.expect("a response");
    assert!(started.elapsed() >= Duration::from_millis(200), "{:?}", started.elapsed());
}

#[tokio::test]
async fn the_statistics_count_requests_responses_and_applied_switches() {
    let served = rule("fault: InternalError, times: 1").await;
    for _ in 0..2 {
        served.switch().await.expect("a response");
    }
    let response =
        served.client.get(format!("http://{}/stats", served.address)).send().await.expect("a response");
    let stats: Value = serde_json::from_str(&response.text().await.expect("a body")).expect("JSON");
    assert_eq!(stats["actions"][SWITCH]["received"], 2);
    assert_eq!(stats["actions"][SWITCH]["answered"]["InternalError"], 1);
    assert_eq!(stats["actions"][SWITCH]["answered"]["ok"], 1);
    assert_eq!(stats["actions"][SWITCH]["peak_requests_per_second"], 2);
    assert!(stats["actions"][SWITCH]["first_to_last_seconds"].is_f64());
    assert_eq!(stats["applied"], 1);
    assert_eq!(stats["applied_by_engine"]["DataEngine-a"], 1);
    assert_eq!(stats["applied_more_than_once"], Value::Array(Vec::new()));
    assert!(stats["engines_by_image"].is_object());
}

#[tokio::test]
async fn dropping_the_server_closes_its_connections() {
    let served = rule("fault: no-response").await;
    let call = served.switch();
    let stop = async {
        sleep(Duration::from_millis(200)).await;
        served.task.abort();
    };
    let (answer, ()) = tokio::time::timeout(Duration::from_secs(10), async { tokio::join!(call, stop) })
        .await
        .expect("the connection ends");
    assert!(answer.is_err());
    assert!(TcpStream::connect(served.address).await.is_err());
}
