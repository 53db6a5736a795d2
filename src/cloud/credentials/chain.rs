//! Where the keys come from: the first source that has any, and the role that is to be assumed with them.

use std::path::PathBuf;

use super::role::{AssumedRole, ROLE_ARN, ROLE_SESSION_NAME, USUAL_SESSION_NAME};
use super::{CredentialsError, Source, environment, instance, tke};
use crate::cloud::sts::StsClient;

/// What sources look at, so that tests can give them something else to look at.
pub struct Surroundings<'a> {
    /// Looks an environment variable up; an empty value counts as unset.
    pub variable: &'a dyn Fn(&str) -> Option<String>,
    /// The home directory, where there is one.
    pub home: Option<PathBuf>,
    /// The profile that was asked for on the command line; it beats the environment.
    pub profile: Option<String>,
    /// The role that was asked for on the command line; it beats the environment.
    pub role: Option<WantedRole>,
    /// Gives keys for roles.
    pub sts: StsClient,
}

/// A role to be assumed with whatever keys there are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WantedRole {
    /// Its ARN.
    pub arn: String,
    /// What its session is called, where somebody said.
    pub session_name: Option<String>,
}

/// What one kind of source finds: nothing, a source, or something that is there and wrong.
pub type Found = Result<Option<Box<dyn Source>>, CredentialsError>;

/// The first source that has keys, and the wanted role over it. Going on with keys that were only meant for assuming a
/// role would act as somebody else, so the role counts whichever source they come from.
pub fn find(surroundings: &Surroundings<'_>) -> Result<Box<dyn Source>, CredentialsError> {
    let source = first(surroundings)?;
    let Some(WantedRole { arn, session_name }) = surroundings.wanted_role() else { return Ok(source) };
    let session_name = session_name.unwrap_or_else(|| USUAL_SESSION_NAME.to_owned());
    Ok(Box::new(AssumedRole::new(source, arn, session_name, surroundings.sts.clone())))
}

fn first(surroundings: &Surroundings<'_>) -> Result<Box<dyn Source>, CredentialsError> {
    // the machine's role comes last: whether there is one shows only when it is asked for keys
    let sources = [environment::find, tke::find, instance::find];
    for find in sources {
        if let Some(source) = find(surroundings)? {
            return Ok(source);
        }
    }
    Err(CredentialsError::Absent)
}

impl Surroundings<'_> {
    /// The role of the command line, else of the environment; a profile that was asked for leaves the environment out,
    /// as in the vendor's command line.
    fn wanted_role(&self) -> Option<WantedRole> {
        let variable = |name| (self.variable)(name).filter(|value| !value.is_empty());
        let of_environment = |name| if self.profile.is_none() { variable(name) } else { None };
        let (arn, session_name) = match &self.role {
            Some(role) => (role.arn.clone(), role.session_name.clone()),
            None => (of_environment(ROLE_ARN)?, None),
        };
        let session_name = session_name.or_else(|| of_environment(ROLE_SESSION_NAME));
        Some(WantedRole { arn, session_name })
    }
}
