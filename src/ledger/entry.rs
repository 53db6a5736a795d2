//! The entries of the ledger and their JSON form.

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
    /// Its content.
    pub entry: Entry,
}

/// The content of one line.
#[derive(Clone, Debug, PartialEq)]
pub enum Entry {
    /// A run starts.
    RunStarted(RunStarted),
    /// Something happened to a job.
    Job {
        /// The job.
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
    /// Path of the plan as given by the user.
    pub plan: String,
    /// SHA-256 of the plan's canonical form.
    pub plan_digest: String,
    /// The regions of the plan's engines.
    pub regions: Vec<String>,
    /// Host of the service, or `simulator`.
    pub endpoint: String,
    /// True if the service is a simulator.
    pub simulated: bool,
    /// Highest number of requests per second.
    pub rate: u32,
}

/// The last line of a run that was not killed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunEnded {
    /// Jobs for each outcome.
    pub outcomes: BTreeMap<Outcome, u64>,
    /// Why the run stopped early, if it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stopped: Option<String>,
}

/// What can happen to a job. The module documentation of the ledger says which step may follow which.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Step {
    /// The engine was on its target; nothing was sent.
    UpToDate,
    /// A request is about to be sent.
    Sent {
        /// Which attempt of this job in this run, counted from one.
        attempt: u32,
        /// The image of the engine before the request, as a read showed it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        image_before: Option<ImageVersionId>,
    },
    /// The service accepted the request.
    Accepted {
        /// `RequestId` of the response; absent if only verification shows that the request was applied.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        request_id: Option<String>,
        /// Time from sending to the response.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        latency_ms: Option<u64>,
        /// True if verification shows the engine on its target, although no response accepted the request.
        verified: bool,
    },
    /// The service throttled the request.
    Throttled(RecordedReason),
    /// The service refused the request for a temporary cause.
    Refused(RecordedReason),
    /// The request was not sent.
    NotSent {
        /// The error of the network.
        message: String,
    },
    /// The request may or may not have been applied: no readable response, a success response without the JSON content type,
    /// or a refusal that does not prove that it was not applied.
    Unconfirmed {
        /// The code of the refusal, if there was one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        code: Option<String>,
        /// The message of the service, or the error of the network or the parser.
        message: String,
        /// `RequestId`, if the service gave one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        request_id: Option<String>,
        /// HTTP status, if one arrived.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        http_status: Option<u16>,
        /// Time from sending to the error.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        latency_ms: Option<u64>,
    },
    /// Verification shows that the request was not applied.
    NotApplied {
        /// The image of the engine at that read.
        image_seen: ImageVersionId,
    },
    /// Read twice on target and running.
    Switched {
        /// The image of the engine before the switch.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        image_before: Option<ImageVersionId>,
        /// The name of the image after the switch.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        image_name_after: Option<String>,
        /// The minor version after the switch.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        child_image_after: Option<String>,
    },
    /// Ended without success.
    Failed(RecordedReason),
    /// Accepted, but not on target in time.
    TimedOut {
        /// How long the run waited, and for what.
        message: String,
    },
    /// Could not be verified in time.
    Unknown {
        /// Why.
        message: String,
    },
}

/// The reason of a refusal or a failure.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordedReason {
    /// The code of the API, or a code of this tool in kebab case.
    pub code: String,
    /// Details of this case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// `RequestId`, if the service gave one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// Time from sending to the response.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency_ms: Option<u64>,
    /// True if the row stays failed in later runs until `expected_image_version_id` names the current image version of the
    /// engine or `--retry-moved` is passed: another client moved the engine, or it failed after its switch.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub needs_release: bool,
}

/// The fields of every line, in the order in which they are written.
#[derive(Serialize)]
struct LineStart {
    seq: u64,
    at: String,
    run: String,
}

#[derive(Serialize)]
struct LineObject<'a, Body> {
    #[serde(flatten)]
    start: LineStart,
    #[serde(flatten)]
    body: Body,
    #[serde(flatten)]
    key: Option<&'a JobKey>,
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
enum RunEntry {
    RunStarted(RunStarted),
    RunEnded(RunEnded),
}

/// The fields of every line that are read first.
#[derive(Deserialize)]
struct LineFields {
    seq: u64,
    at: String,
    run: String,
    kind: String,
}

impl Line {
    /// True if the line records something that happened to a job, and not only the intent to send or the start or end of a
    /// run.
    pub fn is_result(&self) -> bool {
        matches!(&self.entry, Entry::Job { step, .. } if !matches!(step, Step::Sent { .. }))
    }

    /// The JSON object, without check.
    pub fn to_json(&self) -> Result<String, serde_json::Error> {
        let start = LineStart { seq: self.seq, at: format!("{:.3}", self.at), run: self.run.clone() };
        match &self.entry {
            Entry::RunStarted(started) => serde_json::to_string(&LineObject {
                start,
                body: RunEntry::RunStarted(started.clone()),
                key: None,
            }),
            Entry::RunEnded(ended) => serde_json::to_string(&LineObject {
                start,
                body: RunEntry::RunEnded(ended.clone()),
                key: None,
            }),
            Entry::Job { key, step } => {
                serde_json::to_string(&LineObject { start, body: step, key: Some(key) })
            }
        }
    }

    /// Reads what [`Line::to_json`] wrote; unknown fields are ignored, so that later versions may add some.
    pub fn from_json(text: &str) -> Result<Self, String> {
        fn parse<'a, Shape: Deserialize<'a>>(text: &'a str) -> Result<Shape, String> {
            serde_json::from_str(text).map_err(|error| error.to_string())
        }
        let text = &*printable_line(text)?;
        let LineFields { seq, at, run, kind } = parse(text)?;
        let entry = match kind.as_str() {
            "run-started" | "run-ended" => match parse(text)? {
                RunEntry::RunStarted(started) => Entry::RunStarted(started),
                RunEntry::RunEnded(ended) => Entry::RunEnded(ended),
            },
            _ => Entry::Job { key: parse(text)?, step: parse(text)? },
        };
        let at = at.parse().map_err(|_| format!("`at` is not a time: {at}"))?;
        Ok(Self { seq, at, run, entry })
    }
}

/// The line with every string in it printable. Lines that this version writes are printable, so most lines are returned
/// unchanged.
fn printable_line(text: &str) -> Result<Cow<'_, str>, String> {
    let escapes = [r"\u", r"\b", r"\f", r"\n", r"\r", r"\t"];
    if text.chars().all(is_printable) && !escapes.iter().any(|escape| text.contains(escape)) {
        return Ok(Cow::Borrowed(text));
    }
    let line: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
    Ok(Cow::Owned(with_printable_strings(line).to_string()))
}

fn with_printable_strings(value: Value) -> Value {
    match value {
        Value::String(text) => Value::String(printable(&text)),
        Value::Array(values) => values.into_iter().map(with_printable_strings).collect(),
        Value::Object(fields) => {
            let fields = fields.into_iter().map(|(name, value)| (name, with_printable_strings(value)));
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
        fn every_job_line_is_read_as_it_was_written(seq in 1u64.., number in 0u32..99, step in step()) {
            let at = Timestamp::from_millisecond(1_735_872_007_123).expect("a valid time");
            let line = Line { seq, at, run: "20260102T030405Z-abcdef".into(), entry: Entry::Job { key: key(number), step } };
            let text = line.to_json().expect("json");
            prop_assert!(!text.contains('\n'));
            prop_assert_eq!(Line::from_json(&text), Ok(line));
        }

        #[test]
        fn parsing_any_text_does_not_panic(text in ".{0,200}") {
            let _ = Line::from_json(&text);
        }
    }

    #[test]
    fn unprintable_characters_are_escaped_when_a_line_is_read() {
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
    fn a_job_line_has_the_documented_fields_in_order() {
        let at = Timestamp::from_millisecond(1_735_872_007_123).expect("a valid time");
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
