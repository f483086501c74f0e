//! All bytes of a blob, sent in one manner.

use std::sync::Arc;

use futures::{FutureExt, TryStreamExt};

use super::chunks::send_chunks;
use super::manner::Manner;
use super::reading::{Reading, bytes};
use super::requests::{Span, counted, finish, patch};
use super::session::Session;
use crate::api::Api;
use crate::transport::{Body, Payload};
use wharf_core::Result;

/// Sends all bytes to the session, and commits it.
///
/// # Errors
/// The error of the source or the registry. The session is then in the state that the registry
/// knows.
pub(super) async fn send_all(
    api: &Api,
    session: &mut Session,
    reading: Reading<'_>,
    manner: Manner,
) -> Result<()> {
    let digest = reading.blob.descriptor().digest.clone();
    let span = Span {
        start: reading.offset,
        end: reading.size(),
    };
    if span.start == span.end {
        // Nothing to send, but the digest must still be checked.
        reading.stream.try_for_each(|_| async { Ok(()) }).await?;
        return finish(api, session, &digest, Body::Empty, None).await;
    }
    // A body from the beginning needs no range.
    let range = (span.start > 0).then_some(span);
    match manner {
        Manner::Whole => {
            let body = body(session, reading);
            finish(api, session, &digest, body, range).await
        }
        Manner::Patch => {
            let body = body(session, reading);
            patch(api, session, body, range).await?;
            finish(api, session, &digest, Body::Empty, None).await
        }
        Manner::Chunks(size) => {
            send_chunks(api, session, reading, size).await?;
            finish(api, session, &digest, Body::Empty, None).await
        }
    }
}

fn body(session: &Session, reading: Reading<'_>) -> Body {
    let length = reading.size().saturating_sub(reading.offset);
    let (blob, offset) = (reading.blob.clone(), reading.offset);
    let again = move || {
        let blob = blob.clone();
        async move { bytes(&blob, offset).await }.boxed()
    };
    Body::Stream(Payload {
        stream: counted(session, reading.stream),
        length: Some(length),
        again: Arc::new(again),
    })
}
