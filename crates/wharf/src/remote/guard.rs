//! Where a registry may send us: URLs it names are judged before anything is sent there.
//!
//! A registry out on the network must not make us talk to machines next to us (PUSH.md M5).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use url::{Host, Url};

use crate::{Error, ErrorKind, Result};

/// The URL that `location` means when `answered` gave it, if it may be followed by a client
/// that set out to talk to `registry`.
///
/// # Errors
/// [`ErrorKind::Rejected`] where it is no URL of http or https; [`ErrorKind::Refused`] where it
/// leads to a loopback, private, link-local or unspecified address and the registry is not such.
pub(super) fn follow(registry: &Url, answered: &Url, location: &str) -> Result<Url> {
    let invalid = |why: &str| Error::new(ErrorKind::Rejected, format!("location it gave is {why}"));
    let url = answered.join(location).map_err(|_| invalid("no URL"))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(invalid("neither http nor https"));
    }
    let host = url.host().ok_or_else(|| invalid("without a host"))?;
    let own = registry.host();
    if own.as_ref() == Some(&host) || !is_near(&host) || own.as_ref().is_some_and(is_near) {
        return Ok(url);
    }
    let message =
        format!("it sends us to {host}, an address of a private network; nothing was sent there");
    Err(Error::new(ErrorKind::Refused, message))
}

/// Whether a host is this machine or one of its own network, judged by how it is written.
fn is_near<S: AsRef<str>>(host: &Host<S>) -> bool {
    match host {
        Host::Ipv4(address) => is_near_v4(*address),
        Host::Ipv6(address) => match IpAddr::V6(*address).to_canonical() {
            IpAddr::V4(address) => is_near_v4(address),
            IpAddr::V6(address) => {
                embedded_v4(address).is_some_and(is_near_v4)
                    || address.is_loopback()
                    || address.is_unspecified()
                    || address.is_unique_local()
                    || address.is_unicast_link_local()
            }
        },
        Host::Domain(name) => {
            let name = name.as_ref().trim_end_matches('.');
            name.eq_ignore_ascii_case("localhost")
                || name.to_ascii_lowercase().ends_with(".localhost")
        }
    }
}

/// The older address within: IPv4-compatible ones, and those of translators (RFC 6052).
fn embedded_v4(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let [a, b, c, d, e, f, high, low] = address.segments();
    let compatible = [a, b, c, d, e, f] == [0; 6] && high != 0;
    let translated = [a, b, c, d, e, f] == [0x64, 0xff9b, 0, 0, 0, 0];
    let bits = (u32::from(high) << 16) | u32::from(low);
    (compatible || translated).then(|| Ipv4Addr::from(bits))
}

fn is_near_v4(address: Ipv4Addr) -> bool {
    let [first, second, ..] = address.octets();
    // 100.64.0.0/10 is shared by carriers and clouds for their inner networks.
    let shared = first == 100 && (64..128).contains(&second);
    first == 0 || shared || address.is_loopback() || address.is_private() || address.is_link_local()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(registry: &str, location: &str) -> Result<Url> {
        let registry = Url::parse(registry).unwrap();
        follow(
            &registry,
            &registry.join("/v2/a/blobs/uploads/").unwrap(),
            location,
        )
    }

    #[test]
    fn m4_locations_may_be_relative_absolute_with_or_without_query() {
        for (location, expected) in [
            (
                "/v2/a/blobs/uploads/1",
                "https://r.example/v2/a/blobs/uploads/1",
            ),
            (
                "1?state=b%2Fc&a=1",
                "https://r.example/v2/a/blobs/uploads/1?state=b%2Fc&a=1",
            ),
            (
                "https://cdn.example:8443/up?z=1&a=2",
                "https://cdn.example:8443/up?z=1&a=2",
            ),
            ("//other.example/x", "https://other.example/x"),
        ] {
            assert_eq!(
                judge("https://r.example", location).unwrap().as_str(),
                expected
            );
        }
    }

    #[test]
    fn m5_a_public_registry_cannot_send_us_to_a_near_address_however_it_is_written() {
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
            let error = judge("https://r.example", &format!("http://{host}:99/up")).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Refused, "{host}");
        }
    }

    #[test]
    fn m5_a_near_registry_may_use_its_own_network() {
        for registry in [
            "http://localhost:5000",
            "http://10.0.0.1",
            "https://[::1]:5000",
        ] {
            judge(registry, "http://192.168.0.1/up").unwrap();
        }
    }

    #[test]
    fn other_schemes_are_not_followed() {
        for location in [
            "file:///etc/passwd",
            "ftp://x/",
            "data:text/plain,hi",
            "http://",
        ] {
            assert_eq!(
                judge("https://r.example", location).unwrap_err().kind(),
                ErrorKind::Rejected
            );
        }
    }
}
