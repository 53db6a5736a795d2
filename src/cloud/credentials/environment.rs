//! What sources of keys read from: variables, home directory and profile; and what they report back.

use std::cell::RefCell;
use std::path::PathBuf;

/// Variable of the `SecretId` (vendor's Python SDK, Go SDK and command line).
pub const SECRET_ID: &str = "TENCENTCLOUD_SECRET_ID";
/// Variable of the `SecretKey` (vendor's Python SDK, Go SDK and command line).
pub const SECRET_KEY: &str = "TENCENTCLOUD_SECRET_KEY";

/// The variables, home directory and profile that sources of keys read, with notes and warnings of the search.
pub struct Environment<'a> {
    /// Returns the value of an environment variable.
    pub variable: &'a dyn Fn(&str) -> Option<String>,
    /// The home directory, if there is one.
    pub home: Option<PathBuf>,
    /// The profile of `--profile`, which has precedence over the environment.
    pub profile: Option<String>,
    searched: RefCell<Vec<String>>,
    warnings: RefCell<Vec<String>>,
}

impl<'a> Environment<'a> {
    /// Nothing has been searched yet.
    pub fn new(
        variable: &'a dyn Fn(&str) -> Option<String>,
        home: Option<PathBuf>,
        profile: Option<String>,
    ) -> Self {
        Self { variable, home, profile, searched: RefCell::default(), warnings: RefCell::default() }
    }

    /// The value of an environment variable; an empty one counts as unset, as it does for the vendor's Python SDK.
    pub fn value_of(&self, variable: &str) -> Option<String> {
        (self.variable)(variable).filter(|value| !value.is_empty())
    }

    /// The first of several variables that is set, with its value.
    pub(super) fn first_of(&self, variables: &[&'static str]) -> Option<(&'static str, String)> {
        variables.iter().find_map(|name| Some((*name, self.value_of(name)?)))
    }

    /// The same, but `None` with `--profile`, which excludes the environment as it does for the vendor's command line.
    pub(super) fn first_without_profile(&self, variables: &[&'static str]) -> Option<(&'static str, String)> {
        if self.profile.is_none() { self.first_of(variables) } else { None }
    }

    /// Notes a place that has no keys, with the reason, for the error at the end of the search.
    pub(super) fn note_searched(&self, place: impl Into<String>) {
        self.searched.borrow_mut().push(place.into());
    }

    /// Every place that was noted so far.
    pub(super) fn take_searched(&self) -> Vec<String> {
        self.searched.take()
    }

    /// Notes a warning: the run goes on. Contains names of files and variables, no values.
    pub(super) fn warn(&self, warning: impl Into<String>) {
        let warning = warning.into();
        let mut warnings = self.warnings.borrow_mut();
        if !warnings.contains(&warning) {
            warnings.push(warning);
        }
    }

    /// The warnings so far, each once.
    pub fn warnings(&self) -> Vec<String> {
        self.warnings.borrow().clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repeated_warning_is_kept_once() {
        let environment = Environment::new(&|_| None, None, None);
        for warning in ["a", "b", "a"] {
            environment.warn(warning);
        }
        assert_eq!(environment.warnings(), ["a", "b"]);
    }
}
