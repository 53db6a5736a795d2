//! Mends a damaged ledger: sets aside everything from the damage on, keeps a copy of the whole, invents nothing.

use std::collections::BTreeSet;
use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};

use super::LedgerError;
use super::disk::{private, sync_folder};
use super::lock::Lock;
use super::read::{Recalled, read_good};
use super::write::new_run_id;

/// What a repair did.
#[derive(Debug)]
pub struct Repaired {
    /// Lines that are left, all of them whole.
    pub kept_lines: u64,
    /// Where the file stands as it was.
    pub copy: PathBuf,
    /// Engines that are named in what was set aside.
    pub named: BTreeSet<String>,
}

/// Cuts a ledger after its last good line; nothing where every line is good.
pub fn repair(path: &Path) -> Result<Option<Repaired>, LedgerError> {
    let failed = |cause| LedgerError::Io { doing: "repair", path: path.to_owned(), cause };
    let (file, _lock) = Lock::take(path)?;
    let bytes = std::fs::read(path).map_err(failed)?;
    let Recalled { memory, whole_bytes, .. } = read_good(bytes.as_slice(), path)?;
    if memory.lines == 0 && !bytes.is_empty() {
        // not one good line: perhaps it is no ledger at all, and cutting it would leave nothing
        let what = "not one line of it is good, so there is nothing to keep".to_owned();
        return Err(LedgerError::Damaged { path: path.to_owned(), line: 1, what });
    }
    let good = usize::try_from(whole_bytes).unwrap_or(usize::MAX).min(bytes.len());
    if good == bytes.len() {
        return Ok(None);
    }
    let copy = PathBuf::from(format!("{}.before-repair-{}", path.display(), new_run_id()));
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    private(&mut options);
    let mut kept = options.open(&copy).map_err(failed)?;
    kept.write_all(&bytes).and_then(|()| kept.sync_all()).and_then(|()| sync_folder(path)).map_err(failed)?;
    file.set_len(whole_bytes).and_then(|()| file.sync_all()).map_err(failed)?;
    Ok(Some(Repaired { kept_lines: memory.lines, copy, named: engines_named(&bytes[good..]) }))
}

/// The engines that a text names, read as text, since it may no longer be JSON.
fn engines_named(bytes: &[u8]) -> BTreeSet<String> {
    let text = String::from_utf8_lossy(bytes);
    let after = text.split("\"data_engine_id\":\"").skip(1);
    after.filter_map(|rest| rest.split('"').next()).map(str::to_owned).collect()
}
