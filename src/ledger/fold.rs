//! From lines to the state of each job: pure, and strict about which step may follow which.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::entry::{Entry, Line, RunStarted, SCHEMA, Step};
use crate::job::{ImageVersionId, JobKey};

/// Where a job stands after its last line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Was on target before anything was sent.
    UpToDate,
    /// A request left, or was about to; no answer is on record.
    Sent,
    /// Refused as too fast; not applied.
    Throttled,
    /// Refused in a way that may pass; to be read back before it goes again.
    Refused,
    /// The request never left.
    NotSent,
    /// May or may not have been applied.
    Unconfirmed,
    /// Read back: not applied.
    NotApplied,
    /// Taken by the service; converging.
    Accepted,
    /// Done.
    Switched,
    /// Ended without success.
    Failed,
    /// Accepted, but not on target in time.
    TimedOut,
    /// Could not be settled.
    Unknown,
    /// A request to another target was sent after this one had shown its effect: a request leaves for an engine only once
    /// the one before it has ended or was seen on its target.
    Superseded,
}

impl Standing {
    /// The word that people and files read: that of the line which led here.
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

    /// True where the engine is on its target, or the service has taken the request.
    pub fn is_good(self) -> bool {
        matches!(self, Self::UpToDate | Self::Switched | Self::Accepted)
    }

    /// True while a request may still change the engine.
    pub fn is_open(self) -> bool {
        matches!(self, Self::Sent | Self::Unconfirmed | Self::Accepted | Self::TimedOut | Self::Unknown)
    }
}

impl From<&Step> for Standing {
    /// Where a step leads.
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

/// The one table of legal steps.
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

/// Why the latest request did not switch its engine, as far as the ledger tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastError {
    /// The API's code, or a code of this tool; none where no response could be read.
    pub code: Option<String>,
    /// What the service, the network or the parser said.
    pub message: Option<String>,
    /// `RequestId`, where the service gave one.
    pub request_id: Option<String>,
}

/// What the ledger proves about one job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobRecord {
    /// Where it stands.
    pub standing: Standing,
    /// The image version of the engine before the last request.
    pub image_before: Option<ImageVersionId>,
    /// `RequestId` of the latest response that accepted a request.
    pub request_id: Option<String>,
    /// The last refusal or unconfirmed request, reported again where the job is left alone.
    pub last_error: Option<LastError>,
    /// True where it failed and stays failed until it is released; a request that is sent or accepted ends that.
    pub needs_release: bool,
}

/// What the ledger knows of one job over all runs.
#[derive(Clone, Debug, PartialEq)]
pub struct JobHistory {
    /// What its lines prove together.
    pub record: JobRecord,
    /// The time of its last line.
    pub at: Timestamp,
    /// Requests that were sent, over all runs.
    pub attempts: u64,
    /// Number of the line that announced the latest request; zero where none was.
    pub sent_line: u64,
}

/// The name of a run in a message.
fn run_name(run: Option<&String>) -> &str {
    run.map_or("none", String::as_str)
}

/// What the ledger knows: the fold over all its lines.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct History {
    /// Every job that was ever touched.
    pub jobs: BTreeMap<JobKey, JobHistory>,
    /// Id and first line of the latest run.
    pub latest_run: Option<(String, RunStarted)>,
    /// True once the latest run has written its last line.
    pub closed: bool,
    /// Ids of all runs.
    pub runs: BTreeSet<String>,
    /// Lines folded so far.
    pub lines: u64,
}

impl History {
    /// Folds one more line, or says why it cannot stand where it does.
    pub fn take(&mut self, line: &Line) -> Result<(), String> {
        if line.seq != self.lines + 1 {
            return Err(format!("its `seq` is {} where {} is due", line.seq, self.lines + 1));
        }
        match &line.entry {
            Entry::RunStarted(opened) => self.open(line, opened)?,
            other => {
                let open = self.latest_run.as_ref().is_some_and(|(run, _)| *run == line.run);
                if !open || self.closed {
                    return Err(format!("it belongs to run {}, which is not open here", line.run));
                }
                match other {
                    Entry::Job { key, step } => self.step(key, step, line.at)?,
                    _ => self.closed = true,
                }
            }
        }
        self.lines += 1;
        Ok(())
    }

    fn open(&mut self, line: &Line, opened: &RunStarted) -> Result<(), String> {
        if opened.schema != SCHEMA {
            return Err(format!("its schema is {}, and this version reads {SCHEMA}", opened.schema));
        }
        let parent = self.latest_run.as_ref().map(|(run, _)| run);
        if opened.parent_run.as_ref() != parent {
            return Err(format!(
                "its parent_run is {} instead of {}",
                run_name(opened.parent_run.as_ref()),
                run_name(parent)
            ));
        }
        if !self.runs.insert(line.run.clone()) {
            return Err(format!("run {} was opened before", line.run));
        }
        self.latest_run = Some((line.run.clone(), opened.clone()));
        self.closed = false;
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

    /// A request was sent: the open requests of the same engine to other targets have ended.
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
    /// The record of a job after one more step; none where the step may not follow.
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
        record.note(step);
        Some(record)
    }

    fn note(&mut self, step: &Step) {
        match step {
            Step::Sent { image_before, .. } => {
                self.needs_release = false;
                self.last_error = None;
                self.request_id = None;
                if image_before.is_some() {
                    self.image_before.clone_from(image_before);
                }
            }
            // what holds the row stays its reason until a request is sent
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
            // a refusal or a lost response says more than that the engine could not be verified
            Step::TimedOut { .. } | Step::Unknown { .. } if self.last_error.is_some() => {}
            Step::NotSent { message } | Step::TimedOut { message } | Step::Unknown { message } => {
                self.last_error =
                    Some(LastError { code: None, message: Some(message.clone()), request_id: None });
            }
            Step::Accepted { request_id, .. } => {
                // a read that shows the engine on its target releases it as well
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

    fn opened() -> RunStarted {
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
        history.take(&line(1, Entry::RunStarted(opened())))?;
        for ((number, step), seq) in steps.iter().zip(2..) {
            history.take(&line(seq, Entry::Job { key: key(*number), step: step.clone() }))?;
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
    fn the_usual_life_of_a_job_ends_switched() {
        let history = fold(&[(1, sent()), (1, accepted()), (1, switched())]).expect("legal");
        let job = &history.jobs[&key(1)];
        assert_eq!(job.record.standing, Standing::Switched);
        assert_eq!(job.attempts, 1);
        assert_eq!(job.record.image_before, Some(ImageVersionId::new("old")));
    }

    #[test]
    fn nothing_is_ever_sent_again_after_switched_or_already() {
        assert!(fold(&[(1, sent()), (1, accepted()), (1, switched()), (1, sent())]).is_err());
        assert!(fold(&[(1, Step::UpToDate), (1, sent())]).is_err());
    }

    #[test]
    fn nothing_is_sent_again_while_in_doubt() {
        let unconfirmed = Step::Unconfirmed {
            code: None,
            message: "reset".into(),
            request_id: None,
            http_status: None,
            latency_ms: None,
        };
        assert!(fold(&[(1, sent()), (1, sent())]).is_err());
        assert!(fold(&[(1, sent()), (1, unconfirmed.clone()), (1, sent())]).is_err());
        let cleared = Step::NotApplied { image_seen: ImageVersionId::new("old") };
        assert!(fold(&[(1, sent()), (1, unconfirmed), (1, cleared), (1, sent())]).is_ok());
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
    fn an_accepted_request_ends_the_hold_of_its_row() {
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
    fn a_request_to_another_target_ends_the_open_one_of_the_same_engine() {
        let mut history = fold(&[(1, sent()), (1, accepted()), (2, sent())]).expect("legal");
        let other = JobKey { new_image_version_id: ImageVersionId::new("other"), ..key(1) };
        history.take(&line(5, Entry::Job { key: other.clone(), step: sent() })).expect("legal");
        assert_eq!(history.jobs[&key(1)].record.standing, Standing::Superseded);
        assert_eq!(history.jobs[&key(2)].record.standing, Standing::Sent, "another engine");
        history.take(&line(6, Entry::Job { key: other, step: accepted() })).expect("legal");
        history.take(&line(7, Entry::Job { key: key(1), step: sent() })).expect("it goes back");
    }

    #[test]
    fn jobs_do_not_disturb_each_other() {
        let history = fold(&[(1, sent()), (2, sent()), (2, accepted()), (1, accepted())]).expect("legal");
        assert!(history.jobs.values().all(|job| job.record.standing == Standing::Accepted));
    }

    #[test]
    fn a_missing_line_is_noticed_by_its_number() {
        let mut history = History::default();
        history.take(&line(1, Entry::RunStarted(opened()))).expect("legal");
        assert!(history.take(&line(3, Entry::Job { key: key(1), step: sent() })).is_err());
    }

    #[test]
    fn a_line_of_a_run_that_was_not_opened_is_refused() {
        let mut history = History::default();
        assert!(history.take(&line(1, Entry::Job { key: key(1), step: sent() })).is_err());
    }

    #[test]
    fn a_run_opens_once_goes_on_from_the_one_before_and_says_nothing_after_its_end() {
        let mut history = fold(&[(1, sent())]).expect("legal");
        let closed = || Entry::RunEnded(RunEnded { outcomes: BTreeMap::new(), stopped: None });
        let run = |seq, run: &str, entry| Line { run: run.into(), ..line(seq, entry) };
        assert!(history.clone().take(&run(3, "r2", Entry::RunStarted(opened()))).is_err(), "no parent");
        let parent_run = Some("r1".to_owned());
        let again = RunStarted { parent_run: parent_run.clone(), ..opened() };
        assert!(
            history.clone().take(&run(3, "r1", Entry::RunStarted(again.clone()))).is_err(),
            "the same run"
        );
        history.take(&run(3, "r1", closed())).expect("legal");
        assert!(history.clone().take(&run(4, "r1", Entry::Job { key: key(1), step: accepted() })).is_err());
        history.take(&run(4, "r2", Entry::RunStarted(again))).expect("legal");
        history.take(&run(5, "r2", Entry::Job { key: key(1), step: accepted() })).expect("legal");
    }

    #[test]
    fn a_schema_of_the_future_is_refused() {
        let mut history = History::default();
        let future = RunStarted { schema: "dlc-fleet.ledger/2".into(), ..opened() };
        assert!(history.take(&line(1, Entry::RunStarted(future))).is_err());
    }

    /// The table again, written the other way round: what may come next, for each standing.
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
        fn the_fold_agrees_with_the_table_written_the_other_way_round(steps in proptest::collection::vec(step(), 1..12)) {
            let mut last: Option<String> = None;
            let mut history = fold(&[]).expect("legal");
            for (step, seq) in steps.iter().zip(2..) {
                let legal = kinds_after(last.as_deref()).contains(&kind(step).as_str());
                let taken = history.take(&line(seq, Entry::Job { key: key(1), step: step.clone() }));
                prop_assert_eq!(taken.is_ok(), legal, "{:?} after {:?}", step, last);
                if taken.is_err() {
                    break;
                }
                last = Some(kind(step));
            }
        }
    }
}
