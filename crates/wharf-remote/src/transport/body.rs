//! The body of a request, and how to get it again.

use std::sync::Arc;

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::{StreamExt, stream};
use http::Method;
use http::header::CONTENT_LENGTH;

use super::activity::Activity;
use wharf_core::Result;
use wharf_core::blob::ByteStream;

/// The body of a request.
pub(crate) enum Body {
    /// Empty; `Content-Length: 0` if the method suggests a body.
    Empty,
    /// A small document.
    Bytes(Bytes),
    /// A stream, of announced length or chunked.
    Stream(Payload),
}

/// Makes the bytes of a body again, for a registry that redirects it or requires a new token.
pub(crate) type Again = Arc<dyn Fn() -> BoxFuture<'static, Result<ByteStream>> + Send + Sync>;

/// A streamed body.
pub(crate) struct Payload {
    /// The bytes, from the first on.
    pub(crate) stream: ByteStream,
    /// The number of bytes; `None`: HTTP's chunked encoding is used.
    pub(crate) length: Option<u64>,
    /// How to get them again.
    pub(crate) again: Again,
}

impl std::fmt::Debug for Body {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Body::Empty => f.write_str("Empty"),
            Body::Bytes(bytes) => write!(f, "Bytes({})", bytes.len()),
            Body::Stream(payload) => write!(f, "Stream({:?})", payload.length),
        }
    }
}

/// What is needed to send a body again.
#[derive(Clone)]
pub(super) enum Rest {
    Empty,
    Bytes(Bytes),
    Stream(Again, Option<u64>),
}

/// The body to send now, and what is needed to send it again.
pub(super) fn split(body: Body) -> (Body, Rest) {
    let rest = match &body {
        Body::Empty => Rest::Empty,
        Body::Bytes(bytes) => Rest::Bytes(bytes.clone()),
        Body::Stream(payload) => Rest::Stream(payload.again.clone(), payload.length),
    };
    (body, rest)
}

impl Rest {
    pub(super) async fn renew(self) -> Result<Body> {
        match self {
            Rest::Empty => Ok(Body::Empty),
            Rest::Bytes(bytes) => Ok(Body::Bytes(bytes)),
            Rest::Stream(again, length) => Ok(Body::Stream(Payload {
                stream: again().await?,
                length,
                again,
            })),
        }
    }
}

/// The request with its body, watched by `activity`.
pub(super) fn with_body(
    builder: reqwest::RequestBuilder,
    method: &Method,
    body: Body,
    activity: &Activity,
) -> reqwest::RequestBuilder {
    let (bytes, length) = match body {
        Body::Stream(payload) => (payload.stream, payload.length),
        Body::Bytes(bytes) if !bytes.is_empty() => {
            let length = bytes.len() as u64;
            let whole = stream::once(async { Ok(bytes) });
            (whole.boxed(), Some(length))
        }
        Body::Empty | Body::Bytes(_) => {
            let builder = builder.body(reqwest::Body::wrap(activity.nothing()));
            return match *method {
                Method::GET | Method::HEAD => builder,
                _ => builder.header(CONTENT_LENGTH, 0),
            };
        }
    };
    let builder = match length {
        Some(length) => builder.header(CONTENT_LENGTH, length),
        None => builder,
    };
    builder.body(reqwest::Body::wrap_stream(activity.watch(bytes, length)))
}
