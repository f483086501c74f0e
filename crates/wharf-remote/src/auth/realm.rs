//! Checks the URL of a token server (wire.md section 11, rules 2 and 3).
//!
//! Pure. A registry may name any host over https. Over plain http it may name only this machine, or
//! its own host if that is used over plain http already.

use url::{Host, Url};

use crate::transport::follow;
use wharf_core::{Error, ErrorKind, Result};

/// The URL of the token server that `registry` names as `realm`.
///
/// # Errors
/// If it is not a URL, or is one to which nothing may be sent.
pub(super) fn judge(registry: &Url, realm: &str) -> Result<Url> {
    let url = follow(registry, realm).map_err(|error| error.target("realm"))?;
    let own = registry.scheme() == "http" && registry.host() == url.host();
    if url.scheme() != "https" && !own && !is_loopback(&url) {
        let host = url.host_str().unwrap_or_default();
        let message = format!(
            "the registry names a token server without TLS, http://{host}; nothing was sent there"
        );
        return Err(Error::new(ErrorKind::Refused, message));
    }
    Ok(url)
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.to_canonical().is_loopback(),
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(registry: &str, realm: &str) -> Result<String> {
        judge(&Url::parse(registry).unwrap(), realm).map(String::from)
    }

    #[test]
    fn a2_a_token_server_is_reached_over_tls_or_on_this_machine() {
        for (registry, realm, expected) in [
            (
                "https://r.example/v2/",
                "https://auth.example/token?a=b",
                "https://auth.example/token?a=b",
            ),
            ("https://r.example/v2/", "/token", "https://r.example/token"),
            (
                "http://10.0.0.1:5000/v2/",
                "http://10.0.0.1:5001/t",
                "http://10.0.0.1:5001/t",
            ),
            (
                "http://r.lan/v2/",
                "https://auth.example/t",
                "https://auth.example/t",
            ),
            (
                "http://localhost:5000/v2/",
                "http://127.0.0.1:5001/t",
                "http://127.0.0.1:5001/t",
            ),
            (
                "http://127.0.0.1/v2/",
                "http://u:p@[::1]:1/t#x",
                "http://[::1]:1/t",
            ),
        ] {
            assert_eq!(judged(registry, realm).unwrap(), expected, "{realm}");
        }
    }

    #[test]
    fn a2_other_token_servers_get_nothing() {
        for (registry, realm) in [
            ("https://r.example/v2/", "http://auth.example/token"),
            ("https://r.example/v2/", "http://r.example/token"),
            ("http://r.lan/v2/", "http://auth.lan/token"),
        ] {
            let error = judged(registry, realm).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Refused, "{realm}: {error}");
        }
        for realm in ["ftp://auth.example/", "http://", "data:x"] {
            let error = judged("https://r.example/v2/", realm).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Rejected, "{realm}: {error}");
        }
    }
}
