//! The input of a run, and its result.

use std::sync::Arc;
use std::time::Duration;

use super::options::RunOptions;
use super::poll::Reader;
use super::preflight::Preflight;
use super::stop::Signals;
use crate::event::{Listener, RunHeader, StopReason};
use crate::ledger::{Line, Past, Recovered, RunStarted, Writer};

/// The input of a run.
pub struct Start<C> {
    /// The service.
    pub cloud: Arc<C>,
    /// Reads the same service.
    pub reader: Reader<C>,
    /// The header for the first event.
    pub header: Arc<RunHeader>,
    /// The same for the first ledger line.
    pub run_line: RunStarted,
    /// What the ledger proves about each row.
    pub pasts: Vec<Past>,
    /// The remaining soak time of each wave from earlier runs; none for a wave in which they switched nothing.
    pub soaks_left: Vec<Option<Duration>>,
    /// What was read and decided before the first write.
    pub preflight: Preflight,
    /// The ledger.
    pub writer: Writer,
    /// Limits and waits.
    pub options: RunOptions,
    /// Receives the events.
    pub listener: Box<dyn Listener>,
    /// Receives the signals to stop.
    pub signals: Signals,
}

/// The result of a run. The outcome of each job was reported to the listener.
#[derive(Debug)]
pub struct Ended {
    /// Why the run stopped early, if it did.
    pub stopped: Option<StopReason>,
    /// Most switch requests started in any one-second span.
    pub peak_requests_per_second: u32,
    /// Duration of the run.
    pub elapsed: Duration,
    /// Lines that may be missing from the ledger because it could not be written.
    pub unrecorded: Vec<Line>,
    /// What could be recovered of the ledger, if it was removed or replaced.
    pub recovered: Option<Recovered>,
}
