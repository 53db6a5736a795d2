//! What a run begins with, and how it ends.

use std::sync::Arc;
use std::time::Duration;

use super::Rules;
use super::readback::Reader;
use super::sight::FleetView;
use super::stop::Signals;
use crate::event::{Listener, Opening, StopReason};
use crate::ledger::{Line, Rescued, RunOpened, Work, Writer};

/// Everything a run begins with.
pub struct Start<C> {
    /// The service.
    pub cloud: Arc<C>,
    /// Reads the same service.
    pub reader: Reader<C>,
    /// What is known beforehand, as listeners hear it.
    pub opening: Arc<Opening>,
    /// The same, as the ledger remembers it.
    pub header: RunOpened,
    /// What each job still needs.
    pub work: Vec<Work>,
    /// What earlier runs left of the soak of each wave; none where they switched nothing in it.
    pub soaks_left: Vec<Option<Duration>>,
    /// What the survey showed; none with `--no-read-back`.
    pub view: Option<FleetView>,
    /// The ledger.
    pub writer: Writer,
    /// What the run keeps to.
    pub rules: Rules,
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
    pub worst_second: u32,
    /// From opening to the end.
    pub elapsed: Duration,
    /// What happened and may be missing from the ledger, because it could not be written.
    pub unrecorded: Vec<Line>,
    /// What is left of the ledger, where it was removed or replaced.
    pub rescued: Option<Rescued>,
}
