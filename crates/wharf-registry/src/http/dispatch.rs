//! From a request to its answer.

use std::convert::Infallible;

use http::header::{EXPECT, SERVER};
use http::request::Parts;
use http::{HeaderName, HeaderValue, Request, StatusCode};
use hyper::body::Incoming;

use super::body::RequestBody;
use super::respond::{Answer, Refusal, empty};
use super::route::{Begin, Route, route};
use super::{blobs, manifests, referrers, tags, uploads};
use crate::Registry;

/// Answers one request, whatever goes wrong.
pub(super) async fn answer(
    registry: Registry,
    request: Request<Incoming>,
) -> Result<Answer, Infallible> {
    let (head, incoming) = request.into_parts();
    let body = RequestBody::new(incoming);
    let mut answer = match dispatch(&registry, &head, &body).await {
        Ok(answer) => answer,
        Err(refusal) => {
            // A client that waits for a word before it sends (RFC 9110, 10.1.1) need not send.
            if !head.headers.contains_key(EXPECT) {
                body.drain().await;
            }
            refusal.into_answer()
        }
    };
    let headers = answer.headers_mut();
    headers.insert(API_VERSION, HeaderValue::from_static("registry/2.0"));
    headers.insert(SERVER, HeaderValue::from_static(PRODUCT));
    let status = answer.status().as_u16();
    tracing::debug!(method = %head.method, path = head.uri.path(), status);
    Ok(answer)
}

async fn dispatch(
    registry: &Registry,
    head: &Parts,
    body: &RequestBody,
) -> Result<Answer, Box<Refusal>> {
    let query = head.uri.query().unwrap_or_default();
    match route(&head.method, head.uri.path(), query)? {
        Route::Ping => Ok(empty(StatusCode::OK)),
        Route::Blob {
            name,
            digest,
            reading,
        } => blobs::read(registry, &name, &digest, reading, &head.headers).await,
        Route::Manifest { name, at, reading } => {
            manifests::read(registry, &name, &at, reading, &head.headers).await
        }
        Route::PutManifest { name, at, tags } => {
            manifests::put(registry, &name, &at, tags, &head.headers, body).await
        }
        Route::DeleteManifest { name, at } => manifests::delete(registry, &name, &at).await,
        Route::DeleteBlob { name, digest } => blobs::delete(registry, &name, &digest).await,
        Route::Referrers {
            name,
            subject,
            artifact_type,
            after,
        } => referrers::list(registry, &name, subject, artifact_type, after).await,
        Route::BeginUpload { name, begin } => match begin {
            Begin::Session => uploads::begin(registry, &name).await,
            Begin::Whole(digest) => uploads::whole(registry, &name, &digest, body).await,
            Begin::Mount { digest, from } => {
                uploads::mount(registry, &name, &digest, from.as_ref()).await
            }
        },
        Route::AppendUpload(session) => {
            uploads::append(registry, &session, &head.headers, body).await
        }
        Route::FinishUpload { session, digest } => {
            uploads::finish(registry, &session, &digest, &head.headers, body).await
        }
        Route::UploadStatus(session) => uploads::status(registry, &session).await,
        Route::CancelUpload(session) => uploads::cancel(registry, &session).await,
        Route::Tags { name, page } => tags::list(registry, &name, &page).await,
        Route::Catalog(page) => tags::catalog(registry, &page).await,
    }
}
/// Clients learn from it which optional requests are taken here: mounts without `from`, several
/// tags on one PUT, blobs as the body of a POST.
const PRODUCT: &str = concat!("wharf/", env!("CARGO_PKG_VERSION"));
const API_VERSION: HeaderName = HeaderName::from_static("docker-distribution-api-version");
