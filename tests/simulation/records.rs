//! Reads the ledger for the oracle as plain JSON lines, without the code of the tool.

use std::borrow::Cow;
use std::collections::HashMap;

use serde::Deserialize;

/// Identifies a job: region, engine, target.
pub type Key = (String, String, String);

/// Kinds of lines that the oracle uses.
pub const SENT: &str = "sent";
pub const ACCEPTED: &str = "accepted";
pub const UNCONFIRMED: &str = "unconfirmed";
pub const FAILED: &str = "failed";

/// One line about a job.
#[derive(Clone, Debug)]
pub struct Record {
    pub line: u64,
    pub run: String,
    pub kind: String,
    pub code: String,
    pub request_id: Option<String>,
    /// The image of the engine before the request.
    pub image_before: Option<String>,
}

impl Record {
    pub fn is_unconfirmed(&self) -> bool {
        self.kind == UNCONFIRMED
    }
}

/// The lines of the ledger, by job.
#[derive(Clone, Debug, Default)]
pub struct Records {
    jobs: HashMap<Key, Vec<Record>>,
    /// Lines so far.
    pub lines: u64,
    /// The run of the latest `run-ended` line, and the sum of its outcomes.
    pub ended: Option<(String, u64)>,
}

#[derive(Deserialize)]
struct Raw<'a> {
    seq: u64,
    #[serde(borrow)]
    run: Cow<'a, str>,
    #[serde(borrow)]
    kind: Cow<'a, str>,
    #[serde(borrow, default)]
    region: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    data_engine_id: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    new_image_version_id: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    code: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    request_id: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    image_before: Option<Cow<'a, str>>,
    #[serde(default)]
    outcomes: Option<HashMap<String, u64>>,
}

impl Records {
    /// Reads whole lines, and ignores a torn last line.
    pub fn read(bytes: &[u8]) -> Result<Self, String> {
        let mut records = Self::default();
        for line in bytes.split_inclusive(|byte| *byte == b'\n').filter(|line| line.ends_with(b"\n")) {
            records.add(line)?;
        }
        Ok(records)
    }

    /// Adds one line.
    pub fn add(&mut self, line: &[u8]) -> Result<(), String> {
        let raw: Raw<'_> = serde_json::from_slice(line).map_err(|error| format!("no JSON: {error}"))?;
        self.lines += 1;
        if raw.seq != self.lines {
            return Err(format!("line {} has the number {}", self.lines, raw.seq));
        }
        if let Some(outcomes) = raw.outcomes {
            self.ended = Some((raw.run.into_owned(), outcomes.values().sum()));
            return Ok(());
        }
        let (Some(region), Some(engine), Some(target)) =
            (raw.region, raw.data_engine_id, raw.new_image_version_id)
        else {
            return Ok(());
        };
        let key = (region.into_owned(), engine.into_owned(), target.into_owned());
        self.jobs.entry(key).or_default().push(Record {
            line: raw.seq,
            run: raw.run.into_owned(),
            kind: raw.kind.into_owned(),
            code: raw.code.map(Cow::into_owned).unwrap_or_default(),
            request_id: raw.request_id.map(Cow::into_owned),
            image_before: raw.image_before.map(Cow::into_owned),
        });
        Ok(())
    }

    /// Every line of a job, in order.
    pub fn of(&self, key: &Key) -> &[Record] {
        self.jobs.get(key).map_or(&[], Vec::as_slice)
    }

    /// The latest line of a job.
    pub fn last(&self, key: &Key) -> Option<&Record> {
        self.of(key).last()
    }

    /// True if a job failed with this code before its latest line, and no request was sent since.
    pub fn is_reported_again(&self, key: &Key, code: &str) -> bool {
        let earlier = self.of(key).iter().rev().skip(1);
        let mut since_sent = earlier.take_while(|record| record.kind != SENT);
        since_sent.any(|record| record.kind == FAILED && record.code == code)
    }

    /// True if a request for the same engine to another target is recorded after this line.
    pub fn was_sent_since(&self, key: &Key, line: u64) -> bool {
        let is_other = |other: &Key| other.0 == key.0 && other.1 == key.1 && other.2 != key.2;
        let others = self.jobs.iter().filter(|(other, _)| is_other(other));
        others.flat_map(|(_, records)| records).any(|record| record.kind == SENT && record.line > line)
    }

    /// The target of the latest request for an engine, over all jobs, and its line.
    pub fn latest_request(&self, region: &str, engine: &str) -> Option<(&str, u64)> {
        let of_engine = self.jobs.iter().filter(|(key, _)| key.0 == region && key.1 == engine);
        let sent = of_engine.filter_map(|(key, records)| {
            let sent = records.iter().rev().find(|record| record.kind == SENT)?;
            Some((key.2.as_str(), sent.line))
        });
        sent.max_by_key(|(_, line)| *line)
    }
}
