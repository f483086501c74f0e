//! What answers show about a registry's content, and the memory keeps.

use wharf_oci::{Descriptor, Manifest, MediaType, Repository, Role, Selector};

use super::registries::RegistryMemory;
use wharf_core::{ErrorKind, Result};

impl RegistryMemory {
    /// Records what `at` named, or that it named nothing.
    pub(crate) fn resolved(
        &self,
        repository: &Repository,
        at: &Selector,
        resolved: &Result<Descriptor>,
    ) {
        match (resolved, at) {
            (Ok(descriptor), Selector::Tag(tag)) => {
                self.saw_tag(repository, tag, &descriptor.digest)
            }
            (Ok(descriptor), Selector::Digest(_)) => self.saw(repository, descriptor),
            (Err(error), Selector::Tag(tag)) if error.kind() == ErrorKind::NotFound => {
                self.forget_tag(repository, tag);
            }
            (Err(_), _) => {}
        }
    }

    /// Records a manifest that was read, and what it links to, which can be mounted.
    pub(crate) fn fetched(&self, repository: &Repository, manifest: &Manifest) {
        self.saw(repository, manifest.descriptor());
        for link in manifest.links() {
            let media_type = &link.descriptor.media_type;
            if link.role != Role::Child
                && media_type.is_distributable()
                && !media_type.is_manifest()
            {
                self.saw(repository, &link.descriptor);
            }
        }
    }

    /// Records that a tag or manifest was deleted.
    pub(crate) fn deleted(&self, repository: &Repository, at: &Selector) {
        match at {
            Selector::Tag(tag) => self.forget_tag(repository, tag),
            Selector::Digest(digest) => {
                let gone = Descriptor::new(MediaType::OCI_IMAGE_MANIFEST, digest.clone(), 0);
                self.missed(repository, &gone);
            }
        }
    }
}
