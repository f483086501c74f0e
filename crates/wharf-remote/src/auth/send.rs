//! Sends the requests of a repository with what its host wants to be shown.
//!
//! A refusal is answered once: with a token, a better one, or not at all. The request is then made
//! anew, body and all.

use std::time::Duration;

use http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use url::Url;

use super::super::repository::RemoteRepository;
use super::super::transport::{Request, Response};
use super::authorizer::{Asker, Authorization};
use super::scope::ScopeSet;
use super::{challenge, same_origin, scope};
use wharf_core::Result;

/// Bytes of a refusal that are read, and how long they may take, so that its connection can be
/// used again.
const REFUSAL: usize = 64 * 1024;
const REFUSAL_WAIT: Duration = Duration::from_secs(1);

/// Sends `request`; what a refusal that stands was shown is noted in the answer.
///
/// # Errors
/// Where no answer came, or no token could be had.
pub(crate) async fn send(repository: &RemoteRepository, request: Request) -> Result<Response> {
    let root = repository.endpoint().await?.root();
    // A session may be kept elsewhere: whoever that is sees nothing of ours.
    if !same_origin(request.url(), &root) {
        return repository.dispatch(request).await;
    }
    let authorizer = repository.host().authorizer();
    let asker = asker(repository, &root);
    let (method, url) = (request.method(), request.url());
    let needed = scope::needed(method, url, repository.name(), repository.access());
    let shown = authorizer.known(asker, &needed).await?;
    let (request, again) = request.twice();
    let response = repository.dispatch(with(request, shown.as_ref())).await?;
    // What was remembered of the scheme may have proved wrong.
    let endpoint = repository.endpoint().await?;
    let found = endpoint.root();
    // Then nothing was shown where the request went in the end.
    let shown = shown.filter(|_| same_origin(&root, &found));
    let root = &found;
    let asker = Asker { root, ..asker };
    let refused = response.status().as_u16() == 401 && same_origin(response.url(), root);
    let demand = match refused {
        true => challenge::choose(response.all(WWW_AUTHENTICATE.as_str())),
        false => None,
    };
    let Some(demand) = demand else {
        return Ok(noted(repository, response, shown.as_ref(), &needed));
    };
    let better = authorizer.answer(asker, demand, &needed, shown.as_ref());
    let Some(better) = better.await? else {
        return Ok(noted(repository, response, shown.as_ref(), &needed));
    };
    drop(tokio::time::timeout(REFUSAL_WAIT, response.bytes(REFUSAL)).await);
    let mut request = again.request().await?;
    if !same_origin(request.url(), root) {
        let url = endpoint.moved(request.url());
        request = request.at(url);
    }
    let response = repository.dispatch(with(request, Some(&better))).await?;
    Ok(noted(repository, response, Some(&better), &needed))
}

/// Sends `request` with what is known to be wanted; a refusal stands.
///
/// # Errors
/// As [`send`].
pub(crate) async fn send_once(repository: &RemoteRepository, request: Request) -> Result<Response> {
    let root = repository.endpoint().await?.root();
    if !same_origin(request.url(), &root) {
        return repository.dispatch(request).await;
    }
    let (method, url) = (request.method(), request.url());
    let needed = scope::needed(method, url, repository.name(), repository.access());
    let asker = asker(repository, &root);
    let shown = repository.host().authorizer().known(asker, &needed).await?;
    repository.dispatch(with(request, shown.as_ref())).await
}

fn asker<'a>(repository: &'a RemoteRepository, root: &'a Url) -> Asker<'a> {
    Asker {
        transport: repository.transport(),
        root,
        name: Some(repository.name()),
    }
}

fn with(request: Request, shown: Option<&Authorization>) -> Request {
    match shown {
        Some(shown) => request.secret(AUTHORIZATION, &shown.header),
        None => request,
    }
}

fn noted(
    repository: &RemoteRepository,
    response: Response,
    shown: Option<&Authorization>,
    needed: &ScopeSet,
) -> Response {
    let refusal = repository
        .host()
        .authorizer()
        .refusal(&response, shown, needed);
    response.refused(refusal)
}
