//! The types that all modules share: jobs, waves, decisions, outcomes and reasons. No I/O.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Declares a string type for an opaque identifier of the API.
macro_rules! identifier {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// Wraps a string without checking it.
            pub fn new(text: impl Into<String>) -> Self {
                Self(text.into())
            }

            /// The string as the API spells it.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.pad(&self.0)
            }
        }
    };
}

identifier! {
    /// The region of an engine, as sent in `X-TC-Region`: `ap-guangzhou`.
    Region
}
identifier! {
    /// `DataEngineId` of the API: `DataEngine-kxxxxr13`.
    DataEngineId
}
identifier! {
    /// `DataEngineName` of the API: the name of an engine, unique in its region.
    DataEngineName
}
identifier! {
    /// `ImageVersionId` of the API: the major version that an engine runs.
    ImageVersionId
}

/// Identifies a job across runs. The position of the row in the plan is not part of it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct JobKey {
    /// The region of the engine.
    pub region: Region,
    /// The engine to switch.
    pub data_engine_id: DataEngineId,
    /// The target: the image version to switch to.
    pub new_image_version_id: ImageVersionId,
}

impl fmt::Display for JobKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} in {} to {}", self.data_engine_id, self.region, self.new_image_version_id)
    }
}

/// Jobs of a plan that are sent together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wave {
    /// Name of the wave in the plan.
    pub name: String,
    /// How long to wait after every job of this wave has ended, before its engines are verified again and the next
    /// wave starts; zero for a wave that does not soak.
    pub soak: Duration,
}

impl Wave {
    /// A wave of this name that does not soak.
    pub fn named(name: impl Into<String>) -> Self {
        Self { name: name.into(), soak: Duration::ZERO }
    }
}

/// One row of the plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    /// Engine, region and target.
    pub key: JobKey,
    /// Position of its wave, counted from zero.
    pub wave: usize,
    /// Name of the engine; not part of the key.
    pub data_engine_name: Option<DataEngineName>,
    /// The image version that the engine must be on before the switch; any other one means that another client moved it.
    pub expected_image_version_id: Option<ImageVersionId>,
    /// Free text from the plan, repeated where the job is reported.
    pub note: Option<String>,
}

/// Position of a job in the plan of this run, counted from zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JobIndex(pub usize);

/// How a job ended. Every row of a plan ends in exactly one of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// Read twice on the target image, running, at least the `--min-ready` time apart.
    Switched,
    /// The engine was on its target before the run; nothing was sent.
    UpToDate,
    /// The service accepted the request, and the run did not verify the engine (`--no-wait` or `--no-verify`).
    Accepted,
    /// The service refused the request, or the engine failed or is on a third image version.
    Failed,
    /// Accepted, but not seen on its target within the time allowed.
    TimedOut,
    /// A request may or may not have been applied, and verification could not tell.
    Unknown,
    /// Nothing was sent, because the run ended or was stopped first.
    NotStarted,
}

impl Outcome {
    /// All outcomes, in the order in which summaries show them.
    pub const ALL: [Self; 7] = [
        Self::Switched,
        Self::UpToDate,
        Self::Accepted,
        Self::Failed,
        Self::TimedOut,
        Self::Unknown,
        Self::NotStarted,
    ];

    /// The outcome as ledger, reports and messages spell it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Switched => "switched",
            Self::UpToDate => "up-to-date",
            Self::Accepted => "accepted",
            Self::Failed => "failed",
            Self::TimedOut => "timed-out",
            Self::Unknown => "unknown",
            Self::NotStarted => "not-started",
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.word())
    }
}

/// Where a reason comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Origin {
    /// The service: the code is one of the API.
    Service,
    /// This tool: the code is in kebab case and defined here.
    Tool,
}

/// Why a job ended as it did or why a call failed, ready to be displayed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    /// Where it comes from.
    pub origin: Origin,
    /// The API's error code (`InternalError`), or a code of this tool in kebab case (`engine-not-found`).
    pub code: String,
    /// What happened, in one clause.
    pub cause: String,
    /// What to do next, in one clause.
    pub remedy: String,
    /// Details of this case: the message of the service or the error of the network.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// True if the row stays failed in later runs until the operator releases it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub needs_release: bool,
    /// The service's `RequestId`, for a support ticket.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
}

/// What to do next for a job. The dry run prints it, and the run carries it out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Nothing: the job ended in an earlier run.
    Keep {
        /// How it ended.
        outcome: Outcome,
        /// Why, unless the engine reached its target.
        reason: Option<Reason>,
        /// What the engine shows now, if it reached its target in an earlier run and is no longer there: `on 5f2c11aa`,
        /// `not listed`.
        drift: Option<String>,
    },
    /// Nothing: the engine is on its target.
    UpToDate,
    /// A request of an earlier run was accepted: wait until the engine reaches its target.
    Watch,
    /// A request of an earlier run may have been applied: verify the engine before another one is sent.
    Verify {
        /// The image version that the engine had before that request, if it is known.
        image_before: Option<ImageVersionId>,
    },
    /// A request is sent.
    Send {
        /// The image version that the engine has before the switch, if it is known.
        from: Option<ImageVersionId>,
    },
    /// Nothing yet: the engine is read again.
    Wait(Reason),
    /// Nothing, and the job is not started: a request for the same engine and another target may still be applied.
    Block(Reason),
    /// Nothing, and the job fails.
    Fail(Reason),
    /// Nothing for any row: the whole run is refused because of this row.
    Refuse(Reason),
}

/// How one job ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobResult {
    /// The outcome.
    pub outcome: Outcome,
    /// Why, unless the outcome says all.
    pub reason: Option<Reason>,
    /// True if the job ended in an earlier run and this run did nothing.
    pub from_earlier_run: bool,
    /// The image version before the first request, if a read showed it.
    pub image_before: Option<ImageVersionId>,
}
