//! Signals of the operating system, handed to the run.

use tokio::sync::mpsc;

use crate::run::{Signal, Signals};

/// The signal of a file that grew to its limit (`ulimit -f`): 25 on Linux, except on MIPS, and on the BSDs.
#[cfg(unix)]
const FILE_SIZE_LIMIT: i32 = 25;

/// Lets a write past the limit on the size of files fail as any other write fails, where the signal would kill the
/// process: the run then stops in good order, and tells why. Once asked for, this holds until the process ends.
#[cfg(unix)]
pub(super) fn outlive_file_size_limit() {
    use tokio::signal::unix::{SignalKind, signal};
    // where it cannot be caught, things are as they were
    let _ = signal(SignalKind::from_raw(FILE_SIZE_LIMIT));
}

#[cfg(not(unix))]
pub(super) fn outlive_file_size_limit() {}

/// Listens from now on, until the process ends.
#[cfg(unix)]
pub(super) fn listen() -> std::io::Result<Signals> {
    use tokio::signal::unix::{SignalKind, signal};

    let (sender, receiver) = mpsc::unbounded_channel();
    let kinds = [
        (SignalKind::interrupt(), Signal::Interrupt),
        (SignalKind::terminate(), Signal::Terminate),
        (SignalKind::hangup(), Signal::HangUp),
    ];
    for (kind, name) in kinds {
        if name == Signal::HangUp && hang_up_is_ignored() {
            // somebody started us with nohup, and means it
            continue;
        }
        let mut stream = signal(kind)?;
        let sender = sender.clone();
        tokio::spawn(async move { while stream.recv().await.is_some() && sender.send(name).is_ok() {} });
    }
    Ok(receiver)
}

/// True where SIGHUP was ignored when this process began, as `nohup` arranges it. Told by the kernel's mask of ignored
/// signals, whose lowest bit is SIGHUP; where there is none to read, nothing is known of it.
#[cfg(unix)]
fn hang_up_is_ignored() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).is_some_and(|mask| mask & 1 == 1)
}

/// Listens from now on, until the process ends.
#[cfg(not(unix))]
pub(super) fn listen() -> std::io::Result<Signals> {
    let (sender, receiver) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while tokio::signal::ctrl_c().await.is_ok() && sender.send(Signal::Interrupt).is_ok() {}
    });
    Ok(receiver)
}
