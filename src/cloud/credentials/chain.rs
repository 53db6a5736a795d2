//! The provider chain: the first source that has keys, and the role to assume with them.

use super::environment::Environment;
use super::error::CredentialsError;
use super::role::{AssumedRole, DEFAULT_SESSION_NAME, ROLE_ARNS, ROLE_SESSION_NAMES};
use super::source::{Found, Source};
use super::{instance, sdk_file, tccli, tke, variables};
use crate::cloud::sts::StsClient;

/// A role to assume with the keys that are found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WantedRole {
    /// Its ARN.
    pub arn: String,
    /// The name of its session, if one was given.
    pub session_name: Option<String>,
}

/// The search in one kind of source. Sources that assume a role call STS.
type Search = fn(&Environment<'_>, &StsClient) -> Found;

/// The first source that has keys, with the wanted role on top. The role applies to keys of every source: signing with
/// keys that were only meant for assuming a role would act as another caller. `flag` is the role of the command line.
pub fn find(
    environment: &Environment<'_>,
    flag: Option<WantedRole>,
    sts: &StsClient,
) -> Result<Box<dyn Source>, CredentialsError> {
    let source = first(environment, sts)?;
    let Some(WantedRole { arn, session_name }) = wanted_role(environment, flag) else { return Ok(source) };
    let session_name = session_name.unwrap_or_else(|| DEFAULT_SESSION_NAME.to_owned());
    Ok(Box::new(AssumedRole::new(source, arn, session_name, sts.clone())))
}

fn first(environment: &Environment<'_>, sts: &StsClient) -> Result<Box<dyn Source>, CredentialsError> {
    // --profile excludes all other sources, as it does for tccli
    let searches: &[Search] = if environment.profile.is_some() {
        &[tccli::find]
    } else {
        // the role of the instance is last: whether there is one is only known when its keys are requested
        &[
            |environment, _| variables::find(environment),
            tccli::find,
            |environment, _| sdk_file::find(environment),
            tke::find,
            |environment, _| instance::find(environment),
        ]
    };
    for search in searches {
        if let Some(source) = search(environment, sts)? {
            return Ok(source);
        }
    }
    Err(CredentialsError::Absent { searched: environment.take_searched() })
}

/// The role of the command line, else of the environment.
fn wanted_role(environment: &Environment<'_>, flag: Option<WantedRole>) -> Option<WantedRole> {
    let session_name = || environment.first_without_profile(&ROLE_SESSION_NAMES).map(|(_, name)| name);
    if let Some(WantedRole { arn, session_name: given }) = flag {
        return Some(WantedRole { arn, session_name: given.or_else(session_name) });
    }
    let (variable, arn) = environment.first_of(&ROLE_ARNS)?;
    if environment.profile.is_some() {
        environment.warn(format!(
            "{variable} is set but ignored, because --profile excludes the environment: pass --role-arn to assume \
             that role"
        ));
        return None;
    }
    Some(WantedRole { arn, session_name: session_name() })
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::{UNUSED_ADDRESS, sts_at};
    use super::*;
    use crate::cloud::service_clock::ServiceClock;

    #[tokio::test]
    async fn the_error_without_keys_names_every_searched_place_and_the_ways_to_get_keys() {
        let home = tempfile::tempdir().expect("a folder");
        let variable =
            |name: &str| (name == "DLC_FLEET_METADATA_ENDPOINT").then(|| UNUSED_ADDRESS.to_owned());
        let environment = Environment::new(&variable, Some(home.path().to_owned()), None);
        let source =
            find(&environment, None, &sts_at(UNUSED_ADDRESS)).expect("the role of the instance is left");
        let error = source.fetch(&ServiceClock::default()).await.expect_err("no keys").to_string();
        let home = home.path().display();
        let start = format!(
            "no API keys found; searched the environment (TENCENTCLOUD_SECRET_ID is not set), \
             {home}/.tccli/default.credential (does not exist), {home}/.tencentcloud/credentials (does not exist)"
        );
        assert!(error.starts_with(&start), "{error}");
        let end = "the role of a TKE pod (TKE_ROLE_ARN is not set), the metadata service of this instance (no response): \
                   log in with `tccli auth login`, store keys with `tccli configure`, set TENCENTCLOUD_SECRET_ID and \
                   TENCENTCLOUD_SECRET_KEY, or bind a role to this instance";
        assert!(error.ends_with(end), "{error}");
    }
}
