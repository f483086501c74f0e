//! Registries: host and port, normalised to one spelling.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use crate::text::Quoted;

/// A registry, `ghcr.io` or `[::1]:5000`.
///
/// `index.docker.io` becomes `docker.io` (with port 443 too). Letters become lower case if the text
/// is still recognisable as a registry then. A bare word (`registry`) is not a registry: in a
/// reference it is the first part of a repository's name.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Registry {
    authority: String,
    host: String,
    port: Option<u16>,
}

impl Registry {
    /// Docker Hub, the default.
    pub fn docker_hub() -> Registry {
        Registry {
            authority: HUB.to_owned(),
            host: HUB.to_owned(),
            port: None,
        }
    }

    /// Host and port as in a reference: `docker.io`, `localhost:5000`, `[::1]:5000`.
    pub fn as_str(&self) -> &str {
        &self.authority
    }

    /// The host without port and without brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port, when one was given.
    pub fn port(&self) -> Option<u16> {
        self.port
    }

    /// Host and port where the registry's API answers: as [`as_str`](Self::as_str), but
    /// `index.docker.io` for Docker Hub.
    pub fn endpoint_authority(&self) -> &str {
        if self.is_docker_hub() {
            HUB_ENDPOINT
        } else {
            &self.authority
        }
    }

    /// Whether this is Docker Hub.
    pub fn is_docker_hub(&self) -> bool {
        self.authority == HUB
    }

    /// Whether this is certainly the same machine: `localhost`, `*.localhost`, 127.0.0.0/8, `::1`.
    pub fn is_local(&self) -> bool {
        match self.address() {
            Some(address) => address.is_loopback(),
            None => {
                let host = self.host.to_ascii_lowercase();
                host == "localhost" || host.ends_with(".localhost")
            }
        }
    }

    /// Whether the host is the literal of a private IPv4 address (RFC 1918).
    pub fn is_private(&self) -> bool {
        matches!(self.address(), Some(IpAddr::V4(address)) if address.is_private())
    }

    /// The address, when the host is a literal of one.
    fn address(&self) -> Option<IpAddr> {
        self.host
            .parse::<IpAddr>()
            .ok()
            .map(|address| address.to_canonical())
    }
}

impl FromStr for Registry {
    type Err = RegistryError;

    fn from_str(text: &str) -> Result<Registry, RegistryError> {
        parse(text).map_err(|problem| RegistryError {
            text: text.to_owned(),
            problem,
        })
    }
}

impl fmt::Display for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.authority)
    }
}

/// Whether the first part of a reference is a registry, by Docker's rule.
pub(crate) fn looks_like_registry(text: &str) -> bool {
    text == "localhost"
        || text.starts_with('[')
        || text
            .chars()
            .any(|character| matches!(character, '.' | ':') || character.is_uppercase())
}

fn parse(text: &str) -> Result<Registry, RegistryProblem> {
    if text.is_empty() {
        return Err(RegistryProblem::Empty);
    }
    if text.contains("://") {
        return Err(RegistryProblem::Scheme);
    }
    let (host, port) = split_port(text)?;
    let port = port.map(parse_port).transpose()?;
    if let Some(inner) = host.strip_prefix('[') {
        let inner = inner.strip_suffix(']').ok_or(RegistryProblem::Bracket)?;
        let address: Ipv6Addr = inner.parse().map_err(|_| RegistryProblem::Address)?;
        return Ok(assemble(address.to_string(), port));
    }
    check_host(host)?;
    if !looks_like_registry(text) {
        return Err(RegistryProblem::Bare);
    }
    let lower = text.to_ascii_lowercase();
    let host = if looks_like_registry(&lower) {
        host.to_ascii_lowercase()
    } else {
        host.to_owned()
    };
    match (host.as_str(), port) {
        (HUB | HUB_ENDPOINT, None | Some(443)) => Ok(Registry::docker_hub()),
        _ => Ok(assemble(host, port)),
    }
}

fn assemble(host: String, port: Option<u16>) -> Registry {
    let shown = if host.contains(':') {
        format!("[{host}]")
    } else {
        host.clone()
    };
    let authority = match port {
        Some(port) => format!("{shown}:{port}"),
        None => shown,
    };
    Registry {
        authority,
        host,
        port,
    }
}

fn split_port(text: &str) -> Result<(&str, Option<&str>), RegistryProblem> {
    if text.starts_with('[') {
        let end = text.find(']').ok_or(RegistryProblem::Bracket)?;
        let (host, rest) = text.split_at(end + 1);
        return match rest.strip_prefix(':') {
            Some(port) => Ok((host, Some(port))),
            None if rest.is_empty() => Ok((host, None)),
            None => Err(RegistryProblem::Bracket),
        };
    }
    match text.split_once(':') {
        Some((_, port)) if port.contains(':') => Err(RegistryProblem::Colons),
        Some((host, port)) => Ok((host, Some(port))),
        None => Ok((text, None)),
    }
}

fn parse_port(text: &str) -> Result<u16, RegistryProblem> {
    let problem = || RegistryProblem::Port {
        port: text.to_owned(),
    };
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(problem());
    }
    text.parse()
        .ok()
        .filter(|port| *port != 0)
        .ok_or_else(problem)
}

/// Labels of letters, digits and inner dashes between dots. An IPv4 address has that form too.
fn check_host(host: &str) -> Result<(), RegistryProblem> {
    let mut position = 1;
    for label in host.split('.') {
        if label.is_empty() {
            return Err(RegistryProblem::EmptyLabel { position });
        }
        for (index, character) in label.chars().enumerate() {
            let edge = index == 0 || index + 1 == label.chars().count();
            let allowed = character.is_ascii_alphanumeric() || (character == '-' && !edge);
            if !allowed {
                return Err(RegistryProblem::Character {
                    character,
                    position: position + index,
                });
            }
        }
        position += label.chars().count() + 1;
    }
    // Four numbers that are not an address would be looked up as a name that cannot exist.
    let numbers = host.split('.').count() == 4
        && host
            .bytes()
            .all(|byte| byte == b'.' || byte.is_ascii_digit());
    if numbers && host.parse::<Ipv4Addr>().is_err() {
        return Err(RegistryProblem::Address);
    }
    Ok(())
}

const HUB: &str = "docker.io";
const HUB_ENDPOINT: &str = "index.docker.io";

/// Text that is not a registry.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("registry {}: {problem}", Quoted(text))]
pub struct RegistryError {
    text: String,
    problem: RegistryProblem,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
enum RegistryProblem {
    #[error("it is empty")]
    Empty,
    #[error("a registry has no scheme (leave out what is before the host)")]
    Scheme,
    #[error("a bare word is not a registry (add a port or a domain)")]
    Bare,
    #[error("brackets must enclose the IPv6 address and only it")]
    Bracket,
    #[error("too many ':' (put an IPv6 address in brackets)")]
    Colons,
    #[error("not an IP address")]
    Address,
    #[error("port {} is not a number from 1 to 65535", Quoted(port))]
    Port { port: String },
    #[error("a part between dots is empty at position {position}")]
    EmptyLabel { position: usize },
    #[error(
        "character {character:?} is not allowed at position {position} (letters, digits, '.', inner '-')"
    )]
    Character { character: char, position: usize },
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn registry(text: &str) -> Registry {
        text.parse().unwrap()
    }

    fn message(text: &str) -> String {
        text.parse::<Registry>().unwrap_err().to_string()
    }

    #[test]
    fn docker_hub_has_one_spelling_and_its_own_endpoint() {
        for text in ["docker.io", "index.docker.io", "Docker.IO", "docker.io:443"] {
            assert_eq!(registry(text), Registry::docker_hub(), "{text}");
        }
        assert_eq!(Registry::docker_hub().to_string(), "docker.io");
        assert_eq!(
            Registry::docker_hub().endpoint_authority(),
            "index.docker.io"
        );
        assert_eq!(registry("ghcr.io").endpoint_authority(), "ghcr.io");
        assert!(!registry("docker.io:5000").is_docker_hub());
    }

    #[test]
    fn host_and_port_are_told_apart() {
        for (text, shown, host, port) in [
            ("ghcr.io", "ghcr.io", "ghcr.io", None),
            ("GHCR.io:0443", "ghcr.io:443", "ghcr.io", Some(443)),
            ("localhost:5000", "localhost:5000", "localhost", Some(5000)),
            ("[::1]:5000", "[::1]:5000", "::1", Some(5000)),
            ("[2001:DB8:0::1]", "[2001:db8::1]", "2001:db8::1", None),
            ("127.0.0.1:80", "127.0.0.1:80", "127.0.0.1", Some(80)),
            ("Registry", "Registry", "Registry", None),
            ("registry:5000", "registry:5000", "registry", Some(5000)),
        ] {
            let parsed = registry(text);
            assert_eq!(
                (parsed.as_str(), parsed.host(), parsed.port()),
                (shown, host, port),
                "{text}"
            );
        }
    }

    // wire.md A3: where plain http may be tried.
    #[test]
    fn local_and_private_registries_are_known_by_their_literals() {
        for text in [
            "localhost",
            "LOCALHOST:1",
            "a.localhost",
            "127.0.0.1",
            "127.8.9.1:5000",
            "[::1]",
            "[::ffff:127.0.0.1]",
        ] {
            assert!(registry(text).is_local(), "{text}");
        }
        for text in [
            "localhost.example.com",
            "128.0.0.1",
            "[::2]",
            "127.0.0.1.example.com",
            "notlocalhost.io",
            "10.0.0.1",
        ] {
            assert!(!registry(text).is_local(), "{text}");
        }
        for text in [
            "10.0.0.1",
            "172.16.0.1:5000",
            "172.31.255.255",
            "192.168.1.1",
        ] {
            assert!(registry(text).is_private(), "{text}");
        }
        for text in [
            "172.32.0.1",
            "11.0.0.1",
            "10.0.0.1.example.com",
            "[fd00::1]",
            "127.0.0.1",
        ] {
            assert!(!registry(text).is_private(), "{text}");
        }
    }

    #[test]
    fn errors_name_what_is_wrong() {
        assert!(message("").contains("it is empty"));
        assert!(message("https://ghcr.io").contains("leave out"));
        assert!(message("registry").contains("a bare word is not a registry"));
        assert!(message("::1").contains("in brackets"));
        assert!(message("[::1").contains("brackets"));
        assert!(message("[::1]5000").contains("brackets"));
        assert!(message("[::g]").contains("not an IP address"));
        assert!(message("[127.0.0.1]").contains("not an IP address"));
        assert!(message("256.0.0.1").contains("not an IP address"));
        for port in ["", "0", "65536", "+80", "8o", " 80"] {
            let expected = format!("port {port:?} is not a number from 1 to 65535");
            assert!(
                message(&format!("a.io:{port}")).contains(&expected),
                "{port}"
            );
        }
        assert!(message("a..io").contains("empty at position 3"));
        assert!(message(".").contains("empty at position 1"));
        assert!(message("a.io.").contains("empty at position 6"));
        assert!(message("my_registry.io").contains("'_' is not allowed at position 3"));
        assert!(message("a.-b").contains("'-' is not allowed at position 3"));
        assert!(message("user@a.io").contains("'@' is not allowed at position 5"));
        assert!(message("a.io\n").contains(r"'\n' is not allowed"));
    }

    proptest! {
        #[test]
        fn display_parses_back(text in "(\\[[0-9a-f:]{2,12}\\]|[A-Za-z0-9-]{1,5}(\\.[A-Za-z0-9-]{1,5}){0,3})(:[0-9]{1,5})?") {
            if let Ok(parsed) = text.parse::<Registry>() {
                prop_assert_eq!(parsed.to_string().parse::<Registry>(), Ok(parsed));
            }
        }

        #[test]
        fn any_text_is_parsed_or_refused_in_one_line(text: String) {
            if let Err(error) = text.parse::<Registry>() {
                prop_assert!(!error.to_string().contains(char::is_control));
            }
        }
    }
}
