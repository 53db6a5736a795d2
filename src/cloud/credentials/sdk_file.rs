//! Keys from the file of the vendor's SDKs: `~/.tencentcloud/credentials`, in INI.
//!
//! Go reads the path in a variable, else the file in the home directory (tencentcloud-sdk-go,
//! `common/profile_provider.go`); Python that one, else the system's (tencentcloud-sdk-python-common 3.1.195,
//! `common/credential.py`). Neither takes a token from there, nor a role.

mod ini;

use std::path::{Path, PathBuf};

use super::file::{self, Looked, wrong};
use super::value::checked;
use super::{Credentials, CredentialsError, Environment, Fetching, Found, Source};
use crate::cloud::signed::ServiceClock;
use crate::format::shown_path;

/// Variable of a path that takes the place of all others (vendor's Go SDK).
pub(super) const FILE: &str = "TENCENTCLOUD_CREDENTIALS_FILE";

/// The system's file. Elsewhere than on Unix anybody may be able to put a file there.
const OF_THE_SYSTEM: Option<&str> = if cfg!(unix) { Some("/etc/tencentcloud/credentials") } else { None };

/// Keys from the first of the files that is there.
pub fn find(environment: &Environment<'_>) -> Found {
    find_among(environment, OF_THE_SYSTEM.map(Path::new))
}

/// Whoever names a file in the variable may not expect another one to come first.
pub(super) fn warn_if_passed_over(environment: &Environment<'_>, by: &Path) {
    if environment.profile.is_none() && environment.value_of(FILE).is_some() {
        environment.warn(format!(
            "the keys of {} are used, and not those that {FILE} names: unset {FILE}, or move that profile away",
            shown_path(by)
        ));
    }
}

fn find_among(environment: &Environment<'_>, of_the_system: Option<&Path>) -> Found {
    if let Some(path) = environment.value_of(FILE).map(PathBuf::from) {
        if let Looked::Nothing(why) = file::read(&path)? {
            let what = format!("{FILE}: {} is {why}: put it there, or unset {FILE}", shown_path(&path));
            return Err(CredentialsError::Source { what, may_pass: false });
        }
        let found = of(path.clone(), environment)?;
        return found.ok_or_else(|| without_keys(&path)).map(Some);
    }
    let at_home = environment.home.as_ref().map(|home| home.join(".tencentcloud").join("credentials"));
    for path in at_home.into_iter().chain(of_the_system.map(Path::to_owned)) {
        if let Looked::Nothing(why) = file::read(&path)? {
            environment.looked_at(format!("{} ({why})", shown_path(&path)));
            continue;
        }
        // the first one that is there is the one that counts, as it is for the Python SDK
        let found = of(path.clone(), environment)?;
        if found.is_none() {
            environment.looked_at(format!("{} (without keys in its section [default])", shown_path(&path)));
        }
        return Ok(found);
    }
    Ok(None)
}

/// The file as a source, where it has keys.
fn of(path: PathBuf, environment: &Environment<'_>) -> Found {
    file::warn_if_exposed(&path, environment);
    Ok(keys(&path)?.map(|_| -> Box<dyn Source> { Box::new(SdkFile { path }) }))
}

/// The keys in a file's section `[default]`; none where it has neither half. A file that is not there has none.
fn keys(path: &Path) -> Result<Option<Credentials>, CredentialsError> {
    let Looked::Text(text) = file::read(path)? else { return Ok(None) };
    let found = ini::values(&text, "default", ["secret_id", "secret_key"])
        .map_err(|flaw| wrong(path, format!("line {}: {}", flaw.line, flaw.what)))?;
    let half = |name: &str, found: Option<ini::Found>| {
        let Some(found) = found else { return Ok(None) };
        checked(&format!("{name} in line {} of {}", found.line, shown_path(path)), Some(found.value))
    };
    let [id, key] = found;
    match (half("secret_id", id)?, half("secret_key", key)?) {
        (Some(id), Some(key)) => Ok(Some(Credentials::new(id.to_string(), key, None))),
        (None, None) => Ok(None),
        (Some(_), None) => Err(wrong(path, "there is secret_id and not secret_key: write both in [default]")),
        (None, Some(_)) => Err(wrong(path, "there is secret_key and not secret_id: write both in [default]")),
    }
}

fn without_keys(path: &Path) -> CredentialsError {
    wrong(path, "there are no keys: write secret_id = … and secret_key = … in a section [default]")
}

/// Keys for good.
struct SdkFile {
    path: PathBuf,
}

impl Source for SdkFile {
    fn name(&self) -> String {
        format!("the SDKs' file {}", shown_path(&self.path))
    }

    fn fetch<'a>(&'a self, _clock: &'a ServiceClock) -> Fetching<'a> {
        // they never expire, so this is done once, right after the file was found
        let keys = keys(&self.path).and_then(|keys| keys.ok_or_else(|| without_keys(&self.path)));
        Box::pin(std::future::ready(keys))
    }

    fn renews(&self) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    const GOOD: &str = "[default]\nsecret_id = AKID-home\nsecret_key = K\n";

    /// A home, a system, and a place that only the variable leads to.
    struct Stage {
        folder: TempDir,
    }

    impl Stage {
        fn new(files: &[(&str, &str)]) -> Self {
            let folder = tempfile::tempdir().expect("a folder");
            for (path, text) in files {
                let path = folder.path().join(path);
                std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
                std::fs::write(path, text).expect("written");
            }
            Self { folder }
        }

        fn path(&self, path: &str) -> PathBuf {
            self.folder.path().join(path)
        }

        /// What is found with the variable as it is given, and what else is said.
        fn find(&self, variable: Option<&str>) -> (Result<Option<String>, String>, String) {
            let variable = variable.map(|path| match path {
                "" => String::new(),
                path => self.path(path).display().to_string(),
            });
            let lookup = |name: &str| variable.clone().filter(|_| name == FILE);
            let environment = Environment::new(&lookup, Some(self.path("home")), None);
            let found = find_among(&environment, Some(&self.path("etc")));
            let found =
                found.map(|found| found.map(|source| source.name())).map_err(|error| error.to_string());
            let vain = CredentialsError::Absent { looked_at: environment.take_looked_at() };
            (found, vain.to_string())
        }
    }

    #[tokio::test]
    async fn the_keys_are_those_of_the_section_default() {
        let stage = Stage::new(&[("home/.tencentcloud/credentials", GOOD)]);
        let source = SdkFile { path: stage.path("home/.tencentcloud/credentials") };
        let keys = source.fetch(&ServiceClock::default()).await.expect("keys");
        assert_eq!((keys.secret_id(), keys.secret_key(), keys.token()), ("AKID-home", "K", None));
        assert_eq!((keys.expires(), source.renews()), (None, false));
    }

    #[test]
    fn the_variable_goes_before_the_home_and_that_before_the_system() {
        let (at_home, elsewhere) = ("home/.tencentcloud/credentials", "elsewhere");
        let stage = Stage::new(&[(at_home, GOOD), ("etc", GOOD), (elsewhere, GOOD)]);
        let found = |variable| stage.find(variable).0.expect("sound").expect("keys");
        assert!(found(Some(elsewhere)).ends_with("/elsewhere"));
        assert!(found(None).ends_with(at_home) && found(Some("")).ends_with(at_home));
        std::fs::remove_file(stage.path(at_home)).expect("removed");
        assert!(found(None).ends_with("/etc"));
        std::fs::remove_file(stage.path("etc")).expect("removed");
        let (found, vain) = stage.find(None);
        assert_eq!(found, Ok(None));
        for place in [at_home, "etc"] {
            assert!(vain.contains(&format!("{} (not there)", stage.path(place).display())), "{vain}");
        }
    }

    #[test]
    fn a_file_without_keys_is_passed_over_and_still_hides_the_next_one() {
        for text in ["", "[default]\nsecret_id =\nsecret_key=\"\"\n", "[other]\nsecret_id = a"] {
            let stage = Stage::new(&[("home/.tencentcloud/credentials", text), ("etc", GOOD)]);
            let (found, vain) = stage.find(None);
            assert_eq!(found, Ok(None), "{text}");
            assert!(vain.contains("credentials (without keys in its section [default])"), "{vain}");
        }
    }

    #[test]
    fn what_the_variable_names_must_be_there_and_have_keys() {
        let stage = Stage::new(&[("home/.tencentcloud/credentials", GOOD), ("elsewhere", "[default]\n")]);
        let error = stage.find(Some("nowhere")).0.expect_err("not there");
        assert!(
            error.starts_with("TENCENTCLOUD_CREDENTIALS_FILE: ") && error.contains("nowhere is not there")
        );
        let error = stage.find(Some("elsewhere")).0.expect_err("no keys");
        assert!(error.contains("elsewhere: there are no keys"), "{error}");
        assert!(stage.find(Some("home")).0.expect_err("a folder").contains("is a folder"));
    }

    #[test]
    fn half_a_key_and_a_broken_line_are_told_by_place_and_not_shown() {
        for (text, told) in [
            ("[default]\nsecret_id = PRIVATE", "secret_id and not secret_key"),
            ("[default]\nsecret_id =\nsecret_key = PRIVATE", "secret_key and not secret_id"),
            ("[default]\nsecret_id = PRIVATE # mine\nsecret_key = k", "secret_id in line 2 of "),
            ("[default]\nsecret_id = a\nsecret_key = ' PRIVATE'", "secret_key in line 3 of "),
            ("secret_id = PRIVATE", "line 1: "),
        ] {
            let stage = Stage::new(&[("home/.tencentcloud/credentials", text)]);
            let error = stage.find(None).0.expect_err(text);
            let file = stage.path("home/.tencentcloud/credentials").display().to_string();
            assert!(error.contains(told) && error.contains(&file), "{error}");
            assert!(!error.contains("PRIV"), "{error}");
        }
    }
}
