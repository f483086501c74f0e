//! Sessions that broke off before, in this process or an earlier one, are gone on with
//! (PUSH.md U5, U6).

use super::super::guard;
use super::super::journal::{Note, WORTHWHILE};
use super::super::repository::RemoteRepository;
use super::session::{Place, Session};
use crate::Result;
use crate::blob::Blob;
use crate::verify::blocking;

/// What there is of a blob already.
#[expect(
    clippy::large_enum_variant,
    reason = "one at a time, and moved at once"
)]
pub(super) enum Found {
    /// A session that has so many bytes of it, at least one.
    Session(Session, u64),
    /// No session; with the note, if it is to be noted.
    Nothing(Option<Note>),
}

/// Looks for a session that lives.
///
/// # Errors
/// Where the registry cannot be asked right now: the session is kept for the next try.
pub(super) async fn find(repository: &RemoteRepository, blob: &Blob) -> Result<Found> {
    let descriptor = blob.descriptor();
    let host = repository.host();
    let kept = host.sessions().take(repository.name(), &descriptor.digest);
    let (place, forgot) = match kept {
        Some(place) => {
            let moved = place.moved();
            (place, moved)
        }
        None => match noted(repository, blob).await? {
            Ok(place) => (place, false),
            Err(note) => return Ok(Found::Nothing(note)),
        },
    };
    let mut session = Session::resumed(repository, place);
    let length = match session.status().await {
        Ok(length) => length,
        Err(error) => {
            session.keep(&descriptor.digest);
            return Err(error);
        }
    };
    match length {
        Some(length) if (1..=descriptor.size).contains(&length) => {
            return Ok(Found::Session(session, length));
        }
        // Bytes were sent and are not there: from now on in pieces that are acknowledged.
        None | Some(0) if forgot => host.learn_sending(|learned| learned.forgets = true),
        _ => {}
    }
    let note = match length {
        Some(_) => session.give_up(),
        None => session.forget(),
    };
    Ok(Found::Nothing(note))
}

/// A session that an earlier process noted, or the note for one of our own.
async fn noted(
    repository: &RemoteRepository,
    blob: &Blob,
) -> Result<std::result::Result<Place, Option<Note>>> {
    let descriptor = blob.descriptor();
    let Some(journal) = repository.host().journal() else {
        return Ok(Err(None));
    };
    if descriptor.size < WORTHWHILE {
        return Ok(Err(None));
    }
    let (of, digest) = (repository.repository().clone(), descriptor.digest.clone());
    let claimed = blocking(move || {
        let mut note = journal.claim(&of, &digest)?;
        Some((note.session(), note))
    });
    let Some((session, note)) = claimed.await? else {
        return Ok(Err(None));
    };
    let root = repository.endpoint().await?.root();
    // A note is a file that others may have written: it is read as a registry's word is.
    let url = session.and_then(|url| guard::follow(&root, url.as_str()).ok());
    Ok(match url {
        Some(url) => Ok(Place::noted(url, note)),
        None => Err(Some(note.emptied())),
    })
}
