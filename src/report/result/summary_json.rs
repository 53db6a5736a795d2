//! The summary of a run for programs: one JSON document, schema `dlc-fleet.summary/1`.

use std::collections::BTreeMap;

use serde::Serialize;

use super::closing::Closing;
use crate::event::{RunHeader, StopReason};
use crate::format;
use crate::job::{Job, JobIndex, Outcome, Wave};
use crate::report::document::{ReasonFields, SoakFailureFields, milliseconds, to_json};
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
    /// The ledger of the run.
    ledger: String,
    /// Host that the requests were sent to, or `simulator`.
    endpoint: &'a str,
    /// Most switch requests per second.
    rate: u32,
    /// The exit code of the process.
    exit_code: u8,
    /// Why nothing more was sent although jobs were left.
    stopped: Option<Stopped<'a>>,
    /// Length of the run in milliseconds.
    elapsed_ms: u64,
    /// Switch requests sent; `jobs_sent`, `retries` and `throttles` add up to it.
    attempts: usize,
    /// Jobs with a request that was not throttled.
    jobs_sent: usize,
    /// Requests that were sent again, except after a throttled one.
    retries: usize,
    /// Requests that the service throttled.
    throttles: usize,
    /// Requests that may have been applied: without a readable response, or answered with a server fault.
    unconfirmed: usize,
    /// Unconfirmed requests of earlier runs, which were verified first.
    unconfirmed_from_earlier_runs: usize,
    /// Most switch requests started in any one second.
    peak_requests_per_second: Option<u32>,
    /// The command that resumes with everything that is left.
    resume: Option<String>,
    /// Outcomes over the whole plan.
    totals: Totals,
    /// Outcomes of each wave, in the order of the plan.
    waves: Vec<WaveResult<'a>>,
    /// Every row of the plan, in plan order.
    jobs: Vec<JobRow<'a>>,
}

/// An early end. `kind` is `interrupted`, `account-refused`, `soak-failed` or `ledger-failed`.
#[derive(Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
enum Stopped<'a> {
    Interrupted { signal: &'a str },
    AccountRefused { reason: ReasonFields<'a> },
    SoakFailed(SoakFailureFields<'a>),
    LedgerFailed { cause: &'a str },
}

/// Jobs by outcome and `drifted`; all fields but `jobs` add up to `jobs`.
type OutcomeCounts = BTreeMap<String, usize>;

#[derive(Serialize)]
struct Totals {
    #[serde(flatten)]
    outcomes: OutcomeCounts,
    /// Jobs that ended in earlier runs; they count under their outcome too.
    from_earlier_runs: usize,
}

#[derive(Serialize)]
struct WaveResult<'a> {
    name: &'a str,
    /// How long its soak is in the plan, in milliseconds; null if it has none.
    soak_ms: Option<u64>,
    /// How its soak ended in this run: `passed`, `not-verified`, `failed` or `interrupted`; null if it did not start.
    soak: Option<&'static str>,
    #[serde(flatten)]
    outcomes: OutcomeCounts,
}

/// One row of the plan and how it ended.
#[derive(Serialize)]
struct JobRow<'a> {
    region: &'a str,
    data_engine_id: &'a str,
    new_image_version_id: &'a str,
    /// Name of its wave.
    wave: Option<&'a str>,
    /// Its outcome, or `drifted` if it ended on target and its engine is not there any more.
    outcome: &'static str,
    /// True if it ended in an earlier run and this one did nothing for it.
    from_earlier_run: bool,
    reason: Option<ReasonFields<'a>>,
    /// The image version before the first request, if a read showed it.
    image_version_id_before: Option<&'a str>,
    /// Where its engine is now, if it has drifted: `on 5f2c11aa`.
    drifted_to: Option<&'a str>,
    /// Free text from the plan.
    note: Option<&'a str>,
    /// Switch requests sent for it in this run.
    attempts: u32,
}

/// The summary as one JSON document with a final line break.
pub fn summary_json(header: &RunHeader, tally: &Tally, closing: &Closing, exit_code: u8) -> String {
    let waves = header.waves.iter().zip(tally.waves()).zip(tally.soaks());
    let jobs = header.jobs.iter().enumerate();
    to_json(&Document {
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
        resume: closing.resume(),
        totals: Totals {
            outcomes: outcome_counts(&tally.outcomes()),
            from_earlier_runs: tally.from_earlier_runs(),
        },
        waves: waves.map(WaveResult::from).collect(),
        jobs: jobs.map(|(at, job)| JobRow::new(header, tally, JobIndex(at), job)).collect(),
    })
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

impl<'a> From<((&'a Wave, &Counts), &Soak)> for WaveResult<'a> {
    fn from(((wave, counts), soak): ((&'a Wave, &Counts), &Soak)) -> Self {
        Self {
            name: &wave.name,
            soak_ms: (!wave.soak.is_zero()).then(|| milliseconds(wave.soak)),
            soak: match soak {
                Soak::NotStarted => None,
                Soak::Soaking => Some("interrupted"),
                Soak::Passed => Some("passed"),
                Soak::NotVerified => Some("not-verified"),
                Soak::Failed => Some("failed"),
            },
            outcomes: outcome_counts(&counts.outcomes()),
        }
    }
}

fn outcome_counts(outcomes: &Outcomes) -> OutcomeCounts {
    let by_outcome = Outcome::ALL.map(|outcome| (outcome.word().replace('-', "_"), outcomes.of(outcome)));
    let others = [("jobs", outcomes.total()), ("drifted", outcomes.drifted)];
    by_outcome.into_iter().chain(others.map(|(field, jobs)| (field.to_owned(), jobs))).collect()
}

impl<'a> JobRow<'a> {
    fn new(header: &'a RunHeader, tally: &'a Tally, at: JobIndex, job: &'a Job) -> Self {
        let result = tally.result(at);
        Self {
            region: job.key.region.as_str(),
            data_engine_id: job.key.data_engine_id.as_str(),
            new_image_version_id: job.key.new_image_version_id.as_str(),
            wave: header.waves.get(job.wave).map(|wave| wave.name.as_str()),
            outcome: if tally.drifted_to(at).is_some() { "drifted" } else { tally.outcome(at).word() },
            from_earlier_run: result.is_some_and(|result| result.from_earlier_run),
            reason: result.and_then(|result| result.reason.as_ref()).map(ReasonFields::from),
            image_version_id_before: result.and_then(|result| Some(result.image_before.as_ref()?.as_str())),
            drifted_to: tally.drifted_to(at),
            note: job.note.as_deref(),
            attempts: tally.attempts_of(at),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::report::fixtures::{self, SampleRun};

    fn text_of(run: &SampleRun, exit_code: u8) -> String {
        let tally = run.tally();
        let closing = Closing {
            stopped: tally.stopped().cloned(),
            elapsed: run.elapsed(),
            peak_requests_per_second: Some(12),
            command: Some("dlc-fleet run fleet.yaml".into()),
        };
        summary_json(&run.header, &tally, &closing, exit_code)
    }

    fn json_of(run: &SampleRun, exit_code: u8) -> Value {
        serde_json::from_str(&text_of(run, exit_code)).expect("a JSON document")
    }

    fn number(value: &Value) -> u64 {
        value.as_u64().expect("a number")
    }

    #[test]
    fn the_document_keeps_its_shape() {
        insta::assert_snapshot!(text_of(&fixtures::refused_account(), 5));
    }

    #[test]
    fn a_stop_has_a_kind() {
        let document = json_of(&fixtures::stopped(), 130);
        assert_eq!(document["stopped"], serde_json::json!({"kind": "interrupted", "signal": "SIGINT"}));
        assert_eq!(document["exit_code"], 130);
    }

    #[test]
    fn a_wave_says_how_long_its_soak_is_and_how_it_ended() {
        let document = json_of(&fixtures::soaking(), 5);
        let soaks = |document: &Value| -> Vec<Value> {
            let waves = document["waves"].as_array().expect("a list");
            waves.iter().map(|wave| serde_json::json!([wave["soak_ms"], wave["soak"]])).collect()
        };
        let expected = [(Some(600_000), Some("passed")), (Some(45_000), Some("failed")), (None, None)];
        assert_eq!(soaks(&document), expected.map(|(ms, end)| serde_json::json!([ms, end])));
        let failure = serde_json::json!({"kind": "soak-failed", "wave": "early", "engines": 2,
            "first": "DataEngine-early1", "seen": "on 5f2c11aa"});
        assert_eq!(document["stopped"], failure);
        let job = &document["jobs"][3];
        assert_eq!((&job["outcome"], &job["drifted_to"]), (&"drifted".into(), &"on 5f2c11aa".into()));
        let expected = [(Some(600_000), Some("interrupted")), (Some(45_000), None), (None, None)];
        let document = json_of(&fixtures::interrupted_soak(), 143);
        assert_eq!(soaks(&document), expected.map(|(ms, end)| serde_json::json!([ms, end])));
    }

    #[test]
    fn totals_waves_and_jobs_have_the_same_numbers() {
        for run in [fixtures::all_good(), fixtures::mixed(), fixtures::stopped(), fixtures::resumed()] {
            let document = json_of(&run, 0);
            let jobs = document["jobs"].as_array().expect("a list");
            let waves = document["waves"].as_array().expect("a list");
            for outcome in Outcome::ALL.map(Outcome::word).into_iter().chain(["drifted"]) {
                let field = outcome.replace('-', "_");
                let total = number(&document["totals"][&field]);
                assert_eq!(waves.iter().map(|wave| number(&wave[&field])).sum::<u64>(), total, "{outcome}");
                let of_jobs = jobs.iter().filter(|job| job["outcome"] == outcome).count();
                assert_eq!(of_jobs as u64, total, "{outcome}");
            }
            assert_eq!(number(&document["totals"]["jobs"]), jobs.len() as u64);
        }
    }
}
