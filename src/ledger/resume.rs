//! What is left to do: pure, from the plan and what the ledger knows.

use std::collections::HashMap;

use super::entry::RecordedReason;
use super::fold::{History, JobHistory, Standing};
use crate::job::{ImageVersionId, Job, Outcome};

/// What one job still needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Work {
    /// Nothing is on record that forbids sending it.
    Send {
        /// Unless this target of an earlier request for the same engine is still open.
        open_elsewhere: Option<ImageVersionId>,
        /// True where a request left in an earlier run.
        sent_before: bool,
        /// The image the engine has to be on, where a request left in an earlier run: the one that the plan expects, else
        /// the one before that request, if it was the latest for the engine. On another one, another client moved it.
        image_before: Option<ImageVersionId>,
    },
    /// Nothing until it is released: another client moved the engine, or it failed after its switch.
    Held {
        /// Where the ledger stands.
        standing: Standing,
        /// True with `--retry-moved`. The plan also releases it by expecting the image version that the engine has now.
        released: bool,
        /// The image the engine was on before.
        image_before: Option<ImageVersionId>,
        /// What went wrong.
        last_error: Option<RecordedReason>,
    },
    /// Nothing can be done: a later request for the same engine is still open.
    Blocked {
        /// The target of that request.
        by: ImageVersionId,
    },
    /// A request may have been applied: read back before anything is sent.
    Settle {
        /// Where the ledger stands; tells whether a line must say first that the job is in doubt.
        standing: Standing,
        /// The image the engine was on before that request.
        image_before: Option<ImageVersionId>,
        /// `RequestId`, where the service took it.
        request_id: Option<String>,
        /// What went wrong last.
        last_error: Option<RecordedReason>,
    },
    /// The service took it: watch it converge.
    Watch {
        /// The image the engine was on before.
        image_before: Option<ImageVersionId>,
        /// `RequestId` of the accepting answer.
        request_id: Option<String>,
    },
    /// Nothing: an earlier run ended it.
    Nothing {
        /// How it ended.
        outcome: Outcome,
        /// The image the engine was on before.
        image_before: Option<ImageVersionId>,
        /// What went wrong, where something did.
        last_error: Option<RecordedReason>,
    },
}

/// Which failures of earlier runs are sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retry {
    /// Those whose cause may have gone; false with `--skip-failed`.
    pub failed: bool,
    /// Those whose engine another client moved, or whose engine failed after its switch; true with `--retry-moved`.
    pub moved: bool,
}

impl Default for Retry {
    fn default() -> Self {
        Self { failed: true, moved: false }
    }
}

/// What each job of a plan still needs, in plan order.
pub fn remaining_work(jobs: &[Job], history: &History, retry: Retry) -> Vec<Work> {
    // the latest request for each engine that has not come to its end; the ones before it did, or it would not
    // have been sent
    let mut open: HashMap<_, (u64, &ImageVersionId)> = HashMap::new();
    for (key, job) in history.jobs.iter().filter(|(_, job)| job.standing.is_open()) {
        let latest = open.entry((&key.region, &key.data_engine_id)).or_insert((0, &key.new_image_version_id));
        if job.sent_line >= latest.0 {
            *latest = (job.sent_line, &key.new_image_version_id);
        }
    }
    // the line of the latest request for each engine, whatever its target was
    let mut latest_sent: HashMap<_, u64> = HashMap::new();
    for (key, job) in &history.jobs {
        let line = latest_sent.entry((&key.region, &key.data_engine_id)).or_default();
        *line = job.sent_line.max(*line);
    }
    let one = |job: &Job| {
        let known = history.jobs.get(&job.key);
        let own_line = known.map_or(0, |known| known.sent_line);
        let is_latest = latest_sent.get(&(&job.key.region, &job.key.data_engine_id)) == Some(&own_line);
        let work = known.map_or_else(unsent, |known| work_of(job, known, retry, is_latest));
        let later = open
            .get(&(&job.key.region, &job.key.data_engine_id))
            .filter(|(line, target)| **target != job.key.new_image_version_id && *line > own_line);
        match (work, later) {
            (work, None) => work,
            (Work::Send { sent_before, image_before, .. }, Some((_, other))) => {
                Work::Send { open_elsewhere: Some((*other).clone()), sent_before, image_before }
            }
            (_, Some((_, other))) => Work::Blocked { by: (*other).clone() },
        }
    };
    jobs.iter().map(one).collect()
}

fn unsent() -> Work {
    Work::Send { open_elsewhere: None, sent_before: false, image_before: None }
}

/// `is_latest` is false where a later request for the same engine had another target.
fn work_of(row: &Job, job: &JobHistory, retry: Retry, is_latest: bool) -> Work {
    let (image_before, request_id) = (job.image_before.clone(), job.request_id.clone());
    let last_error = job.last_error.clone();
    let again = |sent_before| Work::Send {
        open_elsewhere: None,
        sent_before,
        image_before: image_before
            .clone()
            .filter(|_| is_latest && !retry.moved)
            .map(|before| row.expected_image_version_id.clone().unwrap_or(before)),
    };
    match job.standing {
        Standing::Switched => Work::Nothing { outcome: Outcome::Switched, image_before, last_error: None },
        Standing::UpToDate => Work::Nothing { outcome: Outcome::UpToDate, image_before, last_error: None },
        Standing::Failed if !retry.failed => {
            Work::Nothing { outcome: Outcome::Failed, image_before, last_error }
        }
        // what a released run has not sent again is held again
        standing if job.needs_release && is_latest && (standing == Standing::Failed || !retry.moved) => {
            Work::Held { standing, released: retry.moved, image_before, last_error }
        }
        Standing::Failed | Standing::Superseded => again(false),
        Standing::Throttled | Standing::Refused | Standing::NotSent | Standing::NotApplied => again(true),
        Standing::Accepted => Work::Watch { image_before, request_id },
        standing @ (Standing::Sent | Standing::Unconfirmed | Standing::TimedOut | Standing::Unknown) => {
            Work::Settle { standing, image_before, request_id, last_error }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use jiff::Timestamp;
    use proptest::prelude::*;

    use super::*;
    use crate::job::{DataEngineId, JobKey, Region};

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

    fn job(number: usize) -> Job {
        Job {
            key: JobKey {
                region: Region::new("ap-guangzhou"),
                data_engine_id: DataEngineId::new(format!("DataEngine-{number}")),
                new_image_version_id: ImageVersionId::new("new"),
            },
            wave: 0,
            data_engine_name: None,
            expected_image_version_id: None,
            note: None,
        }
    }

    /// What a person would say, one word for each standing.
    fn expected(standing: Option<Standing>, skip_failed: bool) -> &'static str {
        match standing {
            None => "send",
            Some(standing) => match (format!("{standing:?}").as_str(), skip_failed) {
                ("Switched" | "UpToDate", _) | ("Failed", true) => "nothing",
                ("Accepted", _) => "watch",
                ("Sent" | "Unconfirmed" | "TimedOut" | "Unknown", _) => "settle",
                _ => "send",
            },
        }
    }

    fn word(work: &Work) -> &'static str {
        match work {
            Work::Send { .. } => "send",
            Work::Settle { .. } => "settle",
            Work::Watch { .. } => "watch",
            Work::Nothing { .. } => "nothing",
            Work::Held { .. } => "held",
            Work::Blocked { .. } => "blocked",
        }
    }

    proptest! {
        #[test]
        fn every_row_gets_the_work_its_own_standing_asks_for(
            standings in proptest::collection::vec(proptest::option::of(0usize..13), 1..30),
            skip_failed: bool,
            rotation in 0usize..30,
        ) {
            let standings: Vec<Option<Standing>> = standings.into_iter().map(|at| at.map(|at| STANDINGS[at])).collect();
            let mut jobs = BTreeMap::new();
            for (number, standing) in standings.iter().enumerate() {
                if let Some(standing) = *standing {
                    jobs.insert(job(number).key, history(standing, 2));
                }
            }
            // rows in another order than the ledger's, so that position cannot matter
            let mut order: Vec<usize> = (0..standings.len()).collect();
            order.rotate_left(rotation % standings.len());
            let plan: Vec<Job> = order.iter().map(|number| job(*number)).collect();
            let history = History { jobs, ..History::default() };
            let work = remaining_work(&plan, &history, Retry { failed: !skip_failed, moved: false });
            for (number, work) in order.iter().zip(&work) {
                prop_assert_eq!(word(work), expected(standings[*number], skip_failed));
            }
        }
    }

    fn history(standing: Standing, sent_line: u64) -> JobHistory {
        let at = Timestamp::UNIX_EPOCH;
        JobHistory {
            standing,
            at,
            attempts: 1,
            sent_line,
            image_before: None,
            request_id: None,
            last_error: None,
            needs_release: false,
        }
    }

    fn to(target: &str) -> Job {
        let mut job = job(1);
        job.key.new_image_version_id = ImageVersionId::new(target);
        job
    }

    #[test]
    fn a_changed_target_waits_for_the_request_that_is_still_open() {
        for standing in STANDINGS {
            let history =
                History { jobs: [(to("a").key, history(standing, 2))].into(), ..History::default() };
            let open = ["Sent", "Unconfirmed", "Accepted", "TimedOut", "Unknown"];
            let open_elsewhere =
                open.contains(&format!("{standing:?}").as_str()).then(|| ImageVersionId::new("a"));
            let work = remaining_work(&[to("b"), job(2)], &history, Retry::default());
            assert_eq!(
                work[0],
                Work::Send { open_elsewhere, sent_before: false, image_before: None },
                "{standing:?}"
            );
            assert_eq!(work[1], unsent());
        }
    }

    #[test]
    fn of_several_open_requests_the_latest_counts_whatever_its_name() {
        for (first, second) in [("a", "z"), ("z", "a")] {
            let jobs = [
                (to(first).key, history(Standing::TimedOut, 2)),
                (to(second).key, history(Standing::Unconfirmed, 5)),
            ];
            let history = History { jobs: jobs.into(), ..History::default() };
            let open_elsewhere = Some(ImageVersionId::new(second));
            let work = remaining_work(&[to("m"), to(first), to(second)], &history, Retry::default());
            assert_eq!(work[0], Work::Send { open_elsewhere, sent_before: false, image_before: None });
            assert_eq!(work[1], Work::Blocked { by: ImageVersionId::new(second) });
            assert!(matches!(work[2], Work::Settle { .. }), "the latest one itself is settled");
        }
    }

    #[test]
    fn a_row_that_is_done_is_not_called_done_while_a_later_request_is_open() {
        let jobs = [(to("a").key, history(Standing::Switched, 2)), (to("b").key, history(Standing::Sent, 5))];
        let history = History { jobs: jobs.into(), ..History::default() };
        let work = remaining_work(&[to("a")], &history, Retry::default());
        assert_eq!(work, [Work::Blocked { by: ImageVersionId::new("b") }]);
    }
}
