//! Compares the rows of a plan with each other, and makes its jobs.

use std::collections::HashMap;

use super::diagnostic::{Diagnostic, quote};
use super::field::{Field, Value, is_region, is_usual_engine_id, is_usual_image_version_id};
use super::names;
use super::review::Review;
use super::row::{Draft, Fallback, Row};
use crate::format::plural;
use crate::job::{Job, Region, Wave};

/// The name of the only wave of a plan without waves.
const UNSTAGED: &str = "all";

/// The regions that the API documentation of DLC names (pages of `DescribeDataEngine`, `RestartDataEngine`
/// and `DescribeSaleResourceInfo`, 2026-04), and the finance regions of the documentation on endpoints. The service may know
/// more, so that another region is a warning only.
const DOCUMENTED_REGIONS: [&str; 15] = [
    "ap-bangkok",
    "ap-beijing",
    "ap-chongqing",
    "ap-guangzhou",
    "ap-hongkong",
    "ap-jakarta",
    "ap-seoul",
    "ap-shanghai",
    "ap-shanghai-fsi",
    "ap-shenzhen-fsi",
    "ap-singapore",
    "ap-tokyo",
    "eu-frankfurt",
    "na-ashburn",
    "na-siliconvalley",
];

/// Compares the rows, reports problems, and makes the jobs and their waves. They are valid only if the review has no
/// errors.
pub(super) fn into_jobs(
    draft: Draft,
    review: &mut Review,
    default_region: Option<&Region>,
) -> (Vec<Job>, Vec<Wave>) {
    let region = match (&draft.region, default_region) {
        (Fallback::Given(region), _) => Some(region.as_str()),
        (Fallback::Absent, Some(region)) => Some(region.as_str()),
        (Fallback::Absent, None) => {
            report_missing_regions(&draft.rows, review);
            None
        }
        (Fallback::Invalid, _) => None,
    };
    report_repeated(&draft.rows, review, region);
    report_shared_names(&draft.rows, review, region);
    warn_about_regions(&draft, review);
    warn_about_ids(&draft.rows, review);
    let target = match &draft.target {
        Fallback::Given(target) => target.as_str(),
        Fallback::Absent | Fallback::Invalid => "",
    };
    let mut jobs: Vec<Job> =
        draft.rows.into_iter().map(|row| row.into_job(region.unwrap_or_default(), target)).collect();
    // stable: inside a wave the order of the plan stays
    jobs.sort_by_key(|job| job.wave);
    let waves = if draft.waves.is_empty() { vec![Wave::named(UNSTAGED)] } else { draft.waves };
    (jobs, waves)
}

/// One error for all: the fix is the same.
fn report_missing_regions(rows: &[Row], review: &mut Review) {
    let mut rows = rows.iter().filter(|row| row.region.is_none());
    let Some(first) = rows.next() else { return };
    let name = quote(&first.engine.text);
    let title = match rows.count() {
        0 => format!("the engine {name} has no region"),
        more => format!("{} engines have no region; {name} is the first", more + 1),
    };
    let help = "add the column or key `region`, or set --region or TENCENTCLOUD_REGION";
    review.error(first.engine.span, title, help);
}

/// Reports an engine that appears twice in one region, and warns once about ids that appear in several regions.
fn report_repeated(rows: &[Row], review: &mut Review, default_region: Option<&str>) {
    let mut seen: HashMap<&str, Vec<(Option<&str>, &Row)>> = HashMap::with_capacity(rows.len());
    let mut in_two_regions: Option<(&Row, &Row, usize)> = None;
    for row in rows {
        let region = row.region.as_ref().map(|region| region.text.as_str()).or(default_region);
        let earlier = seen.entry(&row.engine.text).or_default();
        if let Some((_, first)) = earlier.iter().find(|(other, _)| *other == region) {
            review.report(repeated(row, first));
            continue;
        }
        if let [(_, first)] = earlier.as_slice() {
            in_two_regions.get_or_insert((row, first, 0)).2 += 1;
        }
        earlier.push((region, row));
    }
    let Some((row, first, count)) = in_two_regions else { return };
    let name = quote(&row.engine.text);
    let title = match count {
        1 => format!("the engine {name} is listed in two regions"),
        count => format!("{count} engines are listed in two regions; {name} is the first"),
    };
    let warning =
        Diagnostic::warning(row.engine.span, title, "check its region: an engine is in one region only");
    review.report(warning.with_other(first.engine.span, "first here"));
}

fn repeated(row: &Row, first: &Row) -> Diagnostic {
    let name = quote(&row.engine.text);
    let target = |row: &Row| row.target.as_ref().map(|target| target.text.clone());
    let (title, help) = if target(first) == target(row) {
        (format!("the engine {name} is listed twice"), "remove one of the two")
    } else {
        (
            format!("the engine {name} has two different target image versions"),
            "keep one, and remove the other",
        )
    };
    Diagnostic::error(row.engine.span, title, help).with_other(first.engine.span, "first here")
}

/// A name belongs to one engine of a region, so one of two rows that share it is wrong.
fn report_shared_names(rows: &[Row], review: &mut Review, default_region: Option<&str>) {
    let mut seen: HashMap<(Option<&str>, &str), (&Row, &Value)> = HashMap::new();
    for row in rows {
        let Some(name) = row.name.as_ref().filter(|name| !name.text.is_empty()) else { continue };
        let region = row.region.as_ref().map(|region| region.text.as_str()).or(default_region);
        let (first, first_name) = *seen.entry((region, name.text.as_str())).or_insert((row, name));
        if first.engine.text != row.engine.text {
            let title = format!("two engines have the name {}", quote(&name.text));
            let error = Diagnostic::error(name.span, title, "correct the name of one of the two");
            review.report(error.with_other(first_name.span, "first here"));
        }
    }
}

/// One warning for each region that is not documented.
fn warn_about_regions(draft: &Draft, review: &mut Review) {
    let mut warned: Vec<&str> = Vec::new();
    for region in draft.top_region.iter().chain(draft.rows.iter().filter_map(|row| row.region.as_ref())) {
        let text = region.text.as_str();
        if !is_region(text) || DOCUMENTED_REGIONS.contains(&text) || warned.contains(&text) {
            continue;
        }
        warned.push(text);
        let help = match names::nearest(text, &DOCUMENTED_REGIONS) {
            Some(meant) => format!("did you mean {}?", quote(meant)),
            None => "check the spelling; if DLC is available in this region, ignore this warning".to_owned(),
        };
        let title = format!("{} is not a documented region of DLC", quote(text));
        review.report(Diagnostic::warning(region.span, title, help));
        if warned.len() == 100 {
            return;
        }
    }
}

/// One warning for all engine ids of an unusual shape, and one for all image version ids.
fn warn_about_ids(rows: &[Row], review: &mut Review) {
    let engines = rows.iter().map(|row| &row.engine);
    let targets = rows.iter().flat_map(|row| [&row.target, &row.expected]).flatten();
    warn_about(review, engines, is_usual_engine_id, "engine id", "`DataEngine-a1b2c3d4`");
    warn_about(
        review,
        targets,
        is_usual_image_version_id,
        "image version id",
        "`7ac9cc78-bc95-440f-9768-4f4a79048755`",
    );
}

fn warn_about<'r>(
    review: &mut Review,
    values: impl Iterator<Item = &'r Value>,
    is_usual: fn(&str) -> bool,
    kind: &str,
    example: &str,
) {
    // an invalid id is reported as an error already
    let is_valid = |value: &Value| !value.text.is_empty() && Field::DataEngineId.fault(&value.text).is_none();
    let mut unusual = values.filter(|value| is_valid(value) && !is_usual(&value.text));
    let Some(first) = unusual.next() else { return };
    let name = quote(&first.text);
    let title = match unusual.count() {
        0 => format!("{name} does not have the usual form of an {kind}"),
        more => format!("{} do not have the usual form; {name} is the first", plural(more + 1, kind)),
    };
    review.report(Diagnostic::warning(
        first.span,
        title,
        format!("compare it with the console; usual is {example}"),
    ));
}
