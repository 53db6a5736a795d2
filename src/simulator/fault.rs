//! What the simulated service can do wrong, and how scenarios name it.

use std::fmt;
use std::str::FromStr;

use serde::Deserialize;

use crate::cloud::catalogue::{self, ErrorClass};

/// What happens to a request.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum SimulatedFault {
    /// The service refuses it with this code.
    Refusal(String),
    /// The response does not arrive, or not as it was sent.
    Response(ResponseFault),
    /// The switch is accepted but does not end on its target.
    Switch(SwitchFault),
    /// Another client uses up a part of the rate limit.
    OtherClient,
}

/// How a response is lost or damaged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResponseFault {
    /// The connection is closed before anything is read.
    NoConnection,
    /// RST before the request is processed.
    ResetBeforeReading,
    /// RST after the request was processed.
    ResetAfterReading,
    /// The connection is closed normally (FIN), without a response.
    CloseAfterReading,
    /// No response, ever.
    NoResponse,
    /// An HTML page with this HTTP status, as gateways send it.
    Http(u16),
    /// An HTML page with HTTP 200, as captive portals send it.
    Html,
    /// The first half of the JSON body.
    Truncated,
    /// HTTP 200 without a body.
    Empty,
    /// The correct JSON, labelled `text/plain` or `text/html`.
    WrongContentType,
}

/// How an accepted switch ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SwitchFault {
    /// The engine initialises without end.
    NeverSwitches,
    /// The engine ends in State -1, on its old image.
    EngineFails,
    /// The engine ends running on an image that is neither the old one nor the target.
    OtherImage,
}

/// When a fault takes effect while a request is processed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// Before the request counts against the rate limit.
    BeforeLimit,
    /// Instead of the action, or after it.
    Action,
    /// While an accepted switch is applied.
    Switch,
}

const NAMES: [(&str, SimulatedFault); 13] = [
    ("no-connection", SimulatedFault::Response(ResponseFault::NoConnection)),
    ("reset-before-reading", SimulatedFault::Response(ResponseFault::ResetBeforeReading)),
    ("reset-after-reading", SimulatedFault::Response(ResponseFault::ResetAfterReading)),
    ("close-after-reading", SimulatedFault::Response(ResponseFault::CloseAfterReading)),
    ("no-response", SimulatedFault::Response(ResponseFault::NoResponse)),
    ("html", SimulatedFault::Response(ResponseFault::Html)),
    ("truncated", SimulatedFault::Response(ResponseFault::Truncated)),
    ("empty", SimulatedFault::Response(ResponseFault::Empty)),
    ("wrong-content-type", SimulatedFault::Response(ResponseFault::WrongContentType)),
    ("never-switches", SimulatedFault::Switch(SwitchFault::NeverSwitches)),
    ("engine-fails", SimulatedFault::Switch(SwitchFault::EngineFails)),
    ("other-image", SimulatedFault::Switch(SwitchFault::OtherImage)),
    ("other-client", SimulatedFault::OtherClient),
];

impl ResponseFault {
    /// True if the service does not process the request.
    pub fn is_before_reading(self) -> bool {
        matches!(self, Self::NoConnection | Self::ResetBeforeReading)
    }

    /// HTTP status that the client receives, if any.
    pub fn http_status(self) -> Option<u16> {
        match self {
            Self::Http(status) => Some(status),
            Self::Html | Self::Truncated | Self::Empty | Self::WrongContentType => Some(200),
            Self::NoConnection
            | Self::ResetBeforeReading
            | Self::ResetAfterReading
            | Self::CloseAfterReading
            | Self::NoResponse => None,
        }
    }
}

impl SimulatedFault {
    /// When it takes effect; none for [`SimulatedFault::OtherClient`], which concerns no single request.
    pub(super) fn stage(&self) -> Option<Stage> {
        match self {
            Self::Refusal(code) if is_throttling(code) => Some(Stage::BeforeLimit),
            Self::Response(fault) if fault.is_before_reading() => Some(Stage::BeforeLimit),
            Self::Refusal(_) | Self::Response(_) => Some(Stage::Action),
            Self::Switch(_) => Some(Stage::Switch),
            Self::OtherClient => None,
        }
    }
}

/// True for every code that means "too many requests". Such requests do not count against the rate limit.
fn is_throttling(code: &str) -> bool {
    catalogue::look_up(code).class == ErrorClass::Throttled
}

/// Every documented code, once.
pub(super) fn documented_codes() -> impl Iterator<Item = &'static str> {
    catalogue::all().iter().map(|entry| entry.code)
}

impl fmt::Display for SimulatedFault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refusal(code) => formatter.write_str(code),
            Self::Response(ResponseFault::Http(status)) => write!(formatter, "http-{status}"),
            Self::Response(_) | Self::Switch(_) | Self::OtherClient => {
                let name = NAMES.iter().find(|(_, fault)| fault == self).map_or("", |(name, _)| name);
                formatter.write_str(name)
            }
        }
    }
}

impl TryFrom<String> for SimulatedFault {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl FromStr for SimulatedFault {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some((_, fault)) = NAMES.iter().find(|(name, _)| *name == text) {
            return Ok(fault.clone());
        }
        if let Some(status) = text.strip_prefix("http-") {
            let status =
                status.parse().ok().filter(|number| (300..600).contains(number) && status.len() == 3);
            let fault = status.map(|status| Self::Response(ResponseFault::Http(status)));
            return fault.ok_or_else(|| format!("{text:?} is not a fault; write http-300 to http-599"));
        }
        if let Some(code) = text.strip_prefix("undocumented ").map(str::trim) {
            return if code.is_empty() {
                Err("the undocumented code is missing; write, for example, 'undocumented Odd.Code'"
                    .to_owned())
            } else {
                Ok(Self::Refusal(code.to_owned()))
            };
        }
        if documented_codes().any(|code| code == text) {
            return Ok(Self::Refusal(text.to_owned()));
        }
        Err(unknown_fault(text))
    }
}

fn unknown_fault(text: &str) -> String {
    if text.starts_with(|first: char| first.is_ascii_uppercase()) {
        return format!(
            "{text} is not a documented error code; correct it, or write 'undocumented {text}' to use it anyway"
        );
    }
    let names = NAMES.map(|(name, _)| name).join(", ");
    format!("{text:?} is not a fault; use a documented error code, http-502 or another status, {names}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_name_is_read_and_printed() {
        for (name, fault) in NAMES {
            assert_eq!(fault.to_string(), name);
            assert_eq!(name.parse(), Ok(fault));
        }
        let gateway_timeout = SimulatedFault::Response(ResponseFault::Http(504));
        assert_eq!(gateway_timeout.to_string(), "http-504");
        assert_eq!("http-504".parse(), Ok(gateway_timeout));
    }

    #[test]
    fn every_documented_code_is_a_fault_and_a_misspelt_code_is_not() {
        for code in documented_codes() {
            assert_eq!(code.parse(), Ok(SimulatedFault::Refusal(code.to_owned())));
        }
        for wrong in ["InternalErorr", "reset", "http-200", "http-x", "http-+50", "http-0500", ""] {
            assert!(wrong.parse::<SimulatedFault>().is_err(), "{wrong}");
        }
        assert_eq!("undocumented Odd.Code".parse(), Ok(SimulatedFault::Refusal("Odd.Code".to_owned())));
        assert!("undocumented ".parse::<SimulatedFault>().is_err());
    }
}
