//! One registry host: how it is reached, and what was learned of it in this process.

use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::{HeaderMap, StatusCode};
use tokio::sync::OnceCell;
use wharf_oci::{Digest, Registry, RepositoryName};

use super::auth::{Authorizer, same_origin};
use super::client::Insecure;
use super::endpoint::Endpoint;
use super::janitor::Janitor;
use super::journal::Journal;
use super::referrers::ReferrersFallback;
use super::scheme::{self, Remembered, Verdict};
use super::sessions::Sessions;
use super::transport::{
    Gate, Kind, Leniency, Limits, PauseObserver, Probe, Request, Response, Tattler, Transport,
};
use super::turns::Turns;
use super::upload::Learned;
use super::uploads::Uploads;
use crate::credentials::Credentials;
use crate::memory::{Fact, Facts, RegistryMemory};
use wharf_core::Result;

/// How long https is alone in being tried where http may be tried too (wire.md A3).
const HEAD_START: Duration = Duration::from_millis(300);

/// How the embedded registry names itself in `Server`.
const OWN: &str = "wharf/";

/// What a client knows of one host.
#[derive(Debug)]
pub(super) struct Host {
    registry: Registry,
    way: Way,
    shared: Arc<Shared>,
    remembered: Remembered,
    endpoint: OnceCell<Endpoint>,
    sending: Mutex<Learned>,
    is_ours: AtomicBool,
    referrers: Mutex<Option<bool>>,
    asking_for_referrers: tokio::sync::Mutex<()>,
    referrer_turns: Turns<(RepositoryName, Digest)>,
    uploads: Uploads,
    sessions: Sessions,
    authorizer: Authorizer,
    gate: Gate,
}

/// How a host is reached, where somebody said so.
#[derive(Debug, Default)]
pub(super) struct Way {
    /// Where its API is; `None`: where the API of a registry of its name is.
    pub(super) endpoint: Option<Endpoint>,
    /// Shown to it with each request, and to nobody else.
    pub(super) headers: HeaderMap,
    /// Who is told when it asks to wait.
    pub(super) pauses: Option<Arc<dyn PauseObserver>>,
}

/// What all hosts of a client have in common.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) insecure: Insecure,
    pub(super) tattler: Tattler,
    pub(super) memory: RegistryMemory,
    pub(super) limits: Limits,
    pub(super) pauses: Option<Arc<dyn PauseObserver>>,
    /// The largest chunk, in bytes, that the user wants blobs to be sent in.
    pub(super) chunk_size: Option<u64>,
    pub(super) journal: Option<Arc<Journal>>,
    pub(super) referrers_fallback: ReferrersFallback,
    pub(super) list_tries: NonZeroU32,
    pub(super) locks: Option<PathBuf>,
    pub(super) janitor: Janitor,
    pub(super) credentials: Option<Arc<dyn Credentials>>,
}

impl Host {
    pub(super) fn new(registry: Registry, shared: Arc<Shared>) -> Self {
        let way = Way {
            pauses: shared.pauses.clone(),
            ..Way::default()
        };
        Host::by(way, registry, shared)
    }

    /// A host that is reached by a way of its own.
    pub(super) fn by(way: Way, registry: Registry, shared: Arc<Shared>) -> Self {
        let authorizer = Authorizer::new(
            registry.clone(),
            shared.credentials.clone(),
            shared.memory.clone(),
        );
        let gate = Gate::new(registry.as_str(), &shared.limits, way.pauses.clone());
        Host {
            endpoint: OnceCell::new_with(way.endpoint.clone()),
            registry,
            way,
            shared,
            remembered: Remembered::default(),
            sending: Mutex::default(),
            is_ours: AtomicBool::new(false),
            referrers: Mutex::default(),
            asking_for_referrers: tokio::sync::Mutex::default(),
            referrer_turns: Turns::default(),
            uploads: Uploads::default(),
            sessions: Sessions::default(),
            authorizer,
            gate,
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
        let request = match self.endpoint.get() {
            Some(endpoint) if same_origin(&endpoint.root(), request.url()) => {
                request.secrets(&self.way.headers)
            }
            _ => request,
        };
        if !self.may_be_plain() {
            return self.gate.send(transport, self.covered(request)).await;
        }
        let asked = request.url().clone();
        let untried = self.remembered.is_untried_at(&asked);
        let again = request.again().filter(|_| untried);
        let sent = self.gate.send(transport, self.covered(request)).await;
        let verdict = scheme::judge(&asked, &sent);
        if let Some(again) = again.filter(|_| verdict == Verdict::Open) {
            self.remembered.refute();
            tracing::debug!(registry = %self.registry, "remembered scheme not confirmed");
            return match self.endpoint(transport).await {
                Ok(found) if found.root().scheme() != asked.scheme() => {
                    let moved = found.moved(&asked);
                    let again = self.covered(again.at(moved.clone()));
                    let sent = self.gate.send(transport, again).await;
                    if let Verdict::Shown(scheme) = scheme::judge(&moved, &sent) {
                        self.learn(Fact::Scheme(scheme));
                    }
                    sent
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

    /// What is asked of a registry over TLS is asked of nobody without it, wherever that sends us.
    fn covered(&self, request: Request) -> Request {
        let remembered = || self.remembered.endpoint(&self.registry, || self.facts());
        let endpoint = self.endpoint.get().or_else(remembered);
        let is_secured = endpoint.is_some_and(|endpoint| endpoint.root().scheme() == "https");
        match is_secured && self.shared.insecure == Insecure::No {
            true => request.covered(),
            false => request,
        }
    }

    /// Waits until a session could be opened, without asking for one.
    pub(super) async fn ready_to_open(&self) {
        self.gate.ready(Kind::Open).await;
    }

    /// Whether it asks to be left alone right now.
    pub(super) fn is_resting(&self) -> bool {
        self.gate.is_closed()
    }

    /// What is remembered between runs.
    pub(super) fn memory(&self) -> &RegistryMemory {
        &self.shared.memory
    }

    /// What is believed of this host.
    pub(super) fn facts(&self) -> Facts {
        self.shared.memory.facts(&self.registry)
    }

    /// Remembers what an answer of this host showed.
    pub(super) fn learn(&self, fact: Fact) {
        self.shared.memory.learn(&self.registry, fact);
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

    /// What experience says about sending blobs to it, in this process and before.
    pub(super) fn learned(&self) -> Learned {
        let facts = self.facts();
        let learned = *self.sending();
        Learned {
            patch: learned.patch || facts.wants_patch == Some(true),
            largest: learned.largest.or(facts.body_limit),
            ..learned
        }
    }

    /// Adds to that.
    pub(super) fn learn_sending(&self, change: impl FnOnce(&mut Learned)) {
        let learned = {
            let mut learned = self.sending();
            change(&mut learned);
            *learned
        };
        if learned.patch {
            self.learn(Fact::WantsPatch(true));
        }
        if let Some(bytes) = learned.largest {
            self.learn(Fact::BodyLimit(bytes));
        }
    }

    fn sending(&self) -> MutexGuard<'_, Learned> {
        // No code that holds the lock can panic half-way through a change.
        self.sending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether it mounts a blob from wherever it has it, and takes small ones with the POST
    /// (wire.md E5, U1): our own does, and says so in each answer.
    pub(super) fn finds_blobs(&self) -> bool {
        self.is_ours()
    }

    /// Whether it is the embedded registry, which does all that ours do: take several tags with
    /// one PUT (wire.md O6), decide conditions (wire.md F4).
    pub(super) fn is_ours(&self) -> bool {
        self.is_ours.load(Ordering::Relaxed)
    }

    /// Whether it lists referrers itself, if that is known. Of what was known before only the no
    /// counts: it is taken back by an answer that names the subject, a wrong yes by nothing.
    pub(super) fn lists_referrers(&self) -> Option<bool> {
        let known = *self
            .referrers
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        known.or(self.facts().referrers.filter(|lists| !lists))
    }

    /// It showed whether it lists referrers.
    pub(super) fn learn_referrers(&self, lists: bool) {
        let known = self
            .referrers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .replace(lists);
        if known != Some(lists) {
            self.learn(Fact::Referrers(lists));
        }
    }

    /// The turn of the one who asks whether it lists referrers.
    pub(super) async fn asking_for_referrers(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.asking_for_referrers.lock().await
    }

    /// Turns of those who change a list of referrers.
    pub(super) fn referrer_turns(&self) -> &Turns<(RepositoryName, Digest)> {
        &self.referrer_turns
    }

    /// What is done where it lists no referrers.
    pub(super) fn referrers_fallback(&self) -> ReferrersFallback {
        self.shared.referrers_fallback
    }

    /// How often a list of referrers is tried while the registry has trouble of its own.
    pub(super) fn list_tries(&self) -> u32 {
        self.shared.list_tries.get()
    }

    /// Where processes wait for each other, if they do.
    pub(super) fn locks(&self) -> Option<&Path> {
        self.shared.locks.as_deref()
    }

    /// Looks at an answer for what it says about who gave it.
    pub(super) fn notice(&self, response: &Response) {
        if response
            .header("server")
            .is_some_and(|server| server.starts_with(OWN))
        {
            self.is_ours.store(true, Ordering::Relaxed);
        }
    }

    async fn find(&self, transport: &Transport) -> Result<Endpoint> {
        let found = self.find_scheme(transport).await?;
        let expected = self.registry.is_local() || self.registry.is_private();
        if found.root().scheme() == "http" && !expected {
            let host = self.registry.as_str();
            self.shared.tattler.tell(host, Leniency::PlainHttp);
        }
        Ok(found)
    }

    async fn find_scheme(&self, transport: &Transport) -> Result<Endpoint> {
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

    fn may_be_plain(&self) -> bool {
        if self.way.endpoint.is_some() {
            return false;
        }
        self.shared.insecure == Insecure::Yes
            || self.registry.is_local()
            || self.registry.is_private()
    }
}

/// Whether an answer to plain http is what servers that want TLS say: 400, or a redirect.
pub(super) fn points_to_tls(status: StatusCode) -> bool {
    status == StatusCode::BAD_REQUEST || status.is_redirection()
}
