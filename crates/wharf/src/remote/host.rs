//! One registry host: how it is reached, and what was learned of it in this process.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::StatusCode;
use tokio::sync::OnceCell;
use wharf_oci::Registry;

use super::auth::Authorizer;
use super::client::Insecure;
use super::endpoint::Endpoint;
use super::janitor::Janitor;
use super::journal::Journal;
use super::sessions::Sessions;
use super::transport::{Probe, Response, Transport};
use super::upload::Learned;
use super::uploads::Uploads;
use crate::Result;
use crate::credentials::Credentials;

/// How long https is alone in being tried where http may be tried too (PUSH.md A3).
const HEAD_START: Duration = Duration::from_millis(300);

/// How the embedded registry names itself in `Server`.
const OWN: &str = "wharf/";

/// What a client knows of one host.
#[derive(Debug)]
pub(super) struct Host {
    registry: Registry,
    shared: Arc<Shared>,
    endpoint: OnceCell<Endpoint>,
    learned: Mutex<Learned>,
    finds_blobs: AtomicBool,
    uploads: Uploads,
    sessions: Sessions,
    authorizer: Authorizer,
}

/// What all hosts of a client have in common.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) insecure: Insecure,
    /// The largest chunk, in bytes, that the user wants blobs to be sent in.
    pub(super) chunk_size: Option<u64>,
    pub(super) journal: Option<Arc<Journal>>,
    pub(super) janitor: Janitor,
    pub(super) credentials: Option<Arc<dyn Credentials>>,
}

impl Host {
    pub(super) fn new(registry: Registry, shared: Arc<Shared>) -> Self {
        let authorizer = Authorizer::new(registry.clone(), shared.credentials.clone());
        Host {
            registry,
            shared,
            endpoint: OnceCell::new(),
            learned: Mutex::default(),
            finds_blobs: AtomicBool::new(false),
            uploads: Uploads::default(),
            sessions: Sessions::default(),
            authorizer,
        }
    }

    /// What it wants to be shown.
    pub(super) fn authorizer(&self) -> &Authorizer {
        &self.authorizer
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

    /// The sessions at it that wait for the next try.
    pub(super) fn sessions(&self) -> &Sessions {
        &self.sessions
    }

    /// Where sessions are noted for other processes, if they are.
    pub(super) fn journal(&self) -> Option<Arc<Journal>> {
        self.shared.journal.clone()
    }

    /// Who cleans up.
    pub(super) fn janitor(&self) -> &Janitor {
        &self.shared.janitor
    }

    /// The largest chunk, in bytes, that the user wants blobs to be sent in.
    pub(super) fn chunk_size(&self) -> Option<u64> {
        self.shared.chunk_size
    }

    /// What experience says about sending blobs to it.
    pub(super) fn learned(&self) -> Learned {
        *self.learned.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds to that.
    pub(super) fn learn(&self, change: impl FnOnce(&mut Learned)) {
        change(&mut self.learned.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Whether it mounts a blob from wherever it has it, and takes small ones with the POST
    /// (PUSH.md E5, U1): our own does, and says so in each answer.
    pub(super) fn finds_blobs(&self) -> bool {
        self.finds_blobs.load(Ordering::Relaxed)
    }

    /// Looks at an answer for what it says about who gave it.
    pub(super) fn notice(&self, response: &Response) {
        if response
            .header("server")
            .is_some_and(|server| server.starts_with(OWN))
        {
            self.finds_blobs.store(true, Ordering::Relaxed);
        }
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
        self.shared.insecure == Insecure::Yes
            || self.registry.is_local()
            || self.registry.is_private()
    }
}

/// Whether an answer to plain http is what servers that want TLS say: 400, or a redirect.
fn points_to_tls(status: StatusCode) -> bool {
    status == StatusCode::BAD_REQUEST || status.is_redirection()
}
