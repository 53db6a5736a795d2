//! The role of an instance: found if there is one; nothing hangs or leaks if there is none.

use super::super::fixtures::{UNUSED_ADDRESS, actions, find_among};
use super::*;
use crate::cloud::faulty_server::{Reply, Server};

const KEYS: &str = r#"{"TmpSecretId":"id-1","TmpSecretKey":"PRIVATE-K","ExpiredTime":4000000000,
    "Expiration":"2096-10-02T07:06:40Z","Token":"PRIVATE-T","Code":"Success"}"#;

fn role() -> Reply {
    Reply::http("200 OK", "text/plain", "fleet-role\n")
}

async fn fetch(source: &dyn Source) -> Result<Credentials, CredentialsError> {
    source.fetch(&ServiceClock::default()).await
}

async fn fetch_from(replies: impl IntoIterator<Item = Reply>) -> Result<Credentials, CredentialsError> {
    let server = Server::start(replies).await;
    let source = find_among(&[], &server.url(), None).expect("a source");
    fetch(&*source).await
}

fn assert_absent(fetched: Result<Credentials, CredentialsError>) {
    let error = fetched.expect_err("no service");
    let CredentialsError::Absent { searched } = &error else { panic!("{error}") };
    let last = searched.last().expect("a place");
    assert!(last.starts_with("the metadata service of this instance ("), "{last}");
    assert!(last.contains("no response"), "{last}");
}

#[tokio::test]
async fn the_name_of_the_role_is_requested_first_and_then_its_keys() {
    let server = Server::start([role(), Reply::json(KEYS)]).await;
    let source = find_among(&[], &server.url(), None).expect("a source");
    assert!(source.is_renewable());
    let keys = fetch(&*source).await.expect("keys");
    assert_eq!((keys.secret_id(), keys.secret_key(), keys.token()), ("id-1", "PRIVATE-K", Some("PRIVATE-T")));
    assert_eq!(keys.expires(), Some(4_000_000_000));
    let path = "GET /latest/meta-data/cam/security-credentials/";
    assert_eq!(actions(&server), [format!("{path} HTTP/1.1"), format!("{path}fleet-role HTTP/1.1")]);
}

#[tokio::test]
async fn without_a_metadata_service_there_are_no_keys() {
    let source = find_among(&[], UNUSED_ADDRESS, None).expect("a source");
    assert_absent(fetch(&*source).await);
    for reply in [Reply::End, Reply::Reset] {
        assert_absent(fetch_from([reply]).await);
    }
}

#[tokio::test]
async fn an_unexpected_status_is_reported_and_a_server_error_is_transient() {
    for (status, is_transient) in [("302 Found", false), ("500 Internal Server Error", true)] {
        let error =
            fetch_from([Reply::http(status, "text/html", "<html>PRIVATE")]).await.expect_err("no keys");
        let shown = error.to_string();
        assert!(shown.contains(&format!("HTTP {}", &status[..3])), "{shown}");
        assert_eq!(error.is_transient(), is_transient, "{shown}");
        assert!(!shown.contains("PRIVATE"), "{shown}");
    }
}

#[tokio::test]
async fn keys_that_cannot_be_sent_in_a_header_are_refused() {
    for broken in ["PRIVATE-T\\n", "PRIVATE-Ä", "PRIVATE T"] {
        let error =
            fetch_from([role(), Reply::json(&KEYS.replace("PRIVATE-T", broken))]).await.expect_err(broken);
        let shown = error.to_string();
        assert!(shown.contains("characters that no key has") && !error.is_transient(), "{shown}");
        assert!(!shown.contains("PRIVATE"), "{shown}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_missing_response_is_waited_for_at_most_two_seconds() {
    let Reply::Bytes(bytes) = role() else { panic!("bytes") };
    let late = Reply::Later(TIMEOUT * 3 / 4, bytes);
    for replies in [vec![Reply::Silence], vec![role(), Reply::Silence], vec![late, Reply::Silence]] {
        let begun = tokio::time::Instant::now();
        assert_absent(fetch_from(replies).await);
        // virtual time advances only while nothing else runs
        assert!(begun.elapsed() <= TIMEOUT + Duration::from_millis(10), "{:?}", begun.elapsed());
    }
}

#[tokio::test]
async fn a_metadata_service_that_stops_responding_is_a_transient_error() {
    let server = Server::start([role(), Reply::json(KEYS), Reply::End]).await;
    let source = find_among(&[], &server.url(), None).expect("a source");
    fetch(&*source).await.expect("keys");
    let error = fetch(&*source).await.expect_err("an outage");
    assert!(error.is_transient() && error.to_string().contains("metadata service"), "{error}");
}

#[tokio::test]
async fn the_error_without_a_role_contains_the_remedy() {
    let missing = || Reply::http("404 Not Found", "text/plain", "PRIVATE");
    for replies in [vec![missing()], vec![role(), missing()]] {
        let error = fetch_from(replies).await.expect_err("no role").to_string();
        for expected in ["no role is bound", "TENCENTCLOUD_SECRET_ID", "bind a role"] {
            assert!(error.contains(expected), "{error}");
        }
    }
}

#[tokio::test]
async fn an_invalid_response_is_reported_and_not_shown() {
    let page = Reply::http("200 OK", "text/html", "<html>PRIVATE log in</html>");
    let failed = Reply::json(r#"{"Code":"InternalError","TmpSecretKey":"PRIVATE"}"#);
    let parts = ["TmpSecretId", "TmpSecretKey", "ExpiredTime", "Token"];
    let without = parts.map(|part| vec![role(), Reply::json(&KEYS.replace(part, "Other"))]);
    let empty = vec![role(), Reply::json(&KEYS.replace("PRIVATE-T", ""))];
    let odd = [vec![page.clone()], vec![role(), page], vec![role(), failed], empty];
    for replies in odd.into_iter().chain(without) {
        let error = fetch_from(replies).await.expect_err("no keys");
        let shown = format!("{error} {error:?}");
        assert!(shown.contains("metadata service") && !error.is_transient(), "{shown}");
        assert!(!shown.contains("PRIVATE"), "{shown}");
    }
}

#[test]
fn only_a_loopback_address_can_replace_the_metadata_service() {
    for wrong in ["http://10.0.0.1", "https://127.0.0.1", "http://metadata.tencentyun.com", "nonsense///"] {
        let error = find_among(&[(OVERRIDE, wrong)], UNUSED_ADDRESS, None).err().expect(wrong).to_string();
        assert!(error.contains(OVERRIDE) && error.contains("unset it"), "{error}");
    }
}
