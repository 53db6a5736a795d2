//! Why and how a run stops before its plan is done.

use tokio::sync::mpsc::UnboundedReceiver;

/// A request from outside to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// Ctrl-C.
    Interrupt,
    /// `kill`.
    Terminate,
    /// The terminal is gone.
    HangUp,
}

impl Signal {
    /// The name people know it by.
    pub fn name(self) -> &'static str {
        match self {
            Self::Interrupt => "SIGINT",
            Self::Terminate => "SIGTERM",
            Self::HangUp => "SIGHUP",
        }
    }
}

/// Signals as they come.
pub type Signals = UnboundedReceiver<Signal>;

/// How far a run is on its way to stopping.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stopping {
    /// It is not.
    #[default]
    No,
    /// Nothing more is sent; what was accepted is still watched until it converges.
    NoMoreSends,
    /// Nothing more is sent or watched; only answers to requests under way are awaited.
    Draining,
    /// At once.
    Now,
}
