//! Where requests go: parsed once, and safe by construction, since keys never travel unencrypted beyond loopback.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// The host of the China site (document 1155/48994).
pub const DEFAULT_HOST: &str = "dlc.tencentcloudapi.com";

/// The label that all of the vendor's hosts have, whichever domain they end in.
const VENDOR: &str = "tencentcloudapi";
/// The domain of every documented host (documents 1155/48994 and 1342/99266).
const DOMAIN: &str = "tencentcloudapi.com";

/// What the names of finance regions end with. They are kept apart from all others (documents 306/75053 and
/// 1223/75145).
const FINANCE: &str = "-fsi";

/// The host through which a region is reached: any of the site will do, but a finance region has one of its own.
pub fn host_for(region: &str) -> String {
    if region.ends_with(FINANCE) { format!("dlc.{region}.{DOMAIN}") } else { DEFAULT_HOST.to_owned() }
}

/// A host that answers for the service. `Display` gives the shortest text that parses to the same endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Endpoint {
    /// True for `http://`, which only loopback hosts may have.
    plain: bool,
    /// True for addresses that do not leave this machine.
    loopback: bool,
    /// Host in lower case, and port where it is not the scheme's default.
    authority: String,
}

/// Why a text is no endpoint.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EndpointError {
    /// The scheme is neither `https` nor `http`.
    #[error("the scheme {scheme:?} is not spoken here: write https:// or the bare host")]
    Scheme {
        /// What stands before `://`.
        scheme: String,
    },
    /// Plain HTTP to a host that is not this machine.
    #[error("http:// would send the request unencrypted to {host}: write https://{host}")]
    Unencrypted {
        /// The host, with its port.
        host: String,
    },
    /// There is a user name or password; it is not repeated here.
    #[error("the endpoint holds a user name or password: leave out everything up to the @")]
    UserInfo,
    /// There is more than a host.
    #[error("the endpoint goes on after the host: leave out path, query and fragment")]
    MoreThanHost,
    /// The host is empty or malformed.
    #[error("{host:?} is not a host: write one such as dlc.tencentcloudapi.com")]
    Host {
        /// What stands in its place.
        host: String,
    },
    /// The port is not a number from 1 to 65535.
    #[error("{port:?} is not a port: write a number from 1 to 65535, or leave it out")]
    Port {
        /// What stands in its place.
        port: String,
    },
}

impl Endpoint {
    /// What requests are posted to: `https://dlc.tencentcloudapi.com/`.
    pub fn url(&self) -> String {
        let scheme = if self.plain { "http" } else { "https" };
        format!("{scheme}://{}/", self.authority)
    }

    /// What stays the same when another access host of the same service is chosen: `tencentcloudapi.com` for the
    /// China site, `intl.tencentcloudapi.com` for the international one, a domain of its own for each finance region,
    /// and for any other host the host itself.
    pub fn site(&self) -> String {
        const INTERNATIONAL: &str = "intl";
        let Some(mut labels) = self.labels() else { return self.authority.clone() };
        match labels.find(|label| *label == INTERNATIONAL || label.ends_with(FINANCE)) {
            Some(apart) => format!("{apart}.{DOMAIN}"),
            None => DOMAIN.to_owned(),
        }
    }

    /// The finance region whose host this is, if it is one: `dlc.ap-shanghai-fsi.tencentcloudapi.com`.
    pub fn finance_region(&self) -> Option<&str> {
        self.labels()?.find(|label| label.ends_with(FINANCE))
    }

    /// Whether engines of a region can be reached through this host. What is on this machine is a simulator and serves
    /// every region.
    pub fn serves(&self, region: &str) -> bool {
        let finance = Some(region).filter(|region| region.ends_with(FINANCE));
        self.loopback || self.finance_region() == finance
    }

    /// What stands before the documented domain, where the host is in it.
    fn labels(&self) -> Option<impl Iterator<Item = &str>> {
        let host = self.authority.split(':').next().unwrap_or_default();
        Some(host.strip_suffix(DOMAIN)?.strip_suffix('.')?.split('.'))
    }

    /// Where another service of the same site answers: where the host is one of the vendor's for this service, the
    /// same host with the other's name in front (`sts.ap-beijing.tencentcloudapi.com`); any other host, such as a
    /// simulator's, is taken to answer for both.
    #[must_use]
    pub fn of_service(&self, service: &str) -> Self {
        let domain =
            self.authority.strip_prefix("dlc.").filter(|rest| rest.split('.').any(|label| label == VENDOR));
        let authority = domain.map_or_else(|| self.authority.clone(), |domain| format!("{service}.{domain}"));
        Self { authority, ..self.clone() }
    }

    /// The value of the `Host` header, as it is signed: with the port where it is not the scheme's default.
    pub fn host_header(&self) -> &str {
        &self.authority
    }

    /// Whether requests travel unencrypted, which they do within this machine only.
    pub fn is_plain(&self) -> bool {
        self.plain
    }

    /// Whether requests stay on this machine, as they do for the simulator.
    pub fn is_loopback(&self) -> bool {
        self.loopback
    }
}

impl Default for Endpoint {
    fn default() -> Self {
        Self { plain: false, loopback: false, authority: DEFAULT_HOST.to_owned() }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.plain { "http://" } else { "" };
        write!(formatter, "{scheme}{}", self.authority)
    }
}

impl FromStr for Endpoint {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.contains('@') {
            return Err(EndpointError::UserInfo);
        }
        let (scheme, rest) = text.split_once("://").unwrap_or(("https", text));
        let plain = match scheme.to_ascii_lowercase().as_str() {
            "https" => false,
            "http" => true,
            _ => return Err(EndpointError::Scheme { scheme: scheme.to_owned() }),
        };
        let authority = rest.strip_suffix('/').unwrap_or(rest);
        if authority.contains(['/', '\\', '?', '#']) {
            return Err(EndpointError::MoreThanHost);
        }
        let (host, port) = host_and_port(authority)?;
        let loopback = is_loopback(&host);
        let authority = match port {
            Some(port) if port != if plain { 80 } else { 443 } => format!("{host}:{port}"),
            _ => host,
        };
        if plain && !loopback {
            return Err(EndpointError::Unencrypted { host: authority });
        }
        let endpoint = Self { plain, loopback, authority };
        endpoint.checked_against_url_rules()
    }
}

impl Endpoint {
    /// URL parsers read hosts like `0x7f.1` as addresses. What would then be called must be what is signed.
    fn checked_against_url_rules(self) -> Result<Self, EndpointError> {
        match reqwest::Url::parse(&self.url()) {
            Ok(url) if url.as_str() == self.url() => Ok(self),
            _ => Err(EndpointError::Host { host: self.authority }),
        }
    }
}

/// Splits `host[:port]`; the host comes back in lower case, an IPv6 address in its brackets.
fn host_and_port(authority: &str) -> Result<(String, Option<u16>), EndpointError> {
    let end_of_host = authority.rfind(']').map_or(0, |bracket| bracket + 1);
    let (host, port) = match authority[end_of_host..].split_once(':') {
        Some((rest, port)) => (&authority[..end_of_host + rest.len()], Some(port)),
        None => (authority, None),
    };
    let host = host.to_ascii_lowercase();
    if !is_host(&host) {
        return Err(EndpointError::Host { host });
    }
    Ok((host, port.map(parse_port).transpose()?))
}

fn parse_port(port: &str) -> Result<u16, EndpointError> {
    let digits_only = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    match port.parse() {
        Ok(number) if digits_only && number > 0 => Ok(number),
        _ => Err(EndpointError::Port { port: port.to_owned() }),
    }
}

fn is_host(host: &str) -> bool {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    ipv6(host).is_some() || (host.len() <= 253 && host.split('.').all(is_label))
}

fn ipv6(host: &str) -> Option<Ipv6Addr> {
    host.strip_prefix('[')?.strip_suffix(']')?.parse().ok()
}

fn is_loopback(host: &str) -> bool {
    host == "localhost"
        || host.parse::<Ipv4Addr>().is_ok_and(|address| address.is_loopback())
        || ipv6(host).is_some_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Endpoint, EndpointError> {
        text.parse()
    }

    #[test]
    fn every_documented_form_gives_url_host_and_recorded_text() {
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
            ("https://[::1]", "https://[::1]/", "[::1]", "[::1]"),
        ] {
            let endpoint = parse(text).expect(text);
            assert_eq!(endpoint.url(), url, "url of {text}");
            assert_eq!(endpoint.host_header(), host, "host of {text}");
            assert_eq!(endpoint.to_string(), recorded, "record of {text}");
            assert_eq!(parse(recorded), Ok(endpoint), "{recorded} read again");
        }
    }

    #[test]
    fn the_default_is_the_china_site() {
        assert_eq!(Ok(Endpoint::default()), parse(DEFAULT_HOST));
    }

    #[test]
    fn plain_http_beyond_loopback_is_refused_with_the_remedy() {
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
    fn anything_beside_host_and_port_is_refused() {
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
        for host in
            ["", "a b", "-a.com", "a..com", "a.com.", "ä.com", "a_b.com", "[::1", "[zz]", "127.1", "0x7f.1"]
        {
            let refusal = parse(&format!("https://{host}"));
            assert!(matches!(refusal, Err(EndpointError::Host { .. })), "{host}: {refusal:?}");
        }
        for port in ["", "0", "65536", "+80", "8o80", "1:2"] {
            let refusal = parse(&format!("a.com:{port}"));
            assert_eq!(refusal, Err(EndpointError::Port { port: port.to_owned() }), "{port}");
        }
    }

    #[test]
    fn another_service_is_found_beside_the_vendors_hosts_and_at_the_same_address_elsewhere() {
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
    fn access_hosts_of_one_site_are_told_apart_from_other_sites() {
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
    fn a_finance_region_and_its_host_belong_to_each_other_and_to_nobody_else() {
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
