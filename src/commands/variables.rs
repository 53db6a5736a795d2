//! Environment variables, and the sources of keys, region and endpoint.

use crate::cloud::credentials::Environment;

/// An environment variable; one that is not Unicode is converted with replacement characters and rejected later.
pub(super) fn env_var(name: &str) -> Option<String> {
    std::env::var_os(name).map(|value| value.to_string_lossy().into_owned())
}

/// The sources of keys, region and endpoint, with the requested profile.
pub(super) fn environment(profile: Option<&str>) -> Environment<'static> {
    // without HOME, the user database has the home directory
    let home = std::env::home_dir().filter(|home| !home.as_os_str().is_empty());
    Environment::new(&env_var, home, profile.map(str::to_owned))
}
