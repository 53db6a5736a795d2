//! What a run prints on stderr if its ledger could not be written to the end, so that nothing known is lost with it.

use crate::format::shown_path;
use crate::ledger::{Line, Recovered};
use crate::report::print::to_stderr;
use crate::settings::RunSettings;

/// Prints what may be missing from the ledger, and where its contents are.
pub(super) fn tell(settings: &RunSettings, unrecorded: &[Line], recovered: Option<&Recovered>) {
    if let Some(recovered) = recovered {
        to_stderr(&removed(settings, recovered));
    }
    if !unrecorded.is_empty() {
        to_stderr(&missing(settings, unrecorded, recovered.is_some()));
    }
}

fn removed(settings: &RunSettings, recovered: &Recovered) -> String {
    let ledger = shown_path(&settings.ledger);
    let (contents, restore) = match recovered {
        Recovered::File(copy) => {
            let copy = shown_path(copy);
            (format!("its contents are in {copy}\n"), format!("move {copy} to {ledger}"))
        }
        Recovered::Lines(lines) => {
            let lines = lines.trim_end();
            (format!("its contents are:\n{lines}\n"), format!("write these lines to {ledger}"))
        }
    };
    // another run may have started a ledger there
    let another = std::fs::metadata(&settings.ledger).is_ok_and(|there| there.len() > 0);
    let next = if another {
        format!(
            "{ledger} is another file now: keep both, because each may have requests that the other does not have; wait \
             until no engine is switching, then run the same command without --no-verify"
        )
    } else {
        format!(
            "{restore} before you do anything else: without it the same command starts from the beginning, and could \
             switch engines again"
        )
    };
    format!("error: {ledger} was removed or replaced during the run; {contents} next: {next}\n")
}

fn missing(settings: &RunSettings, unrecorded: &[Line], removed: bool) -> String {
    let lines = unrecorded.iter().filter_map(|line| line.to_json().ok());
    let lines: String = lines.map(|line| line + "\n").collect();
    let first = if removed { "keep them" } else { "keep them, repair the disk" };
    let then = if settings.verifies() {
        "it reads the engines before anything is sent"
    } else {
        "jobs that it cannot verify end as unknown, and are not sent again"
    };
    format!(
        "error: {} could not be written, so these lines may be missing from it:\n{lines} next: {first}, then run the same \
         command again: {then}\n",
        shown_path(&settings.ledger),
    )
}
