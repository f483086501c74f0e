//! Several sources as one, for manifests with content in different places.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use async_trait::async_trait;
use wharf_oci::{Descriptor, Digest, Manifest, Selector};

use super::{Memory, Names, Pulse, Source, Store};
use crate::blob::Blob;
use crate::sync::Lock;
use crate::{Error, ErrorKind, Result};

/// Several sources as one: content is read from the source in which it was found first.
///
/// A source is added with its roots; what is below a root is known once its manifest was read, as a
/// copy does before it reads blobs. Of a single source everything is known, also its tags and
/// referrers. Manifests of its own are held in memory. Requests are tried once.
///
/// ```
/// # use wharf_core as wharf;
/// use std::sync::Arc;
/// use wharf::store::{Joined, Memory, Source};
///
/// # async fn example(one: Memory, other: Memory) -> wharf::Result<()> {
/// let mut joined = Joined::new();
/// for source in [one, other] {
///     let root = source.resolve(&"latest".parse().expect("a tag")).await?;
///     joined.add(Arc::new(source), [&root]);
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Default)]
pub struct Joined {
    own: Memory,
    /// The manifests in it.
    held: Lock<HashSet<Digest>>,
    sources: Vec<Arc<dyn Source>>,
    /// The position of the source that has some content.
    found: Lock<HashMap<Digest, usize>>,
}

impl Joined {
    /// Nothing yet.
    pub fn new() -> Self {
        Joined::default()
    }

    /// Adds a source with these roots, which are read from it.
    pub fn add<'a>(
        &mut self,
        source: Arc<dyn Source>,
        roots: impl IntoIterator<Item = &'a Descriptor>,
    ) {
        let same = |known: &Arc<dyn Source>| Arc::ptr_eq(known, &source);
        let at = self.sources.iter().position(same).unwrap_or_else(|| {
            self.sources.push(source);
            self.sources.len() - 1
        });
        self.note(roots, at);
    }

    /// Holds a manifest that no source has.
    ///
    /// # Errors
    /// Never yet: memory takes everything.
    pub async fn hold(&self, manifest: &Manifest) -> Result<()> {
        self.held.lock().insert(manifest.digest().clone());
        self.own.put_manifest(manifest, Names::Child).await
    }

    /// Notes where content is. The first source that has it counts.
    fn note<'a>(&self, content: impl IntoIterator<Item = &'a Descriptor>, at: usize) {
        let mut found = self.found.lock();
        for descriptor in content {
            found.entry(descriptor.digest.clone()).or_insert(at);
        }
    }

    fn holder(&self, digest: &Digest) -> Option<(usize, &dyn Source)> {
        let found = self.found.lock().get(digest).copied();
        let single = self.sources.len() == 1 && !self.held.lock().contains(digest);
        let at = found.or(single.then_some(0))?;
        let source = self.sources.get(at)?.as_ref();
        Some((at, source.raw_source().unwrap_or(source)))
    }

    fn missing(digest: &Digest) -> Error {
        Error::new(ErrorKind::NotFound, "in none of the sources").target(digest)
    }
}

#[async_trait]
impl Source for Joined {
    async fn resolve(&self, at: &Selector) -> Result<Descriptor> {
        match at {
            Selector::Digest(digest) => match self.holder(digest) {
                Some((_, source)) => source.resolve(at).await,
                None => self.own.resolve(at).await,
            },
            Selector::Tag(_) => match self.sources.as_slice() {
                [only] => only.raw_source().unwrap_or(only.as_ref()).resolve(at).await,
                // Several sources may have it, with different content.
                _ => self.own.resolve(at).await,
            },
        }
    }

    async fn manifest(&self, descriptor: &Descriptor) -> Result<Manifest> {
        let Some((at, source)) = self.holder(&descriptor.digest) else {
            return self.own.manifest(descriptor).await;
        };
        let manifest = source.manifest(descriptor).await?;
        self.note(manifest.linked(), at);
        Ok(manifest)
    }

    fn blob(&self, descriptor: &Descriptor) -> Blob {
        match self.holder(&descriptor.digest) {
            Some((_, source)) => source.blob(descriptor),
            None => self.own.blob(descriptor),
        }
    }

    async fn blob_size(&self, digest: &Digest) -> Result<u64> {
        if let Some((_, source)) = self.holder(digest) {
            return source.blob_size(digest).await;
        }
        // The layers of a schema 1 image are not linked with their sizes.
        for source in &self.sources {
            match source.blob_size(digest).await {
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                size => return size,
            }
        }
        Err(Joined::missing(digest))
    }

    async fn precheck(&self, descriptor: &Descriptor) -> Result<()> {
        match self.holder(&descriptor.digest) {
            Some((_, source)) => source.precheck(descriptor).await,
            None => self.own.precheck(descriptor).await,
        }
    }

    async fn confirm(&self, descriptor: &Descriptor) -> Result<()> {
        match self.holder(&descriptor.digest) {
            Some((_, source)) => source.confirm(descriptor).await,
            None => Ok(()),
        }
    }

    async fn referrers(&self, subject: &Digest) -> Result<Vec<Descriptor>> {
        match self.sources.as_slice() {
            [only] => {
                let only = only.raw_source().unwrap_or(only.as_ref());
                only.referrers(subject).await
            }
            _ => {
                let message = "referrers of content from several places are not listed";
                Err(Error::new(ErrorKind::Unsupported, message).target(subject))
            }
        }
    }

    /// That of a single source; several have no common one.
    fn pulse(&self) -> Option<Arc<Pulse>> {
        match self.sources.as_slice() {
            [only] => only.pulse(),
            _ => None,
        }
    }

    fn place(&self) -> Option<String> {
        match self.sources.as_slice() {
            [only] => only.place(),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use wharf_oci::MediaType;

    use super::*;
    use crate::copy::{CopyOptions, Root, copy};

    async fn put(source: &Memory, document: serde_json::Value) -> Descriptor {
        let manifest = Manifest::parse(None, document.to_string().into()).unwrap();
        source.put_manifest(&manifest, Names::Child).await.unwrap();
        manifest.descriptor().clone()
    }

    async fn image(source: &Memory, text: &str) -> Descriptor {
        let config = source.add_blob(MediaType::OCI_IMAGE_CONFIG, b"{}".to_vec());
        let layer = source.add_blob(MediaType::OCI_LAYER, text.to_owned());
        put(
            source,
            json!({"schemaVersion": 2, "mediaType": MediaType::OCI_IMAGE_MANIFEST,
                "config": config, "layers": [layer]}),
        )
        .await
    }

    #[tokio::test]
    async fn an_index_is_copied_with_children_from_several_places() {
        let sources = [Memory::new(), Memory::new()];
        let mut joined = Joined::new();
        let mut children = Vec::new();
        for (at, source) in sources.iter().enumerate() {
            let child = image(source, &at.to_string()).await;
            joined.add(Arc::new(source.clone()), [&child]);
            children.push(child);
        }
        let index = json!({"schemaVersion": 2, "mediaType": MediaType::OCI_IMAGE_INDEX,
            "manifests": children});
        let index = Manifest::parse(None, index.to_string().into()).unwrap();
        joined.hold(&index).await.unwrap();
        let root = Root {
            content: index.descriptor().clone().into(),
            tags: vec!["1".parse().unwrap()],
        };
        let store = Memory::new();
        let copied = copy(&joined, &store, &[root], &CopyOptions::default()).await;
        assert_eq!(copied.unwrap().manifests, 3);
        assert_eq!(store.blobs().len(), 3);
    }

    #[tokio::test]
    async fn content_of_no_source_is_missing() {
        let joined = Joined::new();
        let lost = Descriptor::new(MediaType::OCI_IMAGE_MANIFEST, Digest::of(b"lost"), 4);
        for error in [
            joined.manifest(&lost).await.unwrap_err(),
            joined.blob(&lost).read_all(9).await.unwrap_err(),
            joined.blob_size(&lost.digest).await.unwrap_err(),
            joined
                .resolve(&Selector::Digest(lost.digest.clone()))
                .await
                .unwrap_err(),
        ] {
            assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
        }
    }
}
