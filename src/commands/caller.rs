//! The caller: finds the API keys for the run, and identifies them with STS.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::slow_read::tell_if_slow;
use crate::cloud::credentials::{Credentials, CredentialsError, Keyring, WantedRole, find};
use crate::cloud::endpoint::Endpoint;
use crate::cloud::network::Network;
use crate::cloud::service_clock::ServiceClock;
use crate::cloud::signed::SignedClient;
use crate::cloud::sts::{CallerIdentity, GET_CALLER_IDENTITY, SERVICE, StsClient, StsFailure};
use crate::error::Failure;
use crate::exit::Exit;
use crate::job::Region;
use crate::rate::{Delays, until};
use crate::report::print::to_stderr;

/// Attempts of each call that must succeed before the run starts.
const ATTEMPTS: u32 = 5;

/// The keys for one site, and the STS client that identifies them.
pub(super) struct Caller {
    pub(super) keyring: Arc<Keyring>,
    sts: StsClient,
    /// The site's clock, by which keys expire.
    pub(super) clock: Arc<ServiceClock>,
}

/// The settings for finding the keys.
pub(super) struct CallerOptions<'a> {
    pub(super) endpoint: &'a Endpoint,
    /// Proxy and certificates.
    pub(super) network: &'a Network,
    /// The region for calls of STS.
    pub(super) region: Option<&'a Region>,
    pub(super) request_timeout: Duration,
    /// The profile of the command line.
    pub(super) profile: Option<&'a str>,
    /// The role of the command line.
    pub(super) role: Option<WantedRole>,
}

impl Caller {
    /// Finds a source of keys and fetches them once.
    pub(super) async fn find(options: CallerOptions<'_>) -> Result<Self, Failure> {
        let clock = Arc::<ServiceClock>::default();
        let sts = sts_client(&options, &clock)?;
        options.network.log_route(&options.endpoint.of_service(SERVICE));
        let environment = super::variables::environment(options.profile);
        let found = find(&environment, options.role, &sts);
        for warning in environment.warnings() {
            to_stderr(&format!("warning: {warning}\n"));
        }
        let source = found?;
        tracing::info!(source = source.name(), "using API keys");
        let keyring = Arc::new(Keyring::new(source, Arc::clone(&clock)));
        let caller = Self { keyring, sts, clock };
        caller.keys().await?;
        Ok(caller)
    }

    /// A caller with these keys.
    pub(super) fn with(options: &CallerOptions<'_>, keyring: Keyring) -> Result<Self, Failure> {
        let clock = Arc::<ServiceClock>::default();
        Ok(Self { sts: sts_client(options, &clock)?, keyring: Arc::new(keyring), clock })
    }

    /// The keys to sign with now.
    pub(super) async fn keys(&self) -> Result<Arc<Credentials>, Failure> {
        let keys = with_retries(|| self.keyring.current(), CredentialsError::is_transient);
        Ok(tell_if_slow("waiting for API keys", keys).await?)
    }

    /// Refuses renewed keys of another account from now on.
    pub(super) fn require_account(&self, account_id: &str) {
        self.keyring.require_account(account_id, self.sts.clone());
    }

    /// Whose keys they are.
    pub(super) async fn identity(&self) -> Result<CallerIdentity, Failure> {
        let failure = |error| {
            StsFailure::of(
                &error,
                "allow this caller to use STS, or remove the expected account",
                "check that the endpoint serves STS as well",
            )
        };
        let ask = || async { self.keyring.identity(&self.sts).await.map_err(failure) };
        let identity = with_retries(ask, |failure: &StsFailure| failure.is_transient);
        tell_if_slow("waiting for STS to identify the caller", identity).await.map_err(|failure| {
            let what = format!("{GET_CALLER_IDENTITY} failed: {}", failure.cause);
            Failure::new(Exit::Refused, what).next(format!("nothing was switched; {}", failure.remedy))
        })
    }
}

/// Repeats a call until it succeeds, fails for good, or has used all attempts.
async fn with_retries<T, E, Call>(call: impl Fn() -> Call, is_transient: impl Fn(&E) -> bool) -> Result<T, E>
where
    Call: Future<Output = Result<T, E>>,
{
    let mut random = fastrand::Rng::new();
    let mut failures = 0;
    loop {
        match call().await {
            Err(error) if is_transient(&error) && failures + 1 < ATTEMPTS => {
                failures += 1;
                until(Instant::now() + Delays::default().transient.wait(failures, &mut random)).await;
            }
            result => return result,
        }
    }
}

fn sts_client(options: &CallerOptions<'_>, clock: &Arc<ServiceClock>) -> Result<StsClient, Failure> {
    let endpoint = options.endpoint.of_service(SERVICE);
    let client = SignedClient::new(endpoint, options.network, options.request_timeout, Arc::clone(clock))?;
    Ok(StsClient::new(client, options.region.map(Region::as_str)))
}
