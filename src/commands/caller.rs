//! Who calls: where the keys come from, and whose they are.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::slow_read::tell_if_slow;
use crate::cloud::credentials::{Credentials, CredentialsError, Keyring, WantedRole, find};
use crate::cloud::endpoint::Endpoint;
use crate::cloud::network::Network;
use crate::cloud::signed::{ServiceClock, SignedClient};
use crate::cloud::sts::{CallerIdentity, GET_CALLER_IDENTITY, SERVICE, StsClient, Told};
use crate::error::Failure;
use crate::exit::Exit;
use crate::job::Region;
use crate::rate::{Delays, until};
use crate::report::print::to_stderr;

/// Attempts for what has to be known before anything begins.
const ATTEMPTS: u32 = 5;

/// The keys for one site, and who can be asked about them.
pub(super) struct Caller {
    pub(super) keyring: Arc<Keyring>,
    sts: StsClient,
    /// The site's clock, which tells when keys expire.
    pub(super) time: Arc<ServiceClock>,
}

/// What is known before any keys are.
pub(super) struct Wanted<'a> {
    pub(super) endpoint: &'a Endpoint,
    /// The way there.
    pub(super) network: &'a Network,
    /// The region to ask STS in.
    pub(super) region: Option<&'a Region>,
    pub(super) request_timeout: Duration,
    /// The profile that was asked for on the command line.
    pub(super) profile: Option<&'a str>,
    /// The role that was asked for there.
    pub(super) role: Option<WantedRole>,
}

impl Caller {
    /// Finds a source of keys and sees that it has any.
    pub(super) async fn find(wanted: Wanted<'_>) -> Result<Self, Failure> {
        let time = Arc::<ServiceClock>::default();
        let sts = sts_client(&wanted, &time)?;
        wanted.network.tell(&wanted.endpoint.of_service(SERVICE));
        let environment = super::environment(wanted.profile);
        let found = find(&environment, wanted.role, &sts);
        for warning in environment.warnings() {
            to_stderr(&format!("warning: {warning}\n"));
        }
        let source = found?;
        tracing::info!(source = source.name(), "there are keys");
        let keyring = Arc::new(Keyring::new(source, Arc::clone(&time)));
        let caller = Self { keyring, sts, time };
        caller.keys().await?;
        Ok(caller)
    }

    /// A caller whose keys are known already.
    pub(super) fn with(wanted: &Wanted<'_>, keyring: Keyring) -> Result<Self, Failure> {
        let time = Arc::<ServiceClock>::default();
        Ok(Self { sts: sts_client(wanted, &time)?, keyring: Arc::new(keyring), time })
    }

    /// The keys that are good now.
    pub(super) async fn keys(&self) -> Result<Arc<Credentials>, Failure> {
        let asked = with_retries(|| self.keyring.current(), CredentialsError::may_pass);
        Ok(tell_if_slow("waiting for keys", asked).await?)
    }

    /// Sees that no keys of another account are used from now on.
    pub(super) fn keep_to(&self, account_id: &str) {
        self.keyring.keep_to(account_id, self.sts.clone());
    }

    /// Whose keys they are.
    pub(super) async fn identity(&self) -> Result<CallerIdentity, Failure> {
        let told = |fault| {
            Told::of(
                &fault,
                "let this caller use STS, or leave out what asks who it is",
                "check that the endpoint answers for STS as well",
            )
        };
        let ask = || async { self.sts.caller(&self.keyring).await.map_err(told) };
        let asked = tell_if_slow("asking STS who is calling", with_retries(ask, |told| told.may_pass));
        asked.await.map_err(|told| {
            let what = format!("{GET_CALLER_IDENTITY} does not tell who is calling: {}", told.what);
            Failure::new(Exit::Refused, what).next(format!("nothing was switched; {}", told.remedy))
        })
    }
}

/// Asks until there is an answer, a failure that will not pass, or no attempt left.
async fn with_retries<T, E, Ask>(ask: impl Fn() -> Ask, may_pass: impl Fn(&E) -> bool) -> Result<T, E>
where
    Ask: Future<Output = Result<T, E>>,
{
    let mut random = fastrand::Rng::new();
    let mut failures = 0;
    loop {
        match ask().await {
            Err(error) if may_pass(&error) && failures + 1 < ATTEMPTS => {
                failures += 1;
                until(Instant::now() + Delays::default().transient.wait(failures, &mut random)).await;
            }
            answered => return answered,
        }
    }
}

fn sts_client(wanted: &Wanted<'_>, time: &Arc<ServiceClock>) -> Result<StsClient, Failure> {
    let endpoint = wanted.endpoint.of_service(SERVICE);
    let client = SignedClient::new(endpoint, wanted.network, wanted.request_timeout, Arc::clone(time))?;
    Ok(StsClient::new(client, wanted.region.map(Region::as_str)))
}
