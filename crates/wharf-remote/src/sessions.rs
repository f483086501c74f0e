//! Sessions that broke off and wait for the next try to go on (wire.md U5).

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use wharf_oci::{Digest, RepositoryName};

use super::upload::Place;

/// The kept sessions of one host: no more than there are blobs being tried again.
#[derive(Debug, Default)]
pub(super) struct Sessions {
    kept: Mutex<HashMap<(RepositoryName, Digest), Place>>,
}

impl Sessions {
    /// Keeps a session for the next try.
    pub(super) fn keep(&self, name: &RepositoryName, digest: &Digest, place: Place) {
        self.kept().insert((name.clone(), digest.clone()), place);
    }

    /// The session that was kept for a blob: whoever takes it goes on with it, or ends it.
    pub(super) fn take(&self, name: &RepositoryName, digest: &Digest) -> Option<Place> {
        self.kept().remove(&(name.clone(), digest.clone()))
    }

    fn kept(&self) -> MutexGuard<'_, HashMap<(RepositoryName, Digest), Place>> {
        // No code that holds the lock can panic half-way through a change.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
