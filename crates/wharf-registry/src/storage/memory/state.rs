//! What is held in memory. One lock over all of it: every change is whole or not there.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::{Bytes, BytesMut};
use tokio::time::Instant;
use wharf_core::{Error, ErrorKind, Result};
use wharf_oci::{Descriptor, Digest, Manifest, RepositoryName, Selector, Tag};

use crate::storage::session::LEFT_BEHIND;
use crate::storage::{Condition, ReferrersPage, ReferrersQuery, SessionId, Written};

/// The state that a storage and its repositories share.
#[derive(Clone, Debug, Default)]
pub(super) struct Shared(Arc<Mutex<State>>);

impl Shared {
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        // No code that holds the lock can panic half-way through a change.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Debug, Default)]
pub(super) struct State {
    /// Those that something was written to.
    pub(super) repositories: BTreeMap<RepositoryName, Content>,
    pub(super) sessions: HashMap<(RepositoryName, SessionId), Session>,
}

/// An upload session.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) bytes: BytesMut,
    /// When something was last done to it.
    pub(super) touched: Instant,
    /// Held by the request that writes to it.
    pub(super) turn: Arc<tokio::sync::Mutex<()>>,
}

impl State {
    /// Opens a session; those that nobody touched for a day go.
    pub(super) fn begin(&mut self, name: &RepositoryName) -> SessionId {
        let id = SessionId::fresh();
        let opened = Session {
            bytes: BytesMut::new(),
            touched: Instant::now(),
            turn: Arc::default(),
        };
        self.sessions
            .retain(|_, session| session.touched.elapsed() < LEFT_BEHIND);
        self.sessions.insert((name.clone(), id.clone()), opened);
        id
    }

    pub(super) fn content(&self, name: &RepositoryName) -> Result<&Content> {
        self.repositories.get(name).ok_or_else(|| missing(name))
    }

    /// A repository that something is about to be written to.
    pub(super) fn content_mut(&mut self, name: &RepositoryName) -> &mut Content {
        self.repositories.entry(name.clone()).or_default()
    }

    pub(super) fn put(
        &mut self,
        name: &RepositoryName,
        manifest: &Manifest,
        tags: &[Tag],
        condition: Option<&Condition>,
    ) -> Written {
        let holds = |condition: &Condition| {
            let content = self.repositories.get(name);
            let current = content.and_then(|content| content.find(&condition.at));
            condition.holds(current.map(Manifest::digest))
        };
        if !condition.is_none_or(holds) {
            return Written::Declined;
        }
        let (digest, content) = (manifest.digest(), self.content_mut(name));
        content.manifests.insert(digest.clone(), manifest.clone());
        for tag in tags {
            content.tags.insert(tag.clone(), digest.clone());
        }
        Written::Done
    }
}

/// The content of one repository.
#[derive(Debug, Default)]
pub(super) struct Content {
    pub(super) blobs: BTreeMap<Digest, Bytes>,
    pub(super) manifests: BTreeMap<Digest, Manifest>,
    pub(super) tags: BTreeMap<Tag, Digest>,
}

impl Content {
    pub(super) fn manifest(&self, at: &Selector) -> Result<&Manifest> {
        self.find(at).ok_or_else(|| missing(at))
    }

    fn find(&self, at: &Selector) -> Option<&Manifest> {
        let digest = match at {
            Selector::Tag(tag) => self.tags.get(tag)?,
            Selector::Digest(digest) => digest,
        };
        self.manifests.get(digest)
    }

    pub(super) fn blob(&self, digest: &Digest) -> Result<&Bytes> {
        self.blobs.get(digest).ok_or_else(|| missing(digest))
    }

    pub(super) fn delete(&mut self, at: &Selector) -> Result<()> {
        let found = match at {
            Selector::Tag(tag) => self.tags.remove(tag).is_some(),
            Selector::Digest(digest) => {
                self.tags.retain(|_, tagged| tagged != digest);
                self.manifests.remove(digest).is_some()
            }
        };
        if found { Ok(()) } else { Err(missing(at)) }
    }

    pub(super) fn referrers(&self, query: &ReferrersQuery) -> Result<ReferrersPage> {
        let points_there = |manifest: &&Manifest| {
            let subject = manifest.subject();
            subject.is_some_and(|subject| subject.digest == query.subject)
        };
        let found = self.manifests.values().filter(points_there);
        let candidates = found.map(|manifest| manifest.digest().clone()).collect();
        query.page(candidates, |digest| {
            Ok(self
                .manifests
                .get(digest)
                .map(Manifest::referrer_descriptor))
        })
    }
}

pub(super) fn missing(what: impl std::fmt::Display) -> Error {
    Error::new(ErrorKind::NotFound, "not in this repository").target(what)
}

/// The descriptor of bytes that are here.
pub(super) fn described(digest: &Digest, bytes: &Bytes) -> Descriptor {
    let media_type = wharf_oci::MediaType::OCTET_STREAM;
    Descriptor::new(media_type, digest.clone(), bytes.len() as u64)
}
