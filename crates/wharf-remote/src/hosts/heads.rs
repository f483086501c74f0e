//! What is asked for without HEAD, because HEAD fails there and GET does not.

use std::collections::HashSet;

use url::Url;
use wharf_core::sync::Lock;

/// The most URLs that are remembered.
const MOST: usize = 4096;

/// The URLs at a host where HEAD was given up. Each was tried: one says nothing of another.
#[derive(Debug, Default)]
pub(crate) struct Heads(Lock<HashSet<Url>>);

impl Heads {
    /// Records that HEAD fails at `url` and GET does not.
    pub(crate) fn give_up(&self, url: &Url) {
        let mut without = self.0.lock();
        if without.len() >= MOST {
            without.clear();
        }
        without.insert(url.clone());
    }

    /// Whether to go without HEAD.
    pub(crate) fn are_given_up(&self, url: &Url) -> bool {
        self.0.lock().contains(url)
    }
}
