//! Profiles of every kind, sound and broken.

use std::path::PathBuf;
use std::sync::Arc;

use proptest::prelude::{ProptestConfig, prop, proptest};
use tempfile::TempDir;

use super::super::fixtures::{NOBODY, sts_at};
use super::*;
use crate::cloud::credentials::Keyring;

/// A home directory with profiles in it.
struct Home {
    folder: TempDir,
}

impl Home {
    fn new(files: &[(&str, &str)]) -> Self {
        let home = Self { folder: tempfile::tempdir().expect("a folder") };
        std::fs::create_dir(home.folder.path().join(".tccli")).expect("a folder");
        for (name, text) in files {
            home.write(name, text);
        }
        home
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(".tccli").join(name)
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).expect("written");
    }

    /// What is read with a flag and a variable, and what the error of a search in vain would name.
    fn ask(
        &self,
        flag: Option<&str>,
        variable: Option<&str>,
    ) -> (Result<Option<Profile>, CredentialsError>, Vec<String>) {
        let lookup = |name: &str| variable.filter(|_| name == "TCCLI_PROFILE").map(str::to_owned);
        let home = Some(self.folder.path().to_owned());
        let environment = Environment::new(&lookup, home, flag.map(str::to_owned));
        (read(&environment), environment.take_looked_at())
    }

    fn keys(&self, flag: Option<&str>, variable: Option<&str>) -> String {
        let profile = self.ask(flag, variable).0.expect("sound").expect("a profile");
        profile.keys().expect("keys").secret_id().to_owned()
    }

    fn error(&self, flag: Option<&str>, variable: Option<&str>) -> String {
        self.ask(flag, variable).0.err().expect("an error").to_string()
    }
}

fn default(text: &str) -> Home {
    Home::new(&[("default.credential", text)])
}

fn entry(text: &str) -> Entry {
    default(text).ask(None, None).0.expect("sound").expect("a profile").entry
}

fn now() -> i64 {
    ServiceClock::default().now()
}

const KEYS: &str = r#"{"secretId": "AKID", "secretKey": "K"}"#;

#[test]
fn keys_are_read_whatever_an_editor_did_to_the_file() {
    for text in [
        KEYS,
        "\u{feff}{\r\n  \"secretKey\": \"K\",\r\n  \"secretId\": \"AKID\",\r\n  \"token\": \"\"\r\n}\r\n",
        r#"{"secretId": "AKID", "secretKey": "K", "type": "default", "token": null, "other": {"secretId": [1]}}"#,
        r#"{"secretId": "AKID", "secretKey": "K", "type": "of another day", "role-arn": "", "role-session-name": ""}"#,
    ] {
        let Entry::Keys(keys) = entry(text) else { panic!("{text}") };
        assert_eq!((keys.secret_id(), keys.secret_key(), keys.token()), ("AKID", "K", None));
        assert_eq!(keys.expires(), None);
    }
}

#[test]
fn a_flag_goes_before_the_variable_and_that_before_the_default() {
    let named = |id: &str| KEYS.replace("AKID", id);
    let home = Home::new(&[
        ("default.credential", &named("of-default")),
        ("by-variable.credential", &named("of-variable")),
        ("by-flag.credential", &named("of-flag")),
    ]);
    assert_eq!(home.keys(Some("by-flag"), Some("by-variable")), "of-flag");
    assert_eq!(home.keys(None, Some("by-variable")), "of-variable");
    assert_eq!(home.keys(None, Some("")), "of-default");
    assert_eq!(home.keys(None, None), "of-default");
}

#[test]
fn a_profile_that_was_asked_for_and_is_not_there_is_told_with_those_that_are() {
    let home = Home::new(&[("prod.credential", KEYS), ("default.credential", KEYS), ("x.configure", "{}")]);
    let file = home.path("prd.credential").display().to_string();
    for (flag, variable, asked_by) in [(Some("prd"), None, "--profile"), (None, Some("prd"), "TCCLI_PROFILE")]
    {
        assert_eq!(
            home.error(flag, variable),
            format!(
                "{asked_by}: \"prd\" cannot be used: {file} is not there, and tccli has the profiles default, prod: \
                 name one of them, or make it with `tccli configure --profile prd`"
            )
        );
    }
    assert!(
        Home::new(&[])
            .error(Some("prd"), None)
            .contains("tccli has no profiles with keys: make it with `tccli")
    );
    let many = Home::new(&[]);
    for number in 10..30 {
        many.write(&format!("p{number}.credential"), KEYS);
    }
    assert!(many.error(Some("prd"), None).contains("p10, p11,"), "{}", many.error(Some("prd"), None));
    assert!(many.error(Some("prd"), None).contains("p21 and 8 more: "), "{}", many.error(Some("prd"), None));
}

#[test]
fn a_name_that_leads_out_of_the_folder_is_refused() {
    let home = default(KEYS);
    for name in ["../default", "a/b", "a\\b", "a\u{1b}b", ""] {
        let error = home.error(Some(name), None);
        assert!(error.contains("is no name of a profile") && !error.contains('\u{1b}'), "{error}");
    }
}

#[test]
fn a_default_profile_without_keys_leaves_the_search_to_others_and_a_named_one_does_not() {
    for text in ["{}", r#"{"secretId": "", "secretKey": ""}"#, r#"{"secretId": null, "type": "default"}"#] {
        let home = Home::new(&[("default.credential", text), ("prod.credential", text)]);
        let (read, looked_at) = home.ask(None, None);
        assert!(read.expect("sound").is_none(), "{text}");
        assert_eq!(looked_at, [format!("{} (without keys)", home.path("default.credential").display())]);
        assert!(home.ask(None, Some("prod")).0.expect("sound").is_none(), "{text}");
        let error = home.error(Some("prod"), None);
        assert_eq!(
            error,
            format!(
                "{}: there are no keys: keep some with `tccli configure --profile prod`, or log in with `tccli auth \
                 login --profile prod`",
                home.path("prod.credential").display()
            )
        );
    }
    // a profile may be there for its region alone
    let home = Home::new(&[("prod.configure", "{}")]);
    let (read, looked_at) = home.ask(None, Some("prod"));
    assert!(read.expect("sound").is_none());
    assert_eq!(looked_at, [format!("{} (not there)", home.path("prod.credential").display())]);
    assert!(home.error(Some("prod"), None).contains("prod.credential is not there"));
}

#[test]
fn temporary_keys_come_with_their_token_and_their_end() {
    let text = |expires| {
        format!(r#"{{"secretId": "AKID", "secretKey": "K", "token": "T", "expiresAt": {expires}}}"#)
    };
    let Entry::Keys(keys) = entry(&text(now() + 3_600)) else { panic!("keys") };
    assert_eq!((keys.token(), keys.expires().is_some()), (Some("T"), true));
    let error = default(&text(1_700_000_000)).error(None, None);
    assert!(
        error.ends_with(
            "the keys of this profile expired at 2023-11-14T22:13:20Z: have fresh ones written there, then the \
             same command again"
        ),
        "{error}"
    );
}

#[test]
fn a_login_that_is_over_or_nearly_so_names_the_command_that_renews_it() {
    for (kind, command) in [("sso", "tccli sso login"), ("oauth", "tccli auth login")] {
        let text = |expires: i64| {
            format!(
                r#"{{"type": "{kind}", "secretId": "AKID", "secretKey": "K", "token": "T", "expiresAt": {expires},
                    "{kind}": {{"token": "X", "expiresAt": 1}}}}"#
            )
        };
        let Entry::Keys(keys) = entry(&text(now() + 420)) else { panic!("keys") };
        assert_eq!(keys.token(), Some("T"));
        let home =
            Home::new(&[("default.credential", &text(now() - 5)), ("my own.credential", &text(now() + 290))]);
        let error = home.error(None, None);
        assert!(
            error.contains("expired at 2") && error.contains(&format!("run `{command}`, then")),
            "{error}"
        );
        let error = home.error(Some("my own"), None);
        assert!(error.contains("expire at 2") && error.contains("within 5 minutes"), "{error}");
        assert!(error.contains(&format!("run `{command} --profile 'my own'`, then")), "{error}");
    }
}

#[test]
fn a_login_that_nobody_finished_names_its_command() {
    for (text, command) in [
        (r#"{"sso": {"authUrl": "https://x"}}"#, "`tccli sso login`"),
        (r#"{"type": "sso", "secretId": ""}"#, "`tccli sso login`"),
        (r#"{"type": "oauth"}"#, "`tccli auth login`"),
    ] {
        let error = default(text).error(None, None);
        assert!(error.contains(&format!("nobody has logged in yet: run {command}")), "{error}");
    }
}

#[test]
fn the_role_of_the_instance_needs_no_keys_and_ignores_those_that_were_left() {
    for rest in ["", r#", "secretId": "AKID", "secretKey": "K", "expiresAt": 1, "role-arn": "half""#] {
        assert!(matches!(entry(&format!(r#"{{"type": "cvm-role"{rest}}}"#)), Entry::InstanceRole));
    }
}

#[test]
fn a_role_to_assume_comes_with_the_keys_that_may_assume_it() {
    let text = r#"{"secretId": "AKID", "secretKey": "K", "token": "T", "role-arn": "qcs::cam::uin/1:roleName/r", "role-session-name": "me"}"#;
    let Entry::AssumeRole { base, role_arn, role_session_name } = entry(text) else { panic!("a role") };
    assert_eq!((base.secret_id(), base.secret_key(), base.token()), ("AKID", "K", Some("T")));
    assert_eq!((role_arn.as_str(), role_session_name.as_str()), ("qcs::cam::uin/1:roleName/r", "me"));
    let over = text.replace('}', r#", "type": "sso", "expiresAt": 1}"#);
    assert!(
        default(&over).error(None, None).contains("`tccli sso login`"),
        "the keys for the role expire, too"
    );
}

#[test]
fn half_of_anything_is_told_by_the_half_that_is_missing() {
    for (text, told) in [
        (r#"{"secretId": "PRIVATE"}"#, "there is secretId and not secretKey"),
        (r#"{"secretId": "", "secretKey": "PRIVATE"}"#, "there is secretKey and not secretId"),
        (
            r#"{"secretId": "A", "secretKey": "PRIVATE", "role-arn": "r"}"#,
            "there is role-arn and not role-session-name",
        ),
        (
            r#"{"secretId": "A", "secretKey": "PRIVATE", "role-session-name": "r"}"#,
            "role-session-name and not role-arn",
        ),
        (
            r#"{"role-arn": "PRIVATE", "role-session-name": "r"}"#,
            "not the secretId and secretKey that may assume it",
        ),
        (r#"{"type": "of another day", "key": "PRIVATE"}"#, "its type is none that is known here"),
    ] {
        let home = default(text);
        let error = home.error(None, None);
        assert!(error.contains(told) && error.contains("`tccli configure"), "{error}");
        assert!(error.contains(&home.path("default.credential").display().to_string()), "{error}");
        assert!(!error.contains("PRIV"), "{error}");
    }
}

#[test]
fn a_value_that_is_no_key_is_told_by_name_and_file() {
    for (text, told) in [
        (r#"{"secretId": " PRIVATE", "secretKey": "K"}"#, "secretId in "),
        (r#"{"secretId": "A", "secretKey": "PRIVATE\n"}"#, "secretKey in "),
        (r#"{"secretId": "A", "secretKey": "K", "token": "PRIV ATE"}"#, "token in "),
        (r#"{"secretId": "A", "secretKey": 7770777}"#, "column 32: secretKey is not a text"),
        (r#"{"secretId": "A", "secretKey": "K", "expiresAt": "PRIVATE"}"#, "expiresAt is not a moment"),
        ("PRIVATE", "line 1, column 1: this is not JSON"),
    ] {
        let error = default(text).error(None, None);
        assert!(error.contains(told) && error.contains("default.credential"), "{error}");
        assert!(!error.contains("PRIV") && !error.contains("777"), "{error}");
    }
}

const WHOLE: &str = r#"{
  "type": "sso",
  "secretId": "PRIVATEPRIVATE",
  "secretKey": "PRIVATEPRIVATE",
  "token": "PRIVATEPRIVATE",
  "role-arn": "PRIVATEPRIVATE",
  "expiresAt": 1,
  "sso": {"token": "PRIVATEPRIVATE", "expiresAt": 7}
}
"#;

#[test]
fn no_cut_of_a_file_shows_a_secret() {
    for end in 0..WHOLE.len() {
        let error = default(&WHOLE[..end]).error(None, None);
        assert!(!error.contains("PRIV"), "{error}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn no_damage_to_a_file_shows_a_secret(hits in prop::collection::vec((0..WHOLE.len(), 0u8..128), 1..4)) {
        let mut bytes = WHOLE.as_bytes().to_vec();
        for (at, byte) in hits {
            bytes[at] = byte;
        }
        let text = String::from_utf8(bytes).expect("ASCII");
        let home = default(&text);
        let (read, looked_at) = home.ask(None, None);
        let told = read.err().map(|error| format!("{error} {error:?}")).unwrap_or_default();
        assert!(!told.contains("PRIVATE") && !looked_at.concat().contains("PRIVATE"), "{told}");
    }
}

fn source(home: &Home) -> Box<dyn Source> {
    let folder = Some(home.folder.path().to_owned());
    find(&Environment::new(&|_| None, folder, None), &sts_at(NOBODY)).expect("sound").expect("a source")
}

#[tokio::test]
async fn the_file_is_read_again_when_the_keys_were_refused_or_ran_out() {
    let text = |id: &str, left| {
        let expires = now() + left;
        format!(
            r#"{{"type": "sso", "secretId": "{id}", "secretKey": "K", "token": "T", "expiresAt": {expires}}}"#
        )
    };
    let home = default(&text("first", 3_600));
    let clock = ServiceClock::default();
    let keyring = Arc::new(Keyring::new(source(&home), Arc::default()));
    assert!(keyring.source().contains("profile default"), "{}", keyring.source());
    let first = keyring.current().await.expect("keys");
    assert_eq!(first.secret_id(), "first");
    home.write("default.credential", &text("second", 3_600));
    assert_eq!(keyring.current().await.expect("keys").secret_id(), "first", "they are still good");
    first.refuse();
    assert_eq!(keyring.current().await.expect("keys").secret_id(), "second");

    let source = source(&home);
    home.write("default.credential", &text("third", 299));
    let error = source.fetch(&clock).await.expect_err("nearly over");
    assert!(error.to_string().contains("run `tccli sso login`") && !error.may_pass(), "{error}");
    home.write("default.credential", &text("fourth", 3_600));
    assert_eq!(source.fetch(&clock).await.expect("keys").secret_id(), "fourth");
    home.write("default.credential", r#"{"type": "cvm-role"}"#);
    let error = source.fetch(&clock).await.expect_err("another kind");
    assert!(error.to_string().contains("since the run began"), "{error}");
    std::fs::remove_file(home.path("default.credential")).expect("removed");
    let error = source.fetch(&clock).await.expect_err("gone");
    assert!(error.to_string().contains("there are no keys"), "{error}");
}

#[test]
fn keys_for_good_are_not_asked_for_again_and_temporary_ones_are() {
    assert!(!source(&default(KEYS)).renews());
    let temporary = KEYS.replace('}', r#", "token": "T"}"#);
    assert!(source(&default(&temporary)).renews());
}

#[test]
fn a_file_of_the_sdks_that_is_passed_over_is_warned_of() {
    let home = default(KEYS);
    let warnings = |flag: Option<&str>, variable: &str| {
        let lookup = |name: &str| (name == variable).then(|| "elsewhere".to_owned());
        let folder = Some(home.folder.path().to_owned());
        let environment = Environment::new(&lookup, folder, flag.map(str::to_owned));
        find(&environment, &sts_at(NOBODY)).expect("sound").expect("a source");
        environment.warnings()
    };
    let told = warnings(None, "TENCENTCLOUD_CREDENTIALS_FILE");
    assert!(told.concat().contains("not those that TENCENTCLOUD_CREDENTIALS_FILE names"), "{told:?}");
    for (flag, variable) in [(Some("default"), "TENCENTCLOUD_CREDENTIALS_FILE"), (None, "ANOTHER")] {
        assert!(!warnings(flag, variable).concat().contains("names"), "{flag:?} {variable}");
    }
}
