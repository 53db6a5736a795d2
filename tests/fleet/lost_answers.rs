//! Loses responses in every way, with the switch applied, not applied, or applied late. Runs the real executable over HTTP
//! and counts on the side of the simulator. `cargo test --test fleet lost_answers --
//! --nocapture` prints the table.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Mutex;

use serde_json::Value;

use crate::stage::{Stage, rows, survived};

/// Engines of one cell; the response to the first request for each is lost.
const ENGINES: usize = 4;

/// Faults in which the service receives the request, and the response is lost or proves nothing.
const AFTER_RECEIVING: [&str; 10] = [
    "reset-after-reading",
    "close-after-reading",
    "no-response",
    "http-502",
    "http-504",
    "html",
    "truncated",
    "empty",
    "wrong-content-type",
    "InternalError",
];

/// The result of one cell.
#[derive(Debug, Default, PartialEq, Eq)]
struct Cell {
    switched: usize,
    otherwise: BTreeMap<String, usize>,
    requests: usize,
    applied_once: usize,
    applied_more: usize,
}

fn run_cell(fault: &str, applied: &str, flags: &[&str]) -> Cell {
    let scenario = format!(
        "latency: {{median: 20ms, max: 60ms}}\nswitching: {{min: 300ms, max: 600ms}}\n\
         faults:\n  - {{fault: {fault}, applied: {applied}, times: 1}}\n"
    );
    let stage = Stage::new(&rows(ENGINES), &scenario);
    let waits =
        ["--resend-after", "3s", "--min-ready", "400ms", "--wait-timeout", "15s", "--request-timeout", "1s"];
    let first = if flags.contains(&"--no-verify") {
        6
    } else if flags.contains(&"--resend-after") {
        2
    } else {
        0
    };
    let waits = &waits[first..];
    let ran = stage.run(&[waits, flags, &["--output", "json"]].concat());
    let mut cell = Cell { requests: stage.requests(), ..Cell::default() };
    for job in ran.json()["jobs"].as_array().into_iter().flatten() {
        match job["outcome"].as_str() {
            Some("switched") => cell.switched += 1,
            other => *cell.otherwise.entry(other.unwrap_or_default().to_owned()).or_default() += 1,
        }
    }
    // a late switch may be applied after the run
    std::thread::sleep(std::time::Duration::from_millis(if applied.starts_with("late") { 1_500 } else { 0 }));
    let stats = stage.simulator.stats();
    cell.applied_once = stats.applied_by_engine.values().filter(|times| **times == 1).count();
    cell.applied_more = stats.applied_more_than_once.len();
    assert_eq!(exit_code(&ran.json()), ran.code, "{fault}, applied {applied}");
    cell
}

/// The exit code that follows from the outcomes of a run.
fn exit_code(json: &Value) -> Option<i32> {
    let jobs = json["jobs"].as_array()?;
    let any = |outcome: &str| jobs.iter().any(|job| job["outcome"] == outcome);
    match (any("failed"), any("unknown") || any("timed-out") || any("not-started")) {
        (true, _) => Some(1),
        (false, true) => Some(4),
        (false, false) => Some(0),
    }
}

/// Runs cells concurrently and returns them by name.
fn run_all(cells: Vec<(&'static str, &'static str)>, flags: &[&str]) -> BTreeMap<(String, String), Cell> {
    let (queue, done) = (Mutex::new(cells), Mutex::new(BTreeMap::new()));
    std::thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| {
                while let Some((fault, applied)) = { queue.lock().expect("no panic").pop() } {
                    let cell = run_cell(fault, applied, flags);
                    done.lock().expect("no panic").insert((fault.to_owned(), applied.to_owned()), cell);
                }
            });
        }
    });
    done.into_inner().expect("no panic")
}

/// Prints the sums of a table.
fn sum_up(what: &str, cells: &BTreeMap<(String, String), Cell>) {
    let sum = |count: fn(&Cell) -> usize| cells.values().map(count).sum::<usize>();
    let mut counted = format!(
        "{} of {ENGINES} engines, {} requests: {} engines `switched`",
        dlc_fleet::format::plural(cells.len(), "cell"),
        sum(|cell| cell.requests),
        sum(|cell| cell.switched),
    );
    let mut otherwise: BTreeMap<&str, usize> = BTreeMap::new();
    for (word, count) in cells.values().flat_map(|cell| &cell.otherwise) {
        *otherwise.entry(word).or_default() += count;
    }
    for (word, count) in otherwise {
        write!(counted, ", {count} `{word}`").expect("a write to a String");
    }
    let twice = sum(|cell| cell.applied_more);
    write!(counted, "; the switch was applied twice to {twice}").expect("a write to a String");
    survived(what, &counted);
}

#[expect(clippy::print_stdout, reason = "the table is the result")]
fn print(cells: &BTreeMap<(String, String), Cell>) {
    let mut table = String::from(
        "| response | switch | switched | otherwise | requests | applied once | applied more than once |\n\
         | --- | --- | --- | --- | --- | --- | --- |\n",
    );
    for ((fault, applied), cell) in cells {
        let otherwise: Vec<String> =
            cell.otherwise.iter().map(|(word, count)| format!("{count} {word}")).collect();
        writeln!(
            table,
            "| {fault} | {applied} | {} | {} | {} | {} | {} |",
            cell.switched,
            otherwise.join(", "),
            cell.requests,
            cell.applied_once,
            cell.applied_more
        )
        .expect("a write to a String");
    }
    println!("{table}");
}

/// All cells in which verification can tell what happened.
fn verifiable_cells() -> Vec<(&'static str, &'static str)> {
    let read = AFTER_RECEIVING
        .into_iter()
        .flat_map(|fault| ["before", "never", "after 1s"].map(|applied| (fault, applied)));
    // a request that the service never receives is never applied
    read.chain([("no-connection", "never"), ("reset-before-reading", "never")]).collect()
}

#[test]
fn with_verification_every_engine_is_switched_exactly_once() {
    let cells = run_all(verifiable_cells(), &[]);
    print(&cells);
    sum_up("every way to lose a response, and `InternalError` × applied, not applied, applied late", &cells);
    assert_eq!(cells.len(), 32);
    for ((fault, applied), cell) in &cells {
        let name = format!("{fault}, applied {applied}: {cell:?}");
        assert_eq!(cell.applied_more, 0, "{name}");
        assert_eq!((cell.switched, cell.applied_once), (ENGINES, ENGINES), "{name}");
        assert_eq!(cell.requests, if applied == "never" { 2 * ENGINES } else { ENGINES }, "{name}");
    }
}

#[test]
fn without_verification_an_unconfirmed_request_is_unknown_and_not_sent_again() {
    let is_unconfirmed = |(fault, _): &(&str, &str)| *fault != "no-connection";
    let cells = run_all(verifiable_cells().into_iter().filter(is_unconfirmed).collect(), &["--no-verify"]);
    print(&cells);
    sum_up("every way to lose a response, with `--no-verify`: no unconfirmed request is sent again", &cells);
    for ((fault, applied), cell) in &cells {
        let name = format!("{fault}, applied {applied}: {cell:?}");
        assert_eq!(cell.requests, ENGINES, "{name}");
        assert_eq!(cell.otherwise, [("unknown".to_owned(), ENGINES)].into(), "{name}");
        assert_eq!(cell.applied_more, 0, "{name}");
    }
}

#[test]
fn with_resend_after_zero_a_server_fault_that_is_applied_late_is_switched_twice_and_counted() {
    // the documented risk of --resend-after 0s
    let faults = ["before", "never", "after 1s"].map(|applied| ("InternalError", applied));
    let cells = run_all(faults.into(), &["--resend-after", "0s"]);
    print(&cells);
    sum_up("`InternalError` with the risk of `--resend-after 0s`", &cells);
    for ((_, applied), cell) in &cells {
        let name = format!("{applied}: {cell:?}");
        assert_eq!((cell.switched, cell.applied_once + cell.applied_more), (ENGINES, ENGINES), "{name}");
        assert!(cell.requests <= if applied == "before" { ENGINES } else { 2 * ENGINES }, "{name}");
        assert!(cell.applied_more == 0 || applied.starts_with("late"), "{name}");
        // with a --resend-after that is longer than the delay there is one request for each engine
        assert!(cell.requests > ENGINES || !applied.starts_with("late"), "{name}");
    }
}
