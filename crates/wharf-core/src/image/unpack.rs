//! Decompresses a stream on the way.

use std::io;

use futures::{StreamExt, stream};
use tokio::runtime::Handle;

use crate::blob::ByteStream;
use crate::layer::pipe;
use crate::store::archive::peel;
use crate::stream_reader::StreamReader;

/// What `packed` decompresses to. Its first bytes tell the compression, whatever its media type
/// says. The stream ends only after `packed` ended without an error.
pub(crate) fn unpacked(packed: ByteStream) -> ByteStream {
    let opened = async move {
        let reader = StreamReader::new(packed, Handle::current());
        pipe::written_by(move |pipe| {
            let mut plain = peel(Box::new(reader), "content")?;
            io::copy(&mut plain, pipe)?;
            Ok(())
        })
    };
    stream::once(opened).flatten().boxed()
}
