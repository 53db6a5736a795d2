//! Runs the real executable on damaged ledgers: check names the line, repair adds nothing, and the next run switches no
//! engine twice.

use std::fs;
use std::sync::Mutex;

use dlc_fleet::cloud::EngineState;

use super::damage::{Damage, Flip};
use super::oracle::{Oracle, ReadOutcome};
use crate::stage::{LEDGER, Ran, Stage, executable, finish, rows, signal, wait_for, wait_until};

const ENGINES: usize = 16;

/// Refusals, throttling and lost responses, so that the ledger has many kinds of lines.
const SCENARIO: &str = "latency: {median: 30ms, max: 90ms}\nswitching: {min: 300ms, max: 900ms}\nfaults:\n\
                       \x20 - {fault: InternalError, engines: 20%, times: 1}\n\
                       \x20 - {fault: RequestLimitExceeded, engines: 10%, times: 1}\n\
                       \x20 - {fault: reset-after-reading, engines: [DataEngine-0002], times: 1}\n";

/// A fleet during its switch: two runs were killed.
struct Scene {
    stage: Stage,
    oracle: Oracle,
}

impl Scene {
    fn new() -> Self {
        let stage = Stage::new(&rows(ENGINES), SCENARIO);
        for sent in [ENGINES / 3, ENGINES - 2] {
            let child = stage.command(&["--yes", "--resend-after", "1s"]).spawn().expect("it starts");
            wait_until("requests arrive", || stage.requests() >= sent);
            signal(child.id(), "KILL");
            wait_for(child);
        }
        let mut bytes = fs::read(stage.path(LEDGER)).expect("a ledger");
        // a kill can tear the last line, which would be a second damage
        bytes.truncate(bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1));
        Self { stage, oracle: Oracle::new(bytes) }
    }

    fn ledger(&self, command: &str) -> Ran {
        let mut call = executable(self.stage.folder.path());
        call.args(["ledger", command, LEDGER]);
        finish(call)
    }

    fn bytes(&self) -> Vec<u8> {
        fs::read(self.stage.path(LEDGER)).expect("a ledger")
    }

    /// The copy that the repair made of the whole file.
    fn copy(&self) -> Vec<u8> {
        let entries = fs::read_dir(self.stage.folder.path()).expect("a folder");
        let mut copies = entries
            .map(|entry| entry.expect("an entry").path())
            .filter(|path| path.to_string_lossy().contains(".before-repair-"));
        let copy = copies.next().expect("a copy");
        assert_eq!(copies.next(), None, "one copy");
        fs::read(copy).expect("a copy")
    }

    /// Checks one damage, from `ledger check` to the end of the switch.
    fn check_damage(&self, damage: &Damage) {
        let damaged = damage.apply(&self.oracle);
        fs::write(self.stage.path(LEDGER), &damaged).expect("written");
        let verified = self.ledger("check");
        match damage.expected(&self.oracle) {
            ReadOutcome::Resumed(lines) => {
                assert_eq!(verified.code, Some(0), "{damage:?}: {}", verified.stderr);
                assert!(
                    verified.stdout.contains(&format!("{lines} line")),
                    "{damage:?}: {}",
                    verified.stdout
                );
            }
            ReadOutcome::Refused(line) => {
                for ran in [verified, self.stage.run(&[])] {
                    assert_eq!(ran.code, Some(6), "{damage:?}: {}", ran.stderr);
                    assert!(ran.stderr.contains(&format!("at line {line}:")), "{damage:?}: {}", ran.stderr);
                }
                assert_eq!(self.bytes(), damaged, "{damage:?}: a refused ledger is not changed");
                if line == 1 {
                    return self.has_nothing_to_keep(damage, &damaged);
                }
                self.check_repair(damage, &damaged, line);
            }
            other => panic!("{damage:?}: {other:?} is not of the sample"),
        }
        self.finish_switch(damage);
    }

    fn has_nothing_to_keep(&self, damage: &Damage, damaged: &[u8]) {
        let repaired = self.ledger("repair");
        assert_eq!(repaired.code, Some(6), "{damage:?}: {}", repaired.stderr);
        assert_eq!(self.bytes(), damaged, "{damage:?}: no line is undamaged, so nothing is removed");
    }

    fn check_repair(&self, damage: &Damage, damaged: &[u8], line: u64) {
        let repaired = self.ledger("repair");
        assert_eq!(repaired.code, Some(0), "{damage:?}: {}", repaired.stderr);
        let kept = self.bytes();
        assert!(damaged.starts_with(&kept), "{damage:?}: the kept part is a prefix of the file");
        let lines = kept.split_inclusive(|byte| *byte == b'\n').count() as u64;
        assert_eq!(
            (lines, kept.last()),
            (line - 1, Some(&b'\n')),
            "{damage:?}: every line before the damage"
        );
        assert_eq!(self.copy(), damaged, "{damage:?}");
        assert_eq!(self.ledger("check").code, Some(0), "{damage:?}");
    }

    /// Follows the message of the repair: waits until no engine is switching, then runs the same command again.
    fn finish_switch(&self, damage: &Damage) {
        wait_until("nothing is switching", || {
            self.stage
                .simulator
                .with_world(|world| world.engines().all(|engine| engine.state == EngineState::RUNNING))
        });
        let ran = self.stage.run(&["--resend-after", "1s"]);
        assert_eq!(ran.code, Some(0), "{damage:?}: {}{}", ran.stdout, ran.stderr);
        let stats = self.stage.simulator.stats();
        assert_eq!(stats.applied_by_engine.len(), ENGINES, "{damage:?}");
        assert!(stats.applied_more_than_once.is_empty(), "{damage:?}: {:?}", stats.applied_more_than_once);
    }
}

/// Twelve damages, each in a separate world.
fn sample(number: usize, oracle: &Oracle) -> Damage {
    let (last, whole) = (oracle.lines(), oracle.bytes().len());
    let middle = last / 2;
    let within = |line: usize| oracle.start_of(line) + 40;
    match number {
        0 => Damage::Cut(whole - 9),
        1 => Damage::Cut(oracle.start_of(middle)),
        2 => Damage::Cut(within(2 * last / 3)),
        3 => Damage::Flip(within(1), Flip::Xor(0x20)),
        4 => Damage::Flip(within(middle), Flip::Xor(0x01)),
        5 => Damage::Flip(within(last), Flip::Xor(0x80)),
        6 => Damage::Flip(within(middle), Flip::Into(b'\n')),
        7 => Damage::Drop(middle),
        8 => Damage::Repeat(last - 1),
        9 => Damage::Swap(middle, middle + 1),
        10 => Damage::RepeatAll(1, oracle.runs()[0].1),
        _ => Damage::Insert(middle, b"{\"seq\":1}\n".to_vec()),
    }
}

#[test]
fn a_damaged_ledger_is_reported_repaired_and_resumed_without_a_second_switch() {
    let numbers = Mutex::new((0..12).collect::<Vec<usize>>());
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while let Some(number) = { numbers.lock().expect("no panic").pop() } {
                    let scene = Scene::new();
                    scene.check_damage(&sample(number, &scene.oracle));
                }
            });
        }
    });
}
