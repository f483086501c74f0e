//! Reports places of credentials that could not be read, each once.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use wharf_core::Error;
use wharf_core::sync::Lock;

/// Observes places of credentials that could not be read. The work continues with other places, or
/// without credentials.
pub trait CredentialsObserver: fmt::Debug + Send + Sync {
    /// Called once for each file or helper that failed. Must not block.
    fn on_failure(&self, error: &Error);
}

/// Reports to the observer, if there is one. Clones share what was reported.
#[derive(Clone, Debug, Default)]
pub(super) struct Failures {
    observer: Option<Arc<dyn CredentialsObserver>>,
    told: Arc<Lock<HashSet<String>>>,
}

impl Failures {
    pub(super) fn to(observer: Arc<dyn CredentialsObserver>) -> Self {
        Failures {
            observer: Some(observer),
            told: Arc::default(),
        }
    }

    /// Reports that `place`, a file or a helper, failed, unless it was reported before.
    pub(super) fn tell(&self, place: &str, error: &Error) {
        let new = self.told.lock().insert(place.to_owned());
        tracing::debug!(%error, "credentials passed over");
        if let Some(observer) = self.observer.as_ref().filter(|_| new) {
            observer.on_failure(error);
        }
    }
}
