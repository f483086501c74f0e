//! A registry: a storage, and how it is served.

use crate::storage::Storage;

/// A registry over some storage. Cheap to clone; it has no state of its own.
#[derive(Clone, Debug)]
pub struct Registry {
    pub(crate) storage: Storage,
    pub(crate) referrers: Referrers,
}

/// Whether a registry lists referrers (distribution-spec: "Listing Referrers").
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Referrers {
    /// It does, and tells so on each manifest with a subject: `OCI-Subject`.
    #[default]
    On,
    /// It behaves as registries from before: clients keep the list under a tag.
    Off,
}

impl Registry {
    /// A registry of what `storage` holds.
    pub fn new(storage: Storage) -> Self {
        Registry {
            storage,
            referrers: Referrers::default(),
        }
    }

    /// Turns the list of referrers on or off. What points at what is written down either way.
    #[must_use]
    pub fn referrers(mut self, referrers: Referrers) -> Self {
        self.referrers = referrers;
        self
    }
}
