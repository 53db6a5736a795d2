//! Writes the ledger for the dispatcher, on a thread for blocking work.
//!
//! A disk that does not block, as in tests, is written on the same thread. A run in virtual time then needs only one thread,
//! and the same seed gives the same run.

use crate::ledger::{Entry, LedgerError, Line, Recovered, Writer};

/// Takes entries in order and returns once they are durable.
pub(super) struct LedgerWriter {
    /// None only during a write.
    writer: Option<Writer>,
}

impl LedgerWriter {
    pub(super) fn new(writer: Writer) -> Self {
        Self { writer: Some(writer) }
    }

    /// Appends and syncs.
    pub(super) async fn append(&mut self, entries: Vec<Entry>) -> Result<(), LedgerError> {
        if entries.is_empty() {
            return Ok(());
        }
        for entry in &entries {
            log(entry);
        }
        let Some(mut writer) = self.writer.take() else {
            let cause =
                std::io::Error::other("internal error: the ledger writer was lost in an earlier write");
            return Err(LedgerError::Io { doing: "write", path: std::path::PathBuf::new(), cause });
        };
        if !writer.blocks() {
            let result = writer.append(entries);
            self.writer = Some(writer);
            tokio::task::yield_now().await;
            return result;
        }
        let written = tokio::task::spawn_blocking(move || {
            let result = writer.append(entries);
            (writer, result)
        });
        // a panic of the writer is an internal error and continues in this task
        let (writer, result) =
            written.await.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()));
        self.writer = Some(writer);
        result
    }

    /// Lines that may be missing from the ledger.
    pub(super) fn unrecorded(&self) -> Vec<Line> {
        self.writer.as_ref().map_or_else(Vec::new, |writer| writer.unrecorded().to_vec())
    }

    /// What could be recovered of a ledger that was removed or replaced.
    pub(super) fn recovered(&self) -> Option<Recovered> {
        self.writer.as_ref()?.recovered().cloned()
    }
}

/// Logs each entry as the ledger records it.
fn log(entry: &Entry) {
    match entry {
        Entry::RunStarted(started) => {
            tracing::info!(plan = started.plan, endpoint = started.endpoint, "run started");
        }
        Entry::RunEnded(ended) => {
            tracing::info!(outcomes = ?ended.outcomes, stopped = ended.stopped, "run ended");
        }
        Entry::Job { key, step } => {
            let step = serde_json::to_string(step).unwrap_or_default();
            tracing::info!(engine = %key.data_engine_id, region = %key.region, "{step}");
        }
    }
}
