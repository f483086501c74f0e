//! Interrupted sessions that wait for the next try (wire.md U5).

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use url::Url;
use wharf_oci::{Digest, RepositoryName};

use super::journal::Note;
use wharf_core::sync::Lock;

/// The URL of a session, and its note for other processes.
#[derive(Debug)]
pub(crate) struct KeptSession {
    pub(crate) url: Url,
    pub(crate) note: Option<Note>,
    pub(crate) filled: Arc<Filled>,
    /// How many bytes it had when a try with it failed last; 0 if it did not answer.
    pub(crate) failed: Option<u64>,
}

/// How far a session is filled.
#[derive(Debug, Default)]
pub(crate) struct Filled {
    /// Whether this process sent bytes to it.
    moved: AtomicBool,
    /// Bytes in it or on their way, as far as known.
    reach: AtomicU64,
}

impl Filled {
    /// This many more bytes are on their way.
    pub(crate) fn moved(&self, bytes: u64) {
        self.moved.store(true, Ordering::Relaxed);
        self.reach.fetch_add(bytes, Ordering::Relaxed);
    }

    /// The registry says that it has this many bytes.
    pub(crate) fn stands_at(&self, bytes: u64) {
        self.reach.store(bytes, Ordering::Relaxed);
    }

    /// Bytes in it or on their way.
    pub(crate) fn reach(&self) -> u64 {
        self.reach.load(Ordering::Relaxed)
    }
}

impl KeptSession {
    pub(crate) fn new(url: Url, note: Option<Note>) -> Self {
        KeptSession {
            url,
            failed: note.as_ref().and_then(|note| note.failed),
            note,
            filled: Arc::default(),
        }
    }

    /// Whether this process sent bytes to it.
    pub(crate) fn moved(&self) -> bool {
        self.filled.moved.load(Ordering::Relaxed)
    }
}

/// The kept sessions of one host, at most one per blob that is being retried.
#[derive(Debug, Default)]
pub(crate) struct KeptSessions {
    kept: Lock<HashMap<(RepositoryName, Digest), KeptSession>>,
}

impl KeptSessions {
    /// Keeps a session for the next try.
    pub(crate) fn keep(&self, name: &RepositoryName, digest: &Digest, session: KeptSession) {
        self.kept
            .lock()
            .insert((name.clone(), digest.clone()), session);
    }

    /// The session that was kept for a blob: the caller continues it, or ends it.
    pub(crate) fn take(&self, name: &RepositoryName, digest: &Digest) -> Option<KeptSession> {
        self.kept.lock().remove(&(name.clone(), digest.clone()))
    }
}
