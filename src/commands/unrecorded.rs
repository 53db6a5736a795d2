//! What a run says on stderr of a ledger that it could not write to the end, so that nothing known is lost with it.

use crate::format::shown_path;
use crate::ledger::{Line, Recovered};
use crate::report::print::to_stderr;
use crate::settings::RunSettings;

/// Tells what may be missing from the ledger, and where the rest of it is.
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
    let (place, move_back) = match recovered {
        Recovered::File(copy) => {
            let copy = shown_path(copy);
            (format!("what it held is in {copy}\n"), format!("move {copy} to {ledger}"))
        }
        Recovered::Lines(lines) => {
            let lines = lines.trim_end();
            (format!("what it held is this:\n{lines}\n"), format!("write these lines to {ledger}"))
        }
    };
    // a ledger that somebody else began there knows of other requests
    let another = std::fs::metadata(&settings.ledger).is_ok_and(|there| there.len() > 0);
    let next = if another {
        format!(
            "{ledger} is another file now: keep both, since each may tell of requests that the other does not know; wait \
             until nothing is switching, and go on without --no-verify"
        )
    } else {
        format!(
            "{move_back} before anything else: without them the same command would begin anew, and could switch engines \
             again that are on their way"
        )
    };
    format!("error: {ledger} was removed or replaced during the run; {place} next: {next}\n")
}

fn missing(settings: &RunSettings, unrecorded: &[Line], removed: bool) -> String {
    let lines = unrecorded.iter().filter_map(|line| line.to_json().ok());
    let lines: String = lines.map(|line| line + "\n").collect();
    let mend = if removed { "keep them" } else { "keep them, mend the disk" };
    let then = if settings.verifies() {
        "it reads the fleet before anything is sent"
    } else {
        "what it cannot tell ends as unknown, and is not sent again"
    };
    format!(
        "error: {} could not be written, so these lines may be missing from it:\n{lines} next: {mend}, then run the same \
         command again: {then}\n",
        shown_path(&settings.ledger),
    )
}
