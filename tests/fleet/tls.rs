//! TLS in front of the simulator: a CA of the test's own, a relay that ends TLS, and peers that spoil it.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyPair, date_time_ymd,
};
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio_rustls::rustls::{ALL_VERSIONS, ServerConfig, SupportedProtocolVersion};

/// A certificate authority that nobody knows.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

/// A certificate of a server, with its key, ready to be served.
pub type Identity = Arc<ServerConfig>;

impl Authority {
    pub fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let pem = params.self_signed(&key).expect("a certificate").pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    /// Its own certificate, as `--ca-file` takes it.
    pub fn pem(&self) -> &str {
        &self.pem
    }

    pub fn write(&self, path: &Path) {
        std::fs::write(path, &self.pem).expect("written");
    }

    /// A certificate for a host that is good now.
    pub fn issue(&self, host: &str) -> Identity {
        self.issue_between(host, (2020, 2099))
    }

    /// A certificate for a host that is good between the first days of two years.
    pub fn issue_between(&self, host: &str, years: (i32, i32)) -> Identity {
        self.issue_speaking(host, years, ALL_VERSIONS)
    }

    /// The same, served in certain versions of TLS alone.
    pub fn issue_speaking(
        &self,
        host: &str,
        (first, last): (i32, i32),
        versions: &[&'static SupportedProtocolVersion],
    ) -> Identity {
        let mut params = CertificateParams::new(vec![host.to_owned()]).expect("a name");
        params.not_before = date_time_ymd(first, 1, 1);
        params.not_after = date_time_ymd(last, 1, 1);
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let served = ServerConfig::builder_with_protocol_versions(versions).with_no_client_auth();
        Arc::new(served.with_single_cert(vec![certificate.der().clone()], key).expect("a server"))
    }
}

/// Ends TLS in front of the simulator, until it is dropped.
pub struct Relay {
    pub address: SocketAddr,
    /// Connections whose handshake went well.
    shaken: Arc<AtomicUsize>,
    _runtime: Runtime,
}

impl Relay {
    pub fn new(simulator: SocketAddr, identity: Identity) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.expect("a runtime");
        let listener = runtime.block_on(tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)));
        let listener = listener.expect("a listener");
        let address = listener.local_addr().expect("an address");
        let shaken = Arc::new(AtomicUsize::new(0));
        let (acceptor, count) = (TlsAcceptor::from(identity), Arc::clone(&shaken));
        runtime.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, count) = (acceptor.clone(), Arc::clone(&count));
                tokio::spawn(async move {
                    let Ok(mut client) = acceptor.accept(stream).await else { return };
                    count.fetch_add(1, Ordering::Relaxed);
                    let Ok(mut server) = TcpStream::connect(simulator).await else { return };
                    let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
                });
            }
        });
        Self { address, shaken, _runtime: runtime }
    }

    pub fn shaken(&self) -> usize {
        self.shaken.load(Ordering::Relaxed)
    }
}

/// What a peer that spoils TLS answers to the first bytes it is sent.
#[derive(Clone, Copy, Debug)]
pub enum Spoiler {
    /// Nothing, ever.
    Silence,
    /// The end of the connection.
    End,
    /// The alert of a server that speaks TLS 1.1 at most.
    OldAlert,
    /// The hello of a server that chose TLS 1.1.
    OldHello,
}

impl Spoiler {
    /// Listens for as long as the test lives.
    pub fn listen(self) -> SocketAddr {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a listener");
        let address = listener.local_addr().expect("an address");
        std::thread::spawn(move || {
            let mut kept = Vec::new();
            for mut stream in listener.incoming().map_while(Result::ok) {
                let mut hello = [0; 4096];
                let _ = stream.read(&mut hello);
                match self {
                    Self::Silence => kept.push(stream),
                    Self::End => drop(stream),
                    Self::OldAlert => {
                        // fatal, protocol_version
                        let _ = stream.write_all(&[21, 3, 2, 0, 2, 2, 70]);
                    }
                    Self::OldHello => {
                        let _ = stream.write_all(&old_hello());
                    }
                }
            }
        });
        address
    }
}

/// A `ServerHello` of TLS 1.1, without session or extensions.
fn old_hello() -> Vec<u8> {
    let mut body = vec![3, 2];
    body.extend([7; 32]);
    // no session id, TLS_RSA_WITH_AES_128_CBC_SHA, no compression
    body.extend([0, 0, 47, 0]);
    let length = u8::try_from(body.len()).expect("short");
    let mut hello = vec![22, 3, 2, 0, length + 4, 2, 0, 0, length];
    hello.extend(body);
    hello
}
