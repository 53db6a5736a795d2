//! Each way to send a wrong request has its own error code.

use hyper::header::{HeaderName, HeaderValue};

use super::*;
use crate::cloud::{API_VERSION, SWITCH};

const NOW: i64 = 1_735_872_007;
const TIME: ServiceTime = ServiceTime { now: NOW, validity: 300 };
const BODY: &[u8] = br#"{"DataEngineId":"DataEngine-a","NewImageVersionId":"b"}"#;

fn keys(token: Option<&str>) -> Keys {
    Keys::new("AKIDEXAMPLE", "SECRETEXAMPLE", token.map(str::to_owned))
}

/// A correct request whose signature includes the `signed` headers and uses `key`.
fn request(key: &str, timestamp: i64, signed: &[&str]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in [
        ("content-type", "application/json"),
        ("host", "127.0.0.1:8080"),
        ("x-tc-action", SWITCH),
        ("x-tc-version", API_VERSION),
        ("x-tc-timestamp", &timestamp.to_string()),
    ] {
        set(&mut headers, name, value);
    }
    let pairs: Vec<(&str, &str)> =
        signed.iter().map(|name| (*name, text(&headers, name).expect("a header"))).collect();
    let signable = Signable { service: "dlc", headers: &pairs, body: BODY, timestamp };
    let authorization = signable.authorization("AKIDEXAMPLE", key);
    set(&mut headers, "authorization", &authorization);
    headers
}

fn valid() -> HeaderMap {
    request("SECRETEXAMPLE", NOW, &["content-type", "host"])
}

fn set(headers: &mut HeaderMap, name: &str, value: &str) {
    let name = HeaderName::from_bytes(name.as_bytes()).expect("a name");
    headers.insert(name, HeaderValue::from_str(value).expect("a value"));
}

fn with(name: &str, value: &str) -> HeaderMap {
    let mut headers = valid();
    set(&mut headers, name, value);
    headers
}

fn without(name: &str) -> HeaderMap {
    let mut headers = valid();
    headers.remove(name);
    headers
}

fn send(headers: &HeaderMap, body: &[u8], keys: &Keys) -> Result<Identity, Refusal> {
    let (sessions, scenario) = (Sessions::default(), Scenario::default());
    authenticate(headers, body, AcceptedKeys { keys, sessions: &sessions, scenario: &scenario }, TIME)
}

fn code(headers: &HeaderMap) -> String {
    send(headers, BODY, &keys(None)).err().map_or_else(|| "passed".to_owned(), |refusal| refusal.code)
}

#[test]
fn a_correct_request_passes_whichever_further_headers_it_signs() {
    assert_eq!(code(&valid()), "passed");
    assert_eq!(code(&request("SECRETEXAMPLE", NOW, &["content-type", "host", "x-tc-action"])), "passed");
    for off in [-300, 300] {
        assert_eq!(code(&request("SECRETEXAMPLE", NOW + off, &["content-type", "host"])), "passed");
    }
}

#[test]
fn a_signature_that_does_not_match_the_request_is_refused() {
    let wrong = "AuthFailure.SignatureFailure";
    assert_eq!(code(&request("OTHERKEY", NOW, &["content-type", "host"])), wrong);
    assert_eq!(code(&request("SECRETEXAMPLE", NOW, &["content-type"])), wrong);
    assert_eq!(code(&request("SECRETEXAMPLE", NOW, &["host"])), wrong);
    assert_eq!(code(&request("SECRETEXAMPLE", NOW, &["host", "content-type"])), wrong);
    assert_eq!(code(&with("host", "127.0.0.1:8081")), wrong);
    assert_eq!(code(&with("content-type", "application/json; charset=utf-8")), wrong);
    assert_eq!(code(&without("host")), wrong);
    // another second of the same day: the scope still matches, the signature does not
    assert_eq!(code(&with("x-tc-timestamp", &(NOW + 1).to_string())), wrong);
    let refusal = send(&valid(), b"{}", &keys(None)).expect_err("another body");
    assert_eq!(refusal.code, wrong);
}

#[test]
fn a_scope_of_another_day_or_service_is_refused() {
    let authorization = text(&valid(), "authorization").expect("a header").to_owned();
    for (from, to) in [("2025-01-03", "2025-01-04"), ("/dlc/", "/sts/")] {
        assert_eq!(
            code(&with("authorization", &authorization.replace(from, to))),
            "AuthFailure.SignatureFailure"
        );
    }
}

#[test]
fn a_malformed_authorization_and_an_unknown_key_have_different_codes() {
    let authorization = text(&valid(), "authorization").expect("a header").to_owned();
    for wrong in [
        "SKIP".to_owned(),
        authorization.replace("TC3-HMAC-SHA256", "AWS4-HMAC-SHA256"),
        authorization.replace("Signature=", "Sig="),
        authorization.replace("/tc3_request", ""),
        format!("{authorization}, More=1"),
    ] {
        assert_eq!(code(&with("authorization", &wrong)), "AuthFailure.InvalidAuthorization", "{wrong}");
    }
    assert_eq!(code(&without("authorization")), "AuthFailure.InvalidAuthorization");
    let unknown = authorization.replace("AKIDEXAMPLE", "AKIDOTHER");
    assert_eq!(code(&with("authorization", &unknown)), "AuthFailure.SecretIdNotFound");
}

#[test]
fn a_timestamp_more_than_five_minutes_off_is_refused() {
    for off in [-301, 301] {
        let headers = request("SECRETEXAMPLE", NOW + off, &["content-type", "host"]);
        assert_eq!(code(&headers), "AuthFailure.SignatureExpire");
    }
    assert_eq!(code(&without("x-tc-timestamp")), "MissingParameter");
    assert_eq!(code(&with("x-tc-timestamp", "now")), "InvalidParameter");
}

#[test]
fn the_token_must_belong_to_the_keys() {
    let answer = |header: Option<&str>, ours: Option<&str>| {
        let headers = header.map_or_else(valid, |token| with("x-tc-token", token));
        send(&headers, BODY, &keys(ours)).map(|_| ()).map_err(|refusal| refusal.code)
    };
    let wrong = Err("AuthFailure.TokenFailure".to_owned());
    assert_eq!(answer(Some("TOKEN"), Some("TOKEN")), Ok(()));
    assert_eq!(answer(Some("OTHER"), Some("TOKEN")), wrong);
    assert_eq!(answer(None, Some("TOKEN")), wrong);
    assert_eq!(answer(Some("TOKEN"), None), wrong);
}

#[test]
fn version_and_action_are_checked_last() {
    assert_eq!(code(&with("x-tc-version", "2018-08-13")), "NoSuchVersion");
    assert_eq!(code(&without("x-tc-version")), "MissingParameter");
    assert_eq!(code(&with("x-tc-action", "GetCallerIdentity")), "InvalidAction");
    assert_eq!(code(&without("x-tc-action")), "MissingParameter");
}
