//! Deterministic simulation tests: one seed gives a plan, a service with faults, crashes and suspensions; an oracle that
//! knows the true state of the service checks the tool.
//!
//! `cargo test` runs a few hundred seeds. `DLC_FLEET_SEEDS=100000 cargo test --release --test simulation --
//! --nocapture` runs many, from `DLC_FLEET_FIRST_SEED` on. A seed that fails prints the command that runs it again.

mod clock;
mod command;
mod completion;
mod crash;
mod disk;
mod engine;
mod faults;
mod options;
mod oracle;
mod others;
mod plan;
mod process;
mod random;
mod read_log;
mod reads;
mod records;
mod requests;
mod seeds;
mod service;
mod simulation;
mod trace;
mod world;

use std::time::Instant;

use crate::seeds::{command_for, options, shrink, simulate_all};
use crate::simulation::{Options, simulate};

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[expect(clippy::print_stdout, reason = "the figures and the trace are the result")]
fn print(text: &str) {
    println!("{text}");
}

#[test]
fn no_seed_violates_a_rule() {
    if let Some(seed) = number("DLC_FLEET_SEED") {
        let result = simulate(seed, Options { traced: true, ..options() });
        print(&result.trace);
        assert!(result.violations.is_empty(), "{:#?}", result.violations);
        return;
    }
    let (first, count) =
        (number("DLC_FLEET_FIRST_SEED").unwrap_or(1), number("DLC_FLEET_SEEDS").unwrap_or(300));
    let seeds: Vec<u64> = (first..first + count).collect();
    let started = Instant::now();
    let summary = simulate_all(&seeds, options(), number("DLC_FLEET_STOP").is_some());
    let what = "random plans, faults, crashes, suspensions and edits, each from one seed, in virtual time";
    print(&format!("survived: {what} | {}", summary.line(started)));
    let Some((seed, violation)) = summary.failed.first_key_value() else { return };
    print(&summary.by_rule());
    let smallest = shrink(*seed, violation.rule, options());
    panic!(
        "seed {seed}, run {}, {:?}: {}\nrun again: {}\nsmallest: {}",
        violation.run,
        violation.rule,
        violation.what,
        command_for(*seed, options()),
        command_for(*seed, smallest),
    );
}

#[test]
fn seeds_that_once_failed_pass() {
    let lines =
        include_str!("regressions.txt").lines().map(|line| line.split('#').next().unwrap_or_default().trim());
    let seeds: Vec<u64> = lines
        .filter(|line| !line.is_empty())
        .map(|line| line.parse().unwrap_or_else(|error| panic!("{line}: {error}")))
        .collect();
    let summary = simulate_all(&seeds, Options::default(), false);
    assert!(summary.failed.is_empty(), "{:#?}", summary.failed);
}

#[test]
fn the_same_seed_gives_the_same_trace() {
    for seed in 1..=40 {
        let traced = Options { traced: true, ..Options::default() };
        let (one, other) = (simulate(seed, traced).trace, simulate(seed, traced).trace);
        assert!(one.len() > 500, "seed {seed}: {one}");
        let differs = one.lines().zip(other.lines()).find(|(one, other)| one != other);
        assert_eq!(differs, None, "seed {seed}");
        assert_eq!(one.len(), other.len(), "seed {seed}");
    }
}
