//! Jobs that did not end well, grouped by why, so that a thousand equal failures are one thing to read.

use std::collections::BTreeMap;

use super::{paint, wording};
use crate::event::RunHeader;
use crate::format;
use crate::job::{Job, JobIndex, Outcome, Reason};
use crate::tally::Tally;

/// The outcomes that are worth a reason, in the order in which they are told.
const TOLD: [Outcome; 4] = [Outcome::Failed, Outcome::TimedOut, Outcome::Unknown, Outcome::NotStarted];
/// So many engines of a group are named; the JSON document and the ledger have all.
const NAMED: usize = 5;

/// Jobs with the same outcome and the same code.
struct Group<'a> {
    outcome: Outcome,
    reason: Option<&'a Reason>,
    jobs: Vec<JobIndex>,
}

/// All groups, as paragraphs: by outcome, the largest group first.
pub fn paragraphs(header: &RunHeader, tally: &Tally) -> Vec<String> {
    let regions = super::several_regions(header);
    let mut paragraphs: Vec<_> =
        groups(header, tally).iter().map(|group| paragraph(header, tally, group, regions)).collect();
    paragraphs.extend(drifted(header, tally, regions));
    paragraphs
}

fn groups<'a>(header: &RunHeader, tally: &'a Tally) -> Vec<Group<'a>> {
    let mut groups = Vec::new();
    for outcome in TOLD {
        let mut by_code: BTreeMap<&str, Group<'a>> = BTreeMap::new();
        let jobs = (0..header.jobs.len()).map(JobIndex);
        for job in jobs.filter(|&job| tally.outcome(job) == outcome) {
            let reason = tally.result(job).and_then(|result| result.reason.as_ref());
            let code = reason.map_or("", |reason| reason.code.as_str());
            let group = by_code.entry(code).or_insert_with(|| Group { outcome, reason, jobs: Vec::new() });
            group.jobs.push(job);
        }
        let mut of_outcome: Vec<_> = by_code.into_values().collect();
        of_outcome.sort_by_key(|group| std::cmp::Reverse(group.jobs.len()));
        groups.extend(of_outcome);
    }
    groups
}

fn paragraph(header: &RunHeader, tally: &Tally, group: &Group<'_>, regions: bool) -> String {
    let head = format!("{} {}", format::count(group.jobs.len()), group.outcome);
    let head = paint::as_outcome(group.outcome, &head);
    let engines = engines(header, &group.jobs, regions, |job| request_id(tally, job));
    if wording::is_unproven(group.outcome, group.reason) {
        let cause = labelled("cause", &format!("{} before read-back could prove it", ended_by(tally)));
        let remedy = labelled("remedy", "the same command goes on watching");
        return format!("{head}: accepted by the service, not yet proven\n{cause}{remedy}{engines}");
    }
    let Some(reason) = group.reason else {
        return format!("{head}\n{}{engines}", labelled("cause", &unexplained(tally, group.outcome)));
    };
    let code = paint::strong(&reason.code);
    let cause = labelled("cause", &reason.cause);
    let remedy = labelled("remedy", &reason.remedy);
    let message = reason.message.as_ref().map_or_else(String::new, |message| {
        labelled("message", &(message.clone() + others_say(tally, group, message)))
    });
    format!("{head}: {code}\n{cause}{remedy}{message}{engines}")
}

/// What there is to say where no reason was given: the end of the run itself is the reason.
fn unexplained(tally: &Tally, outcome: Outcome) -> String {
    let why = ended_by(tally);
    match outcome {
        Outcome::NotStarted => format!("{why} before their turn"),
        _ => format!("{why} before they were settled"),
    }
}

fn ended_by(tally: &Tally) -> String {
    tally.stopped().map_or_else(|| "the run ended".to_owned(), wording::stop_cause)
}

fn others_say(tally: &Tally, group: &Group<'_>, message: &str) -> &'static str {
    let mut reasons = group.jobs.iter().filter_map(|&job| tally.result(job)?.reason.as_ref());
    let differs = reasons.any(|reason| reason.message.as_deref() != Some(message));
    if differs { " (the others say it differently)" } else { "" }
}

fn request_id(tally: &Tally, job: JobIndex) -> Option<String> {
    let id = tally.result(job)?.reason.as_ref()?.request_id.as_ref()?;
    Some(format!("RequestId {id}"))
}

/// Engines that are not as this run or an earlier one left them; their outcome is what that run proved.
fn drifted(header: &RunHeader, tally: &Tally, regions: bool) -> Option<String> {
    let jobs: Vec<_> =
        (0..header.jobs.len()).map(JobIndex).filter(|&job| tally.drifted_to(job).is_some()).collect();
    if jobs.is_empty() {
        return None;
    }
    let mut text = paint::warn(&format!("{} drifted", format::count(jobs.len()))) + "\n";
    text.push_str(&labelled(
        "cause",
        "they were on their target, by this run or an earlier one, and are not as they were left",
    ));
    text.push_str(&labelled("remedy", "find out what happened to them; this run left them alone"));
    text.push_str(&engines(header, &jobs, regions, |job| Some(format!("now {}", tally.drifted_to(job)?))));
    Some(text)
}

fn engines(
    header: &RunHeader,
    jobs: &[JobIndex],
    regions: bool,
    remark: impl Fn(JobIndex) -> Option<String>,
) -> String {
    let named = || jobs.iter().take(NAMED).filter_map(|&at| Some((at, header.jobs.get(at.0)?)));
    let longest = named().map(|(_, job)| place(job, regions).chars().count()).max().unwrap_or(0);
    let mut text = String::new();
    for (at, job) in named() {
        let label = if text.is_empty() { "engines" } else { "" };
        let mut line = format!("{:<longest$}", place(job, regions));
        if let Some(remark) = remark(at) {
            line += "  ";
            line += &remark;
        }
        if let Some(note) = &job.note {
            line += "  ";
            line += &paint::quiet(&format!("({note})"));
        }
        text.push_str(&labelled(label, line.trim_end()));
    }
    if jobs.len() > NAMED {
        text.push_str(&labelled("", &format!("and {} more", format::count(jobs.len() - NAMED))));
    }
    text
}

fn place(job: &Job, regions: bool) -> String {
    let id = &job.key.data_engine_id;
    if regions { format!("{id}  {}", job.key.region) } else { id.to_string() }
}

fn labelled(label: &str, text: &str) -> String {
    format!("  {}  {text}\n", paint::quiet(&format!("{label:<7}")))
}
