//! From lines to the state of each job: pure, and strict about which step may follow which.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::entry::{Entry, Line, Refused, RunOpened, SCHEMA, Step};
use crate::job::{ImageVersionId, JobKey};

/// Where a job stands after its last line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Was on target before anything was sent.
    Already,
    /// A request left, or was about to; no answer is on record.
    Sent,
    /// Refused as too fast; not applied.
    Throttled,
    /// Refused in a way that may pass; to be read back before it goes again.
    Refused,
    /// The request never left.
    NotSent,
    /// May or may not have been applied.
    Doubtful,
    /// Read back: not applied.
    Cleared,
    /// Taken by the service; converging.
    Accepted,
    /// Done.
    Switched,
    /// Ended without success.
    Failed,
    /// Accepted, but not on target in time.
    Unconverged,
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
            Self::Already => "already",
            Self::Sent => "sent",
            Self::Throttled => "throttled",
            Self::Refused => "refused",
            Self::NotSent => "not-sent",
            Self::Doubtful => "doubtful",
            Self::Cleared => "cleared",
            Self::Accepted => "accepted",
            Self::Switched => "switched",
            Self::Failed => "failed",
            Self::Unconverged => "unconverged",
            Self::Unknown => "unknown",
            Self::Superseded => "superseded",
        }
    }

    /// True where the engine is on its target, or the service has taken the request.
    pub fn is_good(self) -> bool {
        matches!(self, Self::Already | Self::Switched | Self::Accepted)
    }

    /// True while a request may still change the engine.
    pub fn is_open(self) -> bool {
        matches!(self, Self::Sent | Self::Doubtful | Self::Accepted | Self::Unconverged | Self::Unknown)
    }
}

/// The one table of legal steps.
fn next(from: Option<Standing>, step: &Step) -> Option<Standing> {
    use Standing as S;
    let (allowed, to): (&[S], S) = match step {
        Step::Already => {
            (&[S::Throttled, S::Refused, S::NotSent, S::Cleared, S::Failed, S::Superseded], S::Already)
        }
        Step::Sent { .. } => {
            (&[S::Throttled, S::Refused, S::NotSent, S::Cleared, S::Failed, S::Superseded], S::Sent)
        }
        Step::Accepted { .. } => {
            (&[S::Sent, S::Throttled, S::Refused, S::NotSent, S::Doubtful, S::Cleared], S::Accepted)
        }
        Step::Throttled(_) => (&[S::Sent], S::Throttled),
        Step::Refused(_) => (&[S::Sent], S::Refused),
        Step::NotSent { .. } => (&[S::Sent], S::NotSent),
        Step::Doubtful { .. } => (&[S::Sent, S::Cleared, S::Failed, S::Unconverged, S::Unknown], S::Doubtful),
        Step::Cleared { .. } => (&[S::Doubtful], S::Cleared),
        Step::Switched { .. } => (&[S::Accepted], S::Switched),
        Step::Failed(_) => (
            &[
                S::Sent,
                S::Throttled,
                S::Refused,
                S::NotSent,
                S::Doubtful,
                S::Cleared,
                S::Accepted,
                S::Failed,
                S::Unknown,
                S::Superseded,
            ],
            S::Failed,
        ),
        Step::Unconverged { .. } => (&[S::Accepted, S::Doubtful], S::Unconverged),
        Step::Unknown { .. } => (&[S::Throttled, S::NotSent, S::Doubtful, S::Cleared], S::Unknown),
    };
    let starts = matches!(step, Step::Already | Step::Sent { .. } | Step::Failed(_));
    from.map_or(starts, |standing| allowed.contains(&standing)).then_some(to)
}

/// What the ledger knows of one job.
#[derive(Clone, Debug, PartialEq)]
pub struct JobMemory {
    /// Where it stands.
    pub standing: Standing,
    /// Since when: the time of its last line.
    pub at: Timestamp,
    /// Requests that left, over all runs.
    pub attempts: u64,
    /// Number of the line that announced the latest request; zero where none was.
    pub sent_line: u64,
    /// The image the engine was on before the last request.
    pub image_before: Option<ImageVersionId>,
    /// `RequestId` of the latest accepting answer.
    pub request_id: Option<String>,
    /// The last refusal or doubt, to be told again where the job is left alone.
    pub trouble: Option<Refused>,
    /// True where it failed and stays failed until it is released; a request that is sent or accepted ends that.
    pub until_released: bool,
}

/// What the ledger knows: the fold over all its lines.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Memory {
    /// Every job that was ever touched.
    pub jobs: BTreeMap<JobKey, JobMemory>,
    /// Id and first line of the latest run.
    pub latest_run: Option<(String, RunOpened)>,
    /// True once the latest run has written its last line.
    pub closed: bool,
    /// Ids of all runs.
    pub runs: BTreeSet<String>,
    /// Lines folded so far.
    pub lines: u64,
}

impl Memory {
    /// Folds one more line, or says why it cannot stand where it does.
    pub fn take(&mut self, line: &Line) -> Result<(), String> {
        if line.seq != self.lines + 1 {
            return Err(format!("its `seq` is {} where {} is due", line.seq, self.lines + 1));
        }
        match &line.entry {
            Entry::Opened(opened) => self.open(line, opened)?,
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

    fn open(&mut self, line: &Line, opened: &RunOpened) -> Result<(), String> {
        if opened.schema != SCHEMA {
            return Err(format!("its schema is {}, and this version reads {SCHEMA}", opened.schema));
        }
        let parent = self.latest_run.as_ref().map(|(run, _)| run);
        if opened.parent_run.as_ref() != parent {
            return Err(format!("it goes on from run {:?} where {parent:?} is due", opened.parent_run));
        }
        if !self.runs.insert(line.run.clone()) {
            return Err(format!("run {} was opened before", line.run));
        }
        self.latest_run = Some((line.run.clone(), opened.clone()));
        self.closed = false;
        Ok(())
    }

    fn step(&mut self, key: &JobKey, step: &Step, at: Timestamp) -> Result<(), String> {
        let before = self.jobs.get(key).map(|job| job.standing);
        let Some(standing) = next(before, step) else {
            let before = before.map_or_else(|| "nothing".to_owned(), |standing| format!("{standing:?}"));
            return Err(format!("{step:?} cannot follow {before} for {key}"));
        };
        let job = self.jobs.entry(key.clone()).or_insert(JobMemory {
            standing,
            at,
            attempts: 0,
            sent_line: 0,
            image_before: None,
            request_id: None,
            trouble: None,
            until_released: false,
        });
        job.standing = standing;
        job.at = at;
        job.remember(step, self.lines + 1);
        if matches!(step, Step::Sent { .. }) {
            self.supersede(key);
        }
        Ok(())
    }

    /// A request was sent: the open requests of the same engine to other targets have ended.
    fn supersede(&mut self, by: &JobKey) {
        let first = JobKey { new_image_version_id: ImageVersionId::new(""), ..by.clone() };
        let same_engine = |key: &JobKey| key.region == by.region && key.data_engine_id == by.data_engine_id;
        let of_engine = self.jobs.range_mut(first..).take_while(|(key, _)| same_engine(key));
        for (_, job) in of_engine.filter(|(key, job)| *key != by && job.standing.is_open()) {
            job.standing = Standing::Superseded;
        }
    }
}

impl JobMemory {
    fn remember(&mut self, step: &Step, line: u64) {
        match step {
            Step::Sent { image_before, .. } => {
                self.attempts += 1;
                self.sent_line = line;
                self.until_released = false;
                self.trouble = None;
                self.request_id = None;
                if image_before.is_some() {
                    self.image_before.clone_from(image_before);
                }
            }
            // what holds the row stays its reason until a request is sent
            Step::Failed(refused) if self.until_released && !refused.until_released => {}
            Step::Doubtful { .. } | Step::Cleared { .. } | Step::Unknown { .. } if self.until_released => {}
            Step::Throttled(refused) | Step::Refused(refused) | Step::Failed(refused) => {
                self.trouble = Some(refused.clone());
                self.until_released |= refused.until_released;
            }
            Step::Doubtful { code, message, request_id, .. } => {
                self.trouble = Some(Refused {
                    code: code.clone().unwrap_or_default(),
                    message: Some(message.clone()),
                    request_id: request_id.clone(),
                    latency_ms: None,
                    until_released: false,
                });
            }
            // what was refused or lost says more than that it could not be verified
            Step::Unconverged { .. } | Step::Unknown { .. } if self.trouble.is_some() => {}
            Step::NotSent { message } | Step::Unconverged { message } | Step::Unknown { message } => {
                let code = String::new();
                let message = Some(message.clone());
                self.trouble = Some(Refused {
                    code,
                    message,
                    request_id: None,
                    latency_ms: None,
                    until_released: false,
                });
            }
            Step::Accepted { request_id, .. } => {
                // a read that shows the engine on its target ends the hold as well
                self.until_released = false;
                self.request_id.clone_from(request_id);
                self.trouble = None;
            }
            Step::Already | Step::Cleared { .. } | Step::Switched { .. } => {
                self.trouble = None;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::entry::RunClosed;
    use super::super::entry::tests::{key, step};
    use super::*;

    fn opened() -> RunOpened {
        RunOpened {
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

    fn fold(steps: &[(u32, Step)]) -> Result<Memory, String> {
        let mut memory = Memory::default();
        memory.take(&line(1, Entry::Opened(opened())))?;
        for ((number, step), seq) in steps.iter().zip(2..) {
            memory.take(&line(seq, Entry::Job { key: key(*number), step: step.clone() }))?;
        }
        Ok(memory)
    }

    fn sent() -> Step {
        Step::Sent { attempt: 1, image_before: Some(ImageVersionId::new("old")) }
    }

    fn accepted() -> Step {
        Step::Accepted { request_id: None, latency_ms: None, read_back: false }
    }

    fn switched() -> Step {
        Step::Switched { image_before: None, image_name_after: None, child_image_after: None }
    }

    #[test]
    fn the_usual_life_of_a_job_ends_switched() {
        let memory = fold(&[(1, sent()), (1, accepted()), (1, switched())]).expect("legal");
        let job = &memory.jobs[&key(1)];
        assert_eq!(job.standing, Standing::Switched);
        assert_eq!(job.attempts, 1);
        assert_eq!(job.image_before, Some(ImageVersionId::new("old")));
    }

    #[test]
    fn nothing_is_ever_sent_again_after_switched_or_already() {
        assert!(fold(&[(1, sent()), (1, accepted()), (1, switched()), (1, sent())]).is_err());
        assert!(fold(&[(1, Step::Already), (1, sent())]).is_err());
    }

    #[test]
    fn nothing_is_sent_again_while_in_doubt() {
        let doubtful = Step::Doubtful {
            code: None,
            message: "reset".into(),
            request_id: None,
            http_status: None,
            latency_ms: None,
        };
        assert!(fold(&[(1, sent()), (1, sent())]).is_err());
        assert!(fold(&[(1, sent()), (1, doubtful.clone()), (1, sent())]).is_err());
        let cleared = Step::Cleared { image_seen: ImageVersionId::new("old") };
        assert!(fold(&[(1, sent()), (1, doubtful), (1, cleared), (1, sent())]).is_ok());
    }

    #[test]
    fn a_new_request_does_not_inherit_the_request_id_of_an_earlier_one() {
        let accepted = Step::Accepted { request_id: Some("id".into()), latency_ms: None, read_back: false };
        let failed = Step::Failed(Refused {
            code: "moved".into(),
            message: None,
            request_id: None,
            latency_ms: None,
            until_released: true,
        });
        let memory = fold(&[(1, sent()), (1, accepted.clone()), (1, failed.clone())]).expect("legal");
        assert_eq!(memory.jobs[&key(1)].request_id.as_deref(), Some("id"));
        let memory = fold(&[(1, sent()), (1, accepted), (1, failed), (1, sent())]).expect("legal");
        assert_eq!(memory.jobs[&key(1)].request_id, None);
    }

    #[test]
    fn a_new_request_does_not_inherit_the_refusal_of_an_earlier_one() {
        let refused = Refused {
            code: "FailedOperation".into(),
            message: None,
            request_id: None,
            latency_ms: None,
            until_released: true,
        };
        let steps = [(1, sent()), (1, Step::Failed(refused)), (1, sent())];
        let memory = fold(&steps[..2]).expect("legal");
        assert!(memory.jobs[&key(1)].until_released && memory.jobs[&key(1)].trouble.is_some());
        let memory = fold(&steps).expect("legal");
        assert!(!memory.jobs[&key(1)].until_released && memory.jobs[&key(1)].trouble.is_none());
    }

    #[test]
    fn an_accepted_request_ends_the_hold_of_its_row() {
        let moved = Refused {
            code: "moved".into(),
            message: None,
            request_id: None,
            latency_ms: None,
            until_released: true,
        };
        let unconfirmed = Step::Doubtful {
            code: None,
            message: "released".into(),
            request_id: None,
            http_status: None,
            latency_ms: None,
        };
        let steps = [(1, sent()), (1, Step::Failed(moved)), (1, unconfirmed), (1, accepted())];
        assert!(fold(&steps[..3]).expect("legal").jobs[&key(1)].until_released);
        assert!(!fold(&steps).expect("legal").jobs[&key(1)].until_released);
    }

    #[test]
    fn a_request_to_another_target_ends_the_open_one_of_the_same_engine() {
        let mut memory = fold(&[(1, sent()), (1, accepted()), (2, sent())]).expect("legal");
        let other = JobKey { new_image_version_id: ImageVersionId::new("other"), ..key(1) };
        memory.take(&line(5, Entry::Job { key: other.clone(), step: sent() })).expect("legal");
        assert_eq!(memory.jobs[&key(1)].standing, Standing::Superseded);
        assert_eq!(memory.jobs[&key(2)].standing, Standing::Sent, "another engine");
        memory.take(&line(6, Entry::Job { key: other, step: accepted() })).expect("legal");
        memory.take(&line(7, Entry::Job { key: key(1), step: sent() })).expect("it goes back");
    }

    #[test]
    fn jobs_do_not_disturb_each_other() {
        let memory = fold(&[(1, sent()), (2, sent()), (2, accepted()), (1, accepted())]).expect("legal");
        assert!(memory.jobs.values().all(|job| job.standing == Standing::Accepted));
    }

    #[test]
    fn a_missing_line_is_noticed_by_its_number() {
        let mut memory = Memory::default();
        memory.take(&line(1, Entry::Opened(opened()))).expect("legal");
        assert!(memory.take(&line(3, Entry::Job { key: key(1), step: sent() })).is_err());
    }

    #[test]
    fn a_line_of_a_run_that_was_not_opened_is_refused() {
        let mut memory = Memory::default();
        assert!(memory.take(&line(1, Entry::Job { key: key(1), step: sent() })).is_err());
    }

    #[test]
    fn a_run_opens_once_goes_on_from_the_one_before_and_says_nothing_after_its_end() {
        let mut memory = fold(&[(1, sent())]).expect("legal");
        let closed = || Entry::Closed(RunClosed { outcomes: BTreeMap::new(), stopped: None });
        let run = |seq, run: &str, entry| Line { run: run.into(), ..line(seq, entry) };
        assert!(memory.clone().take(&run(3, "r2", Entry::Opened(opened()))).is_err(), "no parent");
        let parent_run = Some("r1".to_owned());
        let again = RunOpened { parent_run: parent_run.clone(), ..opened() };
        assert!(memory.clone().take(&run(3, "r1", Entry::Opened(again.clone()))).is_err(), "the same run");
        memory.take(&run(3, "r1", closed())).expect("legal");
        assert!(memory.clone().take(&run(4, "r1", Entry::Job { key: key(1), step: accepted() })).is_err());
        memory.take(&run(4, "r2", Entry::Opened(again))).expect("legal");
        memory.take(&run(5, "r2", Entry::Job { key: key(1), step: accepted() })).expect("legal");
    }

    #[test]
    fn a_schema_of_the_future_is_refused() {
        let mut memory = Memory::default();
        let future = RunOpened { schema: "dlc-fleet.ledger/2".into(), ..opened() };
        assert!(memory.take(&line(1, Entry::Opened(future))).is_err());
    }

    /// The table again, written the other way round: what may come next, for each standing.
    fn kinds_after(standing: Option<&str>) -> &'static [&'static str] {
        match standing {
            None => &["already", "sent", "failed"],
            Some("failed") => &["already", "sent", "doubtful", "failed"],
            Some("throttled" | "not-sent") => &["already", "sent", "accepted", "failed", "unknown"],
            Some("cleared") => &["already", "sent", "accepted", "doubtful", "failed", "unknown"],
            Some("sent") => &["accepted", "throttled", "refused", "not-sent", "doubtful", "failed"],
            Some("refused") => &["already", "sent", "accepted", "failed"],
            Some("doubtful") => &["accepted", "cleared", "failed", "unconverged", "unknown"],
            Some("accepted") => &["switched", "failed", "unconverged"],
            Some("unconverged") => &["doubtful"],
            Some("unknown") => &["doubtful", "failed"],
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
            let mut memory = fold(&[]).expect("legal");
            for (step, seq) in steps.iter().zip(2..) {
                let legal = kinds_after(last.as_deref()).contains(&kind(step).as_str());
                let taken = memory.take(&line(seq, Entry::Job { key: key(1), step: step.clone() }));
                prop_assert_eq!(taken.is_ok(), legal, "{:?} after {:?}", step, last);
                if taken.is_err() {
                    break;
                }
                last = Some(kind(step));
            }
        }
    }
}
