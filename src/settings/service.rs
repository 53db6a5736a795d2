//! Region and endpoint from flags, the environment, and the profile of tccli.

use crate::cloud::credentials::tccli::{self, ProfileSettings, Setting, check_profile_exists};
use crate::cloud::credentials::{CredentialsError, Environment};
use crate::cloud::endpoint::Endpoint;
use crate::error::Failure;
use crate::exit::Exit;
use crate::job::Region;
use crate::plan;

/// Variable of the region for rows without one.
pub const REGION_VARIABLE: &str = "TENCENTCLOUD_REGION";

/// The region for rows without one: from the flag, the environment or the profile. A profile of `--profile` must exist.
pub fn region(flag: Option<&str>, environment: &Environment<'_>) -> Result<Option<Region>, Failure> {
    check_profile_exists(environment).map_err(|error| usage_error(&error))?;
    let flag = flag.map(|text| Setting { place: "--region".into(), value: text.into() });
    let variable = || {
        let value = environment.value_of(REGION_VARIABLE);
        value.map(|value| Setting { place: REGION_VARIABLE.into(), value })
    };
    let found = match flag {
        Some(flag) => Some(flag),
        None if environment.profile.is_some() => profile(environment)?.region.or_else(variable),
        None => match variable() {
            Some(variable) => Some(variable),
            None => profile(environment)?.region,
        },
    };
    let Some(Setting { place, value }) = found else { return Ok(None) };
    if plan::is_region(&value) {
        return Ok(Some(Region::new(value)));
    }
    Err(Failure::new(
        Exit::Usage,
        format!("{place}: {value:?} is not a region: write one such as ap-guangzhou"),
    ))
}

/// The endpoint, from the flag or the profile.
pub fn endpoint(flag: Option<&str>, environment: &Environment<'_>) -> Result<Endpoint, Failure> {
    if let Some(flag) = flag {
        return Ok(flag.parse()?);
    }
    let Some(Setting { place, value }) = profile(environment)?.endpoint else {
        return Ok(Endpoint::default());
    };
    value.parse().map_err(|error| Failure::new(Exit::Usage, format!("{place}: {error}")))
}

fn profile(environment: &Environment<'_>) -> Result<ProfileSettings, Failure> {
    tccli::settings(environment).map_err(|error| usage_error(&error))
}

/// An invalid profile is a usage error, like the flags that it replaces.
fn usage_error(error: &CredentialsError) -> Failure {
    Failure::new(Exit::Usage, error.to_string()).next("nothing was sent")
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::{Cli, Command};
    use crate::settings::{RunSettings, SIMULATOR};

    /// Region and endpoint with `ap-shanghai` in the environment or not, and a file for each of two profiles.
    fn service(line: &str, variable: bool) -> Result<(Option<String>, String), Failure> {
        let home = tempfile::tempdir().expect("a folder");
        let folder = home.path().join(".tccli");
        std::fs::create_dir(&folder).expect("a folder");
        for (profile, region) in [("default", "ap-tokyo"), ("prod", "ap-seoul")] {
            let text = format!(
                r#"{{"_sys_param": {{"region": "{region}"}}, "dlc": {{"endpoint": "dlc.{profile}.example.com"}}}}"#
            );
            std::fs::write(folder.join(format!("{profile}.configure")), text).expect("written");
        }
        std::fs::write(folder.join("bare.credential"), "{}").expect("written");
        std::fs::write(folder.join("bad.configure"), r#"{"region": "Mars", "dlc": {"endpoint": "a/b"}}"#)
            .expect("written");
        let cli = Cli::parse_from(line.split(' '));
        let Command::Run(args) = cli.command else { panic!("not a run") };
        let lookup = |name: &str| (variable && name == REGION_VARIABLE).then(|| "ap-shanghai".to_owned());
        let home = Some(home.path().to_owned());
        let environment = Environment::new(&lookup, home, args.target.profile.clone());
        let settings = RunSettings::resolve(&args, &environment)?;
        Ok((settings.region.map(|region| region.as_str().to_owned()), settings.target.name()))
    }

    #[test]
    fn region_and_endpoint_come_from_flag_environment_and_profile_in_this_order() {
        let (region, endpoint) = ("--region ap-beijing", "--endpoint dlc.flag.example.com");
        for (flags, variable, expected) in [
            (format!("{region} {endpoint}"), true, ("ap-beijing", "dlc.flag.example.com")),
            (region.to_owned(), true, ("ap-beijing", "dlc.default.example.com")),
            (endpoint.to_owned(), true, ("ap-shanghai", "dlc.flag.example.com")),
            (endpoint.to_owned(), false, ("ap-tokyo", "dlc.flag.example.com")),
            (format!("--profile prod {region}"), true, ("ap-beijing", "dlc.prod.example.com")),
            (format!("--profile prod {endpoint}"), true, ("ap-seoul", "dlc.flag.example.com")),
            ("--profile prod".to_owned(), true, ("ap-seoul", "dlc.prod.example.com")),
            ("--profile bare".to_owned(), true, ("ap-shanghai", "dlc.tencentcloudapi.com")),
            ("--profile bare".to_owned(), false, ("", "dlc.tencentcloudapi.com")),
            ("--simulate".to_owned(), true, ("ap-shanghai", SIMULATOR)),
            ("--simulate".to_owned(), false, ("", SIMULATOR)),
            ("--simulate --profile nowhere".to_owned(), false, ("", SIMULATOR)),
        ] {
            let found = service(&format!("dlc-fleet run p.csv {flags}"), variable);
            let (region, endpoint) = found.unwrap_or_else(|failure| panic!("{flags}: {failure}"));
            assert_eq!((region.as_deref().unwrap_or(""), endpoint.as_str()), expected, "{flags} {variable}");
        }
    }

    #[test]
    fn an_invalid_value_in_a_profile_is_a_usage_error_with_file_and_field() {
        for (flags, expected) in [
            ("--region ap-tokyo", "bad.configure: dlc.endpoint: the endpoint contains more than a host"),
            ("--endpoint a.example.com", "bad.configure: region: \"Mars\" is not a region"),
        ] {
            let failure = service(&format!("dlc-fleet run p.csv --profile bad {flags}"), false);
            let failure = failure.expect_err(flags);
            assert!(failure.to_string().contains(expected), "{failure}");
            assert_eq!(failure.exit, Exit::Usage);
        }
        let failure = service("dlc-fleet run p.csv --profile nowhere", false).expect_err("not there");
        assert!(failure.to_string().contains("--profile \"nowhere\""), "{failure}");
        assert_eq!(failure.exit, Exit::Usage);
    }
}
