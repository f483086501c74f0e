//! A stream that gives its bytes once, behind something that can be opened until they are taken.

use std::sync::Arc;

use futures::{StreamExt, TryStreamExt, stream};

use crate::blob::ByteStream;
use crate::sync::Lock;
use crate::{Error, ErrorKind, Result};

/// A stream that can be read once. It is taken with the first poll, not when it is opened: a try
/// that failed before it read anything has cost nothing.
pub(super) struct Once {
    stream: Lock<Option<ByteStream>>,
}

impl Once {
    pub(super) fn new(stream: ByteStream) -> Arc<Self> {
        Arc::new(Once {
            stream: Lock::new(Some(stream)),
        })
    }

    /// The bytes, unless they are gone: then the stream begins with an error.
    pub(super) fn open(self: &Arc<Self>) -> ByteStream {
        let once = Arc::clone(self);
        stream::once(async move { once.take() })
            .try_flatten()
            .boxed()
    }

    fn take(&self) -> Result<ByteStream> {
        // No code that holds the lock can panic half-way through a change.
        let mut stream = self.stream.lock();
        stream.take().ok_or_else(|| {
            let message = "can be read only once, and was";
            Error::new(ErrorKind::Unsupported, message)
        })
    }
}
