//! One writer of a ledger, and any number of readers, while a run goes on.

use std::time::{Duration, Instant};

use dlc_fleet::ledger;

use crate::stage::{LEDGER, Ran, Stage, executable, finish, rows, signal, survived, wait_for, wait_until};

const CALM: &str = "latency: {median: 20ms, max: 60ms}\nswitching: {min: 300ms, max: 600ms}\n";

fn about(stage: &Stage, command: &str) -> Ran {
    let mut ran = executable(stage.folder.path());
    ran.args(["ledger", command, LEDGER]);
    finish(ran)
}

#[test]
fn the_second_run_on_a_ledger_is_told_who_holds_it_since_when_and_sends_nothing() {
    let stage = Stage::new(&rows(60), CALM);
    // a world of its own for the second one, so that what it asks for can be told apart
    let other = Stage::new(&rows(60), CALM);
    let ledger = stage.path(LEDGER);
    let mut first = stage.command(&["--yes"]).spawn().expect("it starts");
    wait_until("requests arrive", || stage.requests() >= 2);
    let asked = Instant::now();
    let second = other.run(&["--ledger", ledger.to_str().expect("text")]);
    let took = asked.elapsed();
    assert!(first.try_wait().expect("a child").is_none(), "the first one is still at it");
    survived(
        "a second process on the same ledger",
        &format!(
            "ends with code 6 after {} ms, told process, host and since when; requests sent: 0",
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
    assert_eq!(stage.run(&["--resend-after", "1s"]).code, Some(0), "the lock died with its holder");
}

#[test]
fn a_ledger_that_is_written_to_can_be_read_and_not_repaired() {
    let stage = Stage::new(&rows(30), CALM);
    let mut run = stage.command(&["--yes"]).spawn().expect("it starts");
    wait_until("requests arrive", || stage.requests() >= 2);
    let repair = about(&stage, "repair");
    assert_eq!(repair.code, Some(6), "{}", repair.stdout);
    assert!(repair.stderr.contains(&format!("process {}", run.id())), "{}", repair.stderr);
    let mut reads = 0;
    while run.try_wait().expect("a child").is_none() {
        for command in ["check", "show"] {
            let read = about(&stage, command);
            assert_eq!(read.code, Some(0), "{command}: {}", read.stderr);
        }
        for _ in 0..100 {
            // what is written at this moment is a torn line at the most
            ledger::read(&stage.path(LEDGER)).expect("whole");
            reads += 1;
        }
    }
    assert!(reads > 0);
    assert_eq!(wait_for(run).code, Some(0));
    assert_eq!(stage.ledger().matches("\"kind\":\"run-ended\"").count(), 1);
}
