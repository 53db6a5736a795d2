//! One writer at a time: an operating system lock beside the ledger, which the kernel releases when the
//! process dies, so that it never goes stale.

use std::fmt;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::LedgerError;

/// Who holds a ledger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// Process id.
    pub pid: u32,
    /// Host name.
    pub host: String,
    /// Since when.
    pub since: String,
}

impl fmt::Display for Holder {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "process {} on {} since {}", self.pid, self.host, self.since)
    }
}

/// Held for as long as it lives.
#[derive(Debug)]
pub struct Lock {
    file: File,
    path: PathBuf,
}

impl Lock {
    /// Takes the lock of a ledger, or says who has it.
    pub fn take(ledger: &Path) -> Result<Self, LedgerError> {
        let failed = |cause| LedgerError::Io { doing: "lock", path: ledger.to_owned(), cause };
        let mut path = ledger.as_os_str().to_owned();
        path.push(".lock");
        let path = PathBuf::from(path);
        loop {
            let mut options = OpenOptions::new();
            options.read(true).write(true).create(true).truncate(false);
            super::disk::private(&mut options);
            let mut file = options.open(&path).map_err(failed)?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => {
                    let holder = holder(&mut file);
                    return Err(LedgerError::Locked { path: ledger.to_owned(), holder });
                }
                Err(TryLockError::Error(cause)) => return Err(failed(cause)),
            }
            // a holder that just left has removed the file we opened: then the lock is on nothing
            if still_there(&file, &path) {
                sign(&mut file).map_err(failed)?;
                return Ok(Self { file, path });
            }
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // removed before it is released, so nobody can lock a file that is about to vanish unnoticed
        if still_there(&self.file, &self.path) {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

fn sign(file: &mut File) -> std::io::Result<()> {
    let since = Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    let holder = Holder { pid: std::process::id(), host: host(), since };
    file.set_len(0)?;
    file.rewind()?;
    file.write_all(serde_json::to_string(&holder)?.as_bytes())
}

/// What the holder wrote. It may be read in the instant before it wrote anything.
fn holder(file: &mut File) -> Holder {
    let mut text = String::new();
    let unknown = || Holder { pid: 0, host: "this host".into(), since: "a moment ago".into() };
    match file.take(4096).read_to_string(&mut text) {
        Ok(_) => serde_json::from_str(&text).unwrap_or_else(|_| unknown()),
        Err(_) => unknown(),
    }
}

fn host() -> String {
    let kernel = std::fs::read_to_string("/proc/sys/kernel/hostname").ok();
    let name = kernel.or_else(|| std::env::var("HOSTNAME").ok());
    name.map(|name| name.trim().to_owned())
        .filter(|name| !name.is_empty())
        .unwrap_or_else(|| "this host".into())
}

#[cfg(unix)]
fn still_there(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    match (file.metadata(), std::fs::metadata(path)) {
        (Ok(ours), Ok(theirs)) => ours.dev() == theirs.dev() && ours.ino() == theirs.ino(),
        _ => false,
    }
}

#[cfg(not(unix))]
fn still_there(_file: &File, path: &Path) -> bool {
    path.exists()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_is_told_who_holds_the_ledger() {
        let folder = tempfile::tempdir().expect("a folder");
        let ledger = folder.path().join("plan.ledger.jsonl");
        let first = Lock::take(&ledger).expect("free");
        match Lock::take(&ledger) {
            Err(LedgerError::Locked { holder, .. }) => assert_eq!(holder.pid, std::process::id()),
            other => panic!("{other:?}"),
        }
        drop(first);
        Lock::take(&ledger).expect("free again");
        assert_eq!(std::fs::read_dir(folder.path()).expect("a folder").count(), 0, "no lock file is left");
    }

    #[test]
    fn a_lock_file_without_a_living_holder_is_no_lock() {
        let folder = tempfile::tempdir().expect("a folder");
        let ledger = folder.path().join("plan.ledger.jsonl");
        std::fs::write(folder.path().join("plan.ledger.jsonl.lock"), r#"{"pid":1,"host":"h","since":"s"}"#)
            .expect("write");
        Lock::take(&ledger).expect("free");
    }
}
