//! A registry: requests in, answers out.

use std::convert::Infallible;
use std::sync::Arc;

use http::header::{EXPECT, SERVER};
use http::request::Parts;
use http::{HeaderName, HeaderValue, Request, StatusCode};
use hyper::body::Incoming;

use crate::body::RequestBody;
use crate::respond::{Answer, Refusal, empty};
use crate::route::{Begin, Route, route};
use crate::storage::Storage;
use crate::{blobs, manifests, referrers, tags, uploads};

/// A registry over some storage. Cheap to clone; it has no state of its own.
#[derive(Clone, Debug)]
pub struct Registry {
    pub(crate) storage: Arc<dyn Storage>,
    pub(crate) referrers: Referrers,
}

/// Whether a registry lists referrers (distribution-spec: "Listing Referrers").
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Referrers {
    /// It does, and tells so on each manifest with a subject: `OCI-Subject`.
    #[default]
    On,
    /// It behaves as registries from before: clients keep the list under a tag.
    Off,
}

impl Registry {
    /// A registry of what `storage` holds.
    pub fn new(storage: Arc<dyn Storage>) -> Self {
        Registry {
            storage,
            referrers: Referrers::default(),
        }
    }

    /// Turns the list of referrers on or off. What points at what is written down either way.
    #[must_use]
    pub fn referrers(mut self, referrers: Referrers) -> Self {
        self.referrers = referrers;
        self
    }

    /// Answers one request, come what may.
    pub(crate) async fn answer(self, request: Request<Incoming>) -> Result<Answer, Infallible> {
        let (head, incoming) = request.into_parts();
        let body = RequestBody::new(incoming);
        let mut answer = match self.dispatch(&head, &body).await {
            Ok(answer) => answer,
            Err(refusal) => {
                // Who waits for a word before sending (RFC 9110, 10.1.1) is not asked to send.
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

    async fn dispatch(&self, head: &Parts, body: &RequestBody) -> Result<Answer, Box<Refusal>> {
        let query = head.uri.query().unwrap_or_default();
        match route(&head.method, head.uri.path(), query)? {
            Route::Ping => Ok(empty(StatusCode::OK)),
            Route::Blob {
                name,
                digest,
                reading,
            } => blobs::read(self, &name, &digest, reading, &head.headers).await,
            Route::Manifest { name, at, reading } => {
                manifests::read(self, &name, &at, reading, &head.headers).await
            }
            Route::PutManifest { name, at, tags } => {
                manifests::put(self, &name, &at, tags, &head.headers, body).await
            }
            Route::DeleteManifest { name, at } => manifests::delete(self, &name, &at).await,
            Route::DeleteBlob { name, digest } => blobs::delete(self, &name, &digest).await,
            Route::Referrers {
                name,
                subject,
                artifact_type,
                after,
            } => referrers::list(self, &name, subject, artifact_type, after).await,
            Route::BeginUpload { name, begin } => match begin {
                Begin::Session => uploads::begin(self, name).await,
                Begin::Whole(digest) => uploads::whole(self, name, &digest, body).await,
                Begin::Mount { digest, from } => {
                    uploads::mount(self, name, &digest, from.as_ref()).await
                }
            },
            Route::AppendUpload(session) => {
                uploads::append(self, session, &head.headers, body).await
            }
            Route::FinishUpload { session, digest } => {
                uploads::finish(self, session, &digest, &head.headers, body).await
            }
            Route::UploadStatus(session) => uploads::status(self, session).await,
            Route::CancelUpload(session) => uploads::cancel(self, session).await,
            Route::Tags { name, page } => tags::list(self, &name, &page).await,
            Route::Catalog(page) => tags::catalog(self, &page).await,
        }
    }
}

/// Clients learn from it which optional requests are taken here: mounts without `from`, several
/// tags on one PUT, blobs as the body of a POST.
const PRODUCT: &str = concat!("wharf/", env!("CARGO_PKG_VERSION"));
const API_VERSION: HeaderName = HeaderName::from_static("docker-distribution-api-version");
