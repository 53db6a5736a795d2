//! The dry run for programs: one JSON document, schema `dlc-fleet.preview/1`.
//!
//! Fields are only ever added within a schema version. A field that has nothing to say is `null`, never absent.

use serde::Serialize;

use super::json::{SoakFailed, milliseconds, written};
use super::preview::{Prediction, Preview, PreviewRow};
use crate::format;
use crate::job::{ImageVersionId, Outcome, Wave};

const SCHEMA: &str = "dlc-fleet.preview/1";

/// The whole document.
#[derive(Serialize)]
struct Document<'a> {
    schema: &'static str,
    plan: String,
    endpoint: &'a str,
    rate: u32,
    /// Requests that the real run would send, at most: rows with `switch` and `cannot-tell`.
    requests: usize,
    /// Requests that come on top if read-back shows that those of earlier runs were not applied: rows with
    /// `in-doubt`.
    requests_in_doubt: usize,
    /// How long sending both takes, and the soaks, in milliseconds.
    estimate_ms: u64,
    /// How long the soaks take of that.
    soak_ms: u64,
    /// The wave that would not come through its soak, as things stand, so that none after it would open.
    soak_failure: Option<SoakFailed<'a>>,
    /// Every wave, in the order in which they go.
    waves: Vec<WaveForeseen<'a>>,
    /// The number the process exits with.
    exit_code: u8,
    totals: Totals,
    jobs: Vec<RowForeseen<'a>>,
}

/// Rows by prediction; all fields but `jobs` add up to `jobs`.
#[derive(Serialize)]
struct Totals {
    jobs: usize,
    switch: usize,
    up_to_date: usize,
    done: usize,
    left_failed: usize,
    drifted: usize,
    blocked: usize,
    accepted: usize,
    in_doubt: usize,
    not_found: usize,
    would_fail: usize,
    cannot_tell: usize,
}

/// One wave and how long the real run would soak after it.
#[derive(Serialize)]
struct WaveForeseen<'a> {
    name: &'a str,
    soak_ms: u64,
}

impl<'a> From<&'a Wave> for WaveForeseen<'a> {
    fn from(wave: &'a Wave) -> Self {
        Self { name: &wave.name, soak_ms: milliseconds(wave.soak) }
    }
}

/// One row of the plan and what would become of it.
#[derive(Serialize)]
struct RowForeseen<'a> {
    region: &'a str,
    data_engine_id: &'a str,
    new_image_version_id: &'a str,
    wave: &'a str,
    prediction: &'static str,
    /// The image version it runs now; with `switch` only.
    image_version_id_now: Option<&'a str>,
    /// How it ended according to the ledger; with `done` and `left-failed` only.
    outcome: Option<Outcome>,
    detail: Option<&'a str>,
    note: Option<&'a str>,
}

/// The dry run as one JSON document with a final line break.
pub fn preview_json(preview: &Preview, exit_code: u8) -> String {
    let count = |word| preview.count(word);
    written(&Document {
        schema: SCHEMA,
        plan: format::shown_path(&preview.plan),
        endpoint: &preview.endpoint,
        rate: preview.rate,
        requests: preview.requests(),
        requests_in_doubt: preview.requests_in_doubt(),
        estimate_ms: milliseconds(
            preview.sending(preview.requests() + preview.requests_in_doubt()) + preview.soaking(),
        ),
        soak_ms: milliseconds(preview.soaking()),
        soak_failure: preview.soak_failure.as_ref().map(SoakFailed::from),
        waves: preview.soaks.iter().map(WaveForeseen::from).collect(),
        exit_code,
        totals: Totals {
            jobs: preview.rows.len(),
            switch: count("switch"),
            up_to_date: count("up-to-date"),
            done: count("done"),
            left_failed: count("left-failed"),
            drifted: count("drifted"),
            blocked: count("blocked"),
            accepted: count("accepted"),
            in_doubt: count("in-doubt"),
            not_found: count("not-found"),
            would_fail: count("would-fail"),
            cannot_tell: count("cannot-tell"),
        },
        jobs: preview.rows.iter().map(RowForeseen::from).collect(),
    })
}

impl<'a> From<&'a PreviewRow> for RowForeseen<'a> {
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
    use crate::report::preview::tests::one_of_each;

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
