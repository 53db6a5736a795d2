//! Kills runs with SIGKILL at random moments while requests are in flight, then runs the same command until it is done.
//!
//! `cargo test` runs a short loop. The long one: `DLC_FLEET_KILLS=1000 cargo test --test fleet kill_loop --
//! --nocapture`, which prints its counts.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use dlc_fleet::cloud::SWITCH;

use crate::stage::{Stage, rows, signal, survived, wait_for};

/// Enough to keep requests in flight during all runs of one world.
const ENGINES: usize = 100;

/// Kills in one world before the command is left to finish.
const KILLS_IN_A_WORLD: usize = 8;

const SCENARIO: &str = "latency: {median: 120ms, max: 400ms}\nswitching: {min: 300ms, max: 900ms}\n\
                       faults:\n  - {fault: InternalError, engines: 5%, times: 1}\n";

/// The counts of a loop; all but the first three must be zero.
#[derive(Debug, Default)]
struct Counts {
    kills: AtomicUsize,
    /// Kills while requests had no response.
    kills_in_flight: AtomicUsize,
    requests: AtomicUsize,
    requests_without_intent: AtomicUsize,
    lines_lost: AtomicUsize,
    engines_switched_twice: AtomicUsize,
    rows_missing: AtomicUsize,
    ledgers_not_resumed: AtomicUsize,
}

impl Counts {
    fn violations(&self) -> usize {
        [
            &self.requests_without_intent,
            &self.lines_lost,
            &self.engines_switched_twice,
            &self.rows_missing,
            &self.ledgers_not_resumed,
        ]
        .into_iter()
        .map(|count| count.load(Ordering::Relaxed))
        .sum()
    }
}

/// Kills runs in one world, then lets a run finish.
fn run_world(seed: u64, kills: usize, not_durable: bool, counts: &Counts) {
    let stage = Stage::new(&rows(ENGINES), &format!("seed: {seed}\n{SCENARIO}"));
    let mut random = fastrand::Rng::with_seed(seed);
    let flags = ["--yes", "--resend-after", "1s", "--output", "json"];
    let command = || {
        let mut command = stage.command(&flags);
        if not_durable {
            command.env("DLC_FLEET_TEST_LEDGER", "not-durable");
        }
        command
    };
    let mut known = String::new();
    for _ in 0..kills {
        let child = command().spawn().expect("it starts");
        std::thread::sleep(Duration::from_millis(random.u64(300..1_800)));
        signal(child.id(), "KILL");
        wait_for(child);
        counts.kills.fetch_add(1, Ordering::Relaxed);
        let now = compare_ledger(&stage, &known, counts);
        let in_flight = left_in_flight(&known, &now);
        counts.kills_in_flight.fetch_add(usize::from(in_flight), Ordering::Relaxed);
        known = now;
    }
    let last = wait_for(command().spawn().expect("it starts"));
    compare_ledger(&stage, &known, counts);
    judge(&stage, &last, counts);
}

/// Compares the ledger with its earlier content: lines may only be added, and a torn line removed.
fn compare_ledger(stage: &Stage, known: &str, counts: &Counts) -> String {
    let now = stage.ledger();
    let whole = known.rfind('\n').map_or("", |end| &known[..=end]);
    let lost = if now.starts_with(whole) { 0 } else { whole.lines().count() };
    counts.lines_lost.fetch_add(lost, Ordering::Relaxed);
    now
}

/// True if this run left a request without a response.
fn left_in_flight(before: &str, now: &str) -> bool {
    let mut in_flight = BTreeSet::new();
    for line in now.get(before.len()..).unwrap_or_default().lines() {
        let Some(engine) = engine_of(line) else { continue };
        if line.contains("\"kind\":\"sent\"") {
            in_flight.insert(engine);
        } else {
            in_flight.remove(engine);
        }
    }
    !in_flight.is_empty()
}

fn engine_of(line: &str) -> Option<&str> {
    line.split("\"data_engine_id\":\"").nth(1)?.split('"').next()
}

/// Lines of each engine.
fn count<'a>(engines: impl Iterator<Item = &'a str>) -> BTreeMap<&'a str, usize> {
    let mut counts = BTreeMap::new();
    for engine in engines {
        *counts.entry(engine).or_default() += 1;
    }
    counts
}

fn judge(stage: &Stage, last: &crate::stage::Ran, counts: &Counts) {
    if last.code != Some(0) {
        counts.ledgers_not_resumed.fetch_add(1, Ordering::Relaxed);
        print(&last.stderr);
    }
    let ledger = stage.ledger();
    let sent = ledger.lines().filter(|line| line.contains("\"kind\":\"sent\""));
    let intents = count(sent.filter_map(engine_of));
    let arrivals = stage.simulator.arrivals();
    let targets: Vec<String> = arrivals
        .iter()
        .filter(|arrival| arrival.action == SWITCH)
        .filter_map(|arrival| arrival.data_engine_id.as_ref().map(ToString::to_string))
        .collect();
    counts.requests.fetch_add(targets.len(), Ordering::Relaxed);
    let requests = count(targets.iter().map(String::as_str));
    // a kill between line and request leaves a line without a request; a request without a line is a violation
    let excess = |(engine, requests): (&&str, &usize)| {
        requests.saturating_sub(intents.get(engine).copied().unwrap_or_default())
    };
    let without_intent: usize = requests.iter().map(excess).sum();
    counts.requests_without_intent.fetch_add(without_intent, Ordering::Relaxed);
    let stats = stage.simulator.stats();
    counts.engines_switched_twice.fetch_add(stats.applied_more_than_once.len(), Ordering::Relaxed);
    let switched = serde_json::from_str::<serde_json::Value>(&last.stdout)
        .ok()
        .and_then(|json| {
            json["jobs"].as_array().map(|jobs| jobs.iter().filter(|job| job["outcome"] == "switched").count())
        })
        .unwrap_or(0);
    counts.rows_missing.fetch_add(ENGINES - switched.min(stats.applied_by_engine.len()), Ordering::Relaxed);
}

/// Prints why a ledger was not resumed, before the test fails.
#[expect(clippy::print_stderr, reason = "the reason of a failure")]
fn print(text: &str) {
    eprintln!("{text}");
}

/// Runs as many worlds as the kills need, two at a time.
fn kill_loop(kills: usize, not_durable: bool) -> Counts {
    let counts = Counts::default();
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let world = next.fetch_add(1, Ordering::Relaxed);
                    let left = kills.saturating_sub(world * KILLS_IN_A_WORLD);
                    if left == 0 {
                        return;
                    }
                    run_world(world as u64, left.min(KILLS_IN_A_WORLD), not_durable, &counts);
                }
            });
        }
    });
    counts
}

#[test]
fn after_kills_at_random_moments_the_same_command_loses_nothing_and_switches_nothing_twice() {
    let kills = std::env::var("DLC_FLEET_KILLS").ok().and_then(|kills| kills.parse().ok()).unwrap_or(16);
    let counts = kill_loop(kills, false);
    let requests = counts.requests.load(Ordering::Relaxed);
    let in_flight = counts.kills_in_flight.load(Ordering::Relaxed);
    survived(
        "SIGKILL at random moments, then the same command until it is done",
        &format!(
            "{kills} kills, {in_flight} of them with requests in flight, {requests} requests; requests without their ledger line, lines lost, engines switched \
             twice, rows missing, ledgers not resumed: {} in all",
            counts.violations()
        ),
    );
    assert_eq!(counts.kills.load(Ordering::Relaxed), kills);
    assert_eq!(counts.violations(), 0, "{counts:#?}");
    assert!(4 * in_flight >= kills, "{in_flight} of {kills} kills with a request in flight are too few");
}

#[test]
fn the_kill_loop_detects_a_ledger_that_is_not_durable() {
    let counts = kill_loop(KILLS_IN_A_WORLD, true);
    let missed = counts.requests_without_intent.load(Ordering::Relaxed);
    survived(
        "the same with a ledger that is deliberately not durable, which the test must detect",
        &format!("{KILLS_IN_A_WORLD} kills, {missed} requests without their line in the ledger"),
    );
    assert!(missed > 0, "{counts:#?}");
}
