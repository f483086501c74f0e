//! Which hosts are near: this machine and private networks. Pure.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use ipnet::IpNet;
use url::Host;

use crate::tls::Authority;
use wharf_core::{Error, ErrorKind, Result};

/// Whether an address is loopback, private, link-local or unspecified, or of a shared carrier
/// network.
pub(super) fn is_near(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => is_near_v4(address),
        IpAddr::V6(address) => {
            embedded_v4(address).is_some_and(is_near_v4)
                || address.is_loopback()
                || address.is_unspecified()
                || address.is_unique_local()
                || address.is_unicast_link_local()
        }
    }
}

/// Whether an address is link-local or unspecified: not used by stores, but by clouds to give
/// machines their secrets.
pub(super) fn is_link_local(address: IpAddr) -> bool {
    let is_v4 = |address: Ipv4Addr| address.octets()[0] == 0 || address.is_link_local();
    match address.to_canonical() {
        IpAddr::V4(address) => is_v4(address),
        IpAddr::V6(address) => {
            embedded_v4(address).is_some_and(is_v4)
                || address.is_unspecified()
                || address.is_unicast_link_local()
        }
    }
}

/// The same for a host, by its spelling.
pub(super) fn is_link_local_as_written(host: &str) -> bool {
    host.parse().is_ok_and(is_link_local)
}

/// Whether a host is near by its spelling; names are not resolved.
pub(super) fn is_near_as_written(host: &str) -> bool {
    match host.parse::<IpAddr>() {
        Ok(address) => is_near(address),
        Err(_) => {
            let name = host.trim_end_matches('.').to_ascii_lowercase();
            name == "localhost" || name.ends_with(".localhost")
        }
    }
}

/// Whether a host is this machine by its spelling; names are not resolved.
pub(super) fn is_loopback_as_written(host: &str) -> bool {
    match host.parse::<IpAddr>() {
        Ok(address) => address.to_canonical().is_loopback(),
        Err(_) => is_near_as_written(host),
    }
}

/// The embedded IPv4 address: IPv4-compatible, or of a translator (RFC 6052).
fn embedded_v4(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let [a, b, c, d, e, f, high, low] = address.segments();
    let compatible = [a, b, c, d, e, f] == [0; 6] && high != 0;
    let translated = [a, b, c, d, e, f] == [0x64, 0xff9b, 0, 0, 0, 0];
    let bits = (u32::from(high) << 16) | u32::from(low);
    (compatible || translated).then(|| Ipv4Addr::from(bits))
}

fn is_near_v4(address: Ipv4Addr) -> bool {
    let [first, second, ..] = address.octets();
    // Carriers and clouds share 100.64.0.0/10 for their inner networks.
    let shared = first == 100 && (64..128).contains(&second);
    first == 0 || shared || address.is_loopback() || address.is_private() || address.is_link_local()
}

/// A near host, or network, that registries may redirect to: for example an internal store behind a
/// public registry.
///
/// Written as a host or address with or without a port, or as a network in CIDR notation.
///
/// ```
/// # mod wharf {
/// #     pub use wharf_remote as remote;
/// # }
/// use wharf::remote::Neighbour;
///
/// for text in ["store.internal", "store.internal:9000", "10.1.2.3", "[fd00::1]:443", "10.0.0.0/8"] {
///     let neighbour: Neighbour = text.parse().unwrap();
///     assert_eq!(neighbour.to_string(), text);
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Neighbour(What);

#[derive(Clone, Debug, PartialEq, Eq)]
enum What {
    /// As in URLs: lower case, without brackets.
    Host { host: String, port: Option<u16> },
    /// An address alone is a network of one.
    Network(IpNet),
}

impl Neighbour {
    /// Whether it is the host and port of a URL, or has its address.
    pub(super) fn is_at(&self, at: &Authority) -> bool {
        match &self.0 {
            What::Host { host, port } => {
                *host == at.host.trim_end_matches('.') && port.is_none_or(|port| port == at.port)
            }
            What::Network(_) => at.host.parse().is_ok_and(|address| self.has(address)),
        }
    }

    /// Whether it is a network with this address in it.
    pub(super) fn has(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        matches!(&self.0, What::Network(network) if network.contains(&address))
    }
}

impl FromStr for Neighbour {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let invalid = || {
            let message = "neither HOST[:PORT], an address nor a network such as 10.0.0.0/8";
            Error::new(ErrorKind::Invalid, message).target(text)
        };
        if text.contains('/') {
            let network = text.parse().map_err(|_| invalid())?;
            return Ok(Neighbour(What::Network(network)));
        }
        if let Ok(address) = text.parse::<IpAddr>() {
            return Ok(Neighbour(What::Network(address.into())));
        }
        let (host, port) = match text.rsplit_once(':') {
            Some((host, port)) => (host, Some(port.parse().map_err(|_| invalid())?)),
            None => (text, None),
        };
        let host = Host::parse(host).map_err(|_| invalid())?;
        if matches!(&host, Host::Domain(name) if !is_name(name)) {
            return Err(invalid());
        }
        let host = host.to_string();
        let host = host
            .trim_matches(['[', ']'])
            .trim_end_matches('.')
            .to_owned();
        Ok(Neighbour(What::Host { host, port }))
    }
}

/// Whether this can be a host name: URLs accept more than DNS, except for `_`.
fn is_name(name: &str) -> bool {
    let letter = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    let name = name.strip_suffix('.').unwrap_or(name);
    name.split('.')
        .all(|label| (1..=63).contains(&label.len()) && label.bytes().all(letter))
}

impl fmt::Display for Neighbour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            What::Host { host, port } => {
                match host.contains(':') {
                    true => write!(f, "[{host}]")?,
                    false => f.write_str(host)?,
                }
                port.map_or(Ok(()), |port| write!(f, ":{port}"))
            }
            What::Network(one) if one.prefix_len() == one.max_prefix_len() => one.addr().fmt(f),
            What::Network(network) => network.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use url::Url;

    use super::*;

    fn at(url: &str) -> Authority {
        Authority::of(&Url::parse(url).unwrap())
    }

    #[test]
    fn m5_near_hosts_are_known_however_they_are_written() {
        for host in [
            "127.0.0.1",
            "127.1",
            "2130706433",
            "0x7f.0.0.1",
            "0177.0.0.1",
            "10.1.2.3",
            "192.168.0.1",
            "172.16.0.1",
            "169.254.169.254",
            "0.0.0.0",
            "100.64.0.1",
            "[::1]",
            "[::]",
            "[fe80::1]",
            "[fd00::1]",
            "[::ffff:10.0.0.1]",
            "[::127.0.0.1]",
            "[64:ff9b::10.0.0.1]",
            "localhost",
            "LOCALHOST.",
            "x.localhost",
        ] {
            let at = at(&format!("http://{host}:99/up"));
            assert!(is_near_as_written(&at.host), "{host}");
        }
        for host in [
            "192.0.2.1",
            "100.128.0.1",
            "172.32.0.1",
            "[2001:db8::1]",
            "r.example",
        ] {
            let at = at(&format!("http://{host}:99/up"));
            assert!(!is_near_as_written(&at.host), "{host}");
        }
    }

    #[test]
    fn neighbours_are_hosts_with_or_without_port_and_networks() {
        for (text, here, not_here) in [
            (
                "Store.Internal",
                "http://store.internal:9000",
                "http://x.store.internal",
            ),
            (
                "store.internal:9000",
                "http://store.internal.:9000",
                "http://store.internal",
            ),
            ("10.1.2.3", "http://10.1.2.3:9000", "http://10.1.2.4"),
            ("10.1.2.3:443", "https://10.1.2.3", "http://10.1.2.3"),
            ("[fd00::1]:80", "http://[fd00::1]", "http://[fd00::2]"),
            ("fd00::/8", "http://[fdff::1]", "http://[fe80::1]"),
            ("10.0.0.0/8", "http://10.9.8.7:1", "http://11.0.0.1"),
            ("0.0.0.0/0", "http://127.0.0.1", "http://[::1]"),
            (
                "localhost",
                "http://localhost:5000",
                "http://127.0.0.1:5000",
            ),
        ] {
            let neighbour: Neighbour = text.parse().unwrap();
            assert!(neighbour.is_at(&at(here)), "{text} {here}");
            assert!(!neighbour.is_at(&at(not_here)), "{text} {not_here}");
        }
    }

    #[test]
    fn what_is_no_neighbour_is_one_clear_error() {
        for text in [
            "",
            ":1",
            "a b",
            "!!",
            "a!b.example:1",
            "a..b",
            ".",
            "*.example",
            "host:port",
            "host:99999",
            "10.0.0.0/33",
            "x/8",
            "10.0.0.0/",
        ] {
            let error = text.parse::<Neighbour>().unwrap_err().to_string();
            assert!(error.contains("neither HOST[:PORT]"), "{text}: {error}");
        }
    }
}
