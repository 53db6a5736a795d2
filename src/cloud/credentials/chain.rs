//! Where the keys come from: the first source that has any.

use std::cell::RefCell;
use std::path::PathBuf;

use super::{CredentialsError, Source, environment, sdk_file, tccli};

/// What sources look at, so that tests can give them something else to look at, and what they have to say of it.
pub struct Surroundings<'a> {
    /// Looks an environment variable up.
    pub variable: &'a dyn Fn(&str) -> Option<String>,
    /// The home directory, where there is one.
    pub home: Option<PathBuf>,
    /// The profile that was asked for on the command line; it beats the environment.
    pub profile: Option<String>,
    looked_at: RefCell<Vec<String>>,
    warnings: RefCell<Vec<String>>,
}

impl<'a> Surroundings<'a> {
    /// Variables, home directory and profile; nothing has been looked at yet.
    pub fn new(
        variable: &'a dyn Fn(&str) -> Option<String>,
        home: Option<PathBuf>,
        profile: Option<String>,
    ) -> Self {
        Self { variable, home, profile, looked_at: RefCell::default(), warnings: RefCell::default() }
    }

    /// The value of an environment variable; an empty one counts as unset, as it does for the vendor's Python SDK.
    pub fn value_of(&self, variable: &str) -> Option<String> {
        (self.variable)(variable).filter(|value| !value.is_empty())
    }

    /// Notes a place that has no keys, and why, for the error in which the search may end.
    pub(super) fn looked_at(&self, place: impl Into<String>) {
        self.looked_at.borrow_mut().push(place.into());
    }

    /// Every place that was noted so far.
    pub(super) fn take_looked_at(&self) -> Vec<String> {
        self.looked_at.take()
    }

    /// Notes what people should know although it keeps nobody from going on. Names files and variables, never values.
    pub(super) fn warn(&self, warning: impl Into<String>) {
        let warning = warning.into();
        let mut warnings = self.warnings.borrow_mut();
        if !warnings.contains(&warning) {
            warnings.push(warning);
        }
    }

    /// What the sources warned of so far, each once.
    pub fn warnings(&self) -> Vec<String> {
        self.warnings.borrow().clone()
    }
}

/// What one kind of source finds: nothing, a source, or something that is there and wrong.
pub type Found = Result<Option<Box<dyn Source>>, CredentialsError>;

/// The first source that has keys.
pub fn find(surroundings: &Surroundings<'_>) -> Result<Box<dyn Source>, CredentialsError> {
    // a profile that was asked for is used or is an error, as it is for tccli
    let sources: &[fn(&Surroundings<'_>) -> Found] = if surroundings.profile.is_some() {
        &[tccli::find]
    } else {
        &[environment::find, tccli::find, sdk_file::find]
    };
    for find in sources {
        if let Some(source) = find(surroundings)? {
            return Ok(source);
        }
    }
    Err(CredentialsError::Absent { looked_at: surroundings.take_looked_at() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_search_in_vain_names_every_place_and_the_ways_to_get_keys() {
        let home = tempfile::tempdir().expect("a folder");
        let surroundings = Surroundings::new(&|_| None, Some(home.path().to_owned()), None);
        let error = find(&surroundings).err().expect("nothing is there").to_string();
        let home = home.path().display();
        let begins = format!(
            "there are no API keys; looked at the environment (TENCENTCLOUD_SECRET_ID is unset), \
             {home}/.tccli/default.credential (not there), {home}/.tencentcloud/credentials (not there)"
        );
        assert!(error.starts_with(&begins), "{error}");
        let ends = ": log in with `tccli auth login`, keep keys with `tccli configure`, or set \
                    TENCENTCLOUD_SECRET_ID and TENCENTCLOUD_SECRET_KEY";
        assert!(error.ends_with(ends), "{error}");
    }

    #[test]
    fn what_is_warned_of_twice_is_told_once() {
        let surroundings = Surroundings::new(&|_| None, None, None);
        for warning in ["a", "b", "a"] {
            surroundings.warn(warning);
        }
        assert_eq!(surroundings.warnings(), ["a", "b"]);
    }
}
