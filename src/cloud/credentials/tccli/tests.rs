//! Profiles of every kind, valid and broken.

mod roles;

use std::sync::Arc;

use proptest::prelude::{ProptestConfig, prop, proptest};
use tempfile::TempDir;

use super::super::fixtures::{UNUSED_ADDRESS, sts_at};
use super::*;
use crate::cloud::credentials::Keyring;
use crate::cloud::error::{CallError, Refusal};

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

    /// What is read with this flag and variable, and the searched places.
    fn ask(
        &self,
        flag: Option<&str>,
        variable: Option<&str>,
    ) -> (Result<Option<Entry>, CredentialsError>, Vec<String>) {
        let lookup = |name: &str| variable.filter(|_| name == "TCCLI_PROFILE").map(str::to_owned);
        let home = Some(self.folder.path().to_owned());
        let environment = Environment::new(&lookup, home, flag.map(str::to_owned));
        (read(&environment).map(|found| found.map(|(_, entry)| entry)), environment.take_searched())
    }

    fn keys(&self, flag: Option<&str>, variable: Option<&str>) -> String {
        keys(self.ask(flag, variable).0.expect("valid").expect("a profile")).secret_id().to_owned()
    }

    fn error(&self, flag: Option<&str>, variable: Option<&str>) -> String {
        self.ask(flag, variable).0.err().expect("an error").to_string()
    }
}

fn default(text: &str) -> Home {
    Home::new(&[("default.credential", text)])
}

fn entry(text: &str) -> Entry {
    default(text).ask(None, None).0.expect("valid").expect("a profile")
}

fn keys(entry: Entry) -> Credentials {
    match entry {
        Entry::Keys { keys, .. } => keys,
        Entry::InstanceRole => panic!("the role of the instance"),
    }
}

fn now() -> i64 {
    ServiceClock::default().now()
}

const KEYS: &str = r#"{"secretId": "AKID", "secretKey": "K"}"#;

#[test]
fn keys_are_read_with_byte_order_mark_other_line_ends_and_empty_fields() {
    for text in [
        KEYS,
        "\u{feff}{\r\n  \"secretKey\": \"K\",\r\n  \"secretId\": \"AKID\",\r\n  \"token\": \"\"\r\n}\r\n",
        r#"{"secretId": "AKID", "secretKey": "K", "type": "default", "token": null, "other": {"secretId": [1]}}"#,
        r#"{"secretId": "AKID", "secretKey": "K", "type": "unknown", "role-arn": "", "role-session-name": ""}"#,
    ] {
        let keys = keys(entry(text));
        assert_eq!((keys.secret_id(), keys.secret_key(), keys.token()), ("AKID", "K", None));
        assert_eq!(keys.expires(), None);
    }
}

#[test]
fn the_flag_has_precedence_over_the_variable_and_that_over_the_default() {
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
fn the_error_of_a_missing_profile_lists_the_existing_ones() {
    let home = Home::new(&[("prod.credential", KEYS), ("default.credential", KEYS), ("x.configure", "{}")]);
    let file = home.path("prd.credential").display().to_string();
    for (flag, variable, requested_by) in
        [(Some("prd"), None, "--profile"), (None, Some("prd"), "TCCLI_PROFILE")]
    {
        assert_eq!(
            home.error(flag, variable),
            format!(
                "{requested_by} \"prd\": {file} does not exist; tccli has the profiles default, prod: use one of them, \
                 or create it with `tccli configure --profile prd`"
            )
        );
    }
    assert!(
        Home::new(&[])
            .error(Some("prd"), None)
            .contains("tccli has no profiles with keys: create it with `tccli")
    );
    let many = Home::new(&[]);
    for number in 10..30 {
        many.write(&format!("p{number}.credential"), KEYS);
    }
    assert!(many.error(Some("prd"), None).contains("p10, p11,"), "{}", many.error(Some("prd"), None));
    assert!(many.error(Some("prd"), None).contains("p21 and 8 more: "), "{}", many.error(Some("prd"), None));
}

#[test]
fn a_profile_name_that_leads_out_of_the_directory_is_refused() {
    let home = default(KEYS);
    for name in ["../default", "a/b", "a\\b", "a\u{1b}b", ""] {
        let error = home.error(Some(name), None);
        assert!(error.contains("not the name of a profile") && !error.contains('\u{1b}'), "{error}");
    }
}

#[test]
fn a_default_profile_without_keys_is_skipped_and_a_named_one_is_an_error() {
    for text in ["{}", r#"{"secretId": "", "secretKey": ""}"#, r#"{"secretId": null, "type": "default"}"#] {
        let home = Home::new(&[("default.credential", text), ("prod.credential", text)]);
        let (read, searched) = home.ask(None, None);
        assert!(read.expect("valid").is_none(), "{text}");
        assert_eq!(searched, [format!("{} (has no keys)", home.path("default.credential").display())]);
        assert!(home.ask(None, Some("prod")).0.expect("valid").is_none(), "{text}");
        let error = home.error(Some("prod"), None);
        assert_eq!(
            error,
            format!(
                "{}: the profile has no keys: store keys with `tccli configure --profile prod`, or log in with `tccli \
                 auth login --profile prod`",
                home.path("prod.credential").display()
            )
        );
    }
    // a profile may have settings only
    let home = Home::new(&[("prod.configure", "{}")]);
    let (read, searched) = home.ask(None, Some("prod"));
    assert!(read.expect("valid").is_none());
    assert_eq!(searched, [format!("{} (does not exist)", home.path("prod.credential").display())]);
    assert!(home.error(Some("prod"), None).contains("prod.credential does not exist"));
}

#[test]
fn temporary_keys_have_a_token_and_an_expiry() {
    let text = |expires| {
        format!(r#"{{"secretId": "AKID", "secretKey": "K", "token": "T", "expiresAt": {expires}}}"#)
    };
    let keys = keys(entry(&text(now() + 3_600)));
    assert_eq!((keys.token(), keys.expires().is_some()), (Some("T"), true));
    let error = default(&text(1_700_000_000)).error(None, None);
    assert!(
        error.ends_with(
            "the keys expired at 2023-11-14T22:13:20Z: write new keys to the file, then run the same command again"
        ),
        "{error}"
    );
}

#[test]
fn the_error_of_an_expired_login_contains_the_command_that_renews_it() {
    for (kind, command) in [("sso", "tccli sso login"), ("oauth", "tccli auth login")] {
        let text = |expires: i64| {
            format!(
                r#"{{"type": "{kind}", "secretId": "AKID", "secretKey": "K", "token": "T", "expiresAt": {expires},
                    "{kind}": {{"token": "X", "expiresAt": 1}}}}"#
            )
        };
        let keys = keys(entry(&text(now() + 420)));
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
fn the_error_of_an_incomplete_login_contains_its_command() {
    for (text, command) in [
        (r#"{"sso": {"authUrl": "https://x"}}"#, "`tccli sso login`"),
        (r#"{"type": "sso", "secretId": ""}"#, "`tccli sso login`"),
        (r#"{"type": "oauth"}"#, "`tccli auth login`"),
    ] {
        let error = default(text).error(None, None);
        assert!(error.contains(&format!("the login is not complete: run {command}")), "{error}");
    }
}

#[test]
fn the_role_of_the_instance_needs_no_keys_and_ignores_keys_in_the_file() {
    for rest in ["", r#", "secretId": "AKID", "secretKey": "K", "expiresAt": 1, "role-arn": "half""#] {
        assert!(matches!(entry(&format!(r#"{{"type": "cvm-role"{rest}}}"#)), Entry::InstanceRole));
    }
}

#[test]
fn a_role_to_assume_is_read_with_its_keys() {
    let text = r#"{"secretId": "AKID", "secretKey": "K", "token": "T", "role-arn": "qcs::cam::uin/1:roleName/r", "role-session-name": "me"}"#;
    let Entry::Keys { keys, role: Some((role_arn, role_session_name)) } = entry(text) else {
        panic!("a role")
    };
    assert_eq!((keys.secret_id(), keys.secret_key(), keys.token()), ("AKID", "K", Some("T")));
    assert_eq!((role_arn.as_str(), role_session_name.as_str()), ("qcs::cam::uin/1:roleName/r", "me"));
    let expired = text.replace('}', r#", "type": "sso", "expiresAt": 1}"#);
    assert!(
        default(&expired).error(None, None).contains("`tccli sso login`"),
        "the keys for the role expire as well"
    );
}

#[test]
fn the_error_of_an_incomplete_pair_names_the_missing_field() {
    for (text, shown) in [
        (r#"{"secretId": "PRIVATE"}"#, "is set, but secretKey in "),
        (r#"{"secretId": "", "secretKey": "PRIVATE"}"#, "is set, but secretId in "),
        (
            r#"{"secretId": "A", "secretKey": "PRIVATE", "role-arn": "r"}"#,
            "is set, but role-session-name in ",
        ),
        (
            r#"{"secretId": "A", "secretKey": "PRIVATE", "role-session-name": "r"}"#,
            "is set, but role-arn in ",
        ),
        (r#"{"role-arn": "PRIVATE", "role-session-name": "r"}"#, "is set, but secretId in "),
        (r#"{"type": "unknown", "key": "PRIVATE"}"#, "unknown type and no keys"),
    ] {
        let home = default(text);
        let error = home.error(None, None);
        assert!(error.contains(shown), "{error}");
        assert!(error.contains(&home.path("default.credential").display().to_string()), "{error}");
        assert!(!error.contains("PRIV"), "{error}");
    }
}

#[test]
fn an_invalid_value_is_reported_with_field_or_position_and_not_shown() {
    for (text, shown) in [
        (r#"{"secretId": " PRIVATE", "secretKey": "K"}"#, "secretId in "),
        (r#"{"secretId": "A", "secretKey": "PRIVATE\n"}"#, "secretKey in "),
        (r#"{"secretId": "A", "secretKey": "K", "token": "PRIV ATE"}"#, "token in "),
        (r#"{"secretId": "A", "secretKey": 7770777}"#, "line 1, column 38: a field has the wrong type"),
        (r#"{"secretId": "A", "secretKey": "K", "expiresAt": "PRIVATE"}"#, "a field has the wrong type"),
        ("PRIVATE", "line 1, column 1: invalid JSON: expected value"),
    ] {
        let error = default(text).error(None, None);
        assert!(error.contains(shown) && error.contains("default.credential"), "{error}");
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
fn no_truncation_of_a_file_shows_a_secret() {
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
        let (read, searched) = home.ask(None, None);
        let shown = read.err().map(|error| format!("{error} {error:?}")).unwrap_or_default();
        assert!(!shown.contains("PRIVATE") && !searched.concat().contains("PRIVATE"), "{shown}");
    }
}

fn source(home: &Home) -> Box<dyn Source> {
    let folder = Some(home.folder.path().to_owned());
    find(&Environment::new(&|_| None, folder, None), &sts_at(UNUSED_ADDRESS))
        .expect("valid")
        .expect("a source")
}

#[tokio::test]
async fn the_file_is_read_again_after_keys_were_refused_or_expired() {
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
    assert_eq!(keyring.current().await.expect("keys").secret_id(), "first", "they are still valid");
    let code = "AuthFailure.TokenFailure".to_owned();
    keyring.classify(&first, CallError::Refused(Refusal { code, message: String::new(), request_id: None }));
    assert_eq!(keyring.current().await.expect("keys").secret_id(), "second");

    let source = source(&home);
    home.write("default.credential", &text("third", 299));
    let error = source.fetch(&clock).await.expect_err("about to expire");
    assert!(error.to_string().contains("run `tccli sso login`") && !error.is_transient(), "{error}");
    home.write("default.credential", &text("fourth", 3_600));
    assert_eq!(source.fetch(&clock).await.expect("keys").secret_id(), "fourth");
    home.write("default.credential", r#"{"type": "cvm-role"}"#);
    let error = source.fetch(&clock).await.expect_err("another kind");
    assert!(error.to_string().contains("during the run"), "{error}");
    std::fs::remove_file(home.path("default.credential")).expect("removed");
    let error = source.fetch(&clock).await.expect_err("gone");
    assert!(error.to_string().contains("the profile has no keys"), "{error}");
}

#[test]
fn permanent_keys_are_not_renewed_and_temporary_ones_are() {
    assert!(!source(&default(KEYS)).is_renewable());
    let temporary = KEYS.replace('}', r#", "token": "T"}"#);
    assert!(source(&default(&temporary)).is_renewable());
}

#[test]
fn an_ignored_file_of_the_sdks_is_reported_as_a_warning() {
    let home = default(KEYS);
    let warnings = |flag: Option<&str>, variable: &str| {
        let lookup = |name: &str| (name == variable).then(|| "elsewhere".to_owned());
        let folder = Some(home.folder.path().to_owned());
        let environment = Environment::new(&lookup, folder, flag.map(str::to_owned));
        find(&environment, &sts_at(UNUSED_ADDRESS)).expect("valid").expect("a source");
        environment.warnings()
    };
    let shown = warnings(None, "TENCENTCLOUD_CREDENTIALS_FILE");
    assert!(shown.concat().contains("TENCENTCLOUD_CREDENTIALS_FILE is set but ignored"), "{shown:?}");
    for (flag, variable) in [(Some("default"), "TENCENTCLOUD_CREDENTIALS_FILE"), (None, "ANOTHER")] {
        assert!(!warnings(flag, variable).concat().contains("is set but ignored"), "{flag:?} {variable}");
    }
}

/// Field and value of region and endpoint in a default profile with this text.
fn read_settings(text: &str) -> Result<[Option<(String, String)>; 2], CredentialsError> {
    let home = tempfile::tempdir().expect("a folder");
    let folder = home.path().join(".tccli");
    std::fs::create_dir(&folder).expect("a folder");
    std::fs::write(folder.join("default.configure"), text).expect("written");
    let read = settings(&Environment::new(&|_| None, Some(home.path().to_owned()), None))?;
    Ok([read.region, read.endpoint].map(|setting| {
        setting.map(|Setting { place, value }| {
            let file = format!("{}: ", folder.join("default.configure").display());
            (place.strip_prefix(&file).expect("the file").to_owned(), value)
        })
    }))
}

fn setting(place: &str, value: &str) -> (String, String) {
    (place.to_owned(), value.to_owned())
}

#[test]
fn region_and_endpoint_are_read_as_every_version_of_tccli_wrote_them() {
    let endpoint = || Some(setting("dlc.endpoint", "dlc.intl.tencentcloudapi.com"));
    for (text, region) in [
        (
            r#"{"_sys_param": {"region": "ap-tokyo", "output": "json"}, "region": {"endpoint": "x"}, DLC}"#,
            Some(setting("_sys_param.region", "ap-tokyo")),
        ),
        (
            r#"{"_sys_param": {"region": "ap-tokyo"}, "region": "old", DLC}"#,
            Some(setting("_sys_param.region", "ap-tokyo")),
        ),
        ("\u{feff}{\r\n\"region\": \"ap-seoul\",\r\nDLC}", Some(setting("region", "ap-seoul"))),
        (r#"{"_sys_param": {"region": ""}, "region": {"endpoint": "x", "version": "y"}, DLC}"#, None),
        (r#"{"_sys_param": null, DLC}"#, None),
    ] {
        let dlc = r#""dlc": {"endpoint": "dlc.intl.tencentcloudapi.com", "version": "2021-01-25"}"#;
        assert_eq!(read_settings(&text.replace("DLC", dlc)), Ok([region, endpoint()]), "{text}");
    }
    assert_eq!(read_settings("{}"), Ok([None, None]));
    assert_eq!(read_settings(r#"{"dlc": {"endpoint": "", "version": "x"}}"#), Ok([None, None]));
}

#[test]
fn a_broken_settings_file_is_reported_with_its_position() {
    for (text, expected) in [
        ("{\"_sys_param\": {\n \"region\": 7}}", "line 2, column 12: a field has the wrong type"),
        (r#"{"dlc": "x"}"#, "line 1, column 11: a field has the wrong type"),
        ("{", "line 1, column 1: invalid JSON"),
    ] {
        let error = read_settings(text).expect_err(text).to_string();
        assert!(error.contains("default.configure: ") && error.contains(expected), "{error}");
    }
}

#[test]
fn a_profile_of_the_flag_must_exist_and_may_have_keys_only() {
    let home = tempfile::tempdir().expect("a folder");
    std::fs::create_dir(home.path().join(".tccli")).expect("a folder");
    std::fs::write(home.path().join(".tccli").join("prod.credential"), "{}").expect("written");
    let read = |flag: Option<&str>, variable: Option<&'static str>| {
        let lookup = |_: &str| variable.map(str::to_owned);
        let home = Some(home.path().to_owned());
        let environment = Environment::new(&lookup, home, flag.map(str::to_owned));
        check_profile_exists(&environment).and_then(|()| settings(&environment))
    };
    assert_eq!(read(Some("prod"), None), Ok(ProfileSettings::default()));
    assert_eq!(read(None, None), Ok(ProfileSettings::default()));
    // its keys may come from another source
    assert_eq!(read(None, Some("prd")), Ok(ProfileSettings::default()));
    let error = read(Some("prd"), None).expect_err("missing").to_string();
    assert!(error.contains("--profile \"prd\":") && error.contains("the profile prod:"), "{error}");
}
