//! Says what was done only because anything goes: once for each host.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;
use wharf_core::sync::Lock;

/// What was let pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Leniency {
    /// The host was spoken to without TLS.
    PlainHttp,
    /// The host showed a certificate that nobody trusted vouches for.
    Unverified,
}

/// Is told what was let pass because the client was built so ([`super::super::Insecure::Yes`],
/// [`super::super::Verification::None`]), where it made a difference.
pub trait LeniencyObserver: fmt::Debug + Send + Sync {
    /// `host`, a name or address with its port, was given `leniency`; told once. Must not block.
    fn on_leniency(&self, host: &str, leniency: Leniency);
}

/// Hosts of which it is remembered that they were told of.
const MANY: usize = 1024;

/// Certificates that were let pass. Who judges them knows no port, and who knows the port judges
/// none: they are noted here when a connection is made, and told of when something came over it.
#[derive(Debug, Default)]
pub(super) struct Passed(Lock<HashSet<(String, Vec<u8>)>>);

impl Passed {
    /// Notes that a host of this name showed a certificate, in DER.
    pub(super) fn note(&self, name: &str, certificate: &[u8]) {
        let mut all = self.0.lock();
        if all.len() < MANY {
            all.insert((name.to_owned(), certificate.to_vec()));
        }
    }

    /// Whether a host of this name showed this certificate; without one, any.
    pub(super) fn has(&self, name: &str, certificate: Option<&[u8]>) -> bool {
        let fits = |(known, shown): &(String, Vec<u8>)| {
            known == name && certificate.is_none_or(|other| other == shown)
        };
        self.0.lock().iter().any(fits)
    }
}

/// Tells the observer, if there is one. Cheap to clone.
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

    /// Tells it, unless it was told before.
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
