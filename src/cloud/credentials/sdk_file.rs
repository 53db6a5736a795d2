//! Keys from the credentials file of the vendor's SDKs: `~/.tencentcloud/credentials`, in INI.
//!
//! Go reads the path in a variable, else the file in the home directory (tencentcloud-sdk-go,
//! `common/profile_provider.go`); Python the latter, else that of the system (tencentcloud-sdk-python-common 3.1.195,
//! `common/credential.py`). Neither reads a token or a role from there.

use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::environment::Environment;
use super::error::CredentialsError;
use super::file::{self, Content};
use super::keys::{KeyPart, from_parts};
use super::source::{FixedKeys, Found, Source};
use crate::format::shown_path;

/// Variable of a path that replaces all others (vendor's Go SDK).
const FILE: &str = "TENCENTCLOUD_CREDENTIALS_FILE";

/// The file of the system.
const SYSTEM_FILE: &str = "/etc/tencentcloud/credentials";

/// The section, and the keys that are read from it. Both SDKs use this section only.
const SECTION: &str = "default";
const KEYS: [&str; 2] = ["secret_id", "secret_key"];

/// Keys from the first of the files that exists.
pub(super) fn find(environment: &Environment<'_>) -> Found {
    find_among(environment, Path::new(SYSTEM_FILE))
}

/// Warns if the variable names a file that is not used, because another source comes first.
pub(super) fn warn_if_ignored(environment: &Environment<'_>, used: &Path) {
    if let Some((variable, _)) = environment.first_without_profile(&[FILE]) {
        environment.warn(format!(
            "{variable} is set but ignored, because the keys of {} are used: unset {variable}, or move that profile \
             away",
            shown_path(used)
        ));
    }
}

fn find_among(environment: &Environment<'_>, system_file: &Path) -> Found {
    if let Some(path) = environment.value_of(FILE).map(PathBuf::from) {
        let problem = match file::read(&path)? {
            Content::Missing(reason) => format!("the file {reason}: create it, or unset {FILE}"),
            Content::Text(text) => match source(&path, &text, environment)? {
                Some(source) => return Ok(Some(source)),
                None => format!("no keys: write secret_id = … and secret_key = … in a section [{SECTION}]"),
            },
        };
        return Err(CredentialsError::Invalid { place: format!("{FILE} ({})", shown_path(&path)), problem });
    }
    let home_file = environment.home.as_ref().map(|home| home.join(".tencentcloud/credentials"));
    for path in home_file.into_iter().chain([system_file.to_owned()]) {
        let reason = match file::read(&path)? {
            Content::Missing(reason) => reason,
            Content::Text(text) => match source(&path, &text, environment)? {
                Some(source) => return Ok(Some(source)),
                None => "has no keys in its section [default]",
            },
        };
        environment.note_searched(format!("{} ({reason})", shown_path(&path)));
        if path.exists() {
            // the first file that exists is the only one that is used, as by the Python SDK
            break;
        }
    }
    Ok(None)
}

/// A file as a source; `None` if it has no keys. They never expire, so the file is read once.
fn source(path: &Path, text: &str, environment: &Environment<'_>) -> Found {
    file::warn_if_exposed(path, environment);
    let values = section_values(text)
        .map_err(|(line, problem)| CredentialsError::in_file(path, format!("line {line}: {problem}")))?;
    let mut parts = KEYS.into_iter().zip(values).map(|(name, found)| match found {
        Some((line, value)) => {
            KeyPart { place: format!("{name} in line {line} of {}", shown_path(path)), value: Some(value) }
        }
        None => KeyPart { place: format!("{name} in {}", shown_path(path)), value: None },
    });
    let (Some(id), Some(key)) = (parts.next(), parts.next()) else { return Ok(None) };
    let name = format!("the SDK credentials file {}", shown_path(path));
    let keys = from_parts(&id, &key, None)?;
    Ok(keys.map(|keys| -> Box<dyn Source> { Box::new(FixedKeys { name, keys }) }))
}

/// A value with its line.
type Value = (usize, Zeroizing<String>);

/// The values of [`KEYS`] in [`SECTION`]; other keys and sections are ignored. The names of keys are not case-sensitive,
/// as in Python. The error is a line and what is wrong with it, and shows nothing of the line.
///
/// This is not the job of a library: INI crates report no lines of values and repeat lines in their errors. Whatever the
/// two SDKs read differently, such as quotes and comments after values, is refused here.
fn section_values(text: &str) -> Result<[Option<Value>; 2], (usize, String)> {
    let mut values = [None, None];
    // none before the first section; else whether it is the wanted one
    let mut in_section = None;
    let mut seen = false;
    for (line, content) in (1..).zip(text.lines().map(str::trim)) {
        let fail = |problem: String| Err((line, problem));
        if content.is_empty() || content.starts_with(['#', ';']) {
            continue;
        }
        if let Some(rest) = content.strip_prefix('[') {
            let Some(name) = rest.strip_suffix(']') else {
                return fail(format!("not a section header: write one such as [{SECTION}]"));
            };
            let is_wanted = name.trim() == SECTION;
            if is_wanted && seen {
                return fail(format!("second section [{SECTION}]: keep one of them"));
            }
            seen |= is_wanted;
            in_section = Some(is_wanted);
            continue;
        }
        match in_section {
            None => return fail(format!("this line is in no section: write [{SECTION}] above it")),
            Some(false) => continue,
            Some(true) => {}
        }
        let Some((key, value)) = content.split_once(['=', ':']) else {
            return fail("not a key with a value: write it as secret_id = …".to_owned());
        };
        let Some(number) = KEYS.iter().position(|name| name.eq_ignore_ascii_case(key.trim_end())) else {
            continue;
        };
        if values[number].is_some() {
            return fail(format!("second {}: keep one of them", KEYS[number]));
        }
        let Some(value) = unquoted(value.trim()) else {
            return fail(format!("the quotes of {} do not match: remove them", KEYS[number]));
        };
        values[number] = Some((line, Zeroizing::new(value.to_owned())));
    }
    Ok(values)
}

/// A value without its quotes: the Go SDK removes them, and no key contains any.
fn unquoted(value: &str) -> Option<&str> {
    let quotes = ['"', '\''];
    let bare = quotes
        .iter()
        .find_map(|quote| value.strip_prefix(*quote).and_then(|rest| rest.strip_suffix(*quote)))
        .unwrap_or(value);
    (!bare.contains(quotes)).then_some(bare)
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;
    use crate::cloud::service_clock::ServiceClock;

    const GOOD: &str = "[default]\nsecret_id = AKID-home\nsecret_key = K\n";

    /// A home directory, a system file, and a file that only the variable names.
    struct Files {
        folder: TempDir,
    }

    impl Files {
        fn new(texts: &[(&str, &str)]) -> Self {
            let folder = tempfile::tempdir().expect("a folder");
            for (path, text) in texts {
                let path = folder.path().join(path);
                std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
                std::fs::write(path, text).expect("written");
            }
            Self { folder }
        }

        fn path(&self, path: &str) -> PathBuf {
            self.folder.path().join(path)
        }

        /// What is found with this value of the variable, and the searched places.
        fn find(&self, variable: Option<&str>) -> (Result<Option<String>, String>, String) {
            let variable = variable.map(|path| match path {
                "" => String::new(),
                path => self.path(path).display().to_string(),
            });
            let lookup = |name: &str| variable.clone().filter(|_| name == FILE);
            let environment = Environment::new(&lookup, Some(self.path("home")), None);
            let found = find_among(&environment, &self.path("etc"));
            let found =
                found.map(|found| found.map(|source| source.name())).map_err(|error| error.to_string());
            (found, environment.take_searched().join(", "))
        }
    }

    #[tokio::test]
    async fn the_keys_of_the_section_default_are_used() {
        let files = Files::new(&[("home/.tencentcloud/credentials", GOOD)]);
        let environment = Environment::new(&|_| None, Some(files.path("home")), None);
        let source = find_among(&environment, &files.path("etc")).expect("valid").expect("a source");
        let keys = source.fetch(&ServiceClock::default()).await.expect("keys");
        assert_eq!((keys.secret_id(), keys.secret_key(), keys.token()), ("AKID-home", "K", None));
        assert_eq!((keys.expires(), source.is_renewable()), (None, false));
    }

    #[test]
    fn the_variable_has_precedence_over_the_home_directory_and_that_over_the_system() {
        let (at_home, elsewhere) = ("home/.tencentcloud/credentials", "elsewhere");
        let files = Files::new(&[(at_home, GOOD), ("etc", GOOD), (elsewhere, GOOD)]);
        let found = |variable| files.find(variable).0.expect("valid").expect("keys");
        assert!(found(Some(elsewhere)).ends_with("/elsewhere"));
        assert!(found(None).ends_with(at_home) && found(Some("")).ends_with(at_home));
        std::fs::remove_file(files.path(at_home)).expect("removed");
        assert!(found(None).ends_with("/etc"));
        std::fs::remove_file(files.path("etc")).expect("removed");
        let (found, searched) = files.find(None);
        assert_eq!(found, Ok(None));
        for place in [at_home, "etc"] {
            assert!(
                searched.contains(&format!("{} (does not exist)", files.path(place).display())),
                "{searched}"
            );
        }
    }

    #[test]
    fn a_file_without_keys_is_skipped_and_the_next_file_is_not_read() {
        for text in ["", "[default]\nsecret_id =\nsecret_key=\"\"\n", "[other]\nsecret_id = a"] {
            let files = Files::new(&[("home/.tencentcloud/credentials", text), ("etc", GOOD)]);
            let (found, searched) = files.find(None);
            assert_eq!(found, Ok(None), "{text}");
            assert!(searched.contains("credentials (has no keys in its section [default])"), "{searched}");
        }
    }

    #[test]
    fn the_file_of_the_variable_must_exist_and_have_keys() {
        let files = Files::new(&[("home/.tencentcloud/credentials", GOOD), ("elsewhere", "[default]\n")]);
        let error = files.find(Some("nowhere")).0.expect_err("missing");
        assert!(
            error.starts_with("TENCENTCLOUD_CREDENTIALS_FILE (")
                && error.contains("nowhere): the file does not exist"),
            "{error}"
        );
        let error = files.find(Some("elsewhere")).0.expect_err("no keys");
        assert!(error.contains("elsewhere): no keys: "), "{error}");
        assert!(files.find(Some("home")).0.expect_err("a directory").contains("not a regular file"));
    }

    #[test]
    fn one_half_of_the_keys_and_a_broken_line_are_reported_with_their_place_and_not_shown() {
        for (text, expected) in [
            ("[default]\nsecret_id = PRIVATE", "is set, but secret_key in "),
            ("[default]\nsecret_id =\nsecret_key = PRIVATE", "is set, but secret_id in "),
            ("[default]\nsecret_id = PRIVATE # mine\nsecret_key = k", "secret_id in line 2 of "),
            ("[default]\nsecret_id = a\nsecret_key = ' PRIVATE'", "secret_key in line 3 of "),
            ("secret_id = PRIVATE", "line 1: "),
        ] {
            let files = Files::new(&[("home/.tencentcloud/credentials", text)]);
            let error = files.find(None).0.expect_err(text);
            let file = files.path("home/.tencentcloud/credentials").display().to_string();
            assert!(error.contains(expected) && error.contains(&file), "{error}");
            assert!(!error.contains("PRIV"), "{error}");
        }
    }

    fn read(text: &str) -> Result<[Option<Value>; 2], (usize, String)> {
        section_values(text)
    }

    #[test]
    fn values_are_read_as_editors_and_both_sdks_write_them() {
        for (text, id, key) in [
            ("[default]\nsecret_id = a\nsecret_key = b", (2, "a"), (3, "b")),
            ("[default]\r\nsecret_id=a\r\nsecret_key=b\r\n", (2, "a"), (3, "b")),
            (
                "# x\n[other]\nsecret_id = x\n=\n\n[default]\nSecret_Key: \"b\"\nsecret_id='a'\n",
                (8, "a"),
                (7, "b"),
            ),
            (
                "[default]\n  secret_id = a\n; x\nrole_arn = x\n\tsecret_key = b=#;c==\n",
                (2, "a"),
                (5, "b=#;c=="),
            ),
            ("[default]\nsecret_id = a\nsecret_key = b\n[next]\nsecret_id = x\nnonsense", (2, "a"), (3, "b")),
        ] {
            let pair = |(line, value): (usize, &str)| Some((line, Zeroizing::new(value.to_owned())));
            assert_eq!(read(text), Ok([pair(id), pair(key)]), "{text}");
        }
    }

    #[test]
    fn another_section_and_an_empty_file_have_no_values() {
        for text in ["", "\n\n", "# secret_id = a", "[DEFAULT]\nsecret_id = a", "[default]\nrole_arn = a"] {
            assert_eq!(read(text), Ok([None, None]), "{text}");
        }
        assert_eq!(
            read("[default]\nsecret_id =\nsecret_key = ''"),
            Ok([Some((2, Zeroizing::default())), Some((3, Zeroizing::default()))])
        );
    }

    #[test]
    fn an_ambiguous_line_is_refused_with_its_number_and_not_shown() {
        for (text, line, what) in [
            ("secret_id = PRIVATE", 1, "write [default] above"),
            ("\n[default\nsecret_id = PRIVATE", 2, "[default]"),
            ("[default] # PRIVATE", 1, "[default]"),
            ("[default]\nPRIVATE", 2, "not a key with a value"),
            ("[default]\nsecret_id = PRIVATE\nSECRET_ID = PRIVATE", 3, "second secret_id"),
            ("[default]\n[default]", 2, "second section"),
            ("[default]\nsecret_key = \"PRIVATE", 2, "quotes of secret_key"),
            ("[default]\nsecret_key = 'PRIVATE\"", 2, "quotes of secret_key"),
            ("[default]\nsecret_key = PRI\"VATE", 2, "quotes of secret_key"),
        ] {
            let (found, problem) = read(text).expect_err(text);
            assert_eq!(found, line, "{text}");
            assert!(problem.contains(what) && !problem.contains("PRIV"), "{problem}");
        }
    }
}
