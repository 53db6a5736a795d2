//! Jobs that are not on their target, grouped by reason, so that a thousand equal failures are one paragraph.

use std::collections::{BTreeMap, BTreeSet};

use crate::event::RunHeader;
use crate::format::count;
use crate::job::{Job, JobIndex, Outcome, Reason};
use crate::report::{print, style, text};
use crate::tally::Tally;

/// The outcomes whose reasons are shown, in this order.
const SHOWN: [Outcome; 4] = [Outcome::Failed, Outcome::TimedOut, Outcome::Unknown, Outcome::NotStarted];
/// Most engines of a group that are named; the JSON document and the ledger have all.
const NAMED: usize = 5;
/// Columns before the text behind a label.
const LABELLED: usize = 11;

/// What the paragraphs are made of.
struct Report<'a> {
    header: &'a RunHeader,
    tally: &'a Tally,
    columns: Option<usize>,
    several_regions: bool,
}

/// Jobs with the same outcome and the same code.
struct Group<'a> {
    outcome: Outcome,
    reason: Option<&'a Reason>,
    jobs: Vec<JobIndex>,
}

/// A paragraph for each group, by outcome, the largest group first; drifted engines are the last.
pub fn paragraphs(header: &RunHeader, tally: &Tally, columns: Option<usize>) -> Vec<String> {
    let regions: BTreeSet<_> = header.jobs.iter().map(|job| &job.key.region).collect();
    let report = Report { header, tally, columns, several_regions: regions.len() > 1 };
    let groups = SHOWN.into_iter().flat_map(|outcome| report.groups(outcome));
    groups.map(|group| report.paragraph(&group)).chain(report.drifted()).collect()
}

impl<'a> Report<'a> {
    fn jobs(&self) -> impl Iterator<Item = JobIndex> + use<> {
        (0..self.header.jobs.len()).map(JobIndex)
    }

    fn groups(&self, outcome: Outcome) -> Vec<Group<'a>> {
        let mut by_code: BTreeMap<&str, Group<'a>> = BTreeMap::new();
        for job in self.jobs().filter(|&job| self.tally.outcome(job) == outcome) {
            let reason = self.tally.result(job).and_then(|result| result.reason.as_ref());
            let code = reason.map_or("", |reason| reason.code.as_str());
            let group = by_code.entry(code).or_insert_with(|| Group { outcome, reason, jobs: Vec::new() });
            group.jobs.push(job);
        }
        let mut groups: Vec<_> = by_code.into_values().collect();
        groups.sort_by_key(|group| std::cmp::Reverse(group.jobs.len()));
        groups
    }

    fn paragraph(&self, group: &Group<'_>) -> String {
        let head = format!("{} {}", count(group.jobs.len()), group.outcome);
        let head = style::as_outcome(group.outcome, &head);
        let engines = self.engines(&group.jobs, |job| self.request_id(job));
        let stopped = self.tally.stopped();
        if text::is_not_verified(group.outcome, group.reason) {
            let (cause, remedy) = text::not_verified(stopped);
            let lines = [self.labelled("cause", &cause), self.labelled("remedy", remedy), engines].concat();
            return format!("{head}: accepted, not verified\n{lines}");
        }
        let Some(reason) = group.reason else {
            let cause = self.labelled("cause", &text::unexplained(group.outcome, stopped));
            return format!("{head}\n{cause}{engines}");
        };
        let cause = self.labelled("cause", &reason.cause);
        let remedy = self.labelled("remedy", &reason.remedy);
        let message = reason.message.as_ref().map_or_else(String::new, |message| {
            self.labelled("message", &(message.clone() + self.other_messages(group, message)))
        });
        format!("{head}: {}\n{cause}{remedy}{message}{engines}", style::strong(&reason.code))
    }

    fn other_messages(&self, group: &Group<'_>, message: &str) -> &'static str {
        let mut reasons = group.jobs.iter().filter_map(|&job| self.tally.result(job)?.reason.as_ref());
        let differs = reasons.any(|reason| reason.message.as_deref() != Some(message));
        if differs { " (the messages of the other engines differ)" } else { "" }
    }

    fn request_id(&self, job: JobIndex) -> Option<String> {
        let id = self.tally.result(job)?.reason.as_ref()?.request_id.as_ref()?;
        Some(format!("RequestId {id}"))
    }

    fn drifted(&self) -> Option<String> {
        let jobs: Vec<_> = self.jobs().filter(|&job| self.tally.drifted_to(job).is_some()).collect();
        let (cause, remedy) = text::DRIFTED;
        let now = |job| Some(format!("now {}", self.tally.drifted_to(job)?));
        let head = style::warn(&format!("{} drifted", count(jobs.len())));
        let lines =
            [self.labelled("cause", cause), self.labelled("remedy", remedy), self.engines(&jobs, now)]
                .concat();
        (!jobs.is_empty()).then(|| format!("{head}\n{lines}"))
    }

    fn engines(&self, jobs: &[JobIndex], remark: impl Fn(JobIndex) -> Option<String>) -> String {
        let named = || jobs.iter().take(NAMED).filter_map(|&at| Some((at, self.header.jobs.get(at.0)?)));
        let longest = named().map(|(_, job)| self.engine(job).chars().count()).max().unwrap_or(0);
        let mut lines = String::new();
        for (at, job) in named() {
            let label = if lines.is_empty() { "engines" } else { "" };
            let remark = remark(at).map(|remark| format!("  {remark}")).unwrap_or_default();
            let note = job.note.as_ref().map(|note| style::quiet(&format!("  ({note})"))).unwrap_or_default();
            let line = format!("{:<longest$}{remark}{note}", self.engine(job));
            lines.push_str(&self.labelled(label, line.trim_end()));
        }
        if jobs.len() > NAMED {
            lines.push_str(&self.labelled("", &format!("and {} more", count(jobs.len() - NAMED))));
        }
        lines
    }

    fn engine(&self, job: &Job) -> String {
        let id = &job.key.data_engine_id;
        if self.several_regions { format!("{id}  {}", job.key.region) } else { id.to_string() }
    }

    fn labelled(&self, label: &str, text: &str) -> String {
        let line = format!("  {}  {text}", style::quiet(&format!("{label:<7}")));
        print::wrap(&line, self.columns, LABELLED) + "\n"
    }
}
