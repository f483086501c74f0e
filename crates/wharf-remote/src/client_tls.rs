//! The builder's settings for TLS and proxies.

use std::sync::Arc;

use wharf_oci::Registry;

use crate::client::ClientBuilder;
use crate::proxies::Proxies;
use crate::tls::{Authority, Certificates, Tls, TlsSource};
use crate::transport::LeniencyObserver;

impl ClientBuilder {
    /// Sets TLS for all hosts. Its client certificate is for the registries that this client works
    /// with, and never for hosts they redirect to.
    #[must_use]
    pub fn tls(mut self, tls: Tls) -> Self {
        self.tls.all = tls;
        self
    }

    /// Sets TLS for the host and port of `registry`, which may also be a mirror or a token server,
    /// in addition to the settings for all. [`Tls::authorities`] of a registry also apply to hosts
    /// it redirects to; its client certificate does not.
    #[must_use]
    pub fn tls_for(mut self, registry: &Registry, tls: Tls) -> Self {
        self.tls.hosts.insert(Authority::of_registry(registry), tls);
        self
    }

    /// Sets the source of TLS settings for hosts without [`ClientBuilder::tls_for`].
    #[must_use]
    pub fn tls_source(mut self, source: Arc<dyn TlsSource>) -> Self {
        self.tls.source = Some(source);
        self
    }

    /// Sets the trusted authorities, instead of the system's. The system's are found as usual; on
    /// Linux that includes `SSL_CERT_FILE` and `SSL_CERT_DIR`.
    #[must_use]
    pub fn roots(mut self, roots: Certificates) -> Self {
        self.tls.roots = Some(roots);
        self
    }

    /// Sets the proxies; by default none.
    #[must_use]
    pub fn proxies(mut self, proxies: Proxies) -> Self {
        self.proxies = proxies;
        self
    }

    /// Sets the observer of what was accepted only because of [`super::Insecure::Yes`] or
    /// [`super::Verification::None`].
    #[must_use]
    pub fn leniency_observer(mut self, observer: Arc<dyn LeniencyObserver>) -> Self {
        self.leniencies = Some(observer);
        self
    }
}
