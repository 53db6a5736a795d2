//! Deterministic simulation: from one seed a plan, a service that lies and lags, crashes and suspensions; and an oracle
//! that knows the world.
//!
//! `cargo test` plays a few hundred seeds. `DLC_FLEET_SEEDS=100000 cargo test --release --test simulation --
//! --nocapture` plays many, from `DLC_FLEET_FIRST_SEED` on. A seed that fails prints the command that plays it again.

mod clock;
mod command;
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
mod reads;
mod records;
mod requests;
mod seeds;
mod service;
mod settled;
mod sights;
mod story;
mod trace;
mod world;

use std::time::Instant;

use crate::seeds::{command_for, options, play_all, shrink};
use crate::story::{Options, play};

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[expect(clippy::print_stdout, reason = "figures and the trace of a seed are what it is run for")]
fn print(text: &str) {
    println!("{text}");
}

#[test]
fn no_seed_breaks_a_rule() {
    if let Some(seed) = number("DLC_FLEET_SEED") {
        let told = play(seed, Options { traced: true, ..options() });
        print(&told.trace);
        assert!(told.violations.is_empty(), "{:#?}", told.violations);
        return;
    }
    let (first, count) =
        (number("DLC_FLEET_FIRST_SEED").unwrap_or(1), number("DLC_FLEET_SEEDS").unwrap_or(300));
    let seeds: Vec<u64> = (first..first + count).collect();
    let begun = Instant::now();
    let summary = play_all(&seeds, options(), number("DLC_FLEET_STOP").is_some());
    let what = "random plans, faults, crashes, suspensions and edits, each from one seed, in virtual time";
    print(&format!("survived: {what} | {}", summary.line(begun)));
    let Some((seed, violation)) = summary.failed.first_key_value() else { return };
    print(&summary.by_rule());
    let smallest = shrink(*seed, violation.rule, options());
    panic!(
        "seed {seed}, run {}, {:?}: {}\nagain: {}\nsmallest: {}",
        violation.run,
        violation.rule,
        violation.what,
        command_for(*seed, options()),
        command_for(*seed, smallest),
    );
}

#[test]
fn seeds_that_once_failed_hold() {
    let lines =
        include_str!("regressions.txt").lines().map(|line| line.split('#').next().unwrap_or_default().trim());
    let seeds: Vec<u64> = lines
        .filter(|line| !line.is_empty())
        .map(|line| line.parse().unwrap_or_else(|error| panic!("{line}: {error}")))
        .collect();
    let summary = play_all(&seeds, Options::default(), false);
    assert!(summary.failed.is_empty(), "{:#?}", summary.failed);
}

#[test]
fn the_same_seed_plays_the_same_story() {
    for seed in 1..=40 {
        let traced = Options { traced: true, ..Options::default() };
        let (one, other) = (play(seed, traced).trace, play(seed, traced).trace);
        assert!(one.len() > 500, "seed {seed}: {one}");
        let differs = one.lines().zip(other.lines()).find(|(one, other)| one != other);
        assert_eq!(differs, None, "seed {seed}");
        assert_eq!(one.len(), other.len(), "seed {seed}");
    }
}
