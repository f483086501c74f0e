//! KeptInterrupted sessions that wait for the next try (wire.md U5).

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use url::Url;
use wharf_oci::{Digest, RepositoryName};

use super::journal::Note;
use wharf_core::sync::Lock;

/// The URL of a session, and its note for other processes.
#[derive(Debug)]
pub(crate) struct KeptSession {
    pub(crate) url: Url,
    pub(crate) note: Option<Note>,
    /// Whether this process sent bytes to it.
    pub(crate) moved: Arc<AtomicBool>,
}

impl KeptSession {
    pub(crate) fn new(url: Url, note: Option<Note>) -> Self {
        KeptSession {
            url,
            note,
            moved: Arc::default(),
        }
    }

    /// Whether this process sent bytes to it.
    pub(crate) fn moved(&self) -> bool {
        self.moved.load(Ordering::Relaxed)
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
