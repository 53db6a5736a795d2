//! Reads a CSV or YAML plan into checked jobs, or reports every problem at once.
//!
//! The extension of the file selects the format. Both formats can state the same; `plans/` has an example of each.
//!
//! # CSV
//!
//! The first line names the columns, in any order: `data_engine_id` and `new_image_version_id`, and optionally `region`,
//! `wave`, `expected_image_version_id`, `data_engine_name` and `note`. Case, spaces, `_` and `-` in a name do not matter,
//! so the API's spellings such as `DataEngineId` are accepted. Waves run in the order of their first rows. An empty field
//! of an optional column counts as absent.
//!
//! Files are UTF-8 with or without a byte order mark, with LF or CRLF, and separated by commas, semicolons or tabs, one
//! of them throughout. Rows of separators alone are skipped.
//!
//! # YAML
//!
//! A mapping with either `waves`, each with `name`, `engines` and optionally `soak`, or `engines` alone; `region` and
//! `new_image_version_id` at the top are defaults for every engine. An engine is an id, a mapping with the columns of a
//! CSV plan as keys (without `wave`), or `from:` with the path of a CSV file, relative to the directory of the plan. Ids
//! are taken as written: `0123` and `no` are text.
//!
//! `soak` is a duration of 0 to 7 days: when every engine of the wave has ended, the run waits for that time, verifies the
//! engines again, and only then starts the next wave or ends. `0s` is the same as no `soak`.
//!
//! `expect`, at the top, is a guard against the wrong keys: `account` is the main account that they must belong to,
//! `region` the region that every row must be in. Both are checked before any call. They are not part of the plan's
//! digest, because they do not change what a run does.
//!
//! # Diagnostics
//!
//! Every problem is a diagnostic with its position and its fix. A plan with an error gives no jobs; warnings do not stop.
//! A problem that many rows share for one reason (a region, an image version, a wave) is one diagnostic, at the first
//! row. Limits: [`MAX_BYTES`] over all files of a plan, [`MAX_JOBS`] engines, and for YAML the depth and the use of
//! anchors.

mod check;
mod csv;
mod diagnostic;
mod field;
mod names;
mod review;
mod row;
mod schema;
mod source;
mod yaml;

use std::io;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::format;
use crate::job::{Job, Region, Wave};

pub use diagnostic::Diagnostics;
pub use field::is_region;
pub use review::{MAX_BYTES, MAX_JOBS};
pub use row::Expect;

use review::Review;
use row::Draft;
use source::Source;

/// A plan without errors.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The file, as the command line names it.
    pub path: PathBuf,
    /// One for each engine, wave by wave, and inside a wave in the order of the plan.
    pub jobs: Vec<Job>,
    /// The waves, in order; only `all` when the plan has none.
    pub waves: Vec<Wave>,
    /// What must hold before any call.
    pub expect: Expect,
    /// SHA-256, in lower-case hex, of what the plan asks for: waves, soaks, regions, engines, image versions. The same
    /// for both formats; the order of rows, comments, notes and the names of engines do not change it.
    pub digest: String,
    /// Problems that do not stop a run.
    pub warnings: Diagnostics,
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
        /// The file, as the command line names it.
        path: PathBuf,
        /// The error of the operating system.
        #[source]
        cause: io::Error,
    },
    /// The content of the file is wrong.
    #[error("{} in the plan; nothing was sent; correct the plan and run again", .0.counted())]
    Invalid(Diagnostics),
}

/// Reads a plan and the files it includes.
///
/// `default_region` comes from the flag, the environment or the profile; a region in the plan takes precedence.
pub fn load(path: &Path, default_region: Option<&Region>) -> Result<Plan, PlanError> {
    let mut review = Review::default();
    let draft =
        draft(&mut review, path).map_err(|cause| PlanError::Unreadable { path: path.to_owned(), cause })?;
    finish(review, draft.unwrap_or_default(), path, default_region)
}

/// Compares the rows, and makes the plan.
fn finish(
    mut review: Review,
    draft: Draft,
    path: &Path,
    default_region: Option<&Region>,
) -> Result<Plan, PlanError> {
    let expect = draft.expect.clone();
    let (jobs, waves) = check::into_jobs(draft, &mut review, default_region);
    if review.has_errors() {
        return Err(PlanError::Invalid(review.into_diagnostics()));
    }
    let digest = digest(&jobs, &waves);
    Ok(Plan { path: path.to_owned(), jobs, waves, expect, digest, warnings: review.into_diagnostics() })
}

/// The formats of a plan.
#[derive(Clone, Copy, Debug)]
enum Format {
    Csv,
    Yaml,
}

impl Format {
    /// The format that the extension of a file selects.
    fn of(path: &Path) -> Option<Self> {
        match path.extension()?.to_str()?.to_ascii_lowercase().as_str() {
            "csv" => Some(Self::Csv),
            "yaml" | "yml" => Some(Self::Yaml),
            _ => None,
        }
    }
}

/// The plan as written. `None` when a diagnostic says why there is none.
fn draft(review: &mut Review, path: &Path) -> io::Result<Option<Draft>> {
    let Some(format) = Format::of(path) else {
        let title = "the file name does not tell the format of the plan";
        review.reject(path, title, "name the file `.csv`, `.yaml` or `.yml`, according to its content");
        return Ok(None);
    };
    let source = review.open(path)?;
    Ok(source.and_then(|source| parse(review, &source, path, format)))
}

/// The rows of a file that was read.
fn parse(review: &mut Review, source: &Source, path: &Path, format: Format) -> Option<Draft> {
    match format {
        Format::Csv => {
            let sheet = csv::read(review, source, csv::Role::Plan);
            Some(Draft { rows: sheet.rows, waves: sheet.waves, ..Draft::default() })
        }
        Format::Yaml => {
            let root = yaml::parse(review, source)?;
            Some(schema::read(review, source, path, &root))
        }
    }
}

/// What the plan asks for, in one canonical form. No value contains a tab or a line feed, so the form is unambiguous.
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
        // a plan without soaks has the digest that it had before soaks existed
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
