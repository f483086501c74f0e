//! What a request carries, and how it is had once more.

use std::sync::Arc;

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::{FutureExt, future};

use super::replay::Replay;
use wharf_core::blob::ByteStream;
use wharf_core::{Error, ErrorKind, Result};

/// What a request carries.
pub(crate) enum Body {
    /// Nothing; `Content-Length: 0` where the method suggests a body.
    Empty,
    /// A small document.
    Bytes(Bytes),
    /// A stream, of announced length or chunked.
    Stream(Payload),
}

/// Makes the bytes of a body once more, for a registry that sends us elsewhere with it.
pub(crate) type Again = Arc<dyn Fn() -> BoxFuture<'static, Result<ByteStream>> + Send + Sync>;

/// Bytes to send as they come.
pub(crate) struct Payload {
    /// The bytes, from the first on.
    pub(crate) stream: ByteStream,
    /// How many there are; `None`: they are sent in chunks of HTTP's own.
    pub(crate) length: Option<u64>,
    /// How to get them again; `None` where they come only once.
    pub(crate) again: Option<Again>,
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

/// What is needed to send a body once more.
pub(super) enum Rest {
    Empty,
    Bytes(Bytes),
    Stream(Option<Again>, Option<u64>),
}

/// The same body; one that comes only once can be sent again as long as it has only begun.
pub(super) fn repeatable(body: Body) -> Body {
    let Body::Stream(Payload {
        stream,
        length,
        again: None,
    }) = body
    else {
        return body;
    };
    let (replay, stream) = Replay::new(stream);
    Body::Stream(Payload {
        stream,
        length,
        again: Some(Arc::new(move || future::ready(replay.stream()).boxed())),
    })
}

/// The body to send now, and what is kept of it for another time.
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
            Rest::Stream(Some(again), length) => Ok(Body::Stream(Payload {
                stream: again().await?,
                length,
                again: Some(again),
            })),
            Rest::Stream(None, _) => {
                let message = "it sends us elsewhere with bytes that come only once";
                Err(Error::new(ErrorKind::Unsupported, message))
            }
        }
    }
}
