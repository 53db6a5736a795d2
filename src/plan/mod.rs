//! Reads a plan, CSV or YAML, into checked jobs, or tells everything that is wrong with it at once.
//!
//! A file's format comes from its ending. Both formats say the same things; `plans/` has an example of each.
//!
//! # CSV
//!
//! The first line names the columns, in any order: `data_engine_id` and `new_image_version_id`, and where
//! needed `region`, `wave`, `expected_image_version_id`, `data_engine_name` and `note`. `DataEngineId`,
//! `NewImageVersionId`, `Region` and `DataEngineName`, the API's own spellings, are accepted too. Waves go in the order in which they first appear in
//! the file. An empty field of an optional column is the same as no such column.
//!
//! # YAML
//!
//! A mapping with either `waves`, each with `name`, `engines` and perhaps `soak`, or `engines` alone; `region` and
//! `new_image_version_id` at the top hold for every engine that says nothing else. An engine is an id, a
//! mapping with the columns of a CSV plan as keys (without `wave`), or `from:` with the path of a CSV file,
//! counted from the folder of the plan. Ids stay the text that was written: `0123` and `no` are texts.
//!
//! `soak` is a duration of 0 to 7 days: once every engine of the wave has ended, so much time passes, and then the wave
//! is read back, before the next one opens or the run ends. `0s` is the same as no `soak`. CSV has no such column.
//!
//! `expect`, at the top as well, is a guard against the wrong keys: `account` is the main account that they must belong
//! to, `region` the region that every row must be in. Both are compared before anything is called. What is expected is
//! no part of the plan's digest, since it changes whether a run begins, and nothing of what it does.
//!
//! # What is checked
//!
//! Every mistake is a finding with its place and its remedy, and a plan with a finding gives no job. Something
//! that is missing many times for one reason (a region, an image version, a wave) is one finding, at the first
//! place. Limits: [`MAX_BYTES`] over all files of a plan, [`MAX_JOBS`] engines, and for YAML nesting and the
//! use of anchors.

mod cells;
mod check;
mod csv;
mod finding;
mod names;
mod schema;
mod source;
mod value;
mod yaml;

use std::io;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::format;
use crate::job::{Job, Region, Wave};

use check::Draft;
pub use finding::Findings;
use finding::Review;
use source::Opened;
pub use value::is_region;

/// Largest size of a plan, in bytes, with the files it includes.
pub const MAX_BYTES: u64 = 32 * 1024 * 1024;
/// Most engines of a plan.
pub const MAX_JOBS: usize = 100_000;

/// A plan in which nothing is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The file, as it was named.
    pub path: PathBuf,
    /// One for each engine, wave by wave, and inside a wave in the order of the plan.
    pub jobs: Vec<Job>,
    /// The waves, in order; only `all` when the plan names none.
    pub waves: Vec<Wave>,
    /// What must hold before anything is called.
    pub expect: Expect,
    /// SHA-256, in lower-case hex, of what the plan asks for: waves, soaks, regions, engines, image versions. The same
    /// for both formats, and whatever the order of rows, the comments, the notes and the names of engines.
    pub digest: String,
}

/// What a plan expects of those who run it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Expect {
    /// The main account that the keys belong to.
    pub account: Option<String>,
    /// The region of every row.
    pub region: Option<Region>,
}

/// Why there is no plan.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// The file cannot be read at all.
    #[error(
        "cannot read the plan {}: {cause}; check the path and its permissions",
        crate::format::shown_path(path)
    )]
    Unreadable {
        /// The file, as it was named.
        path: PathBuf,
        /// What the operating system says.
        #[source]
        cause: io::Error,
    },
    /// Something is wrong with what the file says.
    #[error("{} in the plan; nothing was sent; correct the plan and run again", .0.counted())]
    Invalid(Findings),
}

/// Reads a plan and the files it includes.
///
/// `default_region` comes from the user's flag or environment; a region in the plan wins over it.
pub fn load(path: &Path, default_region: Option<&Region>) -> Result<Plan, PlanError> {
    let mut review = Review::default();
    let draft = draft(&mut review, path)
        .map_err(|cause| PlanError::Unreadable { path: path.to_owned(), cause })?
        .unwrap_or_default();
    let expect = draft.expect.clone();
    let (jobs, waves) = draft.into_jobs(&mut review, default_region);
    if !review.is_clean() {
        return Err(PlanError::Invalid(review.into_findings()));
    }
    let digest = digest(&jobs, &waves);
    Ok(Plan { path: path.to_owned(), jobs, waves, expect, digest })
}

/// The formats of a plan.
#[derive(Clone, Copy, Debug)]
enum Format {
    Csv,
    Yaml,
}

impl Format {
    /// The format that the ending of a file's name tells.
    fn of(path: &Path) -> Option<Self> {
        match path.extension()?.to_str()?.to_ascii_lowercase().as_str() {
            "csv" => Some(Self::Csv),
            "yaml" | "yml" => Some(Self::Yaml),
            _ => None,
        }
    }
}

/// The plan as written. `None` when the reason is already among the findings.
fn draft(review: &mut Review, path: &Path) -> io::Result<Option<Draft>> {
    let Some(format) = Format::of(path) else {
        let title = "the format of a plan comes from the ending of its name, and this one tells none";
        review.reject(path, title, "name the file `.csv`, `.yaml` or `.yml`, after what it holds");
        return Ok(None);
    };
    let opened = review.open(path)?;
    Ok(opened.and_then(|opened| parse(review, &opened, path, format)))
}

/// The rows of a file that was read.
fn parse(review: &mut Review, opened: &Opened, path: &Path, format: Format) -> Option<Draft> {
    match format {
        Format::Csv => {
            let sheet = csv::read(review, opened, csv::Role::Plan);
            Some(Draft { rows: sheet.rows, waves: sheet.waves, ..Draft::default() })
        }
        Format::Yaml => {
            let root = yaml::parse(review, opened)?;
            Some(schema::read(review, opened, path, &root))
        }
    }
}

/// What the plan asks for, in one spelling. No value can hold a tab or a line feed, so none can be mistaken
/// for another.
fn digest(jobs: &[Job], waves: &[Wave]) -> String {
    let mut lines: Vec<(usize, String)> = jobs
        .iter()
        .map(|job| {
            let key = &job.key;
            let expected = job.expected_image_version_id.as_ref().map_or("", |expected| expected.as_str());
            (
                job.wave,
                format!("{}\t{}\t{}\t{expected}\n", key.region, key.data_engine_id, key.new_image_version_id),
            )
        })
        .collect();
    lines.sort_unstable();
    let mut hash = Sha256::new();
    hash.update("dlc-fleet.plan/1\n");
    let mut lines = lines.into_iter().peekable();
    for (number, wave) in waves.iter().enumerate() {
        // a plan in which no wave soaks has the digest that it had before waves could
        let soak = match wave.soak.as_nanos() {
            0 => String::new(),
            soak => format!("\tsoak\t{soak}"),
        };
        hash.update(format!("wave\t{}{soak}\n", wave.name));
        while let Some((_, line)) = lines.next_if(|(wave, _)| *wave == number) {
            hash.update(line);
        }
    }
    format::hex(&hash.finalize())
}

#[cfg(test)]
mod tests;
