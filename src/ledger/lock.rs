//! Locks the ledger for one writer, with a lock of the operating system. The kernel releases it when the process ends, so
//! it never becomes stale.

use std::fmt;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::LedgerError;
use super::disk::{is_at, open_to_read, private, require_regular_file};
use super::recover::{Recovered, recover};

/// Bytes of a holder file that are read; a valid one has about 100.
const MAX_HOLDER_FILE: u64 = 4096;

/// How long to wait for the holder file: a process has the lock for a moment before it writes the file and after it removes
/// it.
const HOLDER_FILE_WAIT: Duration = Duration::from_millis(300);
/// Time between two reads of the holder file.
const HOLDER_FILE_INTERVAL: Duration = Duration::from_millis(10);

/// The process that has locked a ledger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// Process id.
    pub pid: u32,
    /// Host name.
    pub host: String,
    /// When it locked the ledger: RFC 3339, UTC.
    pub since: String,
}

impl Holder {
    /// This process, from now on.
    fn this_process() -> Self {
        let since = Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        Self { pid: std::process::id(), host: host(), since }
    }

    /// A process that has no holder file.
    fn unknown() -> Self {
        Self { pid: 0, host: String::new(), since: String::new() }
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Self::unknown() {
            return formatter.write_str("another process");
        }
        write!(formatter, "process {} on {} since {}", self.pid, self.host, self.since)
    }
}

/// The lock of a ledger, held until it is dropped. The lock is on the file of the ledger, whatever path it was opened by; a
/// file beside it, `<ledger>.lock`, names the holder.
#[derive(Debug)]
pub struct Lock {
    /// The holder file, also locked: if the ledger is removed, its path stays locked until the run ends. Released before the
    /// ledger itself.
    locked_holder_file: Option<File>,
    /// Shares its lock with the file that is written to.
    ledger: File,
    /// The canonical path of the ledger.
    real: PathBuf,
    /// True if this process created the file.
    created: bool,
    holder_file: PathBuf,
    /// The content of the holder file.
    holder: Holder,
}

impl Lock {
    /// Recovers the ledger, if its path no longer refers to it; `run` is part of the name of the copy.
    pub(super) fn recover(&self, run: &str) -> Option<Recovered> {
        recover(&self.ledger, &self.real, run)
    }

    /// Opens a ledger for appending, creates it if it does not exist, and locks it.
    ///
    /// # Errors
    ///
    /// The ledger is locked by another process, or cannot be opened.
    pub fn acquire(path: &Path) -> Result<(File, Self), LedgerError> {
        Self::acquire_within(path, HOLDER_FILE_WAIT)
    }

    /// The same, with a limit for the wait for the holder file.
    fn acquire_within(path: &Path, limit: Duration) -> Result<(File, Self), LedgerError> {
        let failed = |doing| move |cause| LedgerError::Io { doing, path: path.to_owned(), cause };
        let started = Instant::now();
        loop {
            let mut options = OpenOptions::new();
            // readable, so that a removed ledger can be recovered from the open file
            options.read(true).append(true).create(true);
            private(&mut options);
            let created = !path.exists();
            if !created {
                require_regular_file(path).map_err(failed("open"))?;
            }
            let file = options.open(path).map_err(failed("open"))?;
            // a link has the same holder file as the ledger itself
            let real = path.canonicalize().unwrap_or_else(|_| path.to_owned());
            let holder_file = PathBuf::from(format!("{}.lock", real.display()));
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => {
                    let holder = match read_holder(&holder_file) {
                        Some(holder) => holder,
                        None if started.elapsed() < limit => {
                            std::thread::sleep(HOLDER_FILE_INTERVAL);
                            continue;
                        }
                        None => Holder::unknown(),
                    };
                    return Err(LedgerError::Locked { path: path.to_owned(), holder });
                }
                Err(TryLockError::Error(cause)) => return Err(failed("lock")(cause)),
            }
            // a process that just released the lock may have removed the empty file; then this lock is on a removed file
            if is_at(&file, path) {
                let ledger = file.try_clone().map_err(failed("lock"))?;
                let this_process = Holder::this_process();
                // created before the holder file is written, so that an error removes the files again
                let mut lock = Self {
                    ledger,
                    real,
                    created,
                    holder_file,
                    holder: this_process,
                    locked_holder_file: None,
                };
                let cannot_write =
                    |cause| LedgerError::Io { doing: "lock", path: lock.holder_file.clone(), cause };
                match write_holder(&lock.holder_file, &lock.holder) {
                    Ok(locked_holder_file) => lock.locked_holder_file = Some(locked_holder_file),
                    Err(TryLockError::WouldBlock) => {
                        let holder = read_holder(&lock.holder_file).unwrap_or_else(Holder::unknown);
                        return Err(LedgerError::Locked { path: path.to_owned(), holder });
                    }
                    Err(TryLockError::Error(cause)) => return Err(cannot_write(cause)),
                }
                return Ok((file, lock));
            }
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // a run that ended before its first line removes the ledger that it created
        let empty = self.ledger.metadata().is_ok_and(|metadata| metadata.len() == 0);
        if empty && self.created && is_at(&self.ledger, &self.real) {
            let _ = std::fs::remove_file(&self.real);
        }
        // if the ledger was replaced, the holder file may belong to the process that locked the new one
        let holder = read_holder(&self.holder_file);
        if holder.as_ref() == Some(&self.holder) || empty && holder.is_none() {
            let _ = std::fs::remove_file(&self.holder_file);
        }
    }
}

/// Locks the holder file and writes it.
fn write_holder(path: &Path, holder: &Holder) -> Result<File, TryLockError> {
    if path.exists() {
        require_regular_file(path).map_err(TryLockError::Error)?;
    }
    let mut options = OpenOptions::new();
    // the content of another holder is kept until the file is locked
    options.write(true).create(true).truncate(false);
    private(&mut options);
    let mut file = options.open(path).map_err(TryLockError::Error)?;
    file.try_lock()?;
    let text = serde_json::to_string(holder).map_err(|error| TryLockError::Error(error.into()))?;
    let written = file.set_len(0).and_then(|()| file.write_all(text.as_bytes()));
    written.map(|()| file).map_err(TryLockError::Error)
}

/// Reads the holder file; none if it does not exist or has no valid content.
fn read_holder(path: &Path) -> Option<Holder> {
    let mut text = String::new();
    // a file of another program may have any size
    open_to_read(path).ok()?.take(MAX_HOLDER_FILE).read_to_string(&mut text).ok()?;
    serde_json::from_str(&text).ok()
}

fn host() -> String {
    let kernel = std::fs::read_to_string("/proc/sys/kernel/hostname").ok();
    let name = kernel.or_else(|| std::env::var("HOSTNAME").ok());
    name.map(|name| name.trim().to_owned())
        .filter(|name| !name.is_empty())
        .unwrap_or_else(|| "this host".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_process_gets_an_error_that_names_the_holder() {
        let folder = tempfile::tempdir().expect("a folder");
        let ledger = folder.path().join("plan.ledger.jsonl");
        let first = Lock::acquire(&ledger).expect("free");
        match Lock::acquire(&ledger) {
            Err(LedgerError::Locked { holder, .. }) => assert_eq!(holder.pid, std::process::id()),
            other => panic!("{other:?}"),
        }
        drop(first);
        drop(Lock::acquire(&ledger).expect("free again"));
        assert_eq!(std::fs::read_dir(folder.path()).expect("a folder").count(), 0, "nothing is left");
    }

    #[test]
    fn the_path_of_a_removed_ledger_stays_locked_until_its_run_ends() {
        let folder = tempfile::tempdir().expect("a folder");
        let ledger = folder.path().join("plan.jsonl");
        let (_, first) = Lock::acquire(&ledger).expect("free");
        std::fs::remove_file(&ledger).expect("removed");
        match Lock::acquire(&ledger) {
            Err(LedgerError::Locked { holder, .. }) => assert_eq!(holder, first.holder),
            other => panic!("{other:?}"),
        }
        assert!(!ledger.exists(), "nothing is left behind");
        drop(first);
        Lock::acquire(&ledger).expect("free again");
    }

    #[test]
    fn the_holder_file_of_another_process_is_kept_after_the_ledger_was_replaced() {
        let folder = tempfile::tempdir().expect("a folder");
        let ledger = folder.path().join("plan.jsonl");
        let (_, first) = Lock::acquire(&ledger).expect("free");
        std::fs::remove_file(&ledger).expect("removed");
        std::fs::write(&ledger, "").expect("another file");
        let other = Holder { pid: 1, host: "another".to_owned(), since: "later".to_owned() };
        let holder_file = folder.path().join("plan.jsonl.lock");
        std::fs::write(&holder_file, serde_json::to_string(&other).expect("JSON")).expect("written");
        drop(first);
        assert_eq!(read_holder(&holder_file), Some(other));
    }

    #[test]
    fn a_missing_holder_file_is_waited_for() {
        let folder = tempfile::tempdir().expect("a folder");
        let ledger = folder.path().join("plan.jsonl");
        let _held = Lock::acquire(&ledger).expect("free");
        let holder_file = folder.path().join("plan.jsonl.lock");
        std::fs::remove_file(&holder_file).expect("removed");
        let error_within = |limit| match Lock::acquire_within(&ledger, limit) {
            Err(error @ LedgerError::Locked { .. }) => error.to_string(),
            other => panic!("{other:?}"),
        };
        let error = error_within(Duration::ZERO);
        assert!(error.ends_with("in use by another process"), "{error}");
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| error_within(Duration::from_secs(60)));
            std::thread::sleep(HOLDER_FILE_INTERVAL);
            write_holder(&holder_file, &Holder::this_process()).expect("written");
            let error = waiting.join().expect("no panic");
            assert!(error.contains(&format!("process {} on ", std::process::id())), "{error}");
        });
    }

    #[cfg(unix)]
    #[test]
    fn a_link_or_a_removed_holder_file_does_not_bypass_the_lock() {
        let folder = tempfile::tempdir().expect("a folder");
        let (ledger, link) = (folder.path().join("plan.jsonl"), folder.path().join("link.jsonl"));
        let _held = Lock::acquire(&ledger).expect("free");
        std::os::unix::fs::symlink(&ledger, &link).expect("a link");
        match Lock::acquire(&link) {
            Err(LedgerError::Locked { holder, .. }) => assert_eq!(holder.pid, std::process::id()),
            other => panic!("{other:?}"),
        }
        std::fs::remove_file(folder.path().join("plan.jsonl.lock")).expect("removed");
        assert!(matches!(Lock::acquire(&ledger), Err(LedgerError::Locked { .. })));
    }

    #[cfg(unix)]
    #[test]
    fn a_lock_without_lines_removes_only_the_file_that_it_created() {
        let folder = tempfile::tempdir().expect("a folder");
        let (store, link) = (folder.path().join("store.jsonl"), folder.path().join("link.jsonl"));
        std::os::unix::fs::symlink(&store, &link).expect("a link");
        drop(Lock::acquire(&link).expect("free"));
        assert!(!store.exists() && link.is_symlink(), "the created file is removed, and the link is kept");
        std::fs::write(&store, "").expect("an empty file");
        drop(Lock::acquire(&link).expect("free"));
        assert!(store.exists(), "an empty file of another program is kept");
    }

    #[test]
    fn a_holder_file_of_an_ended_process_is_not_a_lock() {
        let folder = tempfile::tempdir().expect("a folder");
        let ledger = folder.path().join("plan.ledger.jsonl");
        std::fs::write(folder.path().join("plan.ledger.jsonl.lock"), r#"{"pid":1,"host":"h","since":"s"}"#)
            .expect("write");
        Lock::acquire(&ledger).expect("free");
    }
}
