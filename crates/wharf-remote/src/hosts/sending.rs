//! Sends requests to a host: over https or http, when its gate admits them.

use std::time::Duration;

use url::Url;

use super::host::Host;
use super::scheme::{self, SchemeVerdict};
use super::takes;
use super::urls::Urls;
use crate::answer;
use crate::memory::Fact;
use crate::settings::Insecure;
use crate::transport::{Leniency, Request, Response, Transport, same_origin};
use wharf_core::Result;

/// How long a request waits for another one to find out the host's scheme.
const PATIENCE: Duration = Duration::from_secs(15);

impl Host {
    /// The endpoints of its API. The first call may have to find out whether it uses https or http.
    ///
    /// # Errors
    /// If nothing answers at its address.
    pub(crate) async fn urls(&self, transport: &Transport) -> Result<&Urls> {
        if self.may_be_plain()
            && let Some(urls) = self.remembered.urls(&self.registry, || self.facts())
        {
            return Ok(urls);
        }
        if let Some(urls) = self.urls.get() {
            return Ok(urls);
        }
        // Another future that finds it out is not waited for without end: it may not be polled.
        let turn = tokio::time::timeout(PATIENCE, self.finding_urls.lock()).await;
        if let Some(urls) = self.urls.get() {
            return Ok(urls);
        }
        let found = Box::pin(self.find(transport)).await?;
        drop(turn);
        Ok(self.urls.get_or_init(|| found))
    }

    /// Sends a request. If the scheme is from memory and the answer does not confirm it, tries both
    /// schemes, and sends the request again if the other one works.
    ///
    /// # Errors
    /// As [`Transport::exchange`].
    pub(crate) async fn dispatch(
        &self,
        transport: &Transport,
        request: Request,
    ) -> Result<Response> {
        let response = self.in_scheme(transport, request).await?;
        // Another host, to which a request was redirected, says nothing of this one.
        if self.is_at(response.url()) {
            let lists = response.all(takes::HEADER);
            lists.for_each(|list| self.takes.learn(list));
            let warnings = response.all_lossy("warning");
            warnings.for_each(|header| self.shared.warnings.note(&self.registry, &header));
        }
        Ok(response)
    }

    async fn in_scheme(&self, transport: &Transport, request: Request) -> Result<Response> {
        let request = match self.urls.get() {
            Some(urls) if same_origin(&urls.root(), request.url()) => {
                request.secrets(&self.way.headers)
            }
            _ => request,
        };
        if !self.may_be_plain() {
            return self.pass(transport, self.covered(request)).await;
        }
        let asked = request.url().clone();
        let untried = self.remembered.is_untried_at(&asked);
        let again = request.again().filter(|_| untried);
        let sent = self.pass(transport, self.covered(request)).await;
        let verdict = scheme::judge(&asked, &sent);
        if let Some(again) = again.filter(|_| verdict == SchemeVerdict::Open) {
            self.remembered.refute();
            tracing::debug!(registry = %self.registry, "remembered scheme not confirmed");
            return match self.urls(transport).await {
                Ok(found) if found.root().scheme() != asked.scheme() => {
                    let moved = found.moved(&asked);
                    let again = self.covered(again.at(moved.clone()));
                    let sent = self.pass(transport, again).await;
                    if let SchemeVerdict::Shown(scheme) = scheme::judge(&moved, &sent) {
                        self.learn(Fact::Scheme(scheme));
                    }
                    sent
                }
                Err(error) if sent.is_err() => Err(error),
                _ => sent,
            };
        }
        // An answer from another host says nothing about this one.
        if self.registry.host()
            == asked
                .host_str()
                .unwrap_or_default()
                .trim_matches(['[', ']'])
            && let Some(fact) = self.remembered.first_shown(verdict)
        {
            self.learn(fact);
        }
        sent
    }

    /// Sends a request when the gate admits it.
    async fn pass(&self, transport: &Transport, request: Request) -> Result<Response> {
        let pass = self.gate.enter(request.lane_kind()).await;
        let response = transport.exchange(request).await?;
        let status = response.status().as_u16();
        self.gate.leave(pass, status, answer::wait(&response));
        Ok(response)
    }

    /// A request to a registry over TLS never continues over plain http, wherever it is redirected.
    fn covered(&self, request: Request) -> Request {
        let urls = self.known_urls();
        let is_secured = urls.is_some_and(|urls| urls.root().scheme() == "https");
        match is_secured && self.shared.insecure == Insecure::No {
            true => request.covered(),
            false => request,
        }
    }

    /// Whether it is the origin of a URL.
    fn is_at(&self, url: &Url) -> bool {
        let urls = self.known_urls();
        urls.is_some_and(|urls| same_origin(&urls.root(), url))
    }

    /// The endpoints of its API, once they were found or remembered.
    fn known_urls(&self) -> Option<&Urls> {
        let remembered = || self.remembered.urls(&self.registry, || self.facts());
        self.urls.get().or_else(remembered)
    }

    async fn find(&self, transport: &Transport) -> Result<Urls> {
        let authority = self.registry.endpoint_authority();
        let found = match self.may_be_plain() {
            true => scheme::find(authority, transport).await?,
            false => Urls::new("https", authority)?,
        };
        let expected = self.registry.is_local() || self.registry.is_private();
        if found.root().scheme() == "http" && !expected {
            let host = self.registry.as_str();
            self.shared.tattler.tell(host, Leniency::PlainHttp);
        }
        Ok(found)
    }

    fn may_be_plain(&self) -> bool {
        if self.way.urls.is_some() {
            return false;
        }
        self.shared.insecure == Insecure::Yes
            || self.registry.is_local()
            || self.registry.is_private()
    }
}
