//! The real executable against services that no service should be: what it says, what it costs, what it does not do.

use std::fmt::Write;
use std::fs;

use dlc_fleet::cloud::SWITCH;
use serde_json::Value;

use super::answers::RECEIPT;
use super::files::{short, unclear};
use super::limits::{BOUND, run};
use super::server::{Received, Reply, Server, block_on};
use crate::stage::{LEDGER, Ran, executable, finish};

/// How one run against a hostile service ended.
struct Ended {
    ran: Ran,
    ledger: String,
    verified: Option<i32>,
    switches: usize,
    listings: usize,
    peak: u64,
}

/// An honest page of these engines, all of them on their old image.
fn honest(received: &Received, engines: usize) -> Reply {
    page(received, engines, &engines.to_string(), "image-old")
}

fn page(received: &Received, engines: usize, total: &str, image: &str) -> Reply {
    let asked: Value = serde_json::from_str(&received.body).expect("JSON");
    let ours = asked["EngineGeneration"] == "SuperSQL"
        && asked["EngineExecType"] == "SQL"
        && asked["EngineType"].is_null()
        && asked["Offset"] == 0;
    let records: Vec<String> = (0..if ours { engines } else { 0 })
        .map(|number| {
            format!(r#"{{"DataEngineId":"DataEngine-{number}","State":2,"ImageVersionId":"{image}"}}"#)
        })
        .collect();
    Reply::json(format!(
        r#"{{"Response":{{"RequestId":"r","TotalCount":{total},"DataEngines":[{}]}}}}"#,
        records.join(",")
    ))
}

/// Runs a plan of so many engines against a service.
fn play(
    engines: usize,
    flags: &[&str],
    answer: impl Fn(&Received) -> Reply + Send + Sync + 'static,
) -> Ended {
    let folder = tempfile::tempdir().expect("a folder");
    let mut plan = String::from("data_engine_id,new_image_version_id,region\n");
    for number in 0..engines {
        writeln!(plan, "DataEngine-{number},image-new,ap-guangzhou").expect("a write to a String");
    }
    fs::write(folder.path().join("plan.csv"), plan).expect("a plan");
    block_on(async {
        let server = Server::start(answer).await;
        let mut command = executable(folder.path());
        command.args([
            "--color",
            "always",
            "run",
            "plan.csv",
            "--yes",
            "--max-attempts",
            "1",
            "--request-timeout",
            "10s",
            "--allow-unlisted-images",
        ]);
        command.args(["--endpoint", &format!("http://{}", server.address)]).args(flags);
        if !flags.contains(&"--no-verify") {
            command.args(["--resend-after", "1s"]);
        }
        let shown = run(&command);
        let ledger = fs::read_to_string(folder.path().join(LEDGER)).unwrap_or_default();
        let mut verify = executable(folder.path());
        verify.args(["ledger", "check", LEDGER]);
        let verified = (!ledger.is_empty()).then(|| finish(verify).code).flatten();
        let received = server.received();
        let switches =
            received.iter().filter(|request| request.action == SWITCH.to_ascii_lowercase()).count();
        let (listings, peak) = (received.len() - switches, shown.peak.unwrap_or(0));
        Ended { ran: shown.ran, ledger, verified, switches, listings, peak }
    })
}

impl Ended {
    /// Ends with this code, says these words, and leaves a ledger that verifies, within the bound of memory.
    fn expect(&self, code: i32, words: &str) -> &Self {
        let told = format!("{}{}", self.ran.stdout, self.ran.stderr);
        assert_eq!(self.ran.code, Some(code), "{}", short(&told));
        assert!(told.contains(words), "{words:?} is not said in {}", short(&told));
        assert_eq!(unclear(&self.ran), None, "{told:?}");
        assert_eq!(self.verified, (!self.ledger.is_empty()).then_some(0), "the ledger");
        assert!(self.peak <= BOUND, "{} KiB", self.peak);
        self
    }
}

/// A service that lists honestly and answers switches like this.
fn switches(reply: Reply, engines: usize) -> impl Fn(&Received) -> Reply + Send + Sync + 'static {
    move |received| {
        if received.action == SWITCH.to_ascii_lowercase() { reply.clone() } else { honest(received, engines) }
    }
}

fn refusal(code: &str, message: &str) -> Reply {
    let error =
        serde_json::json!({"Response": {"RequestId": "r", "Error": {"Code": code, "Message": message}}});
    Reply::json(error.to_string())
}

#[test]
fn a_message_of_two_hundred_thousand_characters_fails_one_engine_and_not_the_ledger() {
    let ended = play(2, &[], switches(refusal("FailedOperation", &"é".repeat(100_000)), 2));
    ended.expect(1, "FailedOperation");
    assert!(ended.ledger.len() < 20_000, "{} bytes", ended.ledger.len());
    assert!(ended.ledger.contains("\"kind\":\"run-ended\""));
}

#[test]
fn nothing_that_a_service_says_steers_the_terminal() {
    let evil = "\u{1b}[2J\u{1b}]0;owned\u{7}\u{202e}\u{9b}2J\r\n";
    play(1, &["-vv"], switches(refusal(evil, evil), 1)).expect(1, "2J");
    let receipt = serde_json::json!({"Response": {"RequestId": evil}}).to_string();
    play(1, &["--no-wait", "-vv"], switches(Reply::json(receipt), 1)).expect(0, "accepted");
    let page = serde_json::json!({"Response": {"RequestId": "r", "DataEngines": [
        {"DataEngineId": "DataEngine-0", "DataEngineName": evil, "State": 2, "ImageVersionId": evil}
    ]}});
    play(1, &["--dry-run"], move |_| Reply::json(page.to_string())).expect(0, "switch");
}

#[test]
#[expect(clippy::print_stdout, reason = "the most memory that was used is a figure people want")]
fn sixty_four_answers_without_end_at_once_fit_into_little_memory() {
    let head =
        b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n{\"Response\":{\"Error\":{\"Message\":\""
            .to_vec();
    let ended = play(64, &["--no-verify"], switches(Reply::Endless(head, vec![b'x'; 16_384]), 64));
    ended.expect(4, "larger than 262144 bytes");
    assert_eq!(ended.switches, 64, "each is sent once");
    println!("64 answers without end: {} MiB", ended.peak / 1024);
}

#[test]
#[expect(clippy::print_stdout, reason = "the most memory that was used is a figure people want")]
fn listings_without_end_fit_into_little_memory_and_stop_the_run_before_anything_is_sent() {
    let head = b"HTTP/1.1 200 OK\r\n\r\n{\"Response\":{\"RequestId\":\"r\",\"DataEngines\":[".to_vec();
    let ended = play(1, &[], move |_| Reply::Endless(head.clone(), b"{},".repeat(5_000)));
    ended.expect(3, "larger than 8388608 bytes");
    assert_eq!((ended.switches, ended.ledger.as_str()), (0, ""));
    println!("listings without end: {} MiB", ended.peak / 1024);
}

#[test]
fn what_is_no_service_stops_the_run_before_anything_is_sent() {
    for reply in [
        Reply::http("200 OK", "content-type: text/html", "<html>log in</html>"),
        Reply::http("302 Found", "location: http://127.0.0.1:9/", ""),
        Reply::BytesThenEnd(b"SSH-2.0-OpenSSH_9.6\r\n".to_vec()),
        Reply::json(format!("[{RECEIPT}]")),
    ] {
        let ended = play(1, &[], move |_| reply.clone());
        ended.expect(3, "error: ");
        assert_eq!((ended.switches, ended.ledger.as_str()), (0, ""));
    }
}

#[test]
fn an_answer_that_is_not_the_service_speaking_leaves_the_engine_unknown_and_is_sent_once() {
    for reply in [
        Reply::json(r#"[{"RequestId":"r-1"}]"#),
        Reply::json(r#"{"Response":[null,"r-1"]}"#),
        Reply::http("307 Temporary Redirect", "location: http://127.0.0.1:9/", ""),
        Reply::http("502 Bad Gateway", "content-type: text/html", "<html>\u{1b}[2J</html>"),
        Reply::BytesThenEnd(b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n{}".to_vec()),
    ] {
        let ended = play(2, &["--no-verify"], switches(reply, 2));
        ended.expect(4, "unknown");
        assert_eq!(ended.switches, 2);
        assert!(!ended.ledger.contains("\"kind\":\"accepted\""));
    }
}

#[test]
fn a_listing_that_lies_costs_few_requests_and_sends_nothing_that_it_does_not_show() {
    let answer = |received: &Received| match received.action.as_str() {
        "switchdataengineimage" => Reply::json(RECEIPT),
        _ => page(received, 3, "4294967295", &"x".repeat(200_000)),
    };
    let ended = play(3, &["--no-wait"], answer);
    ended.expect(0, "3 engines");
    assert_eq!(ended.switches, 3);
    assert!(ended.listings <= 80, "{} listings", ended.listings);
    let two = r#"{"DataEngineId":"DataEngine-0","State":2,"ImageVersionId":"a"},{"DataEngineId":"DataEngine-0","State":2,"ImageVersionId":"image-new"}"#;
    let ended = play(1, &["--wait-timeout", "1s", "--min-ready", "0s"], move |_| {
        Reply::json(format!(r#"{{"Response":{{"RequestId":"r","DataEngines":[{two}]}}}}"#))
    });
    ended.expect(4, "not-started");
    assert_eq!(ended.switches, 0, "what is not clear is not switched");
}

/// A good beginning, and then hundreds of megabytes that somebody or something left.
#[test]
#[expect(clippy::print_stdout, reason = "the most memory that was used is a figure people want")]
fn a_ledger_of_hundreds_of_megabytes_is_mended_in_little_memory() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join(LEDGER);
    let good = super::ledgers::two();
    fs::write(&path, &good).expect("written");
    let file = fs::OpenOptions::new().write(true).open(&path).expect("there");
    let length = 300 << 20;
    // a hole of NULs, as a crash can leave one
    file.set_len(length).expect("a hole");
    let mut repair = executable(folder.path());
    repair.args(["ledger", "repair", LEDGER]);
    let shown = run(&repair);
    assert_eq!(shown.ran.code, Some(0), "{}", shown.ran.stderr);
    assert_eq!(fs::read_to_string(&path).expect("there"), good);
    let entries = fs::read_dir(folder.path()).expect("a folder").map(|entry| entry.expect("an entry"));
    let lengths: Vec<u64> = entries.map(|entry| entry.metadata().expect("there").len()).collect();
    assert!(lengths.contains(&length), "{lengths:?}: the copy is whole");
    let peak = shown.peak.unwrap_or(0);
    assert!(peak <= 64 * 1024, "{peak} KiB");
    println!("a ledger of 300 MiB mended: {} MiB", peak / 1024);
}
