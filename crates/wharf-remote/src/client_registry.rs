//! Requests to a registry as a whole: listing repositories, and checking credentials.

use wharf_oci::{Registry, Repository, RepositoryName};

use crate::api::RegistryApi;
use crate::auth::{self, Access, Checked, Granted};
use crate::client::Client;
use crate::endpoints::catalog;
use crate::endpoints::pages::{NextPage, Page};
use wharf_core::Result;

impl Client {
    /// A page of the repositories of a registry: the first one, or the next one that a page named.
    ///
    /// # Errors
    /// [`wharf_core::ErrorKind::Unsupported`] if the registry does not list them;
    /// [`wharf_core::ErrorKind::Invalid`] if the answer is not a page of repositories; the
    /// registry's other errors.
    pub async fn catalog_page(
        &self,
        registry: &Registry,
        at: Option<&NextPage>,
    ) -> Result<Page<RepositoryName>> {
        let api = RegistryApi::new(self.transport(registry), self.host(registry));
        let page = async || {
            let page = catalog::page(&api, at).await;
            page.map_err(|error| error.target(registry))
        };
        self.tries().run(page).await
    }

    /// Checks the credentials that this client finds for a registry. The result says if the
    /// registry asks for none.
    ///
    /// # Errors
    /// [`wharf_core::ErrorKind::Unauthorized`] if it refuses them; other errors of the request.
    pub async fn check_credentials(&self, registry: &Registry) -> Result<Checked> {
        let (host, transport) = (self.host(registry), self.transport(registry));
        let check = async || {
            let root = host.urls(&transport).await?.root();
            auth::check(host.authorizer(), &transport, &root).await
        };
        let check = async || check().await.map_err(|error| error.target(registry));
        self.tries().run(check).await
    }

    /// The authorization of requests to `repository` by another program: a token that allows
    /// `access`, and mounts from the repositories `sources` of the same registry; or user name and
    /// password, if the registry requires those.
    ///
    /// # Errors
    /// [`wharf_core::ErrorKind::NotFound`] if no credentials are required, or there are none; the
    /// errors of the registry and its token server.
    pub async fn authorization(
        &self,
        repository: &Repository,
        access: Access,
        sources: &[RepositoryName],
    ) -> Result<Granted> {
        let host = self.host(repository.registry());
        let transport = self.transport(repository.registry());
        let shown = async || {
            let (authorizer, name) = (host.authorizer(), repository.name());
            let root = host.urls(&transport).await?.root();
            auth::authorization(authorizer, &transport, &root, name, access, sources).await
        };
        let shown = async || shown().await.map_err(|error| error.target(repository));
        self.tries().run(shown).await
    }
}
