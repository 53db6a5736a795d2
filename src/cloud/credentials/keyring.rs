//! The keys that are good at the moment: renewed before they expire, once for all calls in flight.

use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use super::{Credentials, CredentialsError};
use crate::cloud::signed::ServiceClock;
use crate::cloud::sts::{GET_CALLER_IDENTITY, StsClient, Told};
use crate::cloud::{CallError, Refusal};

/// Keys with less than this left are replaced, in seconds; the vendor's tools do the same (vendor's Python and Go
/// SDKs, command line).
pub(super) const RENEW_BELOW: i64 = 300;

/// Least time between two renewals while there are good keys, unless the service refuses what the first one brought: a
/// source that fails, or whose keys never last, is not asked again by every single call.
const PAUSE: Duration = Duration::from_secs(5);

/// The same while there are none, and everything waits for some.
const SHORT_PAUSE: Duration = Duration::from_secs(1);

/// The code of a token that is not, or no longer, accepted.
const TOKEN_FAILURE: &str = "AuthFailure.TokenFailure";

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
    clock: Arc<ServiceClock>,
    held: Mutex<Held>,
    /// Whose keys they have to be, once somebody made sure of it.
    owner: OnceLock<Owner>,
}

/// An account, and who can tell whether keys belong to it.
struct Owner {
    account_id: String,
    sts: StsClient,
}

#[derive(Default)]
struct Held {
    keys: Option<Arc<Credentials>>,
    /// The renewal under way. Nothing is ever sent: whoever waits for it wakes up when its other end goes.
    renewal: Option<watch::Receiver<()>>,
    /// When the latest renewal ended, and why it brought nothing.
    latest: Option<(Instant, Option<CredentialsError>)>,
}

/// What a caller does next.
enum Next {
    Take(Result<Arc<Credentials>, CredentialsError>),
    Wait(watch::Receiver<()>),
}

impl Keyring {
    /// A keyring that has fetched nothing yet. `clock` is the service's, by which keys expire.
    pub fn new(source: Box<dyn Source>, clock: Arc<ServiceClock>) -> Self {
        Self { source, clock, held: Mutex::default(), owner: OnceLock::new() }
    }

    /// A keyring whose keys never change.
    pub fn of(credentials: Credentials, name: &str) -> Self {
        let held = Held { keys: Some(Arc::new(credentials)), ..Held::default() };
        let source = Box::new(Fixed { name: name.to_owned() });
        Self { source, clock: Arc::default(), held: Mutex::new(held), owner: OnceLock::new() }
    }

    /// What people call the source of these keys.
    pub fn source(&self) -> String {
        self.source.name()
    }

    /// From now on, takes no keys of another account: a file may be written anew by whoever logs in elsewhere.
    pub fn keep_to(&self, account_id: &str, sts: StsClient) {
        let _ = self.owner.set(Owner { account_id: account_id.to_owned(), sts });
    }

    /// The keys to sign with now, renewed where they have to be: in the background while the old ones are good, and
    /// else everybody waits for the same renewal. Dropped before it is done, this loses nothing.
    pub async fn current(self: &Arc<Self>) -> Result<Arc<Credentials>, CredentialsError> {
        loop {
            match self.next() {
                Next::Take(keys) => return keys,
                Next::Wait(mut renewal) => {
                    let _ = renewal.changed().await;
                }
            }
        }
    }

    /// The keys that are held at this moment, good or not; never waits.
    pub(in crate::cloud) fn held(&self) -> Option<Arc<Credentials>> {
        self.lock().keys.clone()
    }

    /// What a fault of a call that was signed with these keys means: a token that is no longer accepted is outdated
    /// where the next call can have another one.
    pub(in crate::cloud) fn judge(&self, keys: &Credentials, fault: CallError) -> CallError {
        match fault {
            CallError::Refused(Refusal { code, message, request_id })
                if code == TOKEN_FAILURE && self.source.renews() =>
            {
                keys.refuse();
                CallError::SignatureExpired(Refusal { code, message, request_id })
            }
            fault => fault,
        }
    }

    fn next(self: &Arc<Self>) -> Next {
        let mut held = self.lock();
        let keys = held.keys.clone();
        let left = keys.as_ref().map_or(0, |keys| self.left(keys));
        if let Some(keys) = &keys
            && (!self.source.renews() || left > RENEW_BELOW && !keys.is_refused())
        {
            return Next::Take(Ok(Arc::clone(keys)));
        }
        held.notice_a_break_down();
        let accepted = keys.filter(|keys| !keys.is_refused());
        let good = accepted.clone().filter(|_| left > 0);
        let pause = if good.is_some() { PAUSE } else { SHORT_PAUSE };
        let just_now = held.latest.as_ref().filter(|(at, _)| at.elapsed() < pause);
        match (&held.renewal, just_now, good, accepted) {
            (Some(renewal), _, None, _) => Next::Wait(renewal.clone()),
            (Some(_), _, Some(good), _) | (None, Some(_), Some(good), _) => Next::Take(Ok(good)),
            (None, Some((_, Some(error))), None, _) => Next::Take(Err(error.clone())),
            // by our clock they have expired already, but there are no better ones
            (None, Some((_, None)), None, Some(fresh)) => Next::Take(Ok(fresh)),
            (None, _, good, _) => {
                let renewal = self.renew(&mut held);
                good.map_or(Next::Wait(renewal), |good| Next::Take(Ok(good)))
            }
        }
    }

    /// Starts a renewal that goes on whatever becomes of those who wait for it.
    fn renew(self: &Arc<Self>, held: &mut Held) -> watch::Receiver<()> {
        let (over, renewal) = watch::channel(());
        held.renewal = Some(renewal.clone());
        let keyring = Arc::clone(self);
        tokio::spawn(async move {
            let fetched = match keyring.source.fetch(&keyring.clock).await {
                Ok(keys) => keyring.of_the_owner(keys).await,
                failed => failed,
            };
            let mut held = keyring.lock();
            let error = match fetched {
                Ok(keys) => {
                    let keys = match &held.keys {
                        Some(old) => keys.after(old.sent()),
                        None => keys,
                    };
                    held.keys = Some(Arc::new(keys));
                    None
                }
                Err(error) => {
                    tracing::warn!(source = keyring.source.name(), %error, "no new keys came");
                    if matches!(error, CredentialsError::AnotherAccount { .. }) {
                        // somebody means this run to act as somebody else, so it must not go on
                        held.keys = None;
                    }
                    Some(error)
                }
            };
            held.latest = Some((Instant::now(), error));
            held.renewal = None;
            drop(over);
        });
        renewal
    }

    /// The same keys, unless they are not those of the account that they have to belong to.
    async fn of_the_owner(&self, keys: Credentials) -> Result<Credentials, CredentialsError> {
        let Some(Owner { account_id, sts }) = self.owner.get() else { return Ok(keys) };
        let told = |fault| {
            let told = Told::of(
                &fault,
                "let this caller use STS",
                "check that the endpoint answers for STS as well",
            );
            told.about(&format!(
                "{GET_CALLER_IDENTITY} does not tell whose the new keys of {} are",
                self.source()
            ))
        };
        let theirs = sts.caller_by(&keys).await.map_err(told)?.account_id;
        if theirs == *account_id {
            return Ok(keys);
        }
        let what = format!(
            "the new keys of {} belong to the account {}, and this run is for {account_id}: log in to that account \
             again, then run the same command again",
            self.source(),
            theirs
        );
        Err(CredentialsError::AnotherAccount { what })
    }

    /// Seconds for which keys are good by the service's clock.
    fn left(&self, keys: &Credentials) -> i64 {
        keys.expires().map_or(i64::MAX, |expires| expires.saturating_sub(self.clock.now()))
    }

    fn lock(&self) -> MutexGuard<'_, Held> {
        // nothing is ever left half done under the lock
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held {
    /// A renewal that ended without saying how is a defect of ours, and must not leave anybody waiting.
    fn notice_a_break_down(&mut self) {
        if self.renewal.as_ref().is_some_and(|renewal| renewal.has_changed().is_err()) {
            let what = "the renewal of the keys broke down: report a defect of dlc-fleet".to_owned();
            self.latest = Some((Instant::now(), Some(CredentialsError::Source { what, may_pass: false })));
            self.renewal = None;
        }
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
        Box::pin(std::future::ready(Err(CredentialsError::Absent { looked_at: Vec::new() })))
    }

    fn renews(&self) -> bool {
        false
    }
}

impl From<CredentialsError> for CallError {
    fn from(error: CredentialsError) -> Self {
        let cause = error.to_string();
        if error.may_pass() { Self::NotSent { cause } } else { Self::NoCredentials { cause } }
    }
}

#[cfg(test)]
#[path = "keyring_tests.rs"]
mod tests;
