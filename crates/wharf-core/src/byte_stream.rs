//! The type of all streams of bytes.

use bytes::Bytes;
use futures::stream::BoxStream;

use crate::Result;

/// Bytes as they arrive, in chunks of any size up to about a mebibyte.
pub type ByteStream = BoxStream<'static, Result<Bytes>>;
