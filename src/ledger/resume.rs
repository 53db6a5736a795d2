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
