//! A ledger has one writer and any number of readers during a run.

use std::time::{Duration, Instant};

use dlc_fleet::ledger;

use crate::stage::{LEDGER, Ran, Stage, executable, finish, rows, signal, survived, wait_for, wait_until};

const CALM: &str = "latency: {median: 20ms, max: 60ms}\nswitching: {min: 300ms, max: 600ms}\n";

fn ledger_command(stage: &Stage, command: &str) -> Ran {
    let mut ran = executable(stage.folder.path());
    ran.args(["ledger", command, LEDGER]);
    finish(ran)
}

#[test]
fn a_second_run_on_the_same_ledger_names_the_holder_and_sends_nothing() {
    let stage = Stage::new(&rows(60), CALM);
    // a separate world for the second run, so that its requests can be counted
    let other = Stage::new(&rows(60), CALM);
    let ledger = stage.path(LEDGER);
    let mut first = stage.command(&["--yes"]).spawn().expect("it starts");
    wait_until("requests arrive", || stage.requests() >= 2);
    let started = Instant::now();
    let second = other.run(&["--ledger", ledger.to_str().expect("text")]);
    let took = started.elapsed();
    assert!(first.try_wait().expect("a child").is_none(), "the first run is still running");
    survived(
        "a second process on the same ledger",
        &format!(
            "ends with code 6 after {} ms and names process, host and start time of the holder; requests sent: 0",
            took.as_millis()
        ),
    );
    assert!(took < Duration::from_secs(20), "{took:?}");
    assert_eq!(other.simulator.arrivals(), []);
    assert_eq!(second.code, Some(6), "{}", second.stderr);
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").expect("a name");
    let holder = format!("in use by process {} on {} since 20", first.id(), host.trim());
    assert!(second.stderr.contains(&holder), "{}", second.stderr);
    signal(first.id(), "KILL");
    wait_for(first);
    assert_eq!(stage.run(&["--resend-after", "1s"]).code, Some(0), "the lock ended with its process");
}

#[test]
fn a_ledger_in_use_can_be_read_but_not_repaired() {
    let stage = Stage::new(&rows(30), CALM);
    let mut run = stage.command(&["--yes"]).spawn().expect("it starts");
    wait_until("requests arrive", || stage.requests() >= 2);
    let repair = ledger_command(&stage, "repair");
    assert_eq!(repair.code, Some(6), "{}", repair.stdout);
    assert!(repair.stderr.contains(&format!("process {}", run.id())), "{}", repair.stderr);
    let mut reads = 0;
    while run.try_wait().expect("a child").is_none() {
        for command in ["check", "show"] {
            let read = ledger_command(&stage, command);
            assert_eq!(read.code, Some(0), "{command}: {}", read.stderr);
        }
        for _ in 0..100 {
            // a line that is being written counts as torn
            ledger::read(&stage.path(LEDGER)).expect("whole");
            reads += 1;
        }
    }
    assert!(reads > 0);
    assert_eq!(wait_for(run).code, Some(0));
    assert_eq!(stage.ledger().matches("\"kind\":\"run-ended\"").count(), 1);
}
