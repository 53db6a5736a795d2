//! Ledgers and their lines out of any bytes.

use std::fs;
use std::path::Path;
use std::sync::LazyLock;

use dlc_fleet::ledger::{self, Check, History, LedgerError, Line, Lock, read_from};
use proptest::prelude::*;

use super::mutation::{mutated, noise};
use crate::torture::{Oracle, ReadOutcome, test_ledger};

const LINES: [&str; 5] = [
    r#"{"seq":1,"at":"2026-11-24T03:23:51.582Z","run":"r1","kind":"run-started","schema":"dlc-fleet.ledger/1","tool_version":"0","plan":"p","plan_digest":"0","regions":["ap-a"],"endpoint":"e","simulated":true,"rate":20}"#,
    r#"{"seq":2,"at":"2026-11-24T03:23:51.582Z","run":"r1","kind":"sent","attempt":1,"image_before":"i","region":"ap-a","data_engine_id":"a","new_image_version_id":"n"}"#,
    r#"{"seq":3,"at":"2026-11-24T03:23:51.582Z","run":"r1","kind":"unconfirmed","message":"m","http_status":502,"region":"ap-a","data_engine_id":"a","new_image_version_id":"n"}"#,
    r#"{"seq":4,"at":"2026-11-24T03:23:51.582Z","run":"r1","kind":"failed","code":"C","message":"m","request_id":"i","latency_ms":7,"region":"ap-a","data_engine_id":"a","new_image_version_id":"n"}"#,
    r#"{"seq":5,"at":"2026-11-24T03:23:51.582Z","run":"r1","kind":"run-ended","outcomes":{"failed":1},"stopped":"s"}"#,
];

const PIECES: [&str; 24] = [
    "\"",
    ",",
    ":",
    "{",
    "}",
    "[",
    "]",
    "null",
    "true",
    "-1",
    "1e999",
    "18446744073709551616",
    "\\u0000",
    "\\ud800",
    "\"kind\":\"switched\",",
    "\"kind\":\"up-to-date\",",
    "\"kind\":\"not-applied\",\"image_seen\":\"i\",",
    "\"seq\":1,",
    "\"check\":\"0\",",
    "\"parent_run\":\"r1\",",
    "\"run\":\"r2\",",
    "dlc-fleet.ledger/2",
    "\n",
    "é",
];

static ORACLE: LazyLock<Oracle> = LazyLock::new(|| {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("plan.ledger.jsonl");
    test_ledger::write(&path, "a");
    Oracle::new(fs::read(path).expect("a ledger"))
});

/// A whole ledger with something behind it.
fn torn() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<u8>(), 0..60).prop_map(|bytes| [ORACLE.bytes(), bytes.as_slice()].concat())
}

/// A whole ledger with a change or two somewhere.
fn damaged() -> impl Strategy<Value = Vec<u8>> {
    let bytes = prop::collection::vec(any::<u8>(), 0..5);
    prop::collection::vec((any::<prop::sample::Index>(), 0usize..200, bytes), 1..3).prop_map(|changes| {
        let mut text = ORACLE.bytes().to_vec();
        for (at, removed, inserted) in changes {
            let at = at.index(text.len() + 1);
            let end = (at + removed).min(text.len());
            text.splice(at..end, inserted);
        }
        text
    })
}

fn read(bytes: &[u8]) -> Result<ledger::LoadedLedger, LedgerError> {
    read_from(bytes, Path::new("plan.ledger.jsonl"))
}

proptest! {
    #[test]
    fn any_bytes_are_a_ledger_whose_bytes_add_up_or_are_refused(bytes in noise(&PIECES)) {
        if let Ok(loaded) = read(&bytes) {
            let lines = bytes.split(|byte| *byte == b'\n').count() as u64 - 1;
            prop_assert_eq!(loaded.history.lines, lines);
            prop_assert_eq!(loaded.whole_bytes + loaded.torn.len() as u64, bytes.len() as u64);
            prop_assert!(!loaded.torn.contains(&b'\n'));
        }
    }

    #[test]
    fn whatever_is_done_to_a_whole_ledger_it_resumes_truly_or_is_refused(bytes in prop_oneof![damaged(), torn()]) {
        let result = ORACLE.judge(&bytes);
        prop_assert!(!matches!(result, ReadOutcome::Changed(_) | ReadOutcome::Panicked), "{:?}", result);
    }

    #[test]
    fn a_line_that_is_read_is_written_and_read_again_as_the_same(bytes in mutated(&LINES, &PIECES)) {
        let text = String::from_utf8_lossy(&bytes);
        if let Ok(line) = Line::from_json(&text) {
            let again = Line::from_json(&line.to_json().expect("JSON")).expect("a line");
            prop_assert_eq!((again.seq, &again.run, &again.entry), (line.seq, &line.run, &line.entry));
        }
    }

    #[test]
    fn lines_under_checks_that_hold_are_folded_or_refused_by_their_number(
        lines in prop::collection::vec(mutated(&LINES, &PIECES), 0..4),
        good in 0usize..6,
    ) {
        let changed: Vec<String> = lines.iter().map(|line| String::from_utf8_lossy(line).replace('\n', " ")).collect();
        let all = LINES.iter().take(good).map(|line| (*line).to_owned()).chain(changed);
        let (mut check, mut text, mut history) = (Check::default(), String::new(), Ok(History::default()));
        for (number, line) in all.enumerate() {
            let (sealed, next) = check.seal(&line);
            history = history.and_then(|mut history: History| {
                let taken = Line::from_json(&sealed).and_then(|line| history.apply(&line));
                taken.map(|()| history).map_err(|_| number as u64 + 1)
            });
            (check, text) = (next, text + &sealed + "\n");
        }
        match (read(text.as_bytes()), history) {
            (Ok(loaded), Ok(history)) => prop_assert_eq!(loaded.history, history),
            (Err(LedgerError::Damaged { line, .. } | LedgerError::Newer { line, .. }), Err(due)) => {
                prop_assert_eq!(line, due);
            }
            (read, due) => prop_assert!(false, "{:?} where {:?} is due", read.map(|_| ()), due.map(|_| ())),
        }
    }

    #[test]
    fn a_repair_keeps_the_beginning_and_a_copy_whatever_it_meets(bytes in prop_oneof![damaged(), torn(), noise(&PIECES)]) {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("plan.jsonl");
        fs::write(&path, &bytes).expect("written");
        let repaired = ledger::repair(&path);
        let kept = fs::read(&path).unwrap_or_default();
        if let Ok(Some(repaired)) = repaired {
            prop_assert!(bytes.starts_with(&kept) && kept.len() < bytes.len());
            prop_assert_eq!(fs::read(repaired.copy).expect("a copy"), bytes);
            prop_assert_eq!(ledger::read(&path).expect("whole").history.lines, repaired.kept_lines);
        } else {
            let is_whole = ledger::read(&path).is_ok_and(|loaded| loaded.torn.is_empty());
            prop_assert_eq!((kept, repaired.is_ok()), (bytes, is_whole));
        }
    }

    #[test]
    fn whatever_stands_on_the_card_the_lock_is_held(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("plan.jsonl");
        let _held = Lock::acquire(&path).expect("free");
        fs::write(folder.path().join("plan.jsonl.lock"), bytes).expect("written");
        let is_locked = matches!(Lock::acquire(&path), Err(LedgerError::Locked { .. }));
        prop_assert!(is_locked);
    }
}
