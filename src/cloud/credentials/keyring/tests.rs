//! A keyring with sources whose keys last, expire, fail, are refused, and panic.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use zeroize::Zeroizing;

use super::super::fixtures::sts_at;
use super::super::source::Fetching;
use super::*;
use crate::cloud::error::Refusal;
use crate::cloud::faulty_server::{Reply, Server};

/// Longer than a fetch takes.
const A_MOMENT: Duration = Duration::from_millis(100);

/// A source that counts its fetches.
#[derive(Default)]
struct Counting {
    fetches: AtomicUsize,
    lifetime: i64,
    fails: AtomicBool,
    panics: bool,
}

/// The source of a keyring, shared with the test.
struct Shared(Arc<Counting>);

impl Source for Shared {
    fn name(&self) -> String {
        "a test".to_owned()
    }

    fn fetch<'a>(&'a self, clock: &'a ServiceClock) -> Fetching<'a> {
        Box::pin(async move {
            let number = self.0.fetches.fetch_add(1, Ordering::Relaxed);
            tokio::time::sleep(A_MOMENT / 2).await;
            assert!(!self.0.panics, "a panic for the test");
            if self.0.fails.load(Ordering::Relaxed) {
                return Err(CredentialsError::Absent { searched: Vec::new() });
            }
            let key = Zeroizing::new("K".to_owned());
            Ok(Credentials::new(format!("id-{number}"), key, None).expiring_at(clock.now() + self.0.lifetime))
        })
    }

    fn is_renewable(&self) -> bool {
        true
    }
}

fn keyring(source: Counting) -> (Arc<Keyring>, Arc<Counting>) {
    let source = Arc::new(source);
    let keyring = Keyring::new(Box::new(Shared(Arc::clone(&source))), Arc::default());
    (Arc::new(keyring), source)
}

fn lasting(lasts: i64) -> (Arc<Keyring>, Arc<Counting>) {
    keyring(Counting { lifetime: lasts, ..Counting::default() })
}

/// The ids of the keys that concurrent callers get; empty for an error.
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

/// The id of the keys that one caller gets after a wait for a renewal in the background.
async fn id_after(keyring: &Arc<Keyring>, wait: Duration) -> String {
    tokio::time::sleep(wait).await;
    ids(keyring, 1).await.remove(0)
}

fn refused() -> CallError {
    let code = TOKEN_FAILURE.to_owned();
    CallError::Refused(Refusal { code, message: String::new(), request_id: None })
}

#[tokio::test(start_paused = true)]
async fn lasting_keys_are_fetched_once_for_all_callers() {
    let (keyring, source) = lasting(7_200);
    assert_eq!(ids(&keyring, 64).await, vec!["id-0"; 64]);
    assert_eq!(id_after(&keyring, PAUSE * 2).await, "id-0");
    assert_eq!(source.fetches.load(Ordering::Relaxed), 1);
}

#[tokio::test(start_paused = true)]
async fn keys_with_five_minutes_left_are_renewed_in_the_background_and_with_more_are_not() {
    for (lasts, second, third, fetched) in [(301 + 60, "id-0", "id-0", 1), (299, "id-0", "id-1", 2)] {
        let (keyring, source) = lasting(lasts);
        ids(&keyring, 1).await;
        tokio::time::sleep(PAUSE).await;
        assert_eq!(ids(&keyring, 64).await, vec![second; 64], "no caller waits: the keys are still valid");
        assert_eq!(id_after(&keyring, A_MOMENT).await, third);
        assert_eq!(source.fetches.load(Ordering::Relaxed), fetched, "{lasts} s");
    }
}

#[tokio::test(start_paused = true)]
async fn keys_that_are_always_expired_are_not_renewed_by_every_call() {
    let (keyring, source) = lasting(-60);
    for _ in 0..20 {
        assert_eq!(ids(&keyring, 8).await, vec!["id-0"; 8], "the keys of the latest fetch are used");
    }
    assert_eq!(source.fetches.load(Ordering::Relaxed), 1);
    assert_eq!(id_after(&keyring, SHORT_PAUSE).await, "id-1");
}

#[tokio::test(start_paused = true)]
async fn a_failed_renewal_keeps_keys_that_are_still_valid() {
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
async fn a_failed_source_is_fetched_again_after_a_pause_and_not_by_every_call() {
    let (keyring, source) = lasting(7_200);
    source.fails.store(true, Ordering::Relaxed);
    for _ in 0..10 {
        assert_eq!(ids(&keyring, 64).await, vec![""; 64]);
    }
    assert_eq!(source.fetches.load(Ordering::Relaxed), 1);
    source.fails.store(false, Ordering::Relaxed);
    assert_eq!(id_after(&keyring, SHORT_PAUSE / 2).await, "", "not yet");
    assert_eq!(id_after(&keyring, SHORT_PAUSE).await, "id-1", "the pause is short without keys");
}

#[tokio::test(start_paused = true)]
async fn refused_keys_are_renewed_once_for_all_callers() {
    let (keyring, source) = lasting(7_200);
    let keys = keyring.current().await.expect("keys");
    for _ in 0..64 {
        assert!(matches!(keyring.classify(&keys, refused()), CallError::SignatureExpired(_)));
    }
    assert_eq!(ids(&keyring, 64).await, vec!["id-1"; 64]);
    keyring.classify(&keys, refused());
    assert_eq!(ids(&keyring, 1).await, ["id-1"], "late refusals of the old keys do not matter");
    assert_eq!(source.fetches.load(Ordering::Relaxed), 2);
    let other = CallError::NotSent { cause: String::new() };
    assert_eq!(keyring.classify(&keys, other.clone()), other);
}

#[tokio::test(start_paused = true)]
async fn refused_keys_that_cannot_be_renewed_are_not_used_again() {
    let (keyring, source) = lasting(7_200);
    let keys = keyring.current().await.expect("keys");
    source.fails.store(true, Ordering::Relaxed);
    keyring.classify(&keys, refused());
    assert_eq!(ids(&keyring, 3).await, vec![""; 3]);
}

#[tokio::test(start_paused = true)]
async fn fixed_keys_stay_in_use_after_a_refusal() {
    let credentials = Credentials::new("id".to_owned(), Zeroizing::new("K".to_owned()), None);
    let fixed = Arc::new(Keyring::of(credentials, "test"));
    let keys = fixed.current().await.expect("keys");
    assert_eq!(fixed.classify(&keys, refused()), refused());
    assert_eq!(ids(&fixed, 1).await, ["id"]);
}

#[tokio::test(start_paused = true)]
async fn a_renewal_continues_when_its_first_caller_is_dropped() {
    let (keyring, source) = lasting(7_200);
    for _ in 0..5 {
        let timed_out = tokio::time::timeout(A_MOMENT / 50, keyring.current()).await;
        assert!(timed_out.is_err(), "the fetch takes longer");
    }
    assert_eq!(ids(&keyring, 1).await, ["id-0"]);
    assert_eq!(source.fetches.load(Ordering::Relaxed), 1);
}

#[tokio::test(start_paused = true)]
async fn a_panic_in_a_source_leaves_no_caller_waiting() {
    let (keyring, _) = keyring(Counting { panics: true, ..Counting::default() });
    let error = keyring.current().await.expect_err("no keys");
    assert!(error.to_string().contains("internal error") && !error.is_transient(), "{error}");
}

#[tokio::test]
async fn renewed_keys_of_another_account_are_refused_once_an_account_is_required() {
    let identity = |account: &str| {
        Reply::json(&format!(r#"{{"Response":{{"AccountId":"{account}","Arn":"arn","RequestId":"r"}}}}"#))
    };
    let internal_error =
        Reply::json(r#"{"Response":{"Error":{"Code":"InternalError","Message":"m"},"RequestId":"r"}}"#);
    let server = Server::start([identity("7"), identity("42"), internal_error]).await;
    let (keyring, source) = lasting(3_600);
    let first = keyring.current().await.expect("keys");
    keyring.require_account("7", sts_at(&server.url()));
    keyring.classify(&first, refused());
    let second = keyring.current().await.expect("keys of the same account");
    keyring.classify(&second, refused());
    let error = keyring.current().await.expect_err("keys of another account");
    assert!(!error.is_transient(), "{error}");
    for part in ["belong to the account 42", "is for 7", "log in to that account"] {
        assert!(error.to_string().contains(part), "{error}");
    }
    tokio::time::sleep(SHORT_PAUSE + A_MOMENT).await;
    let error = keyring.current().await.expect_err("the account is unknown");
    assert!(error.is_transient() && error.to_string().contains("GetCallerIdentity"), "{error}");
    assert_eq!((source.fetches.load(Ordering::Relaxed), server.received().len()), (4, 3));
}

#[tokio::test]
async fn renewed_keys_of_another_account_end_the_use_of_old_keys_that_are_still_valid() {
    let other = r#"{"Response":{"AccountId":"42","Arn":"arn","RequestId":"r"}}"#;
    let server = Server::start([Reply::json(other)]).await;
    let (keyring, _) = lasting(RENEW_BELOW - 100);
    assert_eq!(keyring.current().await.expect("keys").secret_id(), "id-0");
    keyring.require_account("7", sts_at(&server.url()));
    tokio::time::sleep(PAUSE + A_MOMENT).await;
    // still valid, and a renewal starts
    assert_eq!(keyring.current().await.expect("keys").secret_id(), "id-0");
    let mut last = keyring.current().await;
    for _ in 0..100 {
        if last.is_err() {
            break;
        }
        tokio::time::sleep(A_MOMENT).await;
        last = keyring.current().await;
    }
    assert!(matches!(last, Err(CredentialsError::OtherAccount { .. })), "{last:?}");
}
