//! The result of a dry run: what the run would do with every row, and how long that takes.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use crate::event::SoakFailure;
use crate::job::{ImageVersionId, JobKey, Outcome, Wave};

/// What the run would do with a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Prediction {
    /// Send a switch request.
    Switch {
        /// The image version before, if a read showed it.
        from: Option<ImageVersionId>,
    },
    /// Nothing: the engine is on its target.
    UpToDate,
    /// Nothing: the job ended in an earlier run.
    Done(Outcome),
    /// Nothing: an earlier run left the engine on its target, and it has drifted; the detail says to where.
    Drifted,
    /// Verify: the service accepted a request of an earlier run.
    Accepted,
    /// Verify first: the ledger has an unconfirmed request.
    Unconfirmed,
    /// Fail: there is no such engine.
    NotFound,
    /// Refuse the whole plan: nothing may be sent for this row; the detail says why.
    Blocked,
    /// Fail for another reason; the detail says which.
    WouldFail,
    /// Not known before the run; the detail says why.
    CannotTell,
}

impl Prediction {
    /// The words of all predictions, in the order in which they are shown.
    pub const WORDS: [&'static str; 11] = [
        "switch",
        "up-to-date",
        "done",
        "left-failed",
        "drifted",
        "accepted",
        "unconfirmed",
        "blocked",
        "not-found",
        "would-fail",
        "cannot-tell",
    ];

    /// The word in texts and documents.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Switch { .. } => "switch",
            Self::UpToDate => "up-to-date",
            // not to be mistaken for done
            Self::Done(Outcome::Failed) => "left-failed",
            Self::Done(_) => "done",
            Self::Drifted => "drifted",
            Self::Accepted => "accepted",
            Self::Unconfirmed => "unconfirmed",
            Self::Blocked => "blocked",
            Self::NotFound => "not-found",
            Self::WouldFail => "would-fail",
            Self::CannotTell => "cannot-tell",
        }
    }

    /// True if the run would verify the engine, unless it finds something else.
    fn is_verified(&self) -> bool {
        matches!(self, Self::Switch { .. } | Self::Accepted | Self::Unconfirmed | Self::CannotTell)
    }
}

/// One row of the plan and what the run would do with it.
#[derive(Clone, Debug)]
pub struct PreviewRow {
    /// Which engine, where, to which image version.
    pub key: JobKey,
    /// Name of its wave.
    pub wave: String,
    /// What the run would do.
    pub prediction: Prediction,
    /// Why, if the prediction alone does not say it: one clause.
    pub detail: Option<String>,
    /// Free text from the plan.
    pub note: Option<String>,
}

/// The result of a dry run.
#[derive(Clone, Debug)]
pub struct Preview {
    /// The plan as the user named it.
    pub plan: PathBuf,
    /// Host that was read, or `simulator`.
    pub endpoint: String,
    /// Most switch requests per second of the run.
    pub rate: u32,
    /// Time between two requests at that rate.
    pub gap: Duration,
    /// How long an engine must be seen running on its target; none if the run would not verify.
    pub min_ready: Option<Duration>,
    /// The waves, in order, with how long the run would soak after each.
    pub soaks: Vec<Wave>,
    /// The wave that would fail its soak if no engine changes.
    pub soak_failure: Option<SoakFailure>,
    /// Every row of the plan, in plan order.
    pub rows: Vec<PreviewRow>,
}

impl Preview {
    /// The rows with a prediction of this word.
    pub fn rows_with<'a>(&'a self, word: &'a str) -> impl Iterator<Item = &'a PreviewRow> {
        self.rows.iter().filter(move |row| row.prediction.word() == word)
    }

    /// How many rows have a prediction of this word.
    pub fn count(&self, word: &str) -> usize {
        self.rows_with(word).count()
    }

    /// True if the run would be refused as a whole.
    pub fn is_refused(&self) -> bool {
        self.count("blocked") > 0
    }

    /// Requests that the run would send, at most.
    pub fn requests(&self) -> usize {
        if self.is_refused() { 0 } else { self.count("switch") + self.count("cannot-tell") }
    }

    /// Unconfirmed requests of earlier runs that the run would send again, at most.
    pub fn unconfirmed(&self) -> usize {
        if self.is_refused() { 0 } else { self.count("unconfirmed") }
    }

    /// How long sending so many requests takes.
    pub fn sending(&self, requests: usize) -> Duration {
        self.gap * u32::try_from(requests).unwrap_or(u32::MAX)
    }

    /// Waves in which engines would be verified; none if verification is off.
    pub fn verified_waves(&self) -> usize {
        if self.is_refused() || self.min_ready.is_none() {
            return 0;
        }
        let rows = self.rows.iter().filter(|row| row.prediction.is_verified());
        rows.map(|row| &row.wave).collect::<BTreeSet<_>>().len()
    }

    /// How long the run would soak in all.
    pub fn soaking(&self) -> Duration {
        if self.is_refused() { Duration::ZERO } else { self.soaks.iter().map(|wave| wave.soak).sum() }
    }

    /// The least time that the run would take: sending, `--min-ready` for each wave that is verified, and soaks. How long
    /// engines take to switch is not known beforehand.
    pub fn least_time(&self) -> Duration {
        let waves = u32::try_from(self.verified_waves()).unwrap_or(u32::MAX);
        let min_ready = self.min_ready.unwrap_or_default().saturating_mul(waves);
        self.sending(self.requests()).saturating_add(min_ready).saturating_add(self.soaking())
    }
}
