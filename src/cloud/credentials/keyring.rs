//! The keys that are good at the moment: renewed before they expire, once for all calls in flight.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::Mutex;

use super::{Credentials, CredentialsError};
use crate::cloud::Fault;
use crate::cloud::signed::ServiceClock;

/// Keys with less than this left are replaced, in seconds; the vendor's tools do the same (vendor's Python and Go
/// SDKs, command line).
const RENEW_BELOW: i64 = 300;

/// What a source answers with.
pub type Fetching<'a> = Pin<Box<dyn Future<Output = Result<Credentials, CredentialsError>> + Send + 'a>>;

/// Somewhere that keys come from.
pub trait Source: Send + Sync + 'static {
    /// What people call it: names files and variables, never values.
    fn name(&self) -> String;

    /// Gets the keys. `clock` tells the service's time, for sources that call the service themselves.
    fn fetch<'a>(&'a self, clock: &'a ServiceClock) -> Fetching<'a>;

    /// True where another [`Source::fetch`] may bring other keys.
    fn renews(&self) -> bool;
}

/// Holds one set of keys and where they come from.
pub struct Keyring {
    source: Box<dyn Source>,
    held: Mutex<Option<Arc<Credentials>>>,
    /// Set when the service refused the keys that are held.
    refused: AtomicBool,
}

impl Keyring {
    /// A keyring that has fetched nothing yet.
    pub fn new(source: Box<dyn Source>) -> Self {
        Self { source, held: Mutex::new(None), refused: AtomicBool::new(false) }
    }

    /// A keyring whose keys never change.
    pub fn of(credentials: Credentials, name: &str) -> Self {
        let held = Mutex::new(Some(Arc::new(credentials)));
        let source = Box::new(Fixed { name: name.to_owned() });
        Self { source, held, refused: AtomicBool::new(false) }
    }

    /// What people call the source of these keys.
    pub fn source(&self) -> String {
        self.source.name()
    }

    /// The keys to sign with now. Whoever comes while they are renewed waits for that one renewal.
    pub async fn current(&self, clock: &ServiceClock) -> Result<Arc<Credentials>, CredentialsError> {
        let mut held = self.held.lock().await;
        let refused = self.refused.load(Ordering::Acquire);
        let left = |keys: &Credentials| keys.expires().map(|expires| expires.saturating_sub(clock.now()));
        match held.as_ref() {
            Some(keys) if !refused && left(keys).is_none_or(|left| left > RENEW_BELOW) => {
                return Ok(Arc::clone(keys));
            }
            Some(keys) if !self.source.renews() => return Ok(Arc::clone(keys)),
            _ => {}
        }
        match (self.source.fetch(clock).await, held.as_ref()) {
            (Ok(keys), _) => {
                self.refused.store(false, Ordering::Release);
                let keys = Arc::new(keys);
                *held = Some(Arc::clone(&keys));
                Ok(keys)
            }
            // what is held is still good for a while, and the next call tries again
            (Err(error), Some(keys)) if !refused && left(keys).is_some_and(|left| left > 0) => {
                tracing::warn!(source = self.source.name(), %error, "the keys could not be renewed yet");
                Ok(Arc::clone(keys))
            }
            (Err(error), _) => Err(error),
        }
    }

    /// Notes that the service refused these keys. True where the next call will have others, or has them already.
    pub(in crate::cloud) fn can_replace(&self, keys: &Arc<Credentials>) -> bool {
        if !self.source.renews() {
            return false;
        }
        // while somebody holds the lock a renewal is under way, or the keys are being read and will be refused again
        if let Ok(held) = self.held.try_lock()
            && held.as_ref().is_some_and(|held| Arc::ptr_eq(held, keys))
        {
            self.refused.store(true, Ordering::Release);
        }
        true
    }
}

/// Shows where keys come from, and nothing of them.
impl fmt::Debug for Keyring {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Keyring").field("source", &self.source.name()).finish_non_exhaustive()
    }
}

/// Keys that were there from the start.
struct Fixed {
    name: String,
}

impl Source for Fixed {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn fetch<'a>(&'a self, _clock: &'a ServiceClock) -> Fetching<'a> {
        // never asked for: the keyring begins with the keys, and they are never renewed
        Box::pin(std::future::ready(Err(CredentialsError::Absent)))
    }

    fn renews(&self) -> bool {
        false
    }
}

impl From<CredentialsError> for Fault {
    fn from(error: CredentialsError) -> Self {
        let cause = error.to_string();
        if error.may_pass() { Self::NotSent { cause } } else { Self::NoCredentials { cause } }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use zeroize::Zeroizing;

    use super::*;

    /// Counts how often it is asked; its keys last as long as it is told.
    struct Counting {
        asked: Arc<AtomicUsize>,
        lasts: i64,
        fails_from: usize,
    }

    impl Source for Counting {
        fn name(&self) -> String {
            "a test".to_owned()
        }

        fn fetch<'a>(&'a self, clock: &'a ServiceClock) -> Fetching<'a> {
            Box::pin(async move {
                let number = self.asked.fetch_add(1, Ordering::Relaxed);
                // long enough for everybody else to come and wait
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
                if number >= self.fails_from {
                    return Err(CredentialsError::Absent);
                }
                let key = Zeroizing::new("K".to_owned());
                Ok(Credentials::new(format!("id-{number}"), key, None).until(clock.now() + self.lasts))
            })
        }

        fn renews(&self) -> bool {
            true
        }
    }

    fn keyring(lasts: i64, fails_from: usize) -> (Arc<Keyring>, Arc<AtomicUsize>) {
        let asked = Arc::new(AtomicUsize::new(0));
        let source = Counting { asked: Arc::clone(&asked), lasts, fails_from };
        (Arc::new(Keyring::new(Box::new(source))), asked)
    }

    async fn ids(keyring: &Arc<Keyring>, callers: usize) -> Vec<String> {
        let clock = Arc::new(ServiceClock::default());
        let calls = (0..callers).map(|_| {
            let (keyring, clock) = (Arc::clone(keyring), Arc::clone(&clock));
            tokio::spawn(async move {
                keyring.current(&clock).await.map(|keys| keys.secret_id().to_owned()).unwrap_or_default()
            })
        });
        let mut ids = Vec::new();
        for call in calls.collect::<Vec<_>>() {
            ids.push(call.await.expect("no panic"));
        }
        ids
    }

    #[tokio::test(start_paused = true)]
    async fn keys_that_last_are_fetched_once_for_everybody() {
        let (keyring, asked) = keyring(7_200, 99);
        assert_eq!(ids(&keyring, 64).await, vec!["id-0"; 64]);
        assert_eq!(ids(&keyring, 64).await, vec!["id-0"; 64]);
        assert_eq!(asked.load(Ordering::Relaxed), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn keys_with_five_minutes_left_are_renewed_and_with_more_are_not() {
        for (lasts, fetched) in [(301 + 60, 1), (299, 2)] {
            let (keyring, asked) = keyring(lasts, 99);
            ids(&keyring, 1).await;
            ids(&keyring, 1).await;
            assert_eq!(asked.load(Ordering::Relaxed), fetched, "{lasts} s");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_renewal_that_fails_leaves_the_keys_that_are_still_good() {
        let (soon, _) = keyring(299, 1);
        assert_eq!(ids(&soon, 1).await, ["id-0"]);
        assert_eq!(ids(&soon, 1).await, ["id-0"]);
        let (over, _) = keyring(0, 1);
        assert_eq!(ids(&over, 1).await, ["id-0"], "what was just fetched is used");
        assert_eq!(ids(&over, 1).await, [""]);
    }

    #[tokio::test(start_paused = true)]
    async fn keys_that_the_service_refused_are_replaced_once_for_all_who_had_them() {
        let (keyring, asked) = keyring(7_200, 99);
        let clock = ServiceClock::default();
        let keys = keyring.current(&clock).await.expect("keys");
        for _ in 0..64 {
            assert!(keyring.can_replace(&keys));
        }
        assert_eq!(ids(&keyring, 64).await, vec!["id-1"; 64]);
        assert!(keyring.can_replace(&keys), "answers to requests with the old keys come late");
        assert_eq!(ids(&keyring, 1).await, ["id-1"]);
        assert_eq!(asked.load(Ordering::Relaxed), 2);
        let fixed =
            Keyring::of(Credentials::new("id".to_owned(), Zeroizing::new("K".to_owned()), None), "test");
        let keys = fixed.current(&clock).await.expect("keys");
        assert!(!fixed.can_replace(&keys));
    }
}
