//! Which proxy the environment asks for, and whether it is asked for this endpoint. What opens a proxy, its user name
//! and password, is handed to the library and shown nowhere.

use std::fmt;

use hyper::Uri;
use hyper_util::client::proxy::matcher::Matcher;
use reqwest::{Proxy, Url};

use crate::cloud::endpoint::Endpoint;

/// Variables that name a proxy for HTTPS; the first one that is set decides.
const NAMING: [&str; 4] = ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"];

/// Variables that list hosts to which no proxy leads; the first one that is set decides.
const SPARING: [&str; 2] = ["NO_PROXY", "no_proxy"];

/// The proxies of the environment.
#[derive(Clone, Debug, Default)]
pub(super) struct Proxies {
    named: Option<Named>,
    /// Hosts to which requests go straight, and the variable that says so.
    spared: Option<(&'static str, String)>,
}

/// A proxy that a variable names.
#[derive(Clone)]
struct Named {
    variable: &'static str,
    /// Scheme, host and port, and nothing else.
    shown: String,
    proxy: Proxy,
}

/// How requests get to an endpoint. Not `Debug`: the library's shows what opens a proxy.
pub(super) enum Route<'a> {
    Straight,
    Through(&'a Proxy),
}

/// A variable asks for a proxy that cannot be used. Never repeats its value, which may hold a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProxyError {
    /// No address can be read from it.
    #[error(
        "{variable} names no proxy that can be used: write http://HOST:PORT, with percent signs for special \
         characters of a user name or password, or unset it"
    )]
    Malformed {
        /// The variable.
        variable: &'static str,
    },
    /// It is of a kind that is not spoken here.
    #[error(
        "{variable} names a proxy that speaks neither HTTP nor HTTPS: write http://HOST:PORT of one that does, or \
         unset it"
    )]
    Scheme {
        /// The variable.
        variable: &'static str,
    },
}

impl fmt::Debug for Named {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Named")
            .field("variable", &self.variable)
            .field("shown", &self.shown)
            .finish_non_exhaustive()
    }
}

impl Proxies {
    pub(super) fn resolve(variable: impl Fn(&str) -> Option<String>) -> Result<Self, ProxyError> {
        let set = |name: &'static str| Some((name, variable(name).filter(|value| !value.trim().is_empty())?));
        let named = NAMING.into_iter().find_map(set);
        let named = named.map(|(variable, value)| Named::read(variable, value.trim())).transpose()?;
        Ok(Self { named, spared: SPARING.into_iter().find_map(set) })
    }

    /// A proxy is somebody else's machine: what is meant for this one must not reach it.
    pub(super) fn route(&self, endpoint: &Endpoint) -> Route<'_> {
        match &self.named {
            Some(named) if !endpoint.is_loopback() && self.sparing(endpoint).is_none() => {
                Route::Through(&named.proxy)
            }
            _ => Route::Straight,
        }
    }

    /// The variable that spares an endpoint the proxy, if one does; by the rules of curl.
    fn sparing(&self, endpoint: &Endpoint) -> Option<&'static str> {
        let (variable, hosts) = self.spared.as_ref()?;
        let uri: Uri = endpoint.url().parse().ok()?;
        let any = Matcher::builder().all("http://any.invalid").no(hosts.as_str()).build();
        any.intercept(&uri).is_none().then_some(*variable)
    }

    pub(super) fn tell(&self, endpoint: &Endpoint) {
        let Some(Named { variable, shown, .. }) = &self.named else {
            tracing::info!(%endpoint, "requests go straight to the endpoint");
            return;
        };
        match (self.route(endpoint), self.sparing(endpoint)) {
            (Route::Through(_), _) => {
                tracing::info!(%endpoint, variable, "requests go through the proxy {shown}");
            }
            (Route::Straight, Some(sparing)) => {
                tracing::info!(%endpoint, "requests go straight to the endpoint, as {sparing} asks for");
            }
            (Route::Straight, None) => {
                tracing::info!(%endpoint, "requests go straight to the endpoint, since it is on this machine");
            }
        }
    }
}

impl Named {
    fn read(variable: &'static str, value: &str) -> Result<Self, ProxyError> {
        let malformed = ProxyError::Malformed { variable };
        // as curl has it, a proxy without a scheme is an HTTP one
        let whole = if value.contains("://") { value.to_owned() } else { format!("http://{value}") };
        let url = Url::parse(&whole).map_err(|_| malformed)?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(ProxyError::Scheme { variable });
        }
        // what follows the host may be the rest of a password with a sign in it that ends a host
        let ends_with_host =
            matches!(url.path(), "" | "/") && url.query().is_none() && url.fragment().is_none();
        let host = url.host_str().filter(|_| ends_with_host).ok_or(malformed)?;
        let port = url.port_or_known_default().ok_or(malformed)?;
        let shown = format!("{}://{host}:{port}", url.scheme());
        let proxy = Proxy::all(url).map_err(|_| malformed)?;
        Ok(Self { variable, shown, proxy })
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

    /// The variable and the proxy that lead to an endpoint.
    fn route(set: &[(&str, &str)], endpoint: &str) -> Option<String> {
        let proxies = resolve(set).expect("good variables");
        match proxies.route(&endpoint.parse().expect("an endpoint")) {
            Route::Straight => None,
            Route::Through(_) => proxies.named.map(|named| format!("{} {}", named.variable, named.shown)),
        }
    }

    #[test]
    fn the_first_variable_that_is_set_decides_and_an_empty_one_is_not_set() {
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
    fn hosts_are_spared_by_name_domain_address_or_star_and_loopback_always() {
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
    fn a_proxy_that_cannot_be_used_is_refused_by_its_variable_and_nothing_of_it_is_shown() {
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
    fn what_opens_a_proxy_is_not_shown() {
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
