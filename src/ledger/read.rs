//! Reads a ledger as it lies on disk, without changing it.

use std::io::{BufRead, BufReader, ErrorKind};
use std::path::Path;

use serde::Deserialize;

use super::LedgerError;
use super::chain::Check;
use super::disk::open_to_read;
use super::entry::{Line, SCHEMA};
use super::fold::History;

/// Longest line that is read; ours stay far below, so a longer one is damage and not worth the memory.
pub(super) const LONGEST_LINE: u64 = 1 << 20;

/// How the first line of every ledger begins.
const FIRST_LINE: &[u8] = br#"{"seq":1,"#;

/// What a ledger holds.
#[derive(Debug, Default)]
pub struct LoadedLedger {
    /// The fold over its lines.
    pub history: History,
    /// Check of its last whole line.
    pub check: Check,
    /// Bytes up to the end of its last whole line.
    pub whole_bytes: u64,
    /// What stands after that: the torn beginning of a line that was never acted on.
    pub torn: Vec<u8>,
}

/// Reads a ledger; one that does not exist is empty.
pub fn read(path: &Path) -> Result<LoadedLedger, LedgerError> {
    match open_to_read(path) {
        Ok(file) => read_from(BufReader::new(file), path),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(LoadedLedger::default()),
        Err(cause) => Err(LedgerError::Io { doing: "open", path: path.to_owned(), cause }),
    }
}

/// Reads a ledger from anywhere; `path` stands for it in errors.
pub fn read_from(source: impl BufRead, path: &Path) -> Result<LoadedLedger, LedgerError> {
    let mut loaded = LoadedLedger::default();
    fold(&mut loaded, source, path)?;
    Ok(loaded)
}

/// Folds whole lines until the end.
fn fold(loaded: &mut LoadedLedger, mut source: impl BufRead, path: &Path) -> Result<(), LedgerError> {
    let mut bytes = Vec::new();
    loop {
        bytes.clear();
        let mut limited = std::io::Read::take(&mut source, LONGEST_LINE);
        let read = limited.read_until(b'\n', &mut bytes);
        read.map_err(|cause| LedgerError::Io { doing: "read", path: path.to_owned(), cause })?;
        let number = loaded.history.lines + 1;
        let damaged = |what: String| LedgerError::Damaged { path: path.to_owned(), line: number, what };
        match bytes.split_last() {
            None => return Ok(()),
            Some((b'\n', line)) => {
                loaded.take(line, bytes.len() as u64).map_err(|what| match newer_schema(line) {
                    Some(schema) => LedgerError::Newer { path: path.to_owned(), line: number, schema },
                    None => damaged(what),
                })?;
            }
            Some(_) if bytes.len() as u64 == LONGEST_LINE => {
                return Err(damaged(format!("it is longer than {LONGEST_LINE} bytes")));
            }
            // nothing of ours: cutting it off would take away somebody else's file
            Some(_) if number == 1 && !may_begin_a_ledger(&bytes) => {
                return Err(damaged("it is not the beginning of a ledger".to_owned()));
            }
            Some(_) => {
                loaded.torn.clone_from(&bytes);
                return Ok(());
            }
        }
    }
}

fn may_begin_a_ledger(bytes: &[u8]) -> bool {
    bytes.iter().zip(FIRST_LINE).all(|(byte, ours)| byte == ours)
}

/// Folds whole lines up to the first that is damaged, or to the end.
pub(super) fn read_good(source: impl BufRead, path: &Path) -> Result<LoadedLedger, LedgerError> {
    let mut loaded = LoadedLedger::default();
    match fold(&mut loaded, source, path) {
        Ok(()) | Err(LedgerError::Damaged { .. }) => Ok(loaded),
        Err(error) => Err(error),
    }
}

/// The schema of a line that a later version wrote. Such a line is not damaged, and nobody should mend it.
fn newer_schema(line: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct RunHeader {
        schema: String,
    }
    let opening: RunHeader = serde_json::from_slice(line).ok()?;
    let (ours, theirs) = (version(SCHEMA)?, version(&opening.schema)?);
    (theirs > ours).then_some(opening.schema)
}

/// `1` of `dlc-fleet.ledger/1`.
fn version(schema: &str) -> Option<u32> {
    schema.strip_prefix("dlc-fleet.ledger/")?.parse().ok()
}

impl LoadedLedger {
    fn take(&mut self, line: &[u8], length: u64) -> Result<(), String> {
        let text = std::str::from_utf8(line).map_err(|_| "it is not UTF-8".to_owned())?;
        let check = self.check.verify(text)?;
        self.history.take(&Line::from_json(text)?)?;
        self.check = check;
        self.whole_bytes += length;
        Ok(())
    }
}
