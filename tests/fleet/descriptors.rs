//! Too few file descriptors: each command says so before anything is sent, and a run goes on with those that it has.

use std::path::Path;
use std::process::{Command, Stdio};

use dlc_fleet::cloud::SWITCH;
use rustix::process::{Pid, Resource, Rlimit, prlimit};

use crate::stage::{LEDGER, Ran, Stage, executable, finish, rows, wait_for, wait_until};

const QUICK: &str = "latency: {median: 20ms, max: 60ms}\nswitching: {min: 300ms, max: 600ms}\n";

/// The same command in a shell that allows so many open files.
fn limited(command: &Command, files: usize) -> Command {
    let mut limited = Command::new("sh");
    limited.arg("-c").arg(format!("ulimit -n {files} && exec \"$0\" \"$@\""));
    limited.arg(command.get_program()).args(command.get_args()).env_clear();
    limited.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    limited.current_dir(command.get_current_dir().expect("a folder"));
    limited.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    limited
}

fn command(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = executable(folder);
    command.args(arguments);
    command
}

/// Ends as it always does, or says that there are too few file descriptors; true for the former.
fn works(ran: &Ran, what: &str) -> bool {
    if ran.code == Some(0) {
        return true;
    }
    let told = &ran.stderr;
    assert_eq!(ran.code, Some(3), "{what}: {told}");
    assert!(told.contains("too few file descriptors") && told.contains("ulimit -n"), "{what}: {told}");
    assert!(!told.contains("panicked") && ran.stdout.is_empty(), "{what}: {told}{}", ran.stdout);
    false
}

#[test]
fn every_command_says_that_there_are_too_few_before_anything_is_sent_and_works_with_enough() {
    let stage = Stage::new(&rows(3), QUICK);
    let endpoint = format!("http://{}", stage.address);
    let rehearsed = Stage::new(&rows(1), QUICK);
    assert_eq!(rehearsed.run(&[]).code, Some(0));
    let ledger = rehearsed.path(LEDGER).display().to_string();
    std::fs::write(stage.path("quick.yaml"), format!("{QUICK}run_defaults: {{min_ready: 300ms}}\n"))
        .expect("written");
    let lines: [&[&str]; 8] = [
        &["check", "plan.csv"],
        &["whoami", "--endpoint", &endpoint],
        &["run", "plan.csv", "--dry-run", "--endpoint", &endpoint],
        &["run", "plan.csv", "--yes", "--simulate=quick.yaml", "--ledger", "rehearsal.jsonl"],
        &["ledger", "check", &ledger],
        &["ledger", "show", &ledger],
        &["ledger", "export", &ledger],
        // the last one, because it changes what the others see
        &["run", "plan.csv", "--yes", "--endpoint", &endpoint, "--min-ready", "400ms"],
    ];
    for line in lines {
        // with three the system's own loader cannot start the program
        let least = (4..64).find(|files| {
            let ran = finish(limited(&command(stage.folder.path(), line), *files));
            works(&ran, &format!("{line:?} with {files}"))
        });
        assert!(least.is_some(), "{line:?}: it works with 63");
    }
    assert_eq!(stage.simulator.stats().applied, 3);
}

#[test]
fn a_simulator_that_cannot_be_served_says_why() {
    let folder = tempfile::tempdir().expect("a folder");
    for files in [4, 6, 8, 12, 16] {
        let serve =
            command(folder.path(), &["simulate", "--region", "ap-guangzhou", "--listen", "127.0.0.1:0"]);
        assert!(!works(&finish(limited(&serve, files)), &format!("simulate with {files}")));
    }
}

#[test]
fn a_run_with_few_descriptors_sends_fewer_requests_at_once_and_loses_none() {
    let slow = "latency: {median: 1s, max: 2s}\nswitching: {min: 300ms, max: 600ms}\nrate_limit: 100\n";
    let stage = Stage::new(&rows(40), slow);
    let ran = finish(limited(&stage.command(&["--yes"]), 40));
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert_eq!(stage.simulator.stats().applied, 40);
    assert!(ran.stderr.contains("ulimit -n"), "it says that it is slower than it could be: {}", ran.stderr);
}

#[test]
fn a_request_for_which_there_is_no_descriptor_was_not_sent_and_goes_again() {
    let slow = "latency: {median: 500ms, max: 600ms}\nswitching: {min: 300ms, max: 600ms}\n";
    let stage = Stage::new(&rows(20), slow);
    let child = stage.command(&["--yes"]).spawn().expect("it starts");
    let id = Pid::from_raw(child.id().cast_signed());
    let allow = |files| prlimit(id, Resource::Nofile, Rlimit { current: Some(files), maximum: Some(1_024) });
    wait_until("the first switch has come", || stage.simulator.stats().action(SWITCH).received > 0);
    allow(4).expect("no more files can be opened");
    wait_until("a request was not sent", || stage.ledger().contains("\"kind\":\"not-sent\""));
    allow(1_024).expect("the limit is raised again");
    let ran = wait_for(child);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert!(stage.ledger().contains("too many open files"), "{}", stage.ledger());
    let stats = stage.simulator.stats();
    assert_eq!((stats.applied, stats.applied_more_than_once.len()), (20, 0));
}
