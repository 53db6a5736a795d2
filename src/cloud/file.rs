//! Reads small regular files.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

use zeroize::Zeroizing;

/// Reads a whole file of at most `max_bytes`. Pipes and devices are refused: opening a named pipe blocks until a
/// writer opens it, and a device may have no end.
pub(super) fn read_regular(path: &Path, max_bytes: u64) -> io::Result<Zeroizing<Vec<u8>>> {
    let metadata = fs::metadata(path)?;
    if !metadata.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    // enough room from the start: a buffer that grows leaves copies of keys in memory
    let capacity = usize::try_from(metadata.len().min(max_bytes)).unwrap_or(0) + 1;
    let mut bytes = Zeroizing::new(Vec::with_capacity(capacity));
    File::open(path)?.take(max_bytes + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > max_bytes {
        return Err(io::Error::other(format!("it is larger than {} KiB", max_bytes / 1024)));
    }
    Ok(bytes)
}
