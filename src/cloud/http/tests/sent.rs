//! What arrives at the server: the signed bytes, the headers, each request once; and what is logged.

use std::io;
use std::sync::{Arc, Mutex};

use super::*;
use crate::cloud::faulty_server::Received;
use crate::cloud::sign::Signable;

/// Signs again what arrived, from its own headers and bytes.
fn signed_again(received: &Received) -> String {
    let header = |name| received.header(name).expect(name);
    let headers = [("content-type", header("content-type")), ("host", header("host"))];
    let timestamp = header("x-tc-timestamp").parse().expect("seconds");
    Signable { service: "dlc", headers: &headers, body: &received.body, timestamp }
        .authorization("AKIDEXAMPLE", "SECRETEXAMPLE")
}

#[tokio::test]
async fn the_sent_bytes_are_the_signed_bytes() {
    let server = Server::start([]).await;
    let cloud = cloud_of(&server);
    let region = key().region;
    cloud.switch(&key()).await.expect("a receipt");
    cloud.engines(&region, page()).await.expect("a listing");
    cloud.images(&region, "SparkSQL").await.expect("images");
    let received = server.received();
    assert_eq!(received.len(), 3);
    for one in &received {
        assert_eq!(one.header("authorization"), Some(signed_again(one).as_str()), "{}", one.head);
    }
    assert_eq!(
        String::from_utf8_lossy(&received[0].body),
        r#"{"DataEngineId":"DataEngine-kxxxxr13","NewImageVersionId":"7ac9cc78-bc95-440f-9768-4f4a79048755"}"#
    );
}

#[tokio::test]
async fn every_documented_header_is_sent_once() {
    let server = Server::start([]).await;
    cloud_of(&server).switch(&key()).await.expect("a receipt");
    let received = server.received().remove(0);
    assert!(received.head.starts_with("POST / HTTP/1.1\r\n"), "{}", received.head);
    let client = format!("dlc-fleet_{}", env!("CARGO_PKG_VERSION"));
    assert!(client.chars().all(|character| character.is_ascii_alphanumeric() || "-_,.".contains(character)));
    for (name, value) in [
        ("host", server.address.to_string().as_str()),
        ("content-type", "application/json"),
        ("x-tc-action", "SwitchDataEngineImage"),
        ("x-tc-version", "2021-01-25"),
        ("x-tc-region", "ap-guangzhou"),
        ("x-tc-language", "en-US"),
        ("x-tc-requestclient", client.as_str()),
        ("x-tc-token", "TOKENEXAMPLE"),
    ] {
        assert_eq!(received.header(name), Some(value), "{name}");
        let times = received.head.to_lowercase().matches(&format!("\r\n{name}: ")).count();
        assert_eq!(times, 1, "{name} in {}", received.head);
    }
    let timestamp: i64 = received.header("x-tc-timestamp").expect("a timestamp").parse().expect("seconds");
    assert!((0..60).contains(&(jiff::Timestamp::now().as_second() - timestamp)), "{timestamp}");
}

#[tokio::test]
async fn permanent_keys_send_no_token() {
    let server = Server::start([]).await;
    let secret_key = Zeroizing::new("SECRETEXAMPLE".to_owned());
    let permanent = Credentials::new("AKIDEXAMPLE".to_owned(), secret_key, None);
    let cloud = cloud_with(&server.url(), Duration::from_secs(20), permanent);
    cloud.switch(&key()).await.expect("a receipt");
    assert_eq!(server.received()[0].header("x-tc-token"), None);
}

#[tokio::test]
async fn a_connection_is_used_again() {
    let server = Server::start([]).await;
    let cloud = cloud_of(&server);
    for _ in 0..3 {
        cloud.switch(&key()).await.expect("a receipt");
    }
    assert_eq!((server.connections(), server.received().len()), (1, 3));
}

#[tokio::test]
async fn a_request_on_a_kept_connection_that_ends_is_not_repeated() {
    for last in [Reply::Reset, Reply::End] {
        let server = Server::start([Reply::json(RECEIPT), last]).await;
        let cloud = cloud_of(&server);
        cloud.switch(&key()).await.expect("a receipt");
        let (status, cause) = status_and_cause(cloud.switch(&key()).await);
        assert_eq!(status, None, "{cause}");
        assert_eq!((server.connections(), server.received().len()), (1, 2), "{cause}");
    }
}

#[tokio::test]
async fn a_kept_connection_that_has_ended_is_replaced() {
    let reply = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{RECEIPT}", RECEIPT.len());
    let server = Server::start([Reply::BytesThenEnd(reply.into_bytes())]).await;
    let cloud = cloud_of(&server);
    cloud.switch(&key()).await.expect("a receipt");
    tokio::time::sleep(Duration::from_millis(50)).await;
    cloud.switch(&key()).await.expect("a receipt over a new connection");
    assert_eq!((server.connections(), server.received().len()), (2, 2));
}

/// Keeps the log.
#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Vec<u8>>>);

impl io::Write for Kept {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("log").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn the_log_contains_each_call_and_no_key_at_the_highest_level() {
    let kept = Kept::default();
    let writer = kept.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    let refusal = r#"{"Response":{"Error":{"Code":"ResourceInUse","Message":"m"},"RequestId":"r-2"}}"#;
    let replies = [Reply::json(RECEIPT), Reply::json(refusal), Reply::End];
    let server = Server::start([replies.clone(), replies].concat()).await;
    let cloud = cloud_of(&server);
    // a call site that logs for the first time in two threads at once may be silent in one of them, so each of them
    // logs once before the subscriber is set
    for _ in 0..3 {
        let _ = cloud.switch(&key()).await;
    }
    let guard = tracing::subscriber::set_default(subscriber);
    for _ in 0..3 {
        let _ = cloud.switch(&key()).await;
    }
    drop(guard);
    let log = String::from_utf8_lossy(&kept.0.lock().expect("log")).into_owned();
    for expected in [
        "the service responded",
        "the service refused the call",
        "the call failed",
        "r-1",
        "r-2",
        "ResourceInUse",
        "latency_ms=",
    ] {
        assert!(log.contains(expected), "{expected} is missing in {log}");
    }
    assert!(
        log.contains(r#"action="SwitchDataEngineImage" region="ap-guangzhou" engine="DataEngine-kxxxxr13""#)
    );
    for secret in ["AKIDEXAMPLE", "SECRETEXAMPLE", "TOKENEXAMPLE", "Signature="] {
        assert!(!log.contains(secret), "{secret} is in {log}");
    }
}
