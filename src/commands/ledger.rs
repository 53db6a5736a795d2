//! `dlc-fleet ledger`: checks, repairs, shows or exports a ledger.

use std::path::Path;

use super::output::{print_outcome, print_result};
use crate::cli::{LedgerArgs, LedgerCommand, LedgerFormat};
use crate::error::Failure;
use crate::exit::Exit;
use crate::format::{plural, shown_path};
use crate::job::{ImageVersionId, JobKey};
use crate::ledger::{self, History, JobHistory, LedgerError, Repaired};
use crate::report::print::to_stderr;
use crate::report::{Columns, table};

pub(super) fn ledger(args: &LedgerArgs) -> Result<Exit, Failure> {
    match &args.command {
        LedgerCommand::Check { file } => check(file),
        LedgerCommand::Repair { file } => repair(file),
        LedgerCommand::Show { file, failed, json } => show(file, *failed, *json),
        LedgerCommand::Export { file, format } => export(file, *format),
    }
}

/// Loads a ledger that must exist. For a run a missing ledger is an empty one; here it is a wrong path.
fn load(file: &Path) -> Result<ledger::LoadedLedger, Failure> {
    if !file.exists() {
        let what = format!("the ledger {} does not exist: check the path", shown_path(file));
        return Err(Failure::new(Exit::Usage, what));
    }
    ledger::read(file).map_err(|error| with_remedy(error, false))
}

/// The error of a ledger, with what to do next in this command.
fn with_remedy(error: LedgerError, repairing: bool) -> Failure {
    let next = match &error {
        LedgerError::Io { .. } => "check the path and the permissions of the file and its directory",
        LedgerError::Locked { .. } => "wait until that run has ended, or stop it",
        LedgerError::Newer { .. } => "use the version of dlc-fleet that wrote it",
        LedgerError::Damaged { .. } if repairing => "restore the file from a backup",
        LedgerError::Damaged { .. } => {
            "restore the file from a backup, or remove the damaged end with `dlc-fleet ledger repair`, which keeps a copy"
        }
    };
    Failure::from(error).next(next)
}

fn check(file: &Path) -> Result<Exit, Failure> {
    let loaded = load(file)?;
    let history = &loaded.history;
    let torn = match loaded.torn.len() {
        0 => String::new(),
        bytes => {
            format!("; a torn last line of {bytes} bytes follows; the next run moves it to a separate file")
        }
    };
    print_result(&format!(
        "{}: {} of {} about {}: the chain of checks holds{torn}\n",
        shown_path(file),
        plural(usize::try_from(history.lines).unwrap_or(usize::MAX), "line"),
        plural(history.runs.len(), "run"),
        plural(history.jobs.len(), "job"),
    ))?;
    Ok(Exit::Success)
}

fn repair(file: &Path) -> Result<Exit, Failure> {
    check_loadable_or_damaged(file)?;
    match ledger::repair(file).map_err(|error| with_remedy(error, true))? {
        None => {
            print_outcome(&format!("{}: nothing to repair\n", shown_path(file)));
        }
        Some(Repaired { kept_lines, copy, engines }) => {
            print_outcome(&format!(
                "{}: {} kept, everything after them removed; {} is a copy of the file before the repair\n",
                shown_path(file),
                plural(usize::try_from(kept_lines).unwrap_or(usize::MAX), "line"),
                shown_path(&copy),
            ));
            if !engines.is_empty() {
                let engines: Vec<String> = engines.into_iter().collect();
                to_stderr(&format!(
                    "note: the removed lines mention {}, for which a request may have been sent: {}\n next: wait longer than the \
                     --request-timeout and --resend-after of that run, and until no engine is switching; then run the same \
                     command again, without --no-verify: it reads the fleet before it sends anything\n",
                    plural(engines.len(), "engine"),
                    engines.join(", "),
                ));
            }
        }
    }
    Ok(Exit::Success)
}

/// Fails if the ledger cannot be loaded for another cause than damage.
fn check_loadable_or_damaged(file: &Path) -> Result<(), Failure> {
    match ledger::read(file) {
        Err(LedgerError::Damaged { .. }) => Ok(()),
        _ => load(file).map(|_| ()),
    }
}

fn show(file: &Path, failed: bool, json: bool) -> Result<Exit, Failure> {
    let loaded = load(file)?;
    let jobs = loaded.history.jobs.iter().filter(|(_, job)| !failed || !job.record.standing.is_good());
    if json {
        let lines = jobs.map(|(key, job)| serde_json::to_string(&Row::of(key, job)));
        let text: String = lines.filter_map(Result::ok).map(|line| line + "\n").collect();
        print_result(&text)?;
        return Ok(Exit::Success);
    }
    let rows: Vec<Vec<String>> = jobs
        .map(|(key, job)| {
            let row = Row::of(key, job);
            vec![
                row.data_engine_id.to_owned(),
                row.region.to_owned(),
                row.standing,
                row.attempts.to_string(),
                row.code.unwrap_or_default().to_owned(),
                row.request_id.unwrap_or_default().to_owned(),
            ]
        })
        .collect();
    let header = ["engine", "region", "standing", "attempts", "code", "RequestId"];
    let runs = loaded.history.runs.len();
    let title = format!("{}: {} in {}\n\n", shown_path(file), plural(rows.len(), "job"), plural(runs, "run"));
    print_result(&(title + &table(&header, &rows, Columns::Texts)))?;
    Ok(Exit::Success)
}

fn export(file: &Path, format: LedgerFormat) -> Result<Exit, Failure> {
    let LedgerFormat::Csv = format;
    let loaded = load(file)?;
    let text = to_csv(&loaded.history).map_err(|error| {
        Failure::new(Exit::Internal, format!("internal error: the table could not be written: {error}"))
    })?;
    print_result(&text)?;
    Ok(Exit::Success)
}

fn to_csv(history: &History) -> Result<String, Box<dyn std::error::Error>> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    for (key, job) in &history.jobs {
        writer.serialize(Row::of(key, job))?;
    }
    Ok(String::from_utf8(writer.into_inner()?)?)
}

/// One job as a row of the JSON and CSV output.
#[derive(serde::Serialize)]
struct Row<'a> {
    region: &'a str,
    data_engine_id: &'a str,
    new_image_version_id: &'a str,
    standing: String,
    attempts: u64,
    image_version_id_before: Option<&'a str>,
    code: Option<&'a str>,
    message: Option<&'a str>,
    request_id: Option<&'a str>,
}

impl<'a> Row<'a> {
    fn of(key: &'a JobKey, job: &'a JobHistory) -> Self {
        let record = &job.record;
        let last_error = record.last_error.as_ref();
        let request_id = last_error.and_then(|last_error| last_error.request_id.as_deref());
        Self {
            region: key.region.as_str(),
            data_engine_id: key.data_engine_id.as_str(),
            new_image_version_id: key.new_image_version_id.as_str(),
            standing: record.standing.word().to_owned(),
            attempts: job.attempts,
            image_version_id_before: record.image_before.as_ref().map(ImageVersionId::as_str),
            code: last_error.and_then(|last_error| last_error.code.as_deref()),
            message: last_error.and_then(|last_error| last_error.message.as_deref()),
            request_id: request_id.or(record.request_id.as_deref()),
        }
    }
}
