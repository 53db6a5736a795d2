//! Damages a ledger in every way: cut at every byte, every byte changed, every line dropped, repeated and moved.
//!
//! A read of the damaged ledger must give exactly the state after the lines before the damage, or an error with the number
//! of the damaged line. `cargo test` checks a sample. All of them, with counts:
//! `DLC_FLEET_TORTURE=all cargo test --release --test fleet torture -- --nocapture`

mod damage;
mod oracle;
mod real;
pub mod test_ledger;

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use dlc_fleet::format;
use dlc_fleet::ledger::{LedgerError, open, read};

use crate::stage::survived;
use damage::{Damage, Kind};
pub use oracle::{Oracle, ReadOutcome};

/// True if all damages are checked, not a sample.
fn is_whole() -> bool {
    std::env::var_os("DLC_FLEET_TORTURE").is_some_and(|value| value == "all")
}

fn oracle(prefix: &str) -> Oracle {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("plan.ledger.jsonl");
    test_ledger::write(&path, prefix);
    Oracle::new(fs::read(path).expect("a ledger"))
}

/// The counts of one kind of damage.
#[derive(Debug, Default)]
struct Count {
    done: AtomicUsize,
    resumed: AtomicUsize,
    refused: AtomicUsize,
    /// Refused as written by a later version, because the schema was changed.
    newer: AtomicUsize,
    panicked: AtomicUsize,
    /// Other results than expected.
    changed: AtomicUsize,
}

impl Count {
    fn of(&self, number: impl Fn(&Self) -> &AtomicUsize) -> usize {
        number(self).load(Ordering::Relaxed)
    }

    fn add(&self, result: &ReadOutcome) {
        let number = match result {
            ReadOutcome::Resumed(_) => &self.resumed,
            ReadOutcome::Refused(_) => &self.refused,
            ReadOutcome::Newer(_) => &self.newer,
            ReadOutcome::Panicked => &self.panicked,
            ReadOutcome::Changed(_) => &self.changed,
        };
        self.done.fetch_add(1, Ordering::Relaxed);
        number.fetch_add(1, Ordering::Relaxed);
    }
}

/// Applies every damage, on all cores, and counts the results.
fn torture(oracle: &Oracle, damages: &[Damage]) -> Vec<(Kind, Count)> {
    let counts: Vec<(Kind, Count)> = Kind::ALL.map(|kind| (kind, Count::default())).into();
    let next = AtomicUsize::new(0);
    let workers = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                while let Some(damage) = damages.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let bytes = damage.apply(oracle);
                    let (result, expected) = (oracle.judge(&bytes), damage.expected(oracle));
                    let result = if result == expected || result == ReadOutcome::Panicked {
                        result
                    } else {
                        ReadOutcome::Changed(format!("{damage:?}: {result:?} where {expected:?} expected"))
                    };
                    if let ReadOutcome::Changed(what) = &result {
                        print(what);
                    }
                    let (_, count) =
                        counts.iter().find(|(kind, _)| *kind == damage.kind()).expect("every kind is there");
                    count.add(&result);
                }
            });
        }
    });
    counts
}

/// Prints a wrong result, before the test fails.
#[expect(clippy::print_stderr, reason = "the reason of a failure")]
fn print(what: &str) {
    eprintln!("{what}");
}

#[test]
fn a_damaged_ledger_is_resumed_correctly_or_refused_with_its_line() {
    let started = Instant::now();
    let (oracle, other) = (oracle("a"), oracle("b"));
    assert!(oracle.lines() >= 200, "{} lines", oracle.lines());
    let damages = damage::all(&oracle, &other, is_whole());
    let counts = torture(&oracle, &damages);
    let total =
        |number: fn(&Count) -> &AtomicUsize| counts.iter().map(|(_, count)| count.of(number)).sum::<usize>();
    let done =
        |(kind, count): &(Kind, Count)| format!("{} {}", format::count(count.of(|c| &c.done)), kind.name());
    survived(
        &format!(
            "a ledger of {} lines and {} bytes, damaged at every position",
            oracle.lines(),
            format::count(oracle.bytes().len())
        ),
        &format!(
            "{}: {} resumed with exactly the lines before the damage, {} refused by line ({} of them as of a later version); \
             outcomes changed {}, panics {} ({} s)",
            counts.iter().map(done).collect::<Vec<_>>().join(", "),
            format::count(total(|count| &count.resumed)),
            format::count(total(|count| &count.refused) + total(|count| &count.newer)),
            total(|count| &count.newer),
            total(|count| &count.changed),
            total(|count| &count.panicked),
            started.elapsed().as_secs(),
        ),
    );
    assert_eq!(total(|count| &count.done), damages.len());
    assert_eq!((total(|count| &count.changed), total(|count| &count.panicked)), (0, 0));
    for (kind, count) in &counts {
        assert!(count.of(|count| &count.done) > 0, "no damage of {kind:?}");
    }
}

#[test]
fn the_torture_detects_a_reader_that_does_not_verify_lines() {
    let oracle = oracle("a");
    let damages = damage::all(&oracle, &oracle, false);
    let lines: Vec<&[u8]> = oracle.bytes().split_inclusive(|byte| *byte == b'\n').collect();
    let wrong = damages.iter().filter(|damage| {
        // such a reader accepts every line of the original ledger
        let bytes = damage.apply(&oracle);
        let accepted =
            bytes.split_inclusive(|byte| *byte == b'\n').filter(|line| lines.contains(line)).count();
        ReadOutcome::Resumed(accepted) != damage.expected(&oracle)
    });
    assert!(wrong.count() > damages.len() / 2);
}

/// A sample in real files: open, continue, read again.
#[test]
fn a_damaged_file_is_opened_or_refused_like_its_bytes() {
    let (oracle, other) = (oracle("a"), oracle("b"));
    let mut random = fastrand::Rng::with_seed(7);
    let mut damages = damage::all(&oracle, &other, false);
    random.shuffle(&mut damages);
    let folder = tempfile::tempdir().expect("a folder");
    for (number, damage) in damages.iter().take(if is_whole() { 2_000 } else { 60 }).enumerate() {
        let path = folder.path().join(format!("{number}.jsonl"));
        let bytes = damage.apply(&oracle);
        fs::write(&path, &bytes).expect("written");
        match (open(&path, "later"), damage.expected(&oracle)) {
            (Ok((writer, torn_copy)), ReadOutcome::Resumed(lines)) => {
                assert_eq!(writer.history(), oracle.history_after(lines), "{damage:?}");
                let kept = torn_copy.map_or_else(Vec::new, |copy| fs::read(copy).expect("kept"));
                drop(writer);
                let file = fs::read(&path).unwrap_or_default();
                assert_eq!([file, kept].concat(), bytes, "{damage:?}: nothing is lost");
                assert_next_run(&path, &oracle, lines);
            }
            (Err(LedgerError::Damaged { line, .. }), ReadOutcome::Refused(due))
            | (Err(LedgerError::Newer { line, .. }), ReadOutcome::Newer(due)) => {
                assert_eq!(line, due, "{damage:?}");
                assert_eq!(
                    fs::read(&path).expect("there"),
                    bytes,
                    "{damage:?}: a refused file is not changed"
                );
            }
            (opened, due) => panic!("{damage:?}: {:?} where {due:?} expected", opened.map(|_| ())),
        }
    }
}

/// The first line of a next run can be appended to a resumed ledger.
fn assert_next_run(path: &Path, oracle: &Oracle, lines: usize) {
    let (mut writer, torn_copy) = open(path, "later").expect("the same file again");
    assert_eq!(torn_copy, None);
    writer.append(vec![oracle.next_run(lines)]).expect("written");
    drop(writer);
    assert_eq!(read(path).expect("whole").history.lines, lines as u64 + 1);
}
