//! Changes to the manifests and tags of a repository, and lists of referrers. All blocking; who
//! changes something holds the repository's lock.
//!
//! A manifest is there when its link is. So its referrer link is made before and removed after
//! it, and its tags the other way round: what is left when a process dies is not shown, or is a
//! manifest with fewer tags; the same change can be made again.

use std::fs;
use std::path::Path;

use wharf_core::Result;
use wharf_oci::{Digest, Manifest, RepositoryName, Selector, Tag};

use super::link::{self, ManifestLink};
use super::repository::missing;
use super::tree::{self, Tree, at};
use crate::storage::{Condition, ReferrersPage, ReferrersQuery, Written};

/// Writes a manifest that is in the pool already.
pub(super) fn put(
    tree: &Tree,
    name: &RepositoryName,
    manifest: &Manifest,
    tags: &[Tag],
    condition: Option<&Condition>,
) -> Result<Written> {
    if !holds(tree, name, condition)? {
        return Ok(Written::Declined);
    }
    let digest = manifest.digest();
    refer(tree, name, manifest)?;
    ManifestLink::of(manifest).write(tree, name, digest)?;
    for tag in tags {
        tree.write(&tree.tag(name, tag), digest.to_string().as_bytes())?;
    }
    Ok(Written::Done)
}

/// Whether a condition holds now; without the lock that is a guess at what it will be.
pub(super) fn holds(
    tree: &Tree,
    name: &RepositoryName,
    condition: Option<&Condition>,
) -> Result<bool> {
    let Some(condition) = condition else {
        return Ok(true);
    };
    let current = current(tree, name, &condition.at)?;
    Ok(condition.holds(current.as_ref()))
}

/// Makes the referrer link of a manifest that has a subject.
pub(super) fn refer(tree: &Tree, name: &RepositoryName, manifest: &Manifest) -> Result<()> {
    let Some(subject) = manifest.subject() else {
        return Ok(());
    };
    let descriptor = manifest.referrer_descriptor();
    link::write_referrer(tree, name, &subject.digest, &descriptor)
}

/// Takes a tag away, or a manifest with its tags and its place among the referrers.
pub(super) fn delete(tree: &Tree, name: &RepositoryName, selector: &Selector) -> Result<()> {
    match selector {
        Selector::Tag(tag) => remove_existing(&tree.tag(name, tag), selector),
        Selector::Digest(digest) => {
            let found = ManifestLink::find(tree, name, digest)?;
            let found = found.ok_or_else(|| missing(digest))?;
            for tag in tags(tree, name)? {
                if link::tagged(tree, name, &tag)?.as_ref() == Some(digest) {
                    tree::remove_durably(&tree.tag(name, &tag))?;
                }
            }
            let subject = subject(tree, digest, &found);
            remove_existing(&tree.manifest_link(name, digest), selector)?;
            match subject {
                Some(subject) => tree::remove_durably(&tree.referrer_link(name, &subject, digest)),
                None => Ok(()),
            }
        }
    }
}

/// A manifest of a repository, read again; nothing where its bytes are not what they should be.
pub(super) fn parse(tree: &Tree, digest: &Digest, link: &ManifestLink) -> Option<Manifest> {
    let bytes = fs::read(tree.content(&link.content)).ok()?;
    Manifest::parse_as(Some(&link.media_type), bytes.into(), digest).ok()
}

fn subject(tree: &Tree, digest: &Digest, link: &ManifestLink) -> Option<Digest> {
    let manifest = parse(tree, digest, link)?;
    manifest.subject().map(|subject| subject.digest.clone())
}

/// All tags of a repository, in any order.
pub(super) fn tags(tree: &Tree, name: &RepositoryName) -> Result<Vec<Tag>> {
    let names = tree::entries(&tree.tags(name))?;
    Ok(names.iter().filter_map(|name| name.parse().ok()).collect())
}

/// A page of the referrers of a subject.
pub(super) fn referrers(
    tree: &Tree,
    name: &RepositoryName,
    query: &ReferrersQuery,
) -> Result<ReferrersPage> {
    let names = tree::entries(&tree.referrers(name, &query.subject))?;
    let digests = names.iter().filter_map(|name| {
        let (algorithm, hex) = name.split_once('-')?;
        format!("{algorithm}:{hex}").parse().ok()
    });
    query.page(digests.collect(), |digest| {
        link::referrer(tree, name, &query.subject, digest)
    })
}

/// What is there now, as `resolve` would find it.
fn current(tree: &Tree, name: &RepositoryName, at: &Selector) -> Result<Option<Digest>> {
    let digest = match at {
        Selector::Tag(tag) => link::tagged(tree, name, tag)?,
        Selector::Digest(digest) => Some(digest.clone()),
    };
    let is_there = |digest: &Digest| tree.manifest_link(name, digest).is_file();
    Ok(digest.filter(is_there))
}

/// Removes a file, durably; an error where there is none.
pub(super) fn remove_existing(path: &Path, what: &impl ToString) -> Result<()> {
    match fs::remove_file(path) {
        Ok(()) => tree::sync_parent(path),
        Err(error) if tree::is_absent(&error) => Err(missing(what.to_string())),
        Err(error) => Err(at(path, error)),
    }
}
