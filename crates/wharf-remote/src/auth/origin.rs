//! Origins: scheme, host and port (wire.md section 11, rule 2).

use url::Url;

/// Whether both URLs have one scheme, host and port: only then may one see what the other may.
pub(crate) fn same_origin(one: &Url, other: &Url) -> bool {
    one.scheme() == other.scheme()
        && one.host() == other.host()
        && one.port_or_known_default() == other.port_or_known_default()
}

#[cfg(test)]
mod tests {
    use super::*;

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
