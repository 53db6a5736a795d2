//! What a line can say, and its spelling as JSON.

use std::borrow::Cow;
use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::format::{is_printable, printable};
use crate::job::{ImageVersionId, JobKey, Outcome};

/// Name and version of the format.
pub const SCHEMA: &str = "dlc-fleet.ledger/1";

/// One line, without its check.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    /// Number of the line, counted from one.
    pub seq: u64,
    /// When it was written, rounded to milliseconds.
    pub at: Timestamp,
    /// Id of the run that wrote it.
    pub run: String,
    /// What it says.
    pub entry: Entry,
}

/// What one line says.
#[derive(Clone, Debug, PartialEq)]
pub enum Entry {
    /// A run begins.
    RunStarted(RunStarted),
    /// Something happened to a job.
    Job {
        /// Which job.
        key: JobKey,
        /// What happened.
        step: Step,
    },
    /// A run ends.
    RunEnded(RunEnded),
}

/// The first line of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunStarted {
    /// [`SCHEMA`]
    pub schema: String,
    /// The run before this one in the same ledger.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent_run: Option<String>,
    /// Version of dlc-fleet.
    pub tool_version: String,
    /// The plan as the user named it.
    pub plan: String,
    /// SHA-256 of the plan's canonical form.
    pub plan_digest: String,
    /// The regions of the plan's engines.
    pub regions: Vec<String>,
    /// Host that is driven.
    pub endpoint: String,
    /// True when the service is the simulator: such a ledger says nothing about real engines.
    pub simulated: bool,
    /// Highest number of requests per second.
    pub rate: u32,
}

/// The last line of a run that came to its end.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunEnded {
    /// Jobs for each outcome.
    pub outcomes: BTreeMap<Outcome, u64>,
    /// Why jobs were left, where the run stopped early.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stopped: Option<String>,
}

/// What can happen to a job. The module documentation of the ledger says which step may follow which.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Step {
    /// The engine was on its target; nothing was sent.
    UpToDate,
    /// A request is about to leave.
    Sent {
        /// Which attempt of this job in this run, counted from one.
        attempt: u32,
        /// The image the engine was seen on before it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        image_before: Option<ImageVersionId>,
    },
    /// The service took the request.
    Accepted {
        /// `RequestId` of the answer; absent where read-back showed it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        request_id: Option<String>,
        /// From leaving to the answer.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        latency_ms: Option<u64>,
        /// True where no answer said so, but the engine was seen on its target.
        verified: bool,
    },
    /// Refused as too fast.
    Throttled(RecordedReason),
    /// Refused in a way that may pass.
    Refused(RecordedReason),
    /// The request never left.
    NotSent {
        /// What the network said.
        message: String,
    },
    /// May or may not have been applied: no readable answer, a receipt that is not called JSON, or a refusal that proves
    /// nothing.
    Unconfirmed {
        /// The code of the refusal, where there was one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        code: Option<String>,
        /// What the service, the network or the parser said.
        message: String,
        /// `RequestId`, where the service gave one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        request_id: Option<String>,
        /// HTTP status, where one arrived.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        http_status: Option<u16>,
        /// From leaving to giving up.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        latency_ms: Option<u64>,
    },
    /// Read-back shows that the request was not applied.
    NotApplied {
        /// The image the engine was seen on.
        image_seen: ImageVersionId,
    },
    /// Seen on target and running, twice.
    Switched {
        /// The image the engine was on before.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        image_before: Option<ImageVersionId>,
        /// Its name for the image it runs now.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        image_name_after: Option<String>,
        /// The minor version it landed on.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        child_image_after: Option<String>,
    },
    /// Ended without success.
    Failed(RecordedReason),
    /// Accepted, but not on target in time.
    TimedOut {
        /// What the last look showed.
        message: String,
    },
    /// Could not be settled.
    Unknown {
        /// Why not.
        message: String,
    },
}

/// A refusal, or an end of our own finding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordedReason {
    /// The API's code, or a word of our own in kebab case.
    pub code: String,
    /// What came with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// `RequestId`, where the service gave one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// From leaving to the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency_ms: Option<u64>,
    /// True where the row stays failed, run after run, until the plan expects the image version that the engine has now
    /// or `--retry-moved` releases it: another client moved the engine, or it failed after its switch.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub needs_release: bool,
}

/// The fields every line has, in the order in which they are written.
#[derive(Serialize)]
struct Head {
    seq: u64,
    at: String,
    run: String,
}

#[derive(Serialize)]
struct Written<'a, Body> {
    #[serde(flatten)]
    head: Head,
    #[serde(flatten)]
    body: Body,
    #[serde(flatten)]
    key: Option<&'a JobKey>,
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
enum Frame {
    RunStarted(RunStarted),
    RunEnded(RunEnded),
}

/// The fields that every line is read by.
#[derive(Deserialize)]
struct Face {
    seq: u64,
    at: String,
    run: String,
    kind: String,
}

impl Line {
    /// True where the line says what became of a job, and not only what is about to be done or how many ended how.
    pub fn is_result(&self) -> bool {
        matches!(&self.entry, Entry::Job { step, .. } if !matches!(step, Step::Sent { .. }))
    }

    /// The JSON object, without check.
    pub fn to_json(&self) -> Result<String, serde_json::Error> {
        let head = Head { seq: self.seq, at: format!("{:.3}", self.at), run: self.run.clone() };
        match &self.entry {
            Entry::RunStarted(opened) => {
                serde_json::to_string(&Written { head, body: Frame::RunStarted(opened.clone()), key: None })
            }
            Entry::RunEnded(closed) => {
                serde_json::to_string(&Written { head, body: Frame::RunEnded(closed.clone()), key: None })
            }
            Entry::Job { key, step } => serde_json::to_string(&Written { head, body: step, key: Some(key) }),
        }
    }

    /// Reads what [`Line::to_json`] wrote; unknown fields are left alone, so that later versions may add some.
    pub fn from_json(text: &str) -> Result<Self, String> {
        fn parse<'a, Shape: Deserialize<'a>>(text: &'a str) -> Result<Shape, String> {
            serde_json::from_str(text).map_err(|error| error.to_string())
        }
        let text = &*printable_line(text)?;
        let Face { seq, at, run, kind } = parse(text)?;
        let entry = match kind.as_str() {
            "run-started" | "run-ended" => match parse(text)? {
                Frame::RunStarted(opened) => Entry::RunStarted(opened),
                Frame::RunEnded(closed) => Entry::RunEnded(closed),
            },
            _ => Entry::Job { key: parse(text)?, step: parse(text)? },
        };
        let at = at.parse().map_err(|_| format!("`at` is not a time: {at}"))?;
        Ok(Self { seq, at, run, entry })
    }
}

/// The line with every text in it printable. What this version writes is, so that most lines are only looked through.
fn printable_line(text: &str) -> Result<Cow<'_, str>, String> {
    let escapes = [r"\u", r"\b", r"\f", r"\n", r"\r", r"\t"];
    if text.chars().all(is_printable) && !escapes.iter().any(|escape| text.contains(escape)) {
        return Ok(Cow::Borrowed(text));
    }
    let line: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
    Ok(Cow::Owned(with_printable_texts(line).to_string()))
}

fn with_printable_texts(value: Value) -> Value {
    match value {
        Value::String(text) => Value::String(printable(&text)),
        Value::Array(values) => values.into_iter().map(with_printable_texts).collect(),
        Value::Object(fields) => {
            let fields = fields.into_iter().map(|(name, value)| (name, with_printable_texts(value)));
            Value::Object(fields.collect())
        }
        other => other,
    }
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::job::{DataEngineId, Region};

    pub(in crate::ledger) fn key(number: u32) -> JobKey {
        JobKey {
            region: Region::new("ap-guangzhou"),
            data_engine_id: DataEngineId::new(format!("DataEngine-{number}")),
            new_image_version_id: ImageVersionId::new("image-new"),
        }
    }

    /// As every text is by the time it is written.
    fn printable_text(longest: usize) -> impl Strategy<Value = String> {
        proptest::collection::vec(any::<char>(), 0..longest)
            .prop_map(|letters| printable(&letters.into_iter().collect::<String>()))
    }

    fn refused() -> impl Strategy<Value = RecordedReason> {
        (
            "[A-Za-z.]{1,30}",
            proptest::option::of(printable_text(60)),
            proptest::option::of("[a-f0-9-]{36}"),
            any::<Option<u32>>(),
            any::<bool>(),
        )
            .prop_map(|(code, message, request_id, latency, needs_release)| RecordedReason {
                code,
                message,
                request_id,
                latency_ms: latency.map(u64::from),
                needs_release,
            })
    }

    pub(in crate::ledger) fn step() -> impl Strategy<Value = Step> {
        let image = || proptest::option::of("[a-z0-9-]{1,36}".prop_map(ImageVersionId::new));
        let latency = || proptest::option::of(0u64..100_000);
        prop_oneof![
            Just(Step::UpToDate),
            (1u32..9, image()).prop_map(|(attempt, image_before)| Step::Sent { attempt, image_before }),
            (proptest::option::of(printable_text(36)), latency(), any::<bool>()).prop_map(
                |(request_id, latency_ms, verified)| Step::Accepted { request_id, latency_ms, verified }
            ),
            refused().prop_map(Step::Throttled),
            refused().prop_map(Step::Refused),
            printable_text(60).prop_map(|message| Step::NotSent { message }),
            (
                proptest::option::of("[A-Za-z.]{1,30}"),
                printable_text(60),
                proptest::option::of("[a-f0-9-]{36}"),
                any::<Option<u16>>(),
                latency()
            )
                .prop_map(|(code, message, request_id, http_status, latency_ms)| {
                    Step::Unconfirmed { code, message, request_id, http_status, latency_ms }
                }),
            "[a-z0-9-]{1,36}".prop_map(|seen| Step::NotApplied { image_seen: ImageVersionId::new(seen) }),
            (image(), proptest::option::of(printable_text(20)), proptest::option::of(printable_text(20)))
                .prop_map(|(image_before, image_name_after, child_image_after)| Step::Switched {
                    image_before,
                    image_name_after,
                    child_image_after
                }),
            refused().prop_map(Step::Failed),
            printable_text(60).prop_map(|message| Step::TimedOut { message }),
            printable_text(60).prop_map(|message| Step::Unknown { message }),
        ]
    }

    proptest! {
        #[test]
        fn every_job_line_survives_the_file(seq in 1u64.., number in 0u32..99, step in step()) {
            let at = Timestamp::from_millisecond(1_735_872_007_123).expect("a time");
            let line = Line { seq, at, run: "20260102T030405Z-abcdef".into(), entry: Entry::Job { key: key(number), step } };
            let text = line.to_json().expect("json");
            prop_assert!(!text.contains('\n'));
            prop_assert_eq!(Line::from_json(&text), Ok(line));
        }

        #[test]
        fn no_text_makes_the_reader_panic(text in ".{0,200}") {
            let _ = Line::from_json(&text);
        }
    }

    #[test]
    fn texts_that_are_not_printable_become_so_when_they_are_read() {
        let line = |message: &str| {
            let step = Step::Unknown { message: message.into() };
            Line {
                seq: 1,
                at: Timestamp::UNIX_EPOCH,
                run: "r".into(),
                entry: Entry::Job { key: key(1), step },
            }
        };
        for raw in ["\u{1b}[2J", "a\nb", "\u{9b}\u{202e}", r"c:\new"] {
            let read = Line::from_json(&line(raw).to_json().expect("json"));
            assert_eq!(read, Ok(line(&printable(raw))), "{raw:?}");
        }
        let escaped =
            r#"{"seq":1,"at":"1970-01-01T00:00:00Z","run":"r","kind":"unknown","message":"\u009b","#;
        let key =
            r#""region":"ap-guangzhou","data_engine_id":"DataEngine-1","new_image_version_id":"image-new"}"#;
        assert_eq!(Line::from_json(&format!("{escaped}{key}")), Ok(line(r"\u{9b}")));
    }

    #[test]
    fn a_job_line_reads_well() {
        let at = Timestamp::from_millisecond(1_735_872_007_123).expect("a time");
        let step = Step::Sent { attempt: 1, image_before: Some(ImageVersionId::new("image-old")) };
        let line = Line { seq: 7, at, run: "r".into(), entry: Entry::Job { key: key(1), step } };
        assert_eq!(
            line.to_json().expect("json"),
            concat!(
                r#"{"seq":7,"at":"2025-01-03T02:40:07.123Z","run":"r","kind":"sent","attempt":1,"#,
                r#""image_before":"image-old","region":"ap-guangzhou","data_engine_id":"DataEngine-1","#,
                r#""new_image_version_id":"image-new"}"#
            )
        );
    }
}
