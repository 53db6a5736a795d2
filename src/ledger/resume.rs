//! Finds what the ledger proves about each row of a plan. Pure.

use std::collections::HashMap;

use super::entry::Step;
use super::fold::{History, JobRecord, Standing};
use crate::job::{DataEngineId, ImageVersionId, Job, Region};

/// Which failures of earlier runs are sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retry {
    /// Failures whose cause may have ended; false with `--skip-failed`.
    pub failed: bool,
    /// Failures because another client moved the engine or it failed after its switch; true with `--retry-moved`.
    pub moved: bool,
}

impl Default for Retry {
    fn default() -> Self {
        Self { failed: true, moved: false }
    }
}

/// What the ledger proves about one row of a plan.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Past {
    /// The record of its job; none if the job has no line.
    pub record: Option<JobRecord>,
    /// The image version of the engine before the latest request, from the record or a read of this run.
    pub image_before: Option<ImageVersionId>,
    /// True if no other request for the same engine came after the latest one of this job.
    pub is_latest: bool,
    /// True once this run has recorded a request.
    pub is_of_this_run: bool,
    /// The target of a later request for the same engine that may still be applied.
    pub open_elsewhere: Option<ImageVersionId>,
}

impl Past {
    /// The standing of the job.
    pub fn standing(&self) -> Option<Standing> {
        self.record.as_ref().map(|record| record.standing)
    }

    /// True if a request of the job was sent and its outcome is not recorded, or it was not applied.
    pub fn was_sent(&self) -> bool {
        !matches!(
            self.standing(),
            None | Some(
                Standing::UpToDate
                    | Standing::Accepted
                    | Standing::Switched
                    | Standing::Failed
                    | Standing::Superseded
            )
        )
    }

    /// True if nothing is sent until the job is released: another client moved its engine, or the engine failed after its
    /// switch. A job that was released but not sent needs a release again.
    pub fn needs_release(&self, retry: Retry) -> bool {
        let Some(record) = &self.record else { return false };
        record.needs_release && self.is_latest && (record.standing == Standing::Failed || !retry.moved)
    }

    /// The image version that the engine must be on before another request, if it is known.
    pub fn image_to_leave(&self, retry: Retry) -> Option<&ImageVersionId> {
        let is_checked = self.is_latest && (self.is_of_this_run || !retry.moved);
        self.image_before.as_ref().filter(|_| is_checked)
    }

    /// Applies a step of this run. A step that may not follow does not change the record: the ledger refuses it.
    pub fn apply(&mut self, step: &Step) {
        if let Some(record) = JobRecord::after(self.record.as_ref(), step) {
            self.record = Some(record);
        }
        if matches!(step, Step::Sent { .. }) {
            (self.is_latest, self.is_of_this_run, self.open_elsewhere) = (true, true, None);
        }
    }

    /// Releases the job: it is verified and sent again like any other job.
    pub fn release(&mut self) {
        if let Some(record) = &mut self.record {
            record.needs_release = false;
        }
    }
}

/// What the ledger proves about each row of a plan, in plan order.
pub fn pasts(jobs: &[Job], history: &History) -> Vec<Past> {
    type Engine<'a> = (&'a Region, &'a DataEngineId);
    // the line of the latest request for each engine, and of the latest one that may still be applied; earlier requests have
    // ended, because otherwise the later one would not have been sent
    let mut latest: HashMap<Engine<'_>, u64> = HashMap::new();
    let mut open: HashMap<Engine<'_>, (u64, &ImageVersionId)> = HashMap::new();
    for (key, job) in &history.jobs {
        let engine = (&key.region, &key.data_engine_id);
        let line = latest.entry(engine).or_default();
        *line = job.sent_line.max(*line);
        if job.record.standing.is_open() {
            let line = open.entry(engine).or_insert((0, &key.new_image_version_id));
            if job.sent_line >= line.0 {
                *line = (job.sent_line, &key.new_image_version_id);
            }
        }
    }
    let past = |job: &Job| {
        let known = history.jobs.get(&job.key);
        let engine = (&job.key.region, &job.key.data_engine_id);
        let own_line = known.map_or(0, |known| known.sent_line);
        let open = open.get(&engine);
        let later =
            open.filter(|(line, target)| **target != job.key.new_image_version_id && *line > own_line);
        Past {
            record: known.map(|known| known.record.clone()),
            image_before: known.and_then(|known| known.record.image_before.clone()),
            is_latest: latest.get(&engine) == Some(&own_line),
            is_of_this_run: false,
            open_elsewhere: later.map(|(_, target)| (*target).clone()),
        }
    };
    jobs.iter().map(past).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::JobKey;
    use crate::ledger::JobHistory;
    use jiff::Timestamp;

    const STANDINGS: [Standing; 13] = [
        Standing::UpToDate,
        Standing::Sent,
        Standing::Throttled,
        Standing::Refused,
        Standing::NotSent,
        Standing::Unconfirmed,
        Standing::NotApplied,
        Standing::Accepted,
        Standing::Switched,
        Standing::Failed,
        Standing::TimedOut,
        Standing::Unknown,
        Standing::Superseded,
    ];

    fn job(engine: &str, target: &str) -> Job {
        Job {
            key: JobKey {
                region: Region::new("ap-guangzhou"),
                data_engine_id: DataEngineId::new(engine),
                new_image_version_id: ImageVersionId::new(target),
            },
            wave: 0,
            data_engine_name: None,
            expected_image_version_id: None,
            note: None,
        }
    }

    fn history(jobs: &[(&Job, Standing, u64)]) -> History {
        let known = |(job, standing, sent_line): &(&Job, Standing, u64)| {
            let record = JobRecord {
                standing: *standing,
                image_before: Some(ImageVersionId::new("old")),
                request_id: None,
                last_error: None,
                needs_release: false,
            };
            let at = Timestamp::UNIX_EPOCH;
            (job.key.clone(), JobHistory { record, at, attempts: 1, sent_line: *sent_line })
        };
        History { jobs: jobs.iter().map(known).collect(), ..History::default() }
    }

    #[test]
    fn a_row_is_found_by_its_key_and_not_by_its_position() {
        let (first, second) = (job("a", "new"), job("b", "new"));
        let history = history(&[(&first, Standing::Switched, 2), (&second, Standing::Failed, 3)]);
        let standings = |plan: &[Job]| pasts(plan, &history).iter().map(Past::standing).collect::<Vec<_>>();
        let plan = [second, job("c", "new"), first];
        assert_eq!(standings(&plan), [Some(Standing::Failed), None, Some(Standing::Switched)]);
    }

    #[test]
    fn another_target_is_open_if_its_request_may_still_be_applied() {
        for standing in STANDINGS {
            let history = history(&[(&job("a", "first"), standing, 2)]);
            let pasts = pasts(&[job("a", "second"), job("b", "second")], &history);
            let open = [
                Standing::Sent,
                Standing::Unconfirmed,
                Standing::Accepted,
                Standing::TimedOut,
                Standing::Unknown,
            ];
            let expected = open.contains(&standing).then(|| ImageVersionId::new("first"));
            assert_eq!(pasts[0].open_elsewhere, expected, "{standing:?}");
            assert_eq!(pasts[1].open_elsewhere, None, "another engine");
        }
    }

    #[test]
    fn of_several_open_requests_the_latest_one_counts() {
        for (first, second) in [("a", "z"), ("z", "a")] {
            let jobs = [job("x", "m"), job("x", first), job("x", second)];
            let history = history(&[(&jobs[1], Standing::TimedOut, 2), (&jobs[2], Standing::Unconfirmed, 5)]);
            let pasts = pasts(&jobs, &history);
            let second = Some(ImageVersionId::new(second));
            assert_eq!(pasts[0].open_elsewhere, second);
            assert_eq!((&pasts[1].open_elsewhere, pasts[1].is_latest), (&second, false));
            assert_eq!((&pasts[2].open_elsewhere, pasts[2].is_latest), (&None, true));
        }
    }

    #[test]
    fn a_request_of_this_run_ends_the_open_one_and_the_need_for_a_release() {
        let mut past = Past { open_elsewhere: Some(ImageVersionId::new("other")), ..Past::default() };
        let image_before = Some(ImageVersionId::new("old"));
        past.image_before.clone_from(&image_before);
        past.apply(&Step::Sent { attempt: 1, image_before: image_before.clone() });
        let retry = Retry { failed: true, moved: true };
        assert_eq!((past.standing(), past.open_elsewhere.clone()), (Some(Standing::Sent), None));
        assert_eq!(past.image_to_leave(retry), image_before.as_ref(), "of this run, so it is checked");
        assert!(past.was_sent() && !past.needs_release(retry));
    }
}
