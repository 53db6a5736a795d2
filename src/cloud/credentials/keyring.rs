//! The keys to sign with at the moment: renewed before they expire, once for all calls in flight.

#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use super::error::CredentialsError;
use super::keys::Credentials;
use super::source::{FixedKeys, Source};
use crate::cloud::error::CallError;
use crate::cloud::service_clock::ServiceClock;
use crate::cloud::sts::{CallerIdentity, GET_CALLER_IDENTITY, StsClient, StsFailure};

/// Keys with fewer seconds left are renewed, as by the vendor's tools (vendor's Python and Go SDKs, command line).
pub(super) const RENEW_BELOW: i64 = 300;

/// Least time between two renewals while there are valid keys, unless the service refuses the keys of the first one: a
/// source that fails, or whose keys are always about to expire, is not fetched by every call.
const PAUSE: Duration = Duration::from_secs(5);

/// The same while there are no valid keys and every call waits for some.
const SHORT_PAUSE: Duration = Duration::from_secs(1);

/// The code for a token that is not, or no longer, accepted.
const TOKEN_FAILURE: &str = "AuthFailure.TokenFailure";

/// One set of keys and the source that renews them.
pub struct Keyring {
    source: Box<dyn Source>,
    clock: Arc<ServiceClock>,
    state: Mutex<State>,
    /// The account that renewed keys must belong to, once it is known, and the STS client that identifies the keys.
    account: OnceLock<(String, StsClient)>,
}

#[derive(Default)]
struct State {
    keys: Option<Arc<Credentials>>,
    /// True once the service has refused `keys`.
    refused: bool,
    /// The renewal in progress. No value is ever sent: the waiting calls wake up when the sender is dropped.
    renewal: Option<watch::Receiver<()>>,
    /// When the latest renewal ended, and its error if it failed.
    latest: Option<(Instant, Option<CredentialsError>)>,
}

/// What a caller does next.
enum Next {
    Return(Result<Arc<Credentials>, CredentialsError>),
    Wait(watch::Receiver<()>),
}

impl Keyring {
    /// Fetches nothing yet. Keys expire by `clock`, the service's clock.
    pub fn new(source: Box<dyn Source>, clock: Arc<ServiceClock>) -> Self {
        Self { source, clock, state: Mutex::default(), account: OnceLock::new() }
    }

    /// A keyring whose keys never change.
    pub fn of(credentials: Credentials, name: &str) -> Self {
        Self::new(Box::new(FixedKeys { name: name.to_owned(), keys: credentials }), Arc::default())
    }

    /// The name of the source in messages.
    pub fn source(&self) -> String {
        self.source.name()
    }

    /// Refuses renewed keys of another account from now on: a login with another account replaces the keys in a file.
    pub fn require_account(&self, account_id: &str, sts: StsClient) {
        let _ = self.account.set((account_id.to_owned(), sts));
    }

    /// The keys to sign with now. They are renewed in the background while the old ones are valid; else all callers
    /// wait for the same renewal. The future may be dropped at any time.
    pub async fn current(self: &Arc<Self>) -> Result<Arc<Credentials>, CredentialsError> {
        loop {
            match self.next() {
                Next::Return(keys) => return keys,
                Next::Wait(mut renewal) => {
                    let _ = renewal.changed().await;
                }
            }
        }
    }

    /// The latest keys, valid or not; never waits.
    pub(in crate::cloud) fn latest(&self) -> Option<Arc<Credentials>> {
        self.lock().keys.clone()
    }

    /// The error of a call that was signed with these keys. A refused token becomes [`CallError::SignatureExpired`] if
    /// the next call can have another one.
    pub(in crate::cloud) fn classify(&self, keys: &Arc<Credentials>, error: CallError) -> CallError {
        match error {
            CallError::Refused(refusal) if refusal.code == TOKEN_FAILURE && self.source.is_renewable() => {
                let mut state = self.lock();
                // the refusal of a request with earlier keys may arrive late
                if state.keys.as_ref().is_some_and(|current| Arc::ptr_eq(current, keys)) {
                    state.refused = true;
                }
                CallError::SignatureExpired(refusal)
            }
            error => error,
        }
    }

    /// Whose keys these are.
    pub async fn identity(self: &Arc<Self>, sts: &StsClient) -> Result<CallerIdentity, CallError> {
        match self.identity_of_current_keys(sts).await {
            // the keys are renewed now
            Err(CallError::SignatureExpired(_)) => self.identity_of_current_keys(sts).await,
            result => result,
        }
    }

    async fn identity_of_current_keys(
        self: &Arc<Self>,
        sts: &StsClient,
    ) -> Result<CallerIdentity, CallError> {
        let keys = self.current().await?;
        sts.identity(&keys).await.map_err(|error| self.classify(&keys, error))
    }

    fn next(self: &Arc<Self>) -> Next {
        let mut state = self.lock();
        let left = state.keys.as_ref().map_or(0, |keys| self.seconds_left(keys));
        if let Some(keys) = &state.keys
            && (!self.source.is_renewable() || left > RENEW_BELOW && !state.refused)
        {
            return Next::Return(Ok(Arc::clone(keys)));
        }
        state.end_panicked_renewal();
        let accepted = state.keys.clone().filter(|_| !state.refused);
        let valid = accepted.clone().filter(|_| left > 0);
        let pause = if valid.is_some() { PAUSE } else { SHORT_PAUSE };
        let recent = state.latest.as_ref().filter(|(at, _)| at.elapsed() < pause);
        match (&state.renewal, recent, valid, accepted) {
            (Some(renewal), _, None, _) => Next::Wait(renewal.clone()),
            (Some(_), _, Some(valid), _) | (None, Some(_), Some(valid), _) => Next::Return(Ok(valid)),
            (None, Some((_, Some(error))), None, _) => Next::Return(Err(error.clone())),
            // the renewed keys have expired by our clock, but there are no better ones
            (None, Some((_, None)), None, Some(renewed)) => Next::Return(Ok(renewed)),
            (None, _, valid, _) => {
                let renewal = self.renew(&mut state);
                valid.map_or(Next::Wait(renewal), |valid| Next::Return(Ok(valid)))
            }
        }
    }

    /// Starts a renewal that continues when the waiting calls are dropped.
    fn renew(self: &Arc<Self>, state: &mut State) -> watch::Receiver<()> {
        let (done, renewal) = watch::channel(());
        state.renewal = Some(renewal.clone());
        let keyring = Arc::clone(self);
        tokio::spawn(async move {
            let fetched = match keyring.source.fetch(&keyring.clock).await {
                Ok(keys) => keyring.check_account(keys).await,
                failed => failed,
            };
            let mut state = keyring.lock();
            state.renewal = None;
            state.latest = Some((Instant::now(), fetched.as_ref().err().cloned()));
            match fetched {
                Ok(keys) => {
                    let old = state.keys.take();
                    let earlier = old.iter().flat_map(|old| old.own_secrets());
                    state.keys = Some(Arc::new(keys.obtained_with(earlier)));
                    state.refused = false;
                }
                Err(error) => {
                    tracing::warn!(source = keyring.source.name(), %error, "the keys were not renewed");
                    if matches!(error, CredentialsError::OtherAccount { .. }) {
                        // the login was replaced on purpose, so the run must not go on with the old keys
                        state.keys = None;
                    }
                }
            }
            drop(done);
        });
        renewal
    }

    /// The same keys, or an error if they belong to another account than required.
    async fn check_account(&self, keys: Credentials) -> Result<Credentials, CredentialsError> {
        let Some((expected, sts)) = self.account.get() else { return Ok(keys) };
        let identity = sts.identity(&keys).await.map_err(|error| {
            let failure = StsFailure::of(
                &error,
                "allow this caller to use STS",
                "check that the endpoint serves STS as well",
            );
            let place = format!("{GET_CALLER_IDENTITY} with the renewed keys of {}", self.source());
            failure.into_credentials_error(place)
        })?;
        if identity.account_id == *expected {
            return Ok(keys);
        }
        Err(CredentialsError::OtherAccount {
            place: self.source(),
            actual: identity.account_id,
            expected: expected.clone(),
        })
    }

    /// Seconds until the keys expire by the service's clock.
    fn seconds_left(&self, keys: &Credentials) -> i64 {
        keys.expires().map_or(i64::MAX, |expires| expires.saturating_sub(self.clock.now()))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // no code panics between two changes that belong together
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Ends a renewal whose task panicked, which is a bug in dlc-fleet, so that no call waits for it.
    fn end_panicked_renewal(&mut self) {
        if self.renewal.as_ref().is_some_and(|renewal| renewal.has_changed().is_err()) {
            let error = CredentialsError::Invalid {
                place: "the renewal of the keys".to_owned(),
                problem: "internal error (bug in dlc-fleet): report it".to_owned(),
            };
            self.latest = Some((Instant::now(), Some(error)));
            self.renewal = None;
        }
    }
}

/// Shows the source of the keys and nothing of the keys.
impl fmt::Debug for Keyring {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Keyring").field("source", &self.source.name()).finish_non_exhaustive()
    }
}

impl From<CredentialsError> for CallError {
    fn from(error: CredentialsError) -> Self {
        let cause = error.to_string();
        if error.is_transient() { Self::NotSent { cause } } else { Self::NoCredentials { cause } }
    }
}
