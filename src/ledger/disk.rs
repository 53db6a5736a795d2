//! Files as the ledger needs them: appended, synced, private, and lasting by name.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Where lines go. A file in life; in tests, memory or something that fails.
pub trait Disk: Send {
    /// Writes one whole line, in one call to the system.
    fn append(&mut self, line: &[u8]) -> io::Result<()>;
    /// Returns once everything appended would survive a crash.
    fn sync(&mut self) -> io::Result<()>;

    /// False where neither call takes any time, so that no thread of its own is needed to wait for them.
    fn blocks(&self) -> bool {
        true
    }
}

/// A file that is still the one its name leads to.
pub(super) struct Named {
    file: File,
    path: PathBuf,
    /// Bytes that it has if nobody else wrote to it.
    length: u64,
}

impl Named {
    pub(super) fn new(file: File, path: &Path) -> io::Result<Self> {
        Ok(Self { length: file.metadata()?.len(), file, path: path.to_owned() })
    }
}

impl Disk for Named {
    fn append(&mut self, line: &[u8]) -> io::Result<()> {
        // a run that wrote on into a removed file would be forgotten, and another could start beside it
        if !is_at(&self.file, &self.path) {
            return Err(io::Error::other("it was removed or replaced while it was in use"));
        }
        if self.file.metadata()?.len() != self.length {
            return Err(io::Error::other("another program wrote to it or cut it while it was in use"));
        }
        self.file.write_all(line)?;
        self.length += line.len() as u64;
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        self.file.sync_data()
    }
}

/// Opens a file to read it, unless it is something else.
pub(super) fn open_to_read(path: &Path) -> io::Result<File> {
    require_regular_file(path)?;
    File::open(path)
}

/// Refuses what is no regular file: opening a named pipe would wait for somebody at its other end, and a device may
/// have no end.
pub(super) fn require_regular_file(path: &Path) -> io::Result<()> {
    if std::fs::metadata(path)?.is_file() {
        return Ok(());
    }
    Err(io::Error::other("it is not a regular file"))
}

/// True if a path still leads to this open file.
pub(super) fn is_at(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    match (file.metadata(), std::fs::metadata(path)) {
        (Ok(ours), Ok(theirs)) => ours.dev() == theirs.dev() && ours.ino() == theirs.ino(),
        _ => false,
    }
}

/// Readable by its owner alone: a ledger names every engine of a fleet.
pub fn private(options: &mut OpenOptions) {
    use std::os::unix::fs::OpenOptionsExt;
    options.mode(0o600);
}

/// Makes the name of a new file as durable as its content.
pub(super) fn sync_folder(path: &Path) -> io::Result<()> {
    let path = path.canonicalize()?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}
