//! Sees that enough files can be open at once before anything begins, and how many requests the rest is good for.

use crate::error::Failure;
use crate::exit::Exit;

/// File descriptors that a command needs beside those of the requests that it sends: runtime, signals, plan, ledger
/// and its locks, logs, certificates, name resolution, and connections that read.
const ROOM: usize = 24;

/// What is left of that for connections that read and for names, once everything else is open.
const ROOM_TO_READ: usize = 8;

/// Refuses to begin what would break down for lack of file descriptors in the middle.
pub(super) fn check() -> Result<(), Failure> {
    let free = free(ROOM);
    if free == ROOM {
        return Ok(());
    }
    let what = format!("there are too few file descriptors: {free} are left and {ROOM} are needed");
    Err(Failure::new(Exit::Refused, what)
        .next("nothing was sent; raise the limit with `ulimit -n 1024`, then run the same command again"))
}

/// How many of so many requests can be under way at once, at least one; each takes a connection. To be called once
/// the ledger is open.
pub(super) fn for_requests(wanted: usize) -> usize {
    free(ROOM_TO_READ + wanted).saturating_sub(ROOM_TO_READ).max(1)
}

/// How many more files can be open at this moment, up to so many. Opening them tells more than the limit does: a
/// process may begin with files that were open before.
#[cfg(unix)]
fn free(most: usize) -> usize {
    use std::os::fd::AsFd;

    use rustix::io::Errno;

    let mut opened = Vec::with_capacity(most);
    while opened.len() < most {
        match std::io::stderr().as_fd().try_clone_to_owned() {
            Ok(descriptor) => opened.push(descriptor),
            Err(error) if matches!(Errno::from_io_error(&error), Some(Errno::MFILE | Errno::NFILE)) => break,
            // nothing is known of the limit, and what meets it says so itself
            Err(_) => return most,
        }
    }
    opened.len()
}

#[cfg(not(unix))]
fn free(most: usize) -> usize {
    most
}
