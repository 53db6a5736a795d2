//! Folds lines into the state of each job, and refuses a step that may not follow the one before. Pure.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::entry::{Entry, Line, RunStarted, SCHEMA, Step};
use crate::job::{ImageVersionId, JobKey};

/// The standing of a job after its last line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// On target before a request was sent.
    UpToDate,
    /// A request was sent or about to be sent; no response is recorded.
    Sent,
    /// Throttled; not applied.
    Throttled,
    /// Refused for a temporary cause; not applied.
    Refused,
    /// The request was not sent.
    NotSent,
    /// The request may or may not have been applied.
    Unconfirmed,
    /// Verified: not applied.
    NotApplied,
    /// Accepted by the service; converging.
    Accepted,
    /// Verified on target and running.
    Switched,
    /// Ended without success.
    Failed,
    /// Accepted, but not on target in time.
    TimedOut,
    /// Could not be verified in time.
    Unknown,
    /// A later request to another target was sent. That happens only after this request has ended or a read has shown the
    /// engine on its target.
    Superseded,
}

impl Standing {
    /// The standing as ledger and messages spell it: the kind of the line that led to it.
    pub fn word(self) -> &'static str {
        match self {
            Self::UpToDate => "up-to-date",
            Self::Sent => "sent",
            Self::Throttled => "throttled",
            Self::Refused => "refused",
            Self::NotSent => "not-sent",
            Self::Unconfirmed => "unconfirmed",
            Self::NotApplied => "not-applied",
            Self::Accepted => "accepted",
            Self::Switched => "switched",
            Self::Failed => "failed",
            Self::TimedOut => "timed-out",
            Self::Unknown => "unknown",
            Self::Superseded => "superseded",
        }
    }

    /// True if the engine is on its target, or the service has accepted the request.
    pub fn is_good(self) -> bool {
        matches!(self, Self::UpToDate | Self::Switched | Self::Accepted)
    }

    /// True while a request may still change the engine.
    pub fn is_open(self) -> bool {
        matches!(self, Self::Sent | Self::Unconfirmed | Self::Accepted | Self::TimedOut | Self::Unknown)
    }
}

impl From<&Step> for Standing {
    /// The standing after a step.
    fn from(step: &Step) -> Self {
        match step {
            Step::UpToDate => Self::UpToDate,
            Step::Sent { .. } => Self::Sent,
            Step::Accepted { .. } => Self::Accepted,
            Step::Throttled(_) => Self::Throttled,
            Step::Refused(_) => Self::Refused,
            Step::NotSent { .. } => Self::NotSent,
            Step::Unconfirmed { .. } => Self::Unconfirmed,
            Step::NotApplied { .. } => Self::NotApplied,
            Step::Switched { .. } => Self::Switched,
            Step::Failed(_) => Self::Failed,
            Step::TimedOut { .. } => Self::TimedOut,
            Step::Unknown { .. } => Self::Unknown,
        }
    }
}

/// The table of legal steps.
fn may_follow(from: Option<Standing>, to: Standing) -> bool {
    use Standing as S;
    let Some(from) = from else { return matches!(to, S::UpToDate | S::Sent | S::Failed) };
    match to {
        S::UpToDate | S::Sent => {
            matches!(from, S::Throttled | S::Refused | S::NotSent | S::NotApplied | S::Failed | S::Superseded)
        }
        S::Accepted => {
            matches!(from, S::Sent | S::Throttled | S::Refused | S::NotSent | S::Unconfirmed | S::NotApplied)
        }
        S::Throttled | S::Refused | S::NotSent => from == S::Sent,
        S::Unconfirmed => {
            matches!(from, S::Sent | S::NotApplied | S::Failed | S::TimedOut | S::Unknown)
        }
        S::NotApplied => from == S::Unconfirmed,
        S::Switched => from == S::Accepted,
        S::Failed => !matches!(from, S::UpToDate | S::Switched | S::TimedOut),
        S::TimedOut => matches!(from, S::Accepted | S::Unconfirmed),
        S::Unknown => matches!(from, S::Throttled | S::NotSent | S::Unconfirmed | S::NotApplied),
        S::Superseded => false,
    }
}

/// Why the latest request did not switch its engine, as far as the ledger shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastError {
    /// The API's code, or a code of this tool; none without a readable response.
    pub code: Option<String>,
    /// The message of the service, or the error of the network or the parser.
    pub message: Option<String>,
    /// `RequestId`, if the service gave one.
    pub request_id: Option<String>,
}

/// What the ledger proves about one job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobRecord {
    /// Its standing.
    pub standing: Standing,
    /// The image version of the engine before the last request.
    pub image_before: Option<ImageVersionId>,
    /// `RequestId` of the latest response that accepted a request.
    pub request_id: Option<String>,
    /// The last refusal or unconfirmed request; a later run that does nothing for the job reports it again.
    pub last_error: Option<LastError>,
    /// True if it stays failed until it is released; a request that is sent or accepted releases it.
    pub needs_release: bool,
}

/// The history of one job over all runs.
#[derive(Clone, Debug, PartialEq)]
pub struct JobHistory {
    /// What its lines prove.
    pub record: JobRecord,
    /// The time of its last line.
    pub at: Timestamp,
    /// Requests that were sent, over all runs.
    pub attempts: u64,
    /// Number of the latest `sent` line; zero if there is none.
    pub sent_line: u64,
}

/// The name of a run in a message.
fn run_name(run: Option<&String>) -> &str {
    run.map_or("none", String::as_str)
}

/// The fold over all lines of a ledger.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct History {
    /// Every job that has a line.
    pub jobs: BTreeMap<JobKey, JobHistory>,
    /// Id and first line of the latest run.
    pub latest_run: Option<(String, RunStarted)>,
    /// True once the latest run has written its last line.
    pub ended: bool,
    /// Ids of all runs.
    pub runs: BTreeSet<String>,
    /// Lines folded so far.
    pub lines: u64,
}

impl History {
    /// Folds one more line.
    ///
    /// # Errors
    ///
    /// A line that may not follow the lines before it, with the reason.
    pub fn apply(&mut self, line: &Line) -> Result<(), String> {
        if line.seq != self.lines + 1 {
            return Err(format!("its `seq` is {} instead of {}", line.seq, self.lines + 1));
        }
        match &line.entry {
            Entry::RunStarted(started) => self.start_run(line, started)?,
            other => {
                let is_latest = self.latest_run.as_ref().is_some_and(|(run, _)| *run == line.run);
                if !is_latest || self.ended {
                    return Err(format!("it belongs to run {}, which is not running at this line", line.run));
                }
                match other {
                    Entry::Job { key, step } => self.step(key, step, line.at)?,
                    _ => self.ended = true,
                }
            }
        }
        self.lines += 1;
        Ok(())
    }

    fn start_run(&mut self, line: &Line, started: &RunStarted) -> Result<(), String> {
        if started.schema != SCHEMA {
            return Err(format!("its schema is {}, and this version reads {SCHEMA}", started.schema));
        }
        let parent = self.latest_run.as_ref().map(|(run, _)| run);
        if started.parent_run.as_ref() != parent {
            return Err(format!(
                "its parent_run is {} instead of {}",
                run_name(started.parent_run.as_ref()),
                run_name(parent)
            ));
        }
        if !self.runs.insert(line.run.clone()) {
            return Err(format!("run {} was started before", line.run));
        }
        self.latest_run = Some((line.run.clone(), started.clone()));
        self.ended = false;
        Ok(())
    }

    fn step(&mut self, key: &JobKey, step: &Step, at: Timestamp) -> Result<(), String> {
        let before = self.jobs.get(key).map(|job| &job.record);
        let record = JobRecord::after(before, step).ok_or_else(|| {
            let before = before.map_or("nothing", |record| record.standing.word());
            format!("`{}` cannot follow `{before}` for {key}", Standing::from(step).word())
        })?;
        let job = self.jobs.entry(key.clone()).or_insert(JobHistory {
            record: record.clone(),
            at,
            attempts: 0,
            sent_line: 0,
        });
        job.record = record;
        job.at = at;
        if matches!(step, Step::Sent { .. }) {
            job.attempts += 1;
            job.sent_line = self.lines + 1;
            self.supersede(key);
        }
        Ok(())
    }

    /// Ends the open requests for the same engine to other targets, because a new request was sent.
    fn supersede(&mut self, by: &JobKey) {
        let first = JobKey { new_image_version_id: ImageVersionId::new(""), ..by.clone() };
        let same_engine = |key: &JobKey| key.region == by.region && key.data_engine_id == by.data_engine_id;
        let of_engine = self.jobs.range_mut(first..).take_while(|(key, _)| same_engine(key));
        for (_, job) in of_engine.filter(|(key, job)| *key != by && job.record.standing.is_open()) {
            job.record.standing = Standing::Superseded;
        }
    }
}

impl JobRecord {
    /// The record of a job after one more step; none if the step may not follow.
    pub fn after(before: Option<&Self>, step: &Step) -> Option<Self> {
        let standing = Standing::from(step);
        if !may_follow(before.map(|record| record.standing), standing) {
            return None;
        }
        let mut record = before.cloned().unwrap_or(Self {
            standing,
            image_before: None,
            request_id: None,
            last_error: None,
            needs_release: false,
        });
        record.standing = standing;
        record.update(step);
        Some(record)
    }

    fn update(&mut self, step: &Step) {
        match step {
            Step::Sent { image_before, .. } => {
                self.needs_release = false;
                self.last_error = None;
                self.request_id = None;
                if image_before.is_some() {
                    self.image_before.clone_from(image_before);
                }
            }
            // the reason for which the row needs a release is kept until a request is sent
            Step::Failed(refused) if self.needs_release && !refused.needs_release => {}
            Step::Unconfirmed { .. } | Step::NotApplied { .. } | Step::Unknown { .. }
                if self.needs_release => {}
            Step::Throttled(refused) | Step::Refused(refused) | Step::Failed(refused) => {
                self.last_error = Some(LastError {
                    code: Some(refused.code.clone()),
                    message: refused.message.clone(),
                    request_id: refused.request_id.clone(),
                });
                self.needs_release |= refused.needs_release;
            }
            Step::Unconfirmed { code, message, request_id, .. } => {
                self.last_error = Some(LastError {
                    code: code.clone(),
                    message: Some(message.clone()),
                    request_id: request_id.clone(),
                });
            }
            // a refusal or a lost response is more precise than the fact that the engine could not be verified
            Step::TimedOut { .. } | Step::Unknown { .. } if self.last_error.is_some() => {}
            Step::NotSent { message } | Step::TimedOut { message } | Step::Unknown { message } => {
                self.last_error =
                    Some(LastError { code: None, message: Some(message.clone()), request_id: None });
            }
            Step::Accepted { request_id, .. } => {
                // a read that shows the engine on its target also releases it
                self.needs_release = false;
                self.request_id.clone_from(request_id);
                self.last_error = None;
            }
            Step::UpToDate => {
                self.needs_release = false;
                self.last_error = None;
            }
            Step::NotApplied { .. } | Step::Switched { .. } => self.last_error = None,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::entry::tests::{key, step};
    use super::super::entry::{RecordedReason, RunEnded};
    use super::*;

    fn run_started() -> RunStarted {
        RunStarted {
            schema: SCHEMA.into(),
            parent_run: None,
            tool_version: "0".into(),
            plan: "plan.csv".into(),
            plan_digest: "0".into(),
            regions: vec![],
            endpoint: "simulator".into(),
            simulated: true,
            rate: 20,
        }
    }

    fn line(seq: u64, entry: Entry) -> Line {
        Line { seq, at: Timestamp::UNIX_EPOCH, run: "r1".into(), entry }
    }

    fn fold(steps: &[(u32, Step)]) -> Result<History, String> {
        let mut history = History::default();
        history.apply(&line(1, Entry::RunStarted(run_started())))?;
        for ((number, step), seq) in steps.iter().zip(2..) {
            history.apply(&line(seq, Entry::Job { key: key(*number), step: step.clone() }))?;
        }
        Ok(history)
    }

    fn sent() -> Step {
        Step::Sent { attempt: 1, image_before: Some(ImageVersionId::new("old")) }
    }

    fn accepted() -> Step {
        Step::Accepted { request_id: None, latency_ms: None, verified: false }
    }

    fn switched() -> Step {
        Step::Switched { image_before: None, image_name_after: None, child_image_after: None }
    }

    #[test]
    fn sent_accepted_switched_is_legal_and_ends_switched() {
        let history = fold(&[(1, sent()), (1, accepted()), (1, switched())]).expect("legal");
        let job = &history.jobs[&key(1)];
        assert_eq!(job.record.standing, Standing::Switched);
        assert_eq!(job.attempts, 1);
        assert_eq!(job.record.image_before, Some(ImageVersionId::new("old")));
    }

    #[test]
    fn no_request_may_follow_switched_or_up_to_date() {
        assert!(fold(&[(1, sent()), (1, accepted()), (1, switched()), (1, sent())]).is_err());
        assert!(fold(&[(1, Step::UpToDate), (1, sent())]).is_err());
    }

    #[test]
    fn no_request_may_follow_an_unconfirmed_one_before_not_applied() {
        let unconfirmed = Step::Unconfirmed {
            code: None,
            message: "reset".into(),
            request_id: None,
            http_status: None,
            latency_ms: None,
        };
        assert!(fold(&[(1, sent()), (1, sent())]).is_err());
        assert!(fold(&[(1, sent()), (1, unconfirmed.clone()), (1, sent())]).is_err());
        let not_applied = Step::NotApplied { image_seen: ImageVersionId::new("old") };
        assert!(fold(&[(1, sent()), (1, unconfirmed), (1, not_applied), (1, sent())]).is_ok());
    }

    #[test]
    fn a_new_request_does_not_inherit_the_request_id_of_an_earlier_one() {
        let accepted = Step::Accepted { request_id: Some("id".into()), latency_ms: None, verified: false };
        let failed = Step::Failed(RecordedReason {
            code: "moved".into(),
            message: None,
            request_id: None,
            latency_ms: None,
            needs_release: true,
        });
        let history = fold(&[(1, sent()), (1, accepted.clone()), (1, failed.clone())]).expect("legal");
        assert_eq!(history.jobs[&key(1)].record.request_id.as_deref(), Some("id"));
        let history = fold(&[(1, sent()), (1, accepted), (1, failed), (1, sent())]).expect("legal");
        assert_eq!(history.jobs[&key(1)].record.request_id, None);
    }

    #[test]
    fn a_new_request_does_not_inherit_the_refusal_of_an_earlier_one() {
        let refused = RecordedReason {
            code: "FailedOperation".into(),
            message: None,
            request_id: None,
            latency_ms: None,
            needs_release: true,
        };
        let steps = [(1, sent()), (1, Step::Failed(refused)), (1, sent())];
        let history = fold(&steps[..2]).expect("legal");
        assert!(
            history.jobs[&key(1)].record.needs_release && history.jobs[&key(1)].record.last_error.is_some()
        );
        let history = fold(&steps).expect("legal");
        assert!(
            !history.jobs[&key(1)].record.needs_release && history.jobs[&key(1)].record.last_error.is_none()
        );
    }

    #[test]
    fn an_accepted_request_releases_its_row() {
        let moved = RecordedReason {
            code: "moved".into(),
            message: None,
            request_id: None,
            latency_ms: None,
            needs_release: true,
        };
        let unconfirmed = Step::Unconfirmed {
            code: None,
            message: "released".into(),
            request_id: None,
            http_status: None,
            latency_ms: None,
        };
        let steps = [(1, sent()), (1, Step::Failed(moved)), (1, unconfirmed), (1, accepted())];
        assert!(fold(&steps[..3]).expect("legal").jobs[&key(1)].record.needs_release);
        assert!(!fold(&steps).expect("legal").jobs[&key(1)].record.needs_release);
    }

    #[test]
    fn a_request_to_another_target_supersedes_the_open_one_for_the_same_engine() {
        let mut history = fold(&[(1, sent()), (1, accepted()), (2, sent())]).expect("legal");
        let other = JobKey { new_image_version_id: ImageVersionId::new("other"), ..key(1) };
        history.apply(&line(5, Entry::Job { key: other.clone(), step: sent() })).expect("legal");
        assert_eq!(history.jobs[&key(1)].record.standing, Standing::Superseded);
        assert_eq!(history.jobs[&key(2)].record.standing, Standing::Sent, "another engine");
        history.apply(&line(6, Entry::Job { key: other, step: accepted() })).expect("legal");
        history.apply(&line(7, Entry::Job { key: key(1), step: sent() })).expect("legal");
    }

    #[test]
    fn the_lines_of_different_jobs_are_independent() {
        let history = fold(&[(1, sent()), (2, sent()), (2, accepted()), (1, accepted())]).expect("legal");
        assert!(history.jobs.values().all(|job| job.record.standing == Standing::Accepted));
    }

    #[test]
    fn a_missing_line_is_detected_by_its_number() {
        let mut history = History::default();
        history.apply(&line(1, Entry::RunStarted(run_started()))).expect("legal");
        assert!(history.apply(&line(3, Entry::Job { key: key(1), step: sent() })).is_err());
    }

    #[test]
    fn a_line_of_a_run_that_was_not_started_is_refused() {
        let mut history = History::default();
        assert!(history.apply(&line(1, Entry::Job { key: key(1), step: sent() })).is_err());
    }

    #[test]
    fn a_run_starts_once_names_its_parent_and_writes_no_line_after_its_end() {
        let mut history = fold(&[(1, sent())]).expect("legal");
        let ended = || Entry::RunEnded(RunEnded { outcomes: BTreeMap::new(), stopped: None });
        let run = |seq, run: &str, entry| Line { run: run.into(), ..line(seq, entry) };
        assert!(history.clone().apply(&run(3, "r2", Entry::RunStarted(run_started()))).is_err(), "no parent");
        let parent_run = Some("r1".to_owned());
        let second = RunStarted { parent_run: parent_run.clone(), ..run_started() };
        assert!(
            history.clone().apply(&run(3, "r1", Entry::RunStarted(second.clone()))).is_err(),
            "the same run"
        );
        history.apply(&run(3, "r1", ended())).expect("legal");
        assert!(history.clone().apply(&run(4, "r1", Entry::Job { key: key(1), step: accepted() })).is_err());
        history.apply(&run(4, "r2", Entry::RunStarted(second))).expect("legal");
        history.apply(&run(5, "r2", Entry::Job { key: key(1), step: accepted() })).expect("legal");
    }

    #[test]
    fn a_later_schema_is_refused() {
        let mut history = History::default();
        let future = RunStarted { schema: "dlc-fleet.ledger/2".into(), ..run_started() };
        assert!(history.apply(&line(1, Entry::RunStarted(future))).is_err());
    }

    /// The table of legal steps, by standing instead of by step: the kinds that may follow.
    fn kinds_after(standing: Option<&str>) -> &'static [&'static str] {
        match standing {
            None => &["up-to-date", "sent", "failed"],
            Some("failed") => &["up-to-date", "sent", "unconfirmed", "failed"],
            Some("throttled" | "not-sent") => &["up-to-date", "sent", "accepted", "failed", "unknown"],
            Some("not-applied") => &["up-to-date", "sent", "accepted", "unconfirmed", "failed", "unknown"],
            Some("sent") => &["accepted", "throttled", "refused", "not-sent", "unconfirmed", "failed"],
            Some("refused") => &["up-to-date", "sent", "accepted", "failed"],
            Some("unconfirmed") => &["accepted", "not-applied", "failed", "timed-out", "unknown"],
            Some("accepted") => &["switched", "failed", "timed-out"],
            Some("timed-out") => &["unconfirmed"],
            Some("unknown") => &["unconfirmed", "failed"],
            Some(_) => &[],
        }
    }

    fn kind(step: &Step) -> String {
        let value = serde_json::to_value(step).expect("json");
        value["kind"].as_str().expect("a kind").to_owned()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn the_fold_accepts_exactly_the_steps_of_the_table_by_standing(steps in proptest::collection::vec(step(), 1..12)) {
            let mut last: Option<String> = None;
            let mut history = fold(&[]).expect("legal");
            for (step, seq) in steps.iter().zip(2..) {
                let legal = kinds_after(last.as_deref()).contains(&kind(step).as_str());
                let result = history.apply(&line(seq, Entry::Job { key: key(1), step: step.clone() }));
                prop_assert_eq!(result.is_ok(), legal, "{:?} after {:?}", step, last);
                if result.is_err() {
                    break;
                }
                last = Some(kind(step));
            }
        }
    }
}
