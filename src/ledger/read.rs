//! Reads and verifies a ledger without changing it.

use std::io::{BufRead, BufReader, ErrorKind};
use std::path::Path;

use serde::Deserialize;

use super::LedgerError;
use super::chain::Check;
use super::disk::open_to_read;
use super::entry::{Line, SCHEMA};
use super::fold::History;

/// Longest valid line in bytes. A longer one is damage and is not read into memory.
pub(super) const MAX_LINE: u64 = 1 << 20;

/// The first bytes of every ledger.
const FIRST_LINE: &[u8] = br#"{"seq":1,"#;

/// The content of a ledger.
#[derive(Debug, Default)]
pub struct LoadedLedger {
    /// The fold over its lines.
    pub history: History,
    /// Check of its last whole line.
    pub check: Check,
    /// Size in bytes up to the end of its last whole line.
    pub whole_bytes: u64,
    /// The bytes after that: a torn line, on which no action depended.
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

/// Reads a ledger from a source; errors name `path`.
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
        let mut limited = std::io::Read::take(&mut source, MAX_LINE);
        let read = limited.read_until(b'\n', &mut bytes);
        read.map_err(|cause| LedgerError::Io { doing: "read", path: path.to_owned(), cause })?;
        let number = loaded.history.lines + 1;
        let damaged = |what: String| LedgerError::Damaged { path: path.to_owned(), line: number, what };
        match bytes.split_last() {
            None => return Ok(()),
            Some((b'\n', line)) => {
                loaded.add_line(line, bytes.len() as u64).map_err(|what| match newer_schema(line) {
                    Some(schema) => LedgerError::Newer { path: path.to_owned(), line: number, schema },
                    None => damaged(what),
                })?;
            }
            Some(_) if bytes.len() as u64 == MAX_LINE => {
                return Err(damaged(format!("it is longer than {MAX_LINE} bytes")));
            }
            // not a ledger: cutting this line off would destroy the file of another program
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
    bytes.iter().zip(FIRST_LINE).all(|(byte, expected)| byte == expected)
}

/// Folds whole lines up to the first damaged one, or to the end.
pub(super) fn read_undamaged(source: impl BufRead, path: &Path) -> Result<LoadedLedger, LedgerError> {
    let mut loaded = LoadedLedger::default();
    match fold(&mut loaded, source, path) {
        Ok(()) | Err(LedgerError::Damaged { .. }) => Ok(loaded),
        Err(error) => Err(error),
    }
}

/// The schema of a line that a later version wrote. Such a line is not damaged and must not be repaired.
fn newer_schema(line: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct SchemaField {
        schema: String,
    }
    let line: SchemaField = serde_json::from_slice(line).ok()?;
    let (supported, found) = (version(SCHEMA)?, version(&line.schema)?);
    (found > supported).then_some(line.schema)
}

/// `1` of `dlc-fleet.ledger/1`.
fn version(schema: &str) -> Option<u32> {
    schema.strip_prefix("dlc-fleet.ledger/")?.parse().ok()
}

impl LoadedLedger {
    fn add_line(&mut self, line: &[u8], length: u64) -> Result<(), String> {
        let text = std::str::from_utf8(line).map_err(|_| "it is not UTF-8".to_owned())?;
        let check = self.check.verify(text)?;
        self.history.apply(&Line::from_json(text)?)?;
        self.check = check;
        self.whole_bytes += length;
        Ok(())
    }
}
