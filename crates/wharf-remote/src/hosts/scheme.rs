//! Finds out, or remembers, whether a host uses https or http.
//!
//! The memory saves a TLS hello for each command to a registry without TLS. Plain http from memory
//! is used only for local and private hosts, even if more is allowed; elsewhere https is always
//! tried first. A wrong memory is dropped, and both schemes are tried as if there were none
//! (wire.md A3).

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http::StatusCode;
use url::Url;
use wharf_oci::Registry;

use super::urls::Urls;
use crate::memory::{Fact, Facts, Scheme};
use crate::transport::{Probe, Response, Transport};
use wharf_core::Result;

/// The head start of https where http may be tried too.
const HEAD_START: Duration = Duration::from_millis(300);

/// The remembered scheme of one host, and whether this process confirmed it.
#[derive(Debug, Default)]
pub(crate) struct Remembered {
    urls: OnceLock<Option<Urls>>,
    refuted: AtomicBool,
    shown: AtomicBool,
}

/// What an answer says about its scheme.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SchemeVerdict {
    /// The host uses this scheme.
    Shown(Scheme),
    /// It may be, or not.
    Open,
}

impl Remembered {
    /// The remembered endpoint, until it is refuted. Calls `facts` once.
    pub(crate) fn urls(&self, registry: &Registry, facts: impl FnOnce() -> Facts) -> Option<&Urls> {
        if self.refuted.load(Ordering::Relaxed) {
            return None;
        }
        let find = || {
            let scheme = match facts().scheme? {
                Scheme::Https => "https",
                Scheme::Http if registry.is_local() || registry.is_private() => "http",
                Scheme::Http => return None,
            };
            Urls::new(scheme, registry.endpoint_authority()).ok()
        };
        self.urls.get_or_init(find).as_ref()
    }

    /// Whether the memory is used for `url` and not confirmed yet.
    pub(crate) fn is_untried_at(&self, url: &Url) -> bool {
        let open = !self.refuted.load(Ordering::Relaxed) && !self.shown.load(Ordering::Relaxed);
        let urls = self.urls.get().and_then(Option::as_ref);
        open && urls.is_some_and(|urls| urls.root().origin() == url.origin())
    }

    pub(crate) fn refute(&self) {
        self.refuted.store(true, Ordering::Relaxed);
    }

    /// The fact to remember, the first time it is seen.
    pub(crate) fn first_shown(&self, verdict: SchemeVerdict) -> Option<Fact> {
        let SchemeVerdict::Shown(scheme) = verdict else {
            return None;
        };
        let before = self.shown.swap(true, Ordering::Relaxed);
        (!before).then_some(Fact::Scheme(scheme))
    }
}

/// Finds out whether the API at `authority` is https or http. https is asked first; http joins after
/// a head start, and counts only where the host does not speak TLS (wire.md A3).
///
/// # Errors
/// If no host answers, or TLS with it fails.
pub(crate) async fn find(authority: &str, transport: &Transport) -> Result<Urls> {
    let secure = Urls::new("https", authority)?;
    let plain = Urls::new("http", authority)?;
    let https = transport.probe(secure.root());
    tokio::pin!(https);
    let early = tokio::time::timeout(HEAD_START, &mut https).await;
    match early {
        Ok(Ok(_)) => return Ok(secure),
        // A host that speaks TLS is not tried over plain http.
        Ok(Err(Probe {
            connected: true,
            error,
        })) => return Err(error),
        // If more than TLS is wrong, the first request will report it.
        Ok(Err(_)) => return Ok(plain),
        Err(_) => {}
    }
    let http = transport.probe(plain.root());
    tokio::pin!(http);
    tokio::select! {
        answer = &mut https => match answer {
            Ok(_) => Ok(secure),
            Err(Probe { connected: true, error }) => Err(error),
            Err(_) => match http.await {
                // Here too the first request will report what else is wrong.
                Ok(_) | Err(Probe { connected: true, .. }) => Ok(plain),
                Err(Probe { error, .. }) => Err(error),
            },
        },
        answer = &mut http => {
            let answers = matches!(answer, Ok(status) if !points_to_tls(status));
            if answers && !transport.speaks_tls(&secure.root()).await {
                return Ok(plain);
            }
            match (https.await, answer) {
                (Ok(_), _) => Ok(secure),
                (Err(Probe { connected: false, .. }), Err(Probe { connected: true, .. })) => Ok(plain),
                (Err(Probe { error, .. }), _) => Err(error),
            }
        }
    }
}

/// Judges the scheme by the answer to a request to `asked`.
pub(crate) fn judge(asked: &Url, answered: &Result<Response>) -> SchemeVerdict {
    let Ok(response) = answered else {
        return SchemeVerdict::Open;
    };
    let (asked_scheme, answering) = (asked.scheme(), response.url());
    if asked_scheme == "https" {
        return SchemeVerdict::Shown(Scheme::Https);
    }
    // Reads follow a redirect to the same host with TLS.
    let moved = answering.scheme() != asked_scheme && answering.host_str() == asked.host_str();
    match moved || points_to_tls(response.status()) {
        true => SchemeVerdict::Open,
        false => SchemeVerdict::Shown(Scheme::Http),
    }
}

/// Whether an answer to plain http is typical of a TLS server: 400, or a redirect.
fn points_to_tls(status: StatusCode) -> bool {
    status == StatusCode::BAD_REQUEST || status.is_redirection()
}
