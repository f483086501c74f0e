//! Redirects of a registry: which are followed, the form of their URLs, and whether they keep its
//! origin.
//!
//! `dns.rs` checks their host when the connection is made.

use http::Method;
use http::header::LOCATION;
use url::Url;

use wharf_core::{Error, ErrorKind, Guard, Result};

/// Resolves `location` against the URL that answered with it. Drops user names, passwords and
/// fragments: a registry does not choose credentials for another host.
///
/// # Errors
/// [`ErrorKind::Rejected`] if it is not a URL of http or https.
pub(crate) fn follow(answered: &Url, location: &str) -> Result<Url> {
    let invalid = |why: &str| {
        Error::new(
            ErrorKind::Rejected,
            format!("the location it sent is {why}"),
        )
    };
    let mut url = answered.join(location).map_err(|_| invalid("no URL"))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(invalid("neither http nor https"));
    }
    // Neither can fail: such a URL has a host.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.set_fragment(None);
    Ok(url)
}

/// Whether both URLs have the same scheme, host and port, and so may get the same credentials
/// (wire.md section 11, rule 2).
pub(crate) fn same_origin(one: &Url, other: &Url) -> bool {
    one.scheme() == other.scheme()
        && one.host() == other.host()
        && one.port_or_known_default() == other.port_or_known_default()
}

/// Host and port of a URL, for messages.
pub(crate) fn authority(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    match url.port_or_known_default() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    }
}

/// The redirect of an answer, if it is to be followed: any for a read, with a body only one that
/// keeps method and body (RFC 9110, section 15.4; wire.md U7).
pub(super) fn redirect(method: &Method, response: &reqwest::Response) -> Option<String> {
    let redirects = match response.status().as_u16() {
        307 | 308 => true,
        301..=303 => matches!(*method, Method::GET | Method::HEAD),
        _ => false,
    };
    let location = response.headers().get(LOCATION).filter(|_| redirects)?;
    location.to_str().ok().map(str::to_owned)
}

/// The error of a redirect that would take credentials to another origin.
pub(super) fn elsewhere(url: &Url) -> Error {
    let message = format!(
        "it redirects to {} with credentials; nothing was sent there",
        authority(url)
    );
    Error::new(ErrorKind::Refused, message)
}

/// The error of a redirect that would leave TLS.
pub(super) fn uncovered(url: &Url) -> Error {
    let message = format!(
        "it redirects from https to plain http at {}; nothing was sent there",
        authority(url)
    );
    Error::guarded(Guard::Cleartext, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn follow_from(registry: &str, location: &str) -> Result<Url> {
        let registry = Url::parse(registry).unwrap();
        follow(&registry.join("/v2/a/blobs/uploads/").unwrap(), location)
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
            (
                "https://me:hidden@r.example/x?a#piece",
                "https://r.example/x?a",
            ),
        ] {
            assert_eq!(
                follow_from("https://r.example", location).unwrap().as_str(),
                expected
            );
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
                follow_from("https://r.example", location)
                    .unwrap_err()
                    .kind(),
                ErrorKind::Rejected
            );
        }
    }

    #[test]
    fn an_origin_is_scheme_host_and_port() {
        let same = |one, other| same_origin(&Url::parse(one).unwrap(), &Url::parse(other).unwrap());
        assert!(same("https://r.example/v2/", "https://R.example:443/x?y"));
        for other in [
            "http://r.example/v2/",
            "http://r.example:443/v2/",
            "https://r.example:444/v2/",
            "https://r.example.evil.example/",
            "https://r.example@evil.example/",
        ] {
            assert!(!same("https://r.example/v2/", other), "{other}");
        }
    }
}
