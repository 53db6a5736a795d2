//! Where the keys come from: the first source that has any.

use std::cell::RefCell;
use std::path::PathBuf;

use super::{CredentialsError, Source, environment};

/// What sources look at, so that tests can give them something else to look at, and what they did not find.
pub struct Surroundings<'a> {
    /// Looks an environment variable up.
    pub variable: &'a dyn Fn(&str) -> Option<String>,
    /// The home directory, where there is one.
    pub home: Option<PathBuf>,
    /// The profile that was asked for on the command line; it beats the environment.
    pub profile: Option<String>,
    looked_at: RefCell<Vec<String>>,
}

impl<'a> Surroundings<'a> {
    /// Variables, home directory and profile; nothing has been looked at yet.
    pub fn new(
        variable: &'a dyn Fn(&str) -> Option<String>,
        home: Option<PathBuf>,
        profile: Option<String>,
    ) -> Self {
        Self { variable, home, profile, looked_at: RefCell::default() }
    }

    /// The value of an environment variable; an empty one counts as unset, as it does for the vendor's Python SDK.
    pub fn value_of(&self, variable: &str) -> Option<String> {
        (self.variable)(variable).filter(|value| !value.is_empty())
    }

    /// Notes a place that has no keys, and why, for the error in which the search may end.
    pub(super) fn looked_at(&self, place: impl Into<String>) {
        self.looked_at.borrow_mut().push(place.into());
    }
}

/// What one kind of source finds: nothing, a source, or something that is there and wrong.
pub type Found = Result<Option<Box<dyn Source>>, CredentialsError>;

/// The first source that has keys.
pub fn find(surroundings: &Surroundings<'_>) -> Result<Box<dyn Source>, CredentialsError> {
    let sources = [environment::find];
    for find in sources {
        if let Some(source) = find(surroundings)? {
            return Ok(source);
        }
    }
    Err(CredentialsError::Absent { looked_at: surroundings.looked_at.take() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_search_in_vain_names_every_place_and_the_ways_to_get_keys() {
        let error = find(&Surroundings::new(&|_| None, None, None)).err().expect("nothing is there");
        assert_eq!(
            error.to_string(),
            "there are no API keys; looked at the environment (TENCENTCLOUD_SECRET_ID is unset): log in with `tccli \
             auth login`, keep keys with `tccli configure`, or set TENCENTCLOUD_SECRET_ID and \
             TENCENTCLOUD_SECRET_KEY"
        );
    }
}
