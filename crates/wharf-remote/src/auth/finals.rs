//! What was tried in vain for a set of scopes, so that it is not tried for every blob.

use std::collections::HashSet;

use http::Method;
use wharf_core::sync::Lock;

use super::scope::ScopeSet;

/// The most entries; beyond them all are forgotten, which costs requests only.
const MANY: usize = 512;

/// Requests, by method and scopes, for which it was in vain.
#[derive(Debug, Default)]
pub(super) struct Finals(Lock<HashSet<(Method, ScopeSet)>>);

impl Finals {
    pub(super) fn has(&self, method: &Method, scopes: &ScopeSet) -> bool {
        let all = self.0.lock();
        !all.is_empty() && all.contains(&(method.clone(), scopes.clone()))
    }

    pub(super) fn add(&self, method: &Method, scopes: &ScopeSet) {
        let mut all = self.0.lock();
        if all.len() >= MANY {
            all.clear();
        }
        all.insert((method.clone(), scopes.clone()));
    }

    /// Forgets what a token that allows `scopes` proved wrong.
    pub(super) fn clear(&self, method: &Method, scopes: &ScopeSet) {
        self.0
            .lock()
            .retain(|(known, vain)| known != method || !scopes.covers(vain));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fault_b2_a_success_clears_what_its_token_allows() {
        let set = ScopeSet::parse;
        let finals = Finals::default();
        let (one, both) = (
            set("repository:a:pull"),
            set("repository:a:pull repository:b:pull"),
        );
        finals.add(&Method::HEAD, &one);
        finals.add(&Method::HEAD, &both);
        finals.clear(&Method::GET, &both);
        finals.clear(&Method::HEAD, &set("repository:a:pull,push"));
        assert!(!finals.has(&Method::HEAD, &one));
        assert!(finals.has(&Method::HEAD, &both));
        assert!(!finals.has(&Method::GET, &both));
    }
}
