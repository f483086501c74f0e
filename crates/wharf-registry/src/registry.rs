//! A registry: a storage, and the settings for serving it.

use std::sync::Arc;

use wharf_oci::RepositoryName;

use crate::access::{Access, Action, Caller, Decision, Open};
use crate::budget::Budgets;
use crate::storage::Storage;

/// A registry over a storage. Cheap to clone; clones share the bounds on memory.
#[derive(Clone, Debug)]
pub struct Registry {
    pub(crate) storage: Storage,
    pub(crate) referrers: Referrers,
    pub(crate) sizes: Sizes,
    pub(crate) access: Arc<dyn Access>,
    pub(crate) budgets: Budgets,
}

/// Whether a registry lists referrers (distribution-spec: "Listing Referrers").
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Referrers {
    /// It lists them, and answers each PUT of a manifest with a subject with `OCI-Subject`.
    #[default]
    On,
    /// It behaves like registries without the API: clients keep the list under a tag.
    Off,
}

/// What a registry does with a manifest that states another size for content than it has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sizes {
    /// It takes the manifest, as other registries do, and logs both sizes.
    #[default]
    Lenient,
    /// It refuses the manifest with 400 and both sizes.
    Strict,
}

impl Registry {
    /// A registry over `storage`. Every client may do everything.
    pub fn new(storage: Storage) -> Self {
        Registry {
            storage,
            referrers: Referrers::default(),
            sizes: Sizes::default(),
            access: Arc::new(Open),
            budgets: Budgets::default(),
        }
    }

    /// Turns the list of referrers on or off. Referrer links are written either way.
    #[must_use]
    pub fn referrers(mut self, referrers: Referrers) -> Self {
        self.referrers = referrers;
        self
    }

    /// Takes or refuses manifests that state wrong sizes.
    #[must_use]
    pub fn sizes(mut self, sizes: Sizes) -> Self {
        self.sizes = sizes;
        self
    }

    /// Asks `access` what a client may do.
    #[must_use]
    pub fn access(mut self, access: Arc<dyn Access>) -> Self {
        self.access = access;
        self
    }

    pub(crate) fn may_pull(&self, caller: &Caller, name: &RepositoryName) -> bool {
        self.access.may(caller, name, Action::Pull) == Decision::Allowed
    }
}
