//! Whether a host answers with https or http: found out, or remembered from an earlier run.
//!
//! Remembering saves a TLS hello to each command that talks to a registry without TLS. Plain http comes from
//! memory only for local and private hosts, also where more is allowed: elsewhere https always has
//! the first word. A memory that proves wrong is dropped, and both are tried as if there were none
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

/// How long https is alone in being tried where http may be tried too.
const HEAD_START: Duration = Duration::from_millis(300);

/// What is remembered of one host, and whether this process saw that it is so.
#[derive(Debug, Default)]
pub(crate) struct Remembered {
    urls: OnceLock<Option<Urls>>,
    refuted: AtomicBool,
    shown: AtomicBool,
}

/// What an answer says about the scheme it came by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SchemeVerdict {
    /// This is how the host answers.
    Shown(Scheme),
    /// It may be, or not.
    Open,
}

impl Remembered {
    /// Where the API should be, until that is refuted. `facts` is asked once.
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

    /// Whether the memory counts, and nothing shows yet that it is right about `url`.
    pub(crate) fn is_untried_at(&self, url: &Url) -> bool {
        let open = !self.refuted.load(Ordering::Relaxed) && !self.shown.load(Ordering::Relaxed);
        let urls = self.urls.get().and_then(Option::as_ref);
        open && urls.is_some_and(|urls| urls.root().origin() == url.origin())
    }

    pub(crate) fn refute(&self) {
        self.refuted.store(true, Ordering::Relaxed);
    }

    /// The fact to remember, the first time that it shows.
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
/// Where no host answers, or TLS with it fails.
pub(crate) async fn find(authority: &str, transport: &Transport) -> Result<Urls> {
    let secure = Urls::new("https", authority)?;
    let plain = Urls::new("http", authority)?;
    let https = transport.probe(secure.root());
    tokio::pin!(https);
    let early = tokio::time::timeout(HEAD_START, &mut https).await;
    match early {
        Ok(Ok(_)) => return Ok(secure),
        // A host that speaks TLS is not asked again in the clear.
        Ok(Err(Probe {
            speaks_tls: true,
            error,
        })) => return Err(error),
        // What is wrong, if it is not just that there is no TLS, the first request will say.
        Ok(Err(_)) => return Ok(plain),
        Err(_) => {}
    }
    let http = transport.probe(plain.root());
    tokio::pin!(http);
    tokio::select! {
        answer = &mut https => match answer {
            Ok(_) => Ok(secure),
            Err(Probe { speaks_tls: true, error }) => Err(error),
            Err(_) => http.await.map(|_| plain).map_err(|probe| probe.error),
        },
        answer = &mut http => {
            let answers = matches!(answer, Ok(status) if !points_to_tls(status));
            match answers && !transport.speaks_tls(&secure.root()).await {
                true => Ok(plain),
                false => https.await.map(|_| secure).map_err(|probe| probe.error),
            }
        }
    }
}

/// Judges what came of a request to `asked`.
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

/// Whether an answer to plain http is what servers that want TLS give: 400, or a redirect.
fn points_to_tls(status: StatusCode) -> bool {
    status == StatusCode::BAD_REQUEST || status.is_redirection()
}
