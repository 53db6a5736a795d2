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

pub use reporter::{Reporter, TallyReader};
#[cfg(test)]
pub use sink::Sink;
#[cfg(test)]
pub use state::ProgressState;
pub use terminal::{LogLine, Terminal, log_writer};
