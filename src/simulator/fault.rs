//! What can befall a call, and the words that scenarios use for it.

use std::fmt;
use std::str::FromStr;

use super::codes::{documented, is_throttle};

/// What befalls a call that a spell strikes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SimulatedFault {
    /// The service refuses it with this code.
    Refused(String),
    /// The answer does not get through.
    Broken(Break),
    /// Another client uses up part of the limit.
    OtherClient,
    /// The switch is taken, and then goes another way.
    Derailed(WrongImage),
}

/// How an answer fails to get through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Break {
    /// The connection is closed before anything is read.
    NoConnection,
    /// RST before the request is looked at.
    ResetBeforeReading,
    /// RST after the request was read.
    ResetAfterReading,
    /// The connection is closed in good order, without an answer.
    Fin,
    /// No answer, ever.
    Hang,
    /// A page of HTML with this HTTP status, as gateways answer.
    Http(u16),
    /// A page of HTML with HTTP 200, as captive portals answer.
    Html,
    /// Half of the answer's JSON.
    Truncated,
    /// HTTP 200 without a body.
    Empty,
    /// The right JSON, called `text/plain` or `text/html`.
    WrongContentType,
}

/// Where a switch that was taken goes instead of its target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WrongImage {
    /// The engine initialises for ever.
    NeverSwitches,
    /// The engine ends in State -1, on its old image.
    EngineFails,
    /// The engine ends running on an image that nobody asked for.
    OtherImage,
}

/// When in the life of a call a fate strikes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// Before the call counts against the limit.
    Door,
    /// In place of the action, or after it.
    Action,
    /// Once a switch is taken.
    Taken,
}

impl Break {
    const WORDS: [(Self, &'static str); 9] = [
        (Self::NoConnection, "no-connection"),
        (Self::ResetBeforeReading, "reset-before-reading"),
        (Self::ResetAfterReading, "reset-after-reading"),
        (Self::Fin, "fin"),
        (Self::Hang, "hang"),
        (Self::Html, "html"),
        (Self::Truncated, "truncated"),
        (Self::Empty, "empty"),
        (Self::WrongContentType, "wrong-content-type"),
    ];

    /// True when the service never looks at the request.
    pub fn is_before_reading(self) -> bool {
        matches!(self, Self::NoConnection | Self::ResetBeforeReading)
    }

    /// HTTP status that arrives, where one does.
    pub fn http_status(self) -> Option<u16> {
        match self {
            Self::Http(status) => Some(status),
            Self::Html | Self::Truncated | Self::Empty | Self::WrongContentType => Some(200),
            Self::NoConnection
            | Self::ResetBeforeReading
            | Self::ResetAfterReading
            | Self::Fin
            | Self::Hang => None,
        }
    }
}

impl WrongImage {
    const WORDS: [(Self, &'static str); 3] = [
        (Self::NeverSwitches, "never-switches"),
        (Self::EngineFails, "engine-fails"),
        (Self::OtherImage, "other-image"),
    ];
}

impl SimulatedFault {
    pub(super) fn stage(&self) -> Option<Stage> {
        match self {
            Self::Refused(code) if is_throttle(code) => Some(Stage::Door),
            Self::Broken(how) if how.is_before_reading() => Some(Stage::Door),
            Self::Refused(_) | Self::Broken(_) => Some(Stage::Action),
            Self::Derailed(_) => Some(Stage::Taken),
            // strikes nobody in particular
            Self::OtherClient => None,
        }
    }
}

impl fmt::Display for Break {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self, Self::WORDS.iter().find(|(how, _)| how == self)) {
            (Self::Http(status), _) => write!(formatter, "http-{status}"),
            (_, Some((_, word))) => formatter.pad(word),
            (_, None) => Ok(()),
        }
    }
}

impl FromStr for SimulatedFault {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "other-client" {
            return Ok(Self::OtherClient);
        }
        if let Some((how, _)) = Break::WORDS.iter().find(|(_, word)| *word == text) {
            return Ok(Self::Broken(*how));
        }
        if let Some((how, _)) = WrongImage::WORDS.iter().find(|(_, word)| *word == text) {
            return Ok(Self::Derailed(*how));
        }
        if let Some(status) = text.strip_prefix("http-") {
            return http(status).ok_or_else(|| {
                format!("{text} is no HTTP status that ends a request; write http-300 to http-599")
            });
        }
        if let Some(code) = text.strip_prefix("undocumented ") {
            return match code.trim() {
                "" => {
                    Err("an undocumented code is missing; write it like 'undocumented Odd.Code'".to_owned())
                }
                code => Ok(Self::Refused(code.to_owned())),
            };
        }
        if documented().any(|code| code == text) {
            return Ok(Self::Refused(text.to_owned()));
        }
        Err(unknown_fate(text))
    }
}

fn http(status: &str) -> Option<SimulatedFault> {
    let number: u16 = status.parse().ok().filter(|_| status.len() == 3)?;
    (300..600).contains(&number).then_some(SimulatedFault::Broken(Break::Http(number)))
}

fn unknown_fate(text: &str) -> String {
    if text.starts_with(|first: char| first.is_ascii_uppercase()) {
        return format!(
            "{text} is not a documented code; correct it, or write 'undocumented {text}' if it is meant"
        );
    }
    let words: Vec<&str> = Break::WORDS.iter().map(|(_, word)| *word).collect();
    let derailments: Vec<&str> = WrongImage::WORDS.iter().map(|(_, word)| *word).collect();
    format!(
        "there is no fate {text}; use a documented code, {}, http-502 and the like, other-client, {}",
        words.join(", "),
        derailments.join(", "),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_of_a_break_reads_back_as_itself() {
        for (how, word) in Break::WORDS {
            assert_eq!(how.to_string(), word);
            assert_eq!(word.parse(), Ok(SimulatedFault::Broken(how)));
        }
        assert_eq!("http-504".parse(), Ok(SimulatedFault::Broken(Break::Http(504))));
        assert_eq!(Break::Http(504).to_string(), "http-504");
    }

    #[test]
    fn every_documented_code_is_a_fate_and_a_misspelt_one_is_not() {
        for code in documented() {
            assert_eq!(code.parse(), Ok(SimulatedFault::Refused(code.to_owned())));
        }
        for wrong in ["InternalErorr", "reset", "http-200", "http-x", "http-+50", ""] {
            assert!(wrong.parse::<SimulatedFault>().is_err(), "{wrong}");
        }
        assert_eq!("undocumented Odd.Code".parse(), Ok(SimulatedFault::Refused("Odd.Code".to_owned())));
        assert!("undocumented ".parse::<SimulatedFault>().is_err(), "a refusal has a code");
    }
}
