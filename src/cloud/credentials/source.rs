//! A source of API keys, and the source of keys that never change.

use std::pin::Pin;

use super::error::CredentialsError;
use super::keys::Credentials;
use crate::cloud::service_clock::ServiceClock;

/// The future of [`Source::fetch`].
pub type Fetching<'a> = Pin<Box<dyn Future<Output = Result<Credentials, CredentialsError>> + Send + 'a>>;

/// What the search in one kind of source finds: no keys, a source, or a source that is not valid.
pub type Found = Result<Option<Box<dyn Source>>, CredentialsError>;

/// A place that keys come from.
pub trait Source: Send + Sync + 'static {
    /// The name in messages. Contains names of files and variables, no values.
    fn name(&self) -> String;

    /// Fetches the keys. `clock` is the service's clock, by which keys expire.
    fn fetch<'a>(&'a self, clock: &'a ServiceClock) -> Fetching<'a>;

    /// True if another [`Source::fetch`] may return other keys.
    fn is_renewable(&self) -> bool;
}

/// Keys that never change during a run.
pub(super) struct FixedKeys {
    pub(super) name: String,
    pub(super) keys: Credentials,
}

impl Source for FixedKeys {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn fetch<'a>(&'a self, _clock: &'a ServiceClock) -> Fetching<'a> {
        Box::pin(std::future::ready(Ok(self.keys.clone())))
    }

    fn is_renewable(&self) -> bool {
        false
    }
}
