//! Appends lines and makes them durable before anybody acts on them.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::LedgerError;
use super::chain::Check;
use super::entry::{Entry, Line};
use super::fold::Memory;
use super::lock::Lock;
use super::read::read;

/// Where lines go. A file in life; in tests, memory or something that fails.
pub trait Disk: Send {
    /// Writes one whole line, in one call to the system.
    fn append(&mut self, line: &[u8]) -> io::Result<()>;
    /// Returns once everything appended would survive a crash.
    fn sync(&mut self) -> io::Result<()>;
}

impl Disk for File {
    fn append(&mut self, line: &[u8]) -> io::Result<()> {
        self.write_all(line)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.sync_data()
    }
}

/// The one writer of a ledger.
pub struct Writer {
    disk: Box<dyn Disk>,
    path: PathBuf,
    run: String,
    memory: Memory,
    check: Check,
    /// Set by the first failure: what is on disk is no longer certain, so nothing more is written.
    broken: bool,
    /// Held until the writer goes.
    #[expect(dead_code, reason = "its presence is its use")]
    lock: Option<Lock>,
}

impl Writer {
    /// A writer that goes on after what `memory` and `check` stand for.
    pub fn new(disk: Box<dyn Disk>, path: &Path, run: &str, memory: Memory, check: Check) -> Self {
        Self { disk, path: path.to_owned(), run: run.to_owned(), memory, check, broken: false, lock: None }
    }

    /// Appends lines and returns once they are durable. After a failure nothing is ever written again.
    pub fn append(&mut self, entries: Vec<Entry>) -> Result<(), LedgerError> {
        if self.broken {
            let cause = io::Error::other("an earlier write failed");
            return Err(LedgerError::Io { doing: "write", path: self.path.clone(), cause });
        }
        let written = self.write(entries);
        self.broken = written.is_err();
        written
    }

    fn write(&mut self, entries: Vec<Entry>) -> Result<(), LedgerError> {
        let failed = |path: &Path, cause| LedgerError::Io { doing: "write", path: path.to_owned(), cause };
        for entry in entries {
            let line = Line { seq: self.memory.lines + 1, at: now(), run: self.run.clone(), entry };
            // the fold judges our own lines before they are written, so that no run can leave a ledger
            // that the next one refuses
            self.memory.take(&line).map_err(|what| LedgerError::Damaged {
                path: self.path.clone(),
                line: line.seq,
                what,
            })?;
            let object = line.to_json().map_err(|error| failed(&self.path, error.into()))?;
            let (mut sealed, check) = self.check.seal(&object);
            sealed.push('\n');
            self.disk.append(sealed.as_bytes()).map_err(|cause| failed(&self.path, cause))?;
            self.check = check;
        }
        self.disk.sync().map_err(|cause| failed(&self.path, cause))
    }

    /// What the ledger knows, this run's lines included.
    pub fn memory(&self) -> &Memory {
        &self.memory
    }
}

/// Locks a ledger, creates it where it does not exist, and sets a torn last line aside in a file next to it,
/// whose path is returned with the writer.
pub fn open(path: &Path, run: &str) -> Result<(Writer, Option<PathBuf>), LedgerError> {
    let failed = |cause| LedgerError::Io { doing: "open", path: path.to_owned(), cause };
    let lock = Lock::take(path)?;
    let recalled = read(path)?;
    let new = !path.exists();
    let mut options = OpenOptions::new();
    options.append(true).create(true);
    private(&mut options);
    let file = options.open(path).map_err(failed)?;
    let set_aside = if recalled.torn.is_empty() {
        None
    } else {
        let aside = PathBuf::from(format!("{}.torn-{run}", path.display()));
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        private(&mut options);
        let mut torn = options.open(&aside).map_err(failed)?;
        torn.write_all(&recalled.torn).and_then(|()| torn.sync_all()).map_err(failed)?;
        file.set_len(recalled.whole_bytes).and_then(|()| file.sync_all()).map_err(failed)?;
        Some(aside)
    };
    if new {
        sync_folder(path).map_err(failed)?;
    }
    let mut writer = Writer::new(Box::new(file), path, run, recalled.memory, recalled.check);
    writer.lock = Some(lock);
    Ok((writer, set_aside))
}

/// Readable by its owner alone: a ledger names every engine of a fleet.
#[cfg(unix)]
pub(super) fn private(options: &mut OpenOptions) {
    use std::os::unix::fs::OpenOptionsExt;
    options.mode(0o600);
}

#[cfg(not(unix))]
pub(super) fn private(_options: &mut OpenOptions) {}

/// Makes the name of a new file as durable as its content.
#[cfg(unix)]
fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}

#[cfg(not(unix))]
fn sync_folder(_path: &Path) -> io::Result<()> {
    Ok(())
}

/// An id for a new run: the time first, so that ids sort as runs began.
pub fn new_run_id() -> String {
    let begun = Timestamp::now().strftime("%Y%m%dT%H%M%SZ");
    format!("{begun}-{:06x}", fastrand::u32(..1 << 24))
}

/// The time of a line: milliseconds, as it can be read back.
fn now() -> Timestamp {
    let now = Timestamp::now();
    Timestamp::from_millisecond(now.as_millisecond()).unwrap_or(now)
}
