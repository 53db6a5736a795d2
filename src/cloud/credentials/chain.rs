//! Where the keys come from: the first source that has any, and the role that is to be assumed with them.

use std::cell::RefCell;
use std::path::PathBuf;

use super::role::{AssumedRole, ROLE_ARNS, ROLE_SESSION_NAMES, USUAL_SESSION_NAME};
use super::{CredentialsError, Source, environment, instance, sdk_file, tccli, tke};
use crate::cloud::sts::StsClient;

/// What sources look at, so that tests can give them something else to look at, and what they have to say of it.
pub struct Environment<'a> {
    /// Looks an environment variable up.
    pub variable: &'a dyn Fn(&str) -> Option<String>,
    /// The home directory, where there is one.
    pub home: Option<PathBuf>,
    /// The profile that was asked for on the command line; it beats the environment.
    pub profile: Option<String>,
    looked_at: RefCell<Vec<String>>,
    warnings: RefCell<Vec<String>>,
}

impl<'a> Environment<'a> {
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

    /// The same, unless a profile was asked for, which leaves the environment out, as in the vendor's command line.
    pub(super) fn of_environment(&self, variable: &str) -> Option<String> {
        if self.profile.is_none() { self.value_of(variable) } else { None }
    }

    /// The role that the environment asks for.
    pub(super) fn role_of_environment(&self) -> Option<String> {
        ROLE_ARNS.iter().find_map(|name| self.of_environment(name))
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

/// One way to look for keys; what it finds may ask STS for them.
type Look = fn(&Environment<'_>, &StsClient) -> Found;

/// The first source that has keys, and the wanted role over it. Going on with keys that were only meant for assuming a
/// role would act as somebody else, so the role counts whichever source they come from.
/// `typed` is the role of the command line.
pub fn find(
    environment: &Environment<'_>,
    typed: Option<WantedRole>,
    sts: &StsClient,
) -> Result<Box<dyn Source>, CredentialsError> {
    let source = first(environment, sts)?;
    let Some(WantedRole { arn, session_name }) = wanted_role(environment, typed) else { return Ok(source) };
    let session_name = session_name.unwrap_or_else(|| USUAL_SESSION_NAME.to_owned());
    Ok(Box::new(AssumedRole::new(source, arn, session_name, sts.clone())))
}

fn first(environment: &Environment<'_>, sts: &StsClient) -> Result<Box<dyn Source>, CredentialsError> {
    // a profile that was asked for is used or is an error, as it is for tccli
    let sources: &[Look] = if environment.profile.is_some() {
        &[tccli::find]
    } else {
        // the machine's role comes last: whether there is one shows only when it is asked for keys
        &[
            |environment, _| environment::find(environment),
            tccli::find,
            |environment, _| sdk_file::find(environment),
            tke::find,
            |environment, _| instance::find(environment),
        ]
    };
    for find in sources {
        if let Some(source) = find(environment, sts)? {
            return Ok(source);
        }
    }
    Err(CredentialsError::Absent { looked_at: environment.take_looked_at() })
}

/// The role of the command line, else of the environment.
fn wanted_role(environment: &Environment<'_>, typed: Option<WantedRole>) -> Option<WantedRole> {
    let passed_over = ROLE_ARNS.iter().find(|name| environment.value_of(name).is_some());
    if let (Some(name), true, None) = (passed_over, environment.profile.is_some(), &typed) {
        environment.warn(format!(
            "{name} is set and not used, since --profile leaves the environment out: give --role-arn to assume that role"
        ));
    }
    let (arn, session_name) = match typed {
        Some(role) => (role.arn, role.session_name),
        None => (environment.role_of_environment()?, None),
    };
    let named = || ROLE_SESSION_NAMES.iter().find_map(|name| environment.of_environment(name));
    let session_name = session_name.or_else(named);
    Some(WantedRole { arn, session_name })
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::{NOBODY, sts_at};
    use super::*;
    use crate::cloud::signed::ServiceClock;

    #[tokio::test]
    async fn a_search_in_vain_names_every_place_and_the_ways_to_get_keys() {
        let home = tempfile::tempdir().expect("a folder");
        let variable = |name: &str| (name == "DLC_FLEET_METADATA_ENDPOINT").then(|| NOBODY.to_owned());
        let environment = Environment::new(&variable, Some(home.path().to_owned()), None);
        let source = find(&environment, None, &sts_at(NOBODY)).expect("only the machine's role is left");
        let error = source.fetch(&ServiceClock::default()).await.expect_err("nothing is there").to_string();
        let home = home.path().display();
        let begins = format!(
            "there are no API keys; looked at the environment (TENCENTCLOUD_SECRET_ID is unset), \
             {home}/.tccli/default.credential (not there), {home}/.tencentcloud/credentials (not there)"
        );
        assert!(error.starts_with(&begins), "{error}");
        let ends = "a pod's role (TKE_ROLE_ARN is unset), the metadata service of this machine (nobody \
                    answers): log in with `tccli auth login`, keep keys with `tccli configure`, or set TENCENTCLOUD_SECRET_ID and TENCENTCLOUD_SECRET_KEY";
        assert!(error.ends_with(ends), "{error}");
    }

    #[test]
    fn what_is_warned_of_twice_is_told_once() {
        let environment = Environment::new(&|_| None, None, None);
        for warning in ["a", "b", "a"] {
            environment.warn(warning);
        }
        assert_eq!(environment.warnings(), ["a", "b"]);
    }
}
