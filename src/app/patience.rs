//! A word to whoever waits while the fleet is looked at before anything is sent.

use std::time::Duration;

use tokio::time::Instant;

use crate::pace::until;
use crate::report::print::to_stderr;
use crate::words::plural;

/// Silence that is borne.
const QUIET: Duration = Duration::from_secs(5);

/// Waits for a look at the engines of so many rows, and says so once if it takes its time.
pub(super) async fn patiently<T>(rows: usize, look: impl Future<Output = T>) -> T {
    let mut look = std::pin::pin!(look);
    tokio::select! {
        biased;
        seen = &mut look => seen,
        () = until(Instant::now() + QUIET) => {
            let rows = plural(rows, "row");
            to_stderr(&format!("note: still looking at the engines of {rows}; nothing is sent before that is done\n"));
            look.await
        }
    }
}
