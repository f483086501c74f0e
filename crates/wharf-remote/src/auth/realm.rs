//! Checks the URL of a token server (wire.md section 11, rules 2 and 3).
//!
//! Pure. A registry may name any host over https. A registry over plain http may also name its own
//! host, or this machine, over plain http. For a registry over https, plain http to this machine is
//! for anonymous clients only, unless that registry runs on this machine too.

use url::{Host, Url};

use crate::credentials::Credential;
use crate::transport::follow;
use wharf_core::{Error, ErrorKind, Result};

/// The URL of the token server that `registry` names as `realm`, for `credential`.
///
/// # Errors
/// If it is not a URL, or is one to which nothing may be sent.
pub(super) fn judge(registry: &Url, realm: &str, credential: Option<&Credential>) -> Result<Url> {
    let url = follow(registry, realm).map_err(|error| error.target("realm"))?;
    let plain = registry.scheme() == "http";
    let own = plain && registry.host() == url.host();
    let near = is_loopback(&url) && (plain || is_loopback(registry) || credential.is_none());
    if url.scheme() != "https" && !own && !near {
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
        let password = Credential::password("me", "hidden".into());
        let registry = Url::parse(registry).unwrap();
        judge(&registry, realm, Some(&password)).map(String::from)
    }

    #[test]
    fn fault_c20_what_tls_protected_is_not_sent_in_the_clear_on_this_machine() {
        for realm in [
            "http://127.0.0.1:5001/t",
            "http://localhost/t",
            "http://a.localhost:1/t",
            "http://[::1]:5001/t",
            "http://[::ffff:127.0.0.1]/t",
        ] {
            for registry in ["https://r.example/v2/", "https://10.0.0.1:5000/v2/"] {
                let error = judged(registry, realm).unwrap_err();
                assert_eq!(error.kind(), ErrorKind::Refused, "{realm}: {error}");
                let registry = Url::parse(registry).unwrap();
                assert!(judge(&registry, realm, None).is_ok(), "{realm}");
            }
            for registry in [
                "https://localhost:5000/v2/",
                "https://127.0.0.1/v2/",
                "https://[::1]/v2/",
                "http://r.lan/v2/",
            ] {
                assert!(judged(registry, realm).is_ok(), "{registry} {realm}");
            }
        }
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
