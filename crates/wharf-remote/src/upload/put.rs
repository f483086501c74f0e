//! A blob of known digest: gone on with, mounted, or sent. Tries once, in as many manners as the
//! registry makes necessary; a try that broke off leaves its session to the next one.

use http::Method;
use http::header::CONTENT_TYPE;
use wharf_oci::{Digest, MediaType};

use super::super::answer;
use super::super::journal::Note;
use super::super::repository::RemoteRepository;
use super::super::transport::{Body, Request, Wait};
use super::manner::Manner;
use super::mount::{self, Asked};
use super::resume::{self, Found, Sought};
use super::send::{self, Reading};
use super::session::Session;
use wharf_core::blob::Blob;
use wharf_core::store::Outcome;
use wharf_core::{Error, ErrorKind, Result};

/// Blobs of at most so many bytes go in one POST where a registry takes that (wire.md U1).
const SMALL: u64 = 64 * 1024;

/// Whether asking for a mount says all that a question for existence would (wire.md E5).
pub(crate) fn asks_first(repository: &RemoteRepository, size: u64) -> bool {
    repository.host().finds_blobs() && size > SMALL
}

/// Sends a blob whose digest is known, or has the registry mount it.
///
/// # Errors
/// What the source or the registry says.
pub(crate) async fn put(repository: &RemoteRepository, blob: &Blob) -> Result<Outcome> {
    let note = match resume::find(repository, Sought::blob(blob)).await? {
        Found::Nothing(note) => note,
        Found::Session(session, length) => match go_on(repository, blob, session, length).await {
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
    let small = size > 0 && size <= SMALL && repository.host().finds_blobs();
    if small && !mount::is_believed(repository, blob).await {
        return at_once(repository, blob).await;
    }
    let (session, reading) = match mount::ask(repository, blob).await {
        Asked::Mounted => return Ok(Outcome::Mounted),
        Asked::Opened(session) => (session, Reading::open(blob, 0).await?),
        Asked::Nothing => {
            let reading = Reading::open(blob, 0).await?;
            (begin(repository).await?, reading)
        }
    };
    afresh(repository, session, reading, note).await
}

/// Sends the rest of a blob to a session that has `length` bytes of it. An error comes without
/// a note where the session was kept, and its note with it.
async fn go_on(
    repository: &RemoteRepository,
    blob: &Blob,
    mut session: Session,
    length: u64,
) -> Result<(), (Error, Option<Note>)> {
    let digest = &blob.descriptor().digest;
    let reading = match Reading::open(blob, length).await {
        Ok(reading) => reading,
        Err(error) => return Err(stop(session, digest, error)),
    };
    let manner = manner_of(repository, blob, &session);
    match send::all(repository, &mut session, reading, manner).await {
        Ok(()) => {
            session.close();
            Ok(())
        }
        Err(error) => Err(stop(session, digest, error)),
    }
}

/// Keeps the session for the next try where that may help, else gives it up.
pub(super) fn stop(session: Session, key: &Digest, error: Error) -> (Error, Option<Note>) {
    if broke_off(&error) {
        session.keep(key);
        return (error, None);
    }
    let note = session.give_up();
    (error, note)
}

/// Whether the session may be as good as it was: codes that mean "try again" may well be about
/// the session itself.
pub(super) fn broke_off(error: &Error) -> bool {
    let kind = error.kind();
    error.is_transient() && (kind.is_transient() || kind == ErrorKind::Unreachable)
}

/// Sends a blob from its beginning.
async fn afresh(
    repository: &RemoteRepository,
    mut session: Session,
    mut reading: Reading<'_>,
    note: Option<Note>,
) -> Result<Outcome> {
    let (blob, size) = (reading.blob, reading.blob.descriptor().size);
    session.note(note);
    let mut manner = manner_of(repository, blob, &session);
    let mut changed = false;
    loop {
        let error = match send::all(repository, &mut session, reading, manner).await {
            Ok(()) => break,
            Err(error) => error,
        };
        let mut next = manner.after(&error, size, session.least());
        if broke_off(&error) {
            session.keep(&blob.descriptor().digest);
            return Err(error);
        }
        let host = repository.host();
        if manner.is_unwanted(&error, host.chunk_size(), &host.learned()) {
            host.learn_sending(|learned| learned.unchunked = true);
            next = Some(manner_of(repository, blob, &session));
        }
        // Dropped, it is cancelled.
        let Some(next) = next else { return Err(error) };
        tracing::debug!(%error, ?next, "refused: sending in another manner");
        (manner, changed) = (next, true);
        let note = session.give_up();
        reading = Reading::open(blob, 0).await?;
        session = begin(repository).await?;
        session.note(note);
    }
    session.close();
    if changed {
        repository.host().learn_sending(|learned| match manner {
            Manner::Chunks(bytes) => learned.largest = Some(bytes),
            Manner::Patch => learned.patch = true,
            Manner::Whole => {}
        });
    }
    Ok(Outcome::Written)
}

fn manner_of(repository: &RemoteRepository, blob: &Blob, session: &Session) -> Manner {
    let host = repository.host();
    let (size, least) = (blob.descriptor().size, session.least());
    Manner::choose(host.chunk_size(), &host.learned(), size, least)
}

/// Opens a session. Once asked for, it is waited for: it is to be ended if it is not wanted.
///
/// # Errors
/// What the registry says.
pub(super) async fn begin(repository: &RemoteRepository) -> Result<Session> {
    let owned = repository.clone();
    let opening = async move {
        let url = owned.endpoint().await?.uploads(owned.name());
        let response = owned.send(Request::new(Method::POST, url)).await?;
        Session::opened(&owned, &answer::expect(response, &[202]).await?)
    };
    // Waiting can be given up; what was asked for cannot.
    repository.host().ready_to_open().await;
    repository.host().janitor().see_through(opening).await?
}

/// Sends a small blob in the request that would open its session.
async fn at_once(repository: &RemoteRepository, blob: &Blob) -> Result<Outcome> {
    let descriptor = blob.descriptor();
    let bytes = blob.read_all(SMALL).await?;
    let endpoint = repository.endpoint().await?;
    let url = endpoint.upload_of(repository.name(), &descriptor.digest);
    let request = Request::new(Method::POST, url)
        .header(CONTENT_TYPE, MediaType::OCTET_STREAM.as_str())
        .body(Body::Bytes(bytes))
        .wait(Wait::Commit);
    let response = repository.send(request).await?;
    let session = match response.status().as_u16() {
        201 => return Ok(Outcome::Written),
        // The body was not looked at: the answer is that to any other POST.
        202 => Session::opened(repository, &response)?,
        _ => {
            let error = answer::error(response).await;
            if error.is_transient() {
                return Err(error);
            }
            // Whatever is wrong with it, it is no reason not to go the usual way.
            tracing::debug!(%error, "not taken with the POST");
            begin(repository).await?
        }
    };
    let reading = Reading::open(blob, 0).await?;
    afresh(repository, session, reading, None).await
}
