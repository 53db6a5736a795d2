//! Repairs a damaged ledger: keeps a copy of the whole file, and removes everything from the first damaged line on.

use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use super::LedgerError;
use super::disk::{open_to_read, private, sync_folder};
use super::lock::Lock;
use super::read::{LoadedLedger, read_undamaged};
use super::write::new_run_id;
use crate::format::printable;

/// Most engines that are listed: as many as a plan may have.
const MAX_ENGINES: usize = 100_000;

/// Longest string between two quotes that is read; the id of an engine has a few dozen bytes.
const MAX_STRING: u64 = 4096;

/// The result of a repair.
#[derive(Debug)]
pub struct Repaired {
    /// Number of lines that were kept.
    pub kept_lines: u64,
    /// Path of the copy of the damaged file.
    pub copy: PathBuf,
    /// Engines in the part that was removed.
    pub engines: BTreeSet<String>,
}

/// Cuts a ledger after its last undamaged line; none if no line is damaged.
pub fn repair(path: &Path) -> Result<Option<Repaired>, LedgerError> {
    let failed = |cause| LedgerError::Io { doing: "repair", path: path.to_owned(), cause };
    let (file, _lock) = Lock::acquire(path)?;
    let mut source = open_to_read(path).map_err(failed)?;
    let LoadedLedger { history, whole_bytes, .. } = read_undamaged(BufReader::new(&source), path)?;
    let length = source.metadata().map_err(failed)?.len();
    if history.lines == 0 && length > 0 {
        // without an undamaged line it may be another kind of file, and the repair would delete its content
        let what = "no line of it is undamaged, so there is nothing to keep".to_owned();
        return Err(LedgerError::Damaged { path: path.to_owned(), line: 1, what });
    }
    if whole_bytes == length {
        return Ok(None);
    }
    let engines = engines_after(&mut source, whole_bytes).map_err(failed)?;
    let copy = PathBuf::from(format!("{}.before-repair-{}", path.display(), new_run_id()));
    copy_whole(&mut source, &copy).and_then(|()| sync_folder(path)).map_err(failed)?;
    file.set_len(whole_bytes).and_then(|()| file.sync_all()).map_err(failed)?;
    Ok(Some(Repaired { kept_lines: history.lines, copy, engines }))
}

/// Copies the whole file, durably.
fn copy_whole(source: &mut File, copy: &Path) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    private(&mut options);
    let mut target = options.open(copy)?;
    source.seek(SeekFrom::Start(0))?;
    io::copy(source, &mut target)?;
    target.sync_all()
}

/// The engine ids in a file from a byte offset on. The content may not be JSON and may have any size, so it is read as
/// strings between quotes, each of limited length.
fn engines_after(source: &mut File, from: u64) -> io::Result<BTreeSet<String>> {
    source.seek(SeekFrom::Start(from))?;
    let mut source = BufReader::new(source);
    let mut engines = BTreeSet::new();
    let (mut text, mut last, mut last_but_one) = (Vec::new(), Vec::new(), Vec::new());
    while (&mut source).take(MAX_STRING).read_until(b'"', &mut text)? > 0 && engines.len() < MAX_ENGINES {
        if text.pop_if(|end| *end == b'"').is_some() && last == b":" && last_but_one == b"data_engine_id" {
            engines.insert(printable(&String::from_utf8_lossy(&text)));
        }
        last_but_one = std::mem::replace(&mut last, std::mem::take(&mut text));
    }
    Ok(engines)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn engines_in(text: &str) -> Vec<String> {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("damaged.jsonl");
        std::fs::write(&path, format!("0123456789{text}")).expect("written");
        let mut file = File::open(path).expect("there");
        engines_after(&mut file, 10).expect("readable").into_iter().collect()
    }

    #[test]
    fn engine_ids_are_found_in_damaged_json() {
        let text =
            r#"id":"a"}{{"data_engine_id":"DataEngine-b","x" "data_engine_id":"c""data_engine_id":"cut"#;
        assert_eq!(engines_in(text), ["DataEngine-b", "c"]);
        assert_eq!(
            engines_in(&(r#""data_engine_id":""#.to_owned() + &"x".repeat(5000))),
            Vec::<String>::new()
        );
    }
}
