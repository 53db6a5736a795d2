//! One entry of the error catalogue, and what the run does about it.

/// Which engines a final refusal affects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorScope {
    /// This engine only; the run goes on.
    Engine,
    /// Every engine with this target in this region; the others are held back.
    Image,
    /// Every engine in this region; the others are held back.
    Region,
    /// Every engine; the run stops.
    Account,
}

/// What the run does about a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorClass {
    /// Too many requests: the rate is lowered for all jobs; does not count as an attempt.
    Throttled,
    /// May pass within seconds: wait, verify, send again.
    Transient,
    /// May pass, but not within seconds: wait longer, verify, send again.
    Busy,
    /// The engine is not running: transient while it initialises, final in any other state.
    NotRunning,
    /// A permission is missing. The run stops if nothing has been accepted yet or several engines in a row are denied;
    /// else only this engine fails, since permissions can be granted per engine.
    Denied,
    /// Retrying does not help.
    Final(ErrorScope),
}

/// One entry of the catalogue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CatalogueEntry {
    /// The code. A first segment applies to all codes below it that have no entry of their own.
    pub code: &'static str,
    /// What the run does about it.
    pub class: ErrorClass,
    /// True if the refusal proves that nothing was applied.
    pub proves_not_applied: bool,
    /// What happened: small first letter, no full stop.
    pub cause: &'static str,
    /// What to do: small first letter, no full stop.
    pub remedy: &'static str,
}
