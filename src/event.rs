//! The events of a run, which `run` emits and `report` shows.

use std::fmt;
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
    /// The ledger of this run.
    pub ledger: PathBuf,
    /// Host that requests are sent to, or `simulator`.
    pub endpoint: String,
    /// Highest number of switch requests per second.
    pub rate: u32,
    /// Most attempts one job may use in this run.
    pub max_attempts: u32,
    /// How long an unconfirmed engine must stay on its old image, running, before its request is sent again.
    pub resend_after: Duration,
    /// How long an engine must be seen running on its target before it counts as switched; none where accepted is the
    /// end.
    pub min_ready: Option<Duration>,
    /// Longest wait for an accepted engine to be verified.
    pub wait_timeout: Duration,
    /// Every row of the plan, in plan order; `JobIndex` points into it.
    pub jobs: Arc<[Job]>,
    /// The waves, in the order of the plan.
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
    /// A wave failed its soak, so the next one does not start.
    SoakFailed(SoakFailure),
    /// The ledger can no longer be written.
    LedgerFailed {
        /// The error of the operating system.
        cause: String,
    },
}

/// How a wave failed its soak.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SoakFailure {
    /// Name of the wave.
    pub wave: String,
    /// How many of its engines have drifted, or could not be verified in time.
    pub engines: usize,
    /// One of them.
    pub first: DataEngineId,
    /// What that engine shows now: `on 5f2c11aa`, `suspended (State 1)`, `not listed`.
    pub seen: String,
}

impl SoakFailure {
    /// Which engines, and where: `DataEngine-a1 is on 5f2c11aa (and 2 more)`.
    pub fn engines_text(&self) -> String {
        let others = match self.engines.saturating_sub(1) {
            0 => String::new(),
            others => format!(" (and {others} more)"),
        };
        format!("{} is {}{others}", self.first, self.seen)
    }
}

impl fmt::Display for SoakFailure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "wave {} failed its soak: {}", self.wave, self.engines_text())
    }
}

/// One event.
#[derive(Clone, Debug)]
pub enum Event {
    /// The run starts; always the first event.
    RunStarted(Arc<RunHeader>),
    /// Requests for the jobs of a wave may be sent from now on.
    WaveStarted {
        /// Position of the wave.
        wave: usize,
    },
    /// Every job of a wave has ended.
    WaveEnded {
        /// Position of the wave.
        wave: usize,
    },
    /// A wave that has ended soaks: no other wave starts, and the run does not end, before the soak ends.
    SoakStarted {
        /// Position of the wave.
        wave: usize,
        /// Remaining soak time.
        left: Duration,
        /// Whether its engines are verified after that.
        verify: bool,
    },
    /// The soak of a wave ended.
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
    /// The service accepted the request, by its response or as verification shows; the engine is converging.
    Accepted {
        /// The job.
        job: JobIndex,
    },
    /// A read shows the engine running on its target; it is switched if it stays so for `min_ready`.
    Ready {
        /// Which.
        job: JobIndex,
    },
    /// A later read shows that the engine is not running on its target any more; it is converging again.
    NotReady {
        /// Which.
        job: JobIndex,
    },
    /// The service throttled the request; it is sent again, and this uses up no attempt.
    Throttled {
        /// Whose request.
        job: JobIndex,
        /// What the service said.
        reason: Reason,
        /// Requests per second from now on.
        rate: f64,
    },
    /// The service refused a signature because of its time; from now on requests are signed with the service's time.
    ClockSkew {
        /// Seconds by which the service's clock is ahead of this machine's; 0 once the clocks agree again.
        ahead: i64,
    },
    /// The rate is as high as allowed again after throttling.
    RateRestored {
        /// Requests per second from now on.
        rate: f64,
    },
    /// The request was refused for a transient cause, or not sent: it is sent again.
    WillRetry {
        /// The job.
        job: JobIndex,
        /// The attempt that failed, counted from one.
        attempt: u32,
        /// Why.
        reason: Reason,
        /// Wait before it may be sent again.
        after: Duration,
    },
    /// A request may have been applied: it has no readable response, or the response is a server fault. The engine is
    /// verified before anything is sent again.
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
    /// Engines could not be read; they are read again.
    ReadFailed {
        /// Why.
        reason: Reason,
    },
    /// An engine that was on its target, in an earlier run or before its wave soaked, is not there any more; nothing is
    /// sent for it.
    Drifted {
        /// The job.
        job: JobIndex,
        /// What the engine shows now: `on 5f2c11aa`, `not listed`.
        seen: String,
    },
    /// Nothing more is sent. After a signal the run only waits for responses; otherwise it also verifies what was accepted
    /// or is unconfirmed.
    Stopping(StopReason),
    /// One second has passed.
    Tick,
    /// The run ended; always the last event.
    RunEnded,
}

/// Receives events in the order in which they happened.
pub trait Listener: Send {
    /// Receives one event, `after` the run started.
    fn on_event(&mut self, after: Duration, event: &Event);
}
