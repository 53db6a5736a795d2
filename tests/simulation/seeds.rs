//! Runs many seeds on all cores, and reports the seeds that fail.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use crate::faults::{Kind, Without};
use crate::oracle::{IgnoredRules, Rule, Violation};
use crate::simulation::{Options, simulate};
use crate::world::Figures;

/// Seeds that are shown for each rule.
const SHOWN: usize = 12;

/// The result of many seeds.
#[derive(Debug, Default)]
pub struct Summary {
    pub seeds: u64,
    pub figures: Figures,
    /// The first violation of each seed that had one.
    pub failed: BTreeMap<u64, Violation>,
}

/// Runs these seeds. With `stop_at_first` no seed starts after one has failed.
pub fn simulate_all(seeds: &[u64], options: Options, stop_at_first: bool) -> Summary {
    let (next, stop) = (AtomicU64::new(0), AtomicBool::new(false));
    let summary = Mutex::new(Summary::default());
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    let position =
                        usize::try_from(next.fetch_add(1, Ordering::Relaxed)).unwrap_or(usize::MAX);
                    let Some(seed) = seeds.get(position) else { break };
                    let result = simulate(*seed, options);
                    let mut summary = summary.lock().unwrap_or_else(PoisonError::into_inner);
                    summary.seeds += 1;
                    summary.figures += result.figures;
                    if let Some(violation) = result.violations.first() {
                        summary.failed.insert(*seed, violation.clone());
                        stop.store(stop_at_first, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    summary.into_inner().unwrap_or_else(PoisonError::into_inner)
}

/// Searches the smallest set of faults, engines and runs that still violates the rule.
pub fn shrink(seed: u64, rule: Rule, mut options: Options) -> Options {
    let violates =
        |options: Options| simulate(seed, options).violations.first().is_some_and(|first| first.rule == rule);
    for runs in 0..4 {
        let smaller = Options { most_runs: runs, ..options };
        if violates(smaller) {
            options = smaller;
            break;
        }
    }
    for engines in [1, 2, 3, 5, 8] {
        let smaller = Options { most_engines: engines, ..options };
        if violates(smaller) {
            options = smaller;
            break;
        }
    }
    // a fault that another one depends on can be removed only in the second pass
    for _ in 0..2 {
        for kind in Kind::ALL
            .iter()
            .filter(|kind| !Without::contains(options.without, **kind))
            .copied()
            .collect::<Vec<_>>()
        {
            let smaller = Options { without: options.without.and(kind), ..options };
            if violates(smaller) {
                options = smaller;
            }
        }
    }
    options
}

/// The command that runs a seed again with these options and prints its trace.
pub fn command_for(seed: u64, options: Options) -> String {
    let mut command = format!("DLC_FLEET_SEED={seed}");
    let defaults = Options::default();
    if options.most_engines != defaults.most_engines {
        let _ = write!(command, " DLC_FLEET_ENGINES={}", options.most_engines);
    }
    if options.most_runs != defaults.most_runs {
        let _ = write!(command, " DLC_FLEET_RUNS={}", options.most_runs);
    }
    if options.without != defaults.without {
        let kinds = simulate(seed, options).kinds;
        let names: Vec<&str> = kinds.into_iter().map(Kind::name).collect();
        let names = if names.is_empty() { "none".to_owned() } else { names.join(",") };
        let _ = write!(command, " DLC_FLEET_FAULTS={names}");
    }
    command + " cargo test --release --test simulation -- --nocapture"
}

/// The options from the environment.
pub fn options() -> Options {
    let defaults = Options::default();
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse().ok());
    let without =
        std::env::var("DLC_FLEET_FAULTS").map_or(Ok(defaults.without), |names| Without::all_but(&names));
    let ignored_rules = std::env::var("DLC_FLEET_IGNORE_RULES").unwrap_or_default();
    Options {
        without: without.unwrap_or_else(|error| panic!("DLC_FLEET_FAULTS: {error}")),
        most_engines: number("DLC_FLEET_ENGINES").unwrap_or(defaults.most_engines),
        most_runs: number("DLC_FLEET_RUNS").unwrap_or(defaults.most_runs),
        traced: false,
        ignored_rules: IgnoredRules::parse(&ignored_rules)
            .unwrap_or_else(|error| panic!("DLC_FLEET_IGNORE_RULES: {error}")),
    }
}

impl Summary {
    /// One line of figures.
    pub fn line(&self, started: Instant) -> String {
        let Figures { runs, crashes, requests, reads, suspensions, lost_responses, .. } = self.figures;
        let Figures {
            twice_within_promise, twice_beyond_promise, doubled_by_service, outcomes, seconds, ..
        } = self.figures;
        format!(
            "{} seeds, {runs} runs, {crashes} crashes, {requests} requests, {reads} reads, {outcomes} outcomes, \
             {suspensions} suspensions, {lost_responses} lost responses, {} virtual hours; applied twice: \
             {twice_within_promise} within the promise, {twice_beyond_promise} beyond it, {doubled_by_service} by the \
             service itself; violations: {} ({:.1} s)",
            self.seeds,
            seconds / 3_600,
            self.failed.len(),
            started.elapsed().as_secs_f64(),
        )
    }

    /// The number of seeds that violate each rule first, and some of the violations.
    pub fn by_rule(&self) -> String {
        let mut rules: BTreeMap<Rule, Vec<(u64, &Violation)>> = BTreeMap::new();
        for (seed, violation) in &self.failed {
            rules.entry(violation.rule).or_default().push((*seed, violation));
        }
        let mut table = String::new();
        for (rule, seeds) in rules {
            let _ = writeln!(table, "{rule:?}: {} seeds", seeds.len());
            for (seed, violation) in seeds.iter().take(SHOWN) {
                let what: String = violation.what.chars().take(150).collect();
                let _ = writeln!(table, "{seed:>12}  run {} at {:.0?}: {what}", violation.run, violation.at);
            }
        }
        table
    }
}
