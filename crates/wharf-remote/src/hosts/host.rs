//! One registry host: how to reach it, and what this process learned of it.

use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use http::HeaderMap;
use wharf_oci::{Digest, Registry, RepositoryName};

use super::experience::Experience;
use super::heads::Heads;
use super::in_flight::UploadsInFlight;
use super::janitor::Janitor;
use super::journal::Journal;
use super::kept_sessions::KeptSessions;
use super::pause::Pause;
use super::refused_mounts::RefusedMounts;
use super::scheme::Remembered;
use super::takes::{Optional, Takes};
use super::urls::Urls;
use crate::auth::Authorizer;
use crate::credentials::Credentials;
use crate::memory::{Fact, Facts, RegistryMemory};
use crate::settings::{Insecure, ReferrersFallback};
use crate::transport::{Gate, LaneKind, Limits, PauseObserver, Tattler};
use crate::warnings::Warnings;
use wharf_core::copy::RetryPolicy;
use wharf_core::store::Pulse;
use wharf_core::sync::{Keyed, Lock};

/// The state of one host in a client.
#[derive(Debug)]
pub(crate) struct Host {
    pub(super) registry: Registry,
    pub(super) way: Way,
    pub(super) shared: Arc<ClientSettings>,
    pub(super) remembered: Remembered,
    pub(super) urls: OnceLock<Urls>,
    pub(super) finding_urls: tokio::sync::Mutex<()>,
    sending: Lock<Experience>,
    pub(super) takes: Takes,
    referrers: Lock<Option<bool>>,
    asking_for_referrers: tokio::sync::Mutex<()>,
    referrer_turns: Keyed<(RepositoryName, Digest), ()>,
    uploads: UploadsInFlight,
    refused_mounts: RefusedMounts,
    sessions: KeptSessions,
    authorizer: Authorizer,
    pub(super) gate: Gate,
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
    pub(crate) warnings: Arc<Warnings>,
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
}
