//! The result of a dry run for programs: one JSON document, schema `dlc-fleet.preview/1`.

use std::collections::BTreeMap;

use serde::Serialize;

use super::preview::{Prediction, Preview, PreviewRow};
use crate::format;
use crate::job::{ImageVersionId, Outcome, Wave};
use crate::report::document::{SoakFailureFields, milliseconds, to_json};

const SCHEMA: &str = "dlc-fleet.preview/1";

/// The whole document.
#[derive(Serialize)]
struct Document<'a> {
    schema: &'static str,
    plan: String,
    endpoint: &'a str,
    rate: u32,
    /// Requests that the run would send, at most: rows with `switch` and `cannot-tell`.
    requests: usize,
    /// Requests that the run would send again if verification shows that they were not applied: rows with `unconfirmed`.
    requests_unconfirmed: usize,
    /// The least time that the run would take, in milliseconds: sending, verification and soaks.
    least_time_ms: u64,
    /// How long the soaks take of that.
    soak_ms: u64,
    /// The wave that would fail its soak if no engine changes; no wave after it would start.
    soak_failure: Option<SoakFailureFields<'a>>,
    /// Every wave, in the order of the plan.
    waves: Vec<WaveRow<'a>>,
    /// The exit code of the process.
    exit_code: u8,
    /// Rows by prediction; all fields but `jobs` add up to `jobs`.
    totals: BTreeMap<String, usize>,
    jobs: Vec<JobRow<'a>>,
}

/// One wave and how long the run would soak after it.
#[derive(Serialize)]
struct WaveRow<'a> {
    name: &'a str,
    soak_ms: u64,
}

impl<'a> From<&'a Wave> for WaveRow<'a> {
    fn from(wave: &'a Wave) -> Self {
        Self { name: &wave.name, soak_ms: milliseconds(wave.soak) }
    }
}

/// One row of the plan and what the run would do with it.
#[derive(Serialize)]
struct JobRow<'a> {
    region: &'a str,
    data_engine_id: &'a str,
    new_image_version_id: &'a str,
    wave: &'a str,
    prediction: &'static str,
    /// The image version before; with `switch` only.
    image_version_id_now: Option<&'a str>,
    /// Its outcome in an earlier run; with `done` and `left-failed` only.
    outcome: Option<Outcome>,
    detail: Option<&'a str>,
    note: Option<&'a str>,
}

/// The result of a dry run as one JSON document with a final line break.
pub fn preview_json(preview: &Preview, exit_code: u8) -> String {
    let fields = Prediction::WORDS.map(|word| (word.replace('-', "_"), preview.count(word)));
    let totals = fields.into_iter().chain([("jobs".to_owned(), preview.rows.len())]).collect();
    to_json(&Document {
        schema: SCHEMA,
        plan: format::shown_path(&preview.plan),
        endpoint: &preview.endpoint,
        rate: preview.rate,
        requests: preview.requests(),
        requests_unconfirmed: preview.unconfirmed(),
        least_time_ms: milliseconds(preview.least_time()),
        soak_ms: milliseconds(preview.soaking()),
        soak_failure: preview.soak_failure.as_ref().map(SoakFailureFields::from),
        waves: preview.soaks.iter().map(WaveRow::from).collect(),
        exit_code,
        totals,
        jobs: preview.rows.iter().map(JobRow::from).collect(),
    })
}

impl<'a> From<&'a PreviewRow> for JobRow<'a> {
    fn from(row: &'a PreviewRow) -> Self {
        let (now, outcome) = match &row.prediction {
            Prediction::Switch { from } => (from.as_ref().map(ImageVersionId::as_str), None),
            Prediction::Done(outcome) => (None, Some(*outcome)),
            _ => (None, None),
        };
        Self {
            region: row.key.region.as_str(),
            data_engine_id: row.key.data_engine_id.as_str(),
            new_image_version_id: row.key.new_image_version_id.as_str(),
            wave: &row.wave,
            prediction: row.prediction.word(),
            image_version_id_now: now,
            outcome,
            detail: row.detail.as_deref(),
            note: row.note.as_deref(),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::report::fixtures::dry_runs::one_of_each;

    #[test]
    fn the_document_keeps_its_shape() {
        let mut preview = one_of_each();
        preview.rows.truncate(4);
        let soak = std::time::Duration::from_secs(600);
        preview.soaks = vec![Wave { soak, ..Wave::named("canary") }, Wave::named("rest")];
        insta::assert_snapshot!(preview_json(&preview, 0));
    }

    #[test]
    fn its_totals_add_up_to_its_jobs() {
        let document: Value =
            serde_json::from_str(&preview_json(&one_of_each(), 0)).expect("a JSON document");
        let totals = document["totals"].as_object().expect("an object");
        let columns = totals.iter().filter(|(name, _)| *name != "jobs");
        let counted: u64 = columns.filter_map(|(_, rows)| rows.as_u64()).sum();
        assert_eq!(Some(counted), totals["jobs"].as_u64());
        assert_eq!(Some(counted), document["jobs"].as_array().map(|rows| rows.len() as u64));
    }
}
