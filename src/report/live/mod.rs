//! Progress while a run goes on: bars on a terminal, lines elsewhere.

mod bars;
mod clock;
mod lines;
mod notices;
mod reporter;
mod sink;
mod state;
mod status;
mod terminal;
mod throughput;
mod time_left;

pub use bars::Bars;
pub use lines::Lines;
pub use reporter::{Reporter, TallyReader};
pub use sink::Sink;
#[cfg(test)]
pub use state::ProgressState;
pub use terminal::{LogLine, LogWriter, Terminal, log_writer};
