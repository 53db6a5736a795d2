//! Files as the ledger needs them: appended, synced, private, and lasting by name.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

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
pub(super) fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}

#[cfg(not(unix))]
pub(super) fn sync_folder(_path: &Path) -> io::Result<()> {
    Ok(())
}
