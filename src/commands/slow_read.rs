//! A word to whoever waits for what has to be known before anything is sent.

use std::time::Duration;

use tokio::time::Instant;

use crate::format::plural;
use crate::rate::until;
use crate::report::print::to_stderr;

/// Silence that is borne.
const QUIET: Duration = Duration::from_secs(5);

/// Waits for something, and says once what it is if it takes its time.
pub(super) async fn tell_if_slow<T>(what: &str, waited_for: impl Future<Output = T>) -> T {
    let mut waited_for = std::pin::pin!(waited_for);
    tokio::select! {
        biased;
        done = &mut waited_for => done,
        () = until(Instant::now() + QUIET) => {
            to_stderr(&format!("note: still {what}; nothing is sent before that is done\n"));
            waited_for.await
        }
    }
}

/// The same for a look at the engines of so many rows.
pub(super) async fn with_slow_read_note<T>(rows: usize, look: impl Future<Output = T>) -> T {
    tell_if_slow(&format!("looking at the engines of {}", plural(rows, "row")), look).await
}
