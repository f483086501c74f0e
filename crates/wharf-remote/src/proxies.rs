//! Selects the proxy of a request, by the rules of Go's `httpproxy`, as other registry tools do.
//!
//! Pure. This machine itself is never reached through a proxy.

use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;
use url::{Host, Url};

use wharf_core::{Error, ErrorKind, Result};

/// A proxy, with its credentials. `Debug` and `Display` show host and port only.
#[derive(Clone, PartialEq, Eq)]
pub struct Proxy(Url);

impl Proxy {
    /// Host and port.
    fn authority(&self) -> String {
        let host = self.0.host_str().unwrap_or_default();
        let usual = match self.0.scheme() {
            "socks5h" => Some(1080),
            _ => self.0.port_or_known_default(),
        };
        match usual.or(self.0.port()) {
            Some(port) => format!("{host}:{}", self.0.port().unwrap_or(port)),
            None => host.to_owned(),
        }
    }

    /// Whether it is itself reached over TLS.
    pub(super) fn is_secured(&self) -> bool {
        self.0.scheme() == "https"
    }

    /// With user name and password, for the connection to it.
    pub(super) fn url(&self) -> &Url {
        &self.0
    }
}

impl std::str::FromStr for Proxy {
    type Err = Error;

    /// `[http|https|socks5|socks5h://][USER[:PASSWORD]@]HOST[:PORT]`. The proxy always resolves
    /// names. Errors do not quote the text.
    fn from_str(text: &str) -> Result<Self> {
        let invalid = |why: &str| Error::new(ErrorKind::Invalid, why);
        let text = text.trim();
        let full = match text.contains("://") {
            true => text.to_owned(),
            false => format!("http://{text}"),
        };
        // The parser knows hosts and default ports only for web schemes.
        let web = full
            .strip_prefix("socks5h://")
            .or(full.strip_prefix("socks5://"));
        let parsed = match web {
            Some(rest) => Url::parse(&format!("http://{rest}")),
            None => Url::parse(&full),
        };
        let url = parsed.map_err(|_| invalid("not a proxy URL such as http://HOST:PORT"))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(invalid("only http, https and socks5 proxies are supported"));
        }
        let Some(rest) = web else {
            return Ok(Proxy(url));
        };
        let parsed = Url::parse(&format!("socks5h://{}", rest.trim_end_matches('/')));
        let mut url = parsed.map_err(|_| invalid("not a proxy URL"))?;
        if url.port().is_none() {
            // It has a host, so it can have a port.
            let _ = url.set_port(Some(1080));
        }
        Ok(Proxy(url))
    }
}

impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.authority())
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Proxy({self})")
    }
}

/// Proxies by scheme, and the hosts that are reached without one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Proxies {
    /// For requests without TLS.
    pub http: Option<Proxy>,
    /// For requests over TLS.
    pub https: Option<Proxy>,
    /// Hosts that are reached directly.
    pub except: Exceptions,
}

impl Proxies {
    /// The proxy for a request to `url`; `None`: it goes there directly.
    pub fn proxy_for(&self, url: &Url) -> Option<&Proxy> {
        let proxy = match url.scheme() {
            "https" => self.https.as_ref(),
            _ => self.http.as_ref(),
        }?;
        (!self.except.cover(url)).then_some(proxy)
    }
}

/// Hosts that are reached without a proxy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Exceptions(Vec<Exception>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Exception {
    Everybody,
    Network(IpNet),
    Address(IpAddr, Option<u16>),
    /// `suffix` begins with a dot; `itself`: whether the name without the dot matches too.
    Domain {
        suffix: String,
        itself: bool,
        port: Option<u16>,
    },
}

impl Exceptions {
    /// Parses `NO_PROXY`: entries between commas, each `*`, an address, a network (CIDR), or a
    /// domain. `.example` means all below it; `example` also includes itself. All except networks
    /// may have a port. Skips malformed entries, like other tools.
    pub fn parse(text: &str) -> Self {
        let entries = text
            .split(',')
            .map(|entry| entry.trim().to_ascii_lowercase());
        Exceptions(entries.filter_map(|entry| exception(&entry)).collect())
    }

    fn cover(&self, url: &Url) -> bool {
        let port = url.port_or_known_default();
        match url.host() {
            Some(Host::Ipv4(address)) => self.cover_address(address.into(), port),
            Some(Host::Ipv6(address)) => self.cover_address(address.into(), port),
            Some(Host::Domain(name)) => self.cover_name(name, port),
            None => true,
        }
    }

    fn cover_address(&self, address: IpAddr, port: Option<u16>) -> bool {
        let address = address.to_canonical();
        address.is_loopback()
            || self.0.iter().any(|exception| match exception {
                Exception::Everybody => true,
                Exception::Network(network) => network.contains(&address),
                Exception::Address(other, at) => *other == address && fits(*at, port),
                Exception::Domain { .. } => false,
            })
    }

    fn cover_name(&self, name: &str, port: Option<u16>) -> bool {
        let name = name.trim_end_matches('.');
        name == "localhost"
            || name.ends_with(".localhost")
            || self.0.iter().any(|exception| match exception {
                Exception::Everybody => true,
                Exception::Domain {
                    suffix,
                    itself,
                    port: at,
                } => {
                    let named = suffix.strip_prefix('.') == Some(name);
                    (name.ends_with(suffix.as_str()) || *itself && named) && fits(*at, port)
                }
                _ => false,
            })
    }
}

fn fits(wanted: Option<u16>, port: Option<u16>) -> bool {
    wanted.is_none() || wanted == port
}

fn exception(entry: &str) -> Option<Exception> {
    if entry == "*" {
        return Some(Exception::Everybody);
    }
    if entry.contains('/') {
        return entry.parse().ok().map(Exception::Network);
    }
    let bare = |host: &str| host.trim_matches(['[', ']']).parse::<IpAddr>().ok();
    if let Some(address) = bare(entry) {
        return Some(Exception::Address(address.to_canonical(), None));
    }
    let (host, port) = match entry.rsplit_once(':') {
        Some((host, port)) => (host, Some(port.parse().ok()?)),
        None => (entry, None),
    };
    if let Some(address) = bare(host) {
        return Some(Exception::Address(address.to_canonical(), port));
    }
    let host = host
        .strip_prefix('*')
        .filter(|rest| rest.starts_with('.'))
        .unwrap_or(host);
    let itself = !host.starts_with('.');
    let name = host.trim_start_matches('.');
    (!name.is_empty()).then(|| Exception::Domain {
        suffix: format!(".{name}"),
        itself,
        port,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn direct(except: &str, url: &str) -> bool {
        let proxy: Proxy = "proxy.example:3128".parse().unwrap();
        let proxies = Proxies {
            http: Some(proxy.clone()),
            https: Some(proxy),
            except: Exceptions::parse(except),
        };
        proxies.proxy_for(&Url::parse(url).unwrap()).is_none()
    }

    #[test]
    fn t4_exceptions_are_those_of_go() {
        for (except, url, expected) in [
            ("", "https://r.example/", false),
            ("*", "https://r.example/", true),
            (" a, * ", "http://10.0.0.1/", true),
            ("example", "https://example/", true),
            ("example", "https://r.example/", true),
            ("r.example", "https://other.example/", false),
            ("ample", "https://r.example/", false),
            ("R.Example", "https://r.example/", true),
            (".example", "https://r.example/", true),
            (".r.example", "https://r.example/", false),
            ("*.example", "https://r.example/", true),
            ("*.r.example", "https://r.example/", false),
            ("r.example:443", "https://r.example/", true),
            ("r.example:5000", "https://r.example/", false),
            ("r.example:5000", "https://r.example:5000/", true),
            ("r.example:x", "https://r.example/", false),
            ("10.0.0.1", "https://10.0.0.1/", true),
            ("10.0.0.1:5000", "https://10.0.0.1/", false),
            ("10.0.0.1:443", "https://10.0.0.1/", true),
            ("10.0.0.0/8", "https://10.9.9.9:5000/", true),
            ("10.0.0.0/8", "https://11.0.0.1/", false),
            ("0.0.0.0/0", "https://11.0.0.1/", true),
            ("10.0.0.0/33", "https://10.0.0.0/", false),
            ("fd00::/8", "https://[fd12::1]/", true),
            ("fd00::/8", "https://[fe80::1]/", false),
            ("[fd00::1]:5000", "https://[fd00::1]:5000/", true),
            ("fd00::1", "https://[fd00::1]/", true),
            (",, ,:,.", "https://r.example/", false),
            ("", "http://localhost:5000/", true),
            ("", "http://a.localhost/", true),
            ("", "http://127.0.0.2:1/", true),
            ("", "https://[::1]/", true),
            ("", "https://10.0.0.1/", false),
        ] {
            assert_eq!(direct(except, url), expected, "NO_PROXY={except} {url}");
        }
    }

    #[test]
    fn t4_each_scheme_has_its_proxy() {
        let proxies = Proxies {
            https: Some("https://p.example".parse().unwrap()),
            ..Proxies::default()
        };
        let found = |url| {
            proxies
                .proxy_for(&Url::parse(url).unwrap())
                .map(Proxy::to_string)
        };
        assert_eq!(found("https://r.example"), Some("p.example:443".to_owned()));
        assert_eq!(found("http://r.example"), None);
    }

    #[test]
    fn t4_proxies_are_printed_without_what_they_are_shown() {
        for (text, expected) in [
            ("p.example", "p.example:80"),
            ("p.example:3128", "p.example:3128"),
            ("http://me:hidden@p.example:3128/", "p.example:3128"),
            ("https://p.example", "p.example:443"),
            ("socks5://me:hidden@p.example", "p.example:1080"),
            ("socks5h://[::1]:1081", "[::1]:1081"),
        ] {
            let proxy: Proxy = text.parse().unwrap();
            assert_eq!(proxy.to_string(), expected, "{text}");
            assert!(!format!("{proxy:?}").contains("hidden"), "{proxy:?}");
        }
        for text in [
            "",
            "ftp://me:hidden@p.example",
            "http://",
            "http://me:hidden@p.example:x",
        ] {
            let error = text.parse::<Proxy>().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Invalid);
            assert!(!error.to_string().contains("hidden"), "{error}");
        }
    }
}
