//! Whether everything is at rest after a run in a healed world, and what people do about rows that are not.

use dlc_fleet::job::Outcome;

use crate::plan::{Plan, Row};
use crate::story::is_good;
use crate::world::World;

/// How things stand.
#[derive(Debug)]
pub enum Rest {
    /// Every row has its end.
    Settled {
        /// True where the service refuses some of them for good, so that each run sends them again.
        refused: bool,
    },
    /// Some have not; the plan may have been edited because of that.
    Open(String),
}

/// How one row stands.
enum Standing {
    Settled,
    /// The service refuses it for good.
    Refused,
    Open,
    /// An earlier request to this target is still open.
    Blocked(String),
}

/// Judges the run that has just ended, and edits the plan where the tool asks for that.
pub fn rest(world: &World, plan: &mut Plan, soak_failed: bool) -> Rest {
    let (mut open, mut refused, mut ended) = (Vec::new(), false, 0);
    let mut put_back = Vec::new();
    for (number, row) in world.process.rows.iter().enumerate() {
        let Some((outcome, code)) = &world.process.codes[number] else {
            open.push(format!("engine {} has no end", row.engine));
            continue;
        };
        ended += 1;
        match standing(world, row, *outcome, code) {
            Standing::Settled => continue,
            Standing::Refused => {
                refused = true;
                continue;
            }
            Standing::Open => {}
            Standing::Blocked(target) => put_back.push((number, target)),
        }
        open.push(format!("engine {} is {outcome} ({code})", row.engine));
    }
    for (number, target) in put_back {
        plan.rows[number].target = target;
    }
    if soak_failed {
        // as the remedy says: rows of engines that were moved away are taken out
        let rows = world.process.rows.clone();
        let codes = world.process.codes.clone();
        let is_drifted = |row: &Row| {
            let place = rows.iter().position(|other| other.engine == row.engine);
            let good =
                place.and_then(|place| codes[place].clone()).is_some_and(|(outcome, _)| is_good(outcome));
            let there = world.engines[row.engine]
                .now()
                .is_some_and(|shown| shown.is_on(&row.target) && shown.is_running());
            good && !there
        };
        plan.take_out(is_drifted);
    }
    if open.is_empty() && ended == world.process.rows.len() {
        Rest::Settled { refused }
    } else {
        Rest::Open(open.join("; "))
    }
}

fn standing(world: &World, row: &Row, outcome: Outcome, code: &str) -> Standing {
    let engine = &world.engines[row.engine];
    let is_minor = !world.images.iter().any(|image| image.id == row.target);
    match (outcome, code) {
        (outcome, _) if is_good(outcome) => {
            let shown = engine.now();
            let is_there = shown.is_none_or(|shown| shown.is_on(&row.target));
            if is_there || was_elsewhere(world, row) { Standing::Settled } else { Standing::Open }
        }
        // whatever is watched will not be seen again
        _ if engine.now().is_none() => Standing::Settled,
        (_, "earlier-request-open") => {
            let (region, id) = (engine.region.as_str(), engine.id.as_str());
            let latest = world.platter.with_records(|records| {
                records.latest_request(region, id).map(|(target, _)| target.to_owned())
            });
            latest.map_or(Standing::Open, Standing::Blocked)
        }
        (Outcome::Failed, "unexpected-image") => {
            let is_there = row.expected == engine.now().map(|shown| shown.image.clone());
            if is_there { Standing::Open } else { Standing::Settled }
        }
        (Outcome::Failed, _) if world.is_held(&world.key_of_row(row)) => {
            // expected where it is, it is released
            let is_released =
                row.expected.is_some() && row.expected == engine.now().map(|shown| shown.image.clone());
            // the plan may also expect an image that it never had
            let is_expected_elsewhere = row.expected.is_some() && !is_released;
            if (was_elsewhere(world, row) || is_expected_elsewhere) && !is_released {
                Standing::Settled
            } else {
                Standing::Open
            }
        }
        (Outcome::Failed | Outcome::NotStarted, _) if is_minor && !world.habits.accepts_minor => {
            Standing::Refused
        }
        _ => Standing::Open,
    }
}

/// True where others, a failure or a request to another target moved an engine.
fn was_elsewhere(world: &World, row: &Row) -> bool {
    let others = world.requests.iter().any(|request| {
        request.engine == Some(row.engine) && request.key.2 != row.target && request.begun.is_some()
    });
    others || world.engines[row.engine].disturbed
}
