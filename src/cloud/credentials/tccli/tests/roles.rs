//! Profiles with a role: one to assume, or that of the instance.

use tempfile::TempDir;

use super::super::super::fixtures::{UNUSED_ADDRESS, session, sts_at};
use super::super::*;
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
    let source = find(&environment, &sts_at(&server.url())).expect("valid").expect("a source");
    assert!(
        source.is_renewable() && source.name().contains("arn-a") && source.name().contains("profile default")
    );
    assert_eq!(source.fetch(&ServiceClock::default()).await.expect("keys").secret_id(), "id-1");
    let body = String::from_utf8_lossy(&server.received()[0].body).into_owned();
    assert!(body.contains(r#""RoleArn":"arn-a""#) && body.contains(r#""RoleSessionName":"night""#), "{body}");
}

#[tokio::test]
async fn a_role_of_the_environment_replaces_that_of_the_default_profile_and_one_of_the_flag_is_chained() {
    let home = default(WITH_ROLE);
    for (profile, variable, flag, expected) in [
        (None, Some("arn-b"), None, vec!["arn-b"]),
        (Some("default"), Some("arn-b"), None, vec!["arn-a"]),
        (None, None, Some("arn-c"), vec!["arn-a", "arn-c"]),
        (Some("default"), None, Some("arn-c"), vec!["arn-a", "arn-c"]),
    ] {
        let server = Server::start([session(1), session(2)]).await;
        let lookup = |name: &str| variable.filter(|_| name == ROLE_ARNS[0]).map(str::to_owned);
        let folder = Some(home.path().to_owned());
        let environment = Environment::new(&lookup, folder, profile.map(str::to_owned));
        let flag = flag.map(|arn: &str| WantedRole { arn: arn.to_owned(), session_name: None });
        let source = credentials::find(&environment, flag, &sts_at(&server.url())).expect("a source");
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
async fn the_error_without_a_role_of_the_instance_names_the_profile_that_uses_it() {
    let home = default(r#"{"type": "cvm-role"}"#);
    let lookup = |name: &str| (name == "DLC_FLEET_METADATA_ENDPOINT").then(|| UNUSED_ADDRESS.to_owned());
    let environment = Environment::new(&lookup, Some(home.path().to_owned()), None);
    let source = find(&environment, &sts_at(UNUSED_ADDRESS)).expect("valid").expect("a source");
    let error = source.fetch(&ServiceClock::default()).await.expect_err("no response").to_string();
    for part in
        ["default.credential: the profile uses the role of this instance", "no response", "another profile"]
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
        read(&environment).map(|found| super::keys(found.expect("a profile").1).secret_id().to_owned())
    };
    let shared = ("TENCENTCLOUD_SHARED_CREDENTIALS_DIR", folder.as_str());
    assert_eq!(found(&[]), Ok("AKID-DEFAULT".to_owned()));
    assert_eq!(found(&[("TENCENTCLOUD_PROFILE", "prod"), shared]), Ok("AKID-PROD".to_owned()));
    assert_eq!(
        found(&[("TCCLI_PROFILE", "default"), ("TENCENTCLOUD_PROFILE", "prod")]),
        Ok("AKID-DEFAULT".to_owned())
    );
    let error = found(&[("TENCENTCLOUD_PROFILE", "prod")]).expect_err("not in the home").to_string();
    assert!(error.starts_with("TENCENTCLOUD_PROFILE \"prod\": "), "{error}");
}
