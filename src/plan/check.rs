//! What must hold between the rows of a plan, and the jobs that come of it.

use std::collections::HashMap;

use crate::job::{DataEngineId, DataEngineName, ImageVersionId, Job, JobKey, Region, Wave};

use super::finding::{Finding, Place, Review, quote};
use super::value::Value;
use super::{Expect, MAX_JOBS};

/// The name of the only wave of a plan that names none.
const UNSTAGED: &str = "all";

/// One engine of the plan, as written.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub wave: usize,
    pub engine: Value,
    pub target: Option<Value>,
    pub region: Option<Value>,
    pub expected: Option<Value>,
    pub name: Option<Value>,
    pub note: Option<String>,
}

/// A value that a plan gives once for all its engines.
#[derive(Clone, Debug, Default)]
pub(super) enum Fallback {
    #[default]
    Absent,
    /// Written, but with a finding of its own.
    Broken,
    Given(String),
}

/// A plan as written, before its rows are compared.
#[derive(Default)]
pub(super) struct Draft {
    pub rows: Vec<Row>,
    /// The waves, in order; empty when the plan has none.
    pub waves: Vec<Wave>,
    pub region: Fallback,
    pub target: Fallback,
    pub expect: Expect,
}

impl Review {
    /// Counts one more engine. False when the plan has too many, which is reported once.
    pub fn admit(&mut self, place: Place) -> bool {
        self.engines += 1;
        if self.engines == MAX_JOBS + 1 {
            let remedy = "split the plan into several, and run them one after the other";
            let title = format!("the plan has more than {MAX_JOBS} engines; this one is too much");
            self.report(Finding::new(place, title, remedy));
            // whoever asked stops here
            self.is_cut = true;
        }
        self.engines <= MAX_JOBS
    }
}

impl Draft {
    /// Compares the rows, reports what is wrong, and makes the jobs and their waves. They mean something only
    /// when the review is clean.
    pub fn into_jobs(self, review: &mut Review, default_region: Option<&Region>) -> (Vec<Job>, Vec<Wave>) {
        let region = match (&self.region, default_region) {
            (Fallback::Given(region), _) => Some(region.as_str()),
            (Fallback::Absent, Some(region)) => Some(region.as_str()),
            (Fallback::Absent, None) => {
                self.report_missing_regions(review);
                None
            }
            (Fallback::Broken, _) => None,
        };
        self.report_repeated(review, region);
        self.report_shared_names(review, region);
        let target = match &self.target {
            Fallback::Given(target) => target.as_str(),
            Fallback::Absent | Fallback::Broken => "",
        };
        let mut jobs: Vec<Job> =
            self.rows.into_iter().map(|row| row.into_job(region.unwrap_or_default(), target)).collect();
        // stable: inside a wave the plan's own order stays
        jobs.sort_by_key(|job| job.wave);
        let waves = if self.waves.is_empty() { vec![Wave::named(UNSTAGED)] } else { self.waves };
        (jobs, waves)
    }

    /// One finding for all: the remedy is the same, and most plans that miss one miss it everywhere.
    fn report_missing_regions(&self, review: &mut Review) {
        let mut rows = self.rows.iter().filter(|row| row.region.is_none());
        let Some(first) = rows.next() else { return };
        let name = quote(&first.engine.text);
        let title = match rows.count() {
            0 => format!("the engine {name} has no region"),
            more => format!("{} engines have no region, {name} is the first", more + 1),
        };
        let remedy = "give it as column or key `region`, with `--region`, or in TENCENTCLOUD_REGION";
        review.report(Finding::new(first.engine.place, title, remedy));
    }

    fn report_repeated(&self, review: &mut Review, default_region: Option<&str>) {
        let mut seen: HashMap<(Option<&str>, &str), &Row> = HashMap::with_capacity(self.rows.len());
        for row in &self.rows {
            let region = row.region.as_ref().map(|region| region.text.as_str()).or(default_region);
            let Some(first) = seen.get(&(region, row.engine.text.as_str())) else {
                seen.insert((region, &row.engine.text), row);
                continue;
            };
            let name = quote(&row.engine.text);
            let text_of = |row: &Row| row.target.as_ref().map(|target| target.text.clone());
            let finding = if text_of(first) == text_of(row) {
                Finding::new(
                    row.engine.place,
                    format!("the engine {name} is listed twice"),
                    "remove one of the two",
                )
            } else {
                let title = format!("the engine {name} is to go to two different image versions");
                Finding::new(row.engine.place, title, "decide for one, and remove the other")
            };
            review.report(finding.with_other(first.engine.place, "first here"));
        }
    }

    /// A name belongs to one engine of a region, so one of two rows that share it is wrong.
    fn report_shared_names(&self, review: &mut Review, default_region: Option<&str>) {
        let mut seen: HashMap<(Option<&str>, &str), &Row> = HashMap::new();
        for row in &self.rows {
            let Some(name) = row.name.as_ref().filter(|name| !name.text.is_empty()) else { continue };
            let region = row.region.as_ref().map(|region| region.text.as_str()).or(default_region);
            let first = *seen.entry((region, name.text.as_str())).or_insert(row);
            if first.engine.text != row.engine.text {
                let title = format!("the name {} is given to two engines", quote(&name.text));
                let finding = Finding::new(name.place, title, "find out which of the two it belongs to");
                let place = first.name.as_ref().map_or(first.engine.place, |name| name.place);
                review.report(finding.with_other(place, "first here"));
            }
        }
    }
}

impl Row {
    /// A row that holds nothing yet but its engine.
    pub fn of(engine: Value) -> Self {
        Self { wave: 0, engine, target: None, region: None, expected: None, name: None, note: None }
    }

    fn into_job(self, region: &str, target: &str) -> Job {
        let or = |value: Option<Value>, fallback: &str| {
            value.map_or_else(|| fallback.to_owned(), |value| value.text)
        };
        Job {
            key: JobKey {
                region: Region::new(or(self.region, region)),
                data_engine_id: DataEngineId::new(self.engine.text),
                new_image_version_id: ImageVersionId::new(or(self.target, target)),
            },
            wave: self.wave,
            data_engine_name: self.name.map(|value| DataEngineName::new(value.text)),
            expected_image_version_id: self.expected.map(|value| ImageVersionId::new(value.text)),
            note: self.note,
        }
    }
}
