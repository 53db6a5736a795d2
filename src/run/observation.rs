//! Classifies the record of an engine from the point of view of one job.

use crate::cloud::{EngineRecord, EngineState};
use crate::job::ImageVersionId;

/// What a read shows of an engine, from the point of view of one job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Observation {
    /// The engine was queried and does not exist.
    Missing,
    /// The read does not show the engine. This proves nothing, because a listing can omit an engine.
    NotShown,
    /// The engine failed, or is deleted or being deleted.
    Broken(EngineState),
    /// On the target image.
    Target {
        /// Its state, if the service shows it.
        state: Option<EngineState>,
    },
    /// Not on the target image, and not known to have been moved by another client.
    OldImage {
        /// The image it is on.
        image: ImageVersionId,
        /// Its state, if the service shows it.
        state: Option<EngineState>,
    },
    /// On an image that is neither the one before nor the target.
    OtherImage(ImageVersionId),
    /// The record has no image version.
    NoImage,
    /// One read showed the engine more than once, with different contents. This proves nothing.
    Contradictory,
}

impl Observation {
    /// Classifies a record. `minor` is true if the target is known to be a minor version; the image of the engine is then its
    /// minor version.
    pub(super) fn of(
        record: &EngineRecord,
        target: &ImageVersionId,
        minor: bool,
        before: Option<&ImageVersionId>,
    ) -> Self {
        let state = record.state;
        if let Some(broken) = state.filter(|state| is_broken(*state)) {
            return Self::Broken(broken);
        }
        if is_on(record, target) {
            return Self::Target { state };
        }
        let child = record.child_image_version_id.as_ref().filter(|_| minor).map(ImageVersionId::new);
        match child.or_else(|| record.image_version_id.clone()) {
            None => Self::NoImage,
            Some(image) if before.is_some_and(|before| !is_on(record, before)) => Self::OtherImage(image),
            Some(image) => Self::OldImage { image, state },
        }
    }
}

/// True if a record shows this image, as the major or the minor version.
pub(super) fn is_on(record: &EngineRecord, image: &ImageVersionId) -> bool {
    record.image_version_id.as_ref() == Some(image)
        || record.child_image_version_id.as_deref() == Some(image.as_str())
}

/// A state by its name and its number in the API.
pub(super) fn state_text(state: EngineState) -> String {
    format!("{} (State {})", state.word(), state.0)
}

fn is_broken(state: EngineState) -> bool {
    [EngineState::FAILED, EngineState::DELETED, EngineState::DELETE_PENDING, EngineState::DELETING]
        .contains(&state)
}

#[cfg(test)]
mod tests;
