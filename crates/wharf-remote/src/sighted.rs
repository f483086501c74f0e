//! Records in the memory what answers show about a registry's content.

use wharf_oci::{Descriptor, Manifest, MediaType, Repository, Role, Selector};

use crate::memory::RegistryMemory;
use wharf_core::{ErrorKind, Result};

/// Records what `at` named, or that it named nothing.
pub(super) fn resolved(
    memory: &RegistryMemory,
    repository: &Repository,
    at: &Selector,
    resolved: &Result<Descriptor>,
) {
    match (resolved, at) {
        (Ok(descriptor), Selector::Tag(tag)) => memory.saw_tag(repository, tag, &descriptor.digest),
        (Ok(descriptor), Selector::Digest(_)) => memory.saw(repository, descriptor),
        (Err(error), Selector::Tag(tag)) if error.kind() == ErrorKind::NotFound => {
            memory.forget_tag(repository, tag);
        }
        (Err(_), _) => {}
    }
}

/// Records a manifest that was read, and what it links to, which can be mounted.
pub(super) fn fetched(memory: &RegistryMemory, repository: &Repository, manifest: &Manifest) {
    memory.saw(repository, manifest.descriptor());
    for link in manifest.links() {
        let media_type = &link.descriptor.media_type;
        if link.role != Role::Child && media_type.is_distributable() && !media_type.is_manifest() {
            memory.saw(repository, &link.descriptor);
        }
    }
}

/// Records that a tag or manifest was deleted.
pub(super) fn deleted(memory: &RegistryMemory, repository: &Repository, at: &Selector) {
    match at {
        Selector::Tag(tag) => memory.forget_tag(repository, tag),
        Selector::Digest(digest) => {
            let gone = Descriptor::new(MediaType::OCI_IMAGE_MANIFEST, digest.clone(), 0);
            memory.missed(repository, &gone);
        }
    }
}
