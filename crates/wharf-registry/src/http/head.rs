//! What must hold for the head of every request. RFC 9110, RFC 9112.

use http::header::{HOST, TRANSFER_ENCODING};
use http::{HeaderMap, StatusCode};

use super::respond::{Code, Refusal};

/// Refuses a head that could be read in two ways, or that asks for what is not done here.
pub(super) fn check(headers: &HeaderMap) -> Result<(), Box<Refusal>> {
    check_coding(headers)?;
    check_host(headers)
}

/// RFC 9112, 6.1: the only transfer coding here is chunked. The bytes of another one, such as gzip,
/// would be stored as if they were the content.
fn check_coding(headers: &HeaderMap) -> Result<(), Box<Refusal>> {
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    let (first, further) = (codings.next(), codings.next());
    let chunked = |value: &http::HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"chunked");
    if first.is_none_or(chunked) && further.is_none() {
        return Ok(());
    }
    let message = "the only transfer coding that is supported is chunked";
    Err(Refusal::new(Code::Unsupported, message).status(StatusCode::NOT_IMPLEMENTED))
}

/// RFC 9112, 3.2: at most one `Host`, and a valid one.
fn check_host(headers: &HeaderMap) -> Result<(), Box<Refusal>> {
    let mut hosts = headers.get_all(HOST).iter();
    let (first, further) = (hosts.next(), hosts.next());
    let valid = |value: &http::HeaderValue| value.to_str().is_ok_and(is_host);
    if first.is_none_or(valid) && further.is_none() {
        return Ok(());
    }
    let message = "there must be one Host header of the form HOST[:PORT]";
    Err(Refusal::new(Code::Unsupported, message).status(StatusCode::BAD_REQUEST))
}

/// Whether text is `HOST[:PORT]`: a name, an address, or an IPv6 address in brackets.
fn is_host(text: &str) -> bool {
    let (host, port) = match text.strip_prefix('[').map(|rest| rest.split_once(']')) {
        Some(Some((address, port))) => {
            let valid = address.parse::<std::net::Ipv6Addr>().is_ok();
            (valid, port)
        }
        Some(None) => return false,
        None => {
            let (name, port) = text.find(':').map_or((text, ""), |at| text.split_at(at));
            (is_name(name), port)
        }
    };
    let port = port.is_empty()
        || port
            .strip_prefix(':')
            .is_some_and(|port| port.bytes().all(|byte| byte.is_ascii_digit()) && port.len() <= 5);
    host && port
}

/// Whether text is a name of RFC 3986, 3.2.2.
fn is_name(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=%".contains(&byte);
    !text.is_empty() && text.bytes().all(allowed)
}

#[cfg(test)]
mod tests {
    use http::HeaderName;

    use super::*;

    fn status(name: HeaderName, lines: &[&str]) -> Option<u16> {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(&name, line.parse().unwrap());
        }
        let refused = check(&headers).err()?;
        Some(refused.into_answer().status().as_u16())
    }

    #[test]
    fn fault_b18_one_valid_host_is_taken() {
        for host in [
            "a",
            "localhost:5000",
            "registry.example",
            "127.0.0.1:80",
            "[::1]:5000",
            "[::1]",
            "my_host",
            "a:",
        ] {
            assert_eq!(status(HOST, &[host]), None, "{host}");
        }
        assert_eq!(status(HOST, &[]), None);
    }

    #[test]
    fn fault_b18_several_hosts_and_malformed_ones_are_refused() {
        for hosts in [
            &["a", "a"][..],
            &["a", "b"],
            &[""],
            &["a b"],
            &["a, b"],
            &["a/b"],
            &["http://a"],
            &["user@a"],
            &["a:b"],
            &["a:80:80"],
            &["a:+80"],
            &["[::1"],
            &["[::1]x"],
            &["[a]"],
            &["::1"],
            &[":5000"],
            &["a\tb"],
        ] {
            assert_eq!(status(HOST, hosts), Some(400), "{hosts:?}");
        }
    }

    #[test]
    fn fault_b18_no_coding_but_chunked_is_taken() {
        for codings in [&[][..], &["chunked"], &["Chunked"]] {
            assert_eq!(status(TRANSFER_ENCODING, codings), None, "{codings:?}");
        }
        for codings in [
            &["gzip, chunked"][..],
            &["gzip", "chunked"],
            &["chunked, chunked"],
            &["identity, chunked"],
            &["gzip"],
            &[""],
        ] {
            let refused = status(TRANSFER_ENCODING, codings);
            assert_eq!(refused, Some(501), "{codings:?}");
        }
    }
}
