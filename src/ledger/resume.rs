//! What is left to do: pure, from the plan and what the ledger knows.

use super::entry::Refused;
use super::fold::{JobMemory, Memory, Standing};
use crate::job::{ImageVersionId, Job, Outcome};

/// What one job still needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Work {
    /// Nothing is on record that forbids sending it.
    Send,
    /// A request may have been applied: read back before anything is sent.
    Settle {
        /// Where the ledger stands; tells whether a line must say first that the job is in doubt.
        standing: Standing,
        /// The image the engine was on before that request.
        image_before: Option<ImageVersionId>,
    },
    /// The service took it: watch it converge.
    Watch {
        /// The image the engine was on before.
        image_before: Option<ImageVersionId>,
    },
    /// Nothing: an earlier run ended it.
    Nothing {
        /// How it ended.
        outcome: Outcome,
        /// The image the engine was on before.
        image_before: Option<ImageVersionId>,
        /// What went wrong, where something did.
        trouble: Option<Refused>,
    },
}

/// What each job of a plan still needs, in plan order. With `skip_failed` failures are left as they are.
pub fn remaining_work(jobs: &[Job], memory: &Memory, skip_failed: bool) -> Vec<Work> {
    jobs.iter().map(|job| work_of(memory.jobs.get(&job.key), skip_failed)).collect()
}

fn work_of(memory: Option<&JobMemory>, skip_failed: bool) -> Work {
    let Some(job) = memory else { return Work::Send };
    let image_before = job.image_before.clone();
    match job.standing {
        Standing::Switched => Work::Nothing { outcome: Outcome::Switched, image_before, trouble: None },
        Standing::Already => Work::Nothing { outcome: Outcome::Already, image_before, trouble: None },
        Standing::Failed if skip_failed => {
            Work::Nothing { outcome: Outcome::Failed, image_before, trouble: job.trouble.clone() }
        }
        Standing::Failed | Standing::Throttled | Standing::NotSent | Standing::Cleared => Work::Send,
        Standing::Accepted => Work::Watch { image_before },
        standing @ (Standing::Sent
        | Standing::Refused
        | Standing::Doubtful
        | Standing::Unconverged
        | Standing::Unknown) => Work::Settle { standing, image_before },
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::job::{DataEngineId, JobKey, Region};

    const STANDINGS: [Standing; 12] = [
        Standing::Already,
        Standing::Sent,
        Standing::Throttled,
        Standing::Refused,
        Standing::NotSent,
        Standing::Doubtful,
        Standing::Cleared,
        Standing::Accepted,
        Standing::Switched,
        Standing::Failed,
        Standing::Unconverged,
        Standing::Unknown,
    ];

    fn job(number: usize) -> Job {
        Job {
            key: JobKey {
                region: Region::new("ap-guangzhou"),
                data_engine_id: DataEngineId::new(format!("DataEngine-{number}")),
                new_image_version_id: ImageVersionId::new("new"),
            },
            wave: 0,
            expected_image_version_id: None,
            note: None,
        }
    }

    /// What a person would say, one word for each standing.
    fn expected(standing: Option<Standing>, skip_failed: bool) -> &'static str {
        match standing {
            None => "send",
            Some(standing) => match (format!("{standing:?}").as_str(), skip_failed) {
                ("Switched" | "Already", _) | ("Failed", true) => "nothing",
                ("Accepted", _) => "watch",
                ("Sent" | "Refused" | "Doubtful" | "Unconverged" | "Unknown", _) => "settle",
                _ => "send",
            },
        }
    }

    fn word(work: &Work) -> &'static str {
        match work {
            Work::Send => "send",
            Work::Settle { .. } => "settle",
            Work::Watch { .. } => "watch",
            Work::Nothing { .. } => "nothing",
        }
    }

    proptest! {
        #[test]
        fn every_row_gets_the_work_its_own_standing_asks_for(
            standings in proptest::collection::vec(proptest::option::of(0usize..12), 1..30),
            skip_failed: bool,
            rotation in 0usize..30,
        ) {
            let standings: Vec<Option<Standing>> = standings.into_iter().map(|at| at.map(|at| STANDINGS[at])).collect();
            let mut jobs = BTreeMap::new();
            for (number, standing) in standings.iter().enumerate() {
                if let Some(standing) = *standing {
                    let memory = JobMemory { standing, attempts: 1, image_before: None, trouble: None };
                    jobs.insert(job(number).key, memory);
                }
            }
            // rows in another order than the ledger's, so that position cannot matter
            let mut order: Vec<usize> = (0..standings.len()).collect();
            order.rotate_left(rotation % standings.len());
            let plan: Vec<Job> = order.iter().map(|number| job(*number)).collect();
            let memory = Memory { jobs, ..Memory::default() };
            let work = remaining_work(&plan, &memory, skip_failed);
            for (number, work) in order.iter().zip(&work) {
                prop_assert_eq!(word(work), expected(standings[*number], skip_failed));
            }
        }
    }
}
