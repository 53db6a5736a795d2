//! The role of a pod: all four variables or an error, a token that is read for each session, and no secret in errors.

use super::super::fixtures::{UNUSED_ADDRESS, find_among, refusal, session};
use super::*;
use crate::cloud::faulty_server::{Reply, Server};

const ARN: &str = "qcs::cam::uin/42:roleName/pod";

/// The four variables, with the token in a file of a folder.
fn variables(file: &Path) -> [(&'static str, String); 4] {
    let file = file.display().to_string();
    [
        (REGION, "ap-beijing".to_owned()),
        (PROVIDER_ID, "oidc-1".to_owned()),
        (TOKEN_FILE, file),
        (ROLE_ARN, ARN.to_owned()),
    ]
}

fn find_with(variables: &[(&str, String)], url: &str) -> Result<Box<dyn Source>, CredentialsError> {
    let variables: Vec<(&str, &str)> =
        variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
    find_among(&variables, url, None)
}

async fn fetch(source: &dyn Source) -> Result<Credentials, CredentialsError> {
    source.fetch(&ServiceClock::default()).await
}

#[tokio::test]
async fn the_token_is_read_again_for_each_renewal() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("token");
    let server = Server::start([session(1), session(2)]).await;
    let source = find_with(&variables(&file), &server.url()).expect("a source");
    assert!(source.is_renewable() && source.name().contains(ARN), "{}", source.name());
    for (number, token) in ["PRIVATE-FIRST", "PRIVATE-SECOND"].into_iter().enumerate() {
        std::fs::write(&file, format!("{token}\n")).expect("written");
        let keys = fetch(&*source).await.expect("keys");
        assert_eq!(keys.secret_id(), format!("id-{}", number + 1));
        let received = &server.received()[number];
        assert_eq!(received.header("authorization"), Some("SKIP"));
        assert_eq!(received.header("x-tc-region"), Some("ap-beijing"));
        let body = String::from_utf8_lossy(&received.body).into_owned();
        assert_eq!(
            body,
            format!(
                r#"{{"ProviderId":"oidc-1","WebIdentityToken":"{token}","RoleArn":"{ARN}","RoleSessionName":"dlc-fleet","DurationSeconds":7200}}"#
            )
        );
    }
}

#[test]
fn an_incomplete_set_of_variables_is_an_error_and_the_region_alone_is_ignored() {
    let all = variables(Path::new("/token"));
    for missing in 0..4 {
        let mut some = all.to_vec();
        let (name, _) = some.remove(missing);
        let error = find_with(&some, UNUSED_ADDRESS).err().expect(name);
        assert!(error.to_string().contains(&format!("{name} is not: set both")), "{error}");
        let mut empty = all.to_vec();
        empty[missing].1 = String::new();
        assert_eq!(find_with(&empty, UNUSED_ADDRESS).err(), Some(error));
    }
    let source = find_with(&all[..1], UNUSED_ADDRESS).expect("the machine's role");
    assert!(source.name().contains("CVM"), "{}", source.name());
}

#[tokio::test]
async fn the_error_of_a_missing_token_names_the_file_and_nothing_is_sent() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("token");
    let server = Server::start([]).await;
    let source = find_with(&variables(&file), &server.url()).expect("a source");
    let large = "x".repeat(70_000);
    for text in [None, Some(""), Some(" \n"), Some("PRIVATE TEXT"), Some("PRIVÄTE"), Some(large.as_str())] {
        if let Some(text) = text {
            std::fs::write(&file, text).expect("written");
        }
        let error = fetch(&*source).await.expect_err("no token").to_string();
        assert!(error.contains("/token") && error.contains(TOKEN_FILE) && !error.contains("PRIV"), "{error}");
    }
    let source = find_with(&variables(folder.path()), &server.url()).expect("a source");
    assert!(fetch(&*source).await.is_err(), "a folder is no token");
    assert!(server.received().is_empty());
}

#[tokio::test]
async fn the_error_of_a_refusal_does_not_show_the_token() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("token");
    std::fs::write(&file, "PRIVATE-TOKEN").expect("written");
    let denied = refusal("AuthFailure.UnauthorizedOperation");
    let page = Reply::http("403 Forbidden", "text/html", "PRIVATE-TOKEN");
    for (reply, said) in [(denied, "in the trust policy"), (page, "HTTP 403")] {
        let server = Server::start([reply]).await;
        let source = find_with(&variables(&file), &server.url()).expect("a source");
        let error = fetch(&*source).await.expect_err("no keys").to_string();
        assert!(error.contains(ARN) && error.contains(said) && !error.contains("PRIVATE"), "{error}");
    }
}
