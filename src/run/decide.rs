//! Decides what to do next for a job, from what the ledger proves and what a read shows. Pure.

use super::fleet_view::FleetView;
use super::observation::{Observation, state_text};
use super::reasons::{self, found, recorded_error};
use crate::cloud::EngineState;
use crate::job::{Decision, ImageVersionId, Job, Outcome, Reason};
use crate::ledger::{Past, Retry, Standing};

/// Decides for a job that has no request of this run in flight or unconfirmed. Without a view of the fleet, as with
/// `--no-verify`, the decision follows from the ledger alone.
pub fn decide(job: &Job, past: &Past, view: Option<&FleetView>, retry: Retry) -> Decision {
    let keep = |outcome| keep(job, past, view, outcome);
    let needs_release = past.needs_release(retry);
    let decision = match past.standing() {
        Some(Standing::Failed) if !retry.failed => keep(Outcome::Failed),
        Some(standing) if needs_release => {
            release(job, standing, view, retry).unwrap_or_else(|| match (standing, last_error(past)) {
                // an earlier run released it and sent no request: it needs a release again, and the ledger records that
                (Standing::Unconfirmed | Standing::NotApplied | Standing::Unknown, Some(error)) => {
                    Decision::Fail(error)
                }
                _ => keep(Outcome::Failed),
            })
        }
        Some(Standing::Switched) => keep(Outcome::Switched),
        Some(Standing::UpToDate) => keep(Outcome::UpToDate),
        Some(Standing::Accepted) => Decision::Watch,
        Some(Standing::Sent | Standing::Unconfirmed | Standing::TimedOut | Standing::Unknown) => {
            Decision::Verify { image_before: past.image_before.clone() }
        }
        None
        | Some(
            Standing::Throttled
            | Standing::Refused
            | Standing::NotSent
            | Standing::NotApplied
            | Standing::Failed
            | Standing::Superseded,
        ) => return send(job, past, view, retry),
    };
    match &past.open_elsewhere {
        Some(other) => Decision::Block(open_elsewhere(other)),
        None => decision,
    }
}

/// Keeps the outcome of an earlier run.
fn keep(job: &Job, past: &Past, view: Option<&FleetView>, outcome: Outcome) -> Decision {
    let is_on_target = outcome != Outcome::Failed;
    let drift = view.filter(|_| is_on_target).and_then(|view| drift(job, view));
    Decision::Keep { outcome, reason: last_error(past).filter(|_| !is_on_target), drift }
}

/// What an engine shows that reached its target in an earlier run, if it has drifted.
fn drift(job: &Job, view: &FleetView) -> Option<String> {
    if view.unreadable(&job.key).is_some() {
        return None;
    }
    match view.observe(&job.key, None) {
        Observation::Missing => Some(view.absence_text().to_owned()),
        Observation::Broken(state) => Some(state_text(state)),
        Observation::OldImage { image, .. } | Observation::OtherImage(image) => Some(format!("on {image}")),
        Observation::Target { .. }
        | Observation::NoImage
        | Observation::Contradictory
        | Observation::NotShown => None,
    }
}

/// Decides for a job that needs a release; none if it is not released. The request of the earlier run may still be
/// applied, so a released job is verified like an unconfirmed one.
fn release(job: &Job, standing: Standing, view: Option<&FleetView>, retry: Retry) -> Option<Decision> {
    let verify = |image_before| Decision::Verify { image_before };
    let is_released = standing == Standing::Failed && retry.moved;
    let Some(view) = view else { return is_released.then(|| verify(None)) };
    let expected = job.expected_image_version_id.as_ref();
    match view.observe(&job.key, None) {
        Observation::Target { .. } if matches!(standing, Standing::Failed | Standing::NotApplied) => {
            Some(send(job, &Past::default(), Some(view), retry))
        }
        Observation::Target { .. } => Some(verify(None)),
        Observation::OldImage { image, .. }
            if expected.map_or(is_released, |expected| view.is_on(&job.key, expected)) =>
        {
            Some(verify(Some(image)))
        }
        _ => None,
    }
}

/// Decides whether to send a request for a job that has no request which may still be applied.
fn send(job: &Job, past: &Past, view: Option<&FleetView>, retry: Retry) -> Decision {
    let Some(view) = view else {
        return match &past.open_elsewhere {
            Some(other) => Decision::Fail(open_elsewhere(other)),
            None => Decision::Send { from: None },
        };
    };
    if let Some(reason) = view.objection(job) {
        return Decision::Fail(reason);
    }
    let expected = job.expected_image_version_id.as_ref();
    // an unclear observation after a request was sent may be the effect of that request
    let was_sent = past.was_sent();
    match view.observe(&job.key, expected.or(past.image_to_leave(retry))) {
        Observation::Contradictory | Observation::NotShown => wait(reasons::ENGINE_UNCLEAR),
        Observation::Missing => Decision::Fail(found(reasons::ENGINE_NOT_FOUND, "")),
        Observation::Broken(state) => {
            let seen = format!("the engine is {}", state_text(state));
            Decision::Fail(found(reasons::ENGINE_NOT_SWITCHABLE, seen))
        }
        Observation::Target { state: Some(EngineState::INITIALISING) } if !was_sent => {
            wait(reasons::ENGINE_INITIALISING)
        }
        Observation::Target { .. } => Decision::UpToDate,
        Observation::OtherImage(image) if expected.is_none() => Decision::Fail(moved(&image)),
        Observation::OtherImage(image) => Decision::Fail(unexpected(&format!("it is on {image}"), expected)),
        Observation::NoImage if was_sent => wait(reasons::ENGINE_UNCLEAR),
        Observation::NoImage if expected.is_some() => {
            Decision::Fail(unexpected("the service does not show its image version", expected))
        }
        Observation::NoImage => Decision::Send { from: None },
        Observation::OldImage { image, state } => {
            let has_reached =
                |other: &&ImageVersionId| view.is_on(&job.key, other) && state == Some(EngineState::RUNNING);
            match past.open_elsewhere.as_ref().filter(|other| !has_reached(other)) {
                Some(other) => Decision::Fail(open_elsewhere(other)),
                None if state == Some(EngineState::INITIALISING) => wait(reasons::ENGINE_INITIALISING),
                None if was_sent && state.is_none() => wait(reasons::ENGINE_UNCLEAR),
                None => Decision::Send { from: Some(image) },
            }
        }
    }
}

fn wait(code: &'static str) -> Decision {
    Decision::Wait(found(code, ""))
}

fn last_error(past: &Past) -> Option<Reason> {
    past.record.as_ref()?.last_error.as_ref().map(recorded_error)
}

/// Another client moved the engine.
pub(super) fn moved(to: &ImageVersionId) -> Reason {
    found(reasons::MOVED_BY_ANOTHER_CLIENT, format!("it is on {to}"))
}

/// The engine is not on the image version that the plan expects.
fn unexpected(seen: &str, expected: Option<&ImageVersionId>) -> Reason {
    let expected = expected.map_or_else(String::new, |expected| format!(", expected {expected}"));
    found(reasons::UNEXPECTED_IMAGE, format!("{seen}{expected}"))
}

fn open_elsewhere(other: &ImageVersionId) -> Reason {
    found(reasons::EARLIER_REQUEST_OPEN, format!("the earlier request was for {other}"))
}

#[cfg(test)]
mod tests;
