//! Resumes sessions that broke off before, in this process or an earlier one (wire.md U5, U6).

use super::session::Session;
use crate::api::Api;
use crate::hosts::KeptSession;
use crate::hosts::{Note, WORTHWHILE};
use crate::transport::follow_kept;
use wharf_core::Result;
use wharf_core::blob::Blob;
use wharf_core::intake::Intake;
use wharf_core::verify::blocking;
use wharf_oci::Digest;

/// The part of a blob that a registry has.
pub(super) enum Resumable {
    /// A session with this many bytes of it, at least one.
    Session(Session, u64),
    /// A session of no use: a try with it failed before, and it has no more bytes now, or it does
    /// not answer. It is given up once another one is open (wire.md U10).
    Failing(Session, Result<u64>),
    /// No session; with the note to use for a new one, if any.
    Nothing(Option<Note>),
}

/// The content that a session is searched for.
#[derive(Clone, Copy)]
pub(super) struct Sought<'a> {
    /// Its key in this process, if there is a further try.
    key: Option<&'a Digest>,
    /// Its key in other processes, if they may resume it.
    noted: Option<&'a Digest>,
    /// The most bytes a session can have of it.
    most: u64,
}

impl<'a> Sought<'a> {
    pub(super) fn blob(blob: &'a Blob) -> Self {
        let descriptor = blob.descriptor();
        Sought {
            key: Some(&descriptor.digest),
            noted: (descriptor.size >= WORTHWHILE).then_some(&descriptor.digest),
            most: descriptor.size,
        }
    }

    pub(super) fn intake(intake: &'a dyn Intake) -> Self {
        Sought {
            key: intake.key(),
            noted: intake.identity(),
            most: u64::MAX,
        }
    }
}

/// Looks for a live session.
///
/// # Errors
/// If the session does not answer for the first time; it is kept for the next try.
pub(super) async fn find(api: &Api, sought: Sought<'_>) -> Result<Resumable> {
    let host = api.host();
    let take = |key| host.sessions().take(api.name(), key);
    let kept = sought.key.and_then(take);
    let (place, forgot) = match kept {
        Some(place) => {
            let moved = place.moved();
            (place, moved)
        }
        None => match noted(api, sought).await? {
            Ok(place) => (place, false),
            Err(note) => return Ok(Resumable::Nothing(note)),
        },
    };
    let mut session = Session::resumed(api, place);
    let failed = session.failed();
    let length = match (session.status().await, sought.key) {
        (Ok(length), _) => length,
        (Err(error), Some(key)) if failed.is_none() && error.is_transient() => {
            session.fails_at(0);
            session.keep(key);
            return Err(error);
        }
        (Err(error), _) => return Ok(Resumable::Failing(session, Err(error))),
    };
    match length {
        Some(length) if (1..=sought.most).contains(&length) => {
            return Ok(match failed {
                Some(at) if length <= at => Resumable::Failing(session, Ok(length)),
                _ => Resumable::Session(session, length),
            });
        }
        // Bytes were sent and are not there: from now on chunks are acknowledged one by one.
        None | Some(0) if forgot => host.learn_sending(|learned| learned.forgets = true),
        _ => {}
    }
    let note = match length {
        Some(_) => session.give_up(),
        None => session.forget(),
    };
    Ok(Resumable::Nothing(note))
}

/// A session that an earlier process noted, or the note for one of our own.
async fn noted(
    api: &Api,
    sought: Sought<'_>,
) -> Result<std::result::Result<KeptSession, Option<Note>>> {
    let (Some(journal), Some(digest)) = (api.host().journal(), sought.noted) else {
        return Ok(Err(None));
    };
    let (of, digest) = (api.repository().clone(), digest.clone());
    let claimed = blocking(move || {
        let mut note = journal.claim(&of, &digest)?;
        Some((note.session(), note))
    });
    let Some((session, note)) = claimed.await? else {
        return Ok(Err(None));
    };
    let root = api.urls().await?.root();
    // Another process may have written the note, so its URL is checked like a registry's.
    let url = session.and_then(|url| follow_kept(&root, &url).ok());
    Ok(match url {
        Some(url) => Ok(KeptSession::new(url, Some(note))),
        None => Err(Some(note.emptied())),
    })
}
