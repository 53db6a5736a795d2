//! What a read shows of an engine, from the point of view of one job.

use crate::cloud::{EngineRecord, EngineState};
use crate::job::ImageVersionId;

/// An engine, judged from the point of view of one job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Observation {
    /// The service was asked for it and does not know it.
    Missing,
    /// The look does not show it, which proves nothing: a listing can leave an engine out.
    NotShown,
    /// Failed, deleted, or about to be.
    Broken(EngineState),
    /// On the target image.
    Target {
        /// Its state, where the service told it. Running is done, if it stays so.
        state: Option<EngineState>,
    },
    /// Not on the target image, and nothing says that somebody else moved it.
    OldImage {
        /// The image it is on.
        image: ImageVersionId,
        /// Its state, where the service told it.
        state: Option<EngineState>,
    },
    /// On an image that is neither the one before nor the target.
    OtherImage(ImageVersionId),
    /// The service left out the image.
    NoImage,
    /// One look showed it more than once, and differently, so it proves nothing.
    Contradictory,
}

impl Observation {
    /// `minor` is true where the target is known to be a minor version: the image of an engine is then its minor one.
    pub(super) fn of(
        record: &EngineRecord,
        target: &ImageVersionId,
        minor: bool,
        before: Option<&ImageVersionId>,
    ) -> Self {
        let state = record.state;
        if let Some(lost) = state.filter(|state| is_broken(*state)) {
            return Self::Broken(lost);
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

/// True where a record shows this image, as the major or as the minor version.
pub(super) fn is_on(record: &EngineRecord, image: &ImageVersionId) -> bool {
    record.image_version_id.as_ref() == Some(image)
        || record.child_image_version_id.as_deref() == Some(image.as_str())
}

/// A state in words and as the service numbers it.
pub(super) fn state_text(state: EngineState) -> String {
    format!("{} (State {})", state.word(), state.0)
}

fn is_broken(state: EngineState) -> bool {
    [EngineState::FAILED, EngineState::DELETED, EngineState::DELETE_PENDING, EngineState::DELETING]
        .contains(&state)
}
