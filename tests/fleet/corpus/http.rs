//! Answers to a switch that are odd as HTTP: statuses, lengths, heads and ends.

use std::time::Duration;

use dlc_fleet::cloud::{CallError, Cloud};

use super::answers::{Answer, Believed, CUT, NO_JSON, RECEIPT, cloud, key};
use super::server::{Reply, Server, block_on};

/// How a good answer begins.
const HEAD: &str = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n";

pub fn answers() -> Vec<Answer> {
    [statuses(), other_statuses(), lengths(), chunks(), heads(), ends()].concat()
}

/// The body decides, whatever the status says; what has no body decides nothing.
fn statuses() -> Vec<Answer> {
    let with = |name, status: &'static str, header, body: &str, believed| {
        Answer::of(name, Reply::http(status, header, body), believed)
    };
    let plain = "content-type: text/plain";
    let away = "location: http://127.0.0.1:9/";
    vec![
        with(
            "204 and nothing",
            "204 No Content",
            plain,
            "",
            Believed::Nothing(Some(204), "the response is empty"),
        ),
        with(
            "204 and a receipt",
            "204 No Content",
            plain,
            RECEIPT,
            Believed::Nothing(Some(204), "the response is empty"),
        ),
        with("304", "304 Not Modified", plain, "", Believed::Nothing(Some(304), "the response is empty")),
        with(
            "a redirect",
            "301 Moved Permanently",
            away,
            "",
            Believed::Nothing(Some(301), "the response is empty"),
        ),
        with(
            "a redirect of the method",
            "303 See Other",
            away,
            "moved",
            Believed::Nothing(Some(303), NO_JSON),
        ),
        with(
            "a redirect of the request",
            "307 Temporary Redirect",
            away,
            "",
            Believed::Nothing(Some(307), "the response is empty"),
        ),
        with(
            "a redirect for ever",
            "308 Permanent Redirect",
            away,
            "<html>",
            Believed::Nothing(Some(308), NO_JSON),
        ),
        with(
            "a redirect to itself",
            "302 Found",
            "location: /",
            "",
            Believed::Nothing(Some(302), "the response is empty"),
        ),
        with("a redirect to nowhere", "302 Found", "location: \u{1b}", "", Believed::Nothing(None, "")),
    ]
}

/// Statuses that mean trouble, and headers that lie about the body.
fn other_statuses() -> Vec<Answer> {
    let with = |name, status: &'static str, header, body: &str, believed| {
        Answer::of(name, Reply::http(status, header, body), believed)
    };
    let plain = "content-type: text/plain";
    vec![
        with(
            "401 of a proxy",
            "401 Unauthorized",
            "www-authenticate: Basic realm=\"x\"",
            "<html>",
            Believed::Nothing(Some(401), NO_JSON),
        ),
        with(
            "407 of a proxy",
            "407 Proxy Authentication Required",
            "proxy-authenticate: Basic",
            "",
            Believed::Nothing(Some(407), "the response is empty"),
        ),
        with("418", "418 I'm a teapot", plain, "short and stout", Believed::Nothing(Some(418), NO_JSON)),
        with(
            "429 of a proxy",
            "429 Too Many Requests",
            "retry-after: 1",
            "slow down",
            Believed::Nothing(Some(429), NO_JSON),
        ),
        with(
            "502",
            "502 Bad Gateway",
            plain,
            "<html>bad gateway</html>",
            Believed::Nothing(Some(502), NO_JSON),
        ),
        with(
            "503 and a time to come back",
            "503 Service Unavailable",
            "retry-after: 999999999",
            "",
            Believed::Nothing(Some(503), "the response is empty"),
        ),
        with("599", "599 Odd", plain, "odd", Believed::Nothing(Some(599), NO_JSON)),
        with("999", "999 Odder", plain, "odd", Believed::Nothing(Some(999), NO_JSON)),
        with(
            "206 and half a receipt",
            "206 Partial Content",
            "content-range: bytes 0-9/32",
            &RECEIPT[..10],
            Believed::Nothing(Some(206), CUT),
        ),
        with(
            "500 and a true refusal",
            "500 Internal Server Error",
            plain,
            r#"{"Response":{"Error":{"Code":"InternalError"},"RequestId":"r"}}"#,
            Believed::Refusal("InternalError"),
        ),
        with(
            "a claim of gzip over a receipt",
            "200 OK",
            "content-type: application/json\r\ncontent-encoding: gzip",
            RECEIPT,
            Believed::Receipt("r-1"),
        ),
        with("a receipt that is called nothing", "200 OK", "x: y", RECEIPT, Believed::OddReceipt("r-1")),
        with(
            "gzip",
            "200 OK",
            "content-encoding: gzip",
            "\u{1f}\u{8b}\u{8}\0",
            Believed::Nothing(Some(200), NO_JSON),
        ),
        with(
            "a claim of HTML over a receipt",
            "200 OK",
            "content-type: text/html",
            RECEIPT,
            Believed::OddReceipt("r-1"),
        ),
        with(
            "a claim of UTF-16 over a receipt",
            "200 OK",
            "content-type: application/json; charset=utf-16",
            RECEIPT,
            Believed::Receipt("r-1"),
        ),
    ]
}

/// Lengths that lie, and bodies without end.
fn lengths() -> Vec<Answer> {
    let ok = |headers: &str, body: &str| format!("{HEAD}{headers}\r\n\r\n{body}").into_bytes();
    let doubt = |words| Believed::Nothing(Some(200), words);
    let whole = format!("content-length: {}", RECEIPT.len());
    vec![
        Answer::of(
            "a length too great, and the end",
            Reply::BytesThenEnd(ok("content-length: 99", RECEIPT)),
            doubt(""),
        ),
        Answer::of(
            "a length too great, and silence",
            Reply::Bytes(ok("content-length: 99", RECEIPT)),
            doubt("timed out"),
        )
        .impatient(),
        Answer::of("a length too small", Reply::Bytes(ok("content-length: 10", RECEIPT)), doubt(CUT)),
        Answer::of(
            "a length of nothing",
            Reply::Bytes(ok("content-length: 0", RECEIPT)),
            doubt("the response is empty"),
        ),
        Answer::of(
            "a negative length",
            Reply::Bytes(ok("content-length: -1", RECEIPT)),
            Believed::Nothing(None, ""),
        ),
        Answer::of(
            "a length in words",
            Reply::Bytes(ok("content-length: many", RECEIPT)),
            Believed::Nothing(None, ""),
        ),
        Answer::of(
            "a length beyond sixty-four bits",
            Reply::Bytes(ok("content-length: 99999999999999999999", RECEIPT)),
            Believed::Nothing(None, ""),
        ),
        Answer::of(
            "a length of petabytes",
            Reply::BytesThenEnd(ok("content-length: 9007199254740993", RECEIPT)),
            doubt(""),
        ),
        Answer::of(
            "two lengths",
            Reply::Bytes(ok(&format!("{whole}\r\ncontent-length: 5"), RECEIPT)),
            Believed::Nothing(None, ""),
        ),
        Answer::of(
            "no length, and the end",
            Reply::BytesThenEnd(ok("x: y", RECEIPT)),
            Believed::Receipt("r-1"),
        ),
        Answer::of("no length, and half", Reply::BytesThenEnd(ok("x: y", &RECEIPT[..9])), doubt(CUT)),
        Answer::of("no length, and silence", Reply::Bytes(ok("x: y", RECEIPT)), doubt("timed out"))
            .impatient(),
    ]
}

/// Bodies in chunks, and bodies without end.
fn chunks() -> Vec<Answer> {
    let ok = |headers: &str, body: &str| format!("{HEAD}{headers}\r\n\r\n{body}").into_bytes();
    let chunk = |text: &str| format!("{:x}\r\n{text}\r\n", text.len());
    let chunked = |rest: String| ok("transfer-encoding: chunked", &rest);
    let doubt = |words| Believed::Nothing(Some(200), words);
    vec![
        Answer::of(
            "chunks",
            Reply::Bytes(chunked(format!("{}{}0\r\n\r\n", chunk(&RECEIPT[..9]), chunk(&RECEIPT[9..])))),
            Believed::Receipt("r-1"),
        ),
        Answer::of("chunks without the last", Reply::BytesThenEnd(chunked(chunk(RECEIPT))), doubt("")),
        Answer::of("chunks, and silence", Reply::Bytes(chunked(chunk(RECEIPT))), doubt("timed out"))
            .impatient(),
        Answer::of(
            "a chunk that is shorter than it says",
            Reply::BytesThenEnd(chunked(format!("ff\r\n{RECEIPT}\r\n0\r\n\r\n"))),
            doubt(""),
        ),
        Answer::of(
            "a chunk that is longer than it says",
            Reply::BytesThenEnd(chunked(format!("5\r\n{RECEIPT}\r\n0\r\n\r\n"))),
            doubt(""),
        ),
        Answer::of(
            "a chunk of words",
            Reply::BytesThenEnd(chunked(format!("many\r\n{RECEIPT}\r\n"))),
            doubt(""),
        ),
        Answer::of(
            "a chunk beyond sixty-four bits",
            Reply::BytesThenEnd(chunked("fffffffffffffffff\r\nx".to_owned())),
            doubt(""),
        ),
        Answer::of(
            "a chunk with a novel beside it",
            Reply::BytesThenEnd(chunked(format!("5;{}\r\n", "x".repeat(100_000)))),
            doubt(""),
        ),
        Answer::of(
            "an end with a flood of trailers",
            Reply::BytesThenEnd(chunked(format!("{}0\r\n{}\r\n", chunk(RECEIPT), "a: b\r\n".repeat(10_000)))),
            doubt(""),
        ),
        Answer::of(
            "chunks without end",
            Reply::Endless(chunked(String::new()), chunk(&"x".repeat(4_000)).into_bytes()),
            doubt("the response is larger than 262144 bytes"),
        ),
        Answer::of(
            "a body without end",
            Reply::Endless(ok("x: y", ""), vec![b'x'; 4_000]),
            doubt("the response is larger than 262144 bytes"),
        ),
        Answer::of(
            "a body of brackets without end",
            Reply::Endless(ok("x: y", ""), vec![b'['; 4_000]),
            doubt("the response is larger than 262144 bytes"),
        ),
    ]
}

fn heads() -> Vec<Answer> {
    let raw = |name, bytes: &[u8]| {
        Answer::of(name, Reply::BytesThenEnd(bytes.to_vec()), Believed::Nothing(None, ""))
    };
    let receipt = |head: &str| format!("{head}content-length: {}\r\n\r\n{RECEIPT}", RECEIPT.len());
    let flood = "x: y\r\n".repeat(10_000);
    vec![
        raw("HTTP/0.9", RECEIPT.as_bytes()),
        raw("HTTP/3", receipt("HTTP/3 200 OK\r\n").as_bytes()),
        raw("the preface of HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
        raw("TLS", b"\x15\x03\x01\0\x02\x02\x28"),
        raw("SSH", b"SSH-2.0-OpenSSH_9.6\r\n"),
        raw("a status of letters", receipt("HTTP/1.1 OK OK\r\n").as_bytes()),
        raw("a status of one digit", receipt("HTTP/1.1 2 OK\r\n").as_bytes()),
        raw("a head that is cut off", b"HTTP/1.1 200 O"),
        raw("a header without a colon", receipt("HTTP/1.1 200 OK\r\nodd\r\n").as_bytes()),
        raw("a header with a NUL", receipt("HTTP/1.1 200 OK\r\nx: \0\r\n").as_bytes()),
        raw("ten thousand headers", receipt(&format!("HTTP/1.1 200 OK\r\n{flood}")).as_bytes()),
        raw(
            "a header of megabytes",
            receipt(&format!("HTTP/1.1 200 OK\r\nx: {}\r\n", "y".repeat(2 << 20))).as_bytes(),
        ),
        Answer::of(
            "headers without end",
            Reply::Endless(b"HTTP/1.1 200 OK\r\n".to_vec(), b"x: y\r\n".repeat(100)),
            Believed::Nothing(None, ""),
        ),
        Answer::of(
            "a header line without end",
            Reply::Endless(b"HTTP/1.1 200 OK\r\nx: ".to_vec(), vec![b'y'; 4_000]),
            Believed::Nothing(None, ""),
        ),
        Answer::of(
            "HTTP/1.0",
            Reply::BytesThenEnd(receipt(&HEAD.replace("1.1", "1.0")).into_bytes()),
            Believed::Receipt("r-1"),
        ),
        Answer::of(
            "one 100 before the answer",
            Reply::Bytes(receipt(&format!("HTTP/1.1 100 Continue\r\n\r\n{HEAD}")).into_bytes()),
            Believed::Receipt("r-1"),
        ),
        Answer::of(
            "a hundred of 103 before the answer",
            Reply::Bytes(receipt(&("HTTP/1.1 103 Early Hints\r\n\r\n".repeat(100) + HEAD)).into_bytes()),
            Believed::Receipt("r-1"),
        ),
        Answer::of(
            "100 without end",
            Reply::Endless(Vec::new(), b"HTTP/1.1 100 Continue\r\n\r\n".repeat(50)),
            Believed::Nothing(None, "timed out"),
        )
        .impatient(),
        Answer::of(
            "another protocol",
            Reply::BytesThenEnd(
                b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n"
                    .to_vec(),
            ),
            Believed::Nothing(Some(101), "the response is empty"),
        ),
    ]
}

fn ends() -> Vec<Answer> {
    vec![
        Answer::of("the end and nothing else", Reply::BytesThenEnd(Vec::new()), Believed::Nothing(None, "")),
        Answer::of(
            "a blank line and the end",
            Reply::BytesThenEnd(b"\r\n".to_vec()),
            Believed::Nothing(None, ""),
        ),
        Answer::of("silence", Reply::Bytes(Vec::new()), Believed::Nothing(None, "timed out")).impatient(),
    ]
}

#[test]
fn an_answer_that_came_unasked_is_no_answer_to_the_next_switch() {
    block_on(async {
        let one = String::from_utf8(match Reply::json(RECEIPT) {
            Reply::Bytes(bytes) => bytes,
            other => panic!("{other:?}"),
        })
        .expect("text");
        let unasked = one.replace("r-1", "r-0");
        let server = Server::start(move |received| {
            let first = received.body.contains("DataEngine-a");
            Reply::Bytes(
                if first { format!("{one}{unasked}") } else { one.replace("r-1", "r-2") }.into_bytes(),
            )
        })
        .await;
        let cloud = cloud(&server, Duration::from_secs(30));
        let first = cloud.switch(&key("DataEngine-a")).await;
        assert_eq!(first.map(|receipt| receipt.request_id), Ok("r-1".to_owned()));
        // the second may be taken for lost together with the connection, but never for answered by the first
        let second = cloud.switch(&key("DataEngine-b")).await;
        assert!(!matches!(&second, Ok(receipt) if receipt.request_id != "r-2"), "{second:?}");
    });
}

#[test]
fn a_redirect_takes_no_signed_request_elsewhere() {
    block_on(async {
        let elsewhere = Server::start(|_| Reply::json(RECEIPT)).await;
        let location = format!("location: http://{}/", elsewhere.address);
        for status in [
            "301 Moved Permanently",
            "302 Found",
            "303 See Other",
            "307 Temporary Redirect",
            "308 Permanent Redirect",
        ] {
            let header = location.clone();
            let server = Server::start(move |_| Reply::http(status, &header, "")).await;
            let result = cloud(&server, Duration::from_secs(30)).switch(&key("DataEngine-a")).await;
            assert!(matches!(result, Err(CallError::NoResponse { .. })), "{status}: {result:?}");
        }
        assert_eq!(elsewhere.connections(), 0);
    });
}
