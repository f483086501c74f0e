//! The host names that a server answers to.
//!
//! No firewall guards a server on loopback against web pages: a page can have its own name resolve
//! to 127.0.0.1 (DNS rebinding), and then talk to it. Its requests carry that name. A page may also
//! send some requests, such as a POST, to 127.0.0.1 itself. Those carry the name as their `Origin`.

use std::net::{IpAddr, SocketAddr};

use http::header::{HOST, ORIGIN};
use http::request::Parts;
use http::uri::Authority;
use http::{HeaderValue, StatusCode, Version};

use super::respond::{Code, Refusal};

/// The names in requests that a server answers to.
#[derive(Clone, Debug)]
pub(crate) struct Hosts {
    bound: IpAddr,
    more: Vec<String>,
}

impl Hosts {
    /// The names of a server at this address.
    pub(crate) fn of(bound: SocketAddr) -> Self {
        Hosts {
            bound: bound.ip().to_canonical(),
            more: Vec::new(),
        }
    }

    /// Adds a name. Its port, if any, does not matter.
    pub(crate) fn add(&mut self, name: &str) {
        let name = simple(without_port(name));
        if !name.is_empty() {
            self.more.push(name);
        }
    }

    /// Refuses a request for a host that is not served. An address that is not loopback is reached
    /// under names that the server does not know, so there all are served.
    pub(crate) fn check(&self, head: &Parts) -> Result<(), Box<Refusal>> {
        let hosts = head.headers.get_all(HOST);
        // RFC 9112, 3.2.
        if head.version >= Version::HTTP_11 && hosts.iter().next().is_none() {
            let message = "a request of HTTP/1.1 needs a Host header";
            return Err(Refusal::new(Code::Unsupported, message).status(StatusCode::BAD_REQUEST));
        }
        if !self.bound.is_loopback() {
            return Ok(());
        }
        let named = hosts.iter().map(|host| host.to_str().unwrap_or_default());
        // A target with an authority counts before the header (RFC 9112, 3.2.2).
        let named = head
            .uri
            .authority()
            .map(Authority::as_str)
            .into_iter()
            .chain(named);
        if let Some(host) = named.into_iter().find(|host| !self.serves(host)) {
            return Err(self.foreign(host));
        }
        let mut origins = head.headers.get_all(ORIGIN).iter();
        match origins.find(|origin| !self.is_own(origin)) {
            Some(_) => {
                let message = "a web page of another host may not use a registry on loopback";
                Err(Refusal::new(Code::Denied, message))
            }
            None => Ok(()),
        }
    }

    /// Whether a page of this origin (RFC 6454, 7) has a host that is served.
    fn is_own(&self, origin: &HeaderValue) -> bool {
        let origin = origin.to_str().ok();
        let host = origin.and_then(|origin| Some(origin.split_once("://")?.1));
        host.is_some_and(|host| self.serves(host))
    }

    fn serves(&self, host: &str) -> bool {
        let name = simple(without_port(host));
        let inner = name
            .strip_prefix('[')
            .and_then(|name| name.strip_suffix(']'));
        let address = inner.unwrap_or(&name);
        match address.parse::<IpAddr>() {
            Ok(address) => {
                let address = address.to_canonical();
                address.is_loopback() || address == self.bound || self.more.contains(&name)
            }
            // Names below `localhost` are loopback everywhere (RFC 6761, 6.3).
            Err(_) => {
                name == "localhost" || name.ends_with(".localhost") || self.more.contains(&name)
            }
        }
    }

    fn foreign(&self, host: &str) -> Box<Refusal> {
        let shown: String = host.chars().take(100).collect();
        let message = format!(
            "the host \"{shown}\" is not served on loopback, only localhost and {}; \
             registry serve --host adds a name",
            self.bound
        );
        Refusal::new(Code::Denied, message)
    }
}

/// A name as names are compared: without case and the dot of the root.
fn simple(name: &str) -> String {
    name.trim_end_matches('.').to_ascii_lowercase()
}

/// The part of `host[:port]` before the port.
fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port))
            if port.bytes().all(|byte| byte.is_ascii_digit())
                && (!name.contains(':') || name.ends_with(']')) =>
        {
            name
        }
        _ => host,
    }
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn check(hosts: &Hosts, host: &str) -> bool {
        let request = Request::builder().uri("/v2/").header(HOST, host);
        hosts
            .check(&request.body(()).unwrap().into_parts().0)
            .is_ok()
    }

    #[test]
    fn fault_c9_a_server_on_loopback_serves_its_own_names_only() {
        let mut hosts = Hosts::of("127.0.0.1:5000".parse().unwrap());
        hosts.add("Registry.Example:5000");
        hosts.add("");
        for host in [
            "localhost",
            "LOCALHOST:5000",
            "localhost.:5000",
            "app.localhost:5000",
            "127.0.0.1",
            "127.0.0.1:81",
            "127.9.9.9:5000",
            "[::1]:5000",
            "[::ffff:127.0.0.1]:5000",
            "registry.example:5000",
        ] {
            assert!(check(&hosts, host), "{host}");
        }
        for host in [
            "evil.example",
            "evil.example:5000",
            "localhost.evil.example",
            "evillocalhost",
            "127.0.0.1.evil.example:5000",
            "10.0.0.1:5000",
            "localhost:5000@evil.example",
            "",
        ] {
            assert!(!check(&hosts, host), "{host}");
        }
    }

    #[test]
    fn fault_c9_a_page_of_another_host_is_refused_on_loopback() {
        for (bound, origin, expected) in [
            ("127.0.0.1:5000", "http://localhost:8080", true),
            ("127.0.0.1:5000", "http://127.0.0.1:5000", true),
            ("127.0.0.1:5000", "https://evil.example", false),
            ("127.0.0.1:5000", "null", false),
            ("0.0.0.0:5000", "https://registry.example", true),
        ] {
            let hosts = Hosts::of(bound.parse().unwrap());
            let request = Request::builder().header(HOST, "localhost");
            let head = request.header(ORIGIN, origin).body(()).unwrap();
            let checked = hosts.check(&head.into_parts().0);
            assert_eq!(checked.is_ok(), expected, "{bound} {origin}");
        }
    }

    #[test]
    fn fault_c9_a_server_for_others_serves_every_name() {
        for bound in ["0.0.0.0:5000", "192.0.2.7:5000", "[::]:5000"] {
            let hosts = Hosts::of(bound.parse().unwrap());
            assert!(check(&hosts, "registry.example:5000"), "{bound}");
        }
        let bound = Hosts::of("[::1]:5000".parse().unwrap());
        assert!(check(&bound, "localhost:5000"));
        assert!(!check(&bound, "registry.example"));
    }

    #[test]
    fn fault_c9_http_1_1_needs_a_host() {
        let hosts = Hosts::of("127.0.0.1:5000".parse().unwrap());
        for (version, expected) in [
            (Version::HTTP_10, None),
            (Version::HTTP_11, Some(StatusCode::BAD_REQUEST)),
        ] {
            let request = Request::builder().uri("/v2/").version(version);
            let head = request.body(()).unwrap().into_parts().0;
            let refused = hosts.check(&head).err();
            let status = refused.map(|refusal| refusal.into_answer().status());
            assert_eq!(status, expected);
        }
        let absolute = Request::builder()
            .uri("http://evil.example/v2/")
            .header(HOST, "localhost");
        assert!(
            hosts
                .check(&absolute.body(()).unwrap().into_parts().0)
                .is_err()
        );
    }
}
