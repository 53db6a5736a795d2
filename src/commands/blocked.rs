//! Refuses a plan with rows for which nothing may be sent, and names them.

use crate::error::Failure;
use crate::exit::Exit;
use crate::format::plural;
use crate::job::{Decision, Job, Reason};
use crate::plan::Plan;
use crate::run::Preflight;

/// Most rows that are named.
const NAMED: usize = 20;

/// Refuses a plan with blocked rows.
pub(super) fn check(plan: &Plan, preflight: &Preflight) -> Result<(), Failure> {
    let rows = plan.jobs.iter().zip(&preflight.decisions);
    let refused = rows.filter_map(|(job, decision)| match decision {
        Decision::Refuse(reason) => Some((job, reason)),
        _ => None,
    });
    let blocked: Vec<(&Job, &Reason)> = refused.collect();
    let Some((_, first)) = blocked.first() else { return Ok(()) };
    let are = if blocked.len() == 1 { "is" } else { "are" };
    let what = format!("{} {are} blocked: {}", plural(blocked.len(), "row"), first.cause);
    let mut next = vec!["nothing was sent".to_owned()];
    next.extend(blocked.iter().take(NAMED).map(|(job, reason)| row(job, reason)));
    next.extend((blocked.len() > NAMED).then(|| format!("and {} more", blocked.len() - NAMED)));
    next.push(first.remedy.clone());
    Err(Failure::new(Exit::Refused, what).next(next.join("\n       ")))
}

fn row(job: &Job, reason: &Reason) -> String {
    let why = reason.message.as_ref().unwrap_or(&reason.cause);
    format!("{} in {}: {why}", job.key.data_engine_id, job.key.region)
}
