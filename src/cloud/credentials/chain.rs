//! Where the keys come from: the first source that has any.

use std::path::PathBuf;

use super::{CredentialsError, Source, environment};

/// What sources look at, so that tests can give them something else to look at.
pub struct Surroundings<'a> {
    /// Looks an environment variable up; an empty value counts as unset.
    pub variable: &'a dyn Fn(&str) -> Option<String>,
    /// The home directory, where there is one.
    pub home: Option<PathBuf>,
    /// The profile that was asked for on the command line; it beats the environment.
    pub profile: Option<String>,
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
    Err(CredentialsError::Absent)
}
