//! Signals that stop a run, and the stages of stopping.

use tokio::sync::mpsc::UnboundedReceiver;

/// A signal that stops a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// Ctrl-C.
    Interrupt,
    /// `kill`.
    Terminate,
    /// The terminal was closed.
    HangUp,
}

impl Signal {
    /// The name of the signal.
    pub fn name(self) -> &'static str {
        match self {
            Self::Interrupt => "SIGINT",
            Self::Terminate => "SIGTERM",
            Self::HangUp => "SIGHUP",
        }
    }
}

/// Receives the signals in the order of their arrival.
pub type Signals = UnboundedReceiver<Signal>;

/// The stages of stopping, in order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stopping {
    /// The run is not stopping.
    #[default]
    No,
    /// Nothing more is sent; accepted and unconfirmed requests are still polled.
    NoMoreSends,
    /// Nothing more is sent or polled; the run waits for the responses to requests in flight.
    Draining,
    /// The run ends at once.
    Now,
}
