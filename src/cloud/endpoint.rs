//! The endpoint that requests are sent to. An unencrypted one can only be on this machine, since requests contain keys.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use reqwest::Url;

/// The host of the China site (document 1155/48994).
pub const DEFAULT_HOST: &str = "dlc.tencentcloudapi.com";

/// The label that every host of the vendor contains, in each of its domains.
const VENDOR: &str = "tencentcloudapi";
/// The domain of every documented host (documents 1155/48994 and 1342/99266).
const DOMAIN: &str = "tencentcloudapi.com";

/// The end of the names of finance regions, which have hosts of their own (documents 306/75053 and 1223/75145).
const FINANCE: &str = "-fsi";

/// The host that serves a region: any host of the site, except that a finance region has one of its own.
pub fn host_for(region: &str) -> String {
    if region.ends_with(FINANCE) { format!("dlc.{region}.{DOMAIN}") } else { DEFAULT_HOST.to_owned() }
}

/// A host that serves the API. `Display` gives the shortest text that parses to the same endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Endpoint {
    /// Scheme, host and port only. `http` is for loopback hosts.
    url: Url,
    /// True for addresses of this machine.
    loopback: bool,
}

/// Why a text is not an endpoint.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EndpointError {
    /// The scheme is neither `https` nor `http`.
    #[error("unsupported scheme {scheme:?}: write https:// or only the host")]
    Scheme {
        /// The text before `://`.
        scheme: String,
    },
    /// A host on this machine without a scheme, which may use TLS or not.
    #[error(
        "{host} is on this machine: write http://{host} for a simulator, or https://{host} if it uses TLS"
    )]
    NoScheme {
        /// The host, with its port.
        host: String,
    },
    /// HTTP without TLS to another machine.
    #[error("http:// would send the request unencrypted to {host}: write https://{host}")]
    Unencrypted {
        /// The host, with its port.
        host: String,
    },
    /// There is a user name or password, which the message does not show.
    #[error("the endpoint contains a user name or password: remove everything up to the @")]
    UserInfo,
    /// There is more than a host.
    #[error("the endpoint contains more than a host: remove path, query and fragment")]
    MoreThanHost,
    /// The text is not a host with an optional port.
    #[error("{text:?} is not a host: {cause}: write one such as {DEFAULT_HOST}, or HOST:PORT")]
    Invalid {
        /// The text.
        text: String,
        /// What is wrong with it.
        cause: String,
    },
}

impl Endpoint {
    /// The URL of every request: `https://dlc.tencentcloudapi.com/`.
    pub fn url(&self) -> String {
        self.url.to_string()
    }

    /// What all access hosts of the same engines have in common: `tencentcloudapi.com` for the China site,
    /// `intl.tencentcloudapi.com` for the international one, a domain of its own for each finance region, and for any
    /// other host the host itself.
    pub fn site(&self) -> String {
        const INTERNATIONAL: &str = "intl";
        let Some(mut labels) = self.labels() else { return self.host_header().to_owned() };
        match labels.find(|label| *label == INTERNATIONAL || label.ends_with(FINANCE)) {
            Some(label) => format!("{label}.{DOMAIN}"),
            None => DOMAIN.to_owned(),
        }
    }

    /// The finance region of this host, if it serves one: `dlc.ap-shanghai-fsi.tencentcloudapi.com`.
    pub fn finance_region(&self) -> Option<&str> {
        self.labels()?.find(|label| label.ends_with(FINANCE))
    }

    /// True if this host serves the engines of a region. A host on this machine is a simulator and serves all regions.
    pub fn serves(&self, region: &str) -> bool {
        let finance = Some(region).filter(|region| region.ends_with(FINANCE));
        self.loopback || self.finance_region() == finance
    }

    /// The labels before the documented domain, if the host is in it.
    fn labels(&self) -> Option<impl Iterator<Item = &str>> {
        Some(self.url.host_str()?.strip_suffix(DOMAIN)?.strip_suffix('.')?.split('.'))
    }

    /// The endpoint of another service of the same site. For a host of the vendor, the first label is replaced
    /// (`sts.ap-beijing.tencentcloudapi.com`); any other host, such as a simulator, serves both services.
    #[must_use]
    pub fn of_service(&self, service: &str) -> Self {
        let host = self.url.host_str().unwrap_or_default();
        let domain = host.strip_prefix("dlc.").filter(|rest| rest.split('.').any(|label| label == VENDOR));
        let mut endpoint = self.clone();
        if let Some(domain) = domain {
            // a service name in place of another one is still a host
            let _ = endpoint.url.set_host(Some(&format!("{service}.{domain}")));
        }
        endpoint
    }

    /// The value of the `Host` header, as it is signed: with the port unless it is the default of the scheme.
    pub fn host_header(&self) -> &str {
        self.url.authority()
    }

    /// True if requests are not encrypted, which is possible on this machine only.
    pub fn is_plain(&self) -> bool {
        self.url.scheme() == "http"
    }

    /// True if requests stay on this machine, as they do for the simulator.
    pub fn is_loopback(&self) -> bool {
        self.loopback
    }
}

impl Default for Endpoint {
    fn default() -> Self {
        DEFAULT_HOST.parse().expect("the default host is an endpoint")
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.loopback {
            write!(formatter, "{}://", self.url.scheme())?;
        }
        formatter.write_str(self.host_header())
    }
}

impl FromStr for Endpoint {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.contains('@') {
            return Err(EndpointError::UserInfo);
        }
        let (scheme, rest) = text.split_once("://").unwrap_or(("https", text));
        if !["https", "http"].contains(&scheme.to_ascii_lowercase().as_str()) {
            return Err(EndpointError::Scheme { scheme: scheme.to_owned() });
        }
        if rest.strip_suffix('/').unwrap_or(rest).contains(['/', '\\', '?', '#']) {
            return Err(EndpointError::MoreThanHost);
        }
        let invalid = |cause: &str| EndpointError::Invalid { text: rest.to_owned(), cause: cause.to_owned() };
        // the URL parser removes white space and control characters
        if rest.chars().any(|letter| letter.is_whitespace() || letter.is_control()) {
            return Err(invalid("it contains white space or control characters"));
        }
        let url = Url::parse(&format!("{scheme}://{rest}")).map_err(|error| invalid(&error.to_string()))?;
        let host = url.host_str().unwrap_or_default();
        if host.split('.').any(str::is_empty) {
            return Err(invalid("a part between two dots is empty"));
        }
        if url.port() == Some(0) {
            return Err(invalid("the port is 0"));
        }
        let address = host.trim_matches(['[', ']']).parse::<IpAddr>();
        let loopback = host == "localhost" || address.is_ok_and(|address| address.is_loopback());
        if loopback && !text.contains("://") {
            return Err(EndpointError::NoScheme { host: url.authority().to_owned() });
        }
        if url.scheme() == "http" && !loopback {
            return Err(EndpointError::Unencrypted { host: url.authority().to_owned() });
        }
        Ok(Self { url, loopback })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Endpoint, EndpointError> {
        text.parse()
    }

    #[test]
    fn every_documented_form_has_its_url_host_header_and_text() {
        for (text, url, host, recorded) in [
            ("dlc.tencentcloudapi.com", "https://dlc.tencentcloudapi.com/", DEFAULT_HOST, DEFAULT_HOST),
            (
                "HTTPS://DLC.TencentCloudAPI.com/",
                "https://dlc.tencentcloudapi.com/",
                DEFAULT_HOST,
                DEFAULT_HOST,
            ),
            (
                "https://dlc.tencentcloudapi.com:443",
                "https://dlc.tencentcloudapi.com/",
                DEFAULT_HOST,
                DEFAULT_HOST,
            ),
            ("https://example.com:8443", "https://example.com:8443/", "example.com:8443", "example.com:8443"),
            ("example.com:80", "https://example.com:80/", "example.com:80", "example.com:80"),
            ("http://127.0.0.1:8080", "http://127.0.0.1:8080/", "127.0.0.1:8080", "http://127.0.0.1:8080"),
            ("http://127.9.8.7:80", "http://127.9.8.7/", "127.9.8.7", "http://127.9.8.7"),
            ("http://[::1]:8080", "http://[::1]:8080/", "[::1]:8080", "http://[::1]:8080"),
            ("http://LocalHost", "http://localhost/", "localhost", "http://localhost"),
            ("https://[::1]", "https://[::1]/", "[::1]", "https://[::1]"),
            ("https://127.0.0.1:8443", "https://127.0.0.1:8443/", "127.0.0.1:8443", "https://127.0.0.1:8443"),
        ] {
            let endpoint = parse(text).expect(text);
            assert_eq!(endpoint.url(), url, "url of {text}");
            assert_eq!(endpoint.host_header(), host, "host of {text}");
            assert_eq!(endpoint.to_string(), recorded, "record of {text}");
            assert_eq!(parse(recorded), Ok(endpoint), "{recorded} parsed again");
        }
    }

    #[test]
    fn the_default_is_the_china_site() {
        assert_eq!(Ok(Endpoint::default()), parse(DEFAULT_HOST));
    }

    #[test]
    fn http_to_another_machine_is_refused_with_the_remedy() {
        for host in ["dlc.tencentcloudapi.com", "128.0.0.1:8080", "[::2]", "localhost.example.com", "0.0.0.0"]
        {
            let error = parse(&format!("http://{host}")).expect_err(host);
            assert_eq!(
                error.to_string(),
                format!("http:// would send the request unencrypted to {host}: write https://{host}")
            );
        }
    }

    #[test]
    fn everything_except_host_and_port_is_refused() {
        for text in
            ["a.com/path", "https://a.com/?x", "a.com?x", "a.com#x", "https://a.com//", "https:\\\\a.com"]
        {
            assert_eq!(parse(text), Err(EndpointError::MoreThanHost), "{text}");
        }
        let error = parse("https://user:password@a.com").expect_err("a password");
        assert_eq!(error, EndpointError::UserInfo);
        assert_eq!(parse("ftp://a.com"), Err(EndpointError::Scheme { scheme: "ftp".to_owned() }));
    }

    #[test]
    fn a_malformed_host_or_port_is_refused() {
        for text in
            ["", "a b", "a..com", "a.com.", "[::1", "[zz]", "a\u{0}b", "a\nb.com", "256.1.1.1", "a.com:0"]
                .into_iter()
                .chain(["a.com:65536", "a.com:+80", "a.com:8o80", "a.com:1:2"])
        {
            let error = parse(&format!("https://{text}")).expect_err(text);
            assert!(matches!(error, EndpointError::Invalid { .. }), "{text:?}: {error:?}");
            assert!(error.to_string().contains(" is not a host: "), "{error}");
        }
    }

    #[test]
    fn a_host_on_this_machine_needs_a_scheme() {
        for host in ["127.0.0.1:8080", "localhost:8080", "[::1]:8080"] {
            let error = parse(host).expect_err(host);
            assert_eq!(
                error.to_string(),
                format!(
                    "{host} is on this machine: write http://{host} for a simulator, or https://{host} if it uses TLS"
                )
            );
        }
    }

    #[test]
    fn the_host_that_is_signed_is_the_host_that_is_called() {
        for (text, host) in [
            ("https://0x7f.1", "127.0.0.1"),
            ("DLC.Example.com", "dlc.example.com"),
            ("ä.com", "xn--4ca.com"),
        ] {
            let endpoint = parse(text).expect(text);
            assert_eq!(
                (endpoint.host_header(), endpoint.url()),
                (host, format!("https://{host}/")),
                "{text}"
            );
        }
    }

    #[test]
    fn sts_has_a_host_of_its_own_at_the_vendor_and_the_same_address_elsewhere() {
        for (dlc, sts) in [
            ("dlc.tencentcloudapi.com", "sts.tencentcloudapi.com"),
            ("dlc.intl.tencentcloudapi.com", "sts.intl.tencentcloudapi.com"),
            ("dlc.internal.tencentcloudapi.com", "sts.internal.tencentcloudapi.com"),
            ("dlc.ap-shanghai-fsi.tencentcloudapi.com", "sts.ap-shanghai-fsi.tencentcloudapi.com"),
            ("dlc.internal.ap-beijing.tencentcloudapi.com", "sts.internal.ap-beijing.tencentcloudapi.com"),
            ("dlc.tencentcloudapi.com.cn:8443", "sts.tencentcloudapi.com.cn:8443"),
            ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
            ("http://localhost", "http://localhost"),
            ("dlc.example.com", "dlc.example.com"),
            ("dlc.eviltencentcloudapi.com", "dlc.eviltencentcloudapi.com"),
        ] {
            let endpoint: Endpoint = dlc.parse().expect(dlc);
            assert_eq!(endpoint.of_service("sts"), sts.parse().expect(sts), "{dlc}");
        }
    }

    #[test]
    fn access_hosts_of_one_site_differ_from_other_sites() {
        let site = |text: &str| text.parse::<Endpoint>().expect("an endpoint").site();
        for host in [
            "dlc.tencentcloudapi.com",
            "dlc.tencentcloudapi.com:8443",
            "dlc.ap-beijing.tencentcloudapi.com",
            "dlc.internal.tencentcloudapi.com",
            "dlc.internal.ap-beijing.tencentcloudapi.com",
        ] {
            assert_eq!(site(host), "tencentcloudapi.com", "{host}");
        }
        assert_eq!(site("dlc.intl.tencentcloudapi.com"), "intl.tencentcloudapi.com");
        for host in
            ["dlc.ap-shanghai-fsi.tencentcloudapi.com", "dlc.internal.ap-shanghai-fsi.tencentcloudapi.com"]
        {
            assert_eq!(site(host), "ap-shanghai-fsi.tencentcloudapi.com", "{host}");
        }
        assert_eq!(site("http://127.0.0.1:8080"), "127.0.0.1:8080");
        assert_eq!(site("eviltencentcloudapi.com"), "eviltencentcloudapi.com");
        assert_eq!(site("dlc.ap-shanghai-fsi.example.com"), "dlc.ap-shanghai-fsi.example.com");
    }

    #[test]
    fn a_finance_region_is_served_by_its_own_host_only() {
        let serves = |host: &str, region: &str| parse(host).expect("an endpoint").serves(region);
        let (ordinary, shanghai, shenzhen) = ("ap-shanghai", "ap-shanghai-fsi", "ap-shenzhen-fsi");
        for host in [
            DEFAULT_HOST,
            "dlc.intl.tencentcloudapi.com",
            "dlc.ap-shanghai.tencentcloudapi.com",
            "example.com",
        ] {
            let answers = [ordinary, shanghai, shenzhen].map(|region| serves(host, region));
            assert_eq!(answers, [true, false, false], "{host}");
        }
        for region in [shanghai, shenzhen] {
            let own = host_for(region);
            for host in [own.clone(), format!("{own}:8443")] {
                let answers = [ordinary, shanghai, shenzhen].map(|other| serves(&host, other));
                assert_eq!(answers, [false, region == shanghai, region == shenzhen], "{host}");
            }
        }
        assert_eq!(host_for(ordinary), DEFAULT_HOST);
        assert_eq!(host_for(shanghai), "dlc.ap-shanghai-fsi.tencentcloudapi.com");
        assert!(serves("http://127.0.0.1:8080", shanghai) && serves("https://localhost", ordinary));
    }
}
