//! Which profile of tccli is meant, and where its files are.

use std::path::{Path, PathBuf};

use super::super::file::wrong;
use super::super::{CredentialsError, Environment};
use crate::format::{for_shell, is_printable, printable, quoted, shown_path};

/// Variables that name the profile where the command line does not: of tccli (`action_caller.py`), and of the vendor's
/// Terraform provider, which reads the same files. The first that is set counts.
const PROFILES: [&str; 2] = ["TCCLI_PROFILE", "TENCENTCLOUD_PROFILE"];

/// Variable of the folder of profiles (vendor's Terraform provider).
const FOLDER: &str = "TENCENTCLOUD_SHARED_CREDENTIALS_DIR";

/// The profile where nobody names one (tccli, `action_caller.py`).
const DEFAULT: &str = "default";

/// How many profiles an error lists.
const MOST_LISTED: usize = 12;

#[derive(Clone, Copy, PartialEq, Eq)]
enum AskedBy {
    /// `--profile`: this one or none.
    Flag,
    /// One of [`PROFILES`]: it must exist, and may be without keys.
    Variable(&'static str),
    Nobody,
}

/// A profile by name.
#[derive(Clone)]
pub(super) struct Place {
    pub(super) name: String,
    asked_by: AskedBy,
    folder: PathBuf,
}

impl Place {
    /// The profile that is meant; none where there is no home to look in, and nobody asked.
    pub(super) fn of(environment: &Environment<'_>) -> Result<Option<Self>, CredentialsError> {
        let named = || PROFILES.iter().find_map(|name| Some((*name, environment.value_of(name)?)));
        let (asked_by, name) = match (environment.profile.clone(), named()) {
            (Some(name), _) => (AskedBy::Flag, name),
            (None, Some((variable, name))) => (AskedBy::Variable(variable), name),
            (None, None) => (AskedBy::Nobody, DEFAULT.to_owned()),
        };
        if name.is_empty() || name.chars().any(|sign| !is_printable(sign) || "/\\".contains(sign)) {
            return Err(refused(asked_by, &name, "is no name of a profile: write one such as default"));
        }
        if let Some(folder) = environment.value_of(FOLDER) {
            return Ok(Some(Self { name, asked_by, folder: folder.into() }));
        }
        let Some(home) = &environment.home else {
            if asked_by == AskedBy::Nobody {
                environment.looked_at("~/.tccli (there is no home directory: set HOME)");
                return Ok(None);
            }
            return Err(refused(asked_by, &name, "cannot be found without a home directory: set HOME"));
        };
        Ok(Some(Self { name, asked_by, folder: home.join(".tccli") }))
    }

    /// The file of the keys.
    pub(super) fn credential(&self) -> PathBuf {
        self.folder.join(format!("{}.credential", self.name))
    }

    /// The file of everything else.
    pub(super) fn configure(&self) -> PathBuf {
        self.folder.join(format!("{}.configure", self.name))
    }

    /// True where no other source may take this one's place.
    pub(super) fn was_demanded(&self) -> bool {
        self.asked_by == AskedBy::Flag
    }

    /// True where at least one of its files is there.
    pub(super) fn exists(&self) -> bool {
        self.credential().exists() || self.configure().exists()
    }

    /// Whoever asks for a profile by name gets it, or is told that it is not there, and `why`.
    pub(super) fn demand(&self, why: &str) -> Result<(), CredentialsError> {
        if self.asked_by == AskedBy::Nobody {
            return Ok(());
        }
        let what = format!(
            "cannot be used: {} is {why}, and tccli has {} make it with {}",
            shown_path(&self.credential()),
            self.others(),
            self.command("configure"),
        );
        Err(refused(self.asked_by, &self.name, &what))
    }

    /// The error of a profile without keys.
    pub(super) fn without_keys(&self) -> CredentialsError {
        let (keep, log_in) = (self.command("configure"), self.command("auth login"));
        wrong(
            &self.credential(),
            format!("there are no keys: keep some with {keep}, or log in with {log_in}"),
        )
    }

    /// A command of tccli for this profile. `login` does not look at the variable (tccli, `plugins/auth/login.py`).
    pub(super) fn command(&self, command: &str) -> String {
        if self.asked_by == AskedBy::Nobody {
            return format!("`tccli {command}`");
        }
        format!("`tccli {command} --profile {}`", for_shell(&self.name))
    }

    /// The profiles that have keys, as an error lists and offers them.
    fn others(&self) -> String {
        let mut names = names_in(&self.folder);
        names.sort();
        let left = names.len().saturating_sub(MOST_LISTED);
        names.truncate(MOST_LISTED);
        match (names.len(), left) {
            (0, _) => "no profiles with keys:".to_owned(),
            (1, _) => format!("the profile {}: name that, or", names.concat()),
            (_, 0) => format!("the profiles {}: name one of them, or", names.join(", ")),
            _ => format!("the profiles {} and {left} more: name one of them, or", names.join(", ")),
        }
    }
}

fn names_in(folder: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let names = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
    names.filter_map(|name| name.strip_suffix(".credential").map(printable)).collect()
}

fn refused(asked_by: AskedBy, name: &str, what: &str) -> CredentialsError {
    let asked_by = match asked_by {
        AskedBy::Flag => "--profile",
        AskedBy::Variable(variable) => variable,
        AskedBy::Nobody => PROFILES[0],
    };
    CredentialsError::Source {
        what: format!("{asked_by}: {} {what}", quoted(&printable(name), 80)),
        may_pass: false,
    }
}
