//! Decides whether every row is final after a run without faults, and edits the plan as an operator would if not.

use dlc_fleet::job::Outcome;

use crate::plan::{Plan, Row};
use crate::simulation::is_success;
use crate::world::World;

/// The state of a plan after a run.
#[derive(Debug)]
pub enum Completion {
    /// Every row is final.
    Complete {
        /// True if the service refuses some rows permanently, so that each run sends them again.
        refused: bool,
    },
    /// Some rows are not final; the plan may have been edited because of that.
    Incomplete(String),
}

/// The state of one row.
enum Standing {
    Final,
    /// The service refuses it permanently.
    Refused,
    Unfinished,
    /// An earlier request to this target is still open.
    Blocked(String),
}

/// Checks the run that has just ended, and edits the plan if the tool asks for it.
pub fn completion(world: &World, plan: &mut Plan, soak_failed: bool) -> Completion {
    let (mut open, mut refused, mut ended) = (Vec::new(), false, 0);
    let mut restored = Vec::new();
    for (number, row) in world.process.rows.iter().enumerate() {
        let Some((outcome, code)) = &world.process.codes[number] else {
            open.push(format!("engine {} has no outcome", row.engine));
            continue;
        };
        ended += 1;
        match standing(world, row, *outcome, code) {
            Standing::Final => continue,
            Standing::Refused => {
                refused = true;
                continue;
            }
            Standing::Unfinished => {}
            Standing::Blocked(target) => restored.push((number, target)),
        }
        open.push(format!("engine {} is {outcome} ({code})", row.engine));
    }
    for (number, target) in restored {
        plan.rows[number].target = target;
    }
    if soak_failed {
        // as the remedy says: remove the rows of engines that drifted
        let rows = world.process.rows.clone();
        let codes = world.process.codes.clone();
        let is_drifted = |row: &Row| {
            let position = rows.iter().position(|other| other.engine == row.engine);
            let succeeded = position
                .and_then(|position| codes[position].clone())
                .is_some_and(|(outcome, _)| is_success(outcome));
            let there = world.engines[row.engine]
                .now()
                .is_some_and(|shown| shown.is_on(&row.target) && shown.is_running());
            succeeded && !there
        };
        plan.remove_rows(is_drifted);
    }
    if open.is_empty() && ended == world.process.rows.len() {
        Completion::Complete { refused }
    } else {
        Completion::Incomplete(open.join("; "))
    }
}

fn standing(world: &World, row: &Row, outcome: Outcome, code: &str) -> Standing {
    let engine = &world.engines[row.engine];
    let is_minor = !world.images.iter().any(|image| image.id == row.target);
    match (outcome, code) {
        (outcome, _) if is_success(outcome) => {
            let shown = engine.now();
            let is_there = shown.is_none_or(|shown| shown.is_on(&row.target));
            if is_there || was_elsewhere(world, row) { Standing::Final } else { Standing::Unfinished }
        }
        // the engine was deleted, so no later read will show it
        _ if engine.now().is_none() => Standing::Final,
        (_, "earlier-request-open") => {
            let (region, id) = (engine.region.as_str(), engine.id.as_str());
            let latest = world.disk.with_records(|records| {
                records.latest_request(region, id).map(|(target, _)| target.to_owned())
            });
            latest.map_or(Standing::Unfinished, Standing::Blocked)
        }
        (Outcome::Failed, "unexpected-image") => {
            let is_there = row.expected == engine.now().map(|shown| shown.image.clone());
            if is_there { Standing::Unfinished } else { Standing::Final }
        }
        (Outcome::Failed, _) if world.is_held(&world.key_of_row(row)) => {
            // a row that expects the current image is released
            let is_released =
                row.expected.is_some() && row.expected == engine.now().map(|shown| shown.image.clone());
            // the plan may also expect an image that the engine never had
            let is_expected_elsewhere = row.expected.is_some() && !is_released;
            if (was_elsewhere(world, row) || is_expected_elsewhere) && !is_released {
                Standing::Final
            } else {
                Standing::Unfinished
            }
        }
        (Outcome::Failed | Outcome::NotStarted, _) if is_minor && !world.behavior.accepts_minor => {
            Standing::Refused
        }
        _ => Standing::Unfinished,
    }
}

/// True if another client, a failure or a request to another target changed an engine.
fn was_elsewhere(world: &World, row: &Row) -> bool {
    let others = world.requests.iter().any(|request| {
        request.engine == Some(row.engine) && request.key.2 != row.target && request.applied_at.is_some()
    });
    others || world.engines[row.engine].changed_by_others
}
