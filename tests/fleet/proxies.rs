//! Requests that leave through a forward proxy: told, kept secret, refused, and cut off in the middle of a run.

use std::collections::BTreeSet;
use std::process::Command;
use std::time::Duration;

use dlc_fleet::cloud::SWITCH;

use crate::connect_proxy::{ConnectProxy, python_is_here};
use crate::stage::{Ran, Stage, executable, finish, rows, survived, wait_for, wait_until};
use crate::tls::{Authority, Relay};

const CALM: &str = "latency: {median: 10ms, max: 30ms}\nswitching: {min: 100ms, max: 200ms}\n";

/// A host that only the proxy can find.
const HOST: &str = "dlc.test.invalid";

/// A host that has the form of the vendor's, whose STS has a host of its own; `.invalid` leads nowhere.
const VENDORS: &str = "dlc.tencentcloudapi.invalid";

/// The ledger of a service that is not on this machine.
const LEDGER: &str = "plan.ledger.jsonl";

/// A simulator behind TLS that is reached through a proxy alone, and `ca.pem` in its folder.
fn staged(engines: usize) -> (Stage, Relay) {
    let stage = Stage::new(&rows(engines), CALM);
    let authority = Authority::new("the CA of a test");
    authority.write(&stage.path("ca.pem"));
    let relay = Relay::new(stage.address, authority.issue(HOST));
    (stage, relay)
}

/// A run that has to go through a proxy.
fn command(stage: &Stage, proxy: &str, flags: &[&str]) -> Command {
    let flags: Vec<&str> = ["--yes", "--ca-file", "ca.pem"].iter().chain(flags).copied().collect();
    let mut command = stage.command_at(HOST, "plan.csv", &flags);
    command.env("HTTPS_PROXY", proxy);
    command
}

fn assert_done(stage: &Stage, engines: usize, ran: &Ran) {
    assert_eq!(ran.code, Some(0), "{}{}", ran.stdout, ran.stderr);
    let stats = stage.simulator.stats();
    assert_eq!((stats.applied_by_engine.len(), stats.applied_more_than_once.len()), (engines, 0));
}

#[test]
fn a_fleet_is_switched_through_the_proxy_that_a_variable_names() {
    if !python_is_here() {
        return;
    }
    for variable in ["HTTPS_PROXY", "https_proxy", "ALL_PROXY"] {
        let (stage, relay) = staged(3);
        let proxy = ConnectProxy::start(relay.address.port(), &[]);
        let mut command = stage.command_at(HOST, "plan.csv", &["--yes", "--ca-file", "ca.pem", "-v"]);
        command.env(variable, proxy.url()).env("NO_PROXY", "elsewhere.invalid");
        let ran = finish(command);
        assert_done(&stage, 3, &ran);
        let notes = proxy.notes();
        assert!(
            !notes.is_empty() && notes.iter().all(|note| *note == format!("{HOST}:443 200")),
            "{notes:?}"
        );
        assert_eq!(notes.len(), relay.shaken());
        assert!(
            ran.stderr.contains(&format!("connecting through the proxy {}", proxy.url())),
            "{}",
            ran.stderr
        );
        assert!(ran.stderr.contains(variable), "{}", ran.stderr);
    }
}

#[test]
fn what_is_on_this_machine_is_never_shown_to_a_proxy() {
    if !python_is_here() {
        return;
    }
    let (stage, relay) = staged(2);
    let proxy = ConnectProxy::start(relay.address.port(), &[]);
    let mut command = stage.command(&["--yes", "-v"]);
    command.env("HTTPS_PROXY", proxy.url()).env("HTTP_PROXY", proxy.url()).env("ALL_PROXY", proxy.url());
    let ran = finish(command);
    assert_done(&stage, 2, &ran);
    assert_eq!(proxy.notes(), Vec::<String>::new());
    assert!(ran.stderr.contains("connecting directly: the endpoint is on this machine"), "{}", ran.stderr);
}

#[test]
fn a_proxy_may_itself_be_behind_tls() {
    if !python_is_here() {
        return;
    }
    let stage = Stage::new(&rows(2), CALM);
    let authority = Authority::new("the CA of a test");
    authority.write(&stage.path("ca.pem"));
    let relay = Relay::new(stage.address, authority.issue(HOST));
    let proxy = ConnectProxy::start(relay.address.port(), &[]);
    let address = format!("127.0.0.1:{}", proxy.port).parse().expect("an address");
    let shield = Relay::new(address, authority.issue("localhost"));
    let ran = finish(command(&stage, &format!("https://localhost:{}", shield.address.port()), &[]));
    assert_done(&stage, 2, &ran);
    assert_eq!((shield.shaken(), proxy.notes().len()), (relay.shaken(), relay.shaken()));
}

/// What asks STS, and how many engines it switches.
const ERRANDS: [(&[&str], usize); 4] = [
    (&["whoami"], 0),
    (&["whoami", "--role-arn", ROLE], 0),
    (&["run", "plan.csv", "--yes", "--min-ready", "400ms", "--role-arn", ROLE], 2),
    (&["run", "plan.csv", "--yes", "--min-ready", "400ms", "--expect-account", "100000000001"], 2),
];

const ROLE: &str = "qcs::cam::uin/100000000001:roleName/fleet";

#[test]
fn sts_is_asked_through_the_same_proxy_at_its_own_host_and_by_the_same_ca_file() {
    if !python_is_here() {
        return;
    }
    for (host, sts) in [(HOST, HOST), (VENDORS, "sts.tencentcloudapi.invalid")] {
        for (errand, switched) in ERRANDS {
            let stage = Stage::new(&rows(2), CALM);
            let authority = Authority::new("the CA of a test");
            authority.write(&stage.path("ca.pem"));
            let (_, domain) = host.split_once('.').expect("a domain");
            let relay = Relay::new(stage.address, authority.issue(&format!("*.{domain}")));
            let proxy = ConnectProxy::start(relay.address.port(), &[]);
            let run = |flags: &[&str]| {
                let mut command = executable(stage.folder.path());
                command.args(errand).args(["--endpoint", host]).args(flags).env("HTTPS_PROXY", proxy.url());
                finish(command)
            };
            let barred = run(&[]);
            assert_eq!(barred.code, Some(3), "{host} {errand:?}: {}", barred.stderr);
            assert!(barred.stderr.contains("--ca-file"), "{}", barred.stderr);
            assert_eq!((relay.shaken(), stage.simulator.arrivals().len()), (0, 0), "{host} {errand:?}");
            assert!(!stage.path(LEDGER).exists());
            let before = proxy.notes();
            assert_done(&stage, switched, &run(&["--ca-file", "ca.pem"]));
            let after = proxy.notes().split_off(before.len());
            assert_eq!(after.len(), relay.shaken(), "nothing goes round the proxy: {after:?}");
            let mut places: BTreeSet<String> = BTreeSet::from([format!("{sts}:443 200")]);
            assert!(before.iter().all(|note| places.contains(note)) && !before.is_empty(), "{before:?}");
            if switched > 0 {
                places.insert(format!("{host}:443 200"));
            }
            assert_eq!(after.into_iter().collect::<BTreeSet<_>>(), places, "{host} {errand:?}");
        }
    }
}

/// Everything that a run left for people to read.
fn everything_told(stage: &Stage, ran: &Ran) -> String {
    let read = |name: &str| std::fs::read_to_string(stage.path(name)).unwrap_or_default();
    [&ran.stdout, &ran.stderr, &read("run.log"), &read(LEDGER)].map(String::as_str).join("\n")
}

#[test]
fn what_opens_a_proxy_is_used_and_never_told() {
    if !python_is_here() {
        return;
    }
    let (stage, relay) = staged(2);
    let proxy = ConnectProxy::start(relay.address.port(), &["--credentials", "night-shift:p@ss:word"]);
    let place = format!("127.0.0.1:{}", proxy.port);
    // in base64 as well, as it travels
    let secrets = ["night-shift", "p@ss", "p%40ss", "word@", "bmlnaHQtc2hpZnQ6", "not-this"];
    let flags = ["-vvv", "--log-file", "run.log"];
    for (userinfo, barred) in
        [("", true), ("night-shift:not-this@", true), ("night-shift:p%40ss%3Aword@", false)]
    {
        let mut command = command(&stage, &format!("http://{userinfo}{place}"), &flags);
        command.env("RUST_LOG", "trace");
        let ran = finish(command);
        if barred {
            assert_eq!(ran.code, Some(3), "{}", ran.stderr);
            assert!(ran.stderr.contains("(proxy-credentials: "), "{}", ran.stderr);
            assert!(ran.stderr.contains("http://USER:PASSWORD@HOST:PORT"), "{}", ran.stderr);
            assert_eq!(stage.simulator.arrivals().len(), 0);
        } else {
            assert_done(&stage, 2, &ran);
        }
        let told = everything_told(&stage, &ran);
        for secret in secrets {
            assert!(!told.contains(secret), "{secret} is told: {told}");
        }
        assert!(told.contains(&format!("http://{place}")), "{told}");
    }
    let notes = proxy.notes();
    assert!(
        notes.iter().any(|note| note.ends_with(" 407")) && notes.iter().any(|note| note.ends_with(" 200"))
    );
}

#[test]
fn a_proxy_that_refuses_or_is_not_there_ends_before_the_first_write() {
    if !python_is_here() {
        return;
    }
    let (stage, relay) = staged(2);
    let refusing = ConnectProxy::start(relay.address.port(), &["--refuse", "403"]);
    let mut dead = ConnectProxy::start(relay.address.port(), &[]);
    dead.kill();
    for (proxy, words) in [
        (refusing.url(), "the proxy refused to connect to the endpoint"),
        (dead.url(), "the proxy cannot be reached"),
    ] {
        let ran = finish(command(&stage, &proxy, &["--max-attempts", "2"]));
        assert_eq!(ran.code, Some(3), "{}", ran.stderr);
        for words in [words, "(not-sent: ", "check the endpoint, DNS, proxy and firewall"] {
            assert!(ran.stderr.contains(words), "{words}: {}", ran.stderr);
        }
        assert!(stage.simulator.arrivals().is_empty() && !stage.path(LEDGER).exists());
    }
    assert!(refusing.notes().iter().all(|note| note.ends_with(" 403")) && !refusing.notes().is_empty());
}

#[test]
fn a_proxy_that_cannot_be_used_is_a_usage_error_and_never_passed_over() {
    let (stage, relay) = staged(2);
    for value in ["socks5://user:hunter2@127.0.0.1:1080", "http://user:hunter2/@127.0.0.1:3128", "http://"] {
        let ran = finish(command(&stage, value, &[]));
        assert_eq!(ran.code, Some(2), "{value}: {}", ran.stderr);
        assert!(ran.stderr.contains("HTTPS_PROXY") && ran.stderr.contains("unset it"), "{}", ran.stderr);
        assert!(!ran.stderr.contains("hunter2"), "{}", ran.stderr);
    }
    assert_eq!((relay.shaken(), stage.simulator.arrivals().len()), (0, 0));
}

#[test]
fn a_run_whose_proxy_dies_and_comes_back_switches_every_engine_once() {
    if !python_is_here() {
        return;
    }
    let (stage, relay) = staged(60);
    let mut proxy = ConnectProxy::start(relay.address.port(), &[]);
    let child =
        command(&stage, &proxy.url(), &["--resend-after", "1s", "--rate", "10"]).spawn().expect("it starts");
    wait_until("requests arrive", || stage.requests() >= 15);
    let port = proxy.port.to_string();
    proxy.kill();
    std::thread::sleep(Duration::from_secs(1));
    assert!(stage.requests() < 60, "nothing was left to send");
    let proxy = ConnectProxy::start(relay.address.port(), &["--port", &port]);
    let ran = wait_for(child);
    assert_done(&stage, 60, &ran);
    assert!(!proxy.notes().is_empty());
    let ledger = std::fs::read_to_string(stage.path(LEDGER)).expect("a ledger");
    assert!(ledger.contains("\"kind\":\"not-sent\""), "nothing met the dead proxy");
    let sent = ledger.matches("\"kind\":\"sent\"").count();
    let kept = ledger.matches("\"kind\":\"not-sent\"").count();
    assert!(stage.requests() <= sent - kept, "{} requests, {sent} sent, {kept} not", stage.requests());
    survived(
        "a forward proxy that dies in the middle of a run and comes back",
        &format!("60 engines switched, 0 twice; {kept} requests did not leave and were told so"),
    );
}

#[test]
fn a_run_whose_proxy_stays_dead_tells_what_it_knows_and_resumes_through_another() {
    if !python_is_here() {
        return;
    }
    let (stage, relay) = staged(40);
    let mut proxy = ConnectProxy::start(relay.address.port(), &[]);
    let flags =
        ["--resend-after", "1s", "--min-ready", "400ms", "--wait-timeout", "6s", "--max-attempts", "2"];
    let flags: Vec<&str> = flags.iter().chain(&["--output", "json"]).copied().collect();
    let child = command(&stage, &proxy.url(), &flags).spawn().expect("it starts");
    wait_until("requests arrive", || stage.requests() >= 15);
    proxy.kill();
    let ran = wait_for(child);
    assert_eq!(ran.code, Some(1), "{}", ran.stderr);
    let json = ran.json();
    let jobs = json["jobs"].as_array().expect("jobs");
    assert_eq!(jobs.len(), 40);
    let applied = stage.simulator.stats().applied_by_engine;
    for job in jobs {
        let engine = job["data_engine_id"].as_str().expect("an id");
        let was_applied = applied.keys().any(|id| id.as_str() == engine);
        match job["outcome"].as_str().expect("an outcome") {
            "switched" | "timed-out" => assert!(was_applied, "{job}"),
            "failed" => assert!(!was_applied && job["reason"]["code"] == "not-sent", "{job}"),
            "unknown" => {}
            other => panic!("{other}: {job}"),
        }
    }
    let another = ConnectProxy::start(relay.address.port(), &[]);
    let ran = finish(command(&stage, &another.url(), &["--resend-after", "1s"]));
    assert_done(&stage, 40, &ran);
    assert!(stage.simulator.stats().action(SWITCH).received >= 40);
}

#[test]
fn a_run_whose_proxy_begins_to_ask_for_a_password_stops_and_does_not_watch_in_vain() {
    if !python_is_here() {
        return;
    }
    let (stage, relay) = staged(60);
    let mut proxy = ConnectProxy::start(relay.address.port(), &[]);
    let flags = ["--resend-after", "1s", "--min-ready", "400ms", "--wait-timeout", "1h"];
    let child = command(&stage, &proxy.url(), &flags).spawn().expect("it starts");
    wait_until("requests arrive", || stage.requests() >= 15);
    let port = proxy.port.to_string();
    proxy.kill();
    let proxy = ConnectProxy::start(relay.address.port(), &["--port", &port, "--credentials", "a:b"]);
    let ran = wait_for(child);
    assert_eq!(ran.code, Some(5), "{}", ran.stderr);
    assert!(
        ran.stderr.contains("proxy-credentials") || ran.stdout.contains("proxy-credentials"),
        "{}",
        ran.stdout
    );
    assert!(proxy.notes().iter().all(|note| note.ends_with(" 407")) && !proxy.notes().is_empty());
    let ran = finish(command(&stage, &format!("http://a:b@127.0.0.1:{port}"), &["--resend-after", "1s"]));
    assert_done(&stage, 60, &ran);
}
