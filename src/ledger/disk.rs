//! Opens, appends to and syncs the files of the ledger.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// The storage of the ledger: a file, or in tests memory or a disk that fails.
pub trait Disk: Send {
    /// Writes one whole line, in one system call.
    fn append(&mut self, line: &[u8]) -> io::Result<()>;
    /// Returns once everything that was appended is durable.
    fn sync(&mut self) -> io::Result<()>;

    /// False if neither call blocks, so that they need no thread for blocking work.
    fn blocks(&self) -> bool {
        true
    }
}

/// A file that checks before each write that its path still refers to it.
pub(super) struct LedgerFile {
    file: File,
    path: PathBuf,
    /// Expected size in bytes, if no other program wrote to it.
    length: u64,
}

impl LedgerFile {
    pub(super) fn new(file: File, path: &Path) -> io::Result<Self> {
        Ok(Self { length: file.metadata()?.len(), file, path: path.to_owned() })
    }
}

impl Disk for LedgerFile {
    fn append(&mut self, line: &[u8]) -> io::Result<()> {
        // lines in a removed file would be lost, and a second run could start with a new file
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

/// Opens a regular file for reading.
pub(super) fn open_to_read(path: &Path) -> io::Result<File> {
    require_regular_file(path)?;
    File::open(path)
}

/// Refuses anything but a regular file: opening a named pipe would block until another process opens it, and a device may
/// never end.
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
