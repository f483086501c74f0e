//! One registry host: how it is reached, and what was learned of it in this process.

use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use http::HeaderMap;
use tokio::sync::OnceCell;
use wharf_oci::{Digest, Registry, RepositoryName};

use super::answer;
use super::auth::Authorizer;
use super::endpoint::Endpoint;
use super::janitor::Janitor;
use super::journal::Journal;
use super::scheme::{self, Remembered, Verdict};
use super::sending::Learned;
use super::sessions::Sessions;
use super::settings::{Insecure, ReferrersFallback};
use super::transport::{
    Gate, Kind, Leniency, Limits, PauseObserver, Request, Response, Tattler, Transport, same_origin,
};
use super::uploads::Uploads;
use crate::credentials::Credentials;
use crate::memory::{Fact, Facts, RegistryMemory};
use wharf_core::Result;
use wharf_core::sync::{Keyed, Lock};

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
    sending: Lock<Learned>,
    is_ours: AtomicBool,
    referrers: Lock<Option<bool>>,
    asking_for_referrers: tokio::sync::Mutex<()>,
    referrer_turns: Keyed<(RepositoryName, Digest), ()>,
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
            sending: Lock::default(),
            is_ours: AtomicBool::new(false),
            referrers: Lock::default(),
            asking_for_referrers: tokio::sync::Mutex::default(),
            referrer_turns: Keyed::default(),
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
    /// As [`Transport::exchange`].
    pub(super) async fn dispatch(
        &self,
        transport: &Transport,
        request: Request,
    ) -> Result<Response> {
        let response = self.in_scheme(transport, request).await?;
        self.notice(&response);
        Ok(response)
    }

    async fn in_scheme(&self, transport: &Transport, request: Request) -> Result<Response> {
        let request = match self.endpoint.get() {
            Some(endpoint) if same_origin(&endpoint.root(), request.url()) => {
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
        if let Some(again) = again.filter(|_| verdict == Verdict::Open) {
            self.remembered.refute();
            tracing::debug!(registry = %self.registry, "remembered scheme not confirmed");
            return match self.endpoint(transport).await {
                Ok(found) if found.root().scheme() != asked.scheme() => {
                    let moved = found.moved(&asked);
                    let again = self.covered(again.at(moved.clone()));
                    let sent = self.pass(transport, again).await;
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

    /// Sends a request when the gate lets it in.
    async fn pass(&self, transport: &Transport, request: Request) -> Result<Response> {
        let pass = self.gate.enter(request.limited_as()).await;
        let response = transport.exchange(request).await?;
        let status = response.status().as_u16();
        self.gate.leave(pass, status, answer::wait(&response));
        Ok(response)
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
        let learned = *self.sending.lock();
        Learned {
            patch: learned.patch || facts.wants_patch == Some(true),
            largest: learned.largest.or(facts.body_limit),
            ..learned
        }
    }

    /// Adds to that.
    pub(super) fn learn_sending(&self, change: impl FnOnce(&mut Learned)) {
        let learned = {
            let mut learned = self.sending.lock();
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
        let known = *self.referrers.lock();
        known.or(self.facts().referrers.filter(|lists| !lists))
    }

    /// It showed whether it lists referrers.
    pub(super) fn learn_referrers(&self, lists: bool) {
        let known = self.referrers.lock().replace(lists);
        if known != Some(lists) {
            self.learn(Fact::Referrers(lists));
        }
    }

    /// The turn of the one who asks whether it lists referrers.
    pub(super) async fn asking_for_referrers(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.asking_for_referrers.lock().await
    }

    /// One change at a time for each list of referrers.
    pub(super) fn referrer_turns(&self) -> &Keyed<(RepositoryName, Digest), ()> {
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
    fn notice(&self, response: &Response) {
        if response
            .header("server")
            .is_some_and(|server| server.starts_with(OWN))
        {
            self.is_ours.store(true, Ordering::Relaxed);
        }
    }

    async fn find(&self, transport: &Transport) -> Result<Endpoint> {
        let authority = self.registry.endpoint_authority();
        let found = match self.may_be_plain() {
            true => scheme::find(authority, transport).await?,
            false => Endpoint::new("https", authority)?,
        };
        let expected = self.registry.is_local() || self.registry.is_private();
        if found.root().scheme() == "http" && !expected {
            let host = self.registry.as_str();
            self.shared.tattler.tell(host, Leniency::PlainHttp);
        }
        Ok(found)
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
