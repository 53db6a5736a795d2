//! A ledger under torture: cut at every byte, every byte changed, every line dropped, repeated and moved.
//!
//! Whatever is done to it, reading it gives either exactly what its whole lines before the damage say, or a refusal
//! that names the damaged line. `cargo test` tortures a sample. All of it, with its counts:
//! `DLC_FLEET_TORTURE=all cargo test --release --test fleet torture -- --nocapture`

mod damage;
mod oracle;
mod real;
pub mod story;

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use dlc_fleet::format;
use dlc_fleet::ledger::{LedgerError, open, read};

use crate::stage::survived;
use damage::{Damage, Kind};
pub use oracle::{JobResult, Oracle};

/// Whether all of it was asked for.
fn is_whole() -> bool {
    std::env::var_os("DLC_FLEET_TORTURE").is_some_and(|value| value == "all")
}

fn oracle(prefix: &str) -> Oracle {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("plan.ledger.jsonl");
    story::write(&path, prefix);
    Oracle::new(fs::read(path).expect("a ledger"))
}

/// What came of all damages of one kind.
#[derive(Debug, Default)]
struct Count {
    done: AtomicUsize,
    resumed: AtomicUsize,
    refused: AtomicUsize,
    /// Refused as written by a later version, which a changed schema looks like.
    newer: AtomicUsize,
    panicked: AtomicUsize,
    /// Anything else than what had to come of it.
    changed: AtomicUsize,
}

impl Count {
    fn of(&self, number: impl Fn(&Self) -> &AtomicUsize) -> usize {
        number(self).load(Ordering::Relaxed)
    }

    fn note(&self, result: &JobResult) {
        let number = match result {
            JobResult::Resumed(_) => &self.resumed,
            JobResult::Refused(_) => &self.refused,
            JobResult::Newer(_) => &self.newer,
            JobResult::Panicked => &self.panicked,
            JobResult::Changed(_) => &self.changed,
        };
        self.done.fetch_add(1, Ordering::Relaxed);
        number.fetch_add(1, Ordering::Relaxed);
    }
}

/// Inflicts damages one after the other, on all cores, and counts what comes of them.
fn torture(oracle: &Oracle, damages: &[Damage]) -> Vec<(Kind, Count)> {
    let counts: Vec<(Kind, Count)> = Kind::ALL.map(|kind| (kind, Count::default())).into();
    let next = AtomicUsize::new(0);
    let workers = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                while let Some(damage) = damages.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let bytes = damage.inflict(oracle);
                    let (result, expected) = (oracle.judge(&bytes), damage.expected(oracle));
                    let result = if result == expected || result == JobResult::Panicked {
                        result
                    } else {
                        JobResult::Changed(format!("{damage:?}: {result:?} where {expected:?} is due"))
                    };
                    if let JobResult::Changed(what) = &result {
                        tell(what);
                    }
                    let (_, count) =
                        counts.iter().find(|(kind, _)| *kind == damage.kind()).expect("every kind is there");
                    count.note(&result);
                }
            });
        }
    });
    counts
}

/// Shows what came out wrong; the test that follows fails because of it.
#[expect(clippy::print_stderr, reason = "the reason of a failure")]
fn tell(what: &str) {
    eprintln!("{what}");
}

#[test]
fn whatever_is_done_to_a_ledger_it_resumes_truly_or_names_the_line() {
    let begun = Instant::now();
    let (oracle, other) = (oracle("a"), oracle("b"));
    assert!(oracle.lines() >= 200, "{} lines", oracle.lines());
    let damages = damage::all(&oracle, &other, is_whole());
    let counts = torture(&oracle, &damages);
    let total =
        |number: fn(&Count) -> &AtomicUsize| counts.iter().map(|(_, count)| count.of(number)).sum::<usize>();
    let done =
        |(kind, count): &(Kind, Count)| format!("{} {}", format::count(count.of(|c| &c.done)), kind.words());
    survived(
        &format!(
            "a ledger of {} lines and {} bytes, damaged in every place",
            oracle.lines(),
            format::count(oracle.bytes().len())
        ),
        &format!(
            "{}: {} resumed with exactly the lines before, {} refused by line ({} of them as of a later version); \
             outcomes changed {}, panics {} ({} s)",
            counts.iter().map(done).collect::<Vec<_>>().join(", "),
            format::count(total(|count| &count.resumed)),
            format::count(total(|count| &count.refused) + total(|count| &count.newer)),
            total(|count| &count.newer),
            total(|count| &count.changed),
            total(|count| &count.panicked),
            begun.elapsed().as_secs(),
        ),
    );
    assert_eq!(total(|count| &count.done), damages.len());
    assert_eq!((total(|count| &count.changed), total(|count| &count.panicked)), (0, 0));
    for (kind, count) in &counts {
        assert!(count.of(|count| &count.done) > 0, "nothing was done of {kind:?}");
    }
}

#[test]
fn the_torture_would_notice_a_reader_that_believes_what_it_is_given() {
    let oracle = oracle("a");
    let damages = damage::all(&oracle, &oracle, false);
    let lines: Vec<&[u8]> = oracle.bytes().split_inclusive(|byte| *byte == b'\n').collect();
    let wrong = damages.iter().filter(|damage| {
        // such a reader takes every line that looks like one
        let bytes = damage.inflict(&oracle);
        let believed =
            bytes.split_inclusive(|byte| *byte == b'\n').filter(|line| lines.contains(line)).count();
        JobResult::Resumed(believed) != damage.expected(&oracle)
    });
    assert!(wrong.count() > damages.len() / 2);
}

/// A sample through real files: opened, gone on with, read again.
#[test]
fn a_damaged_file_is_opened_or_refused_as_its_bytes_are() {
    let (oracle, other) = (oracle("a"), oracle("b"));
    let mut random = fastrand::Rng::with_seed(7);
    let mut damages = damage::all(&oracle, &other, false);
    random.shuffle(&mut damages);
    let folder = tempfile::tempdir().expect("a folder");
    for (number, damage) in damages.iter().take(if is_whole() { 2_000 } else { 60 }).enumerate() {
        let path = folder.path().join(format!("{number}.jsonl"));
        let bytes = damage.inflict(&oracle);
        fs::write(&path, &bytes).expect("written");
        match (open(&path, "later"), damage.expected(&oracle)) {
            (Ok((writer, set_aside)), JobResult::Resumed(lines)) => {
                assert_eq!(writer.history(), oracle.memory_after(lines), "{damage:?}");
                let kept = set_aside.map_or_else(Vec::new, |aside| fs::read(aside).expect("kept"));
                drop(writer);
                let file = fs::read(&path).unwrap_or_default();
                assert_eq!([file, kept].concat(), bytes, "{damage:?}: nothing is lost");
                goes_on(&path, &oracle, lines);
            }
            (Err(LedgerError::Damaged { line, .. }), JobResult::Refused(due))
            | (Err(LedgerError::Newer { line, .. }), JobResult::Newer(due)) => {
                assert_eq!(line, due, "{damage:?}");
                assert_eq!(
                    fs::read(&path).expect("there"),
                    bytes,
                    "{damage:?}: a refused file is left alone"
                );
            }
            (opened, due) => panic!("{damage:?}: {:?} where {due:?} is due", opened.map(|_| ())),
        }
    }
}

/// A ledger that was resumed takes the next run's first line.
fn goes_on(path: &Path, oracle: &Oracle, lines: usize) {
    let (mut writer, set_aside) = open(path, "later").expect("the same file again");
    assert_eq!(set_aside, None);
    writer.append(vec![oracle.next_run(lines)]).expect("written");
    drop(writer);
    assert_eq!(read(path).expect("whole").history.lines, lines as u64 + 1);
}
