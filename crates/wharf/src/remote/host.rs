//! One registry host: how it is reached, and what was learned of it in this process.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http::StatusCode;
use tokio::sync::OnceCell;
use wharf_oci::Registry;

use super::client::Insecure;
use super::endpoint::Endpoint;
use super::scheme::{self, Remembered, Verdict};
use super::transport::{Probe, Request, Response, Transport};
use super::uploads::Uploads;
use crate::Result;
use crate::memory::{Fact, Facts, RegistryMemory};

/// How long https is alone in being tried where http may be tried too (PUSH.md A3).
const HEAD_START: Duration = Duration::from_millis(300);

/// What a client knows of one host.
#[derive(Debug)]
pub(super) struct Host {
    registry: Registry,
    insecure: Insecure,
    memory: RegistryMemory,
    remembered: Remembered,
    endpoint: OnceCell<Endpoint>,
    patches: AtomicBool,
    uploads: Uploads,
}

impl Host {
    pub(super) fn new(registry: Registry, insecure: Insecure, memory: RegistryMemory) -> Self {
        Host {
            registry,
            insecure,
            memory,
            remembered: Remembered::default(),
            endpoint: OnceCell::new(),
            patches: AtomicBool::new(false),
            uploads: Uploads::default(),
        }
    }

    /// Where the API is. The first call may have to find out whether it is https or http.
    ///
    /// # Errors
    /// Where nobody answers.
    pub(super) async fn endpoint(&self, transport: &Transport) -> Result<&Endpoint> {
        if self.may_be_plain()
            && let Some(endpoint) = self.remembered.endpoint(&self.registry, || self.facts())
        {
            return Ok(endpoint);
        }
        self.endpoint.get_or_try_init(|| self.find(transport)).await
    }

    /// Sends a request. Where the scheme comes from memory and the answer does not show that it is
    /// right, both schemes are tried, and the request is sent again if the other one is it.
    ///
    /// # Errors
    /// As [`Transport::send`].
    pub(super) async fn send(&self, transport: &Transport, request: Request) -> Result<Response> {
        if !self.may_be_plain() {
            return transport.send(request).await;
        }
        let asked = request.url().clone();
        let untried = self.remembered.is_untried_at(&asked);
        let again = request.again().filter(|_| untried);
        let sent = transport.send(request).await;
        let verdict = scheme::judge(&asked, &sent);
        if let Some(again) = again.filter(|_| verdict == Verdict::Open) {
            self.remembered.refute();
            tracing::debug!(registry = %self.registry, "remembered scheme not confirmed");
            return match self.endpoint(transport).await {
                Ok(found) if found.root().scheme() != asked.scheme() => {
                    transport.send(again.at(found.moved(&asked))).await
                }
                Err(error) if sent.is_err() => Err(error),
                _ => sent,
            };
        }
        // An answer from elsewhere says nothing of this host.
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

    /// What is remembered between runs.
    pub(super) fn memory(&self) -> &RegistryMemory {
        &self.memory
    }

    /// What is believed of this host.
    pub(super) fn facts(&self) -> Facts {
        self.memory.facts(&self.registry)
    }

    /// Remembers what an answer of this host showed.
    pub(super) fn learn(&self, fact: Fact) {
        self.memory.learn(&self.registry, fact);
    }

    /// What is being sent to it by this process.
    pub(super) fn uploads(&self) -> &Uploads {
        &self.uploads
    }

    /// Whether blobs must be sent by PATCH and PUT, as one PUT was refused (PUSH.md U1).
    pub(super) fn wants_patch(&self) -> bool {
        self.patches.load(Ordering::Relaxed) || self.facts().wants_patch == Some(true)
    }

    pub(super) fn learn_patch(&self) {
        self.patches.store(true, Ordering::Relaxed);
        self.learn(Fact::WantsPatch(true));
    }

    async fn find(&self, transport: &Transport) -> Result<Endpoint> {
        let authority = self.registry.endpoint_authority();
        let secure = Endpoint::new("https", authority)?;
        if !self.may_be_plain() {
            return Ok(secure);
        }
        let plain = Endpoint::new("http", authority)?;
        let https = transport.probe(secure.root());
        tokio::pin!(https);
        let early = tokio::time::timeout(HEAD_START, &mut https).await;
        match early {
            Ok(Ok(_)) => return Ok(secure),
            // Whoever speaks TLS is not asked again in the clear.
            Ok(Err(Probe {
                distrusted: true,
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
                Err(Probe { distrusted: true, error }) => Err(error),
                Err(_) => http.await.map(|_| plain).map_err(|probe| probe.error),
            },
            answer = &mut http => match answer {
                Ok(status) if !points_to_tls(status) => Ok(plain),
                Ok(_) | Err(_) => https.await.map(|_| secure).map_err(|probe| probe.error),
            },
        }
    }

    fn may_be_plain(&self) -> bool {
        self.insecure == Insecure::Yes || self.registry.is_local() || self.registry.is_private()
    }
}

/// Whether an answer to plain http is what servers that want TLS say: 400, or a redirect.
pub(super) fn points_to_tls(status: StatusCode) -> bool {
    status == StatusCode::BAD_REQUEST || status.is_redirection()
}
