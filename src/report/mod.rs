//! What people and programs read of a run: progress while it goes on, and results at its end.
//!
//! `live` folds the events of a run and shows them: as bars on a terminal, as lines elsewhere. `result`
//! turns a run or a dry run into one text or JSON document. `text` has the sentences of both. Only [`mod@print`]
//! writes to stdout and stderr.

mod document;
mod live;
pub mod print;
mod result;
mod style;
mod table;
mod text;
mod whoami;

#[cfg(test)]
mod fixtures;

pub use anstream::ColorChoice;
pub use live::{LogLine, Reporter, TallyReader, Terminal, log_writer};
pub use print::{set_color, stdout_columns};
pub use result::{Closing, Prediction, Preview, PreviewRow, preview, preview_json, summary, summary_json};
pub use table::{Columns, table};
pub use text::{clock_note, counted, soaks};
pub use whoami::{Validity, Whoami, whoami, whoami_json};
