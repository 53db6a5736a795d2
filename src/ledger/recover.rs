//! Recovers a ledger that was removed or replaced during a run, from the file that is still open.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};

use super::disk::{is_at, private};

/// The recovered lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Recovered {
    /// Saved in a new file beside the path of the ledger.
    File(PathBuf),
    /// Only in memory, because no file could be written.
    Lines(String),
}

/// Saves the content of an open ledger, if its path no longer refers to it.
pub(super) fn recover(ledger: &File, path: &Path, run: &str) -> Option<Recovered> {
    if is_at(ledger, path) {
        return None;
    }
    let lines = read(ledger).unwrap_or_default();
    if lines.is_empty() {
        return None;
    }
    let copy = PathBuf::from(format!("{}.rescued-{run}", path.display()));
    Some(match write(&copy, &lines) {
        Ok(()) => Recovered::File(copy),
        Err(_) => Recovered::Lines(String::from_utf8_lossy(&lines).into_owned()),
    })
}

fn read(mut ledger: &File) -> io::Result<Vec<u8>> {
    let mut lines = Vec::new();
    ledger.rewind()?;
    ledger.read_to_end(&mut lines)?;
    Ok(lines)
}

fn write(path: &Path, lines: &[u8]) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    private(&mut options);
    let mut file = options.open(path)?;
    file.write_all(lines)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(path: &Path) -> File {
        std::fs::write(path, "one\ntwo\n").expect("written");
        OpenOptions::new().read(true).append(true).open(path).expect("open")
    }

    #[test]
    fn a_ledger_that_is_still_at_its_path_is_not_copied() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("plan.jsonl");
        assert_eq!(recover(&open(&path), &path, "run-1"), None);
    }

    #[test]
    fn a_removed_or_replaced_ledger_is_copied_or_else_returned_in_memory() {
        for replaced in [false, true] {
            let folder = tempfile::tempdir().expect("a folder");
            let path = folder.path().join("plan.jsonl");
            let file = open(&path);
            std::fs::remove_file(&path).expect("removed");
            if replaced {
                std::fs::write(&path, "another file").expect("written");
            }
            let Some(Recovered::File(copy)) = recover(&file, &path, "run-1") else { panic!("no copy") };
            assert_eq!(copy, folder.path().join("plan.jsonl.rescued-run-1"));
            assert_eq!(std::fs::read_to_string(copy).expect("a copy"), "one\ntwo\n");
            assert_eq!(recover(&file, &path, "run-1"), Some(Recovered::Lines("one\ntwo\n".to_owned())));
        }
    }
}
