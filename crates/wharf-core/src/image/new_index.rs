//! A new index, or an index of which children are added or left out.

use std::sync::Arc;

use wharf_oci::{Descriptor, Index, Manifest, MediaType, Platform};

use crate::copy::RootContent;
use crate::draft::{IndexChild, IndexDraft, ManifestFields};
use crate::layer::Family;
use crate::store::{Joined, Source};

/// A new index, or one of which children are added or left out. What is not changed stays: the bytes
/// too, if nothing is.
///
/// ```
/// # mod wharf {
/// #     pub use wharf_core::*;
/// #     pub use wharf_oci as oci;
/// # }
/// use std::sync::Arc;
/// use wharf::copy::{CopyOptions, Root, copy};
/// use wharf::image::{IndexPart, NewIndex};
/// use wharf::layer::Family;
/// use wharf::store::{Memory, Source, Store};
///
/// # async fn example(one: Memory, other: Memory, store: &dyn Store) -> wharf::Result<()> {
/// let mut index = NewIndex::empty(Family::Oci);
/// for source in [one, other] {
///     let mut child = source.resolve(&"latest".parse().expect("a tag")).await?;
///     child.platform = Some("linux/amd64".parse().expect("a platform"));
///     index = index.with(IndexPart::stored(Arc::new(source), child));
/// }
/// let (source, content) = index.into_root();
/// let tags = vec!["all".parse().expect("a tag")];
/// copy(&source, store, &[Root { content, tags }], &CopyOptions::default()).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct NewIndex {
    media_type: MediaType,
    fields: ManifestFields,
    parts: Vec<IndexPart>,
    /// The index before anything was changed, and the source that has it.
    before: Option<(Arc<dyn Source>, Descriptor)>,
    changed: bool,
}

/// A child for an index, and the source that has its content.
#[derive(Clone, Debug)]
pub struct IndexPart {
    /// The child.
    pub child: IndexChild,
    /// Has what the child links to.
    pub source: Arc<dyn Source>,
}

impl IndexPart {
    /// A manifest of a source. The index describes it with all fields of `child`.
    pub fn stored(source: Arc<dyn Source>, child: Descriptor) -> Self {
        IndexPart {
            child: IndexChild::Stored(child),
            source,
        }
    }

    /// What the index says of it; digest and size of what is still to be made mean nothing.
    pub fn descriptor(&self) -> &Descriptor {
        match &self.child {
            IndexChild::Stored(child)
            | IndexChild::Image(child, _)
            | IndexChild::Index(child, _) => child,
        }
    }
}

impl NewIndex {
    /// An index without children.
    pub fn empty(family: Family) -> Self {
        NewIndex {
            media_type: family.index(),
            fields: ManifestFields::default(),
            parts: Vec::new(),
            before: None,
            changed: true,
        }
    }

    /// An index of a source, to be changed. `manifest` is what `index` was read from.
    pub fn of(source: &Arc<dyn Source>, manifest: &Manifest, index: &Index) -> Self {
        let children = index.manifests.iter().cloned();
        let parts = children.map(|child| IndexPart::stored(Arc::clone(source), child));
        NewIndex {
            media_type: manifest.media_type().clone(),
            fields: index.into(),
            parts: parts.collect(),
            before: Some((Arc::clone(source), manifest.descriptor().clone())),
            changed: false,
        }
    }

    /// Adds a child at the end.
    #[must_use]
    pub fn with(mut self, part: IndexPart) -> Self {
        self.parts.push(part);
        self.changed = true;
        self
    }

    /// Leaves out all children but those for one of these platforms; parts that a platform leaves
    /// out match anything. Only what descriptors state counts, so that nothing is read: children
    /// without a platform go, as does what builders attest, and an index below stays or goes whole.
    /// Copies of some platforms follow another rule, `Wharf::part` of the library's face.
    #[must_use]
    pub fn keep(mut self, wanted: &[Platform]) -> Self {
        let before = self.parts.len();
        self.parts.retain(|part| {
            let platform = part.descriptor().platform.as_ref();
            platform.is_some_and(|here| wanted.iter().any(|wanted| fits(here, wanted)))
        });
        self.changed |= self.parts.len() < before;
        self
    }

    /// Its children, in order.
    pub fn parts(&self) -> &[IndexPart] {
        &self.parts
    }

    /// The index as a root of a copy, and the source of that copy.
    pub fn into_root(self) -> (Joined, RootContent) {
        let mut joined = Joined::new();
        for part in &self.parts {
            let roots = roots(&part.child);
            joined.add(Arc::clone(&part.source), roots);
        }
        let content = match self.before.filter(|_| !self.changed) {
            Some((source, before)) => {
                joined.add(source, [&before]);
                RootContent::Manifest(before)
            }
            None => RootContent::Index(IndexDraft {
                media_type: self.media_type,
                children: self.parts.into_iter().map(|part| part.child).collect(),
                fields: self.fields,
            }),
        };
        (joined, content)
    }
}

/// Whether a platform is meant. What builders attest has an unknown one, which must be named.
fn fits(here: &Platform, wanted: &Platform) -> bool {
    let attested = here.os == "unknown" && wanted.os.is_empty();
    here.matches(wanted) && !attested
}

/// What a child links to and its source has.
fn roots(child: &IndexChild) -> Vec<&Descriptor> {
    match child {
        IndexChild::Stored(child) => vec![child],
        IndexChild::Image(_, draft) => draft
            .config
            .stored()
            .into_iter()
            .chain(draft.stored())
            .collect(),
        IndexChild::Index(_, index) => index.children.iter().flat_map(roots).collect(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use wharf_oci::{Digest, Payload};

    use super::*;
    use crate::copy::{CopyOptions, Root, copy};
    use crate::store::{Memory, Names, Store};

    async fn put(source: &Memory, document: Value) -> Descriptor {
        let manifest = Manifest::parse(None, document.to_string().into()).unwrap();
        source.put_manifest(&manifest, Names::Child).await.unwrap();
        manifest.descriptor().clone()
    }

    /// An image, as an index lists it.
    async fn child(source: &Memory, platform: Option<&str>, more: Value) -> Value {
        let config = source.add_blob(MediaType::OCI_IMAGE_CONFIG, b"{}".to_vec());
        let note = format!("{platform:?}{more}");
        let image = put(
            source,
            json!({"schemaVersion": 2, "mediaType": MediaType::OCI_IMAGE_MANIFEST,
                "config": config, "layers": [], "annotations": {"note": note}}),
        );
        let platform = platform.map(|text| text.parse::<Platform>().unwrap());
        let mut listed = serde_json::to_value(Descriptor {
            platform,
            ..image.await
        })
        .unwrap();
        let fields = more.as_object().unwrap().clone();
        listed.as_object_mut().unwrap().extend(fields);
        listed
    }

    async fn opened(source: &Memory, document: Value) -> NewIndex {
        let root = put(source, document).await;
        let manifest = source.manifest(&root).await.unwrap();
        let Payload::Index(index) = manifest.payload() else {
            panic!("no index");
        };
        let source: Arc<dyn Source> = Arc::new(source.clone());
        NewIndex::of(&source, &manifest, index)
    }

    /// The document that a copy of the index puts.
    async fn written(index: NewIndex) -> String {
        let (source, content) = index.into_root();
        let tags = vec!["1".parse().unwrap()];
        let store = Memory::new();
        let options = CopyOptions::default();
        let copied = copy(&source, &store, &[Root { content, tags }], &options).await;
        let root = copied.unwrap().roots.remove(0);
        let bytes = store.manifest(&root).await.unwrap().bytes().to_vec();
        String::from_utf8(bytes).unwrap()
    }

    fn platforms(texts: &[&str]) -> Vec<Platform> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[tokio::test]
    async fn children_that_stay_keep_all_their_fields_and_the_index_its_own() {
        let source = Memory::new();
        let more = json!({"annotations": {"a<": "b&"}, "urls": ["u"], "future": {"x": [1]}});
        let children = [
            child(&source, Some("linux/arm/v7"), more).await,
            child(&source, Some("linux/amd64"), json!({})).await,
            child(&source, Some("unknown/unknown"), json!({})).await,
            child(&source, None, json!({})).await,
        ];
        let subject = Descriptor::new(MediaType::OCI_IMAGE_MANIFEST, Digest::of(b"s"), 1);
        let document = json!({"schemaVersion": 2, "mediaType": MediaType::OCI_IMAGE_INDEX,
            "manifests": children, "annotations": {"z": "1"}, "subject": subject, "future": true});
        let index = opened(&source, document.clone()).await;
        let kept = written(index.clone().keep(&platforms(&["linux/arm"]))).await;
        let mut expected = document.clone();
        expected["manifests"] = json!([children[0]]);
        assert_eq!(serde_json::from_str::<Value>(&kept).unwrap(), expected);
        let begins = r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[{"mediaType":"application/vnd.oci.image.manifest.v1+json","size":"#;
        assert!(kept.starts_with(begins), "{kept}");
        assert!(
            kept.contains(r#""annotations":{"a\u003c":"b\u0026"}"#),
            "{kept}"
        );
        // Every platform that is known.
        let any = index.clone().keep(&[Platform::default()]);
        assert_eq!(any.parts().len(), 2);
        let none = written(index.keep(&[])).await;
        assert!(none.contains(r#""manifests":[],"annotations""#), "{none}");
    }

    #[tokio::test]
    async fn what_is_not_changed_keeps_its_bytes() {
        let source = Memory::new();
        let child = child(&source, Some("linux/amd64"), json!({})).await;
        let document = json!({"schemaVersion": 2, "mediaType": MediaType::DOCKER_MANIFEST_LIST,
            "manifests": [child], "a": 1});
        let index = opened(&source, document.clone()).await;
        let kept = index.keep(&platforms(&["linux/amd64", "linux/arm64"]));
        assert_eq!(written(kept).await, document.to_string());
    }

    #[tokio::test]
    async fn children_are_added_at_the_end() {
        let (source, other) = (Memory::new(), Memory::new());
        let first = child(&source, Some("linux/amd64"), json!({})).await;
        let second = child(&other, Some("linux/arm64"), json!({})).await;
        let document = json!({"schemaVersion": 2, "manifests": [first]});
        let part = |from: &Memory, value: &Value| {
            let child = serde_json::from_value(value.clone()).unwrap();
            IndexPart::stored(Arc::new(from.clone()), child)
        };
        let added = opened(&source, document).await.with(part(&other, &second));
        let value: Value = serde_json::from_str(&written(added).await).unwrap();
        assert_eq!(value["manifests"], json!([first, second]));

        let made = NewIndex::empty(Family::Docker).with(part(&source, &first));
        let value: Value = serde_json::from_str(&written(made).await).unwrap();
        assert_eq!(value["mediaType"], json!(MediaType::DOCKER_MANIFEST_LIST));
        let nothing = written(NewIndex::empty(Family::Oci)).await;
        assert_eq!(
            nothing,
            r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}"#
        );
    }
}
