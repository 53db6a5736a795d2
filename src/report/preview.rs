//! The report of a dry run: what the real run would do with every row, and that nothing was done now.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use super::table::{Columns, table};
use super::{outlook, paint};
use crate::event::SoakFailure;
use crate::format;
use crate::job::{ImageVersionId, JobKey, Outcome, Wave};

/// Up to so many rows are listed one by one.
const LISTED: usize = 40;
/// In longer plans so many of each kind are listed.
const LISTED_OF_A_KIND: usize = 10;

/// What the real run would do with a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Prediction {
    /// Send a switch request.
    Switch {
        /// The image version it runs now, where a look told.
        from: Option<ImageVersionId>,
    },
    /// Nothing: it is on its target.
    UpToDate,
    /// Nothing: the ledger says how it ended.
    Done(Outcome),
    /// Leave it alone: the ledger says that it was on its target, and it is not there any more; the row's detail says
    /// where it is.
    Drifted,
    /// Watch it: the service accepted a request of an earlier run.
    Watch,
    /// Read it back first: the ledger has a request of it whose end is not known.
    InDoubt,
    /// Fail: the fleet has no such engine.
    NotFound,
    /// Refuse the whole plan: nothing may be sent for this row; its detail says why.
    Blocked,
    /// Fail for another reason that can be seen now; the row's detail says which.
    WouldFail,
    /// Nobody can tell from here; the row's detail says why.
    CannotTell,
}

impl Prediction {
    /// The words of all predictions, in the order in which they are shown.
    const WORDS: [&'static str; 11] = [
        "switch",
        "up-to-date",
        "done",
        "left-failed",
        "drifted",
        "accepted",
        "in-doubt",
        "blocked",
        "not-found",
        "would-fail",
        "cannot-tell",
    ];

    /// The word people and files read.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Switch { .. } => "switch",
            Self::UpToDate => "up-to-date",
            // over, but nothing that a glance should take for done
            Self::Done(Outcome::Failed) => "left-failed",
            Self::Done(_) => "done",
            Self::Drifted => "drifted",
            Self::Watch => "accepted",
            Self::InDoubt => "in-doubt",
            Self::Blocked => "blocked",
            Self::NotFound => "not-found",
            Self::WouldFail => "would-fail",
            Self::CannotTell => "cannot-tell",
        }
    }
}

/// One row of the plan and what would become of it.
#[derive(Clone, Debug)]
pub struct PreviewRow {
    /// Which engine, where, to which image version.
    pub key: JobKey,
    /// Name of its wave.
    pub wave: String,
    /// What the real run would do.
    pub prediction: Prediction,
    /// Why, where the prediction alone does not say it: one clause.
    pub detail: Option<String>,
    /// Free text from the plan.
    pub note: Option<String>,
}

/// A whole dry run.
#[derive(Clone, Debug)]
pub struct Preview {
    /// The plan as the user named it.
    pub plan: PathBuf,
    /// Host that was read, or `simulator`.
    pub endpoint: String,
    /// Highest number of switch requests per second of the real run.
    pub rate: u32,
    /// Time between two requests at that rate.
    pub gap: Duration,
    /// The waves, in order, with how long the real run would soak after each.
    pub soaks: Vec<Wave>,
    /// The wave that would not come through its soak, as things stand.
    pub soak_failure: Option<SoakFailure>,
    /// Every row of the plan, in plan order.
    pub rows: Vec<PreviewRow>,
}

impl Preview {
    /// How many rows have this prediction.
    pub(super) fn count(&self, word: &str) -> usize {
        of_kind(self, word).len()
    }

    /// Requests that the real run would send, at most.
    pub(super) fn requests(&self) -> usize {
        // a plan with blocked rows is refused as a whole
        if self.count("blocked") > 0 { 0 } else { self.count("switch") + self.count("cannot-tell") }
    }

    /// Requests of earlier runs that the real run would send again, at most.
    pub(super) fn requests_in_doubt(&self) -> usize {
        if self.count("blocked") > 0 { 0 } else { self.count("in-doubt") }
    }

    /// How long the real run would soak in all.
    pub(super) fn soaking(&self) -> Duration {
        if self.count("blocked") > 0 {
            return Duration::ZERO;
        }
        self.soaks.iter().map(|wave| wave.soak).sum()
    }

    /// How long sending so many requests takes.
    pub(super) fn sending(&self, requests: usize) -> Duration {
        self.gap * u32::try_from(requests).unwrap_or(u32::MAX)
    }
}

/// The dry run for people.
pub fn preview(preview: &Preview) -> String {
    let plan = format::shown_path(&preview.plan);
    let head = format!("dry run of {plan} against {}: nothing was sent or written\n", preview.endpoint);
    let mut paragraphs = vec![paint::strong(head.trim_end()) + "\n"];
    if preview.rows.len() <= LISTED {
        paragraphs.push(listing(preview, &preview.rows.iter().collect::<Vec<_>>()));
    } else {
        paragraphs.extend(Prediction::WORDS.iter().filter_map(|word| first_of_a_kind(preview, word)));
        paragraphs.push("`--output json` lists every row\n".to_owned());
    }
    paragraphs.push(totals(preview));
    paragraphs.push(outlook::outlook(preview));
    paragraphs.join("\n")
}

fn of_kind<'a>(preview: &'a Preview, word: &str) -> Vec<&'a PreviewRow> {
    preview.rows.iter().filter(|row| row.prediction.word() == word).collect()
}

fn first_of_a_kind(preview: &Preview, word: &str) -> Option<String> {
    let rows = of_kind(preview, word);
    let shown = &rows[..rows.len().min(LISTED_OF_A_KIND)];
    if shown.is_empty() {
        return None;
    }
    let head = paint::strong(&format!("{} {word}", format::count(rows.len())));
    let tail = match rows.len() - shown.len() {
        0 => String::new(),
        hidden => format!("and {} more\n", format::count(hidden)),
    };
    Some(format!("{head}\n{}{tail}", listing(preview, shown)))
}

fn listing(preview: &Preview, rows: &[&PreviewRow]) -> String {
    let regions = preview.rows.iter().map(|row| &row.key.region).collect::<BTreeSet<_>>().len() > 1;
    let whole = images_in_full(preview);
    let mut header = vec!["wave", "engine"];
    header.extend(regions.then_some("region"));
    header.extend(["prediction", ""]);
    let cells = rows.iter().map(|row| {
        let mut cells = vec![format::cut(&row.wave, 16), row.key.data_engine_id.to_string()];
        cells.extend(regions.then(|| row.key.region.to_string()));
        cells.push(row.prediction.word().to_owned());
        cells.push(explained(row, whole));
        cells
    });
    table(&header, &cells.collect::<Vec<_>>(), Columns::Texts)
}

fn explained(row: &PreviewRow, whole: bool) -> String {
    let target = image(&row.key.new_image_version_id, whole);
    let mut text = match &row.prediction {
        Prediction::Switch { from: Some(from) } => format!("{} → {target}", image(from, whole)),
        Prediction::Switch { from: None } => format!("→ {target}"),
        Prediction::UpToDate => format!("on {target}"),
        Prediction::Done(Outcome::Failed) => "failed in an earlier run and is left alone".to_owned(),
        Prediction::Drifted => "an earlier run brought it to its target, and now it is".to_owned(),
        Prediction::Watch => "an earlier run's request was accepted; it is only watched".to_owned(),
        Prediction::Done(outcome) => format!("{outcome}, says the ledger"),
        Prediction::InDoubt => "an earlier request is read back first".to_owned(),
        Prediction::NotFound => format!("no such engine in {}", row.key.region),
        Prediction::Blocked | Prediction::WouldFail | Prediction::CannotTell => String::new(),
    };
    if let Some(detail) = &row.detail {
        let gap = match &row.prediction {
            Prediction::Drifted => " ",
            _ if text.is_empty() => "",
            _ => ", ",
        };
        text.push_str(gap);
        text.push_str(detail);
    }
    match &row.note {
        Some(note) => format!("{text}  ({note})"),
        None => text,
    }
}

/// Image versions are long random ids; their first eight characters are enough unless two begin alike.
fn images_in_full(preview: &Preview) -> bool {
    let ids = preview.rows.iter().flat_map(|row| {
        let from = match &row.prediction {
            Prediction::Switch { from } => from.as_ref(),
            _ => None,
        };
        std::iter::once(&row.key.new_image_version_id).chain(from)
    });
    let ids: BTreeSet<_> = ids.collect();
    let short: BTreeSet<_> = ids.iter().map(|id| image(id, false)).collect();
    short.len() < ids.len()
}

fn image(id: &ImageVersionId, whole: bool) -> String {
    let id = id.as_str();
    if whole || id.chars().count() <= 20 { id.to_owned() } else { format::cut(id, 9) }
}

/// Counts by wave and prediction; the columns of a row add up to its rows.
fn totals(preview: &Preview) -> String {
    let occurring: Vec<_> =
        Prediction::WORDS.into_iter().filter(|word| !of_kind(preview, word).is_empty()).collect();
    let mut header = vec!["wave", "jobs"];
    header.extend(&occurring);
    let mut waves: Vec<&str> = Vec::new();
    for row in &preview.rows {
        if !waves.contains(&row.wave.as_str()) {
            waves.push(&row.wave);
        }
    }
    let mut rows = Vec::new();
    if waves.len() > 1 {
        rows.extend(waves.iter().map(|wave| {
            let of_wave = preview.rows.iter().filter(|row| row.wave == **wave);
            count_row(&format::cut(wave, 32), &of_wave.collect::<Vec<_>>(), &occurring)
        }));
    }
    rows.push(count_row("total", &preview.rows.iter().collect::<Vec<_>>(), &occurring));
    table(&header, &rows, Columns::Numbers)
}

fn count_row(name: &str, of: &[&PreviewRow], occurring: &[&str]) -> Vec<String> {
    let mut cells = vec![name.to_owned(), format::count(of.len())];
    cells.extend(occurring.iter().map(|word| {
        match of.iter().filter(|row| row.prediction.word() == *word).count() {
            0 => "-".to_owned(),
            rows => format::count(rows),
        }
    }));
    cells
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::job::{DataEngineId, Region};
    use crate::report::paint::plain;

    pub fn row(at: usize, wave: &str, prediction: Prediction, detail: Option<&str>) -> PreviewRow {
        PreviewRow {
            key: JobKey {
                region: Region::new("ap-guangzhou"),
                data_engine_id: DataEngineId::new(format!("DataEngine-a{at}")),
                new_image_version_id: ImageVersionId::new("7ac9cc78-1d3a-4b7e-9d1c-0f4f3f9f8a11"),
            },
            wave: wave.into(),
            prediction,
            detail: detail.map(String::from),
            note: (at == 1).then(|| "billing".into()),
        }
    }

    pub fn switch() -> Prediction {
        Prediction::Switch { from: Some(ImageVersionId::new("5f2c11aa-77d2-4f53-8a44-6f5f0d6d6f10")) }
    }

    pub fn dry_run(rows: Vec<PreviewRow>) -> Preview {
        Preview {
            plan: "fleet.yaml".into(),
            endpoint: "dlc.tencentcloudapi.com".into(),
            rate: 20,
            gap: Duration::from_millis(51),
            soaks: vec![],
            soak_failure: None,
            rows,
        }
    }

    pub fn one_of_each() -> Preview {
        dry_run(vec![
            row(0, "canary", switch(), None),
            row(1, "canary", Prediction::Switch { from: None }, None),
            row(2, "canary", Prediction::UpToDate, None),
            row(3, "rest", Prediction::Done(Outcome::Failed), None),
            row(4, "rest", Prediction::InDoubt, None),
            row(5, "rest", Prediction::NotFound, None),
            row(6, "rest", Prediction::WouldFail, Some("the engine is isolated")),
            row(7, "rest", Prediction::CannotTell, Some("the fleet of ap-guangzhou could not be read")),
            row(8, "rest", Prediction::Watch, None),
            row(9, "rest", Prediction::Done(Outcome::Switched), None),
            row(10, "rest", Prediction::Drifted, Some("on 5f2c11aa")),
        ])
    }

    fn large() -> Preview {
        let prediction = |at| if at % 7 == 0 { Prediction::UpToDate } else { switch() };
        let wave = |at| if at < 10 { "canary" } else { "rest" };
        dry_run((0..107).map(|at| row(at, wave(at), prediction(at), None)).collect())
    }

    #[test]
    fn a_small_plan_is_listed_row_by_row() {
        insta::assert_snapshot!(plain(&preview(&one_of_each())));
    }

    #[test]
    fn a_large_plan_is_grouped_and_points_to_the_json_document() {
        insta::assert_snapshot!(plain(&preview(&large())));
    }

    #[test]
    fn a_preview_says_plainly_that_nothing_was_sent_or_written() {
        for dry_run in [one_of_each(), large(), dry_run(Vec::new())] {
            assert!(plain(&preview(&dry_run)).contains("nothing was sent or written"));
        }
    }

    #[test]
    fn the_columns_of_every_row_add_up() {
        for dry_run in [one_of_each(), large(), dry_run(Vec::new())] {
            for line in plain(&totals(&dry_run)).lines().skip(2) {
                let numbers: Vec<usize> =
                    line.split_whitespace().skip(1).map(|cell| cell.parse().unwrap_or(0)).collect();
                assert_eq!(numbers[0], numbers[1..].iter().sum::<usize>(), "{line}");
            }
        }
    }

    #[test]
    fn images_that_begin_alike_are_shown_in_full() {
        let mut dry_run = one_of_each();
        dry_run.rows[0].prediction =
            Prediction::Switch { from: Some(ImageVersionId::new("7ac9cc78-aaaa-4b7e-9d1c-0f4f3f9f8a11")) };
        let text = plain(&preview(&dry_run));
        assert!(text.contains("7ac9cc78-aaaa-4b7e-9d1c-0f4f3f9f8a11 → 7ac9cc78-1d3a-4b7e-9d1c-0f4f3f9f8a11"));
    }
}
