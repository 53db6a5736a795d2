//! Why there are no API keys.

use std::fmt::Display;
use std::path::Path;

use super::environment::{SECRET_ID, SECRET_KEY};
use crate::format::shown_path;

/// Why there are no API keys. Names variables and files, and shows no values.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CredentialsError {
    /// No source has keys.
    #[error(
        "no API keys found; searched {}: log in with `tccli auth login`, store keys with `tccli configure`, set \
         {SECRET_ID} and {SECRET_KEY}, or bind a role to this instance",
        searched.join(", ")
    )]
    Absent {
        /// Every place that was searched, with the reason why it has no keys.
        searched: Vec<String>,
    },
    /// One of two values that belong together is missing.
    #[error("{present} is set, but {missing} is not: set both")]
    Incomplete {
        /// The variable or field that is set.
        present: String,
        /// The variable or field that is not set.
        missing: String,
    },
    /// A source is not valid; retrying does not help.
    #[error("{place}: {problem}")]
    Invalid {
        /// The variable, file or role.
        place: String,
        /// What is wrong and what to do: small first letter, no full stop.
        problem: String,
    },
    /// A source cannot be read at present, for example because the network fails; retrying may help.
    #[error("{place}: {problem}")]
    Unavailable {
        /// The role or service.
        place: String,
        /// What happened and what to do: small first letter, no full stop.
        problem: String,
    },
    /// The renewed keys belong to another account than the one that the run is for.
    #[error(
        "the renewed keys of {place} belong to the account {actual}, but this run is for {expected}: log in to that \
         account, then run the same command again"
    )]
    OtherAccount {
        /// The source of the keys.
        place: String,
        /// The account of the renewed keys.
        actual: String,
        /// The account of the run.
        expected: String,
    },
}

impl CredentialsError {
    /// True if retrying may help.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Unavailable { .. })
    }

    /// A file is not valid.
    pub(super) fn in_file(path: &Path, problem: impl Display) -> Self {
        Self::Invalid { place: shown_path(path), problem: problem.to_string() }
    }
}
