//! Where a registry may send us: the form of the URLs it names.
//!
//! What hosts they lead to is judged where the connection is made, by `transport/names.rs`.

use url::Url;

use wharf_core::{Error, ErrorKind, Result};

/// The URL that `location` means when `answered` gave it. User names, passwords and fragments in it
/// are dropped: what we show to whom is not for a registry to say.
///
/// # Errors
/// [`ErrorKind::Rejected`] where it is no URL of http or https.
pub(super) fn follow(answered: &Url, location: &str) -> Result<Url> {
    let invalid = |why: &str| Error::new(ErrorKind::Rejected, format!("location it gave is {why}"));
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
}
