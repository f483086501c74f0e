//! An upload session at a registry (distribution-spec: "Pushing blobs", end-13, end-14).
//!
//! A session that is neither closed nor kept is cancelled when it is dropped, unless the client
//! pauses.

use std::sync::Arc;
use std::time::Duration;

use http::Method;
use url::Url;
use wharf_oci::{Digest, digits};

use crate::answer;
use crate::api::Api;
use crate::hosts::{Filled, KeptSession, Note};
use crate::transport::{Request, Response, follow_verbatim};
use wharf_core::{Error, ErrorKind, Result};

/// One blob in the making.
#[derive(Debug)]
pub(crate) struct Session {
    api: Api,
    /// `None`: it has ended, or waits for the next try.
    place: Option<KeptSession>,
    /// The smallest chunk that the registry accepts, in bytes; the last one may be smaller.
    least: u64,
}

/// How often, and at what interval, to try to cancel a session. The registry may be busy with the
/// request that broke off.
const CANCELS: u32 = 8;
const CANCEL_WAIT: Duration = Duration::from_millis(120);

/// The most time for cancelling one session.
const CANCEL_LIMIT: Duration = Duration::from_secs(5);

impl Session {
    /// The session that an answer to POST opened.
    ///
    /// # Errors
    /// If the answer names no session URL, or one that must not be used.
    pub(super) fn opened(api: &Api, response: &Response) -> Result<Self> {
        let least = response.header("oci-chunk-min-length");
        let least = least.and_then(|text| digits(text.trim()));
        Ok(Session {
            api: api.clone(),
            place: Some(KeptSession::new(location(response)?, None)),
            least: least.unwrap_or(0),
        })
    }

    /// A session that was kept, by this process or an earlier one.
    pub(super) fn resumed(api: &Api, place: KeptSession) -> Self {
        Session {
            api: api.clone(),
            place: Some(place),
            least: 0,
        }
    }

    pub(super) fn least(&self) -> u64 {
        self.least
    }

    /// Counts the bytes that are sent to it.
    pub(super) fn filled(&self) -> Arc<Filled> {
        let filled = self.place.as_ref().map(|place| Arc::clone(&place.filled));
        filled.unwrap_or_default()
    }

    /// Its URL.
    ///
    /// # Errors
    /// Never, as long as it was neither closed nor kept.
    pub(super) fn url(&self) -> Result<&Url> {
        let place = self.place.as_ref();
        let ended = || Error::new(ErrorKind::Cancelled, "the session has ended");
        place.map(|place| &place.url).ok_or_else(ended)
    }

    /// Notes the session for other processes, in case this one is killed.
    pub(super) fn note(&mut self, note: Option<Note>) {
        if let (Some(place), Some(mut note)) = (&mut self.place, note) {
            note.write(&place.url);
            place.note = Some(note);
        }
    }

    /// How many bytes it had when a try with it failed last; 0 if it did not answer. `None`: none
    /// failed.
    pub(super) fn failed(&self) -> Option<u64> {
        self.place.as_ref().and_then(|place| place.failed)
    }

    /// Notes that a try with it failed, for this process and the next.
    pub(super) fn fails_at(&mut self, length: u64) {
        if let Some(place) = &mut self.place {
            place.failed = Some(length);
            if let Some(note) = &mut place.note {
                note.failed = place.failed;
                note.write(&place.url);
            }
        }
    }

    /// Moves to the `Location` of an answer to PATCH or GET, if there is one (wire.md U3).
    ///
    /// # Errors
    /// If that URL must not be used.
    pub(super) fn follow(&mut self, response: &Response) -> Result<()> {
        if response.header("location").is_none() {
            return Ok(());
        }
        let url = location(response)?;
        if let Some(place) = &mut self.place
            && place.url != url
        {
            if let Some(note) = &mut place.note {
                note.write(&url);
            }
            place.url = url;
        }
        Ok(())
    }

    /// How many bytes it has; `None` if it is gone or the registry does not say.
    ///
    /// # Errors
    /// If the answer may change a moment later.
    pub(super) async fn status(&mut self) -> Result<Option<u64>> {
        let request = Request::new(Method::GET, self.url()?.clone());
        let response = self.api.send(request).await?;
        match response.status().as_u16() {
            200 | 202 | 204 => {
                self.follow(&response)?;
                let length = response.header("range").and_then(length);
                if let (Some(length), Some(place)) = (length, &self.place) {
                    place.filled.stands_at(length);
                }
                Ok(length)
            }
            _ => {
                let error = answer::error(response).await;
                // A registry that lost the session may answer with codes that otherwise mean "try
                // again".
                let passing = matches!(error.status(), Some(408 | 429 | 503));
                if passing { Err(error) } else { Ok(None) }
            }
        }
    }

    /// Ends it: it became a blob, or is gone.
    pub(super) fn close(mut self) {
        if let Some(note) = self.place.take().and_then(|place| place.note) {
            note.clear();
        }
    }

    /// Cancels it, and returns its emptied note for the next session of the blob. If there is no
    /// next session, [`Session::end`] it instead.
    pub(super) fn give_up(mut self) -> Option<Note> {
        let mut place = self.place.take()?;
        let note = place.note.take();
        cancel(place, &self.api);
        note.map(Note::emptied)
    }

    /// Cancels it: its blob has failed for good. The note stays until the registry confirms.
    pub(super) fn end(mut self) {
        if let Some(place) = self.place.take() {
            cancel(place, &self.api);
        }
    }

    /// Ends a session that the registry has lost, and returns its emptied note.
    pub(super) fn forget(mut self) -> Option<Note> {
        self.place.take()?.note.map(Note::emptied)
    }

    /// Keeps it for the next try to send `digest`.
    pub(super) fn keep(mut self, digest: &Digest) {
        if let Some(place) = self.place.take() {
            let host = self.api.host();
            host.sessions().keep(self.api.name(), digest, place);
        }
    }
}

/// Its work was dropped.
impl Drop for Session {
    fn drop(&mut self) {
        if let Some(place) = self.place.take() {
            leave(place, &self.api);
        }
    }
}

/// Ends the session that was kept for a blob, as no try will continue it.
pub(crate) fn end_kept(api: &Api, digest: &Digest) {
    if let Some(kept) = api.host().sessions().take(api.name(), digest) {
        cancel(kept, api);
    }
}

/// The same when the work is given up, which a pause does too.
pub(crate) fn leave_kept(api: &Api, digest: &Digest) {
    if let Some(kept) = api.host().sessions().take(api.name(), digest) {
        leave(kept, api);
    }
}

/// Leaves a session to the next process, or cancels it (wire.md U8).
fn leave(place: KeptSession, api: &Api) {
    let host = api.host();
    if let Some(place) = host.pause().leave(place, &host.learned()) {
        cancel(place, api);
    }
}

/// Cancels a session in the background. Its note stays if the registry could not be reached, so
/// that a later process finds it.
fn cancel(place: KeptSession, api: &Api) {
    let owned = api.clone();
    api.host().janitor().start(async move {
        let told = tokio::time::timeout(CANCEL_LIMIT, delete(&owned, &place.url)).await;
        if let (Ok(true), Some(note)) = (told, place.note) {
            note.clear();
        }
    });
}

/// Cancels a session. Returns whether the registry knows.
async fn delete(api: &Api, url: &Url) -> bool {
    for _ in 0..CANCELS {
        let request = Request::new(Method::DELETE, url.clone());
        let Ok(response) = api.send(request).await else {
            return false;
        };
        let status = response.status().as_u16();
        tracing::debug!(status, endpoint = response.endpoint(), "session cancelled");
        if !matches!(status, 409 | 423 | 429 | 503) {
            return true;
        }
        tokio::time::sleep(CANCEL_WAIT).await;
    }
    false
}

/// The number of bytes in `0-N`: N is the position of the last one. `0-0` may mean one byte or
/// none; it counts as none, since starting again loses at most one byte.
pub(crate) fn length(range: &str) -> Option<u64> {
    let range = range.trim().trim_start_matches("bytes");
    let (start, end) = range.trim_start_matches(['=', ' ']).split_once('-')?;
    let (start, end) = (digits(start.trim())?, digits(end.trim())?);
    match (start, end) {
        (0, 0) => Some(0),
        (0, end) => end.checked_add(1),
        _ => None,
    }
}

/// The `Location` of an answer.
fn location(response: &Response) -> Result<Url> {
    let Some(location) = response.header("location") else {
        let message = format!("answered {} without a Location", response.status());
        return Err(Error::new(ErrorKind::Rejected, message).target(response.endpoint()));
    };
    follow_verbatim(response.url(), location).map_err(|error| error.target(response.endpoint()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn u5_a_range_says_how_many_bytes_are_there() {
        for (range, expected) in [
            ("0-0", Some(0)),
            ("+0-9", None),
            ("0-+9", None),
            ("0-1", Some(2)),
            ("bytes=0-99", Some(100)),
            (" 0-4194303 ", Some(4 << 20)),
            ("5-9", None),
            ("0-18446744073709551615", None),
            ("0", None),
            ("-", None),
            ("", None),
            ("0--1", None),
        ] {
            assert_eq!(length(range), expected, "{range}");
        }
    }

    proptest! {
        #[test]
        fn u5_no_range_is_too_odd(odd in ".{0,40}", last in 1..u64::MAX) {
            let _ = length(&odd);
            prop_assert_eq!(length(&format!("0-{last}")), Some(last + 1));
            prop_assert_eq!(length(&format!("bytes=0-{last}")), Some(last + 1));
        }
    }
}
