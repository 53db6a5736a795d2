//! The API keys that sign requests: where they come from, and their renewal.

pub mod chain;
pub mod environment;
pub mod error;
mod file;
#[cfg(test)]
mod fixtures;
mod instance;
pub mod keyring;
pub mod keys;
mod role;
mod sdk_file;
pub mod source;
pub mod tccli;
mod tke;
pub mod variables;

pub use chain::{WantedRole, find};
pub use environment::Environment;
pub use error::CredentialsError;
pub use keyring::Keyring;
pub use keys::Credentials;
pub use source::Source;
