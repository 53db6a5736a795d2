//! The closing summary for programs: one JSON document, schema `dlc-fleet.summary/1`.
//!
//! Fields are only ever added within a schema version. A field that has nothing to say is `null`, never absent.

use std::time::Duration;

use serde::Serialize;

use super::Closing;
use crate::event::{RunHeader, SoakFailure, StopReason};
use crate::format;
use crate::job::{Job, JobIndex, Outcome, Reason, Wave};
use crate::tally::{Counts, Outcomes, Soak, Tally};

const SCHEMA: &str = "dlc-fleet.summary/1";

/// The whole document.
#[derive(Serialize)]
struct Document<'a> {
    /// Name and version of this format.
    schema: &'static str,
    /// Id of this run.
    run_id: &'a str,
    /// The run whose ledger this one continued.
    parent_run_id: Option<&'a str>,
    /// The plan as the user named it.
    plan: String,
    /// The ledger that remembers the run.
    ledger: String,
    /// Host that was driven, or `simulator`.
    endpoint: &'a str,
    /// Highest number of switch requests per second that was allowed.
    rate: u32,
    /// The number the process exits with.
    exit_code: u8,
    /// Why nothing more was sent although jobs were left.
    stopped: Option<Stopped<'a>>,
    /// Length of the run in milliseconds.
    elapsed_ms: u64,
    /// Switch requests sent; `jobs_sent`, `retries` and `throttles` add up to it.
    attempts: usize,
    /// Jobs with a request that was not refused merely because it came too fast.
    jobs_sent: usize,
    /// Requests that were sent again, other than after a throttle.
    retries: usize,
    /// Requests refused because they came too fast.
    throttles: usize,
    /// Requests that may have been applied: without a readable answer, or answered with a server fault.
    unconfirmed: usize,
    /// Requests of earlier runs that were read back first.
    unconfirmed_from_earlier_runs: usize,
    /// Most switch requests started in any one second.
    peak_requests_per_second: Option<u32>,
    /// The exact command that goes on with what is left.
    resume: Option<String>,
    /// Outcomes over the whole plan.
    totals: Totals,
    /// Outcomes of each wave, in the order in which they went.
    waves: Vec<WaveEnd<'a>>,
    /// Every row of the plan, in plan order.
    jobs: Vec<JobEnd<'a>>,
}

/// An early end. `kind` is `interrupted`, `account-refused`, `soak-failed` or `ledger-lost`.
#[derive(Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
enum Stopped<'a> {
    Interrupted { signal: &'a str },
    AccountRefused { reason: ReasonGiven<'a> },
    SoakFailed(SoakFailed<'a>),
    LedgerFailed { cause: &'a str },
}

/// A wave that did not come through its soak.
#[derive(Serialize)]
pub(super) struct SoakFailed<'a> {
    wave: &'a str,
    /// How many of its engines are not as they were left.
    engines: usize,
    /// One of them.
    first: &'a str,
    /// Where that one is.
    seen: &'a str,
}

impl<'a> From<&'a SoakFailure> for SoakFailed<'a> {
    fn from(failure: &'a SoakFailure) -> Self {
        Self {
            wave: &failure.wave,
            engines: failure.engines,
            first: failure.first.as_str(),
            seen: &failure.seen,
        }
    }
}

/// Jobs by outcome; all fields but `jobs` add up to `jobs`.
#[derive(Serialize)]
struct OutcomeCounts {
    jobs: usize,
    switched: usize,
    up_to_date: usize,
    accepted: usize,
    failed: usize,
    timed_out: usize,
    unknown: usize,
    not_started: usize,
}

#[derive(Serialize)]
struct Totals {
    #[serde(flatten)]
    outcomes: OutcomeCounts,
    /// Jobs that earlier runs settled; they are counted under their outcome too.
    from_earlier_runs: usize,
}

#[derive(Serialize)]
struct WaveEnd<'a> {
    name: &'a str,
    /// How long it was to soak, in milliseconds, where it was to.
    soak_ms: Option<u64>,
    /// How its soak ended in this run, where it began: `kept` (the wave was found as it was left), `waited` (nobody
    /// looked), `failed` or `cut-short`.
    soak: Option<&'static str>,
    #[serde(flatten)]
    outcomes: OutcomeCounts,
}

/// One row of the plan and how it ended.
#[derive(Serialize)]
struct JobEnd<'a> {
    region: &'a str,
    data_engine_id: &'a str,
    new_image_version_id: &'a str,
    /// Name of its wave.
    wave: Option<&'a str>,
    outcome: Outcome,
    /// True when an earlier run settled it and this one left it alone.
    from_earlier_run: bool,
    reason: Option<ReasonGiven<'a>>,
    /// The image version it was on before the first request, where a look told.
    image_version_id_before: Option<&'a str>,
    /// The image version it was found on although an earlier run had switched it.
    drifted_to: Option<&'a str>,
    /// Free text from the plan.
    note: Option<&'a str>,
    /// Switch requests sent for it in this run.
    attempts: u32,
}

/// Why, with every field present.
#[derive(Serialize)]
pub(super) struct ReasonGiven<'a> {
    code: &'a str,
    cause: &'a str,
    remedy: &'a str,
    message: Option<&'a str>,
    request_id: Option<&'a str>,
}

/// The summary as one JSON document with a final line break.
pub fn json(header: &RunHeader, tally: &Tally, closing: &Closing, exit_code: u8) -> String {
    let waves = header.waves.iter().zip(tally.waves()).zip(tally.soaks());
    let jobs = header.jobs.iter().enumerate();
    written(&Document {
        schema: SCHEMA,
        run_id: &header.run_id,
        parent_run_id: header.parent_run_id.as_deref(),
        plan: format::shown_path(&header.plan),
        ledger: format::shown_path(&header.ledger),
        endpoint: &header.endpoint,
        rate: header.rate,
        exit_code,
        stopped: closing.stopped.as_ref().map(Stopped::from),
        elapsed_ms: milliseconds(closing.elapsed),
        attempts: tally.attempts(),
        jobs_sent: tally.jobs_sent(),
        retries: tally.retries(),
        throttles: tally.throttles(),
        unconfirmed: tally.unconfirmed(),
        unconfirmed_from_earlier_runs: tally.unconfirmed_from_earlier_runs(),
        peak_requests_per_second: closing.peak_requests_per_second,
        resume: closing.goes_on(),
        totals: Totals { outcomes: tally.outcomes().into(), from_earlier_runs: tally.from_earlier_runs() },
        waves: waves.map(WaveEnd::from).collect(),
        jobs: jobs.map(|(at, job)| JobEnd::new(header, tally, JobIndex(at), job)).collect(),
    })
}

/// Any document of this room as text. Only foreign serializers and maps with odd keys can fail, and the documents
/// have neither; if that ever changes, the reader gets the error in place of the document.
pub(super) fn written(document: &impl Serialize) -> String {
    let text = serde_json::to_string_pretty(document);
    text.unwrap_or_else(|error| serde_json::Value::from(error.to_string()).to_string()) + "\n"
}

/// A time as the documents tell it.
pub(super) fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

impl<'a> From<&'a StopReason> for Stopped<'a> {
    fn from(reason: &'a StopReason) -> Self {
        match reason {
            StopReason::Interrupted { signal } => Self::Interrupted { signal },
            StopReason::AccountRefused(reason) => Self::AccountRefused { reason: reason.into() },
            StopReason::SoakFailed(failure) => Self::SoakFailed(failure.into()),
            StopReason::LedgerFailed { cause } => Self::LedgerFailed { cause },
        }
    }
}

impl<'a> From<((&'a Wave, &Counts), &Soak)> for WaveEnd<'a> {
    fn from(((wave, counts), soak): ((&'a Wave, &Counts), &Soak)) -> Self {
        Self {
            name: &wave.name,
            soak_ms: (!wave.soak.is_zero()).then(|| milliseconds(wave.soak)),
            soak: match soak {
                Soak::None => None,
                Soak::UnderWay => Some("cut-short"),
                Soak::Kept => Some("kept"),
                Soak::Waited => Some("waited"),
                Soak::Failed => Some("failed"),
            },
            outcomes: counts.outcomes().into(),
        }
    }
}

impl From<Outcomes> for OutcomeCounts {
    fn from(outcomes: Outcomes) -> Self {
        Self {
            jobs: outcomes.total(),
            switched: outcomes.of(Outcome::Switched),
            up_to_date: outcomes.of(Outcome::UpToDate),
            accepted: outcomes.of(Outcome::Accepted),
            failed: outcomes.of(Outcome::Failed),
            timed_out: outcomes.of(Outcome::TimedOut),
            unknown: outcomes.of(Outcome::Unknown),
            not_started: outcomes.of(Outcome::NotStarted),
        }
    }
}

impl<'a> JobEnd<'a> {
    fn new(header: &'a RunHeader, tally: &'a Tally, at: JobIndex, job: &'a Job) -> Self {
        let result = tally.result(at);
        Self {
            region: job.key.region.as_str(),
            data_engine_id: job.key.data_engine_id.as_str(),
            new_image_version_id: job.key.new_image_version_id.as_str(),
            wave: header.waves.get(job.wave).map(|wave| wave.name.as_str()),
            outcome: tally.outcome(at),
            from_earlier_run: result.is_some_and(|result| result.from_earlier_run),
            reason: result.and_then(|result| result.reason.as_ref()).map(ReasonGiven::from),
            image_version_id_before: result.and_then(|result| Some(result.image_before.as_ref()?.as_str())),
            drifted_to: tally.drifted_to(at),
            note: job.note.as_deref(),
            attempts: tally.attempts_of(at),
        }
    }
}

impl<'a> From<&'a Reason> for ReasonGiven<'a> {
    fn from(reason: &'a Reason) -> Self {
        Self {
            code: &reason.code,
            cause: &reason.cause,
            remedy: &reason.remedy,
            message: reason.message.as_deref(),
            request_id: reason.request_id.as_deref(),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::report::script::{self, Story};

    fn text_of(story: &Story, exit_code: u8) -> String {
        let tally = story.tally();
        let closing = Closing {
            stopped: tally.stopped().cloned(),
            elapsed: story.elapsed(),
            peak_requests_per_second: Some(12),
            resume: Some("dlc-fleet run fleet.yaml".into()),
        };
        json(&story.header, &tally, &closing, exit_code)
    }

    fn json_of(story: &Story, exit_code: u8) -> Value {
        serde_json::from_str(&text_of(story, exit_code)).expect("a JSON document")
    }

    fn number(value: &Value) -> u64 {
        value.as_u64().expect("a number")
    }

    #[test]
    fn the_document_keeps_its_shape() {
        insta::assert_snapshot!(text_of(&script::refused_account(), 5));
    }

    #[test]
    fn a_stop_says_its_kind() {
        let document = json_of(&script::stopped(), 130);
        assert_eq!(document["stopped"], serde_json::json!({"kind": "interrupted", "signal": "SIGINT"}));
        assert_eq!(document["exit_code"], 130);
    }

    #[test]
    fn a_wave_says_how_long_it_was_to_soak_and_what_came_of_it() {
        let document = json_of(&script::soaking(), 5);
        let soaks = |document: &Value| -> Vec<Value> {
            let waves = document["waves"].as_array().expect("a list");
            waves.iter().map(|wave| serde_json::json!([wave["soak_ms"], wave["soak"]])).collect()
        };
        let expected = [(Some(600_000), Some("kept")), (Some(45_000), Some("failed")), (None, None)];
        assert_eq!(soaks(&document), expected.map(|(ms, end)| serde_json::json!([ms, end])));
        let failure = serde_json::json!({"kind": "soak-failed", "wave": "early", "engines": 2,
            "first": "DataEngine-early1", "seen": "on 5f2c11aa"});
        assert_eq!(document["stopped"], failure);
        assert_eq!(document["jobs"][3]["drifted_to"], "on 5f2c11aa");
        let expected = [(Some(600_000), Some("cut-short")), (Some(45_000), None), (None, None)];
        let document = json_of(&script::soak_cut_short(), 143);
        assert_eq!(soaks(&document), expected.map(|(ms, end)| serde_json::json!([ms, end])));
    }

    #[test]
    fn totals_waves_and_jobs_tell_the_same_numbers() {
        for story in [script::all_good(), script::mixed(), script::stopped(), script::resumed()] {
            let document = json_of(&story, 0);
            let jobs = document["jobs"].as_array().expect("a list");
            let waves = document["waves"].as_array().expect("a list");
            for outcome in Outcome::ALL {
                let field = outcome.word().replace('-', "_");
                let total = number(&document["totals"][&field]);
                assert_eq!(waves.iter().map(|wave| number(&wave[&field])).sum::<u64>(), total, "{outcome}");
                let of_jobs = jobs.iter().filter(|job| job["outcome"] == outcome.word()).count();
                assert_eq!(of_jobs as u64, total, "{outcome}");
            }
            assert_eq!(number(&document["totals"]["jobs"]), jobs.len() as u64);
        }
    }
}
