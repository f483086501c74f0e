//! What a client is told about TLS and proxies when it is built.

use std::sync::Arc;

use wharf_oci::Registry;

use crate::client::ClientBuilder;
use crate::proxies::Proxies;
use crate::tls::{Authority, Certificates, Tls, TlsSource};
use crate::transport::LeniencyObserver;

impl ClientBuilder {
    /// How TLS is spoken with all hosts. The client certificate in it is shown to the registries
    /// that this client is asked to work with, and to nobody that they send us to.
    #[must_use]
    pub fn tls(mut self, tls: Tls) -> Self {
        self.tls.all = tls;
        self
    }

    /// How TLS is spoken at the host and port of `registry`, which may be a mirror, a token server
    /// or anybody else: added to what is said for all. What a registry adds to
    /// [`Tls::authorities`] counts for those it sends us to as well, its client certificate does
    /// not.
    #[must_use]
    pub fn tls_for(mut self, registry: &Registry, tls: Tls) -> Self {
        self.tls.hosts.insert(Authority::of_registry(registry), tls);
        self
    }

    /// Who knows how TLS is spoken with hosts of which [`ClientBuilder::tls_for`] says nothing.
    #[must_use]
    pub fn tls_source(mut self, source: Arc<dyn TlsSource>) -> Self {
        self.tls.source = Some(source);
        self
    }

    /// Who may vouch for hosts, in place of those that the system trusts. Without it, those are
    /// found as the system has them; on Linux, that is also where `SSL_CERT_FILE` and
    /// `SSL_CERT_DIR` say.
    #[must_use]
    pub fn roots(mut self, roots: Certificates) -> Self {
        self.tls.roots = Some(roots);
        self
    }

    /// Which proxies requests go through; by default none.
    #[must_use]
    pub fn proxies(mut self, proxies: Proxies) -> Self {
        self.proxies = proxies;
        self
    }

    /// Who is told what was let pass only because [`super::Insecure::Yes`] or
    /// [`super::Verification::None`] was asked for.
    #[must_use]
    pub fn leniency_observer(mut self, observer: Arc<dyn LeniencyObserver>) -> Self {
        self.leniencies = Some(observer);
        self
    }
}
