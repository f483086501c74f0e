use std::io::Write;
use std::sync::Arc;

use futures::TryStreamExt;
use serde_json::{Value, json};
use wharf_oci::{Descriptor, Digest, ImageConfig, Manifest, MediaType};

use super::StoredImage;
use crate::layer::{LayerInput, NewImage, Packing};
use crate::store::{Memory, Names, Source, Store};
use crate::{Error, ErrorKind, Result};

/// An entry of a tar.
#[derive(Clone, Copy)]
enum Item<'a> {
    File(&'a str, &'a [u8]),
    Folder(&'a str),
    Symlink(&'a str, &'a str),
    HardLink(&'a str, &'a str),
    Pipe(&'a str),
}

use Item::{File, Folder, HardLink, Pipe, Symlink};

fn tar_of(items: &[Item<'_>]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for item in items {
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o640);
        header.set_size(0);
        let kind = match item {
            File(..) => tar::EntryType::Regular,
            Folder(_) => tar::EntryType::Directory,
            Symlink(..) => tar::EntryType::Symlink,
            HardLink(..) => tar::EntryType::Link,
            Pipe(_) => tar::EntryType::Fifo,
        };
        header.set_entry_type(kind);
        match *item {
            File(path, bytes) => {
                header.set_size(bytes.len() as u64);
                builder.append_data(&mut header, path, bytes).unwrap();
            }
            Folder(path) | Pipe(path) => {
                builder.append_data(&mut header, path, &[][..]).unwrap();
            }
            Symlink(path, target) | HardLink(path, target) => {
                builder.append_link(&mut header, path, target).unwrap();
            }
        }
    }
    builder.into_inner().unwrap()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    ::zstd::encode_all(bytes, 1).unwrap()
}

/// A layer: its media type, its stored bytes, and its diff id.
type Made = (MediaType, Vec<u8>, Digest);

fn plain(items: &[Item<'_>]) -> Made {
    let tar = tar_of(items);
    let diff_id = Digest::of(&tar);
    (MediaType::OCI_LAYER, tar, diff_id)
}

fn packed(items: &[Item<'_>]) -> Made {
    let tar = tar_of(items);
    let diff_id = Digest::of(&tar);
    (MediaType::OCI_LAYER_GZIP, gzip(&tar), diff_id)
}

/// An image of these layers, the lowest first.
async fn image_of(layers: Vec<Made>) -> StoredImage {
    let memory = Memory::new();
    let diff_ids: Vec<Digest> = layers.iter().map(|layer| layer.2.clone()).collect();
    let config = json!({
        "os": "linux",
        "architecture": "amd64",
        "config": { "Env": ["A=b"] },
        "rootfs": { "type": "layers", "diff_ids": diff_ids },
        "history": diff_ids.iter().map(|_| json!({ "created_by": "test" })).collect::<Vec<_>>(),
    });
    let config = memory.add_blob(MediaType::OCI_IMAGE_CONFIG, config.to_string());
    let stored: Vec<Descriptor> = layers
        .into_iter()
        .map(|(media_type, bytes, _)| memory.add_blob(media_type, bytes))
        .collect();
    stored_image(memory, &config, &stored).await
}

async fn stored_image(memory: Memory, config: &Descriptor, layers: &[Descriptor]) -> StoredImage {
    let document = json!({
        "schemaVersion": 2,
        "mediaType": MediaType::OCI_IMAGE_MANIFEST,
        "config": config,
        "layers": layers,
    });
    let manifest = Manifest::parse(None, document.to_string().into()).unwrap();
    memory
        .put_manifest(&manifest, Names::Root(&[]))
        .await
        .unwrap();
    StoredImage::new(Arc::new(memory), manifest).unwrap()
}

/// The content of a file, and its path after links.
async fn read(image: &StoredImage, path: &str) -> Result<(String, String)> {
    let file = image.file(path).await?;
    let found = file.path().to_owned();
    let bytes = file.read_all(1 << 30).await?;
    Ok((found, String::from_utf8(bytes.to_vec()).unwrap()))
}

async fn content(image: &StoredImage, path: &str) -> String {
    read(image, path).await.unwrap().1
}

async fn failure(image: &StoredImage, path: &str) -> Error {
    read(image, path).await.unwrap_err()
}

#[tokio::test]
async fn fault_l1_config_layers_and_uncompressed_content_are_read() {
    let items = [File("a", b"one")];
    let tar = tar_of(&items);
    let diff_id = Digest::of(&tar);
    let lying = (MediaType::OCI_LAYER, gzip(&tar), diff_id.clone());
    let squeezed = (MediaType::OCI_LAYER_ZSTD, zstd(&tar), diff_id);
    let image = image_of(vec![plain(&items), packed(&items), squeezed, lying]).await;
    assert_eq!(image.config().await.unwrap().architecture, "amd64");
    let layers = image.layers().await.unwrap();
    assert_eq!(layers.len(), 4);
    for layer in layers {
        assert_eq!(layer.diff_id(), Some(&Digest::of(&tar)));
        let read: Vec<_> = layer
            .uncompressed()
            .await
            .unwrap()
            .try_collect()
            .await
            .unwrap();
        assert_eq!(read.concat(), tar);
        let stored: Vec<_> = layer
            .compressed()
            .await
            .unwrap()
            .try_collect()
            .await
            .unwrap();
        assert_eq!(Digest::of(&stored.concat()), layer.descriptor().digest);
    }
}

#[tokio::test]
async fn fault_l1_a_layer_of_another_diff_id_or_cut_short_never_ends_well() {
    let tar = tar_of(&[File("a", &[7; 3 << 20])]);
    let right = Digest::of(&tar);
    let cut = gzip(&tar);
    let cut = cut[..cut.len() - 9].to_vec();
    for (bytes, diff_id) in [
        (gzip(&tar), Digest::of(b"another")),
        (tar.clone(), Digest::of(b"another")),
        (cut, right),
    ] {
        let image = image_of(vec![(MediaType::OCI_LAYER_GZIP, bytes, diff_id)]).await;
        let layers = image.layers().await.unwrap();
        let stream = layers[0].uncompressed().await.unwrap();
        let error = stream.try_for_each(async |_| Ok(())).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
        let error = failure(&image, "a").await;
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
    }
}

#[tokio::test]
async fn fault_l1_a_config_must_state_each_layer_once() {
    let memory = Memory::new();
    let layer = memory.add_blob(MediaType::OCI_LAYER, tar_of(&[]));
    let config = json!({ "os": "linux", "architecture": "amd64" }).to_string();
    let config = memory.add_blob(MediaType::OCI_IMAGE_CONFIG, config);
    let image = stored_image(memory, &config, &[layer]).await;
    let error = image.layers().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert!(
        error
            .to_string()
            .contains("1 layers, but the config states 0"),
        "{error}"
    );
}

#[tokio::test]
async fn fault_l1_an_artifact_has_layers_without_diff_ids() {
    let memory = Memory::new();
    let layer = memory.add_blob("text/plain".parse().unwrap(), "a note");
    let config = memory.add_blob(MediaType::OCI_EMPTY, "{}");
    let image = stored_image(memory, &config, &[layer]).await;
    let layers = image.layers().await.unwrap();
    assert_eq!(layers[0].diff_id(), None);
    let read: Vec<_> = layers[0]
        .uncompressed()
        .await
        .unwrap()
        .try_collect()
        .await
        .unwrap();
    assert_eq!(read.concat(), b"a note");
    let refused = NewImage::on(&image).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unsupported);
}

#[tokio::test]
async fn fault_l1_the_topmost_layer_that_has_a_file_or_hides_it_decides() {
    let base = packed(&[
        Folder("etc/"),
        File("etc/a", b"base a"),
        File("etc/b", b"base b"),
        File("etc/c", b"base c"),
        File("opt/d/e", b"base e"),
        File("usr/f", b"base f"),
        File("var/g/h", b"base h"),
    ]);
    let middle = plain(&[
        File("etc/.wh.b", b""),
        File("etc/c", b"middle c"),
        File("opt/.wh.d", b""),
        File("usr/.wh..wh..opq", b""),
        File("usr/i", b"middle i"),
        // A whiteout hides lower layers only.
        File("var/.wh.g", b""),
        File("var/g/j", b"middle j"),
        File("etc/.wh.k", b""),
        File("etc/k", b"middle k"),
    ]);
    let top = packed(&[
        File("./etc/b", b"top b"),
        File("etc/.wh.c", b""),
        Folder("opt/d/"),
    ]);
    let two = image_of(vec![base.clone(), middle.clone()]).await;
    let three = image_of(vec![base, middle, top]).await;
    for (path, below, above) in [
        ("/etc/a", Some("base a"), Some("base a")),
        ("etc/b", None, Some("top b")),
        ("/etc/../etc//c", Some("middle c"), None),
        ("/opt/d/e", None, None),
        ("/usr/f", None, None),
        ("/usr/i", Some("middle i"), Some("middle i")),
        ("/var/g/h", None, None),
        ("/var/g/j", Some("middle j"), Some("middle j")),
        ("/etc/k", Some("middle k"), Some("middle k")),
        ("/etc/.wh.c", None, None),
        ("/etc/a/b", None, None),
    ] {
        for (image, expected) in [(&two, below), (&three, above)] {
            match (read(image, path).await, expected) {
                (Ok((_, found)), Some(expected)) => assert_eq!(found, expected, "{path}"),
                (Err(error), None) => assert_eq!(error.kind(), ErrorKind::NotFound, "{path}"),
                (found, _) => panic!("{path}: {found:?}"),
            }
        }
    }
}

#[tokio::test]
async fn fault_l1_links_are_followed_within_the_image() {
    let long = format!("usr/share/{}/file", "deep/".repeat(40));
    let image = image_of(vec![
        plain(&[
            Symlink("bin", "usr/bin"),
            File("usr/bin/sh", b"a shell"),
            HardLink("usr/bin/ash", "usr/bin/sh"),
            Symlink("etc/os-release", "../usr/lib/os-release"),
            File("usr/lib/os-release", b"old"),
            Symlink("absolute", "/../../usr/lib/os-release"),
            Symlink("loop", "loop"),
            Symlink("dangling", "nowhere"),
            File(&long, b"far down"),
            Pipe("pipe"),
            Folder("dir/"),
            Symlink("dir2", "dir"),
        ]),
        packed(&[File("usr/lib/os-release", b"new"), File("dir/x", b"x")]),
        // A directory in place of a link hides what the link led to.
        plain(&[Folder("dir2/"), File("dir2/y", b"y")]),
    ])
    .await;
    assert_eq!(content(&image, "/bin/sh").await, "a shell");
    assert_eq!(content(&image, "/bin/ash").await, "a shell");
    let found = read(&image, "/etc/os-release").await.unwrap();
    assert_eq!(found, ("/usr/lib/os-release".to_owned(), "new".to_owned()));
    assert_eq!(content(&image, "absolute").await, "new");
    assert_eq!(content(&image, &long).await, "far down");
    assert_eq!(content(&image, "dir2/y").await, "y");
    for (path, kind) in [
        ("/loop", ErrorKind::Invalid),
        ("/dangling", ErrorKind::NotFound),
        ("/dir2/x", ErrorKind::NotFound),
        ("/dir", ErrorKind::Invalid),
        ("/pipe", ErrorKind::Invalid),
        ("/", ErrorKind::Invalid),
    ] {
        let error = failure(&image, path).await;
        assert_eq!(error.kind(), kind, "{path}: {error}");
    }
}

#[tokio::test]
async fn fault_l1_a_hard_link_means_the_file_of_its_time() {
    let image = image_of(vec![
        plain(&[File("a", b"old")]),
        plain(&[HardLink("b", "a")]),
        plain(&[File("a", b"new")]),
    ])
    .await;
    assert_eq!(content(&image, "b").await, "old");
    assert_eq!(content(&image, "a").await, "new");
}

#[tokio::test]
async fn fault_l1_a_large_file_is_kept_on_disk_and_the_last_of_two_counts() {
    let large: Vec<u8> = (0..5u32 << 20).map(|at| (at % 251) as u8).collect();
    let image = image_of(vec![packed(&[File("a", b"first"), File("a", &large)])]).await;
    let directory = tempfile::tempdir().unwrap();
    let image = image.spool_dir(directory.path());
    let file = image.file("/a").await.unwrap();
    assert_eq!((file.size(), file.mode()), (large.len() as u64, 0o640));
    assert_eq!(file.layer(), image.layers().await.unwrap()[0].descriptor());
    let read: Vec<_> = file.into_stream().try_collect().await.unwrap();
    assert!(read.concat() == large);
    let refused = image
        .file("/a")
        .await
        .unwrap()
        .read_all(9)
        .await
        .unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Invalid);
}

#[tokio::test]
async fn fault_l1_what_is_not_a_tar_is_an_error_and_an_empty_layer_is_none() {
    let empty = (MediaType::OCI_LAYER, Vec::new(), Digest::of(b""));
    let image = image_of(vec![plain(&[File("a", b"a")]), empty]).await;
    assert_eq!(content(&image, "a").await, "a");
    let noise = vec![7; 2000];
    let noise = (MediaType::OCI_LAYER, noise.clone(), Digest::of(&noise));
    let image = image_of(vec![plain(&[File("a", b"a")]), noise]).await;
    assert_eq!(failure(&image, "a").await.kind(), ErrorKind::Invalid);
}

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

/// Copies an image, and returns the manifest and the config that the store has then.
async fn copied(image: super::EditedImage) -> (Manifest, ImageConfig, Value) {
    let (source, store) = (Arc::clone(image.source()), Memory::new());
    let root = crate::copy::Root {
        content: image.into(),
        tags: Vec::new(),
    };
    let options = crate::CopyOptions::default();
    let copied = crate::copy::copy(source.as_ref(), &store, &[root], &options).await;
    let root = copied.unwrap().roots[0].clone();
    let manifest = store.manifest(&root).await.unwrap();
    let made = StoredImage::new(Arc::new(store), manifest.clone()).unwrap();
    let bytes = made.config_bytes().await.unwrap();
    let raw = serde_json::from_slice(&bytes).unwrap();
    (manifest, made.config().await.unwrap(), raw)
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
    let image = super::EditedImage::open(&stored).await.unwrap();

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
    let edit = super::Mutation {
        user: Some("me".to_owned()),
        ..super::Mutation::default()
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
    let mut image = super::EditedImage::open(&stored).await.unwrap();
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
    let mut image = super::EditedImage::open(&base).await.unwrap();
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
    let child = |descriptor: Descriptor, content| super::EditedChild {
        descriptor,
        content,
    };
    let index = super::EditedIndex {
        media_type: MediaType::OCI_IMAGE_INDEX,
        children: vec![
            child(
                described(&base),
                super::EditedContent::Image(Box::new(image)),
            ),
            child(attested, super::EditedContent::Kept),
            child(base.descriptor().clone(), super::EditedContent::Kept),
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
        content: super::Edited::Index(index).into(),
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
