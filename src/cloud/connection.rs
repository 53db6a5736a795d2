//! Causes of a failed connection that retrying does not remove, with their remedies.

/// Why no connection to the service can be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectionProblem {
    /// The certificate was issued by a CA that this machine does not trust.
    UnknownIssuer,
    /// The certificate has expired or is not valid yet.
    OutOfDate,
    /// The certificate is for another host.
    OtherHost,
    /// The certificate is invalid for any other reason.
    Certificate,
    /// The server does not use TLS, or only a version older than 1.2.
    NoTls,
    /// The proxy requires a user name and password, or other ones.
    ProxyCredentials,
}

impl ConnectionProblem {
    /// All problems.
    pub const ALL: [Self; 6] = [
        Self::UnknownIssuer,
        Self::OutOfDate,
        Self::OtherHost,
        Self::Certificate,
        Self::NoTls,
        Self::ProxyCredentials,
    ];

    /// The code in ledgers and reports.
    pub fn code(self) -> &'static str {
        self.description().0
    }

    /// What happened: small first letter, no full stop.
    pub fn cause(self) -> &'static str {
        self.description().1
    }

    /// What to do: small first letter, no full stop.
    pub fn remedy(self) -> &'static str {
        self.description().2
    }

    fn description(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::UnknownIssuer => (
                "untrusted-issuer",
                "the server's certificate was issued by a CA that this machine does not trust",
                "if you trust this CA, pass its certificate with --ca-file; if not, find out which proxy or gateway \
                 intercepts the connection",
            ),
            Self::OutOfDate => (
                "certificate-out-of-date",
                "the server's certificate has expired or is not valid yet",
                "check the clock of this machine; if it is correct, the operator of the endpoint must renew the \
                 certificate",
            ),
            Self::OtherHost => (
                "certificate-of-another-host",
                "the server's certificate is for another host than the endpoint",
                "check --endpoint and DNS; if the server is the right one, use the host name of its certificate as \
                 the endpoint",
            ),
            Self::Certificate => (
                "untrusted-peer",
                "the server's certificate is invalid",
                "check --endpoint and the CA certificates of this machine; a proxy may intercept the connection",
            ),
            Self::NoTls => (
                "no-tls",
                "the server does not use TLS 1.2 or later",
                "check host and port of --endpoint; for a simulator, write http:// in front of them",
            ),
            Self::ProxyCredentials => (
                "proxy-credentials",
                "the proxy requires a user name and password, or rejected the given ones",
                "set them in the proxy variable: http://USER:PASSWORD@HOST:PORT",
            ),
        }
    }
}
