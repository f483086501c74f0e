//! Resumes, mounts or sends a blob of known digest. Tries once, in as many manners as the registry
//! requires; an interrupted try leaves its session to the next one.

use http::Method;
use http::header::CONTENT_TYPE;
use wharf_oci::{Digest, MediaType};

use super::manner::Manner;
use super::mount::{self, Asked};
use super::reading::Reading;
use super::resume::{self, Resumable, Sought};
use super::send_all::send_all;
use super::session::Session;
use crate::answer;
use crate::api::Api;
use crate::hosts::Note;
use crate::hosts::Optional;
use crate::transport::{Body, Request, Wait};
use wharf_core::blob::Blob;
use wharf_core::store::Outcome;
use wharf_core::{Error, ErrorKind, Result, Side};

/// Blobs of at most this many bytes go in one POST if the registry accepts that (wire.md U1).
const SMALL: u64 = 64 * 1024;

/// Whether the mount request replaces the existence check (wire.md E5).
pub(crate) fn asks_first(api: &Api, size: u64) -> bool {
    api.host().takes(Optional::AnyMount) && size > SMALL
}

/// Sends a blob of known digest, or mounts it.
///
/// # Errors
/// What the source or the registry says.
pub(crate) async fn put(api: &Api, blob: &Blob) -> Result<Outcome> {
    let mut failing = None;
    let note = match resume::find(api, Sought::blob(blob)).await? {
        Resumable::Nothing(note) => note,
        Resumable::Failing(session, answer) => {
            tracing::debug!(?answer, "session is of no use");
            failing = Some(session);
            None
        }
        Resumable::Session(session, length) => match go_on(api, blob, session, length).await {
            Ok(()) => return Ok(Outcome::Written),
            Err((error, None)) if error.is_transient() => return Err(error),
            Err((error, note)) => {
                // A registry that was wrong about the session may be right about a new one.
                tracing::debug!(%error, "session could not be continued");
                note
            }
        },
    };
    let size = blob.descriptor().size;
    let small = size > 0 && size <= SMALL && api.host().takes(Optional::PostBlob);
    if small && !mount::is_believed(api, blob).await {
        return at_once(api, blob).await;
    }
    let asked = mount::ask(api, blob).await;
    if matches!(asked, Asked::Mounted) {
        return Ok(Outcome::Mounted);
    }
    let reading = Reading::open(blob, 0).await?;
    let session = match asked {
        Asked::Opened(session) => Ok(session),
        Asked::Mounted | Asked::Nothing => begin(api).await,
    };
    let (session, left) = replaced(failing, session, Some(&blob.descriptor().digest))?;
    afresh(api, session, reading, left.or(note)).await
}

/// The new session, with the note of the failing one, which ends. Without a new session the failing
/// one is kept: the registry as a whole may be in trouble.
pub(super) fn replaced(
    failing: Option<Session>,
    opened: Result<Session>,
    key: Option<&Digest>,
) -> Result<(Session, Option<Note>)> {
    match (opened, failing, key) {
        (Ok(session), failing, _) => Ok((session, failing.and_then(Session::give_up))),
        (Err(error), Some(failing), Some(key)) => {
            failing.keep(key);
            Err(error)
        }
        (Err(error), ..) => Err(error),
    }
}

/// Sends the rest of a blob to a session that has `length` bytes of it. If the session was kept,
/// the error has no note, because the session has it.
async fn go_on(
    api: &Api,
    blob: &Blob,
    mut session: Session,
    length: u64,
) -> Result<(), (Error, Option<Note>)> {
    let digest = &blob.descriptor().digest;
    let reading = match Reading::open(blob, length).await {
        Ok(reading) => reading,
        Err(error) => return Err(stop(session, Some(digest), length, error)),
    };
    let manner = manner_of(api, blob, &session);
    match send_all(api, &mut session, reading, manner).await {
        Ok(()) => {
            session.close();
            Ok(())
        }
        Err(error) => Err(stop(session, Some(digest), length, error)),
    }
}

/// Keeps a session that was continued at `length` for the next try, if there is one; otherwise
/// cancels it.
pub(super) fn stop(
    mut session: Session,
    key: Option<&Digest>,
    length: u64,
    error: Error,
) -> (Error, Option<Note>) {
    if let Some(key) = key
        && broke_off(&error)
    {
        // What the source did says nothing about the session.
        if error.failed_side() != Some(Side::Source) {
            session.fails_at(length);
        }
        session.keep(key);
        return (error, None);
    }
    let note = session.give_up();
    (error, note)
}

/// Whether the session may still be usable. "Try again" codes do not count, because they may be
/// about the session itself.
pub(super) fn broke_off(error: &Error) -> bool {
    let kind = error.kind();
    error.is_transient() && (kind.is_transient() || kind == ErrorKind::Unreachable)
}

/// Sends a blob from its beginning.
async fn afresh(
    api: &Api,
    mut session: Session,
    mut reading: Reading<'_>,
    note: Option<Note>,
) -> Result<Outcome> {
    let (blob, size) = (reading.blob, reading.blob.descriptor().size);
    session.note(note);
    let mut manner = manner_of(api, blob, &session);
    let mut changed = false;
    loop {
        let error = match send_all(api, &mut session, reading, manner).await {
            Ok(()) => break,
            Err(error) => error,
        };
        let mut next = manner.after(&error, size, session.least());
        if broke_off(&error) {
            session.keep(&blob.descriptor().digest);
            return Err(error);
        }
        let host = api.host();
        if manner.is_unwanted(&error, host.chunk_size(), &host.learned()) {
            host.learn_sending(|learned| learned.unchunked = true);
            next = Some(manner_of(api, blob, &session));
        }
        let Some(next) = next else {
            session.end();
            return Err(error);
        };
        tracing::debug!(%error, ?next, "refused: sending in another manner");
        (manner, changed) = (next, true);
        let note = session.give_up();
        reading = Reading::open(blob, 0).await?;
        session = begin(api).await?;
        session.note(note);
    }
    session.close();
    if changed {
        let host = api.host();
        match manner {
            Manner::Chunks(bytes) => host.learn_limit(bytes),
            Manner::Patch => host.learn_sending(|learned| learned.patch = true),
            Manner::Whole => {}
        }
    }
    Ok(Outcome::Written)
}

fn manner_of(api: &Api, blob: &Blob, session: &Session) -> Manner {
    let host = api.host();
    let (size, least) = (blob.descriptor().size, session.least());
    Manner::choose(host.chunk_size(), &host.learned(), size, least)
}

/// Opens a session. The request runs to its end even if the caller is dropped, so that the session
/// can be cancelled.
///
/// # Errors
/// What the registry says.
pub(super) async fn begin(api: &Api) -> Result<Session> {
    let owned = api.clone();
    let opening = async move {
        let url = owned.urls().await?.uploads(owned.name());
        let response = owned.send(Request::new(Method::POST, url)).await?;
        Session::opened(&owned, &answer::expect(response, &[202]).await?)
    };
    // The wait can be cancelled; the request cannot.
    api.host().ready_to_open().await;
    api.host().janitor().see_through(opening).await?
}

/// Sends a small blob with the request that opens its session.
async fn at_once(api: &Api, blob: &Blob) -> Result<Outcome> {
    let descriptor = blob.descriptor();
    let bytes = blob.read_all(SMALL).await?;
    let endpoint = api.urls().await?;
    let url = endpoint.upload_of(api.name(), &descriptor.digest);
    let request = Request::new(Method::POST, url)
        .header(CONTENT_TYPE, MediaType::OCTET_STREAM.as_str())
        .body(Body::Bytes(bytes))
        .wait(Wait::Commit);
    let response = api.send(request).await?;
    let session = match response.status().as_u16() {
        201 => return Ok(Outcome::Written),
        // The body was ignored: the answer opens a session.
        202 => Session::opened(api, &response)?,
        _ => {
            let error = answer::error(response).await;
            if error.is_transient() {
                return Err(error);
            }
            // After any other error the usual way may still work.
            tracing::debug!(%error, "refused with the POST");
            begin(api).await?
        }
    };
    let reading = Reading::open(blob, 0).await?;
    afresh(api, session, reading, None).await
}
