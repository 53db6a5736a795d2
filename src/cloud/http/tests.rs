//! The client against a scripted server: what is sent, how often, and the error for each failure.

mod sent;

use zeroize::Zeroizing;

use std::time::Duration;

use super::*;
use crate::cloud::credentials::Credentials;
use crate::cloud::error::Refusal;
use crate::cloud::faulty_server::{Reply, Server};
use crate::cloud::network::Network;
use crate::job::ImageVersionId;

const RECEIPT: &str = r#"{"Response":{"RequestId":"r-1"}}"#;

fn cloud_at(endpoint: &str, request_timeout: Duration) -> HttpCloud {
    let token = Some(Zeroizing::new("TOKENEXAMPLE".to_owned()));
    let secret_key = Zeroizing::new("SECRETEXAMPLE".to_owned());
    let credentials = Credentials::new("AKIDEXAMPLE".to_owned(), secret_key, token);
    cloud_with(endpoint, request_timeout, credentials)
}

fn cloud_with(endpoint: &str, request_timeout: Duration, credentials: Credentials) -> HttpCloud {
    let endpoint = endpoint.parse().expect("an endpoint");
    let client =
        SignedClient::new(endpoint, &Network::default(), request_timeout, Arc::default()).expect("a client");
    HttpCloud::new(HttpFleet::new(client, Arc::new(Keyring::of(credentials, "a test"))))
}

/// A client with time enough for everything but silence.
fn cloud_of(server: &Server) -> HttpCloud {
    cloud_at(&server.url(), Duration::from_secs(20))
}

fn key() -> JobKey {
    JobKey {
        region: Region::new("ap-guangzhou"),
        data_engine_id: DataEngineId::new("DataEngine-kxxxxr13"),
        new_image_version_id: ImageVersionId::new("7ac9cc78-bc95-440f-9768-4f4a79048755"),
    }
}

fn page() -> EnginePage {
    EnginePage { kind: EngineKind::ALL[0], offset: 0, limit: 100 }
}

/// Sends one switch to a server with one reply, and checks that exactly one request arrived.
async fn switch_once(reply: Reply) -> Result<Receipt, CallError> {
    let server = Server::start([reply]).await;
    let result = cloud_of(&server).switch(&key()).await;
    assert_eq!((server.connections(), server.received().len()), (1, 1), "{result:?}");
    result
}

fn receipt(problem: Option<&str>) -> Receipt {
    Receipt { request_id: "r-1".to_owned(), problem: problem.map(str::to_owned) }
}

fn status_and_cause(result: Result<Receipt, CallError>) -> (Option<u16>, String) {
    match result {
        Err(CallError::NoResponse { http_status, cause }) => (http_status, cause),
        other => panic!("expected no response, got {other:?}"),
    }
}

#[tokio::test]
async fn an_accepted_switch_returns_its_receipt() {
    assert_eq!(switch_once(Reply::json(RECEIPT)).await, Ok(receipt(None)));
}

#[tokio::test]
async fn a_connection_that_is_refused_means_not_sent() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    drop(listener);
    let result = cloud_at(&format!("http://{address}"), Duration::from_secs(5)).switch(&key()).await;
    let Err(CallError::NotSent { cause }) = result else { panic!("{result:?}") };
    assert!(cause.to_lowercase().contains("connection refused"), "{cause}");
    assert!(!cause.contains("http://"), "{cause}");
}

#[tokio::test]
async fn a_tls_handshake_without_a_response_means_not_sent() {
    // the kernel accepts the connection, but no server responds to the TLS handshake
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let result = cloud_at(&format!("https://{address}"), Duration::from_secs(1)).switch(&key()).await;
    assert!(matches!(result, Err(CallError::NotSent { .. })), "{result:?}");
}

#[tokio::test]
async fn a_region_that_cannot_be_sent_in_a_header_means_not_sent() {
    let server = Server::start([]).await;
    let mut key = key();
    key.region = Region::new("ap-guangzhou\r\nx-evil: 1");
    let result = cloud_of(&server).switch(&key).await;
    assert!(matches!(result, Err(CallError::NotSent { .. })), "{result:?}");
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn a_connection_that_ends_without_a_response_means_no_response() {
    for reply in [Reply::End, Reply::Reset] {
        let (status, cause) = status_and_cause(switch_once(reply.clone()).await);
        assert_eq!(status, None, "{reply:?}: {cause}");
    }
}

#[tokio::test]
async fn a_timeout_after_sending_means_no_response() {
    let body_missing = b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n{".to_vec();
    for (reply, expected) in [(Reply::Silence, None), (Reply::Bytes(body_missing), Some(200))] {
        let server = Server::start([reply]).await;
        let cloud = cloud_at(&server.url(), Duration::from_millis(300));
        let (status, cause) = status_and_cause(cloud.switch(&key()).await);
        assert_eq!((status, server.received().len()), (expected, 1), "{cause}");
        assert!(cause.contains("timed out"), "{cause}");
    }
}

#[tokio::test]
async fn a_body_that_is_not_from_the_service_means_no_response() {
    let bad_gateway = "<html><head><title>502 Bad Gateway</title></head>\r\n</html>";
    for (status, content_type, body, expected) in [
        ("502 Bad Gateway", "text/html", bad_gateway, "HTTP 502, the response is not JSON: <html><head>"),
        (
            "200 OK",
            "text/html",
            "<html>log in</html>",
            "HTTP 200, the response is not JSON: <html>log in</html>",
        ),
        (
            "200 OK",
            "application/json",
            r#"{"Response":{"Req"#,
            "HTTP 200, the response is incomplete: {\"Response",
        ),
        ("200 OK", "application/json", "", "HTTP 200, the response is empty"),
        ("503 Service Unavailable", "text/plain", "", "HTTP 503, the response is empty"),
        ("200 OK", "application/json", "{}", "HTTP 200, the response does not have the documented form: {}"),
        ("200 OK", "application/json", r#"{"Response":{}}"#, "HTTP 200, the response has no RequestId: "),
        ("403 Forbidden", "application/json", r#"{"error":"x"}"#, "HTTP 403, the response does not have"),
    ] {
        let (code, cause) = status_and_cause(switch_once(Reply::http(status, content_type, body)).await);
        assert_eq!(code, status[..3].parse().ok(), "{cause}");
        assert!(cause.starts_with(expected), "{cause}");
        assert!(!cause.contains(char::is_control), "{cause}");
    }
}

#[tokio::test]
async fn an_incomplete_response_means_no_response_with_its_status() {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n";
    for cut in [
        format!("{head}content-length: 99\r\n\r\n{RECEIPT}"),
        format!("{head}transfer-encoding: chunked\r\n\r\n{:x}\r\n{RECEIPT}\r\n", RECEIPT.len()),
    ] {
        let (status, cause) = status_and_cause(switch_once(Reply::BytesThenEnd(cut.into_bytes())).await);
        assert_eq!(status, Some(200), "{cause}");
    }
    let (status, _) = status_and_cause(switch_once(Reply::BytesThenEnd(b"HTTP/1.1 200 O".to_vec())).await);
    assert_eq!(status, None);
}

#[tokio::test]
async fn the_body_decides_independently_of_status_and_content_type() {
    let refused = r#"{"Response":{"Error":{"Code":"InternalError","Message":"m"},"RequestId":"r-2"}}"#;
    for (status, content_type) in [
        ("200 OK", "application/json"),
        ("200 OK", "text/plain"),
        ("200 OK", "text/html"),
        ("500 Internal Server Error", "application/json; charset=utf-8"),
        ("404 Not Found", "text/html"),
    ] {
        let accepted = switch_once(Reply::http(status, content_type, RECEIPT)).await;
        let accepted = accepted.map(|receipt| receipt.request_id);
        assert_eq!(accepted, Ok("r-1".to_owned()), "{status} {content_type}");
        let refusal = Refusal {
            code: "InternalError".to_owned(),
            message: "m".to_owned(),
            request_id: Some("r-2".to_owned()),
        };
        let result = switch_once(Reply::http(status, content_type, refused)).await;
        assert_eq!(result, Err(CallError::Refused(refusal)), "{status} {content_type}");
    }
}

#[tokio::test]
async fn a_receipt_with_another_content_type_has_a_problem() {
    for content_type in
        ["application/json", "Application/JSON; charset=utf-8", "text/json", "application/problem+json"]
    {
        assert_eq!(
            switch_once(Reply::http("200 OK", content_type, RECEIPT)).await,
            Ok(receipt(None)),
            "{content_type}"
        );
    }
    for (content_type, problem) in [
        (
            "text/html; charset=utf-8",
            "the content type of the response is \"text/html; charset=utf-8\", not JSON",
        ),
        ("jsonish", "the content type of the response is \"jsonish\", not JSON"),
        // keys are redacted before the text is cut
        (&format!("SECRETEXAMPLE{}", "x".repeat(200)), "the content type of the response is \"[redacted]xx"),
    ] {
        let answered = switch_once(Reply::http("200 OK", content_type, RECEIPT)).await.expect("a receipt");
        let shown = answered.problem.expect("a problem");
        assert!(shown.starts_with(problem) && shown.len() < 140, "{shown}");
    }
    let length = RECEIPT.len();
    let bare = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{RECEIPT}");
    let answered = switch_once(Reply::BytesThenEnd(bare.into_bytes())).await;
    assert_eq!(answered, Ok(receipt(Some("the response has no content type"))));
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let target = Server::start([]).await;
    for status in ["301 Moved Permanently", "307 Temporary Redirect"] {
        let head =
            format!("HTTP/1.1 {status}\r\nlocation: http://{}/\r\ncontent-length: 0\r\n\r\n", target.address);
        let (code, cause) = status_and_cause(switch_once(Reply::Bytes(head.into_bytes())).await);
        assert_eq!(code, status[..3].parse().ok(), "{cause}");
    }
    assert_eq!(target.connections(), 0);
}

#[tokio::test]
async fn a_response_over_the_limit_is_not_read_to_its_end() {
    for (padding, fits) in [(MAX_RECEIPT - RECEIPT.len(), true), (MAX_RECEIPT, false)] {
        let result = switch_once(Reply::json(&format!("{RECEIPT}{}", " ".repeat(padding)))).await;
        assert_eq!(result.is_ok(), fits, "{result:?}");
    }
    // an endless response would otherwise last until the timeout
    let endless = format!("HTTP/1.1 200 OK\r\ncontent-length: 1000000000\r\n\r\n{}", "x".repeat(300_000));
    let (status, cause) = status_and_cause(switch_once(Reply::Bytes(endless.into_bytes())).await);
    assert_eq!((status, cause.as_str()), (Some(200), "the response is larger than 262144 bytes"));
}

#[tokio::test]
async fn a_listing_may_be_larger_than_a_receipt_up_to_its_own_limit() {
    let nothing = r#"{"Response":{"RequestId":"r"}}"#;
    for (padding, fits) in [(MAX_LISTING - nothing.len(), true), (MAX_LISTING, false)] {
        let server = Server::start([Reply::json(&format!("{nothing}{}", " ".repeat(padding)))]).await;
        let result = cloud_of(&server).engines(&key().region, page()).await;
        assert_eq!(result.is_ok(), fits, "{result:?}");
    }
}

#[tokio::test]
async fn keys_that_a_proxy_repeats_are_redacted() {
    let echo = "<html>your headers: x-tc-token: TOKENEXAMPLE, Credential=AKIDEXAMPLE/2025-01-03</html>";
    let (_, cause) = status_and_cause(switch_once(Reply::http("502 Bad Gateway", "text/html", echo)).await);
    assert!(!cause.contains("EXAMPLE") && cause.contains("[redacted]"), "{cause}");
    let echo =
        r#"{"Response":{"Error":{"Code":"AuthFailure","Message":"bad TOKENEXAMPLE"},"RequestId":"r"}}"#;
    let Err(CallError::Refused(refusal)) = switch_once(Reply::json(echo)).await else {
        panic!("not refused")
    };
    assert_eq!(refusal.message, "bad [redacted]");
}

#[tokio::test]
async fn null_lists_are_empty_lists() {
    let nothing =
        r#"{"Response":{"RequestId":"r","DataEngines":null,"TotalCount":null,"ImageParentVersions":null}}"#;
    let server = Server::start([Reply::json(nothing), Reply::json(nothing)]).await;
    let cloud = cloud_of(&server);
    let region = key().region;
    assert_eq!(cloud.engines(&region, page()).await, Ok(EngineListing::default()));
    assert_eq!(cloud.images(&region, "SparkSQL").await, Ok(Vec::new()));
}
