//! A note if something that is needed before the first request takes long.

use std::time::Duration;

use tokio::time::Instant;

use crate::format::plural;
use crate::rate::until;
use crate::report::print::to_stderr;

/// The note is printed after this time.
const SLOW: Duration = Duration::from_secs(5);

/// Waits for a future, and prints once what it is if that takes long.
pub(super) async fn tell_if_slow<T>(what: &str, work: impl Future<Output = T>) -> T {
    let mut work = std::pin::pin!(work);
    tokio::select! {
        biased;
        done = &mut work => done,
        () = until(Instant::now() + SLOW) => {
            to_stderr(&format!("note: still {what}; nothing is sent before that is done\n"));
            work.await
        }
    }
}

/// The same for a read of the engines of so many rows.
pub(super) async fn with_slow_read_note<T>(rows: usize, read: impl Future<Output = T>) -> T {
    tell_if_slow(&format!("reading the engines of {}", plural(rows, "row")), read).await
}
