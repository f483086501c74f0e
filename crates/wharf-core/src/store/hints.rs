//! What a store may know that saves a copy requests. A wrong hint costs work, never content.

use wharf_oci::{Descriptor, Digest, Repository, Tag};

/// Answers that cost nothing, and notices that change no content. Each has a default.
pub trait Hints: Send + Sync {
    /// Called before the first request of a copy into the store, so that this request already asks
    /// for the right to write.
    fn prepare(&self) {}

    /// Whether the first request of `put_blob` finds out if a blob of this size is there, so that
    /// no check is needed before.
    fn asks_when_putting(&self, blob: &Descriptor) -> bool {
        let _ = blob;
        false
    }

    /// Whether the store probably holds `manifest`, under `tag` where given, from what was seen of
    /// it before. It decides the order of questions, and is never the answer to one.
    fn recalls(&self, manifest: &Descriptor, tag: Option<&Tag>) -> bool {
        let _ = (manifest, tag);
        false
    }

    /// Another repository of the same registry that probably has a blob and can be tried as the
    /// source of a mount.
    fn mount_source(&self, blob: &Descriptor) -> Option<Repository> {
        let _ = blob;
        None
    }

    /// The digest under which the store keeps a manifest, if it took the manifest and refused its own
    /// digest: some registries know sha256 only.
    fn kept_as(&self, manifest: &Digest) -> Option<Digest> {
        let _ = manifest;
        None
    }

    /// Called when the store refused a manifest because content below it is unknown, for that
    /// manifest and all content below it: forgets where it was seen.
    fn forget(&self, content: &Descriptor) {
        let _ = content;
    }

    /// Called when a copy of `blobs` into the store is given up, also when its future is dropped.
    /// Cancels what the copy had begun, in the background, best effort. Must not block.
    fn give_up(&self, blobs: &[Digest]) {
        let _ = blobs;
    }
}

/// The hints of a store that has none.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoHints;

impl Hints for NoHints {}
