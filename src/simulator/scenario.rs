//! The YAML in which a simulation is described: how fast, how slow, and what goes wrong.
//!
//! ```yaml
//! seed: 7
//! latency: {median: 120ms, worst: 600ms}   # of every answer
//! switching: {least: 2s, most: 4s}         # time in State 0 after a switch
//! image_changes: at-end                    # or at-start
//! minor_versions: refused                  # or accepted, as targets of a switch
//! listings: {omitted: 20%}                 # what is wrong with listings of engines
//! window: sliding                          # or fixed: shape of the rate limit
//! limit: 20                                # calls of one action in one second
//! skew: 10m                                # how far the service's clock is ahead
//! signature_validity: 5m                   # for how long a signature is good
//! account: "100000000001"                  # whose engines these are
//! session_duration: 310s                      # how long keys of a role last
//! instance_role: fleet                     # the role that the metadata service hands out keys for
//! unsupported_actions: [DescribeDataEngines]             # actions that this site does not have
//! clock: {min_ready: 1s, soak: 2s}            # shorter waits for the tool itself
//! faults:
//!   - {fault: InternalError, engines: 3%, times: 1}
//!   - {fault: reset-after-reading, applied: late 5s, engines: [DataEngine-x]}
//!   - {fault: other-client, requests_per_second: 12, from: 3s, until: 6s}
//! ```
//!
//! `engines` is `all` (the default), a share, a number (so many engines, as they come, that no other spell with
//! a number has), or a list of ids. `times` counts for each engine. `from` and `until` count from the first
//! arrival of a switch. `action` is `SwitchDataEngineImage` unless it says otherwise; `any` is every action, those of STS
//! included.
//! `applied` tells whether a switch takes effect although its answer does not say so: `never`, `before` or
//! `late` with a time after the answer. It is `before` for answers that break on their way back, and `never`
//! for refusals and pages of HTML.
//!
//! Over HTTP `no-connection` closes new connections unread while it is in force for `action: any` and all engines;
//! otherwise the engine must be known first, so the connection is closed without an answer and nothing is counted
//! or applied.

use std::time::Duration;

use jiff::SignedDuration;

use super::fault::SimulatedFault;
use super::limit::Window;
use super::world::{ImageChanges, MinorVersions};
use crate::job::DataEngineId;

/// What a spell with `action: any` strikes.
pub(super) const ANY_ACTION: &str = "any";

/// One simulation.
#[derive(Clone, Debug, PartialEq)]
pub struct Scenario {
    /// From which all chance comes.
    pub seed: u64,
    /// How long answers take.
    pub latency: Latency,
    /// How long a switch takes, least and most.
    pub switching: (Duration, Duration),
    /// When a switching engine shows its new image.
    pub image_changes: ImageChanges,
    /// Whether a minor version can be the target of a switch.
    pub minor_versions: MinorVersions,
    /// What is wrong with listings of engines.
    pub listings: ListingFaults,
    /// Shape of the rate limit.
    pub window: Window,
    /// Calls of one action that one second lets through.
    pub limit: u32,
    /// How far the service's clock is ahead of this machine's.
    pub skew: SignedDuration,
    /// By how much the time of a signature may differ from the service's; whole seconds.
    pub signature_validity: Duration,
    /// The main account; none where it does not matter.
    pub account: Option<String>,
    /// How long keys of a role last, whatever is asked for; whole seconds.
    pub session_duration: Option<Duration>,
    /// The role that is bound to the machine, where the metadata service is asked.
    pub instance_role: Option<String>,
    /// Actions that this site does not have: `InvalidAction`.
    pub unsupported_actions: Vec<String>,
    /// Shorter waits for the tool itself.
    pub clock: FastClock,
    /// What goes wrong.
    pub faults: Vec<FaultRule>,
}

/// A skewed distribution: half of the answers take up to `median`, none takes longer than `worst`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Latency {
    /// Half of the answers are faster.
    pub median: Duration,
    /// None is slower.
    pub worst: Duration,
}

/// Waits of the tool itself that a simulation may shorten; none means the tool's own default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FastClock {
    /// Least time between the two looks that prove a switch.
    pub min_ready: Option<Duration>,
    /// Time for which a unconfirmed request must show no effect before it is sent again.
    pub resend_after: Option<Duration>,
    /// Time between two reads of the fleet.
    pub poll_interval: Option<Duration>,
    /// Longest wait for convergence.
    pub wait_timeout: Option<Duration>,
    /// Longest wait for an answer.
    pub request_timeout: Option<Duration>,
    /// First wait before a retry.
    pub backoff: Option<Duration>,
    /// Longest wait before a retry.
    pub longest_backoff: Option<Duration>,
    /// Longest soak of a wave: the plan's own where that is shorter.
    pub soak: Option<Duration>,
}

/// Shares, in percent, of the records of an answer of `DescribeDataEngines`, chosen anew for each answer.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ListingFaults {
    /// Left out, although `TotalCount` counts them.
    pub omitted: f64,
    /// Replaced by a copy of the record before.
    pub repeated: f64,
    /// Missing from `TotalCount`, unless a filter asks: pages beyond the count are there for those who ask for them.
    pub uncounted: f64,
}

/// One thing that goes wrong.
#[derive(Clone, Debug, PartialEq)]
pub struct FaultRule {
    /// What befalls the calls it strikes.
    pub fault: SimulatedFault,
    /// Which action it strikes; none means every one.
    pub action: Option<String>,
    /// Which engines it strikes.
    pub engines: Engines,
    /// How often it strikes the same engine; none means always.
    pub times: Option<u32>,
    /// Begins so long after the first arrival of a switch.
    pub from: Option<Duration>,
    /// Ends so long after the first arrival of a switch.
    pub until: Option<Duration>,
    /// Whether a switch it strikes takes effect all the same.
    pub applied: Applied,
    /// Calls per second that another client uses up.
    pub requests_per_second: u32,
}

/// Which engines a spell strikes.
#[derive(Clone, Debug, PartialEq)]
pub enum Engines {
    /// Every one.
    All,
    /// So many of a hundred, chosen by the seed and the id. A call that names no engine is struck by chance.
    Share(f64),
    /// So many, as they come, that no other spell with a number has chosen.
    First(u32),
    /// These.
    Listed(Vec<DataEngineId>),
}

/// Whether a switch takes effect although its answer does not say so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Applied {
    /// It does not.
    Never,
    /// It did before the answer.
    Before,
    /// It will, so long after the answer (or after the time when the answer should have come).
    Late(Duration),
}

/// Why a scenario was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{name}:{line}:{column}: {what}")]
pub struct ScenarioError {
    /// The scenario as it was named: a path, or `rehearsal`.
    pub name: String,
    /// Line, counted from one.
    pub line: u64,
    /// Column in characters, counted from one.
    pub column: u64,
    /// What is wrong and how to correct it.
    pub what: String,
}

impl Default for Scenario {
    /// Fine weather, at the speed the simulator takes for ordinary; what a scenario leaves out is as here.
    fn default() -> Self {
        Self {
            seed: 1,
            latency: Latency { median: Duration::from_millis(60), worst: Duration::from_millis(300) },
            switching: (Duration::from_secs(2), Duration::from_secs(4)),
            image_changes: ImageChanges::AtEnd,
            minor_versions: MinorVersions::default(),
            listings: ListingFaults::default(),
            window: Window::Sliding,
            limit: 20,
            skew: SignedDuration::ZERO,
            // document 1155/48995
            signature_validity: Duration::from_secs(300),
            account: None,
            session_duration: None,
            instance_role: None,
            unsupported_actions: Vec::new(),
            clock: FastClock::default(),
            faults: Vec::new(),
        }
    }
}

impl Scenario {
    /// Reads a scenario; `name` stands for it in errors.
    pub fn parse(text: &str, name: &str) -> Result<Self, ScenarioError> {
        super::yaml::read(text, name)
    }

    /// Nothing goes wrong.
    pub fn calm() -> Self {
        Self::default()
    }

    /// What `--simulate` shows without a scenario of one's own: a refusal that passes, a throttle and a lost
    /// answer, with waits short enough to watch.
    pub fn simulation() -> Self {
        // the text is part of the program, and a test reads it
        Self::parse(include_str!("default_scenario.yaml"), "rehearsal").unwrap_or_default()
    }
}
