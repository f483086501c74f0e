//! What a client was told about TLS, and what that means for one host.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use url::Url;
use wharf_oci::Registry;

use super::{Certificates, Identity};
use wharf_core::Result;

/// How TLS is spoken with a host.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tls {
    /// Who may vouch for the host, besides those trusted for all.
    pub authorities: Certificates,
    /// Client certificates that it may be shown when it asks for one: the first that it says it takes,
    /// else the first.
    pub identities: Vec<Identity>,
    /// Whether its certificate matters.
    pub verification: Verification,
}

/// Whether a host must show a certificate that somebody trusted vouches for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Verification {
    /// It must.
    #[default]
    Full,
    /// Any certificate is good. Whoever sits in between can read and change everything.
    None,
}

/// Who knows more about single hosts. It is asked once for each, on a thread that may wait.
pub trait TlsSource: fmt::Debug + Send + Sync {
    /// What is to be done at `port` of `host`, an IPv6 address being without its brackets;
    /// `None`: nothing special.
    ///
    /// # Errors
    /// Where what is known makes no sense. Nothing is sent to the host then.
    fn tls(&self, host: &str, port: u16) -> Result<Option<Tls>>;
}

/// Host and port.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Authority {
    pub(crate) host: String,
    pub(crate) port: u16,
}

impl Authority {
    /// Where a request to `url` goes.
    pub(crate) fn of(url: &Url) -> Self {
        let host = url.host_str().unwrap_or_default();
        Authority {
            host: host.trim_matches(['[', ']']).to_ascii_lowercase(),
            port: url.port_or_known_default().unwrap_or_default(),
        }
    }

    /// Where a registry is spoken to over TLS.
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

/// All that a client was told.
#[derive(Clone, Debug, Default)]
pub(crate) struct TlsSettings {
    /// Who may vouch for anybody, in place of those the system trusts.
    pub(crate) roots: Option<Certificates>,
    /// For all hosts; its client certificate is for the registries that are worked with.
    pub(crate) all: Tls,
    pub(crate) hosts: HashMap<Authority, Tls>,
    pub(crate) source: Option<Arc<dyn TlsSource>>,
}

impl TlsSettings {
    /// What is known of one host alone.
    ///
    /// # Errors
    /// What the source says.
    pub(crate) fn known(&self, at: &Authority) -> Result<Option<Tls>> {
        if let Some(tls) = self.hosts.get(at) {
            return Ok(Some(tls.clone()));
        }
        match &self.source {
            Some(source) => source.tls(&at.host, at.port),
            None => Ok(None),
        }
    }

    /// How TLS is spoken at `at`, of which `own` is known, on behalf of the registry of which
    /// `registry` is known; where they are the same place, `registry` is `None`.
    ///
    /// A registry says who may vouch for those it sends us to, such as its token server: often
    /// it is the same company's authority. Its client certificate is for its own eyes.
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

/// Where a request goes, seen from the registry it is made for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Place<'a> {
    /// To the registry itself.
    Registry,
    /// To where that sent us; with what is known of the registry.
    Elsewhere(Option<&'a Tls>),
}
