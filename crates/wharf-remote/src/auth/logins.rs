//! The credentials for one host, looked up once for each repository.

use std::collections::HashMap;
use std::sync::Arc;

use wharf_oci::{Registry, RepositoryName};

use crate::credentials::{Credential, Credentials, Found};
use wharf_core::Error;
use wharf_core::sync::Lock;

/// Repositories with cached credentials.
const MANY: usize = 512;

/// Where the credentials for a host are looked up, and what was found.
#[derive(Debug)]
pub(super) struct Logins {
    credentials: Option<Arc<dyn Credentials>>,
    known: Lock<HashMap<Option<RepositoryName>, Looked>>,
}

/// The result of looking.
#[derive(Clone, Debug, Default)]
pub(super) struct Looked {
    pub(super) found: Option<Found>,
    /// Why none were found, if a place could not be read. It counts only where credentials are
    /// needed.
    pub(super) failure: Option<Error>,
}

impl Logins {
    pub(super) fn new(credentials: Option<Arc<dyn Credentials>>) -> Self {
        Logins {
            credentials,
            known: Lock::default(),
        }
    }

    /// The credentials for the repository `name`, or for the registry as a whole.
    pub(super) async fn look(&self, registry: &Registry, name: Option<&RepositoryName>) -> Looked {
        let Some(credentials) = &self.credentials else {
            return Looked::default();
        };
        let key = name.cloned();
        if let Some(looked) = self.known.lock().get(&key) {
            return looked.clone();
        }
        let looked = match credentials.find(registry, name).await {
            Ok(found) => Looked {
                found,
                failure: None,
            },
            Err(error) => Looked {
                found: None,
                failure: Some(error.target("credentials")),
            },
        };
        let mut known = self.known.lock();
        if known.len() >= MANY {
            known.clear();
        }
        known.insert(key, looked.clone());
        looked
    }

    /// Looks again next time.
    pub(super) fn forget(&self, name: Option<&RepositoryName>) {
        self.known.lock().remove(&name.cloned());
    }

    /// Why a place could not be read, if a lookup failed.
    pub(super) fn failure(&self) -> Option<Error> {
        let known = self.known.lock();
        known.values().find_map(|looked| looked.failure.clone())
    }

    /// The place of credentials that are no password.
    pub(super) fn token_source(&self) -> Option<String> {
        let known = self.known.lock();
        let mut found = known.values().filter_map(|looked| looked.found.as_ref());
        let token = found.find(|found| !matches!(found.credential, Credential::Password { .. }))?;
        Some(token.source.clone())
    }

    /// The places that are looked at, for messages.
    pub(super) fn places(&self) -> Vec<String> {
        let places = self.credentials.as_ref().map(|known| known.places());
        places.unwrap_or_default()
    }
}
