//! Reads a scenario: a YAML file that says how a simulated service behaves and what goes wrong.
//!
//! Every key is optional. `{}` and an empty file are a service without faults.
//!
//! ```yaml
//! seed: 7                                 # of all random choices: the same seed, the same faults
//! latency: {median: 120ms, max: 600ms}    # of every response
//! switching: {min: 2s, max: 4s}           # how long an engine stays in State 0 after a switch
//! image_changes: at-end                   # when the engine shows its new image: at-start or at-end of that time
//! minor_versions: refused                 # minor versions as targets of a switch: refused or accepted
//! listing_faults: {omitted: 20%}          # wrong responses of DescribeDataEngines, see below
//! rate_limit: 20                          # requests of one action in one second
//! rate_limit_window: sliding              # that second: sliding, or fixed (one second after the other)
//! clock_skew: 10m                         # how far the clock of the service is ahead; negative if it is behind
//! signature_validity: 5m                  # largest difference between the clock and the time of a signature
//! account: "100000000001"                 # main account that GetCallerIdentity names
//! session_duration: 310s                  # validity of temporary keys, whatever the request asks for
//! instance_role: fleet                    # role of the metadata service; without it there is none
//! unsupported_actions: [DescribeDataEngines]  # actions that are refused with InvalidAction
//! run_defaults: {min_ready: 1s, soak: 2s} # shorter waits of dlc-fleet in `run --simulate`, see below
//! faults:                                 # the fault rules
//!   - {fault: InternalError, engines: 3%, times: 1}
//!   - {fault: reset-after-reading, applied: after 5s, engines: [DataEngine-x]}
//!   - {fault: other-client, requests_per_second: 12, from: 3s, until: 6s}
//! ```
//!
//! Keys of a fault rule:
//!
//! | key | meaning | default |
//! | --- | --- | --- |
//! | `fault` | what goes wrong, see below | required |
//! | `engines` | `all`; a share such as `3%`; a number of engines, in the order of their first request, each for one rule only; or a list of engine ids | `all` |
//! | `times` | how often the rule applies to the same engine | always |
//! | `from`, `until` | time since the first switch request arrived | the whole simulation |
//! | `action` | the action to which the rule applies, or `any` | `SwitchDataEngineImage` |
//! | `applied` | whether the switch is applied although the response does not say so: `never`, `before` (the response), or `after 5s` (that time after the response) | by fault |
//! | `requests_per_second` | requests of the other client, only for `other-client` | |
//!
//! Faults:
//!
//! | fault | the client gets | `applied` by default |
//! | --- | --- | --- |
//! | an error code | a refusal with this code; write `undocumented Odd.Code` for a code that is not documented | `never` |
//! | `no-connection` | a closed connection; over HTTP, a new connection is closed at once if the rule is for `action: any` and all engines | `never` |
//! | `reset-before-reading` | a TCP reset; the request is not processed | `never` |
//! | `reset-after-reading` | a TCP reset after the request was processed | `before` |
//! | `close-after-reading` | a closed connection after the request was processed | `before` |
//! | `no-response` | nothing; the connection stays open | `before` |
//! | `http-502` (300 to 599) | an HTML page with this status | `never` |
//! | `html` | an HTML page with status 200 | `never` |
//! | `truncated` | the first half of the response | `before` |
//! | `empty` | status 200 without a body | `before` |
//! | `wrong-content-type` | the right response, labelled as text or HTML | `before` |
//! | `never-switches` | an accepted switch that never ends | |
//! | `engine-fails` | an accepted switch that ends in State -1 on the old image | |
//! | `other-image` | an accepted switch that ends on another image | |
//! | `other-client` | less of the rate limit: another client uses up `requests_per_second` | |
//!
//! If several rules apply to a request, the first one counts, separately for three groups: faults before the request is
//! processed (throttling codes, `no-connection`, `reset-before-reading`), other refusals and response faults, and faults
//! of an accepted switch.
//!
//! `listing_faults` are shares of the records of each response: `omitted` records are left out, `repeated` records
//! replace another record, and `uncounted` records are missing from `TotalCount`.
//!
//! `run_defaults` replace the defaults of the flags `--min-ready`, `--resend-after`, `--wait-timeout` and
//! `--request-timeout` (`min_ready`, `resend_after`, `wait_timeout`, `request_timeout`), the time between two reads
//! of the fleet (`poll_interval`) and the waits before a retry (`backoff`, `max_backoff`); `soak` is the longest soak
//! of a wave.

use std::fmt::Display;
use std::time::Duration;

use jiff::SignedDuration;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use serde_saphyr::{Error, Location};

use super::api;
use super::fault::{ResponseFault, SimulatedFault, Stage};
use super::limit::Window;
use super::world::{ImageChanges, MinorVersions};
use crate::cloud::SWITCH;
use crate::job::DataEngineId;

/// Value of `action` for a rule that applies to every action.
const ANY_ACTION: &str = "any";

/// Longest duration: longer than any simulation, and small enough for sums of durations.
const MAX_DURATION: Duration = Duration::from_secs(24 * 60 * 60);

/// How the simulated service behaves.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Scenario {
    /// Seed of all random choices.
    pub seed: u64,
    /// How long responses take.
    pub latency: Latency,
    /// How long a switch takes.
    pub switching: SwitchTime,
    /// When an engine shows its new image during a switch.
    pub image_changes: ImageChanges,
    /// Whether a minor version can be the target of a switch.
    pub minor_versions: MinorVersions,
    /// What is wrong with listings of engines.
    pub listing_faults: ListingFaults,
    /// Requests of one action that are accepted in one second.
    #[serde(deserialize_with = "at_least_one")]
    pub rate_limit: u32,
    /// Which second that is.
    pub rate_limit_window: Window,
    /// How far the clock of the service is ahead of the clock of this machine.
    #[serde(deserialize_with = "signed_duration")]
    pub clock_skew: SignedDuration,
    /// Largest difference between the time of a signature and the clock of the service; whole seconds.
    #[serde(deserialize_with = "duration")]
    pub signature_validity: Duration,
    /// The main account; none if it does not matter.
    #[serde(deserialize_with = "account")]
    pub account: Option<String>,
    /// Validity of temporary keys, whatever the request asks for; whole seconds.
    #[serde(deserialize_with = "some_duration")]
    pub session_duration: Option<Duration>,
    /// The role whose keys the metadata service returns.
    #[serde(deserialize_with = "role_name")]
    pub instance_role: Option<String>,
    /// Actions that are refused with `InvalidAction`.
    pub unsupported_actions: Vec<ActionName>,
    /// Shorter waits of the tool.
    pub run_defaults: RunDefaults,
    /// The fault rules.
    pub faults: Vec<FaultRule>,
}

/// A skewed distribution: half of the responses take up to `median`, none takes longer than `max`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(remote = "Self", deny_unknown_fields)]
pub struct Latency {
    /// Half of the responses are faster.
    #[serde(deserialize_with = "duration")]
    pub median: Duration,
    /// The slowest response.
    #[serde(deserialize_with = "duration")]
    pub max: Duration,
}

/// How long an engine stays in State 0 after a switch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(remote = "Self", deny_unknown_fields)]
pub struct SwitchTime {
    /// Shortest time.
    #[serde(deserialize_with = "duration")]
    pub min: Duration,
    /// Longest time.
    #[serde(deserialize_with = "duration")]
    pub max: Duration,
}

/// Defaults of the tool that a simulation may replace; none means the default of the tool.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RunDefaults {
    /// How long an engine must be seen running on its target.
    #[serde(deserialize_with = "some_duration")]
    pub min_ready: Option<Duration>,
    /// How long an engine must stay on its old image before an unconfirmed request is sent again.
    #[serde(deserialize_with = "some_duration")]
    pub resend_after: Option<Duration>,
    /// Time between two reads of the fleet.
    #[serde(deserialize_with = "some_duration")]
    pub poll_interval: Option<Duration>,
    /// Longest wait for an accepted engine to run its target.
    #[serde(deserialize_with = "some_duration")]
    pub wait_timeout: Option<Duration>,
    /// Longest wait for a response.
    #[serde(deserialize_with = "some_duration")]
    pub request_timeout: Option<Duration>,
    /// First wait before a retry.
    #[serde(deserialize_with = "some_duration")]
    pub backoff: Option<Duration>,
    /// Longest wait before a retry.
    #[serde(deserialize_with = "some_duration")]
    pub max_backoff: Option<Duration>,
    /// Longest soak of a wave: shorter soaks of the plan stay.
    #[serde(deserialize_with = "some_duration")]
    pub soak: Option<Duration>,
}

/// Shares, in percent, of the records of a response of `DescribeDataEngines`, chosen anew for each response.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ListingFaults {
    /// Left out, although `TotalCount` counts them.
    #[serde(deserialize_with = "share")]
    pub omitted: f64,
    /// Replaced by a copy of the record before.
    #[serde(deserialize_with = "share")]
    pub repeated: f64,
    /// Missing from `TotalCount` of unfiltered listings; a client that asks for the pages beyond the count gets them.
    #[serde(deserialize_with = "share")]
    pub uncounted: f64,
}

/// A rule: what goes wrong, for which requests, and when.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(remote = "Self", deny_unknown_fields)]
pub struct FaultRule {
    /// What goes wrong.
    pub fault: SimulatedFault,
    /// The action to which the rule applies; none means every action.
    #[serde(default = "switch", deserialize_with = "action")]
    pub action: Option<String>,
    /// The engines to which the rule applies.
    #[serde(default)]
    pub engines: Engines,
    /// How often the rule applies to the same engine; none means always.
    #[serde(default, deserialize_with = "some_at_least_one")]
    pub times: Option<u32>,
    /// Start, as the time since the first switch request arrived.
    #[serde(default, deserialize_with = "some_duration")]
    pub from: Option<Duration>,
    /// End, as the time since the first switch request arrived.
    #[serde(default, deserialize_with = "some_duration")]
    pub until: Option<Duration>,
    /// The key `applied`; see [`FaultRule::applied`].
    applied: Option<Applied>,
    /// Requests of the other client in each second.
    #[serde(default, deserialize_with = "at_least_one")]
    pub requests_per_second: u32,
}

/// The engines to which a rule applies.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(try_from = "EnginesAsWritten")]
pub enum Engines {
    /// All engines.
    #[default]
    All,
    /// This percentage, chosen by seed and id. Requests that name no engine are chosen one by one.
    Share(f64),
    /// This number, in the order of their first request, without those that another such rule has taken.
    First(u32),
    /// These engines.
    Listed(Vec<DataEngineId>),
}

/// Whether a switch is applied although its response does not say so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum Applied {
    /// It is not applied.
    Never,
    /// It is applied before the response.
    Before,
    /// It is applied this long after the response (or after the time at which the response was due).
    After(Duration),
}

/// Name of an action that the simulator supports.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct ActionName(pub String);

/// Why a scenario was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{name}:{line}:{column}: {message}")]
pub struct ScenarioError {
    /// Name of the scenario: its path, or `built-in scenario`.
    pub name: String,
    /// Line, counted from one.
    pub line: u64,
    /// Column in characters, counted from one.
    pub column: u64,
    /// What is wrong and how to correct it.
    pub message: String,
}

impl Default for Scenario {
    /// A service without faults, at an ordinary speed: the value of every key that a scenario leaves out.
    fn default() -> Self {
        Self {
            seed: 1,
            latency: Latency { median: Duration::from_millis(60), max: Duration::from_millis(300) },
            switching: SwitchTime { min: Duration::from_secs(2), max: Duration::from_secs(4) },
            image_changes: ImageChanges::default(),
            minor_versions: MinorVersions::default(),
            listing_faults: ListingFaults::default(),
            rate_limit: 20,
            rate_limit_window: Window::default(),
            clock_skew: SignedDuration::ZERO,
            // document 1155/48995
            signature_validity: Duration::from_secs(300),
            account: None,
            session_duration: None,
            instance_role: None,
            unsupported_actions: Vec::new(),
            run_defaults: RunDefaults::default(),
            faults: Vec::new(),
        }
    }
}

impl Scenario {
    /// Reads a scenario; errors refer to it by `name`.
    pub fn parse(text: &str, name: &str) -> Result<Self, ScenarioError> {
        let scenario: Option<Self> = serde_saphyr::from_str(text).map_err(|error| {
            let error = error.without_snippet();
            let location = error.location();
            let (line, column) = location.map_or((1, 1), |at| (at.line().max(1), at.column().max(1)));
            ScenarioError { name: name.to_owned(), line, column, message: message(error, location) }
        })?;
        Ok(scenario.unwrap_or_default())
    }

    /// The scenario of `--simulate` without a file: one refusal, one throttled request and one lost response, with
    /// waits that are short enough to watch.
    pub fn built_in() -> Self {
        // the text is part of the program, and a test reads it
        Self::parse(include_str!("default_scenario.yaml"), "built-in scenario").unwrap_or_default()
    }
}

/// The message of the YAML parser on one line, without the location, and with a remedy.
fn message(error: &Error, location: Option<Location>) -> String {
    if matches!(error, Error::MultipleDocuments { .. }) {
        return "a second document begins here; write one scenario in each file".to_owned();
    }
    let text = error.to_string();
    let location = location.map(|at| format!(" at line {}, column {}", at.line(), at.column()));
    let text = location.and_then(|location| text.strip_suffix(&location)).unwrap_or(&text);
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if text.contains("; ") { text } else { format!("{text}; correct the scenario at this place") }
}

// `remote = "Self"` makes the derived `deserialize` an associated function, so that the trait can check its result. The
// error of a check has the location of the whole value.

impl<'de> Deserialize<'de> for Latency {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let latency = Self::deserialize(deserializer)?;
        in_order(latency.median, latency.max, "median is longer than max; exchange them")?;
        Ok(latency)
    }
}

impl<'de> Deserialize<'de> for SwitchTime {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let time = Self::deserialize(deserializer)?;
        in_order(time.min, time.max, "min is longer than max; exchange them")?;
        Ok(time)
    }
}

impl<'de> Deserialize<'de> for FaultRule {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let rule = Self::deserialize(deserializer)?;
        rule.check().map_err(D::Error::custom)?;
        Ok(rule)
    }
}

fn in_order<E: serde::de::Error>(low: Duration, high: Duration, message: &str) -> Result<(), E> {
    if low > high { Err(E::custom(message)) } else { Ok(()) }
}

impl FaultRule {
    /// Whether a switch is applied in spite of the fault.
    pub fn applied(&self) -> Applied {
        self.applied.unwrap_or(match &self.fault {
            _ if self.is_before_processing() => Applied::Never,
            SimulatedFault::Refusal(_)
            | SimulatedFault::Response(ResponseFault::Http(_) | ResponseFault::Html)
            | SimulatedFault::OtherClient => Applied::Never,
            SimulatedFault::Response(_) | SimulatedFault::Switch(_) => Applied::Before,
        })
    }

    fn is_before_processing(&self) -> bool {
        matches!(self.fault.stage(), Some(Stage::BeforeLimit) | None)
    }

    /// Checks the keys that depend on each other.
    fn check(&self) -> Result<(), String> {
        if self.until.is_some_and(|until| self.from.unwrap_or_default() >= until) {
            return Err("until is not after from; write a later time".to_owned());
        }
        self.check_other_client()?;
        self.check_action()?;
        let is_switch_fault = matches!(self.fault, SimulatedFault::Switch(_));
        let has_no_meaning =
            |applied| is_switch_fault || self.is_before_processing() && applied != Applied::Never;
        if self.applied.is_some_and(has_no_meaning) {
            return Err(format!("applied has no meaning with the fault {}; remove it", self.fault));
        }
        Ok(())
    }

    fn check_other_client(&self) -> Result<(), String> {
        let selects_engines = self.engines != Engines::All || self.times.is_some();
        let message = match (&self.fault, self.requests_per_second) {
            (SimulatedFault::OtherClient, 0) => {
                "other-client needs requests_per_second; write how many requests it sends in each second"
            }
            (SimulatedFault::OtherClient, _) if selects_engines => {
                "other-client applies to no single engine; remove engines and times"
            }
            (SimulatedFault::OtherClient, _) | (_, 0) => return Ok(()),
            _ => "requests_per_second is only for the fault other-client; remove it",
        };
        Err(message.to_owned())
    }

    fn check_action(&self) -> Result<(), String> {
        let Some(action) = self.action.as_deref().filter(|action| *action != SWITCH) else { return Ok(()) };
        if matches!(self.engines, Engines::Listed(_) | Engines::First(_)) {
            return Err(format!("requests of {action} name no engine; use a share or remove engines"));
        }
        if matches!(self.fault, SimulatedFault::Switch(_)) {
            return Err(format!("the fault {} is for {SWITCH}; remove action", self.fault));
        }
        Ok(())
    }
}

#[derive(Deserialize)]
#[serde(
    untagged,
    expecting = "engines is neither all, a share, a number nor a list of engine ids; use one of them"
)]
enum EnginesAsWritten {
    Number(i64),
    Text(String),
    List(Vec<DataEngineId>),
}

impl TryFrom<EnginesAsWritten> for Engines {
    type Error = String;

    fn try_from(written: EnginesAsWritten) -> Result<Self, String> {
        let text = match written {
            EnginesAsWritten::List(ids) => return Ok(Self::Listed(ids)),
            EnginesAsWritten::Text(text) => text,
            EnginesAsWritten::Number(number) => number.to_string(),
        };
        let number = text.parse().ok().filter(|number| *number > 0).map(Self::First);
        let all = (text == "all").then_some(Self::All);
        all.or(percent(&text).map(Self::Share)).or(number).ok_or_else(|| {
            format!("{text:?} selects no engines; use all, a share such as 3%, a number from 1, or a list of engine ids")
        })
    }
}

impl TryFrom<String> for Applied {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        match (text.as_str(), text.strip_prefix("after ")) {
            ("never", _) => Ok(Self::Never),
            ("before", _) => Ok(Self::Before),
            (_, Some(time)) => parse_duration(time.trim()).map(Self::After),
            _ => Err(format!("{text:?} is not a value of applied; use never, before or after 5s")),
        }
    }
}

impl TryFrom<String> for ActionName {
    type Error = String;

    fn try_from(action: String) -> Result<Self, String> {
        if api::actions().any(|known| known == action) {
            return Ok(Self(action));
        }
        let known = api::actions().collect::<Vec<_>>().join(", ");
        Err(format!("the simulator does not support the action {action}; use one of {known}"))
    }
}

/// `3%` as a number.
fn percent(text: &str) -> Option<f64> {
    let share = text.strip_suffix('%')?.trim().parse().ok();
    share.filter(|share| (0.0..=100.0).contains(share))
}

fn parse_signed_duration(text: &str) -> Result<SignedDuration, String> {
    let duration: Option<SignedDuration> = text.parse().ok();
    duration.filter(|duration| duration.unsigned_abs() <= MAX_DURATION).ok_or_else(|| {
        format!("{text:?} is not a duration of up to 24 hours; write, for example, 120ms, 3s or 1m30s")
    })
}

fn parse_duration(text: &str) -> Result<Duration, String> {
    let duration = parse_signed_duration(text)?;
    Duration::try_from(duration).map_err(|_| format!("{text:?} is negative; remove the minus sign"))
}

/// Reads a text with a function whose error is a message.
fn parsed<'de, D: Deserializer<'de>, T, E: Display>(
    deserializer: D,
    parse: impl FnOnce(&str) -> Result<T, E>,
) -> Result<T, D::Error> {
    parse(&String::deserialize(deserializer)?).map_err(D::Error::custom)
}

fn signed_duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SignedDuration, D::Error> {
    parsed(deserializer, parse_signed_duration)
}

fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    parsed(deserializer, parse_duration)
}

fn some_duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    duration(deserializer).map(Some)
}

/// Default of `action`.
#[expect(clippy::unnecessary_wraps, reason = "serde needs the type of the field")]
fn switch() -> Option<String> {
    Some(SWITCH.to_owned())
}

fn action<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    parsed(deserializer, |text| match text {
        ANY_ACTION => Ok(None),
        action => ActionName::try_from(action.to_owned()).map(|action| Some(action.0)),
    })
}

fn share<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    parsed(deserializer, |text| {
        percent(text).ok_or_else(|| format!("{text:?} is not a share; write, for example, 3%"))
    })
}

fn account<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    parsed(deserializer, |text| {
        let is_account = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let message = "an account id has digits only; write, for example, \"100000000001\"";
        is_account.then(|| Some(text.to_owned())).ok_or(message)
    })
}

fn role_name<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    parsed(deserializer, |text| {
        let is_name = !text.is_empty()
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+=,.@_-".contains(&byte));
        let message = "this is not the name of a role; use letters, digits and +=,.@_-";
        is_name.then(|| Some(text.to_owned())).ok_or(message)
    })
}

fn at_least_one<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    match u32::deserialize(deserializer)? {
        0 => Err(D::Error::custom("0 is too small; write 1 or more")),
        number => Ok(number),
    }
}

fn some_at_least_one<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u32>, D::Error> {
    at_least_one(deserializer).map(Some)
}

#[cfg(test)]
mod tests;
