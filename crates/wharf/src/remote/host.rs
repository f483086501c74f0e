//! One registry host: how it is reached, and what was learned of it in this process.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http::StatusCode;
use tokio::sync::OnceCell;
use wharf_oci::Registry;

use super::client::Insecure;
use super::endpoint::Endpoint;
use super::transport::{Gate, Probe, Transport};
use super::uploads::Uploads;
use crate::Result;

/// How long https is alone in being tried where http may be tried too (PUSH.md A3).
const HEAD_START: Duration = Duration::from_millis(300);

/// What a client knows of one host.
#[derive(Debug)]
pub(super) struct Host {
    registry: Registry,
    insecure: Insecure,
    endpoint: OnceCell<Endpoint>,
    patches: AtomicBool,
    uploads: Uploads,
    gate: Gate,
}

impl Host {
    pub(super) fn new(registry: Registry, insecure: Insecure, gate: Gate) -> Self {
        Host {
            registry,
            insecure,
            endpoint: OnceCell::new(),
            patches: AtomicBool::new(false),
            uploads: Uploads::default(),
            gate,
        }
    }

    /// What every request passes on its way to it.
    pub(super) fn gate(&self) -> &Gate {
        &self.gate
    }

    /// Where the API is. The first call may have to find out whether it is https or http.
    ///
    /// # Errors
    /// Where nobody answers.
    pub(super) async fn endpoint(&self, transport: &Transport) -> Result<&Endpoint> {
        self.endpoint.get_or_try_init(|| self.find(transport)).await
    }

    /// What is being sent to it by this process.
    pub(super) fn uploads(&self) -> &Uploads {
        &self.uploads
    }

    /// Whether blobs must be sent by PATCH and PUT, as one PUT was refused (PUSH.md U1).
    pub(super) fn wants_patch(&self) -> bool {
        self.patches.load(Ordering::Relaxed)
    }

    pub(super) fn learn_patch(&self) {
        self.patches.store(true, Ordering::Relaxed);
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
fn points_to_tls(status: StatusCode) -> bool {
    status == StatusCode::BAD_REQUEST || status.is_redirection()
}
