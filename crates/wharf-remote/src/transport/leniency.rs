//! Reports what was accepted only in insecure mode, once for each host.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;
use wharf_core::sync::Lock;

/// What was accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Leniency {
    /// Plain http.
    PlainHttp,
    /// A certificate that no trusted authority signed.
    Unverified,
}

/// Observes what was accepted only because of [`super::super::Insecure::Yes`] or
/// [`super::super::Verification::None`].
pub trait LeniencyObserver: fmt::Debug + Send + Sync {
    /// Called once when `leniency` was applied to `host`, a name or address with its port. Must not
    /// block.
    fn on_leniency(&self, host: &str, leniency: Leniency);
}

/// The most hosts remembered as reported.
const MANY: usize = 1024;

/// Unverified certificates that were accepted. The verifier does not know the port, and the code
/// that knows the port does not verify: they are noted here when a connection is made, and reported
/// when an answer arrives on it.
#[derive(Debug, Default)]
pub(super) struct Passed(Lock<HashSet<(String, Vec<u8>)>>);

impl Passed {
    /// Records that a host of this name presented a certificate, in DER.
    pub(super) fn note(&self, name: &str, certificate: &[u8]) {
        let mut all = self.0.lock();
        if all.len() < MANY {
            all.insert((name.to_owned(), certificate.to_vec()));
        }
    }

    /// Whether a host of this name presented this certificate; `None`: any.
    pub(super) fn has(&self, name: &str, certificate: Option<&[u8]>) -> bool {
        let fits = |(known, shown): &(String, Vec<u8>)| {
            known == name && certificate.is_none_or(|other| other == shown)
        };
        self.0.lock().iter().any(fits)
    }
}

/// Reports to the observer, if there is one. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tattler {
    observer: Option<Arc<dyn LeniencyObserver>>,
    told: Arc<Lock<HashSet<(String, Leniency)>>>,
}

impl Tattler {
    pub(crate) fn new(observer: Option<Arc<dyn LeniencyObserver>>) -> Self {
        Tattler {
            observer,
            told: Arc::default(),
        }
    }

    /// Reports it, unless it was reported before.
    pub(crate) fn tell(&self, host: &str, leniency: Leniency) {
        let Some(observer) = &self.observer else {
            return;
        };
        let new = {
            let mut told = self.told.lock();
            told.len() < MANY && told.insert((host.to_owned(), leniency))
        };
        if new {
            observer.on_leniency(host, leniency);
        }
    }
}
