//! Keys never show: every command, as talkative as it can be, in success and in every kind of failure.
//!
//! The stage looks for its keys in the output and the files of every test; here are the ways to fail that no other
//! test goes through with all logs turned on. `handed_out` does the same with keys that the service hands out.

use std::process::Command;

use crate::stage::{
    LEDGER, SECRET_ID, SECRET_KEY, Stage, TOKEN, executable, finish, rows, signal, wait_for, wait_until,
};

const CALM: &str = "latency: {median: 10ms, max: 30ms}\nswitching: {min: 100ms, max: 200ms}\n";

/// Every log there is.
const TALKATIVE: [&str; 3] = ["-vvv", "--log-file", "everything.log"];

fn talkative(stage: &Stage, flags: &[&str]) -> Command {
    let mut command = stage.command(&[&["--yes"], &TALKATIVE[..], flags].concat());
    command.env("RUST_LOG", "trace").env("RUST_BACKTRACE", "full");
    command
}

#[test]
fn no_key_shows_whatever_the_service_answers() {
    let fates = [
        "InternalError",
        "FailedOperation",
        "RequestLimitExceeded",
        "AuthFailure.TokenFailure",
        "AuthFailure.SignatureFailure",
        "UnauthorizedOperation",
        "reset-after-reading",
        "reset-before-reading",
        "no-connection",
        "close-after-reading",
        "no-response",
        "html",
        "http-502",
        "truncated",
        "empty",
        "wrong-content-type",
    ];
    std::thread::scope(|scope| {
        for part in fates.chunks(4) {
            scope.spawn(move || {
                for fate in part {
                    let weather = format!("{CALM}faults:\n  - {{fault: {fate}, engines: 1, times: 1}}\n");
                    let stage = Stage::new(&rows(3), &weather);
                    let ran = finish(talkative(&stage, &["--request-timeout", "1s", "--resend-after", "1s"]));
                    assert!(ran.code.is_some_and(|code| code < 6), "{fate}: {}", ran.stderr);
                    assert!(ran.stderr.contains("TRACE"), "all logs are on: {}", ran.stderr);
                    let log = std::fs::read_to_string(stage.path("everything.log")).expect("a log");
                    assert!(log.contains("SwitchDataEngineImage"), "{log}");
                }
            });
        }
    });
}

#[test]
fn no_key_shows_when_the_keys_themselves_are_wrong() {
    let wrong = [
        ("TENCENTCLOUD_SECRET_ID", format!("{SECRET_ID}x")),
        ("TENCENTCLOUD_SECRET_KEY", format!("{SECRET_KEY}x")),
        ("TENCENTCLOUD_TOKEN", format!("{TOKEN}x")),
        ("TENCENTCLOUD_TOKEN", String::new()),
        ("TENCENTCLOUD_SECURITY_TOKEN", format!("{TOKEN}x")),
        ("TENCENTCLOUD_SECRET_ID", format!("{SECRET_ID}\n")),
        ("TENCENTCLOUD_SECRET_KEY", format!(" {SECRET_KEY}")),
        ("TENCENTCLOUD_SECRET_KEY", format!("{SECRET_KEY}ä")),
        ("TENCENTCLOUD_SECRET_KEY", String::new()),
    ];
    for (variable, value) in wrong {
        for flags in [&[][..], &["--dry-run"], &["--no-verify"]] {
            let stage = Stage::new(&rows(2), CALM);
            let mut command = talkative(&stage, flags);
            command.env(variable, &value);
            let ran = finish(command);
            assert!(matches!(ran.code, Some(3 | 5)), "{variable} {flags:?}: {:?} {}", ran.code, ran.stderr);
        }
    }
}

#[test]
fn no_key_shows_in_any_other_command_nor_when_a_run_is_killed() {
    let stage = Stage::new(&rows(40), CALM);
    let child = talkative(&stage, &[]).spawn().expect("it starts");
    wait_until("requests arrive", || stage.requests() >= 5);
    signal(child.id(), "KILL");
    wait_for(child);
    let others: [&[&str]; 8] = [
        &["check", "plan.csv"],
        &["run", "plan.csv", "--simulate", "--ledger", "other.jsonl"],
        &["run", "plan.csv", "--dry-run", "--offline", "--endpoint", "http://127.0.0.1:1"],
        &["ledger", "check", LEDGER],
        &["ledger", "show", LEDGER, "--json"],
        &["ledger", "export", LEDGER],
        &["ledger", "repair", LEDGER],
        &["run", "plan.csv", "--yes", "--endpoint", "http://127.0.0.1:1", "--ledger", "third.jsonl"],
    ];
    for arguments in others {
        let mut command = executable(stage.folder.path());
        command.args(arguments).args(TALKATIVE).env("RUST_LOG", "trace");
        let ran = finish(command);
        assert!(ran.code.is_some_and(|code| code <= 6), "{arguments:?}: {:?} {}", ran.code, ran.stderr);
    }
    let mut simulate = executable(stage.folder.path());
    simulate.args(["simulate", "--plan", "plan.csv"]).args(TALKATIVE).env("RUST_LOG", "trace");
    let child = simulate.spawn().expect("it starts");
    std::thread::sleep(std::time::Duration::from_millis(300));
    signal(child.id(), "TERM");
    wait_for(child);
}

#[cfg(target_os = "linux")]
#[test]
fn a_run_that_holds_keys_leaves_no_core_dump() {
    let stage = Stage::new(&rows(40), CALM);
    let child = stage.command(&["--yes"]).spawn().expect("it starts");
    wait_until("requests arrive", || stage.requests() >= 2);
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", child.id())).expect("limits");
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).expect("a line");
    assert_eq!(core.split_whitespace().nth(4), Some("0"), "{core}");
    signal(child.id(), "QUIT");
    wait_for(child);
    let cores = std::fs::read_dir(stage.folder.path()).expect("a folder").flatten();
    assert_eq!(cores.filter(|file| file.file_name().to_string_lossy().contains("core")).count(), 0);
}
