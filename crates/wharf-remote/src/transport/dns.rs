//! Resolves names, and checks the addresses of connections (wire.md section 11, rule 3).
//!
//! A public registry must not make us connect to near machines. Addresses are checked where the
//! connection is made, so the checked address is the connected one, whatever DNS says later. A
//! registry's own name may resolve to near addresses; it may then redirect to other near ones,
//! except link-local ones, where clouds keep machine secrets. The first resolution counts: a public
//! name cannot become near later.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::Url;

use super::near::{self, Neighbour};
use crate::tls::Authority;
use wharf_core::sync::Lock;
use wharf_core::{Error, Guard, Result};

/// Resolves host names, instead of the system.
pub trait Resolver: fmt::Debug + Send + Sync {
    /// The addresses of the host named `name`, the best first.
    ///
    /// # Errors
    /// If the name is unknown.
    fn addresses(&self, name: &str) -> BoxFuture<'static, io::Result<Vec<IpAddr>>>;
}

/// The system's resolver.
#[derive(Debug)]
pub(crate) struct System;

impl Resolver for System {
    fn addresses(&self, name: &str) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> {
        let name = name.to_owned();
        async move {
            let found = tokio::net::lookup_host((name, 0)).await?;
            Ok(found.map(|address| address.ip()).collect())
        }
        .boxed()
    }
}

/// The resolved names. Shared by all clients.
#[derive(Debug)]
pub(crate) struct Names {
    /// Addresses that the user gave. They are used for connections, but do not make a host near.
    given: HashMap<String, Vec<SocketAddr>>,
    resolver: Arc<dyn Resolver>,
    neighbours: Vec<Neighbour>,
    /// Where registries were first resolved to.
    homes: Lock<HashMap<String, Home>>,
}

/// The kind of addresses of a registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Home {
    /// Only near addresses.
    Near,
    /// Near and public ones.
    Both,
    /// Only public ones.
    Far,
}

/// The addresses that a connection may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Reach {
    /// The registry's own host: any address, unless it first resolved to public ones only.
    Own,
    /// Any.
    Any,
    /// Any but a link-local one.
    Neighbours,
    /// Only public ones.
    Far,
}

impl Names {
    pub(crate) fn new(
        given: HashMap<String, Vec<SocketAddr>>,
        resolver: Option<Arc<dyn Resolver>>,
        neighbours: Vec<Neighbour>,
    ) -> Self {
        Names {
            given,
            resolver: resolver.unwrap_or_else(|| Arc::new(System)),
            neighbours,
            homes: Lock::default(),
        }
    }

    /// The reach of a connection to `url` on behalf of `registry`.
    ///
    /// # Errors
    /// [`wharf_core::ErrorKind::Refused`] if the URL names a near address that the registry may not
    /// redirect to.
    pub(super) async fn reach(&self, url: &Url, registry: Option<&Authority>) -> Result<Reach> {
        let at = Authority::of(url);
        let Some(registry) = registry.filter(|_| !self.allows(&at)) else {
            return Ok(Reach::Any);
        };
        if registry.host == at.host {
            return Ok(Reach::Own);
        }
        if near::is_link_local_as_written(&registry.host) {
            return Ok(Reach::Any);
        }
        match self.lives_near(&registry.host).await {
            true => written_within(url, &at, Reach::Neighbours),
            false => written_within(url, &at, Reach::Far),
        }
    }

    /// The same if a proxy makes the connection: the proxy resolves names, so they are checked by
    /// spelling only.
    ///
    /// # Errors
    /// As [`Names::reach`].
    pub(super) fn reach_through_proxy(
        &self,
        url: &Url,
        registry: Option<&Authority>,
    ) -> Result<Reach> {
        let at = Authority::of(url);
        let judged = registry.filter(|registry| {
            registry.host != at.host && !near::is_link_local_as_written(&registry.host)
        });
        let within = match judged.filter(|_| !self.allows(&at)) {
            Some(registry) if near::is_near_as_written(&registry.host) => Reach::Neighbours,
            Some(_) => Reach::Far,
            None => Reach::Any,
        };
        written_within(url, &at, within).map(|_| Reach::Any)
    }

    fn allows(&self, at: &Authority) -> bool {
        self.neighbours.iter().any(|known| known.is_at(at))
    }

    async fn lives_near(&self, registry: &str) -> bool {
        if near::is_near_as_written(registry) {
            return true;
        }
        if registry.parse::<IpAddr>().is_ok() || self.given.contains_key(registry) {
            return false;
        }
        let known = self.homes.lock().get(registry).copied();
        let home = match known {
            Some(home) => home,
            None => match self.resolver.addresses(registry).await {
                Ok(addresses) => self.settled(registry, &addresses),
                Err(_) => return false,
            },
        };
        home == Home::Near
    }

    /// The kind of addresses of a registry: the first resolution decides.
    fn settled(&self, registry: &str, addresses: &[IpAddr]) -> Home {
        let near = addresses.iter().filter(|address| near::is_near(**address));
        let home = match near.count() {
            0 => Home::Far,
            count if count == addresses.len() => Home::Near,
            _ => Home::Both,
        };
        *self.homes.lock().entry(registry.to_owned()).or_insert(home)
    }

    /// The addresses to connect to.
    pub(super) async fn addresses(&self, name: &str, reach: Reach) -> io::Result<Vec<SocketAddr>> {
        let name = name.to_ascii_lowercase();
        if let Some(given) = self.given.get(&name) {
            return Ok(given.clone());
        }
        let mut addresses = self.resolver.addresses(&name).await?;
        let is_out: fn(IpAddr) -> bool = match reach {
            Reach::Any => |_| false,
            Reach::Neighbours => near::is_link_local,
            Reach::Far => near::is_near,
            Reach::Own => {
                let as_written = near::is_near_as_written(&name);
                match !as_written && self.settled(&name, &addresses) == Home::Far {
                    true => near::is_near,
                    false => |_| false,
                }
            }
        };
        let first = addresses.first().copied();
        let known = |address| self.neighbours.iter().any(|known| known.has(address));
        addresses.retain(|address| !is_out(*address) || known(*address));
        if let (Some(address), true) = (first, addresses.is_empty()) {
            let refusal = NearAddress {
                name,
                address,
                reach,
            };
            return Err(io::Error::other(refusal));
        }
        let addresses = addresses.into_iter();
        Ok(addresses.map(|address| (address, 0).into()).collect())
    }
}

/// Returns `within`, unless the host of `url` is outside it by its spelling.
fn written_within(url: &Url, at: &Authority, within: Reach) -> Result<Reach> {
    let is_out = match within {
        Reach::Own | Reach::Any => false,
        Reach::Neighbours => near::is_link_local_as_written(&at.host),
        Reach::Far => near::is_near_as_written(&at.host),
    };
    if !is_out {
        return Ok(within);
    }
    let host = url.host_str().unwrap_or_default();
    let message =
        format!("it redirects to {host}, an address of a private network; nothing was sent there");
    let host = host.to_owned();
    Err(Error::guarded(Guard::Near { host }, message))
}

/// The resolver of a client: resolves names within a reach.
#[derive(Debug)]
pub(super) struct Within {
    pub(super) names: Arc<Names>,
    pub(super) reach: Reach,
}

impl Resolve for Within {
    fn resolve(&self, name: Name) -> Resolving {
        let (names, reach) = (Arc::clone(&self.names), self.reach);
        Box::pin(async move {
            match names.addresses(name.as_str(), reach).await {
                Ok(addresses) => Ok(Box::new(addresses.into_iter()) as Addrs),
                Err(error)
                    if error
                        .get_ref()
                        .is_some_and(|inner| inner.is::<NearAddress>()) =>
                {
                    Err(error.into())
                }
                Err(error) => Err(UnknownName(error.to_string()).into()),
            }
        })
    }
}

/// The error of a name that does not resolve, with the resolver's words.
#[derive(Debug)]
pub(super) struct UnknownName(String);

impl fmt::Display for UnknownName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The standard library's prefix says the same.
        let prefix = "failed to lookup address information: ";
        let why = self.0.strip_prefix(prefix).unwrap_or(&self.0);
        write!(f, "its name does not resolve: {}", why.to_lowercase())
    }
}

impl std::error::Error for UnknownName {}

/// The error of a name that resolves to a near address and must not.
#[derive(Debug)]
pub(super) struct NearAddress {
    name: String,
    address: IpAddr,
    reach: Reach,
}

impl fmt::Display for NearAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let NearAddress { name, address, .. } = self;
        let how = match self.reach {
            Reach::Own => format!("{name} has moved to {address}"),
            _ => format!("it redirects to {name}, which is {address}"),
        };
        write!(
            f,
            "{how}, an address of a private network; nothing was sent there"
        )
    }
}

impl std::error::Error for NearAddress {}

impl NearAddress {
    /// Converts it to an [`Error`].
    pub(super) fn refused(&self) -> Error {
        let host = self.name.clone();
        Error::guarded(Guard::Near { host }, self.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Answers in turn; the last one repeats.
    #[derive(Debug)]
    struct Scripted(Lock<HashMap<&'static str, Vec<&'static str>>>);

    impl Resolver for Scripted {
        fn addresses(&self, name: &str) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> {
            let mut known = self.0.lock();
            let answers = known.get_mut(name).expect("a name of the script");
            let answer = match answers.len() {
                1 => answers[0],
                _ => answers.remove(0),
            };
            let addresses = answer.split_whitespace().map(|text| text.parse().unwrap());
            let addresses = addresses.collect();
            async { Ok(addresses) }.boxed()
        }
    }

    fn names(script: &[(&'static str, &[&'static str])], neighbours: &[&str]) -> Names {
        let script = script
            .iter()
            .map(|(name, answers)| (*name, answers.to_vec()));
        let resolver = Arc::new(Scripted(Lock::new(script.collect())));
        let neighbours = neighbours.iter().map(|text| text.parse().unwrap());
        let given = [(
            "given.example".to_owned(),
            vec!["127.0.0.1:0".parse().unwrap()],
        )];
        Names::new(given.into(), Some(resolver), neighbours.collect())
    }

    async fn reached(names: &Names, registry: &str, url: &str) -> Result<String, String> {
        let url = Url::parse(url).unwrap();
        let registry = Authority::of(&Url::parse(registry).unwrap());
        let reach = names.reach(&url, Some(&registry)).await;
        let reach = reach.map_err(|error| error.to_string())?;
        let host = url.host_str().unwrap();
        if host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok() {
            return Ok(host.to_owned());
        }
        let found = names.addresses(host, reach).await;
        let found = found.map_err(|error| error.to_string())?;
        let found = found.iter().map(|address| address.ip().to_string());
        Ok(found.collect::<Vec<_>>().join(" "))
    }

    #[tokio::test]
    async fn m5_a_registry_in_the_world_reaches_no_near_address_by_literal_or_by_name() {
        let names = names(
            &[
                ("r.example", &["192.0.2.1"]),
                ("near.example", &["10.0.0.7"]),
                ("loop.example", &["::1"]),
                ("metadata.example", &["169.254.169.254"]),
                ("some.example", &["10.0.0.7 192.0.2.7"]),
            ],
            &[],
        );
        for host in [
            "10.0.0.7",
            "[::1]",
            "localhost",
            "near.example",
            "loop.example",
            "metadata.example",
        ] {
            let url = format!("https://{host}/up");
            let reached = reached(&names, "https://r.example", &url).await;
            let error = reached.unwrap_err();
            assert!(error.contains("nothing was sent there"), "{host}: {error}");
        }
        let some = reached(&names, "https://r.example", "https://some.example/").await;
        assert_eq!(some.unwrap(), "192.0.2.7");
        let given = reached(&names, "https://given.example", "https://near.example/");
        given.await.unwrap_err();
    }

    #[tokio::test]
    async fn m5_a_registry_next_to_us_may_use_its_own_network() {
        let names = names(
            &[
                ("r.internal", &["10.0.0.1"]),
                ("store.internal", &["10.0.0.7"]),
                ("localhost", &["127.0.0.1"]),
            ],
            &[],
        );
        for registry in [
            "https://r.internal",
            "http://localhost:5000",
            "https://[::1]",
            "http://10.0.0.1",
        ] {
            for url in [
                "http://192.168.0.1/up",
                "http://localhost/",
                "https://store.internal/",
            ] {
                reached(&names, registry, url).await.unwrap();
            }
        }
    }

    #[tokio::test]
    async fn m5_a_registry_next_to_us_reaches_no_link_local_address() {
        let names = names(
            &[
                ("r.internal", &["10.0.0.1"]),
                ("metadata.internal", &["169.254.169.254"]),
                ("both.internal", &["169.254.169.254 10.0.0.9"]),
            ],
            &[],
        );
        for registry in [
            "https://r.internal",
            "http://127.0.0.1:5000",
            "https://[::1]",
        ] {
            for host in [
                "169.254.169.254",
                "0.0.0.0",
                "[fe80::1]",
                "[::]",
                "[::ffff:169.254.169.254]",
                "metadata.internal",
            ] {
                let url = format!("http://{host}/latest");
                let error = reached(&names, registry, &url).await.unwrap_err();
                assert!(error.contains("nothing was sent there"), "{host}: {error}");
                let (url, at) = (Url::parse(&url).unwrap(), Url::parse(registry).unwrap());
                let proxied = names.reach_through_proxy(&url, Some(&Authority::of(&at)));
                assert_eq!(proxied.is_ok(), host.contains("metadata"), "{host}");
            }
            let both = reached(&names, registry, "http://both.internal/").await;
            assert_eq!(both.unwrap(), "10.0.0.9");
        }
        let own = reached(&names, "http://169.254.1.1", "http://169.254.1.2/").await;
        assert_eq!(own.unwrap(), "169.254.1.2");
    }

    #[tokio::test]
    async fn m5_a_name_that_was_in_the_world_does_not_move_next_to_us() {
        let names = names(
            &[
                ("r.example", &["192.0.2.1", "127.0.0.1"]),
                ("s.example", &["192.0.2.2", "10.0.0.1"]),
            ],
            &[],
        );
        let own = |at: &'static str| reached(&names, at, at);
        assert_eq!(own("https://r.example").await.unwrap(), "192.0.2.1");
        let error = own("https://r.example").await.unwrap_err();
        assert!(error.contains("has moved to 127.0.0.1"), "{error}");
        // The same after it has moved.
        let at = "https://s.example";
        assert_eq!(own(at).await.unwrap(), "192.0.2.2");
        reached(&names, at, "https://10.0.0.1/").await.unwrap_err();
    }

    #[tokio::test]
    async fn m5_one_address_in_the_world_is_enough_to_be_no_neighbour() {
        let names = names(&[("r.example", &["10.0.0.1 192.0.2.1"])], &[]);
        let at = "https://r.example";
        assert_eq!(reached(&names, at, at).await.unwrap(), "10.0.0.1 192.0.2.1");
        reached(&names, at, "https://10.0.0.2/").await.unwrap_err();
    }

    #[test]
    fn m5_what_a_proxy_connects_to_is_judged_as_it_is_written() {
        let names = names(&[], &["10.0.0.8"]);
        for (registry, url, expected) in [
            ("https://r.example", "https://near.example/", true),
            ("https://r.example", "https://10.0.0.7/", false),
            ("https://r.example", "https://localhost/", false),
            ("https://r.example", "https://10.0.0.8/", true),
            ("https://10.0.0.1", "https://10.0.0.7/", true),
        ] {
            let registry = Authority::of(&Url::parse(registry).unwrap());
            let reach = names.reach_through_proxy(&Url::parse(url).unwrap(), Some(&registry));
            assert_eq!(reach.is_ok(), expected, "{url}");
        }
    }

    #[tokio::test]
    async fn m5_what_is_allowed_is_reached() {
        let names = names(
            &[
                ("r.example", &["192.0.2.1"]),
                ("store.internal", &["10.0.0.7"]),
                ("other.internal", &["10.0.1.7"]),
            ],
            &["store.internal:9000", "10.0.1.0/24", "127.0.0.2:80"],
        );
        for (url, allowed) in [
            ("http://store.internal:9000/", true),
            ("http://store.internal:9001/", false),
            ("http://other.internal/", true),
            ("http://10.0.1.9/", true),
            ("http://10.0.2.9/", false),
            ("http://127.0.0.2/", true),
            ("http://127.0.0.2:81/", false),
        ] {
            let reached = reached(&names, "https://r.example", url).await;
            assert_eq!(reached.is_ok(), allowed, "{url}: {reached:?}");
        }
    }
}
