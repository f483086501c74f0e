//! The TLS settings of a client, and those for one host.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use url::Url;
use wharf_oci::Registry;

use super::{Certificates, Identity, Roots};
use wharf_core::Result;

/// The TLS settings of a host.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tls {
    /// Further authorities to trust for this host.
    pub authorities: Certificates,
    /// Client certificates for when the host asks for one: the first with an issuer that it
    /// accepts, else the first.
    pub identities: Vec<Identity>,
    /// Whether to verify its certificate.
    pub verification: Verification,
}

/// Whether a host must have a certificate of a trusted authority.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Verification {
    /// It must.
    #[default]
    Full,
    /// Any certificate is accepted. An attacker in between can read and change everything.
    None,
}

/// A source of TLS settings for single hosts. Called once for each, on a thread that may block.
pub trait TlsSource: fmt::Debug + Send + Sync {
    /// The settings for `port` of `host` (an IPv6 address without brackets); `None`: nothing
    /// special.
    ///
    /// # Errors
    /// If the settings are malformed. Nothing is sent to the host then.
    fn tls(&self, host: &str, port: u16) -> Result<Option<Tls>>;
}

/// Host and port.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Authority {
    pub(crate) host: String,
    pub(crate) port: u16,
}

impl Authority {
    /// The host and port of `url`.
    pub(crate) fn of(url: &Url) -> Self {
        let host = url.host_str().unwrap_or_default();
        Authority {
            host: host.trim_matches(['[', ']']).to_ascii_lowercase(),
            port: url.port_or_known_default().unwrap_or_default(),
        }
    }

    /// The host and port of a registry, with the default port of TLS.
    pub(crate) fn of_registry(registry: &Registry) -> Self {
        let url = Url::parse(&format!("https://{}", registry.endpoint_authority()));
        match url {
            Ok(url) => Authority::of(&url),
            Err(_) => Authority {
                host: registry.host().to_ascii_lowercase(),
                port: registry.port().unwrap_or(443),
            },
        }
    }
}

/// All TLS settings of a client.
#[derive(Clone, Debug, Default)]
pub(crate) struct TlsSettings {
    /// The trusted authorities, instead of the system's.
    pub(crate) roots: Option<Roots>,
    /// For all hosts; its client certificate is for the client's registries only.
    pub(crate) all: Tls,
    pub(crate) hosts: HashMap<Authority, Tls>,
    pub(crate) source: Option<Arc<dyn TlsSource>>,
}

impl TlsSettings {
    /// The settings for one host only.
    ///
    /// # Errors
    /// The source's error.
    pub(crate) fn known(&self, at: &Authority) -> Result<Option<Tls>> {
        if let Some(tls) = self.hosts.get(at) {
            return Ok(Some(tls.clone()));
        }
        match &self.source {
            Some(source) => source.tls(&at.host, at.port),
            None => Ok(None),
        }
    }

    /// The merged settings for a host with the settings `own`, reached from a registry as `place`
    /// says.
    ///
    /// The authorities of a registry also apply to hosts it redirects to, such as its token server,
    /// which often has the same company authority. Its client certificate does not.
    pub(crate) fn merged(&self, own: Option<&Tls>, place: Place<'_>) -> Tls {
        let mut tls = self.all.clone();
        if !matches!(place, Place::Registry) {
            tls.identities.clear();
        }
        if let Place::Elsewhere(Some(registry)) = place {
            tls.authorities.extend(registry.authorities.clone());
        }
        if let Some(own) = own {
            tls.authorities.extend(own.authorities.clone());
            if !own.identities.is_empty() {
                tls.identities.clone_from(&own.identities);
            }
            if own.verification == Verification::None {
                tls.verification = Verification::None;
            }
        }
        tls
    }
}

/// The target of a request, relative to the registry it is made for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Place<'a> {
    /// The registry itself.
    Registry,
    /// A host that the registry redirected to; with the settings of the registry.
    Elsewhere(Option<&'a Tls>),
}
