//! The disk of the ledger: a crash loses what was not synced, lines are torn, and writes fail.

use std::io;
use std::panic::resume_unwind;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use dlc_fleet::ledger::Disk;
use fastrand::Rng;

use crate::crash::Crashed;
use crate::records::Records;
use crate::trace::Trace;

/// The disk faults of one run.
#[derive(Clone, Copy, Debug, Default)]
pub struct DiskFaults {
    /// The process dies while this line is written, counted from one.
    pub dies_at_line: Option<u64>,
    /// The process dies in this sync, counted from one.
    pub dies_at_sync: Option<u64>,
    /// From this line on nothing can be written.
    pub full_from: Option<u64>,
    /// From this sync on nothing can be synced.
    pub unsynced_from: Option<u64>,
}

#[derive(Debug)]
struct State {
    bytes: Vec<u8>,
    /// How many of the bytes survive a crash.
    durable: usize,
    /// The records in the durable bytes.
    records: Records,
    faults: DiskFaults,
    lines: u64,
    syncs: u64,
    /// The first line that is no JSON or out of order.
    broken: Option<String>,
    random: Rng,
    trace: Trace,
}

/// A disk. Clones share its state.
#[derive(Clone, Debug)]
pub struct LedgerDisk(Arc<Mutex<State>>);

impl LedgerDisk {
    pub fn new(random: Rng, trace: Trace) -> Self {
        Self(Arc::new(Mutex::new(State {
            bytes: Vec::new(),
            durable: 0,
            records: Records::default(),
            faults: DiskFaults::default(),
            lines: 0,
            syncs: 0,
            broken: None,
            random,
            trace,
        })))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // a simulated crash poisons the mutex, and the next process uses the state as it is
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The content for a new process, without a torn last line; `faults` are the faults of its run.
    pub fn begin_run(&self, faults: DiskFaults) -> Vec<u8> {
        let mut state = self.state();
        let whole = state.bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last + 1);
        if whole < state.bytes.len() {
            let torn = state.bytes.len() - whole;
            state.trace.say("disk", || format!("{torn} bytes of a torn line are removed"));
        }
        state.bytes.truncate(whole);
        state.durable = whole;
        (state.lines, state.syncs, state.faults) = (0, 0, faults);
        match Records::read(&state.bytes) {
            Ok(records) => state.records = records,
            Err(what) => state.broken = Some(what),
        }
        state.bytes.clone()
    }

    /// After a crash a random part of the bytes that were not synced is lost.
    pub fn crash(&self) {
        let mut state = self.state();
        let unsynced = state.bytes.len() - state.durable;
        let kept = state.durable + state.random.usize(..=unsynced);
        if kept < state.bytes.len() {
            let lost = state.bytes.len() - kept;
            state.trace.say("disk", || format!("{lost} bytes that were not synced are lost"));
        }
        state.bytes.truncate(kept);
    }

    /// Reads the durable records.
    pub fn with_records<T>(&self, read: impl FnOnce(&Records) -> T) -> T {
        read(&self.state().records)
    }

    /// The first invalid line, if any.
    pub fn broken(&self) -> Option<String> {
        self.state().broken.clone()
    }
}

impl Disk for LedgerDisk {
    fn append(&mut self, line: &[u8]) -> io::Result<()> {
        let mut state = self.state();
        state.lines += 1;
        state.trace.say("ledger", || String::from_utf8_lossy(line).trim_end().to_owned());
        let dies = state.faults.dies_at_line == Some(state.lines);
        let full = state.faults.full_from.is_some_and(|from| state.lines >= from);
        if !dies && !full {
            state.bytes.extend_from_slice(line);
            return Ok(());
        }
        let written = state.random.usize(..=line.len());
        state.bytes.extend_from_slice(&line[..written]);
        state.trace.say("disk", || format!("only {written} bytes of this are written"));
        drop(state);
        if dies {
            resume_unwind(Box::new(Crashed));
        }
        Err(io::ErrorKind::StorageFull.into())
    }

    fn sync(&mut self) -> io::Result<()> {
        let mut state = self.state();
        state.syncs += 1;
        if state.faults.dies_at_sync == Some(state.syncs) {
            drop(state);
            resume_unwind(Box::new(Crashed));
        }
        if state.faults.unsynced_from.is_some_and(|from| state.syncs >= from) {
            state.trace.say("disk", || "cannot sync".to_owned());
            return Err(io::Error::other("simulated: cannot sync"));
        }
        let State { bytes, durable, records, broken, .. } = &mut *state;
        let fresh = bytes[*durable..].split_inclusive(|byte| *byte == b'\n');
        for line in fresh.filter(|line| line.ends_with(b"\n")) {
            if let Err(what) = records.add(line) {
                broken.get_or_insert(what);
            }
        }
        *durable = bytes.len();
        Ok(())
    }

    fn blocks(&self) -> bool {
        false
    }
}
