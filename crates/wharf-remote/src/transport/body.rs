//! The body of a request, and how to get it again.

use std::sync::Arc;

use bytes::Bytes;
use futures::future::BoxFuture;

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
