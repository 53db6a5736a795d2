//! HTTPS as it is met in the wild: private CAs, bad certificates, peers that speak something else.

use std::fs;
use std::path::Path;

use tokio_rustls::rustls::version::{TLS12, TLS13};

use crate::stage::{Ran, Stage, executable, finish, rows};
use crate::tls::{Authority, Relay, Spoiler};

const CALM: &str = "latency: {median: 10ms, max: 30ms}\nswitching: {min: 100ms, max: 200ms}\n";

/// A stage, and in its folder `ca.pem` of a CA and `other.pem` of another.
fn staged() -> (Stage, Authority) {
    let stage = Stage::new(&rows(3), CALM);
    let authority = Authority::new("the CA of a test");
    authority.write(&stage.path("ca.pem"));
    Authority::new("another CA").write(&stage.path("other.pem"));
    (stage, authority)
}

/// One run against a port of this machine, over HTTPS.
fn run(stage: &Stage, port: u16, flags: &[&str]) -> Ran {
    let flags: Vec<&str> = ["--yes"].iter().chain(flags).copied().collect();
    finish(stage.command_at(&format!("https://localhost:{port}"), "plan.csv", &flags))
}

fn files(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").file_name());
    let mut names: Vec<String> = entries.map(|name| name.to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

/// A run was refused before the first write, in these words, and left no trace.
fn assert_refused(stage: &Stage, what: &str, ran: &Ran, words: &[&str]) {
    assert_eq!(ran.code, Some(3), "{what}: {}", ran.stderr);
    for words in words {
        assert!(ran.stderr.contains(words), "{what}: {words:?} is missing: {}", ran.stderr);
    }
    assert!(stage.simulator.arrivals().is_empty(), "{what}: something was sent");
    assert_eq!(files(stage.folder.path()), ["ca.pem", "other.pem", "plan.csv"], "{what}");
}

#[test]
fn a_fleet_is_switched_over_https_with_a_ca_that_only_the_file_knows() {
    let (stage, authority) = staged();
    let relay = Relay::new(stage.address, authority.issue("localhost"));
    let bundle = format!("# two of them\n{}\n{}", Authority::new("a third").pem(), authority.pem());
    fs::write(stage.path("bundle.pem"), bundle).expect("written");
    let dry = run(&stage, relay.address.port(), &["--ca-file", "bundle.pem", "--dry-run"]);
    assert_eq!(dry.code, Some(0), "{}", dry.stderr);
    let ran = run(&stage, relay.address.port(), &["--ca-file", "bundle.pem", "-v"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert_eq!((stage.requests(), stage.simulator.stats().applied), (3, 3));
    assert!(relay.shaken() > 0);
    assert!(ran.stderr.contains("certificates=2"), "{}", ran.stderr);
    assert!(ran.stderr.contains(&format!("localhost:{}", relay.address.port())), "{}", ran.stderr);
}

#[test]
fn tls_1_2_and_1_3_are_spoken() {
    let (stage, authority) = staged();
    for version in [&TLS12, &TLS13] {
        let relay =
            Relay::new(stage.address, authority.issue_speaking("localhost", (2020, 2099), &[version]));
        let ran = run(&stage, relay.address.port(), &["--ca-file", "ca.pem", "--dry-run"]);
        assert_eq!((ran.code, relay.shaken() > 0), (Some(0), true), "{version:?}: {}", ran.stderr);
    }
}

#[test]
fn a_certificate_that_is_not_good_is_refused_with_its_reason_and_remedy() {
    let (stage, authority) = staged();
    let cases = [
        ("untrusted", authority.issue("localhost"), "other.pem", ["(untrusted-issuer: ", "with --ca-file"]),
        (
            "expired",
            authority.issue_between("localhost", (2020, 2021)),
            "ca.pem",
            ["(certificate-out-of-date: ", "check the clock of this machine"],
        ),
        (
            "not valid yet",
            authority.issue_between("localhost", (2090, 2091)),
            "ca.pem",
            ["(certificate-out-of-date: ", "check the clock of this machine"],
        ),
        (
            "for another host",
            authority.issue("elsewhere.example"),
            "ca.pem",
            ["(certificate-of-another-host: ", "elsewhere.example"],
        ),
    ];
    for (what, identity, file, words) in cases {
        let relay = Relay::new(stage.address, identity);
        for flags in [vec!["--ca-file", file], vec!["--ca-file", file, "--dry-run"]] {
            let ran = run(&stage, relay.address.port(), &flags);
            assert_refused(&stage, what, &ran, &words);
            assert!(ran.stderr.contains("nothing was switched"), "{what}: {}", ran.stderr);
        }
    }
}

#[test]
fn a_peer_that_speaks_no_tls_or_an_old_one_or_nothing_is_told_as_such() {
    let (stage, _) = staged();
    let no_tls = ["(no-tls: ", "the server does not use TLS 1.2 or later", "check host and port"];
    let cases = [
        ("plain HTTP", stage.address, no_tls),
        ("an alert of TLS 1.1", Spoiler::OldAlert.listen(), no_tls),
        ("a hello of TLS 1.1", Spoiler::OldHello.listen(), no_tls),
        ("silence", Spoiler::Silence.listen(), ["(not-sent: ", "took too long", "check the endpoint"]),
        (
            "the end",
            Spoiler::End.listen(),
            ["(not-sent: ", "the server closed the connection", "check the endpoint"],
        ),
    ];
    for (what, address, words) in cases {
        let flags = ["--ca-file", "ca.pem", "--request-timeout", "2s", "--max-attempts", "2"];
        let ran = run(&stage, address.port(), &flags);
        assert_refused(&stage, what, &ran, &words);
    }
}

#[test]
fn a_ca_file_that_holds_no_certificate_is_a_usage_error_with_the_remedy() {
    let (stage, _) = staged();
    for (name, text, words) in [
        ("empty.pem", "", "contains no certificate in PEM format"),
        ("text.pem", "no certificate\n", "contains no certificate in PEM format"),
        ("damaged.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "is damaged"),
        ("missing.pem", "", "No such file"),
    ] {
        if name != "missing.pem" {
            fs::write(stage.path(name), text).expect("written");
        }
        let ran = run(&stage, stage.address.port(), &["--ca-file", name]);
        assert_eq!(ran.code, Some(2), "{name}: {}", ran.stderr);
        assert!(ran.stderr.contains(&format!("--ca-file {name}: ")), "{name}: {}", ran.stderr);
        assert!(ran.stderr.contains(words), "{name}: {}", ran.stderr);
    }
    let mut simulation = executable(stage.folder.path());
    simulation.args(["run", "plan.csv", "--simulate", "--ca-file", "ca.pem"]);
    assert_eq!(finish(simulation).code, Some(2), "it would have no effect");
    assert!(stage.simulator.arrivals().is_empty());
}

/// A dry run over HTTPS with variables that name certificates.
fn with_variables(stage: &Stage, port: u16, flags: &[&str], variables: &[(&str, &str)]) -> Ran {
    let mut command = stage.command_at(&format!("https://localhost:{port}"), "plan.csv", flags);
    command.arg("--dry-run");
    command.envs(variables.iter().copied());
    finish(command)
}

#[test]
fn ssl_cert_file_and_ssl_cert_dir_stand_in_place_of_the_systems_certificates_and_beside_the_ca_file() {
    let (stage, authority) = staged();
    let relay = Relay::new(stage.address, authority.issue("localhost"));
    for folder in ["good", "bad"] {
        fs::create_dir(stage.path(folder)).expect("a folder");
    }
    // no name of a hash is needed
    authority.write(&stage.path("good/any-name"));
    fs::copy(stage.path("other.pem"), stage.path("bad/other.pem")).expect("copied");
    fs::write(stage.path("empty.pem"), "").expect("written");
    let (file, dir) = ("SSL_CERT_FILE", "SSL_CERT_DIR");
    let run = |flags: &[&str], variables: &[(&str, &str)]| {
        with_variables(&stage, relay.address.port(), flags, variables)
    };
    for variables in [
        vec![(file, "ca.pem")],
        vec![(dir, "good")],
        vec![(dir, "bad:good")],
        vec![(file, "ca.pem"), (dir, "bad")],
        vec![(file, "other.pem"), (dir, "good")],
    ] {
        let ran = run(&[], &variables);
        assert_eq!(ran.code, Some(0), "{variables:?}: {}", ran.stderr);
    }
    for variables in [vec![], vec![(file, "other.pem")], vec![(dir, "bad")]] {
        let ran = run(&[], &variables);
        assert_eq!(ran.code, Some(3), "{variables:?}: {}", ran.stderr);
        let ran = run(&["--ca-file", "ca.pem"], &variables);
        assert_eq!(ran.code, Some(0), "{variables:?}: {}", ran.stderr);
    }
    // whatever the system trusts is not looked at any more
    for variables in [[(file, "empty.pem")], [(file, "missing.pem")]] {
        let ran = run(&[], &variables);
        assert_eq!(ran.code, Some(3), "{variables:?}: {}", ran.stderr);
        assert!(ran.stderr.contains("replaces the certificates of the system"), "{}", ran.stderr);
        assert!(ran.stderr.contains(&format!("SSL_CERT_FILE ({:?})", variables[0].1)), "{}", ran.stderr);
        let ran = run(&["--ca-file", "ca.pem"], &variables);
        assert_eq!(ran.code, Some(0), "{variables:?}: {}", ran.stderr);
    }
}
