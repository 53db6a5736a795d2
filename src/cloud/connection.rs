//! What stands between here and the service until somebody changes something, and what to do about it.

/// What bars the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectionProblem {
    /// The peer's certificate comes from a CA that is not trusted here.
    UnknownIssuer,
    /// The peer's certificate is not valid any more, or not yet.
    OutOfDate,
    /// The peer's certificate is for another host.
    OtherHost,
    /// Anything else is wrong with the peer's certificate.
    Certificate,
    /// The peer speaks no TLS, or only one that is too old.
    NoTls,
    /// The proxy asks for a user name and a password, or for better ones.
    ProxyCredentials,
}

impl ConnectionProblem {
    /// Every one of them.
    pub const ALL: [Self; 6] = [
        Self::UnknownIssuer,
        Self::OutOfDate,
        Self::OtherHost,
        Self::Certificate,
        Self::NoTls,
        Self::ProxyCredentials,
    ];

    /// Its code in ledgers and reports.
    pub fn code(self) -> &'static str {
        match self {
            Self::UnknownIssuer => "untrusted-issuer",
            Self::OutOfDate => "certificate-out-of-date",
            Self::OtherHost => "certificate-of-another-host",
            Self::Certificate => "untrusted-peer",
            Self::NoTls => "no-tls",
            Self::ProxyCredentials => "proxy-credentials",
        }
    }

    /// What it is, in words.
    pub fn cause(self) -> &'static str {
        match self {
            Self::UnknownIssuer => "the peer's certificate comes from a CA that is not trusted here",
            Self::OutOfDate => "the peer's certificate is not valid at this time",
            Self::OtherHost => "the peer's certificate is for another host than the endpoint",
            Self::Certificate => "the peer's certificate was not accepted",
            Self::NoTls => "the peer speaks no TLS that is accepted here (1.2 or later)",
            Self::ProxyCredentials => "the proxy asks for a user name and a password, or for others",
        }
    }

    /// What to do about it.
    pub fn remedy(self) -> &'static str {
        match self {
            Self::UnknownIssuer => {
                "if you trust that CA, name a file that holds its certificate with --ca-file; if not, find out who is in \
         between"
            }
            Self::OutOfDate => {
                "check this machine's clock; if it is right, whoever runs the endpoint must renew the certificate"
            }
            Self::OtherHost => {
                "check --endpoint and DNS, and write the endpoint as the certificate does if that is the right host"
            }
            Self::Certificate => {
                "check the endpoint and the system's certificates; a proxy may be in between"
            }
            Self::NoTls => "check host and port of --endpoint, and which proxy or gateway answers there",
            Self::ProxyCredentials => {
                "write them into the variable that names the proxy: http://USER:PASSWORD@HOST:PORT"
            }
        }
    }
}
