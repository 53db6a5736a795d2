//! The ledger as the dispatcher uses it: written off the threads that run tasks, and never again after a failure.
//!
//! A disk that takes no time, as in tests, is written to at once: then a run in virtual time needs one thread only, and
//! the same seed makes the same run.

use crate::ledger::{Entry, LedgerError, Line, Recovered, Writer};

/// Takes entries in order and returns once they are durable.
pub(super) struct LedgerWriter {
    /// Away only while a write is under way.
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
            let cause = std::io::Error::other("the writer is gone");
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
        // a panic of the writer is a defect of ours and goes where all panics go
        let (writer, result) =
            written.await.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()));
        self.writer = Some(writer);
        result
    }

    /// What happened and may be missing from the ledger.
    pub(super) fn unrecorded(&self) -> Vec<Line> {
        self.writer.as_ref().map_or_else(Vec::new, |writer| writer.unrecorded().to_vec())
    }

    /// What is left of a ledger that was removed or replaced.
    pub(super) fn recovered(&self) -> Option<Recovered> {
        self.writer.as_ref()?.recovered().cloned()
    }
}

/// What goes to the ledger also goes to the log, in the ledger's own words.
fn log(entry: &Entry) {
    match entry {
        Entry::RunStarted(opened) => {
            tracing::info!(plan = opened.plan, endpoint = opened.endpoint, "run opened");
        }
        Entry::RunEnded(closed) => {
            tracing::info!(outcomes = ?closed.outcomes, stopped = closed.stopped, "run closed");
        }
        Entry::Job { key, step } => {
            let step = serde_json::to_string(step).unwrap_or_default();
            tracing::info!(engine = %key.data_engine_id, region = %key.region, "{step}");
        }
    }
}
