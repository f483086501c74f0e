//! The scheme that a host was seen to answer with: used instead of finding it out again.
//!
//! It saves a TLS hello to each command that talks to a registry without TLS. Plain http comes from
//! memory only for local and private hosts, also where more is allowed: elsewhere https always has
//! the first word. A memory that proves wrong is dropped, and both are tried as if there were none
//! (wire.md A3).

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use url::Url;
use wharf_oci::Registry;

use super::endpoint::Endpoint;
use super::host::points_to_tls;
use super::transport::Response;
use crate::memory::{Fact, Facts, Scheme};
use wharf_core::Result;

/// What is remembered of one host, and whether this process saw that it is so.
#[derive(Debug, Default)]
pub(super) struct Remembered {
    endpoint: OnceLock<Option<Endpoint>>,
    refuted: AtomicBool,
    shown: AtomicBool,
}

/// What an answer says about the scheme it came by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// This is how the host answers.
    Shown(Scheme),
    /// It may be, or not.
    Open,
}

impl Remembered {
    /// Where the API should be, until that is refuted. `facts` is asked once.
    pub(super) fn endpoint(
        &self,
        registry: &Registry,
        facts: impl FnOnce() -> Facts,
    ) -> Option<&Endpoint> {
        if self.refuted.load(Ordering::Relaxed) {
            return None;
        }
        let find = || {
            let scheme = match facts().scheme? {
                Scheme::Https => "https",
                Scheme::Http if registry.is_local() || registry.is_private() => "http",
                Scheme::Http => return None,
            };
            Endpoint::new(scheme, registry.endpoint_authority()).ok()
        };
        self.endpoint.get_or_init(find).as_ref()
    }

    /// Whether the memory counts, and nothing shows yet that it is right about `url`.
    pub(super) fn is_untried_at(&self, url: &Url) -> bool {
        let open = !self.refuted.load(Ordering::Relaxed) && !self.shown.load(Ordering::Relaxed);
        let endpoint = self.endpoint.get().and_then(Option::as_ref);
        open && endpoint.is_some_and(|endpoint| endpoint.root().origin() == url.origin())
    }

    pub(super) fn refute(&self) {
        self.refuted.store(true, Ordering::Relaxed);
    }

    /// The fact to remember, the first time that it shows.
    pub(super) fn first_shown(&self, verdict: Verdict) -> Option<Fact> {
        let Verdict::Shown(scheme) = verdict else {
            return None;
        };
        let before = self.shown.swap(true, Ordering::Relaxed);
        (!before).then_some(Fact::Scheme(scheme))
    }
}

/// Judges what came of a request to `asked`.
pub(super) fn judge(asked: &Url, answered: &Result<Response>) -> Verdict {
    let Ok(response) = answered else {
        return Verdict::Open;
    };
    let (asked_scheme, answering) = (asked.scheme(), response.url());
    if asked_scheme == "https" {
        return Verdict::Shown(Scheme::Https);
    }
    // Reads follow a redirect to the same host with TLS.
    let moved = answering.scheme() != asked_scheme && answering.host_str() == asked.host_str();
    match moved || points_to_tls(response.status()) {
        true => Verdict::Open,
        false => Verdict::Shown(Scheme::Http),
    }
}
