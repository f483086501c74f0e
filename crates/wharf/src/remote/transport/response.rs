//! One answer, whose body is read within limits.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures::{StreamExt, stream};
use http::StatusCode;
use url::Url;
use wharf_oci::Registry;

use super::http::authority;
use super::{activity, failure, trace};
use crate::blob::ByteStream;
use crate::{Error, ErrorKind, Result};

/// An answer: status and headers are here, the body may be still to come.
#[derive(Debug)]
pub(crate) struct Response {
    pub(super) url: Url,
    pub(super) endpoint: String,
    pub(super) response: reqwest::Response,
    pub(super) idle: Duration,
    pub(super) tried: Option<(Registry, String)>,
}

impl Response {
    pub(crate) fn status(&self) -> StatusCode {
        self.response.status()
    }

    /// The URL that answered, after redirects.
    pub(crate) fn url(&self) -> &Url {
        &self.url
    }

    /// Method and path of the request, for messages.
    pub(crate) fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// A header's text; `None` where it is absent or not text.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.response.headers().get(name)?.to_str().ok()
    }

    /// Every value of a header that is text.
    pub(crate) fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        let values = self.response.headers().get_all(name).into_iter();
        values.filter_map(|value| value.to_str().ok())
    }

    /// Notes which credentials were shown in vain.
    pub(crate) fn tried(mut self, registry: Registry, words: String) -> Self {
        self.tried = Some((registry, words));
        self
    }

    /// To whom, and which credentials, were shown in vain.
    pub(crate) fn what_was_tried(&self) -> Option<&(Registry, String)> {
        self.tried.as_ref()
    }

    /// The body as it arrives. Fails when nothing arrives for the idle limit.
    pub(crate) fn stream(self) -> ByteStream {
        let Response {
            endpoint,
            response,
            idle,
            url,
            ..
        } = self;
        let authority = authority(&url);
        let chunks = response.bytes_stream();
        stream::try_unfold(
            (chunks, endpoint, authority),
            move |(mut chunks, endpoint, authority)| async move {
                match tokio::time::timeout(idle, chunks.next()).await {
                    Ok(None) => Ok(None),
                    Ok(Some(Ok(chunk))) => Ok(Some((chunk, (chunks, endpoint, authority)))),
                    Ok(Some(Err(error))) => {
                        Err(failure::explain(&error, &authority, false).target(endpoint))
                    }
                    Err(_) => Err(activity::silence("no byte arrived", idle).target(endpoint)),
                }
            },
        )
        .boxed()
    }

    /// The whole body, at most `limit` bytes of it.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] where it is longer; what [`Response::stream`] says.
    pub(crate) async fn bytes(self, limit: usize) -> Result<Bytes> {
        let endpoint = self.endpoint.clone();
        let show = trace::show(&self.response);
        let mut all = BytesMut::new();
        let mut stream = self.stream();
        while let Some(chunk) = stream.next().await.transpose()? {
            if all.len() + chunk.len() > limit {
                let message = format!("answer is longer than {limit} bytes");
                return Err(Error::new(ErrorKind::Invalid, message).target(endpoint));
            }
            all.extend_from_slice(&chunk);
        }
        trace::body(show, "answer", &all);
        Ok(all.freeze())
    }
}
