//! What a keyring does with sources that last, expire, fail, are refused, and break down.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use zeroize::Zeroizing;

use super::super::fixtures::sts_at;
use super::*;
use crate::cloud::faulty_server::{Reply, Server};

/// Longer than it takes to fetch keys, and for everybody else to come and wait.
const A_MOMENT: Duration = Duration::from_millis(100);

/// Counts how often it is asked; its keys last as long as it is told, and it fails from some fetch on.
#[derive(Default)]
struct Counting {
    asked: AtomicUsize,
    lasts: i64,
    fails: AtomicBool,
    panics: bool,
}

/// The source that the keyring holds, where the test can still reach it.
struct Shared(Arc<Counting>);

impl Source for Shared {
    fn name(&self) -> String {
        "a test".to_owned()
    }

    fn fetch<'a>(&'a self, clock: &'a ServiceClock) -> Fetching<'a> {
        Box::pin(async move {
            let number = self.0.asked.fetch_add(1, Ordering::Relaxed);
            tokio::time::sleep(A_MOMENT / 2).await;
            assert!(!self.0.panics, "broken to order");
            if self.0.fails.load(Ordering::Relaxed) {
                return Err(CredentialsError::Absent { looked_at: Vec::new() });
            }
            let key = Zeroizing::new("K".to_owned());
            Ok(Credentials::new(format!("id-{number}"), key, None).until(clock.now() + self.0.lasts))
        })
    }

    fn renews(&self) -> bool {
        true
    }
}

fn keyring(source: Counting) -> (Arc<Keyring>, Arc<Counting>) {
    let source = Arc::new(source);
    let keyring = Keyring::new(Box::new(Shared(Arc::clone(&source))), Arc::default());
    (Arc::new(keyring), source)
}

fn lasting(lasts: i64) -> (Arc<Keyring>, Arc<Counting>) {
    keyring(Counting { lasts, ..Counting::default() })
}

/// What so many callers at once sign with; nothing where they are told that there are no keys.
async fn ids(keyring: &Arc<Keyring>, callers: usize) -> Vec<String> {
    let calls = (0..callers).map(|_| {
        let keyring = Arc::clone(keyring);
        tokio::spawn(async move {
            keyring.current().await.map(|keys| keys.secret_id().to_owned()).unwrap_or_default()
        })
    });
    let mut ids = Vec::new();
    for call in calls.collect::<Vec<_>>() {
        ids.push(call.await.expect("no panic"));
    }
    ids
}

/// What one caller signs with, once a renewal in the background has had time to end.
async fn id_after(keyring: &Arc<Keyring>, wait: Duration) -> String {
    tokio::time::sleep(wait).await;
    ids(keyring, 1).await.remove(0)
}

fn refused() -> CallError {
    let code = TOKEN_FAILURE.to_owned();
    CallError::Refused(Refusal { code, message: String::new(), request_id: None })
}

#[tokio::test(start_paused = true)]
async fn keys_that_last_are_fetched_once_for_everybody() {
    let (keyring, source) = lasting(7_200);
    assert_eq!(ids(&keyring, 64).await, vec!["id-0"; 64]);
    assert_eq!(id_after(&keyring, PAUSE * 2).await, "id-0");
    assert_eq!(source.asked.load(Ordering::Relaxed), 1);
}

#[tokio::test(start_paused = true)]
async fn keys_with_five_minutes_left_are_renewed_in_the_background_and_with_more_are_not() {
    for (lasts, second, third, fetched) in [(301 + 60, "id-0", "id-0", 1), (299, "id-0", "id-1", 2)] {
        let (keyring, source) = lasting(lasts);
        ids(&keyring, 1).await;
        tokio::time::sleep(PAUSE).await;
        assert_eq!(ids(&keyring, 64).await, vec![second; 64], "nobody waits: they are still good");
        assert_eq!(id_after(&keyring, A_MOMENT).await, third);
        assert_eq!(source.asked.load(Ordering::Relaxed), fetched, "{lasts} s");
    }
}

#[tokio::test(start_paused = true)]
async fn keys_that_never_last_are_not_renewed_by_every_call() {
    let (keyring, source) = lasting(-60);
    for _ in 0..20 {
        assert_eq!(ids(&keyring, 8).await, vec!["id-0"; 8], "what was just fetched is used");
    }
    assert_eq!(source.asked.load(Ordering::Relaxed), 1);
    assert_eq!(id_after(&keyring, SHORT_PAUSE).await, "id-1");
}

#[tokio::test(start_paused = true)]
async fn a_renewal_that_fails_leaves_the_keys_that_are_still_good() {
    for (lasts, kept) in [(299, "id-0"), (0, "")] {
        let (keyring, source) = lasting(lasts);
        ids(&keyring, 1).await;
        source.fails.store(true, Ordering::Relaxed);
        tokio::time::sleep(PAUSE).await;
        assert_eq!(ids(&keyring, 8).await, vec![kept; 8], "{lasts} s");
        assert_eq!(id_after(&keyring, A_MOMENT).await, kept, "{lasts} s");
    }
}

#[tokio::test(start_paused = true)]
async fn a_source_that_fails_is_asked_again_after_a_while_and_not_by_everybody() {
    let (keyring, source) = lasting(7_200);
    source.fails.store(true, Ordering::Relaxed);
    for _ in 0..10 {
        assert_eq!(ids(&keyring, 64).await, vec![""; 64]);
    }
    assert_eq!(source.asked.load(Ordering::Relaxed), 1);
    source.fails.store(false, Ordering::Relaxed);
    assert_eq!(id_after(&keyring, SHORT_PAUSE / 2).await, "", "not yet");
    assert_eq!(id_after(&keyring, SHORT_PAUSE).await, "id-1", "everything waits for it");
}

#[tokio::test(start_paused = true)]
async fn keys_that_the_service_refused_are_replaced_once_for_all_who_had_them() {
    let (keyring, source) = lasting(7_200);
    let keys = keyring.current().await.expect("keys");
    for _ in 0..64 {
        assert!(matches!(keyring.judge(&keys, refused()), CallError::SignatureExpired(_)));
    }
    assert_eq!(ids(&keyring, 64).await, vec!["id-1"; 64]);
    keyring.judge(&keys, refused());
    assert_eq!(ids(&keyring, 1).await, ["id-1"], "answers to requests with the old keys come late");
    assert_eq!(source.asked.load(Ordering::Relaxed), 2);
    let other = CallError::NotSent { cause: String::new() };
    assert_eq!(keyring.judge(&keys, other.clone()), other);
}

#[tokio::test(start_paused = true)]
async fn keys_that_were_refused_and_cannot_be_replaced_are_not_used_again() {
    let (keyring, source) = lasting(7_200);
    let keys = keyring.current().await.expect("keys");
    source.fails.store(true, Ordering::Relaxed);
    keyring.judge(&keys, refused());
    assert_eq!(ids(&keyring, 3).await, vec![""; 3]);
}

#[tokio::test(start_paused = true)]
async fn keys_that_cannot_be_renewed_stay_refused_and_are_held_all_the_same() {
    let credentials = Credentials::new("id".to_owned(), Zeroizing::new("K".to_owned()), None);
    let fixed = Arc::new(Keyring::of(credentials, "test"));
    let keys = fixed.current().await.expect("keys");
    assert_eq!(fixed.judge(&keys, refused()), refused());
    assert_eq!(ids(&fixed, 1).await, ["id"]);
}

#[tokio::test(start_paused = true)]
async fn a_renewal_goes_on_when_the_caller_who_began_it_leaves() {
    let (keyring, source) = lasting(7_200);
    for _ in 0..5 {
        let impatient = tokio::time::timeout(A_MOMENT / 50, keyring.current()).await;
        assert!(impatient.is_err(), "it takes longer than that");
    }
    assert_eq!(ids(&keyring, 1).await, ["id-0"]);
    assert_eq!(source.asked.load(Ordering::Relaxed), 1);
}

#[tokio::test(start_paused = true)]
async fn a_source_that_breaks_down_leaves_nobody_waiting() {
    let (keyring, _) = keyring(Counting { panics: true, ..Counting::default() });
    let error = keyring.current().await.expect_err("no keys");
    assert!(error.to_string().contains("broke down") && !error.may_pass(), "{error}");
}

#[tokio::test]
async fn new_keys_of_another_account_are_not_taken_where_the_account_was_made_sure_of() {
    let whose = |account: &str| {
        Reply::json(&format!(r#"{{"Response":{{"AccountId":"{account}","Arn":"arn","RequestId":"r"}}}}"#))
    };
    let trouble =
        Reply::json(r#"{"Response":{"Error":{"Code":"InternalError","Message":"m"},"RequestId":"r"}}"#);
    let server = Server::start([whose("7"), whose("42"), trouble]).await;
    let (keyring, source) = lasting(3_600);
    let first = keyring.current().await.expect("keys");
    keyring.keep_to("7", sts_at(&server.url()));
    first.refuse();
    let second = keyring.current().await.expect("keys of the same account");
    second.refuse();
    let error = keyring.current().await.expect_err("keys of another account");
    assert!(!error.may_pass(), "{error}");
    for part in ["belong to the account 42", "is for 7", "log in to that account again"] {
        assert!(error.to_string().contains(part), "{error}");
    }
    tokio::time::sleep(SHORT_PAUSE + A_MOMENT).await;
    let error = keyring.current().await.expect_err("nobody knows whose keys they are");
    assert!(error.may_pass() && error.to_string().contains("GetCallerIdentity"), "{error}");
    assert_eq!((source.asked.load(Ordering::Relaxed), server.received().len()), (4, 3));
}

#[tokio::test]
async fn new_keys_of_another_account_end_the_use_of_old_ones_that_are_still_good() {
    let other = r#"{"Response":{"AccountId":"42","Arn":"arn","RequestId":"r"}}"#;
    let server = Server::start([Reply::json(other)]).await;
    let (keyring, _) = lasting(RENEW_BELOW - 100);
    assert_eq!(keyring.current().await.expect("keys").secret_id(), "id-0");
    keyring.keep_to("7", sts_at(&server.url()));
    tokio::time::sleep(PAUSE + A_MOMENT).await;
    // good for now, and a renewal begins
    assert_eq!(keyring.current().await.expect("keys").secret_id(), "id-0");
    let mut last = keyring.current().await;
    for _ in 0..100 {
        if last.is_err() {
            break;
        }
        tokio::time::sleep(A_MOMENT).await;
        last = keyring.current().await;
    }
    assert!(matches!(last, Err(CredentialsError::AnotherAccount { .. })), "{last:?}");
}
