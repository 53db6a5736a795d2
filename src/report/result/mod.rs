//! The result of a run or a dry run: one text for people, or one JSON document for programs.

mod closing;
mod estimate;
mod preview;
mod preview_json;
mod preview_text;
mod reasons;
mod summary;
mod summary_json;

pub use closing::Closing;
pub use preview::{Prediction, Preview, PreviewRow};
pub use preview_json::preview_json;
pub use preview_text::preview;
pub use summary::summary;
pub use summary_json::summary_json;
