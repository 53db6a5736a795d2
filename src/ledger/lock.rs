//! One writer at a time: an operating system lock beside the ledger, which the kernel releases when the
//! process dies, so that it never goes stale.

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

/// Bytes of a card that are read; ours have about a hundred.
const LARGEST_CARD: u64 = 4096;

/// A holder may be without its card for an instant, when it has just come or is about to leave. So long it is looked
/// for,
const UNSIGNED: Duration = Duration::from_millis(300);
/// so often.
const LOOK_AGAIN: Duration = Duration::from_millis(10);

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

impl Holder {
    /// This process, from now on.
    fn ourselves() -> Self {
        let since = Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        Self { pid: std::process::id(), host: host(), since }
    }

    /// One that has left no card.
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

/// Held for as long as it lives. The lock itself is on the ledger's file, whatever name it was reached by; who
/// holds it stands on a card beside it.
#[derive(Debug)]
pub struct Lock {
    /// The card, locked as well: where the ledger is removed, its name stays taken for as long as its run goes on. Let go
    /// before the ledger itself.
    signed: Option<File>,
    /// Shares its lock with the file that is written to.
    ledger: File,
    /// Where the file really is, whatever link leads to it.
    real: PathBuf,
    /// True where this process made the file.
    created: bool,
    card: PathBuf,
    /// What stands on it.
    holder: Holder,
}

impl Lock {
    /// What is left of the ledger, if its name leads to it no more; `run` names the copy.
    pub(super) fn recover(&self, run: &str) -> Option<Recovered> {
        recover(&self.ledger, &self.real, run)
    }

    /// Opens a ledger for appending, creates it where there is none, and takes its lock, or says who has it.
    pub fn take(path: &Path) -> Result<(File, Self), LedgerError> {
        Self::take_or_ask(path, UNSIGNED)
    }

    /// The same; a holder without a card is given so long to leave one.
    fn take_or_ask(path: &Path, patience: Duration) -> Result<(File, Self), LedgerError> {
        let failed = |doing| move |cause| LedgerError::Io { doing, path: path.to_owned(), cause };
        let begun = Instant::now();
        loop {
            let mut options = OpenOptions::new();
            // read as well, since the open file may be all that is left of it
            options.read(true).append(true).create(true);
            private(&mut options);
            let created = !path.exists();
            if !created {
                require_regular_file(path).map_err(failed("open"))?;
            }
            let file = options.open(path).map_err(failed("open"))?;
            // a link leads to the same card as the file itself
            let real = path.canonicalize().unwrap_or_else(|_| path.to_owned());
            let card = PathBuf::from(format!("{}.lock", real.display()));
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => {
                    let holder = match holder(&card) {
                        Some(holder) => holder,
                        None if begun.elapsed() < patience => {
                            std::thread::sleep(LOOK_AGAIN);
                            continue;
                        }
                        None => Holder::unknown(),
                    };
                    return Err(LedgerError::Locked { path: path.to_owned(), holder });
                }
                Err(TryLockError::Error(cause)) => return Err(failed("lock")(cause)),
            }
            // a holder that just left may have removed the empty file we opened: then the lock is on nothing
            if is_at(&file, path) {
                let ledger = file.try_clone().map_err(failed("lock"))?;
                let ourselves = Holder::ourselves();
                // held from here on, so that nothing is left behind where the card cannot be written
                let mut lock = Self { ledger, real, created, card, holder: ourselves, signed: None };
                let unsigned = |cause| LedgerError::Io { doing: "lock", path: lock.card.clone(), cause };
                match sign(&lock.card, &lock.holder) {
                    Ok(signed) => lock.signed = Some(signed),
                    Err(TryLockError::WouldBlock) => {
                        let holder = holder(&lock.card).unwrap_or_else(Holder::unknown);
                        return Err(LedgerError::Locked { path: path.to_owned(), holder });
                    }
                    Err(TryLockError::Error(cause)) => return Err(unsigned(cause)),
                }
                return Ok((file, lock));
            }
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // a run that was refused before it wrote anything leaves nothing behind
        let empty = self.ledger.metadata().is_ok_and(|about| about.len() == 0);
        if empty && self.created && is_at(&self.ledger, &self.real) {
            let _ = std::fs::remove_file(&self.real);
        }
        // where the ledger was replaced, the card may be that of whoever holds the new one
        let card = holder(&self.card);
        if card.as_ref() == Some(&self.holder) || empty && card.is_none() {
            let _ = std::fs::remove_file(&self.card);
        }
    }
}

/// Locks a card and writes on it.
fn sign(card: &Path, holder: &Holder) -> Result<File, TryLockError> {
    if card.exists() {
        require_regular_file(card).map_err(TryLockError::Error)?;
    }
    let mut options = OpenOptions::new();
    // what another holder wrote stays until it is known to be over
    options.write(true).create(true).truncate(false);
    private(&mut options);
    let mut file = options.open(card).map_err(TryLockError::Error)?;
    file.try_lock()?;
    let text = serde_json::to_string(holder).map_err(|error| TryLockError::Error(error.into()))?;
    let written = file.set_len(0).and_then(|()| file.write_all(text.as_bytes()));
    written.map(|()| file).map_err(TryLockError::Error)
}

/// What the holder wrote; none where it has not written it yet, or has just taken it away.
fn holder(card: &Path) -> Option<Holder> {
    let mut text = String::new();
    // what is no card of ours may be of any size
    open_to_read(card).ok()?.take(LARGEST_CARD).read_to_string(&mut text).ok()?;
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
    fn the_second_is_told_who_holds_the_ledger() {
        let folder = tempfile::tempdir().expect("a folder");
        let ledger = folder.path().join("plan.ledger.jsonl");
        let first = Lock::take(&ledger).expect("free");
        match Lock::take(&ledger) {
            Err(LedgerError::Locked { holder, .. }) => assert_eq!(holder.pid, std::process::id()),
            other => panic!("{other:?}"),
        }
        drop(first);
        drop(Lock::take(&ledger).expect("free again"));
        assert_eq!(std::fs::read_dir(folder.path()).expect("a folder").count(), 0, "nothing is left");
    }

    #[test]
    fn the_name_of_a_ledger_that_was_removed_stays_taken_while_its_run_goes_on() {
        let folder = tempfile::tempdir().expect("a folder");
        let ledger = folder.path().join("plan.jsonl");
        let (_, first) = Lock::take(&ledger).expect("free");
        std::fs::remove_file(&ledger).expect("removed");
        match Lock::take(&ledger) {
            Err(LedgerError::Locked { holder, .. }) => assert_eq!(holder, first.holder),
            other => panic!("{other:?}"),
        }
        assert!(!ledger.exists(), "nothing is left behind");
        drop(first);
        Lock::take(&ledger).expect("free again");
    }

    #[test]
    fn the_card_of_another_holder_is_left_where_the_ledger_was_replaced() {
        let folder = tempfile::tempdir().expect("a folder");
        let ledger = folder.path().join("plan.jsonl");
        let (_, first) = Lock::take(&ledger).expect("free");
        std::fs::remove_file(&ledger).expect("removed");
        std::fs::write(&ledger, "").expect("another file");
        let theirs = Holder { pid: 1, host: "another".to_owned(), since: "later".to_owned() };
        let card = folder.path().join("plan.jsonl.lock");
        std::fs::write(&card, serde_json::to_string(&theirs).expect("JSON")).expect("signed");
        drop(first);
        assert_eq!(holder(&card), Some(theirs));
    }

    #[test]
    fn a_holder_that_has_not_signed_yet_is_waited_for() {
        let folder = tempfile::tempdir().expect("a folder");
        let ledger = folder.path().join("plan.jsonl");
        let _held = Lock::take(&ledger).expect("free");
        let card = folder.path().join("plan.jsonl.lock");
        std::fs::remove_file(&card).expect("removed");
        let told = |patience| match Lock::take_or_ask(&ledger, patience) {
            Err(error @ LedgerError::Locked { .. }) => error.to_string(),
            other => panic!("{other:?}"),
        };
        let unsigned = told(Duration::ZERO);
        assert!(unsigned.ends_with("in use by another process"), "{unsigned}");
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| told(Duration::from_secs(60)));
            std::thread::sleep(LOOK_AGAIN);
            sign(&card, &Holder::ourselves()).expect("signed");
            let told = waiting.join().expect("no panic");
            assert!(told.contains(&format!("process {} on ", std::process::id())), "{told}");
        });
    }

    #[cfg(unix)]
    #[test]
    fn neither_a_link_nor_a_removed_card_is_a_way_around_the_lock() {
        let folder = tempfile::tempdir().expect("a folder");
        let (ledger, link) = (folder.path().join("plan.jsonl"), folder.path().join("link.jsonl"));
        let _held = Lock::take(&ledger).expect("free");
        std::os::unix::fs::symlink(&ledger, &link).expect("a link");
        match Lock::take(&link) {
            Err(LedgerError::Locked { holder, .. }) => assert_eq!(holder.pid, std::process::id()),
            other => panic!("{other:?}"),
        }
        std::fs::remove_file(folder.path().join("plan.jsonl.lock")).expect("removed");
        assert!(matches!(Lock::take(&ledger), Err(LedgerError::Locked { .. })));
    }

    #[cfg(unix)]
    #[test]
    fn a_run_that_wrote_nothing_leaves_links_and_files_of_others_alone() {
        let folder = tempfile::tempdir().expect("a folder");
        let (store, link) = (folder.path().join("store.jsonl"), folder.path().join("link.jsonl"));
        std::os::unix::fs::symlink(&store, &link).expect("a link");
        drop(Lock::take(&link).expect("free"));
        assert!(!store.exists() && link.is_symlink(), "what it made is gone, and the link is not");
        std::fs::write(&store, "").expect("an empty file");
        drop(Lock::take(&link).expect("free"));
        assert!(store.exists(), "an empty file of somebody else stays");
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
