//! The expected state of a ledger after each of its lines, computed without the code that reads damaged files.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use dlc_fleet::job::Job;
use dlc_fleet::ledger::{
    Entry, History, LedgerError, Line, LoadedLedger, Past, RunStarted, pasts, read_from,
};

use super::test_ledger;

/// The actual or expected result of a read of a damaged ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReadOutcome {
    /// Read as this number of whole lines, with the correct state of every job.
    Resumed(usize),
    /// Refused as damaged at this line.
    Refused(u64),
    /// Refused as written by a later version at this line.
    Newer(u64),
    /// Any other result; never correct.
    Changed(String),
    /// Never correct.
    Panicked,
}

/// The undamaged ledger, and its state after each line.
pub struct Oracle {
    bytes: Vec<u8>,
    /// Where each line ends, its LF included; zero for none.
    ends: Vec<usize>,
    histories: Vec<History>,
    plan: Vec<Job>,
    pasts: Vec<Vec<Past>>,
}

impl Oracle {
    pub fn new(bytes: Vec<u8>) -> Self {
        let plan = test_ledger::plan();
        let (mut ends, mut histories) = (vec![0], vec![History::default()]);
        for line in bytes.split_inclusive(|byte| *byte == b'\n') {
            let text = std::str::from_utf8(line).expect("UTF-8");
            let line = Line::from_json(text).expect("a line");
            let mut history = histories[histories.len() - 1].clone();
            history.apply(&line).expect("a line that may follow");
            histories.push(history);
            ends.push(ends[ends.len() - 1] + text.len());
        }
        let pasts = histories.iter().map(|history| pasts(&plan, history)).collect();
        Self { bytes, ends, histories, plan, pasts }
    }

    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// How many lines there are.
    pub fn lines(&self) -> usize {
        self.ends.len() - 1
    }

    /// The bytes of a line, counted from one, its LF included.
    pub fn line(&self, number: usize) -> &[u8] {
        &self.bytes[self.ends[number - 1]..self.ends[number]]
    }

    /// Offset of a line, counted from one.
    pub fn start_of(&self, number: usize) -> usize {
        self.ends[number - 1]
    }

    /// The line that holds a byte, counted from one.
    pub fn line_at(&self, byte: usize) -> usize {
        self.ends.partition_point(|end| *end <= byte)
    }

    /// How many lines are whole before a byte.
    pub fn whole_before(&self, byte: usize) -> usize {
        self.ends.partition_point(|end| *end <= byte) - 1
    }

    /// The lines of the runs, first and last, counted from one.
    pub fn runs(&self) -> Vec<(usize, usize)> {
        let begins: Vec<usize> = (1..=self.lines())
            .filter(|line| self.line(*line).windows(20).any(|bytes| bytes == b"\"kind\":\"run-started\""))
            .collect();
        let ends = begins.iter().skip(1).map(|begin| begin - 1).chain([self.lines()]);
        begins.iter().copied().zip(ends).collect()
    }

    pub fn history_after(&self, lines: usize) -> &History {
        &self.histories[lines]
    }

    /// The first line of a run that continues after this number of lines.
    pub fn next_run(&self, lines: usize) -> Entry {
        let first = self.histories.last().and_then(|history| history.latest_run.clone()).expect("a run").1;
        let parent_run = self.histories[lines].latest_run.as_ref().map(|(run, _)| run.clone());
        Entry::RunStarted(RunStarted { parent_run, ..first })
    }

    /// Reads a damaged ledger, and compares every job with the expected state.
    pub fn judge(&self, bytes: &[u8]) -> ReadOutcome {
        match catch_unwind(AssertUnwindSafe(|| read_from(bytes, Path::new("plan.ledger.jsonl")))) {
            Err(_) => ReadOutcome::Panicked,
            Ok(Err(LedgerError::Damaged { line, .. })) => ReadOutcome::Refused(line),
            Ok(Err(LedgerError::Newer { line, .. })) => ReadOutcome::Newer(line),
            Ok(Err(other)) => ReadOutcome::Changed(other.to_string()),
            Ok(Ok(loaded)) => self.compare(bytes, &loaded),
        }
    }

    fn compare(&self, bytes: &[u8], loaded: &LoadedLedger) -> ReadOutcome {
        let lines = usize::try_from(loaded.history.lines).expect("few lines");
        let Some(history) = self.histories.get(lines) else {
            return ReadOutcome::Changed(format!("{lines} lines instead of {}", self.lines()));
        };
        let (whole, torn) = bytes.split_at(self.ends[lines].min(bytes.len()));
        let is_prefix = whole == &self.bytes[..self.ends[lines]] && loaded.torn == torn;
        let is_correct = loaded.history == *history
            && loaded.whole_bytes == self.ends[lines] as u64
            && pasts(&self.plan, &loaded.history) == self.pasts[lines];
        if is_prefix && is_correct {
            ReadOutcome::Resumed(lines)
        } else {
            ReadOutcome::Changed(format!("after {lines} lines"))
        }
    }
}
