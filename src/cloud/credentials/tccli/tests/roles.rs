//! Profiles that ask for a role: one to be assumed, or that of the machine.

use tempfile::TempDir;

use super::super::fixtures::{NOBODY, session, sts_at};
use super::super::role::ROLE_ARNS;
use super::*;
use crate::cloud::credentials::{self, WantedRole};
use crate::cloud::faulty_server::Server;

const WITH_ROLE: &str =
    r#"{"secretId": "AKID-A", "secretKey": "K", "role-arn": "arn-a", "role-session-name": "night"}"#;

/// A home directory with this as the default profile.
fn default(text: &str) -> TempDir {
    let home = tempfile::tempdir().expect("a folder");
    std::fs::create_dir(home.path().join(".tccli")).expect("a folder");
    std::fs::write(home.path().join(".tccli/default.credential"), text).expect("written");
    home
}

#[tokio::test]
async fn a_role_in_a_profile_is_assumed_with_the_keys_of_the_profile() {
    let server = Server::start([session(1)]).await;
    let home = default(WITH_ROLE);
    let environment = Environment::new(&|_| None, Some(home.path().to_owned()), None);
    let source = find(&environment, &sts_at(&server.url())).expect("sound").expect("a source");
    assert!(source.renews() && source.name().contains("arn-a") && source.name().contains("profile default"));
    assert_eq!(source.fetch(&ServiceClock::default()).await.expect("keys").secret_id(), "id-1");
    let body = String::from_utf8_lossy(&server.received()[0].body).into_owned();
    assert!(body.contains(r#""RoleArn":"arn-a""#) && body.contains(r#""RoleSessionName":"night""#), "{body}");
}

#[tokio::test]
async fn a_role_of_the_environment_replaces_that_of_the_default_profile_and_one_that_is_typed_follows_it() {
    let home = default(WITH_ROLE);
    for (profile, variable, typed, expected) in [
        (None, Some("arn-b"), None, vec!["arn-b"]),
        (Some("default"), Some("arn-b"), None, vec!["arn-a"]),
        (None, None, Some("arn-c"), vec!["arn-a", "arn-c"]),
        (Some("default"), None, Some("arn-c"), vec!["arn-a", "arn-c"]),
    ] {
        let server = Server::start([session(1), session(2)]).await;
        let lookup = |name: &str| variable.filter(|_| name == ROLE_ARNS[0]).map(str::to_owned);
        let folder = Some(home.path().to_owned());
        let environment = Environment::new(&lookup, folder, profile.map(str::to_owned));
        let typed = typed.map(|arn: &str| WantedRole { arn: arn.to_owned(), session_name: None });
        let source = credentials::find(&environment, typed, &sts_at(&server.url())).expect("a source");
        source.fetch(&ServiceClock::default()).await.expect("keys");
        let assumed: Vec<String> = server
            .received()
            .iter()
            .map(|received| serde_json::from_slice::<serde_json::Value>(&received.body).expect("JSON"))
            .map(|body| body["RoleArn"].as_str().expect("a role").to_owned())
            .collect();
        assert_eq!(assumed, expected);
    }
}

#[tokio::test]
async fn a_profile_that_asks_for_the_role_of_the_machine_is_named_where_there_is_none() {
    let home = default(r#"{"type": "cvm-role"}"#);
    let lookup = |name: &str| (name == "DLC_FLEET_METADATA_ENDPOINT").then(|| NOBODY.to_owned());
    let environment = Environment::new(&lookup, Some(home.path().to_owned()), None);
    let source = find(&environment, &sts_at(NOBODY)).expect("sound").expect("a source");
    let error = source.fetch(&ServiceClock::default()).await.expect_err("nobody answers").to_string();
    for part in ["default.credential asks for the role of this machine", "nobody answers", "another profile"]
    {
        assert!(error.contains(part), "{error}");
    }
}

#[test]
fn the_profile_and_the_folder_of_terraform_are_read_as_well() {
    let home = default(r#"{"secretId": "AKID-DEFAULT", "secretKey": "K"}"#);
    let elsewhere = tempfile::tempdir().expect("a folder");
    let text = r#"{"secretId": "AKID-PROD", "secretKey": "K"}"#;
    std::fs::write(elsewhere.path().join("prod.credential"), text).expect("written");
    let folder = elsewhere.path().display().to_string();
    let found = |set: &[(&str, &str)]| {
        let lookup = |name: &str| {
            set.iter().find(|(variable, _)| *variable == name).map(|(_, value)| (*value).to_owned())
        };
        let environment = Environment::new(&lookup, Some(home.path().to_owned()), None);
        read(&environment)
            .map(|profile| profile.expect("a profile").keys().expect("keys").secret_id().to_owned())
    };
    let shared = ("TENCENTCLOUD_SHARED_CREDENTIALS_DIR", folder.as_str());
    assert_eq!(found(&[]), Ok("AKID-DEFAULT".to_owned()));
    assert_eq!(found(&[("TENCENTCLOUD_PROFILE", "prod"), shared]), Ok("AKID-PROD".to_owned()));
    assert_eq!(
        found(&[("TCCLI_PROFILE", "default"), ("TENCENTCLOUD_PROFILE", "prod")]),
        Ok("AKID-DEFAULT".to_owned())
    );
    let error = found(&[("TENCENTCLOUD_PROFILE", "prod")]).expect_err("not in the home").to_string();
    assert!(error.starts_with("TENCENTCLOUD_PROFILE: \"prod\" cannot be used"), "{error}");
}
