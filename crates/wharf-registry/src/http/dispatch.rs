//! From a request to its answer.

use std::convert::Infallible;
use std::sync::Arc;

use http::header::{EXPECT, SERVER};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode};
use hyper::body::Incoming;
use wharf_oci::RepositoryName;

use super::activity::Activity;
use super::body::RequestBody;
use super::hosts::Hosts;
use super::lasting::{Lasting, listed};
use super::respond::{Answer, Code, Refusal, empty};
use super::route::{Operation, Route, route};
use super::{blobs, head, manifests, referrers, tags, uploads};
use crate::driver::Session;
use crate::{Caller, Decision, Registry};

/// Answers one request, also after any error.
pub(super) async fn answer(
    registry: Registry,
    hosts: Arc<Hosts>,
    activity: Arc<Activity>,
    request: Request<Incoming>,
) -> Result<Response<Lasting>, Infallible> {
    let under_way = activity.begin();
    let (head, incoming) = request.into_parts();
    let body = RequestBody::new(incoming, activity);
    let sound = head::check(&head.headers).and_then(|()| hosts.check(&head));
    let dispatched = match sound {
        Ok(()) => dispatch(&registry, &head, &body).await,
        Err(refusal) => Err(refusal),
    };
    let mut answer = match dispatched {
        Ok(answer) => answer,
        Err(refusal) => {
            // A client that sent `Expect: 100-continue` (RFC 9110, 10.1.1) need not send its body.
            if !head.headers.contains_key(EXPECT) {
                body.drain().await;
            }
            refusal.into_answer()
        }
    };
    let headers = answer.headers_mut();
    headers.insert(API_VERSION, HeaderValue::from_static("registry/2.0"));
    headers.insert(SERVER, HeaderValue::from_static(PRODUCT));
    headers.insert(TAKES, HeaderValue::from_static(OPTIONAL));
    let status = answer.status().as_u16();
    tracing::debug!(method = %head.method, path = head.uri.path(), status);
    Ok(Lasting::of(answer, under_way))
}

async fn dispatch(
    registry: &Registry,
    head: &Parts,
    body: &RequestBody,
) -> Result<Answer, Box<Refusal>> {
    let query = head.uri.query().unwrap_or_default();
    let route = route(&head.method, head.uri.path(), query)?;
    let caller = registry.access.caller(&head.headers).await;
    if let Some((name, action)) = route.needs()
        && registry.access.may(&caller, name, action) == Decision::Denied
    {
        let message = format!("this needs the right to {action} in {name}");
        return Err(Refusal::new(Code::Denied, message));
    }
    match route {
        Route::Ping => Ok(empty(StatusCode::OK)),
        Route::Catalog(page) => {
            listed(&registry.budgets, tags::catalog(registry, &caller, &page)).await
        }
        Route::Repository(name, operation) => {
            operate(registry, &caller, name, operation, &head.headers, body).await
        }
    }
}

async fn operate(
    registry: &Registry,
    caller: &Caller,
    name: RepositoryName,
    operation: Operation,
    headers: &HeaderMap,
    body: &RequestBody,
) -> Result<Answer, Box<Refusal>> {
    let session = |id| Session {
        repository: name.clone(),
        id,
    };
    match operation {
        Operation::ReadBlob(digest, reading) => {
            blobs::read(registry, &name, &digest, reading, headers).await
        }
        Operation::ReadManifest(at, reading) => {
            manifests::read(registry, &name, &at, reading, headers).await
        }
        Operation::BeginUpload => uploads::begin(registry, &name).await,
        Operation::PutBlob(digest) => uploads::whole(registry, &name, &digest, body).await,
        Operation::Mount(digest, from) => {
            uploads::mount(registry, caller, &name, &digest, from).await
        }
        Operation::AppendUpload(id) => uploads::append(registry, &session(id), headers, body).await,
        Operation::FinishUpload(id, digest) => {
            uploads::finish(registry, &session(id), &digest, headers, body).await
        }
        Operation::UploadStatus(id) => uploads::status(registry, &session(id)).await,
        Operation::CancelUpload(id) => uploads::cancel(registry, &session(id)).await,
        Operation::PutManifest(at, tags) => {
            manifests::put(registry, &name, &at, tags, headers, body).await
        }
        Operation::Tags(page) => {
            listed(&registry.budgets, tags::list(registry, &name, &page)).await
        }
        Operation::DeleteManifest(at) => manifests::delete(registry, &name, &at, headers).await,
        Operation::DeleteBlob(digest) => blobs::delete(registry, &name, &digest, headers).await,
        Operation::Referrers {
            subject,
            artifact_type,
            after,
        } => {
            let list = referrers::list(registry, &name, subject, artifact_type, after);
            listed(&registry.budgets, list).await
        }
    }
}

const PRODUCT: &str = concat!("wharf/", env!("CARGO_PKG_VERSION"));
const API_VERSION: HeaderName = HeaderName::from_static("docker-distribution-api-version");

/// The optional requests that this registry accepts: several tags on one PUT, blobs as the body of
/// a POST, mounts without `from`, conditions on a PUT of a manifest. Clients send them only after
/// they read this header.
const TAKES: HeaderName = HeaderName::from_static("wharf-takes");
const OPTIONAL: &str = "tags, post-blob, any-mount, conditions";
