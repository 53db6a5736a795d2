//! Events of a run, from `run` to `report`. They carry facts, and no decision about display.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::job::{DataEngineId, Job, JobIndex, JobResult, Reason, Wave};

/// What is known when a run starts.
#[derive(Clone, Debug)]
pub struct RunHeader {
    /// Sortable id of this run.
    pub run_id: String,
    /// The run whose ledger this one continues.
    pub parent_run_id: Option<String>,
    /// Path of the plan as given by the user.
    pub plan: PathBuf,
    /// Path of the ledger that records this run.
    pub ledger: PathBuf,
    /// Host of the service, or `simulator`.
    pub endpoint: String,
    /// Highest number of switch requests per second.
    pub rate: u32,
    /// Most attempts one job may use in this run.
    pub max_attempts: u32,
    /// How long an engine must stay on its old image, running, before an unconfirmed request is sent again.
    pub resend_after: Duration,
    /// Every row of the plan, in plan order; `JobIndex` points into it.
    pub jobs: Arc<[Job]>,
    /// The waves, in the order in which they run.
    pub waves: Arc<[Wave]>,
}

/// Why a run stops sending although jobs are left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StopReason {
    /// A signal arrived.
    Interrupted {
        /// `SIGINT`, `SIGTERM` or `SIGHUP`.
        signal: &'static str,
    },
    /// The service refuses the account, the credentials or the address of this machine for every engine.
    AccountRefused(Reason),
    /// A wave did not pass its soak check, so the next one does not start.
    SoakFailed(SoakFailure),
    /// The ledger can no longer be written.
    LedgerFailed {
        /// The error of the operating system.
        cause: String,
    },
}

/// A wave that did not pass its soak check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SoakFailure {
    /// Name of the wave.
    pub wave: String,
    /// How many of its engines drifted or could not be verified in time.
    pub engines: usize,
    /// One of them.
    pub first: DataEngineId,
    /// What that engine shows now: `on 5f2c11aa`, `suspended (State 1)`, `not listed`.
    pub seen: String,
}

/// One event.
#[derive(Clone, Debug)]
pub enum Event {
    /// The run starts; always the first event.
    RunStarted(Arc<RunHeader>),
    /// The jobs of a wave may be sent from now on.
    WaveStarted {
        /// Position of the wave.
        wave: usize,
    },
    /// Every job of a wave has ended.
    WaveEnded {
        /// Position of the wave.
        wave: usize,
    },
    /// A wave that has ended soaks: until the soak is over, no other wave starts and the run does not end.
    SoakStarted {
        /// Position of the wave.
        wave: usize,
        /// Remaining soak time.
        left: Duration,
        /// True if its engines are verified after that.
        verify: bool,
    },
    /// The soak of a wave is over.
    SoakEnded {
        /// Position of the wave.
        wave: usize,
        /// True if its engines were verified and have not drifted; false if they were not verified.
        verify: bool,
    },
    /// A switch request was sent.
    Sent {
        /// The job.
        job: JobIndex,
        /// Which attempt of this job in this run, counted from one.
        attempt: u32,
    },
    /// The service accepted the request, according to its response or to verification; the engine is converging.
    Accepted {
        /// The job.
        job: JobIndex,
    },
    /// The service throttled the request; it is sent again, and no attempt is used up.
    Throttled {
        /// The job whose request was throttled.
        job: JobIndex,
        /// The refusal.
        reason: Reason,
        /// Requests per second from now on.
        rate: f64,
    },
    /// The service refused a signature because of its time; from now on requests are signed with the time of the service.
    ClockSkew {
        /// Seconds by which the service's clock is ahead of this machine's; 0 once the clocks agree again.
        ahead: i64,
    },
    /// The rate limiter is back at its full rate after throttling.
    RateRestored {
        /// Requests per second from now on.
        rate: f64,
    },
    /// A refusal for a temporary cause, or a request that was not sent: the job is sent again.
    WillRetry {
        /// The job.
        job: JobIndex,
        /// The attempt that failed, counted from one.
        attempt: u32,
        /// Why.
        reason: Reason,
        /// Wait before the job is sent again.
        after: Duration,
    },
    /// A request may have been applied: it got no readable response, or a server fault. The engine is verified before
    /// anything is sent again.
    Unconfirmed {
        /// The job.
        job: JobIndex,
        /// Why.
        reason: Reason,
    },
    /// Verification shows that the unconfirmed request was not applied; it is sent again.
    NotApplied {
        /// The job.
        job: JobIndex,
    },
    /// A job ended.
    JobEnded {
        /// The job.
        job: JobIndex,
        /// How it ended.
        result: JobResult,
    },
    /// A read of the fleet could not be completed; it is repeated.
    ReadFailed {
        /// Why.
        reason: Reason,
    },
    /// An engine drifted: it was on its target in an earlier run or before the soak of its wave, and is no longer. It is
    /// not switched again.
    Drifted {
        /// The job.
        job: JobIndex,
        /// What the engine shows now: `on 5f2c11aa`, `not listed`.
        seen: String,
    },
    /// Nothing more is sent. After a signal the run only waits for responses to requests in flight; otherwise it still
    /// polls engines whose requests were accepted or are unconfirmed.
    Stopping(StopReason),
    /// One second has passed.
    Tick,
    /// The run is over; always the last event.
    RunEnded,
}

/// Receives events in the order in which they happened.
pub trait Listener: Send {
    /// Receives one event; `after` is the time since the run started.
    fn on_event(&mut self, after: Duration, event: &Event);
}
