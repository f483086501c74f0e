//! One registry host: how to reach it, and what this process learned of it.

use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use http::HeaderMap;
use url::Url;
use wharf_oci::{Digest, Registry, RepositoryName};

use super::experience::Experience;
use super::heads::Heads;
use super::in_flight::UploadsInFlight;
use super::janitor::Janitor;
use super::journal::Journal;
use super::kept_sessions::KeptSessions;
use super::pause::Pause;
use super::refused_mounts::RefusedMounts;
use super::scheme::{self, Remembered, SchemeVerdict};
use super::takes::{self, Optional, Takes};
use super::urls::Urls;
use crate::answer;
use crate::auth::Authorizer;
use crate::credentials::Credentials;
use crate::memory::{Fact, Facts, RegistryMemory};
use crate::settings::{Insecure, ReferrersFallback};
use crate::transport::{
    Gate, LaneKind, Leniency, Limits, PauseObserver, Request, Response, Tattler, Transport,
    same_origin,
};
use wharf_core::Result;
use wharf_core::copy::RetryPolicy;
use wharf_core::store::Pulse;
use wharf_core::sync::{Keyed, Lock};

/// How long a request waits for another one to find out the host's scheme.
const PATIENCE: Duration = Duration::from_secs(15);

/// The state of one host in a client.
#[derive(Debug)]
pub(crate) struct Host {
    registry: Registry,
    way: Way,
    shared: Arc<ClientSettings>,
    remembered: Remembered,
    urls: OnceLock<Urls>,
    finding_urls: tokio::sync::Mutex<()>,
    sending: Lock<Experience>,
    takes: Takes,
    referrers: Lock<Option<bool>>,
    asking_for_referrers: tokio::sync::Mutex<()>,
    referrer_turns: Keyed<(RepositoryName, Digest), ()>,
    uploads: UploadsInFlight,
    refused_mounts: RefusedMounts,
    sessions: KeptSessions,
    authorizer: Authorizer,
    gate: Gate,
    pulse: Arc<Pulse>,
    heads: Heads,
}

/// How to reach a host, if configured.
#[derive(Debug, Default)]
pub(crate) struct Way {
    /// The URL of its API; `None`: the usual one for its name.
    pub(crate) urls: Option<Urls>,
    /// Headers that are sent to it only, with each request.
    pub(crate) headers: HeaderMap,
    /// Called when the registry asks to wait.
    pub(crate) pauses: Option<Arc<dyn PauseObserver>>,
}

/// The settings and state that all hosts of a client share.
#[derive(Clone, Debug)]
pub(crate) struct ClientSettings {
    pub(crate) insecure: Insecure,
    pub(crate) tattler: Tattler,
    pub(crate) memory: RegistryMemory,
    pub(crate) limits: Limits,
    pub(crate) pauses: Option<Arc<dyn PauseObserver>>,
    /// The user's largest chunk for uploads, in bytes.
    pub(crate) chunk_size: Option<u64>,
    pub(crate) journal: Option<Arc<Journal>>,
    pub(crate) referrers_fallback: ReferrersFallback,
    pub(crate) list_tries: NonZeroU32,
    pub(crate) retry: RetryPolicy,
    pub(crate) locks: Option<PathBuf>,
    pub(crate) janitor: Arc<Janitor>,
    pub(crate) pause: Arc<Pause>,
    pub(crate) credentials: Option<Arc<dyn Credentials>>,
}

impl Host {
    pub(crate) fn new(registry: Registry, shared: Arc<ClientSettings>) -> Self {
        let way = Way {
            pauses: shared.pauses.clone(),
            ..Way::default()
        };
        Host::by(way, registry, shared)
    }

    /// A host that is reached in a configured way.
    pub(crate) fn by(way: Way, registry: Registry, shared: Arc<ClientSettings>) -> Self {
        let authorizer = Authorizer::new(
            registry.clone(),
            shared.credentials.clone(),
            shared.memory.clone(),
        );
        let gate = Gate::new(registry.as_str(), &shared.limits, way.pauses.clone());
        Host {
            urls: way.urls.clone().map(OnceLock::from).unwrap_or_default(),
            finding_urls: tokio::sync::Mutex::default(),
            registry,
            way,
            shared,
            remembered: Remembered::default(),
            sending: Lock::default(),
            takes: Takes::default(),
            referrers: Lock::default(),
            asking_for_referrers: tokio::sync::Mutex::default(),
            referrer_turns: Keyed::default(),
            uploads: UploadsInFlight::default(),
            refused_mounts: RefusedMounts::default(),
            sessions: KeptSessions::default(),
            authorizer,
            gate,
            pulse: Arc::default(),
            heads: Heads::default(),
        }
    }

    /// When work with it last succeeded.
    pub(crate) fn pulse(&self) -> &Arc<Pulse> {
        &self.pulse
    }

    /// What is asked for without HEAD.
    pub(crate) fn heads(&self) -> &Heads {
        &self.heads
    }

    /// How often, and how soon, to retry what is not part of a copy.
    pub(crate) fn retry(&self) -> &RetryPolicy {
        &self.shared.retry
    }

    /// Its authorizer.
    pub(crate) fn authorizer(&self) -> &Authorizer {
        &self.authorizer
    }

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

    /// Waits until a session may be opened, without opening one.
    pub(crate) async fn ready_to_open(&self) {
        self.gate.ready(LaneKind::Open).await;
    }

    /// Whether it asks to wait now.
    pub(crate) fn is_resting(&self) -> bool {
        self.gate.is_closed()
    }

    /// The memory of registries.
    pub(crate) fn memory(&self) -> &RegistryMemory {
        &self.shared.memory
    }

    /// The remembered facts of this host.
    pub(crate) fn facts(&self) -> Facts {
        self.shared.memory.facts(&self.registry)
    }

    /// Remembers a fact that an answer of this host showed.
    pub(crate) fn learn(&self, fact: Fact) {
        self.shared.memory.learn(&self.registry, fact);
    }

    /// The uploads of this process to it.
    pub(crate) fn uploads(&self) -> &UploadsInFlight {
        &self.uploads
    }

    /// The mount sources that it refused.
    pub(crate) fn refused_mounts(&self) -> &RefusedMounts {
        &self.refused_mounts
    }

    /// The sessions at it that wait for the next try.
    pub(crate) fn sessions(&self) -> &KeptSessions {
        &self.sessions
    }

    /// The journal of sessions for other processes, if there is one.
    pub(crate) fn journal(&self) -> Option<Arc<Journal>> {
        self.shared.journal.clone()
    }

    /// Ends abandoned sessions.
    pub(crate) fn janitor(&self) -> &Janitor {
        &self.shared.janitor
    }

    /// Whether sessions stay for the next process.
    pub(crate) fn pause(&self) -> &Pause {
        &self.shared.pause
    }

    /// The user's largest chunk for uploads, in bytes.
    pub(crate) fn chunk_size(&self) -> Option<u64> {
        self.shared.chunk_size
    }

    /// What was learned about sending blobs to it, in this process and before.
    pub(crate) fn learned(&self) -> Experience {
        let facts = self.facts();
        let learned = *self.sending.lock();
        Experience {
            patch: learned.patch || facts.wants_patch == Some(true),
            largest: learned.largest.or(facts.body_limit),
            ..learned
        }
    }

    /// Adds to that.
    pub(crate) fn learn_sending(&self, change: impl FnOnce(&mut Experience)) {
        let learned = {
            let mut learned = self.sending.lock();
            change(&mut learned);
            *learned
        };
        if learned.patch {
            self.learn(Fact::WantsPatch(true));
        }
    }

    /// Records the largest body that passed after a larger one was refused.
    pub(crate) fn learn_limit(&self, bytes: u64) {
        self.learn_sending(|learned| learned.largest = Some(bytes));
        self.learn(Fact::BodyLimit(bytes));
    }

    /// Whether the registry announced that it accepts such a request.
    pub(crate) fn takes(&self, optional: Optional) -> bool {
        self.takes.has(optional)
    }

    /// Whether it lists referrers itself, if known. Of the memory only "no" is used: for each
    /// manifest that the registry lists its answer may correct a wrong "no", but nothing corrects a
    /// wrong "yes".
    pub(crate) fn lists_referrers(&self) -> Option<bool> {
        let known = *self.referrers.lock();
        known.or(self.facts().referrers.filter(|lists| !lists))
    }

    /// Records whether it lists referrers.
    pub(crate) fn learn_referrers(&self, lists: bool) {
        let known = self.referrers.lock().replace(lists);
        if known != Some(lists) {
            self.learn(Fact::Referrers(lists));
        }
    }

    /// The lock of the task that finds out whether it lists referrers.
    pub(crate) async fn asking_for_referrers(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.asking_for_referrers.lock().await
    }

    /// One change at a time for each list of referrers.
    pub(crate) fn referrer_turns(&self) -> &Keyed<(RepositoryName, Digest), ()> {
        &self.referrer_turns
    }

    /// What to do with referrers if it does not list them.
    pub(crate) fn referrers_fallback(&self) -> ReferrersFallback {
        self.shared.referrers_fallback
    }

    /// How often to try a list of referrers.
    pub(crate) fn list_tries(&self) -> u32 {
        self.shared.list_tries.get()
    }

    /// The directory of locks between processes, if any.
    pub(crate) fn locks(&self) -> Option<&Path> {
        self.shared.locks.as_deref()
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
