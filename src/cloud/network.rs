//! The way to the service: whose certificates are trusted, and through which proxy requests go.

mod proxy;

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use reqwest::{Certificate, Client, ClientBuilder};

use super::endpoint::Endpoint;
use crate::format::shown_path;
pub use proxy::ProxyError;
use proxy::{Proxies, Route};

/// How requests get out of this machine. There is no way to switch the check of certificates off.
#[derive(Clone, Debug, Default)]
pub struct Network {
    /// Certificates that are trusted beside the system's.
    roots: Vec<Certificate>,
    /// What stands in place of the system's certificates, by the environment.
    in_place_of_system: Vec<String>,
    proxies: Proxies,
}

/// Bytes of the largest file of certificates that is read; all CAs of a system take some 200 kB.
const LARGEST_FILE: u64 = 4 * 1024 * 1024;

/// Variables that name certificates in place of the system's: a file, and folders (crate `rustls-native-certs`, which
/// reads them).
const SYSTEM_ROOTS: [&str; 2] = ["SSL_CERT_FILE", "SSL_CERT_DIR"];

/// Why the way to the service is not as it was asked for.
#[derive(Debug, thiserror::Error)]
pub enum NetworkError {
    /// The file of `--ca-file` cannot be read.
    #[error("--ca-file {}: {cause}: name a file of certificates in PEM form", shown_path(path))]
    UnreadableCertificates {
        /// The file, as it was named.
        path: PathBuf,
        /// What the operating system says.
        #[source]
        cause: io::Error,
    },
    /// The file of `--ca-file` holds none.
    #[error(
        "--ca-file {}: the file holds no certificate in PEM form: write one or several, each beginning with \
         -----BEGIN CERTIFICATE-----",
        shown_path(path)
    )]
    NoCertificates {
        /// The file, as it was named.
        path: PathBuf,
    },
    /// The file of `--ca-file` holds something damaged.
    #[error(
        "--ca-file {}: a certificate in it cannot be read: get the file anew from whoever runs the CA",
        shown_path(path)
    )]
    DamagedCertificates {
        /// The file, as it was named.
        path: PathBuf,
    },
    /// The environment asks for a proxy that cannot be used.
    #[error(transparent)]
    Proxy(#[from] ProxyError),
}

impl Network {
    /// The way to an endpoint, and to the services beside it, that the command line and the environment ask for.
    /// `variable` looks an environment variable up.
    pub fn resolve(
        endpoint: &Endpoint,
        ca_file: Option<&Path>,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, NetworkError> {
        let roots = ca_file.map(read_certificates).transpose()?.unwrap_or_default();
        let named = |name: &&str| variable(name).map(|value| format!("{name} ({value:?})"));
        let in_place_of_system: Vec<String> = SYSTEM_ROOTS.iter().filter_map(named).collect();
        for variable in &in_place_of_system {
            tracing::info!("certificates of {variable} are trusted in place of the system's");
        }
        if ca_file.is_some() {
            let certificates = roots.len();
            tracing::info!(certificates, "certificates of --ca-file are trusted beside the system's");
        }
        let proxies = match Proxies::resolve(variable) {
            // no proxy leads to this machine, whatever it is
            Err(_) if endpoint.is_loopback() => Proxies::default(),
            resolved => resolved?,
        };
        Ok(Self { roots, in_place_of_system, proxies })
    }

    /// Lets a client take this way to an endpoint.
    pub(super) fn lead(&self, endpoint: &Endpoint, builder: ClientBuilder) -> ClientBuilder {
        // nothing but what is decided here: the library would pass over a proxy that it cannot use, and go straight
        let builder = builder.no_proxy();
        let builder = match self.proxies.route(endpoint) {
            Route::Straight => builder,
            Route::Through(proxy) => builder.proxy(proxy.clone()),
        };
        if endpoint.is_plain() {
            // no certificate is ever looked at, so a machine without CA certificates can still run the simulator
            builder.tls_certs_only([])
        } else {
            builder.https_only(true).tls_certs_merge(self.roots.iter().cloned())
        }
    }

    /// What to do where nobody's certificates could be loaded.
    pub(super) fn without_roots(&self) -> String {
        if self.in_place_of_system.is_empty() {
            return "install the system's CA certificates, or name a file of them with --ca-file".to_owned();
        }
        let variables = self.in_place_of_system.join(" and ");
        format!("{variables} is taken in place of the system's certificates: correct or unset it")
    }

    /// Tells the log how requests get to an endpoint, without a word of what opens a proxy.
    pub fn tell(&self, endpoint: &Endpoint) {
        self.proxies.tell(endpoint);
    }
}

/// Reads a regular file of a sensible size; a named pipe would be waited for, and a device may have no end.
fn read_whole(path: &Path) -> io::Result<Vec<u8>> {
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    let mut bytes = Vec::new();
    fs::File::open(path)?.take(LARGEST_FILE + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LARGEST_FILE {
        return Err(io::Error::other("it is larger than 4 MiB"));
    }
    Ok(bytes)
}

fn read_certificates(path: &Path) -> Result<Vec<Certificate>, NetworkError> {
    let bytes = read_whole(path)
        .map_err(|cause| NetworkError::UnreadableCertificates { path: path.to_owned(), cause })?;
    let path = || path.to_owned();
    let certificates = Certificate::from_pem_bundle(&bytes)
        .map_err(|_| NetworkError::DamagedCertificates { path: path() })?;
    if certificates.is_empty() {
        return Err(NetworkError::NoCertificates { path: path() });
    }
    // whether they are certificates at all is looked at only when a client is made of them
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
        fs::write(file.path(), text).expect("written");
        match Network::resolve(&Endpoint::default(), Some(file.path()), |_| None) {
            Ok(network) => format!("{} certificates", network.roots.len()),
            Err(error) => error.to_string().replace(&file.path().display().to_string(), "FILE"),
        }
    }

    #[test]
    fn a_file_without_a_certificate_that_can_be_read_is_refused_with_the_remedy() {
        let begin = "-----BEGIN CERTIFICATE-----\n";
        let key = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
        for nothing in ["", "\n", "no PEM at all", "\u{0}\u{1}0\u{82}", key] {
            let said = resolve(nothing.as_bytes());
            assert!(said.starts_with("--ca-file FILE: the file holds no certificate"), "{nothing:?}: {said}");
        }
        for damaged in [
            format!("{begin}AAAA\n"),
            format!("{begin}AAAA\n-----END CERTIFICATE-----\n"),
            format!("{begin}ä\n-----END CERTIFICATE-----\n"),
        ] {
            let said = resolve(damaged.as_bytes());
            assert!(
                said.starts_with("--ca-file FILE: a certificate in it cannot be read"),
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
    fn a_proxy_that_cannot_be_used_is_no_matter_where_none_leads() {
        let socks = |name: &str| (name == "ALL_PROXY").then(|| "socks5://127.0.0.1:1".to_owned());
        let here = "http://127.0.0.1:8080".parse().expect("an endpoint");
        assert!(Network::resolve(&here, None, socks).is_ok());
        assert!(Network::resolve(&Endpoint::default(), None, socks).is_err());
    }
}
