//! Checks how many file descriptors are free, before anything starts and for the requests of a run.

use std::os::fd::AsFd;

use rustix::io::Errno;

use crate::error::Failure;
use crate::exit::Exit;

/// File descriptors that a command needs beside those of its requests: runtime, signals, plan, ledger and its locks,
/// logs, certificates, name resolution, and connections for reads.
const RESERVE: usize = 24;

/// The part of that for connections for reads and for name resolution, when everything else is open.
const RESERVE_FOR_READS: usize = 8;

/// Fails if there are so few file descriptors that a command would fail halfway.
pub(super) fn check() -> Result<(), Failure> {
    let free = free(RESERVE);
    if free == RESERVE {
        return Ok(());
    }
    let what = format!("too few file descriptors: {free} are free and {RESERVE} are needed");
    Err(Failure::new(Exit::Refused, what)
        .next("nothing was sent; raise the limit with `ulimit -n 1024`, then run the same command again"))
}

/// How many of this many requests can be in flight at once, at least one; each needs a connection. Call it when the
/// ledger is open.
pub(super) fn for_requests(wanted: usize) -> usize {
    free(RESERVE_FOR_READS + wanted).saturating_sub(RESERVE_FOR_READS).max(1)
}

/// How many more files can be open now, up to `most`. Opening them is more exact than reading the limit: a process can
/// inherit open files.
fn free(most: usize) -> usize {
    let mut opened = Vec::with_capacity(most);
    while opened.len() < most {
        match std::io::stderr().as_fd().try_clone_to_owned() {
            Ok(descriptor) => opened.push(descriptor),
            Err(error) if matches!(Errno::from_io_error(&error), Some(Errno::MFILE | Errno::NFILE)) => break,
            // the limit is unknown; an operation that reaches it reports that itself
            Err(_) => return most,
        }
    }
    opened.len()
}
