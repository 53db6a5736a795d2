//! From YAML text to a scenario, or to the first error with its place and remedy.

use serde::Deserialize;
use serde_saphyr::{Error, Location, Spanned};

use super::fault::{Break, SimulatedFault, Stage};
use super::gateway::ACTIONS;
use super::limit::Window;
use super::scenario::{
    ANY_ACTION, Applied, Engines, FastClock, FaultRule, Latency, ListingFaults, Scenario, ScenarioError,
};
use super::sts_wire;
use super::values::{Length, RawEngines, Share, Skew, percent};
use super::world::{ImageChanges, MinorVersions};
use crate::cloud::SWITCH;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawScenario {
    seed: Option<u64>,
    latency: Option<Spanned<RawLatency>>,
    switching: Option<Spanned<RawSwitching>>,
    image_changes: Option<RawImageChanges>,
    minor_versions: Option<RawMinorVersions>,
    #[serde(default)]
    listings: RawListings,
    window: Option<RawWindow>,
    limit: Option<Spanned<u32>>,
    skew: Option<Skew>,
    signature_validity: Option<Length>,
    account: Option<Spanned<String>>,
    session_duration: Option<Length>,
    instance_role: Option<Spanned<String>>,
    #[serde(default)]
    unsupported_actions: Vec<Spanned<String>>,
    #[serde(default)]
    clock: RawClock,
    #[serde(default)]
    faults: Vec<RawSpell>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawLatency {
    median: Length,
    worst: Length,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawSwitching {
    least: Length,
    most: Length,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
enum RawImageChanges {
    AtStart,
    AtEnd,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
enum RawMinorVersions {
    Refused,
    Accepted,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawListings {
    omitted: Option<Share>,
    repeated: Option<Share>,
    uncounted: Option<Share>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
enum RawWindow {
    Sliding,
    Fixed,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawClock {
    min_ready: Option<Length>,
    resend_after: Option<Length>,
    poll_interval: Option<Length>,
    wait_timeout: Option<Length>,
    request_timeout: Option<Length>,
    backoff: Option<Length>,
    longest_backoff: Option<Length>,
    soak: Option<Length>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawSpell {
    fault: Spanned<SimulatedFault>,
    action: Option<Spanned<String>>,
    engines: Option<Spanned<RawEngines>>,
    times: Option<Spanned<u32>>,
    from: Option<Length>,
    until: Option<Spanned<Length>>,
    applied: Option<Spanned<Applied>>,
    requests_per_second: Option<Spanned<u32>>,
}

/// An error of our own: where, and what.
type Finding = (Location, String);

/// Reads a scenario.
pub(super) fn read(text: &str, name: &str) -> Result<Scenario, ScenarioError> {
    let error = |location: Option<Location>, what: String| {
        let (line, column) = location.map_or((1, 1), |place| (place.line().max(1), place.column().max(1)));
        ScenarioError { name: name.to_owned(), line, column, what }
    };
    // an empty document is a calm scenario
    let raw: Option<RawScenario> = serde_saphyr::from_str(text).map_err(|fault| {
        let fault = fault.without_snippet();
        if matches!(fault, Error::MultipleDocuments { .. }) {
            let what = "a second document begins here; write one scenario in each file".to_owned();
            return error(fault.location(), what);
        }
        error(fault.location(), plain(&fault.to_string(), fault.location()))
    })?;
    raw.map_or_else(|| Ok(Scenario::calm()), RawScenario::checked)
        .map_err(|(location, what)| error(Some(location), what))
}

/// The parser's message on one line, with its place left to us, and with a remedy.
fn plain(message: &str, location: Option<Location>) -> String {
    let place = location.map(|place| format!(" at line {}, column {}", place.line(), place.column()));
    let message = place.and_then(|place| message.strip_suffix(&place)).unwrap_or(message);
    let words: Vec<&str> = message.split_whitespace().collect();
    let message = words.join(" ");
    if message.contains("; ") { message } else { format!("{message}; correct the scenario at this place") }
}

impl RawScenario {
    fn checked(self) -> Result<Scenario, Finding> {
        let calm = Scenario::calm();
        let latency = self.latency.map_or(Ok(calm.latency), |latency| {
            let RawLatency { median, worst } = latency.value;
            in_order(median, worst, latency.referenced, "median", "worst")?;
            Ok(Latency { median: median.0, worst: worst.0 })
        })?;
        let switching = self.switching.map_or(Ok(calm.switching), |switching| {
            let RawSwitching { least, most } = switching.value;
            in_order(least, most, switching.referenced, "least", "most")?;
            Ok((least.0, most.0))
        })?;
        let limit = at_least_one(self.limit.as_ref(), "limit")?.unwrap_or(calm.limit);
        Ok(Scenario {
            seed: self.seed.unwrap_or(calm.seed),
            latency,
            switching,
            image_changes: match self.image_changes {
                Some(RawImageChanges::AtStart) => ImageChanges::AtStart,
                Some(RawImageChanges::AtEnd) | None => ImageChanges::AtEnd,
            },
            minor_versions: match self.minor_versions {
                Some(RawMinorVersions::Accepted) => MinorVersions::Accepted,
                Some(RawMinorVersions::Refused) | None => MinorVersions::Refused,
            },
            listings: self.listings.plain(),
            window: match self.window {
                Some(RawWindow::Fixed) => Window::Fixed,
                Some(RawWindow::Sliding) | None => Window::Sliding,
            },
            limit,
            skew: self.skew.map_or(calm.skew, |skew| skew.0),
            signature_validity: self.signature_validity.map_or(calm.signature_validity, |length| length.0),
            account: checked_account(self.account)?,
            session_duration: self.session_duration.map(|length| length.0),
            instance_role: checked_role(self.instance_role)?,
            unsupported_actions: self
                .unsupported_actions
                .into_iter()
                .map(checked_lack)
                .collect::<Result<_, _>>()?,
            clock: self.clock.plain(),
            faults: self.faults.into_iter().map(RawSpell::checked).collect::<Result<_, _>>()?,
        })
    }
}

impl RawListings {
    fn plain(self) -> ListingFaults {
        let percent = |share: Option<Share>| share.map_or(0.0, |share| share.0);
        ListingFaults {
            omitted: percent(self.omitted),
            repeated: percent(self.repeated),
            uncounted: percent(self.uncounted),
        }
    }
}

impl RawClock {
    fn plain(self) -> FastClock {
        let length = |length: Option<Length>| length.map(|length| length.0);
        FastClock {
            min_ready: length(self.min_ready),
            resend_after: length(self.resend_after),
            poll_interval: length(self.poll_interval),
            wait_timeout: length(self.wait_timeout),
            request_timeout: length(self.request_timeout),
            backoff: length(self.backoff),
            longest_backoff: length(self.longest_backoff),
            soak: length(self.soak),
        }
    }
}

impl RawSpell {
    fn checked(self) -> Result<FaultRule, Finding> {
        let action = self.checked_action()?;
        let applied = self.checked_applied()?;
        let engines = checked_engines(self.engines.as_ref())?;
        if let Some(until) =
            self.until.as_ref().filter(|until| self.from.is_some_and(|from| from.0 >= until.value.0))
        {
            return Err((until.referenced, "until is not after from; give a later time".to_owned()));
        }
        let requests_per_second = at_least_one(self.requests_per_second.as_ref(), "requests_per_second")?;
        let is_other_client = self.fault.value == SimulatedFault::OtherClient;
        match (&self.requests_per_second, is_other_client) {
            (None, true) => {
                let what =
                    "other-client needs requests_per_second; write how many requests it sends per second";
                return Err((self.fault.referenced, what.to_owned()));
            }
            (Some(given), false) => {
                let what = "requests_per_second is only for the fault other-client; remove it";
                return Err((given.referenced, what.to_owned()));
            }
            _ => {}
        }
        if let Some(place) = self
            .engines
            .as_ref()
            .map(|engines| engines.referenced)
            .or(self.times.as_ref().map(|times| times.referenced))
            .filter(|_| is_other_client)
        {
            let what = "another client strikes no engine in particular; remove engines and times";
            return Err((place, what.to_owned()));
        }
        Ok(FaultRule {
            times: at_least_one(self.times.as_ref(), "times")?,
            fault: self.fault.value,
            action,
            engines,
            from: self.from.map(|from| from.0),
            until: self.until.map(|until| until.value.0),
            applied,
            requests_per_second: requests_per_second.unwrap_or_default(),
        })
    }

    fn checked_action(&self) -> Result<Option<String>, Finding> {
        let Some(action) = &self.action else { return Ok(Some(SWITCH.to_owned())) };
        if action.value == ANY_ACTION {
            return Ok(None);
        }
        known_action(action, &[ANY_ACTION])?;
        if action.value != SWITCH {
            let by_engine = |engines: &&Spanned<RawEngines>| {
                matches!(checked_engines(Some(engines)), Ok(Engines::Listed(_) | Engines::First(_)))
            };
            if let Some(engines) = self.engines.as_ref().filter(by_engine) {
                let what = format!("{} names no engine; use a share or leave engines out", action.value);
                return Err((engines.referenced, what));
            }
            if matches!(self.fault.value, SimulatedFault::Derailed(_)) {
                let what = format!("this fate is for {SWITCH}; leave action out");
                return Err((action.referenced, what));
            }
        }
        Ok(Some(action.value.clone()))
    }

    fn checked_applied(&self) -> Result<Applied, Finding> {
        let fault = &self.fault.value;
        let never_reached = matches!(fault.stage(), Some(Stage::Door) | None);
        let usual = match fault {
            _ if never_reached => Applied::Never,
            SimulatedFault::Refused(_)
            | SimulatedFault::Broken(Break::Http(_) | Break::Html)
            | SimulatedFault::OtherClient => Applied::Never,
            SimulatedFault::Broken(_) | SimulatedFault::Derailed(_) => Applied::Before,
        };
        let Some(applied) = &self.applied else { return Ok(usual) };
        if matches!(fault, SimulatedFault::Derailed(_)) || never_reached && applied.value != Applied::Never {
            let what = "with this fate applied has no meaning; remove it";
            return Err((applied.referenced, what.to_owned()));
        }
        Ok(applied.value)
    }
}

fn checked_account(account: Option<Spanned<String>>) -> Result<Option<String>, Finding> {
    match account {
        Some(account)
            if account.value.is_empty() || !account.value.bytes().all(|byte| byte.is_ascii_digit()) =>
        {
            Err((
                account.referenced,
                "an account has digits only; write one such as \"100000000001\"".to_owned(),
            ))
        }
        account => Ok(account.map(|account| account.value)),
    }
}

fn checked_role(role: Option<Spanned<String>>) -> Result<Option<String>, Finding> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"+=,.@_-".contains(&byte);
    match role {
        Some(role) if role.value.is_empty() || !role.value.bytes().all(fits) => Err((
            role.referenced,
            "that is not the name of a role; use letters, digits and +=,.@_-".to_owned(),
        )),
        role => Ok(role.map(|role| role.value)),
    }
}

/// An action that the simulator has, or one of these words.
fn known_action(action: &Spanned<String>, words: &[&str]) -> Result<(), Finding> {
    let known = ACTIONS.into_iter().chain(sts_wire::ACTIONS);
    if known.clone().any(|known| known == action.value) {
        return Ok(());
    }
    let known = known.chain(words.iter().copied()).collect::<Vec<_>>().join(", ");
    Err((action.referenced, format!("there is no action {} here; use one of {known}", action.value)))
}

fn checked_lack(action: Spanned<String>) -> Result<String, Finding> {
    known_action(&action, &[])?;
    Ok(action.value)
}

fn checked_engines(engines: Option<&Spanned<RawEngines>>) -> Result<Engines, Finding> {
    let Some(engines) = engines else { return Ok(Engines::All) };
    let word = match &engines.value {
        RawEngines::List(ids) => return Ok(Engines::Listed(ids.clone())),
        RawEngines::Word(word) => word.as_str(),
    };
    let share = percent(word).map(Engines::Share);
    let number = word.parse().ok().filter(|number| *number > 0).map(Engines::First);
    let all = (word == "all").then_some(Engines::All);
    all.or(share).or(number).ok_or_else(|| {
        let what = format!(
            "{word:?} selects no engines; use all, a share such as 3%, a number from 1, or a list of engine ids"
        );
        (engines.referenced, what)
    })
}

fn in_order(
    low: Length,
    high: Length,
    place: Location,
    low_word: &str,
    high_word: &str,
) -> Result<(), Finding> {
    if low.0 <= high.0 {
        return Ok(());
    }
    Err((place, format!("{low_word} is longer than {high_word}; exchange them")))
}

fn at_least_one(number: Option<&Spanned<u32>>, word: &str) -> Result<Option<u32>, Finding> {
    match number {
        Some(number) if number.value == 0 => Err((number.referenced, format!("{word} is 0; give 1 or more"))),
        _ => Ok(number.map(|number| number.value)),
    }
}

#[cfg(test)]
#[path = "yaml_tests.rs"]
mod tests;
