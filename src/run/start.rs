//! What a run begins with, and how it ends.

use std::sync::Arc;
use std::time::Duration;

use super::options::RunOptions;
use super::poll::Reader;
use super::preflight::Preflight;
use super::stop::Signals;
use crate::event::{Listener, RunHeader, StopReason};
use crate::ledger::{Line, Past, Recovered, RunStarted, Writer};

/// Everything a run begins with.
pub struct Start<C> {
    /// The service.
    pub cloud: Arc<C>,
    /// Reads the same service.
    pub reader: Reader<C>,
    /// What is known beforehand, as listeners hear it.
    pub header: Arc<RunHeader>,
    /// The same, as the ledger remembers it.
    pub run_line: RunStarted,
    /// What the ledger proves about each row.
    pub pasts: Vec<Past>,
    /// What earlier runs left of the soak of each wave; none where they switched nothing in it.
    pub soaks_left: Vec<Option<Duration>>,
    /// What was read and decided before the first write.
    pub preflight: Preflight,
    /// The ledger.
    pub writer: Writer,
    /// What the run keeps to.
    pub options: RunOptions,
    /// Who hears what happens.
    pub listener: Box<dyn Listener>,
    /// Requests to stop.
    pub signals: Signals,
}

/// How a run ended. The outcome of each job went to the listener.
#[derive(Debug)]
pub struct Ended {
    /// Why jobs were left, where they were.
    pub stopped: Option<StopReason>,
    /// Most switch requests started in any one second, wherever it is placed.
    pub peak_requests_per_second: u32,
    /// From opening to the end.
    pub elapsed: Duration,
    /// What happened and may be missing from the ledger, because it could not be written.
    pub unrecorded: Vec<Line>,
    /// What is left of the ledger, where it was removed or replaced.
    pub recovered: Option<Recovered>,
}
