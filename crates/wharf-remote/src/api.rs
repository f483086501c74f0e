//! The API of a registry, and of one repository in it: every endpoint file gets it, and sends all
//! its requests through it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use url::Url;
use wharf_oci::{Digest, Repository, RepositoryName};

use crate::auth::{Access, Asker, Authorization, Authorizer, ScopeSet, choose, needed};
use crate::hosts::Host;
use crate::hosts::Urls;
use crate::transport::{Request, Response, Transport, same_origin};
use wharf_core::Result;

/// The most bytes, and time, to read of a refusal, so that its connection can be used again.
const REFUSAL: usize = 64 * 1024;
const REFUSAL_WAIT: Duration = Duration::from_secs(1);

/// One repository of a registry. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Api {
    repository: Repository,
    registry: RegistryApi,
    /// Whether it will be written to, so that its tokens include write access from the first on.
    written: Arc<AtomicBool>,
}

/// A registry as a whole: its host, and the transport to it. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct RegistryApi {
    transport: Transport,
    host: Arc<Host>,
}

impl Api {
    pub(crate) fn new(repository: Repository, transport: Transport, host: Arc<Host>) -> Self {
        Api {
            repository,
            registry: RegistryApi { transport, host },
            written: Arc::default(),
        }
    }

    /// Registry and name.
    pub(crate) fn repository(&self) -> &Repository {
        &self.repository
    }

    pub(crate) fn name(&self) -> &RepositoryName {
        self.repository.name()
    }

    pub(crate) fn host(&self) -> &Host {
        &self.registry.host
    }

    /// Where the endpoints are.
    ///
    /// # Errors
    /// If the host does not answer while its scheme is found out.
    pub(crate) async fn urls(&self) -> Result<&Urls> {
        self.registry.urls().await
    }

    /// Records that the repository will be written to.
    pub(crate) fn will_write(&self) {
        self.written.store(true, Ordering::Relaxed);
    }

    /// The other repository of this registry in which a blob was seen last, as a mount source
    /// (wire.md E4).
    pub(crate) fn elsewhere(&self, blob: &Digest) -> Option<RepositoryName> {
        self.host().memory().elsewhere(&self.repository, blob)
    }

    /// Forgets that a blob was seen in a repository of this registry, because a mount from it
    /// failed.
    pub(crate) fn forget(&self, from: &RepositoryName, blob: &Digest) {
        let registry = self.repository.registry().clone();
        if let Ok(from) = Repository::new(registry, from.clone()) {
            self.host().memory().forget_blob(&from, blob);
        }
    }

    /// Sends a request with the credentials that the registry requires. Answers a refusal once,
    /// with a token or a better one, by sending the request again with its body. A final refusal
    /// notes in the answer what was sent.
    ///
    /// # Errors
    /// If no answer arrived, or no token was given.
    pub(crate) async fn send(&self, request: Request) -> Result<Response> {
        let needed = self.needed(&request);
        self.registry.send(Some(self.name()), needed, request).await
    }

    /// Sends a request with the known credentials; a refusal is final.
    ///
    /// # Errors
    /// As [`Api::send`].
    pub(crate) async fn send_once(&self, request: Request) -> Result<Response> {
        let needed = self.needed(&request);
        let registry = &self.registry;
        registry.send_once(self.name(), &needed, request).await
    }

    fn needed(&self, request: &Request) -> ScopeSet {
        let access = match self.written.load(Ordering::Relaxed) {
            true => Access::Write,
            false => Access::Read,
        };
        needed(request.method(), request.url(), self.name(), access)
    }
}

impl RegistryApi {
    pub(crate) fn new(transport: Transport, host: Arc<Host>) -> Self {
        RegistryApi { transport, host }
    }

    /// Where the endpoints are.
    ///
    /// # Errors
    /// As [`Api::urls`].
    pub(crate) async fn urls(&self) -> Result<&Urls> {
        self.host.urls(&self.transport).await
    }

    /// As [`Api::send`], for a request that needs `needed`: with the credentials for the repository
    /// `name`, or those for the registry as a whole.
    ///
    /// # Errors
    /// As [`Api::send`].
    pub(crate) async fn send(
        &self,
        name: Option<&RepositoryName>,
        needed: ScopeSet,
        request: Request,
    ) -> Result<Response> {
        // Large, and part of many futures.
        Box::pin(self.send_and_answer(name, needed, request)).await
    }

    async fn send_and_answer(
        &self,
        name: Option<&RepositoryName>,
        needed: ScopeSet,
        request: Request,
    ) -> Result<Response> {
        let root = self.urls().await?.root();
        // A session may be kept at another origin, which sees no credentials.
        if !same_origin(request.url(), &root) {
            return self.dispatch(request).await;
        }
        let authorizer = self.host.authorizer();
        let asker = self.asker(name, &root);
        let shown = authorizer.known(asker, &needed).await?;
        let (request, again) = request.twice();
        let response = self.dispatch(with(request, shown.as_ref())).await?;
        // The remembered scheme may have proved wrong.
        let urls = self.urls().await?;
        let found = urls.root();
        // If so, the final request carried no credentials.
        let shown = shown.filter(|_| same_origin(&root, &found));
        let root = &found;
        let asker = Asker { root, ..asker };
        let refused = response.status().as_u16() == 401 && same_origin(response.url(), root);
        let demand = match refused {
            true => choose(response.all(WWW_AUTHENTICATE.as_str())),
            false => None,
        };
        let Some(demand) = demand else {
            return Ok(noted(authorizer, response, shown.as_ref(), &needed));
        };
        let better = authorizer.answer(asker, demand, &needed, shown.as_ref());
        let Some(better) = better.await? else {
            return Ok(noted(authorizer, response, shown.as_ref(), &needed));
        };
        drop(tokio::time::timeout(REFUSAL_WAIT, response.bytes(REFUSAL)).await);
        let mut request = again.request().await?;
        if !same_origin(request.url(), root) {
            let url = urls.moved(request.url());
            request = request.at(url);
        }
        let response = self.dispatch(with(request, Some(&better))).await?;
        Ok(noted(authorizer, response, Some(&better), &needed))
    }

    async fn send_once(
        &self,
        name: &RepositoryName,
        needed: &ScopeSet,
        request: Request,
    ) -> Result<Response> {
        let root = self.urls().await?.root();
        if !same_origin(request.url(), &root) {
            return self.dispatch(request).await;
        }
        let asker = self.asker(Some(name), &root);
        let shown = self.host.authorizer().known(asker, needed).await?;
        self.dispatch(with(request, shown.as_ref())).await
    }

    async fn dispatch(&self, request: Request) -> Result<Response> {
        self.host.dispatch(&self.transport, request).await
    }

    fn asker<'a>(&'a self, name: Option<&'a RepositoryName>, root: &'a Url) -> Asker<'a> {
        Asker {
            transport: &self.transport,
            root,
            name,
        }
    }
}

fn with(request: Request, shown: Option<&Authorization>) -> Request {
    match shown {
        Some(shown) => request.secret(AUTHORIZATION, &shown.header),
        None => request,
    }
}

fn noted(
    authorizer: &Authorizer,
    response: Response,
    shown: Option<&Authorization>,
    needed: &ScopeSet,
) -> Response {
    let refusal = authorizer.refusal(&response, shown, needed);
    response.refused(refusal)
}
