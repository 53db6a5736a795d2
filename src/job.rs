//! The nouns every room shares: what is to be done, and how it ended. No I/O.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Declares a text that the API treats as an opaque identifier.
macro_rules! identifier {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// Wraps a text as it stands, unchecked.
            pub fn new(text: impl Into<String>) -> Self {
                Self(text.into())
            }

            /// The text as the API faults it.
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
    /// Where engines live, as sent in `X-TC-Region`: `ap-guangzhou`.
    Region
}
identifier! {
    /// `DataEngineId` of the API: `DataEngine-kxxxxr13`.
    DataEngineId
}
identifier! {
    /// `DataEngineName` of the API: what people call an engine, unique in its region.
    DataEngineName
}
identifier! {
    /// `ImageVersionId` of the API: the major version that an engine runs.
    ImageVersionId
}

/// What makes a job the same job in another run: never its position in the plan.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct JobKey {
    /// Where the engine lives.
    pub region: Region,
    /// The engine to switch.
    pub data_engine_id: DataEngineId,
    /// The image version it shall run.
    pub new_image_version_id: ImageVersionId,
}

impl fmt::Display for JobKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} in {} to {}", self.data_engine_id, self.region, self.new_image_version_id)
    }
}

/// Jobs of a plan that go together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wave {
    /// What people call it.
    pub name: String,
    /// How long the next wave waits once every job of this one has ended, before this one is read back; nothing
    /// where it does not soak.
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
    /// Which engine, where, to which image version.
    pub key: JobKey,
    /// Position of its wave, counted from zero.
    pub wave: usize,
    /// What the engine is called; it is not part of what makes the job the same job.
    pub data_engine_name: Option<DataEngineName>,
    /// The image version the engine must still be on; another one means that somebody else moved it.
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
    /// Read back twice on the target image, running, at least the settle time apart.
    Switched,
    /// Was on its target before anything was sent; nothing was sent.
    UpToDate,
    /// The service took the request and nobody looked further (`--no-wait`).
    Accepted,
    /// The service refused it, or the engine went somewhere else.
    Failed,
    /// Accepted, but not seen on its target within the time allowed.
    TimedOut,
    /// A request may or may not have been applied, and read-back could not tell.
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

    /// The word people and files read.
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

/// Who found a reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Origin {
    /// The service: the code is one of the API.
    Service,
    /// This tool: the code is one of our own, in kebab case.
    Tool,
}

/// Why a job ended as it did, or why a call did not go through, ready to be shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    /// Who found it.
    pub origin: Origin,
    /// The API's error code (`InternalError`), or a word of our own in kebab case (`engine-not-found`).
    pub code: String,
    /// What it means, in one clause.
    pub cause: String,
    /// What to do next, in one clause.
    pub remedy: String,
    /// The text that came with it: the service's message, or what the network said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// True where the row stays failed, run after run, until a person releases it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub needs_release: bool,
    /// The service's `RequestId`, for a support ticket.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
}

/// What is done about a job next. The dry run prints it, and the run carries it out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Nothing: an earlier run ended it.
    Keep {
        /// How.
        outcome: Outcome,
        /// Why, where it did not reach its target.
        reason: Option<Reason>,
        /// Where the engine is now, if an earlier run brought it to its target and it has left it: `on 5f2c11aa`,
        /// `not listed`.
        drift: Option<String>,
    },
    /// Nothing: its engine is on its target.
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
        /// The image version that the engine leaves, if it is known.
        from: Option<ImageVersionId>,
    },
    /// Nothing yet: the engine is read again.
    Wait(Reason),
    /// Nothing, and it stays not started: a later request for the same engine may still be applied.
    Block(Reason),
    /// Nothing, and it fails.
    Fail(Reason),
    /// Nothing for any row of the plan: the run is refused because of this one.
    Refuse(Reason),
}

/// The end of one job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobResult {
    /// How it ended.
    pub outcome: Outcome,
    /// Why, where there is something to tell.
    pub reason: Option<Reason>,
    /// True when an earlier run settled it and this one left it alone.
    pub from_earlier_run: bool,
    /// The image version it was on before the first request, where a look told.
    pub image_before: Option<ImageVersionId>,
}
