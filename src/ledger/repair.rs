//! Mends a damaged ledger: sets aside everything from the damage on, keeps a copy of the whole, invents nothing.

use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use super::LedgerError;
use super::disk::{open_to_read, private, sync_folder};
use super::lock::Lock;
use super::read::{LoadedLedger, read_good};
use super::write::new_run_id;
use crate::format::printable;

/// Engines that are named at most: as many as a plan may have.
const MOST_NAMED: usize = 100_000;

/// Bytes of a text between two quotes that are read at once; the id of an engine has a few dozen.
const LONGEST_TEXT: u64 = 4096;

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
    let mut source = open_to_read(path).map_err(failed)?;
    let LoadedLedger { history, whole_bytes, .. } = read_good(BufReader::new(&source), path)?;
    let length = source.metadata().map_err(failed)?.len();
    if history.lines == 0 && length > 0 {
        // not one good line: perhaps it is no ledger at all, and cutting it would leave nothing
        let what = "not one line of it is good, so there is nothing to keep".to_owned();
        return Err(LedgerError::Damaged { path: path.to_owned(), line: 1, what });
    }
    if whole_bytes == length {
        return Ok(None);
    }
    let named = engines_named(&mut source, whole_bytes).map_err(failed)?;
    let copy = PathBuf::from(format!("{}.before-repair-{}", path.display(), new_run_id()));
    keep(&mut source, &copy).and_then(|()| sync_folder(path)).map_err(failed)?;
    file.set_len(whole_bytes).and_then(|()| file.sync_all()).map_err(failed)?;
    Ok(Some(Repaired { kept_lines: history.lines, copy, named }))
}

/// Copies the whole file, durably.
fn keep(source: &mut File, copy: &Path) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    private(&mut options);
    let mut kept = options.open(copy)?;
    source.seek(SeekFrom::Start(0))?;
    io::copy(source, &mut kept)?;
    kept.sync_all()
}

/// The engines that a file names from a byte on. It may no longer be JSON, and it may be of any size, so it is read
/// as texts between quotes, each of them bounded.
fn engines_named(source: &mut File, from: u64) -> io::Result<BTreeSet<String>> {
    source.seek(SeekFrom::Start(from))?;
    let mut source = BufReader::new(source);
    let mut named = BTreeSet::new();
    let (mut text, mut last, mut last_but_one) = (Vec::new(), Vec::new(), Vec::new());
    while (&mut source).take(LONGEST_TEXT).read_until(b'"', &mut text)? > 0 && named.len() < MOST_NAMED {
        if text.pop_if(|end| *end == b'"').is_some() && last == b":" && last_but_one == b"data_engine_id" {
            named.insert(printable(&String::from_utf8_lossy(&text)));
        }
        last_but_one = std::mem::replace(&mut last, std::mem::take(&mut text));
    }
    Ok(named)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(text: &str) -> Vec<String> {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("damaged.jsonl");
        std::fs::write(&path, format!("0123456789{text}")).expect("written");
        let mut file = File::open(path).expect("there");
        engines_named(&mut file, 10).expect("readable").into_iter().collect()
    }

    #[test]
    fn engines_are_found_in_what_is_no_longer_json() {
        let text =
            r#"id":"a"}{{"data_engine_id":"DataEngine-b","x" "data_engine_id":"c""data_engine_id":"cut"#;
        assert_eq!(named(text), ["DataEngine-b", "c"]);
        assert_eq!(named(&(r#""data_engine_id":""#.to_owned() + &"x".repeat(5000))), Vec::<String>::new());
    }
}
