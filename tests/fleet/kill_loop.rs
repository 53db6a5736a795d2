//! The kill loop: SIGKILL at random instants while requests are under way, then the same command until done.
//!
//! `cargo test` runs a short loop. The long one: `DLC_FLEET_KILLS=1000 cargo test --test fleet kill_loop --
//! --nocapture`, which prints its counts.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use dlc_fleet::cloud::SWITCH;

use crate::stage::{Stage, rows, signal, survived, wait_for};

/// As many as keep requests under way through all the lives of one world.
const ENGINES: usize = 100;

/// Kills in one world before the command is left to finish.
const KILLS_IN_A_WORLD: usize = 8;

const WEATHER: &str = "latency: {median: 120ms, worst: 400ms}\nswitching: {least: 300ms, most: 900ms}\n\
                       faults:\n  - {fault: InternalError, engines: 5%, times: 1}\n";

/// What a loop counted; all but the first three have to be zero.
#[derive(Debug, Default)]
struct Counts {
    kills: AtomicUsize,
    /// Those that met requests without an answer.
    kills_under_way: AtomicUsize,
    requests: AtomicUsize,
    requests_without_intent: AtomicUsize,
    lines_lost: AtomicUsize,
    engines_switched_twice: AtomicUsize,
    rows_missing: AtomicUsize,
    ledgers_not_resumed: AtomicUsize,
}

impl Counts {
    fn broken(&self) -> usize {
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

/// Kills in one world, then finishes in it.
fn play(seed: u64, kills: usize, not_durable: bool, counts: &Counts) {
    let stage = Stage::new(&rows(ENGINES), &format!("seed: {seed}\n{WEATHER}"));
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
        let now = remember(&stage, &known, counts);
        let under_way = left_under_way(&known, &now);
        counts.kills_under_way.fetch_add(usize::from(under_way), Ordering::Relaxed);
        known = now;
    }
    let last = wait_for(command().spawn().expect("it starts"));
    remember(&stage, &known, counts);
    judge(&stage, &last, counts);
}

/// Compares the ledger with what it was before: lines are only ever added, and a torn one set aside.
fn remember(stage: &Stage, known: &str, counts: &Counts) -> String {
    let now = stage.ledger();
    let whole = known.rfind('\n').map_or("", |end| &known[..=end]);
    let lost = if now.starts_with(whole) { 0 } else { whole.lines().count() };
    counts.lines_lost.fetch_add(lost, Ordering::Relaxed);
    now
}

/// True where this life left a request without an answer.
fn left_under_way(before: &str, now: &str) -> bool {
    let mut under_way = BTreeSet::new();
    for line in now.get(before.len()..).unwrap_or_default().lines() {
        let Some(engine) = engine_of(line) else { continue };
        if line.contains("\"kind\":\"sent\"") {
            under_way.insert(engine);
        } else {
            under_way.remove(engine);
        }
    }
    !under_way.is_empty()
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
        tell(&last.stderr);
    }
    let ledger = stage.ledger();
    let sent = ledger.lines().filter(|line| line.contains("\"kind\":\"sent\""));
    let intents = count(sent.filter_map(engine_of));
    let arrivals = stage.simulator.arrivals();
    let asked: Vec<String> = arrivals
        .iter()
        .filter(|arrival| arrival.action == SWITCH)
        .filter_map(|arrival| arrival.data_engine_id.as_ref().map(ToString::to_string))
        .collect();
    counts.requests.fetch_add(asked.len(), Ordering::Relaxed);
    let requests = count(asked.iter().map(String::as_str));
    // a line without its request is a kill between the two; a request without its line must not be
    let more = |(engine, requests): (&&str, &usize)| {
        requests.saturating_sub(intents.get(engine).copied().unwrap_or_default())
    };
    let unknown: usize = requests.iter().map(more).sum();
    counts.requests_without_intent.fetch_add(unknown, Ordering::Relaxed);
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

/// Shows why a ledger was not resumed; the test that follows fails because of it.
#[expect(clippy::print_stderr, reason = "the reason of a failure")]
fn tell(text: &str) {
    eprintln!("{text}");
}

/// Plays as many worlds as the kills need, two side by side.
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
                    play(world as u64, left.min(KILLS_IN_A_WORLD), not_durable, &counts);
                }
            });
        }
    });
    counts
}

#[test]
fn killed_at_random_instants_and_started_again_nothing_is_lost_and_nothing_done_twice() {
    let kills = std::env::var("DLC_FLEET_KILLS").ok().and_then(|kills| kills.parse().ok()).unwrap_or(16);
    let counts = kill_loop(kills, false);
    let requests = counts.requests.load(Ordering::Relaxed);
    let under_way = counts.kills_under_way.load(Ordering::Relaxed);
    survived(
        "SIGKILL at random instants, then the same command until done",
        &format!(
            "{kills} kills, {under_way} of them with requests under way, {requests} requests; requests without their line in the ledger, lines lost, engines switched \
             twice, rows missing, ledgers not resumed: {} in all",
            counts.broken()
        ),
    );
    assert_eq!(counts.kills.load(Ordering::Relaxed), kills);
    assert_eq!(counts.broken(), 0, "{counts:#?}");
    assert!(4 * under_way >= kills, "{under_way} of {kills} kills met a request: too few to show anything");
}

#[test]
fn the_loop_would_notice_a_ledger_that_is_not_durable() {
    let counts = kill_loop(KILLS_IN_A_WORLD, true);
    let missed = counts.requests_without_intent.load(Ordering::Relaxed);
    survived(
        "SIGKILL in the same way and a ledger that is not durable on purpose, which has to be noticed",
        &format!("{KILLS_IN_A_WORLD} kills, {missed} requests without their line in the ledger"),
    );
    assert!(missed > 0, "{counts:#?}");
}
