//! What a ledger says after each of its lines, found without the code that reads damaged files.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use dlc_fleet::job::Job;
use dlc_fleet::ledger::{
    Entry, History, LedgerError, Line, LoadedLedger, Past, RunStarted, pasts, read_from,
};

use super::story;

/// What came of reading a damaged ledger, or has to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JobResult {
    /// Read as so many whole lines, with the truth about every job.
    Resumed(usize),
    /// Refused as damaged at this line.
    Refused(u64),
    /// Refused as written by a later version at this line.
    Newer(u64),
    /// Anything else; never right.
    Changed(String),
    /// Never right.
    Panicked,
}

/// The whole ledger, and what it says after each line.
pub struct Oracle {
    bytes: Vec<u8>,
    /// Where each line ends, its LF included; zero for none.
    ends: Vec<usize>,
    memories: Vec<History>,
    plan: Vec<Job>,
    pasts: Vec<Vec<Past>>,
}

impl Oracle {
    pub fn new(bytes: Vec<u8>) -> Self {
        let plan = story::plan();
        let (mut ends, mut memories) = (vec![0], vec![History::default()]);
        for line in bytes.split_inclusive(|byte| *byte == b'\n') {
            let text = std::str::from_utf8(line).expect("UTF-8");
            let line = Line::from_json(text).expect("a line");
            let mut history = memories[memories.len() - 1].clone();
            history.apply(&line).expect("a line that may follow");
            memories.push(history);
            ends.push(ends[ends.len() - 1] + text.len());
        }
        let pasts = memories.iter().map(|history| pasts(&plan, history)).collect();
        Self { bytes, ends, memories, plan, pasts }
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

    /// Where a line begins, counted from one.
    pub fn begin_of(&self, number: usize) -> usize {
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
            .filter(|line| self.line(*line).windows(12).any(|bytes| bytes == b"\"kind\":\"run-started\""))
            .collect();
        let ends = begins.iter().skip(1).map(|begin| begin - 1).chain([self.lines()]);
        begins.iter().copied().zip(ends).collect()
    }

    pub fn memory_after(&self, lines: usize) -> &History {
        &self.memories[lines]
    }

    /// The first line of a run that goes on after so many lines.
    pub fn next_run(&self, lines: usize) -> Entry {
        let first = self.memories.last().and_then(|history| history.latest_run.clone()).expect("a run").1;
        let parent_run = self.memories[lines].latest_run.as_ref().map(|(run, _)| run.clone());
        Entry::RunStarted(RunStarted { parent_run, ..first })
    }

    /// Reads a damaged ledger, and compares every job and all that is left to do with the truth.
    pub fn judge(&self, bytes: &[u8]) -> JobResult {
        match catch_unwind(AssertUnwindSafe(|| read_from(bytes, Path::new("plan.ledger.jsonl")))) {
            Err(_) => JobResult::Panicked,
            Ok(Err(LedgerError::Damaged { line, .. })) => JobResult::Refused(line),
            Ok(Err(LedgerError::Newer { line, .. })) => JobResult::Newer(line),
            Ok(Err(other)) => JobResult::Changed(other.to_string()),
            Ok(Ok(loaded)) => self.compare(bytes, &loaded),
        }
    }

    fn compare(&self, bytes: &[u8], loaded: &LoadedLedger) -> JobResult {
        let lines = usize::try_from(loaded.history.lines).expect("few lines");
        let Some(history) = self.memories.get(lines) else {
            return JobResult::Changed(format!("{lines} lines where there are {}", self.lines()));
        };
        let (whole, torn) = bytes.split_at(self.ends[lines].min(bytes.len()));
        let is_prefix = whole == &self.bytes[..self.ends[lines]] && loaded.torn == torn;
        let is_true = loaded.history == *history
            && loaded.whole_bytes == self.ends[lines] as u64
            && pasts(&self.plan, &loaded.history) == self.pasts[lines];
        if is_prefix && is_true {
            JobResult::Resumed(lines)
        } else {
            JobResult::Changed(format!("after {lines} lines"))
        }
    }
}
