//! One image of a docker archive, as `manifest.json` lists it.

use wharf_oci::{Descriptor, Digest, Platform, Reference, Tag};

/// One image of a docker archive.
#[derive(Clone, Debug)]
pub struct DockerImage {
    /// The config blob; its digest is docker's image id.
    pub config: Descriptor,
    /// The names the image was saved under, as they are in the archive.
    pub repo_tags: Vec<String>,
    /// The platform that the config states.
    pub platform: Platform,
    /// Its places in `manifest.json`, from 0.
    pub(super) places: Vec<usize>,
    pub(super) layers: Vec<String>,
    pub(super) diff_ids: Vec<Digest>,
}

impl DockerImage {
    /// The tags of its names, each once.
    pub fn tags(&self) -> impl Iterator<Item = Tag> {
        let tags = self
            .repo_tags
            .iter()
            .filter_map(|name| name.parse::<Reference>().ok()?.tag().cloned());
        tags.collect::<std::collections::BTreeSet<_>>().into_iter()
    }

    /// Takes over the names of an entry that lists the same image again.
    pub(super) fn join(&mut self, other: DockerImage) {
        for name in other.repo_tags {
            if !self.repo_tags.contains(&name) {
                self.repo_tags.push(name);
            }
        }
        self.places.extend(other.places);
    }

    /// Its names, or the digest of its config if it has none: one line.
    pub fn label(&self) -> String {
        if self.repo_tags.is_empty() {
            return self.config.digest.to_string();
        }
        self.repo_tags.join(" ").escape_debug().to_string()
    }
}
