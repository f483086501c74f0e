//! Whether the client pauses: uploads that are dropped then stay for the next process (wire.md U8).

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::experience::Experience;
use super::journal::WORTHWHILE;
use super::kept_sessions::KeptSession;

/// The state of a client that is stopped politely.
#[derive(Debug, Default)]
pub(crate) struct Pause {
    begun: AtomicBool,
    left: AtomicUsize,
}

impl Pause {
    /// Begins it. There is no way back: the program is about to end.
    pub(crate) fn begin(&self) {
        self.begun.store(true, Ordering::Relaxed);
    }

    /// How many sessions were left for the next process.
    pub(crate) fn left(&self) -> usize {
        self.left.load(Ordering::Relaxed)
    }

    /// Leaves a session that is dropped, with its note, if the next process can save work with it.
    /// Otherwise returns it, to be cancelled.
    pub(crate) fn leave(&self, session: KeptSession, host: &Experience) -> Option<KeptSession> {
        let continued = !(host.forgets && host.unchunked);
        let saves = session.note.is_some() && session.filled.reach() >= WORTHWHILE;
        if !(self.begun.load(Ordering::Relaxed) && continued && saves) {
            return Some(session);
        }
        tracing::debug!("session left for the next run");
        self.left.fetch_add(1, Ordering::Relaxed);
        None
    }
}

#[cfg(test)]
mod tests {
    use url::Url;
    use wharf_oci::Digest;

    use super::*;
    use crate::hosts::Journal;

    #[test]
    fn fault_b13_a_session_stays_if_the_next_process_can_continue_it() {
        let directory = tempfile::tempdir().unwrap();
        let journal = Journal::new(directory.path().to_owned());
        let url = Url::parse("https://r.example/1").unwrap();
        let stays = |pause: &Pause, noted: bool, bytes: u64, host: Experience| {
            let repository = "r.example/a".parse().unwrap();
            let note = journal.claim(&repository, &Digest::of(b"blob"));
            let session = KeptSession::new(url.clone(), note.filter(|_| noted));
            session.filled.moved(bytes);
            pause.leave(session, &host).is_none()
        };
        let (running, paused, usual) = (Pause::default(), Pause::default(), Experience::default());
        paused.begin();
        let hopeless = Experience {
            forgets: true,
            unchunked: true,
            ..usual
        };
        assert!(stays(&paused, true, WORTHWHILE, usual));
        assert!(!stays(&running, true, WORTHWHILE, usual));
        assert!(!stays(&paused, false, WORTHWHILE, usual));
        assert!(!stays(&paused, true, WORTHWHILE - 1, usual));
        assert!(!stays(&paused, true, WORTHWHILE, hopeless));
        assert_eq!((running.left(), paused.left()), (0, 1));
    }
}
