//! Images upon a base, edited images, and indexes of them.

use std::sync::Arc;

use serde_json::{Value, json};
use wharf_oci::{Descriptor, Digest, ImageConfig, Manifest, MediaType};

use super::super::{
    Edited, EditedChild, EditedContent, EditedImage, EditedIndex, Mutation, StoredImage,
};
use super::fixtures::{File, content, copied, image_of, packed, plain, stored_image, tar_of};
use crate::layer::{LayerInput, NewImage, Packing};
use crate::store::{Memory, Names, Source, Store};
use crate::{Error, ErrorKind, Result};

#[tokio::test]
async fn fault_l4_an_image_upon_a_base_has_its_layers_config_and_history() {
    let base = image_of(vec![plain(&[File("a", b"a")]), packed(&[File("b", b"b")])]).await;
    let added = tar_of(&[File("c", b"c")]);
    let (store, bytes) = (Memory::new(), added.clone());
    let input = LayerInput::reader("added", std::io::Cursor::new(bytes));
    let mut image = NewImage::on(&base).await.unwrap();
    image.config.author = Some("me".to_owned());
    let image = image.layer(input, &Packing::Plain).unwrap();
    let roots = [crate::copy::Root {
        content: image.into(),
        tags: Vec::new(),
    }];
    let options = crate::CopyOptions::default();
    let copied = crate::copy::copy(base.source().as_ref(), &store, &roots, &options);
    let root = copied.await.unwrap().roots[0].clone();
    let manifest = store.manifest(&root).await.unwrap();
    let made = StoredImage::new(Arc::new(store), manifest).unwrap();
    let config: ImageConfig = made.config().await.unwrap();
    assert_eq!(config.author.as_deref(), Some("me"));
    assert_eq!(
        config.config,
        Some(json!({ "Env": ["A=b"] })) as Option<Value>
    );
    assert_eq!((config.rootfs.diff_ids.len(), config.history.len()), (3, 3));
    assert_eq!(config.rootfs.diff_ids[2], Digest::of(&added));
    for (path, expected) in [("a", "a"), ("b", "b"), ("c", "c")] {
        assert_eq!(content(&made, path).await, expected);
    }
}

#[tokio::test]
async fn an_edit_changes_what_it_names_and_nothing_else() {
    let memory = Memory::new();
    let tar = tar_of(&[File("a", b"a")]);
    let layer = memory.add_blob(MediaType::OCI_LAYER, tar.clone());
    let config = json!({
        "moby.buildkit.x": [1], "os": "linux", "architecture": "amd64",
        "config": {"StopTimeout": 5, "Env": ["A=b"]},
        "rootfs": {"type": "layers", "diff_ids": [Digest::of(&tar)]},
    });
    let config = memory.add_blob(MediaType::OCI_IMAGE_CONFIG, config.to_string());
    let subject = Descriptor::new(MediaType::OCI_IMAGE_MANIFEST, Digest::of(b"s"), 1);
    let manifest = json!({
        "schemaVersion": 2, "config": config, "layers": [layer], "subject": subject,
        "artifactType": "a/b", "annotations": {"k": "v"}, "future": {"x": 1},
    });
    let bytes = manifest.to_string().into();
    let manifest = Manifest::parse(None, bytes).unwrap();
    memory
        .put_manifest(&manifest, Names::Root(&[]))
        .await
        .unwrap();
    let stored = StoredImage::new(Arc::new(memory), manifest.clone()).unwrap();
    let image = EditedImage::open(&stored).await.unwrap();

    // Nothing changed: the very bytes.
    let (same, ..) = copied(image.clone()).await;
    assert_eq!(same.bytes(), manifest.bytes());

    // The manifest alone: the config's bytes stay.
    let mut annotated = image.clone();
    annotated
        .fields
        .annotations
        .insert("k2".to_owned(), "<v>".to_owned());
    let (annotated, ..) = copied(annotated).await;
    let layer_text = serde_json::to_string(&layer).unwrap();
    let config_text = serde_json::to_string(&config).unwrap();
    let subject_text = serde_json::to_string(&subject).unwrap();
    let expected = format!(
        r#"{{"schemaVersion":2,"mediaType":"{}","config":{config_text},"layers":[{layer_text}],"annotations":{{"k":"v","k2":"\u003cv\u003e"}},"subject":{subject_text},"artifactType":"a/b","future":{{"x":1}}}}"#,
        MediaType::OCI_IMAGE_MANIFEST
    );
    assert_eq!(annotated.bytes(), expected.as_bytes());

    // The config: unknown fields stay, and equal edits are equal.
    let edit = Mutation {
        user: Some("me".to_owned()),
        ..Mutation::default()
    };
    let (once, changed, raw) = copied(edit.apply(image.clone()).unwrap()).await;
    let (twice, ..) = copied(edit.apply(image).unwrap()).await;
    assert_eq!(once.digest(), twice.digest());
    assert_eq!(raw["moby.buildkit.x"], json!([1]));
    assert_eq!(
        raw["config"],
        json!({"StopTimeout": 5, "Env": ["A=b"], "User": "me"})
    );
    assert_eq!(changed.rootfs.diff_ids, [Digest::of(&tar)]);
    assert_eq!(once.subject(), Some(&subject));
}

#[tokio::test]
async fn what_is_edited_is_of_one_family() {
    let memory = Memory::new();
    let tar = tar_of(&[File("a", b"a")]);
    let config =
        json!({"os": "linux", "rootfs": {"type": "layers", "diff_ids": [Digest::of(&tar)]}});
    let layer = memory.add_blob(MediaType::DOCKER_LAYER, tar);
    let config = memory.add_blob(MediaType::DOCKER_CONFIG, config.to_string());
    let stored = stored_image(memory, &config, &[layer]).await;
    let mut image = EditedImage::open(&stored).await.unwrap();
    image.config.author = Some("me".to_owned());
    let (manifest, ..) = copied(image).await;
    let types: Vec<_> = manifest
        .linked()
        .map(|link| link.media_type.clone())
        .collect();
    assert_eq!(types, [MediaType::OCI_IMAGE_CONFIG, MediaType::OCI_LAYER]);
}

#[tokio::test]
async fn an_index_of_changed_images_is_put_after_them() {
    let base = image_of(vec![plain(&[File("a", b"a")])]).await;
    let note = Descriptor::new(MediaType::OCI_IMAGE_MANIFEST, Digest::of(b"note"), 4);
    let platform: wharf_oci::Platform = "linux/arm64".parse().unwrap();
    let mut image = EditedImage::open(&base).await.unwrap();
    image.config.author = Some("me".to_owned());
    let described = |image: &StoredImage| Descriptor {
        platform: Some(platform.clone()),
        data: Some("e30=".to_owned()),
        ..image.descriptor().clone()
    };
    let attested = Descriptor {
        annotations: [(
            wharf_oci::ANNOTATION_ATTESTED.to_owned(),
            base.descriptor().digest.to_string(),
        )]
        .into(),
        ..note
    };
    let child = |descriptor: Descriptor, content| EditedChild {
        descriptor,
        content,
    };
    let index = EditedIndex {
        media_type: MediaType::OCI_IMAGE_INDEX,
        children: vec![
            child(described(&base), EditedContent::Image(Box::new(image))),
            child(attested, EditedContent::Kept),
            child(base.descriptor().clone(), EditedContent::Kept),
        ],
        fields: crate::draft::ManifestFields {
            annotations: [("k".to_owned(), "v".to_owned())].into(),
            ..Default::default()
        },
        before: base.descriptor().clone(),
        relisted: false,
        source: Arc::clone(base.source()),
    };
    assert_eq!(index.left_out().len(), 1);
    let store = Refusing::default();
    let root = crate::copy::Root {
        content: Edited::Index(index).into(),
        tags: vec!["v1".parse().unwrap()],
    };
    let mut options = crate::CopyOptions::default();
    options.retry.base = std::time::Duration::from_millis(1);
    let source = base.source().as_ref();
    let summary = crate::copy::copy(source, &store, &[root], &options)
        .await
        .unwrap();
    // The children once more, because the index was refused.
    assert_eq!((summary.written, summary.manifests), (3, 5));
    let store = store.memory;
    let at = wharf_oci::Selector::Tag("v1".parse().unwrap());
    let root = store.resolve(&at).await.unwrap();
    assert_eq!(summary.roots, std::slice::from_ref(&root));
    let index = store.manifest(&root).await.unwrap();
    assert_eq!(index.annotations().get("k").unwrap(), "v");
    let links = index.links();
    // What was attested about the image of before is gone, and so is content in descriptors.
    assert_eq!(links.len(), 2);
    let changed = &links[0].descriptor;
    assert_eq!(
        (changed.platform.as_ref(), &changed.data),
        (Some(&platform), &None)
    );
    assert_eq!(links[1].descriptor, *base.descriptor());
    let changed = store.manifest(changed).await.unwrap();
    let changed = StoredImage::new(Arc::new(store), changed).unwrap();
    let config = changed.config().await.unwrap();
    assert_eq!(config.author.as_deref(), Some("me"));
    assert_eq!(content(&changed, "a").await, "a");
}

/// A store that does not know the children of the first index yet, as one that is slow to show them.
#[derive(Debug, Default)]
struct Refusing {
    memory: Memory,
    refused: std::sync::atomic::AtomicBool,
}

#[async_trait::async_trait]
impl Source for Refusing {
    async fn resolve(&self, at: &wharf_oci::Selector) -> Result<Descriptor> {
        self.memory.resolve(at).await
    }

    async fn manifest(&self, descriptor: &Descriptor) -> Result<Manifest> {
        self.memory.manifest(descriptor).await
    }

    fn blob(&self, descriptor: &Descriptor) -> crate::blob::Blob {
        self.memory.blob(descriptor)
    }
}

#[async_trait::async_trait]
impl Store for Refusing {
    async fn contains(&self, descriptor: &Descriptor) -> Result<bool> {
        self.memory.contains(descriptor).await
    }

    async fn put_blob(&self, blob: &crate::blob::Blob) -> Result<crate::store::Outcome> {
        self.memory.put_blob(blob).await
    }

    async fn ingest(
        &self,
        media_type: &MediaType,
        intake: Arc<dyn crate::intake::Intake>,
    ) -> Result<Descriptor> {
        self.memory.ingest(media_type, intake).await
    }

    async fn put_manifest(&self, manifest: &Manifest, names: Names<'_>) -> Result<()> {
        let is_index = manifest.media_type().is_index();
        if is_index
            && !self
                .refused
                .swap(true, std::sync::atomic::Ordering::Relaxed)
        {
            let said = br#"{"errors":[{"code":"MANIFEST_UNKNOWN"}]}"#;
            let said = wharf_oci::Diagnostic::parse(said);
            return Err(Error::new(ErrorKind::Rejected, "refused").answer(404, said));
        }
        self.memory.put_manifest(manifest, names).await
    }
}
