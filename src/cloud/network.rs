//! The connection to the service: trusted certificates and the proxy.

mod proxy;

use std::io;
use std::path::{Path, PathBuf};

use reqwest::{Certificate, Client, ClientBuilder};

use super::endpoint::Endpoint;
use super::file::read_regular;
use crate::format::shown_path;
use proxy::Proxies;
pub use proxy::ProxyError;

/// How connections are made. The verification of certificates cannot be turned off.
#[derive(Clone, Debug, Default)]
pub struct Network {
    /// Certificates that are trusted in addition to those of the system.
    roots: Vec<Certificate>,
    /// Variables that replace the certificates of the system, with their values.
    replacing_system: Vec<String>,
    proxies: Proxies,
}

/// Largest file of certificates in bytes; all CAs of a system take about 200 kB.
const MAX_FILE: u64 = 4 * 1024 * 1024;

/// Variables that replace the certificates of the system: with a file, and with directories (crate
/// `rustls-native-certs`, which reads them).
const SYSTEM_ROOTS: [&str; 2] = ["SSL_CERT_FILE", "SSL_CERT_DIR"];

/// The certificates or the proxy cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum NetworkError {
    /// The file of `--ca-file` cannot be read.
    #[error("--ca-file {}: {cause}: pass a file of certificates in PEM format", shown_path(path))]
    UnreadableCertificates {
        /// The file.
        path: PathBuf,
        /// The error of the operating system.
        #[source]
        cause: io::Error,
    },
    /// The file of `--ca-file` contains no certificate.
    #[error(
        "--ca-file {}: the file contains no certificate in PEM format: it must contain at least one -----BEGIN \
         CERTIFICATE----- block",
        shown_path(path)
    )]
    NoCertificates {
        /// The file.
        path: PathBuf,
    },
    /// The file of `--ca-file` contains a damaged certificate.
    #[error(
        "--ca-file {}: a certificate in the file is damaged: get a new copy from the operator of the CA",
        shown_path(path)
    )]
    DamagedCertificates {
        /// The file.
        path: PathBuf,
    },
    /// The proxy of the environment cannot be used.
    #[error(transparent)]
    Proxy(#[from] ProxyError),
}

impl Network {
    /// The connection settings of command line and environment for an endpoint and the services of its site. `variable`
    /// returns the value of an environment variable.
    pub fn resolve(
        endpoint: &Endpoint,
        ca_file: Option<&Path>,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, NetworkError> {
        let roots = ca_file.map(read_certificates).transpose()?.unwrap_or_default();
        let named = |name: &&str| variable(name).map(|value| format!("{name} ({value:?})"));
        let replacing_system: Vec<String> = SYSTEM_ROOTS.iter().filter_map(named).collect();
        for variable in &replacing_system {
            tracing::info!("trusting the certificates of {variable} instead of those of the system");
        }
        if ca_file.is_some() {
            let certificates = roots.len();
            tracing::info!(
                certificates,
                "trusting the certificates of --ca-file in addition to those of the system"
            );
        }
        let proxies = match Proxies::resolve(variable) {
            // a proxy is never used for this machine
            Err(_) if endpoint.is_loopback() => Proxies::default(),
            resolved => resolved?,
        };
        Ok(Self { roots, replacing_system, proxies })
    }

    /// Configures a client for an endpoint.
    pub(super) fn configure(&self, endpoint: &Endpoint, builder: ClientBuilder) -> ClientBuilder {
        // the library would ignore a proxy that it cannot use, and connect directly
        let builder = builder.no_proxy();
        let builder = match self.proxies.route(endpoint) {
            None => builder,
            Some(proxy) => builder.proxy(proxy.clone()),
        };
        if endpoint.is_plain() {
            // no certificate is verified, so the simulator can be used without CA certificates
            builder.tls_certs_only([])
        } else {
            builder.https_only(true).tls_certs_merge(self.roots.iter().cloned())
        }
    }

    /// What to do if there are no trusted certificates.
    pub(super) fn missing_roots_remedy(&self) -> String {
        if self.replacing_system.is_empty() {
            return "install the CA certificates of the system, or pass a file with --ca-file".to_owned();
        }
        let variables = self.replacing_system.join(" and ");
        format!("{variables} replaces the certificates of the system: correct or unset it")
    }

    /// Logs the proxy for an endpoint, without its user name and password.
    pub fn log_route(&self, endpoint: &Endpoint) {
        self.proxies.log_route(endpoint);
    }
}

fn read_certificates(path: &Path) -> Result<Vec<Certificate>, NetworkError> {
    let bytes = read_regular(path, MAX_FILE)
        .map_err(|cause| NetworkError::UnreadableCertificates { path: path.to_owned(), cause })?;
    let path = || path.to_owned();
    let certificates = Certificate::from_pem_bundle(&bytes)
        .map_err(|_| NetworkError::DamagedCertificates { path: path() })?;
    if certificates.is_empty() {
        return Err(NetworkError::NoCertificates { path: path() });
    }
    // the certificates are parsed only when a client is created with them
    match Client::builder().no_proxy().tls_certs_only(certificates.iter().cloned()).build() {
        Ok(_) => Ok(certificates),
        Err(_) => Err(NetworkError::DamagedCertificates { path: path() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(text: &[u8]) -> String {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), text).expect("written");
        match Network::resolve(&Endpoint::default(), Some(file.path()), |_| None) {
            Ok(network) => format!("{} certificates", network.roots.len()),
            Err(error) => error.to_string().replace(&file.path().display().to_string(), "FILE"),
        }
    }

    #[test]
    fn a_file_without_a_valid_certificate_is_refused_with_the_remedy() {
        let begin = "-----BEGIN CERTIFICATE-----\n";
        let key = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
        for nothing in ["", "\n", "no PEM at all", "\u{0}\u{1}0\u{82}", key] {
            let said = resolve(nothing.as_bytes());
            assert!(
                said.starts_with("--ca-file FILE: the file contains no certificate"),
                "{nothing:?}: {said}"
            );
        }
        for damaged in [
            format!("{begin}AAAA\n"),
            format!("{begin}AAAA\n-----END CERTIFICATE-----\n"),
            format!("{begin}ä\n-----END CERTIFICATE-----\n"),
        ] {
            let said = resolve(damaged.as_bytes());
            assert!(
                said.starts_with("--ca-file FILE: a certificate in the file is damaged"),
                "{damaged:?}: {said}"
            );
        }
        let missing = Network::resolve(&Endpoint::default(), Some(Path::new("no/such/file")), |_| None)
            .expect_err("missing");
        assert!(missing.to_string().starts_with("--ca-file no/such/file: No such file"), "{missing}");
        let folder =
            Network::resolve(&Endpoint::default(), Some(Path::new("/")), |_| None).expect_err("a folder");
        assert!(folder.to_string().contains("not a regular file"), "{folder}");
    }

    #[test]
    fn an_unusable_proxy_is_ignored_for_endpoints_on_this_machine() {
        let socks = |name: &str| (name == "ALL_PROXY").then(|| "socks5://127.0.0.1:1".to_owned());
        let here = "http://127.0.0.1:8080".parse().expect("an endpoint");
        assert!(Network::resolve(&here, None, socks).is_ok());
        assert!(Network::resolve(&Endpoint::default(), None, socks).is_err());
    }
}
