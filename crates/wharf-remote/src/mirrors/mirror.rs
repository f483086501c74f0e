//! One mirror of a registry, and its state in this process.

use std::sync::Arc;
use std::time::Duration;

use url::Url;
use wharf_oci::{Registry, RegistryError, Repository};

use super::hosts_directory::HostsDirectory;
use super::hosts_file::{Capabilities, HostEntry, HostsFile, Need};
use crate::api::Api;
use crate::hosts::Urls;
use crate::hosts::{ClientSettings, Host, Way};
use crate::tls::{Authority, Tls};
use crate::transport::{PauseObserver, Transport};
use wharf_core::sync::Lock;
use wharf_core::verify::blocking;
use wharf_core::{Error, ErrorKind, Result};

/// The hosts to ask for the content of one registry.
#[derive(Debug, Default)]
pub(crate) struct Mirrors {
    /// In this order, before the last one.
    pub(super) first: Vec<Arc<Mirror>>,
    /// The host to ask last; `None`: the registry, in the usual way.
    pub(super) last: Option<Arc<Mirror>>,
}

impl Mirrors {
    /// The mirrors that `directory` names.
    ///
    /// # Errors
    /// The errors of its file.
    pub(crate) async fn read(
        directory: HostsDirectory,
        registry: &Registry,
        transport: &Transport,
        shared: &Arc<ClientSettings>,
    ) -> Result<Self> {
        let of = registry.clone();
        let read = move || -> Result<Option<(Vec<Named>, Option<Named>)>> {
            let Some(HostsFile { hosts, server }) = directory.read(&of)? else {
                return Ok(None);
            };
            let first = hosts.into_iter().map(Named::read).collect::<Result<_>>()?;
            let said = server != HostEntry::default();
            let last = said.then(|| Named::read(server)).transpose()?;
            Ok(Some((first, last)))
        };
        let Some((first, last)) = blocking(read).await?? else {
            return Ok(Mirrors::default());
        };
        // A mirror that is skipped must not make a request wait.
        let first = first
            .into_iter()
            .map(|named| Mirror::new(named, None, registry, transport, shared));
        let pauses = shared.pauses.clone();
        let last = last.map(|named| Mirror::new(named, pauses, registry, transport, shared));
        Ok(Mirrors {
            first: first.collect::<Result<_>>()?,
            last: last.transpose()?,
        })
    }
}

/// The entry of a host, and the files that it names.
struct Named {
    entry: HostEntry,
    tls: Option<Tls>,
}

impl Named {
    fn read(entry: HostEntry) -> Result<Self> {
        let tls = entry.tls()?;
        Ok(Named { entry, tls })
    }
}

/// A host that may have a registry's content.
#[derive(Debug)]
pub(super) struct Mirror {
    name: String,
    host: Arc<Host>,
    transport: Transport,
    can: Capabilities,
    /// Why it is no longer used, if so.
    out: Lock<Option<Error>>,
}

impl Mirror {
    fn new(
        named: Named,
        pauses: Option<Arc<dyn PauseObserver>>,
        of: &Registry,
        transport: &Transport,
        shared: &Arc<ClientSettings>,
    ) -> Result<Arc<Self>> {
        let Named { entry, tls } = named;
        let registry = match &entry.url {
            None => of.clone(),
            Some(url) => registry_at(url)
                .map_err(|error| Error::new(ErrorKind::Invalid, error.to_string()).target(url))?,
        };
        // A host that is the registry itself needs no namespace.
        let namespace = (registry != *of).then(|| of.to_string());
        let urls = entry.url.clone();
        let way = Way {
            urls: urls.map(|url| Urls::of_mirror(url, namespace)),
            headers: entry.headers,
            pauses,
        };
        let name = match &entry.url {
            Some(url) => url.to_string(),
            None => registry.to_string(),
        };
        Ok(Arc::new(Mirror {
            name,
            transport: reaching(transport, &registry, of, tls, entry.connect),
            host: Arc::new(Host::by(way, registry, Arc::clone(shared))),
            can: entry.can,
            out: Lock::default(),
        }))
    }

    /// Its API for a repository of the registry.
    pub(super) fn api(&self, repository: &Repository) -> Api {
        let (transport, host) = (self.transport.clone(), Arc::clone(&self.host));
        Api::new(repository.clone(), transport, host)
    }

    pub(super) fn allows(&self, need: Need) -> bool {
        self.can.allow(need)
    }

    /// Whether to use it now: not if it proved useless, or asks to wait.
    pub(super) fn is_open(&self) -> bool {
        self.out.lock().is_none() && !self.host.is_resting()
    }

    /// Its URL.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Why it was not asked.
    pub(super) fn why_skipped(&self) -> String {
        match &*self.out.lock() {
            Some(error) => error.to_string(),
            None => "it asks to wait".to_owned(),
        }
    }

    /// Records a failed request. A mirror that cannot be reached is no longer used.
    pub(super) fn failed(&self, error: &Error) {
        let (mirror, hopeless) = (&self.name, is_hopeless(error.kind()));
        if hopeless {
            self.out.lock().get_or_insert_with(|| error.clone());
        }
        tracing::info!(mirror, %error, asked_again = !hopeless, "mirror skipped");
    }

    /// Records a successful request.
    pub(super) fn served(&self) {
        tracing::info!(mirror = self.name, "mirror answered");
    }

    /// Records that it gave wrong bytes: it is no longer used.
    pub(super) fn lied(&self, error: &Error) {
        self.out.lock().get_or_insert_with(|| error.clone());
        tracing::debug!(mirror = self.name, %error, "mirror gave wrong bytes, not used any more");
    }
}

/// The transport to the mirror `registry` of `of`. It sends no client certificate that is for `of`.
fn reaching(
    transport: &Transport,
    registry: &Registry,
    of: &Registry,
    tls: Option<Tls>,
    connect: Option<Duration>,
) -> Transport {
    let other = registry != of;
    let transport = match tls.is_some() || connect.is_some() || other {
        false => transport.clone(),
        true => transport.changed(|settings, timeouts| {
            if other {
                settings.tls.all.identities.clear();
            }
            if let Some(tls) = tls {
                let at = Authority::of_registry(registry);
                settings.tls.hosts.insert(at, tls);
            }
            timeouts.connect = connect.unwrap_or(timeouts.connect);
        }),
    };
    transport.on_behalf_of(registry)
}

fn is_hopeless(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::Unreachable | ErrorKind::Untrusted | ErrorKind::Timeout
    )
}

/// The registry at a URL, for its credentials.
fn registry_at(url: &Url) -> std::result::Result<Registry, RegistryError> {
    let host = url.host_str().unwrap_or_default();
    if matches!(host, "registry-1.docker.io" | "docker.io") {
        return Ok(Registry::docker_hub());
    }
    // A bare word is a registry only with a port.
    let port = match host.contains(['.', ':']) {
        true => url.port(),
        false => url.port_or_known_default(),
    };
    match port {
        Some(port) => format!("{host}:{port}").parse(),
        None => host.parse(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_those_of_the_mirrors_own_host() {
        for (url, expected) in [
            ("https://mirror.example/v2/", "mirror.example"),
            ("http://mirror.example:5000/a/v2/", "mirror.example:5000"),
            ("http://mirror/v2/", "mirror:80"),
            ("https://mirror:5000/v2/", "mirror:5000"),
            ("https://registry-1.docker.io/v2/", "docker.io"),
            ("http://[::1]:5000/v2/", "[::1]:5000"),
            ("http://[::1]/v2/", "[::1]"),
        ] {
            let registry = registry_at(&Url::parse(url).unwrap()).unwrap();
            assert_eq!(registry.as_str(), expected, "{url}");
        }
    }
}
