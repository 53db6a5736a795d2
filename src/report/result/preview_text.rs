//! The result of a dry run for people: a table of rows, counts, and how long the run takes.

use std::collections::BTreeSet;

use super::estimate::estimate;
use super::preview::{Prediction, Preview, PreviewRow};
use crate::format::{self, count};
use crate::job::{ImageVersionId, Outcome};
use crate::report::table::{Columns, table};
use crate::report::{print, style};

/// Most rows that are all listed.
const LISTED: usize = 40;
/// Rows that are listed of each prediction in a longer plan.
const LISTED_OF_EACH: usize = 10;

/// The result of a dry run. Sentences wrap at so many columns; tables do not.
pub fn preview(preview: &Preview, columns: Option<usize>) -> String {
    let plan = format::shown_path(&preview.plan);
    let head = format!("dry run of {plan} against {}: nothing was sent or written", preview.endpoint);
    let mut paragraphs = vec![print::wrap(&style::strong(&head), columns, 2) + "\n"];
    if preview.rows.len() <= LISTED {
        paragraphs.push(listing(preview, &preview.rows.iter().collect::<Vec<_>>()));
    } else {
        paragraphs.extend(Prediction::WORDS.iter().filter_map(|word| first_of_each(preview, word)));
        paragraphs.push("all rows: --output json\n".to_owned());
    }
    paragraphs.push(totals(preview));
    paragraphs.push(print::wrap(&estimate(preview), columns, 2));
    paragraphs.join("\n")
}

fn first_of_each(preview: &Preview, word: &str) -> Option<String> {
    let rows: Vec<_> = preview.rows_with(word).collect();
    let shown = &rows[..rows.len().min(LISTED_OF_EACH)];
    if shown.is_empty() {
        return None;
    }
    let head = style::strong(&format!("{} {word}", count(rows.len())));
    let tail = match rows.len() - shown.len() {
        0 => String::new(),
        hidden => format!("and {} more\n", count(hidden)),
    };
    Some(format!("{head}\n{}{tail}", listing(preview, shown)))
}

fn listing(preview: &Preview, rows: &[&PreviewRow]) -> String {
    let regions = preview.rows.iter().map(|row| &row.key.region).collect::<BTreeSet<_>>().len() > 1;
    let in_full = images_in_full(preview);
    let mut header = vec!["wave", "engine"];
    header.extend(regions.then_some("region"));
    header.extend(["prediction", ""]);
    let cells = rows.iter().map(|row| {
        let mut cells = vec![format::cut(&row.wave, 16), row.key.data_engine_id.to_string()];
        cells.extend(regions.then(|| row.key.region.to_string()));
        cells.push(row.prediction.word().to_owned());
        cells.push(explanation(row, in_full));
        cells
    });
    table(&header, &cells.collect::<Vec<_>>(), Columns::Texts)
}

fn explanation(row: &PreviewRow, in_full: bool) -> String {
    let target = image(&row.key.new_image_version_id, in_full);
    let what = match &row.prediction {
        Prediction::Switch { from: Some(from) } => format!("{} → {target}", image(from, in_full)),
        Prediction::Switch { from: None } => format!("→ {target}"),
        Prediction::UpToDate => format!("on {target}"),
        Prediction::Done(Outcome::Failed) => "failed in an earlier run, not sent again".to_owned(),
        Prediction::Done(outcome) => format!("{outcome} in an earlier run"),
        Prediction::Drifted => "switched in an earlier run".to_owned(),
        Prediction::Accepted => "accepted in an earlier run, to be verified".to_owned(),
        Prediction::Unconfirmed => "sent in an earlier run, verified first".to_owned(),
        Prediction::NotFound => format!("no such engine in {}", row.key.region),
        Prediction::Blocked | Prediction::WouldFail | Prediction::CannotTell => String::new(),
    };
    let detail = match (&row.prediction, &row.detail) {
        (Prediction::Drifted, Some(detail)) => format!("now {detail}"),
        (_, detail) => detail.clone().unwrap_or_default(),
    };
    let parts: Vec<String> = [what, detail].into_iter().filter(|part| !part.is_empty()).collect();
    let note = row.note.as_ref().map_or_else(String::new, |note| format!("  ({note})"));
    parts.join(", ") + &note
}

/// Image versions are long random ids; their first eight characters are shown unless two ids share them.
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

fn image(id: &ImageVersionId, in_full: bool) -> String {
    let id = id.as_str();
    if in_full || id.chars().count() <= 20 { id.to_owned() } else { format::cut(id, 9) }
}

/// Counts by wave and prediction; the columns of a row add up to its rows.
fn totals(preview: &Preview) -> String {
    let present: Vec<_> = Prediction::WORDS.into_iter().filter(|word| preview.count(word) > 0).collect();
    let mut header = vec!["wave", "jobs"];
    header.extend(&present);
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
            count_row(&format::cut(wave, 32), &of_wave.collect::<Vec<_>>(), &present)
        }));
    }
    rows.push(count_row("total", &preview.rows.iter().collect::<Vec<_>>(), &present));
    table(&header, &rows, Columns::Numbers)
}

fn count_row(name: &str, of: &[&PreviewRow], present: &[&str]) -> Vec<String> {
    let mut cells = vec![name.to_owned(), count(of.len())];
    cells.extend(present.iter().map(|word| {
        match of.iter().filter(|row| row.prediction.word() == *word).count() {
            0 => "-".to_owned(),
            rows => count(rows),
        }
    }));
    cells
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixtures::dry_runs::{dry_run, one_of_each, row, switch};
    use crate::report::style::plain;

    fn large() -> Preview {
        let prediction = |at| if at % 7 == 0 { Prediction::UpToDate } else { switch() };
        let wave = |at| if at < 10 { "canary" } else { "rest" };
        dry_run((0..107).map(|at| row(at, wave(at), prediction(at), None)).collect())
    }

    #[test]
    fn a_small_plan_is_listed_row_by_row() {
        insta::assert_snapshot!(plain(&preview(&one_of_each(), None)));
    }

    #[test]
    fn a_large_plan_is_grouped_by_prediction() {
        insta::assert_snapshot!(plain(&preview(&large(), None)));
    }

    #[test]
    fn a_dry_run_says_that_nothing_was_sent_or_written() {
        for dry_run in [one_of_each(), large(), dry_run(Vec::new())] {
            assert!(plain(&preview(&dry_run, None)).contains("nothing was sent or written"));
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
    fn image_ids_with_the_same_beginning_are_shown_in_full() {
        let mut dry_run = one_of_each();
        dry_run.rows[0].prediction =
            Prediction::Switch { from: Some(ImageVersionId::new("7ac9cc78-aaaa-4b7e-9d1c-0f4f3f9f8a11")) };
        let text = plain(&preview(&dry_run, None));
        assert!(text.contains("7ac9cc78-aaaa-4b7e-9d1c-0f4f3f9f8a11 → 7ac9cc78-1d3a-4b7e-9d1c-0f4f3f9f8a11"));
    }
}
