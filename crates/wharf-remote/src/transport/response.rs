//! One answer, with its body read within limits.

use std::borrow::Cow;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures::{StreamExt, stream};
use http::StatusCode;
use tokio::time::Instant;
use url::Url;

use super::activity::silence;
use super::follow::authority;
use super::sent_secrets::SentSecrets;
use super::{failure, trace};
use wharf_core::Refusal;
use wharf_core::blob::ByteStream;
use wharf_core::{Asked, Error, ErrorKind, Result};

/// An answer: status and headers have arrived, the body may follow.
#[derive(Debug)]
pub(crate) struct Response {
    pub(super) url: Url,
    pub(super) endpoint: String,
    /// The kind of content requested.
    pub(super) asked: Option<Asked>,
    pub(super) response: reqwest::Response,
    pub(super) idle: Duration,
    pub(super) sent_secrets: SentSecrets,
    /// Boxed, because it is large and rare.
    pub(super) refusal: Option<Box<Refusal>>,
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

    /// The kind of content requested, for messages.
    pub(crate) fn asked(&self) -> Option<Asked> {
        self.asked
    }

    /// A header's text; `None` if it is absent or not text.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.response.headers().get(name)?.to_str().ok()
    }

    /// Every value of a header that is text.
    pub(crate) fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        let values = self.response.headers().get_all(name).into_iter();
        values.filter_map(|value| value.to_str().ok())
    }

    /// Every value of a header, with replacements for what is not text.
    pub(crate) fn all_lossy(&self, name: &str) -> impl Iterator<Item = Cow<'_, str>> {
        let values = self.response.headers().get_all(name).into_iter();
        values.map(|value| String::from_utf8_lossy(value.as_bytes()))
    }

    /// Attaches the refusal of credentials, if any.
    pub(crate) fn refused(mut self, refusal: Option<Refusal>) -> Self {
        self.refusal = refusal.map(Box::new);
        self
    }

    /// The refusal of credentials.
    pub(crate) fn refusal(&self) -> Option<&Refusal> {
        self.refusal.as_deref()
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
                let since = Instant::now();
                match tokio::time::timeout(idle, chunks.next()).await {
                    Ok(None) => Ok(None),
                    Ok(Some(Ok(chunk))) => Ok(Some((chunk, (chunks, endpoint, authority)))),
                    Ok(Some(Err(error))) => {
                        Err(failure::explain(&error, &authority, false).target(endpoint))
                    }
                    Err(_) => Err(silence("no byte arrived", idle, since).target(endpoint)),
                }
            },
        )
        .boxed()
    }

    /// The whole body, at most `limit` bytes, within [`PATIENCE`] idle limits, because a document
    /// must not arrive byte by byte for ever.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] if it is longer; as [`Response::stream`].
    pub(crate) async fn bytes(self, limit: usize) -> Result<Bytes> {
        let endpoint = self.endpoint.clone();
        let show = trace::show(&self.response);
        let longest = self.idle.saturating_mul(PATIENCE);
        let status = self.status().as_u16();
        let sent_secrets = self.sent_secrets.clone();
        let since = Instant::now();
        let gathering = gathered(self.stream(), limit);
        let Ok(gathered) = tokio::time::timeout(longest, gathering).await else {
            let what = "the answer began but did not end";
            return Err(silence(what, longest, since).target(endpoint));
        };
        let all = gathered?.ok_or_else(|| {
            let message = format!("answer is longer than {limit} bytes");
            let error = Error::new(ErrorKind::Invalid, message).answer(status, None);
            error.target(endpoint)
        })?;
        // The body of an error is for people to read.
        let all = match status {
            200 => all,
            _ => sent_secrets.hide(all),
        };
        trace::body(show, "answer", &all);
        Ok(all)
    }
}

/// The idle limits within which a document must arrive.
const PATIENCE: u32 = 5;

/// All of it; `None` if that is more than `limit` bytes.
async fn gathered(mut stream: ByteStream, limit: usize) -> Result<Option<Bytes>> {
    let mut all = BytesMut::new();
    while let Some(chunk) = stream.next().await.transpose()? {
        if all.len() + chunk.len() > limit {
            return Ok(None);
        }
        all.extend_from_slice(&chunk);
    }
    Ok(Some(all.freeze()))
}
