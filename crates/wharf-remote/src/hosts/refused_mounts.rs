//! Mount sources that a registry refused in this process.

use std::collections::HashSet;

use wharf_oci::{Repository, RepositoryName};

use wharf_core::sync::Lock;

/// The most entries; beyond them all are forgotten, which costs requests only.
const MANY: usize = 1024;

/// Pairs of a destination and a source between which mounting is not allowed. The answer does not
/// depend on the blob, so it counts for all.
#[derive(Debug, Default)]
pub(crate) struct RefusedMounts(Lock<HashSet<(RepositoryName, Repository)>>);

impl RefusedMounts {
    pub(crate) fn has(&self, to: &RepositoryName, from: &Repository) -> bool {
        let all = self.0.lock();
        !all.is_empty() && all.contains(&(to.clone(), from.clone()))
    }

    pub(crate) fn add(&self, to: &RepositoryName, from: Repository) {
        let mut all = self.0.lock();
        if all.len() >= MANY {
            all.clear();
        }
        all.insert((to.clone(), from));
    }
}
