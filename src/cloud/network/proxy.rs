//! The proxy of the environment, and the hosts it is not used for. Its user name and password are passed to the HTTP
//! library and never shown.

use std::fmt;

use hyper::Uri;
use hyper_util::client::proxy::matcher::Matcher;
use reqwest::{Proxy, Url};

use crate::cloud::endpoint::Endpoint;

/// Variables of the proxy for HTTPS; the first that is set is used.
const PROXY_VARIABLES: [&str; 4] = ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"];

/// Variables of the hosts without a proxy; the first that is set is used.
const NO_PROXY_VARIABLES: [&str; 2] = ["NO_PROXY", "no_proxy"];

/// The proxies of the environment.
#[derive(Clone, Debug, Default)]
pub(super) struct Proxies {
    proxy: Option<NamedProxy>,
    /// Hosts without a proxy, with the variable that lists them.
    excluded: Option<(&'static str, String)>,
}

/// A proxy, and the variable that names it.
#[derive(Clone)]
struct NamedProxy {
    variable: &'static str,
    /// Scheme, host and port only.
    address: String,
    proxy: Proxy,
}

/// A variable names a proxy that cannot be used. The message does not show its value, which may contain a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProxyError {
    /// It is not an address.
    #[error(
        "{variable} is not the address of a proxy: write http://HOST:PORT, with special characters of a user name or \
         password percent-encoded, or unset it"
    )]
    Malformed {
        /// The variable.
        variable: &'static str,
    },
    /// The proxy uses another protocol.
    #[error(
        "{variable} is a proxy of an unsupported protocol: write http://HOST:PORT of an HTTP proxy, or unset it"
    )]
    Scheme {
        /// The variable.
        variable: &'static str,
    },
}

impl fmt::Debug for NamedProxy {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("NamedProxy")
            .field("variable", &self.variable)
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

impl Proxies {
    pub(super) fn resolve(variable: impl Fn(&str) -> Option<String>) -> Result<Self, ProxyError> {
        let set = |name: &'static str| Some((name, variable(name).filter(|value| !value.trim().is_empty())?));
        let named = PROXY_VARIABLES.into_iter().find_map(set);
        let proxy = named.map(|(variable, value)| NamedProxy::parse(variable, value.trim())).transpose()?;
        Ok(Self { proxy, excluded: NO_PROXY_VARIABLES.into_iter().find_map(set) })
    }

    /// The proxy for an endpoint. Requests to this machine never use one.
    pub(super) fn route(&self, endpoint: &Endpoint) -> Option<&Proxy> {
        let is_direct = endpoint.is_loopback() || self.excluded_by(endpoint).is_some();
        self.proxy.as_ref().filter(|_| !is_direct).map(|named| &named.proxy)
    }

    /// The variable that excludes an endpoint from the proxy, by the rules of curl.
    fn excluded_by(&self, endpoint: &Endpoint) -> Option<&'static str> {
        let (variable, hosts) = self.excluded.as_ref()?;
        let uri: Uri = endpoint.url().parse().ok()?;
        let matcher = Matcher::builder().all("http://any.invalid").no(hosts.as_str()).build();
        matcher.intercept(&uri).is_none().then_some(*variable)
    }

    pub(super) fn log_route(&self, endpoint: &Endpoint) {
        let Some(NamedProxy { variable, address, .. }) = &self.proxy else {
            return tracing::info!(%endpoint, "connecting directly");
        };
        if endpoint.is_loopback() {
            tracing::info!(%endpoint, "connecting directly: the endpoint is on this machine");
        } else if let Some(excluding) = self.excluded_by(endpoint) {
            tracing::info!(%endpoint, "connecting directly because of {excluding}");
        } else {
            tracing::info!(%endpoint, variable, "connecting through the proxy {address}");
        }
    }
}

impl NamedProxy {
    fn parse(variable: &'static str, value: &str) -> Result<Self, ProxyError> {
        let malformed = ProxyError::Malformed { variable };
        // as for curl, a proxy without a scheme is an HTTP proxy
        let whole = if value.contains("://") { value.to_owned() } else { format!("http://{value}") };
        let url = Url::parse(&whole).map_err(|_| malformed)?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(ProxyError::Scheme { variable });
        }
        // text after the host may be the rest of a password with a special character
        let ends_with_host =
            matches!(url.path(), "" | "/") && url.query().is_none() && url.fragment().is_none();
        let host = url.host_str().filter(|_| ends_with_host).ok_or(malformed)?;
        let port = url.port_or_known_default().ok_or(malformed)?;
        let address = format!("{}://{host}:{port}", url.scheme());
        let proxy = Proxy::all(url).map_err(|_| malformed)?;
        Ok(Self { variable, address, proxy })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(set: &[(&str, &str)]) -> Result<Proxies, ProxyError> {
        Proxies::resolve(|name| {
            set.iter().find(|(variable, _)| *variable == name).map(|(_, value)| (*value).to_owned())
        })
    }

    /// The variable and the proxy for an endpoint.
    fn route(set: &[(&str, &str)], endpoint: &str) -> Option<String> {
        let proxies = resolve(set).expect("valid variables");
        proxies.route(&endpoint.parse().expect("an endpoint"))?;
        proxies.proxy.map(|named| format!("{} {}", named.variable, named.address))
    }

    #[test]
    fn the_first_variable_that_is_set_is_used_and_an_empty_one_counts_as_unset() {
        let through = |set: &[(&str, &str)]| route(set, "dlc.tencentcloudapi.com");
        let all = [
            ("HTTPS_PROXY", "http://one:1"),
            ("https_proxy", "http://two:2"),
            ("ALL_PROXY", "three:3"),
            ("all_proxy", "https://four"),
        ];
        let expected = [
            "HTTPS_PROXY http://one:1",
            "https_proxy http://two:2",
            "ALL_PROXY http://three:3",
            "all_proxy https://four:443",
        ];
        for (first, expected) in expected.into_iter().enumerate() {
            assert_eq!(through(&all[first..]).as_deref(), Some(expected));
        }
        assert_eq!(
            through(&[("HTTPS_PROXY", " "), ("https_proxy", "two:2")]).as_deref(),
            Some("https_proxy http://two:2")
        );
        assert_eq!(through(&[("HTTP_PROXY", "http://one:1"), ("http_proxy", "http://one:1")]), None);
        assert_eq!(through(&[]), None);
    }

    #[test]
    fn hosts_are_excluded_by_name_domain_address_or_star_and_loopback_always() {
        let through = |no: &str, host: &str| {
            route(&[("HTTPS_PROXY", "http://proxy:3128"), ("NO_PROXY", no), ("no_proxy", "*")], host)
                .is_some()
        };
        for (no, host, expected) in [
            ("other.com", "dlc.tencentcloudapi.com", true),
            ("tencentcloudapi.com", "dlc.tencentcloudapi.com", false),
            (".tencentcloudapi.com", "dlc.tencentcloudapi.com:8443", false),
            ("other.com, DLC.tencentcloudapi.com", "dlc.tencentcloudapi.com", false),
            ("api.com", "dlc.tencentcloudapi.com", true),
            ("10.0.0.0/8", "10.1.2.3", false),
            ("10.0.0.0/8", "11.1.2.3", true),
            ("*", "dlc.tencentcloudapi.com", false),
            ("other.com", "https://localhost:8443", false),
            ("other.com", "https://127.0.0.1", false),
        ] {
            assert_eq!(through(no, host), expected, "{no} and {host}");
        }
    }

    #[test]
    fn an_unusable_proxy_is_refused_with_its_variable_and_its_value_is_not_shown() {
        for value in [
            "socks5://user:hunter2@proxy:1080",
            "ftp://user:hunter2@proxy",
            "http://user:hunter2@",
            "http://user:hunt#er2@proxy:3128",
            "http://user:hunter2/x@proxy:3128",
            "http://user:hunter2?x@proxy:3128",
            "http://proxy:hunter2",
            "user:hunter2@proxy:99999",
            "http://hunter2 proxy",
        ] {
            let error = resolve(&[("all_proxy", value)]).expect_err(value);
            let said = format!("{error} {error:?}");
            assert!(said.contains("all_proxy") && !said.contains("hunt"), "{value}: {said}");
        }
    }

    #[test]
    fn the_user_name_and_password_of_a_proxy_are_not_shown() {
        for value in [
            "http://user:hunter2@proxy:3128",
            "user:p%40hunter2@proxy:3128",
            "https://user:p@hunter2@proxy:3128",
        ] {
            let proxies = resolve(&[("HTTPS_PROXY", value)]).expect(value);
            let shown = format!("{proxies:?} {proxies:#?}");
            assert!(
                shown.contains("://proxy:3128") && !shown.contains("user") && !shown.contains("hunter2"),
                "{shown}"
            );
        }
    }
}
