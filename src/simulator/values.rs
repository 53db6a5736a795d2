//! The values of a scenario: times, fates, engines, as people write them.

use std::fmt;
use std::time::Duration;

use jiff::SignedDuration;
use serde::de::{self, Deserialize, Deserializer, SeqAccess, Visitor};

use super::fault::SimulatedFault;
use super::scenario::Applied;
use crate::job::DataEngineId;

/// Longer than any simulation; keeps sums of times within what a clock can show.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// Which engines, before the word is looked at: only a value read whole knows its place.
pub(super) enum RawEngines {
    Word(String),
    List(Vec<DataEngineId>),
}

/// A time of 0 to 24 hours, as people write it.
#[derive(Clone, Copy)]
pub(super) struct Length(pub(super) Duration);

/// The same, possibly negative.
pub(super) struct Skew(pub(super) SignedDuration);

/// A share, in percent.
#[derive(Clone, Copy)]
pub(super) struct Share(pub(super) f64);

/// `3%` as a number.
pub(super) fn percent(text: &str) -> Option<f64> {
    let share = text.strip_suffix('%')?.trim().parse().ok();
    share.filter(|share| (0.0..=100.0).contains(share))
}

fn length(text: &str) -> Result<SignedDuration, String> {
    let what = || format!("{text:?} is no time of up to 24 hours; write it like 120ms, 3s or 1m30s");
    let length: SignedDuration = text.parse().map_err(|_| what())?;
    if length.unsigned_abs() > LONGEST { Err(what()) } else { Ok(length) }
}

impl<'de> Deserialize<'de> for Length {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let length = length(&text).map_err(de::Error::custom)?;
        Duration::try_from(length)
            .map(Self)
            .map_err(|_| de::Error::custom(format!("{text:?} is negative; remove the minus")))
    }
}

impl<'de> Deserialize<'de> for Skew {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        length(&text).map(Self).map_err(de::Error::custom)
    }
}

impl<'de> Deserialize<'de> for Share {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let share = percent(&text).map(Self);
        share.ok_or_else(|| de::Error::custom(format!("{text:?} is not a share; write it like 3%")))
    }
}

impl<'de> Deserialize<'de> for SimulatedFault {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

impl<'de> Deserialize<'de> for Applied {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        match (text.as_str(), text.strip_prefix("late ")) {
            ("never", _) => Ok(Self::Never),
            ("before", _) => Ok(Self::Before),
            (_, Some(late)) => length(late.trim())
                .and_then(|late| {
                    Duration::try_from(late).map_err(|_| format!("{text:?} is in the past; remove the minus"))
                })
                .map(Self::Late)
                .map_err(de::Error::custom),
            _ => Err(de::Error::custom(format!("{text:?} is not known; use never, before or late 5s"))),
        }
    }
}

impl<'de> Deserialize<'de> for RawEngines {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(EnginesVisitor)
    }
}

struct EnginesVisitor;

impl<'de> Visitor<'de> for EnginesVisitor {
    type Value = RawEngines;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("all, a share, a number or a list of engine ids")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<RawEngines, E> {
        Ok(RawEngines::Word(text.to_owned()))
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<RawEngines, E> {
        Ok(RawEngines::Word(number.to_string()))
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<RawEngines, E> {
        Ok(RawEngines::Word(number.to_string()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<RawEngines, A::Error> {
        let mut engines: Vec<DataEngineId> = Vec::new();
        while let Some(engine) = list.next_element()? {
            engines.push(engine);
        }
        Ok(RawEngines::List(engines))
    }
}
