//! Keys that the service hands out never show either: a role's, a pod's and a machine's, with all logs turned on, in
//! success, in failure, and when the writer of the ledger panics.
//!
//! The stage looks for whatever its simulator handed out in the output and the files of every test.

use std::process::Command;

use dlc_fleet::cloud::sts::{ASSUME_ROLE, ASSUME_ROLE_WITH_WEB_IDENTITY, GET_CALLER_IDENTITY};
use dlc_fleet::exit::Exit;
use dlc_fleet::simulator::{METADATA, OK};
use tempfile::TempDir;

use crate::stage::{CANARY, LEDGER, Ran, SECRET_KEY, Stage, TOKEN, executable, finish, rows, without_keys};

const CALM: &str = "latency: {median: 10ms, max: 30ms}\nswitching: {min: 100ms, max: 200ms}\n\
     instance_role: fleet\n";
const ROLE: &str = "qcs::cam::uin/100000000001:roleName/fleet";

/// Where keys come from that the service hands out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    Role,
    Pod,
    Machine,
    RoleOfAMachine,
}

const SOURCES: [Source; 4] = [Source::Role, Source::Pod, Source::Machine, Source::RoleOfAMachine];

/// What is asked of the executable.
const ERRANDS: [&[&str]; 3] = [
    &["whoami"],
    &["whoami", "--output", "json"],
    &["run", "plan.csv", "--yes", "--resend-after", "1s", "--min-ready", "400ms"],
];

/// A web identity is a secret as well; its file stands where nobody looks for keys.
fn web_identity() -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("token"), format!("{CANARY}-web-identity\n")).expect("written");
    folder
}

/// An errand with every log there is, signed with keys that are handed out.
fn command(stage: &Stage, errand: &[&str], source: Source, pod: &TempDir) -> Command {
    let mut command = executable(stage.folder.path());
    let address = format!("http://{}", stage.address);
    command.args(errand).args(["--endpoint", &address, "--request-timeout", "1s"]);
    command.args(["-vvv", "--log-file", "everything.log"]);
    command.env("RUST_LOG", "trace").env("RUST_BACKTRACE", "full");
    if source != Source::Role {
        without_keys(&mut command);
    }
    match source {
        Source::Role | Source::RoleOfAMachine => {
            command.args(["--role-arn", ROLE]);
        }
        Source::Pod => {
            command.env("TKE_REGION", "ap-guangzhou").env("TKE_PROVIDER_ID", "oidc-1");
            command.env("TKE_ROLE_ARN", ROLE);
            command.env("TKE_WEB_IDENTITY_TOKEN_FILE", pod.path().join("token"));
        }
        Source::Machine => {}
    }
    if matches!(source, Source::Machine | Source::RoleOfAMachine) {
        command.env("DLC_FLEET_METADATA_ENDPOINT", address);
    }
    command
}

/// Sets of keys that were handed out, whether or not they arrived.
fn handed_out(stage: &Stage) -> usize {
    // a set is a SecretId, a secret key and a token
    stage.simulator.secrets().len() / 3
}

fn everything_logged(stage: &Stage) -> String {
    std::fs::read_to_string(stage.path("everything.log")).expect("a log")
}

/// Every errand with keys of every source, in one weather.
fn in_weather(weather: &str, judge: impl Fn(&Stage, &Ran, Source) + Sync) {
    std::thread::scope(|scope| {
        for source in SOURCES {
            let judge = &judge;
            scope.spawn(move || {
                let pod = web_identity();
                for errand in ERRANDS {
                    let stage = Stage::new(&rows(3), &format!("{CALM}{weather}"));
                    let ran = finish(command(&stage, errand, source, &pod));
                    assert!(ran.stderr.contains("TRACE"), "all logs are on: {}", ran.stderr);
                    judge(&stage, &ran, source);
                }
            });
        }
    });
}

#[test]
fn no_key_that_was_handed_out_shows_where_all_goes_well() {
    in_weather("", |stage, ran, source| {
        assert_eq!(ran.code, Some(0), "{source:?}: {}", ran.stderr);
        let sets = if source == Source::RoleOfAMachine { 2 } else { 1 };
        assert_eq!(handed_out(stage), sets, "{source:?}");
        let stats = stage.simulator.stats();
        let (action, calls) = match source {
            Source::Role | Source::RoleOfAMachine => (ASSUME_ROLE, 1),
            Source::Pod => (ASSUME_ROLE_WITH_WEB_IDENTITY, 1),
            Source::Machine => (METADATA, 2),
        };
        assert_eq!(stats.answered(action, OK), calls, "{source:?}");
        if source != Source::Machine {
            assert!(everything_logged(stage).contains(action), "{source:?}");
        }
    });
}

/// A weather in which the first call of each way to get keys meets its fault.
fn struck(fault: &str, actions: &[&str], times: &str) -> String {
    let faults = actions.iter().map(|action| format!("  - {{fault: {fault}, action: {action}{times}}}\n"));
    format!("faults:\n{}", faults.collect::<String>())
}

const WAYS: [&str; 2] = [ASSUME_ROLE, ASSUME_ROLE_WITH_WEB_IDENTITY];

#[test]
fn no_key_shows_whatever_the_service_answers_that_hands_them_out() {
    let fates =
        ["truncated", "wrong-content-type", "html", "no-response", "close-after-reading", "InternalError"];
    std::thread::scope(|scope| {
        for fault in fates {
            scope.spawn(move || {
                in_weather(&struck(fault, &WAYS, ", times: 1"), |stage, ran, source| {
                    assert!(ran.code.is_some_and(|code| code < 6), "{fault} {source:?}: {}", ran.stderr);
                    let stats = stage.simulator.stats();
                    let met: usize = WAYS.iter().map(|way| stats.answered(way, fault)).sum();
                    assert_eq!(met, usize::from(source != Source::Machine), "{fault} {source:?}");
                });
            });
        }
    });
    in_weather(&struck("AuthFailure.UnauthorizedOperation", &WAYS, ""), |_, ran, source| {
        let refused = source != Source::Machine;
        assert_eq!(ran.code, Some(if refused { 3 } else { 0 }), "{source:?}: {}", ran.stderr);
    });
}

#[test]
fn no_key_that_was_handed_out_shows_when_it_is_refused() {
    for action in [GET_CALLER_IDENTITY, "SwitchDataEngineImage"] {
        for fault in
            ["AuthFailure.TokenFailure", "AuthFailure.SignatureFailure", "AuthFailure.SecretIdNotFound"]
        {
            in_weather(&struck(fault, &[action], ""), |stage, ran, source| {
                assert!(matches!(ran.code, Some(0 | 3 | 5)), "{fault} {source:?}: {}", ran.stderr);
                assert!(handed_out(stage) >= 1, "{source:?}");
            });
        }
    }
}

#[test]
fn no_key_shows_when_a_role_is_asked_for_with_wrong_ones() {
    let pod = web_identity();
    for (variable, value) in [
        ("TENCENTCLOUD_SECRET_ID", format!("AKID{CANARY}")),
        ("TENCENTCLOUD_SECRET_KEY", format!("{SECRET_KEY}x")),
        ("TENCENTCLOUD_TOKEN", format!("{TOKEN}x")),
    ] {
        for errand in ERRANDS {
            let stage = Stage::new(&rows(2), CALM);
            let mut command = command(&stage, errand, Source::Role, &pod);
            command.env(variable, &value);
            let ran = finish(command);
            assert_eq!(ran.code, Some(3), "{variable} {errand:?}: {}", ran.stderr);
            assert_eq!(handed_out(&stage), 0);
        }
    }
}

#[test]
fn a_panic_is_an_internal_error_that_says_what_to_do_next_and_shows_no_key() {
    let pod = web_identity();
    for source in SOURCES {
        let stage = Stage::new(&rows(6), CALM);
        let run = ERRANDS[2];
        let mut broken = command(&stage, run, source, &pod);
        broken.env("DLC_FLEET_TEST_LEDGER", "panic@3");
        let ran = finish(broken);
        assert_eq!(ran.code, Some(i32::from(Exit::Internal.code())), "{source:?}: {}", ran.stderr);
        for words in [
            "panicked at",
            "injected panic at write 3",
            "stack backtrace",
            "internal error (bug in dlc-fleet)",
            "next: ",
        ] {
            assert!(ran.stderr.contains(words), "{words}: {}", ran.stderr);
        }
        let recorded = stage.ledger();
        assert_eq!(recorded.lines().count(), 2, "{recorded}");
        assert!(handed_out(&stage) >= 1);
        // as the run advises
        let again = finish(command(&stage, run, source, &pod));
        assert_eq!(again.code, Some(0), "{source:?}: {}", again.stderr);
        let stats = stage.simulator.stats();
        assert_eq!((stats.applied_by_engine.len(), stats.applied_more_than_once.len()), (6, 0));
        assert!(stage.path(LEDGER).exists());
    }
}
