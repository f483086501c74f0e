//! The API of a registry, and of one repository in it: every endpoint file gets it, and sends all
//! its requests through it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use url::Url;
use wharf_oci::{Digest, Repository, RepositoryName};

use crate::auth::{Access, Asker, Authorization, Authorizer, Needed, choose, needed};
use crate::hosts::Host;
use crate::hosts::Urls;
use crate::transport::{Request, Response, Spare, Transport, same_origin};
use wharf_core::Result;

/// The most bytes, and time, to read of a refusal.
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

    /// Whether it will be written to.
    pub(crate) fn is_written(&self) -> bool {
        self.written.load(Ordering::Relaxed)
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

    /// Sends a request with the credentials that the registry requires. Answers a refusal by sending
    /// the request again with its body: once with a token or a better one, and once with the
    /// narrowest token, if a wider one was refused. A final refusal notes in the answer what was
    /// sent.
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

    fn needed(&self, request: &Request) -> Needed {
        let access = match self.is_written() {
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
        needed: Needed,
        request: Request,
    ) -> Result<Response> {
        // Large, and part of many futures.
        Box::pin(self.send_and_answer(name, needed, request)).await
    }

    async fn send_and_answer(
        &self,
        name: Option<&RepositoryName>,
        needed: Needed,
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
        let (request, mut again) = request.twice();
        let mut response = self.dispatch(with(request, shown.as_ref())).await?;
        // The remembered scheme may have proved wrong.
        let found = self.urls().await?.root();
        // If so, the final request carried no credentials.
        let mut shown = shown.filter(|_| same_origin(&root, &found));
        let root = &found;
        let asker = Asker { root, ..asker };
        if !same_origin(response.url(), root) {
            return Ok(noted(authorizer, response, shown.as_ref(), &needed));
        }
        let demand = match response.status().as_u16() {
            401 => choose(response.all(WWW_AUTHENTICATE.as_str())),
            _ => None,
        };
        if let Some(demand) = demand {
            let better = authorizer.answer(asker, demand, &needed, shown.as_ref());
            if let Some(better) = better.await? {
                drain(response).await;
                let request = again.request().await?;
                (response, again) = self.send_again(request, &better, root).await?;
                authorizer.settle(&needed, &better, &response);
                shown = Some(better);
            }
        } else if let Some(shown) = &shown {
            authorizer.settle(&needed, shown, &response);
        }
        let narrow = authorizer.narrower(asker, &needed, shown.as_ref(), &response);
        if let Some(narrow) = narrow.await
            && let Ok(request) = again.request().await
        {
            drain(response).await;
            (response, _) = self.send_again(request, &narrow, root).await?;
            authorizer.narrowed(&needed, &narrow, &response);
            shown = Some(narrow);
        }
        Ok(noted(authorizer, response, shown.as_ref(), &needed))
    }

    /// Sends a request again, with other credentials, where the registry is by now.
    async fn send_again(
        &self,
        mut request: Request,
        shown: &Authorization,
        root: &Url,
    ) -> Result<(Response, Spare)> {
        if !same_origin(request.url(), root) {
            let url = self.urls().await?.moved(request.url());
            request = request.at(url);
        }
        let (request, again) = request.twice();
        let response = self.dispatch(with(request, Some(shown))).await?;
        Ok((response, again))
    }

    async fn send_once(
        &self,
        name: &RepositoryName,
        needed: &Needed,
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

/// Reads a refusal to its end, so that its connection can be used again.
async fn drain(response: Response) {
    drop(tokio::time::timeout(REFUSAL_WAIT, response.bytes(REFUSAL)).await);
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
    needed: &Needed,
) -> Response {
    let refusal = authorizer.refusal(&response, shown, needed);
    response.refused(refusal)
}
