//! The manifests of a repository in an archive that is written, and their names.

use std::collections::BTreeMap;

use wharf_oci::{Descriptor, Digest, Manifest, Selector, Tag};

use crate::store::Names;
use crate::sync::Lock;
use crate::{Error, ErrorKind, Result};

/// The manifests of a repository, in memory.
#[derive(Debug, Default)]
pub(super) struct Catalogue(Lock<Listed>);

#[derive(Debug, Default)]
struct Listed {
    manifests: BTreeMap<Digest, Manifest>,
    /// Each once, in the order of their coming.
    roots: Vec<Digest>,
    tags: BTreeMap<Tag, Digest>,
}

/// A manifest that no other one of the repository links to, and its tags.
#[derive(Clone, Debug)]
pub(super) struct Root {
    pub(super) manifest: Manifest,
    pub(super) tags: Vec<Tag>,
}

impl Catalogue {
    pub(super) fn enter(&self, manifest: &Manifest, names: Names<'_>) {
        let mut listed = self.0.lock();
        let digest = manifest.digest();
        listed.manifests.insert(digest.clone(), manifest.clone());
        if let Names::Root(tags) = names {
            let tags = tags.iter().map(|tag| (tag.clone(), digest.clone()));
            listed.tags.extend(tags);
            if !listed.roots.contains(digest) {
                listed.roots.push(digest.clone());
            }
        }
    }

    pub(super) fn resolve(&self, at: &Selector) -> Option<Descriptor> {
        let listed = self.0.lock();
        let digest = match at {
            Selector::Tag(tag) => listed.tags.get(tag)?,
            Selector::Digest(digest) => digest,
        };
        Some(listed.manifests.get(digest)?.descriptor().clone())
    }

    pub(super) fn manifest(&self, digest: &Digest) -> Option<Manifest> {
        self.0.lock().manifests.get(digest).cloned()
    }

    pub(super) fn tags(&self, after: Option<&Tag>, limit: usize) -> Vec<Tag> {
        let listed = self.0.lock();
        let later = listed.tags.keys();
        let later = later.filter(|tag| after.is_none_or(|after| *tag > after));
        later.take(limit).cloned().collect()
    }

    pub(super) fn roots(&self) -> Vec<Root> {
        let listed = self.0.lock();
        let roots = listed.roots.iter().filter_map(|root| {
            let tags = listed.tags.iter().filter(|(_, digest)| *digest == root);
            Some(Root {
                manifest: listed.manifests.get(root)?.clone(),
                tags: tags.map(|(tag, _)| tag.clone()).collect(),
            })
        });
        roots.collect()
    }
}

/// The error of something that is not in the archive `name`.
pub(super) fn missing(what: impl std::fmt::Display, name: &str) -> Error {
    Error::new(ErrorKind::NotFound, "not in this archive")
        .target(what)
        .target(name)
}

/// What was found, or the error of nothing.
pub(super) fn found<T>(found: Option<T>, what: impl std::fmt::Display, name: &str) -> Result<T> {
    found.ok_or_else(|| missing(what, name))
}
