//! Archives that are written are read again; failures leave what was there before.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use bytes::Bytes;
use futures::{FutureExt, StreamExt, future, stream};
use wharf_oci::{Descriptor, Digest, Manifest, MediaType};

use super::{DockerArchiveWriter, OciArchiveWriter, Output};
use crate::blob::Blob;
use crate::copy::{CopyOptions, Root, copy};
use crate::store::archive::{Archive, ArchiveOptions, Input, open};
use crate::store::{Memory, Names, Source, Store};
use crate::sync::Lock;
use crate::{Error, ErrorKind, Result};

/// An image with these layers, of which none can be unpacked.
async fn image(source: &Memory, layers: &[(MediaType, &[u8])]) -> Manifest {
    let diff_ids: Vec<Digest> = layers.iter().map(|(_, bytes)| Digest::of(bytes)).collect();
    let config = serde_json::json!({
        "architecture": "amd64", "os": "linux",
        "rootfs": {"type": "layers", "diff_ids": diff_ids},
    });
    let config = source.add_blob(MediaType::OCI_IMAGE_CONFIG, config.to_string());
    let add = |(media_type, bytes): &(MediaType, &[u8])| {
        source.add_blob(media_type.clone(), Bytes::copy_from_slice(bytes))
    };
    let layers: Vec<Descriptor> = layers.iter().map(add).collect();
    let manifest = serde_json::json!({
        "schemaVersion": 2, "mediaType": MediaType::OCI_IMAGE_MANIFEST,
        "config": config, "layers": layers,
    });
    let manifest = Manifest::parse(None, manifest.to_string().into()).unwrap();
    let names = Names::Root(&[]);
    source.put_manifest(&manifest, names).await.unwrap();
    manifest
}

async fn copied(source: &Memory, store: &dyn Store, manifest: &Manifest, tag: &str) -> Result<()> {
    let root = Root {
        content: manifest.descriptor().clone().into(),
        tags: vec![tag.parse().unwrap()],
    };
    let options = CopyOptions::default();
    copy(source, store, &[root], &options).await.map(drop)
}

/// The members of a tar in their order.
fn members(tar: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut archive = tar::Archive::new(tar);
    let entries = archive.entries().unwrap().map(|entry| {
        let mut entry = entry.unwrap();
        let name = entry.path().unwrap().to_str().unwrap().to_owned();
        let mut content = Vec::new();
        std::io::copy(&mut entry, &mut content).unwrap();
        (name, content)
    });
    entries.collect()
}

fn named<'a>(members: &'a [(String, Vec<u8>)], name: &str) -> &'a [u8] {
    let found = members.iter().find(|(member, _)| member == name);
    &found.unwrap_or_else(|| panic!("no {name}")).1
}

/// A stream that can be looked at.
#[derive(Clone, Default)]
struct Sink(Arc<Lock<Vec<u8>>>);

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn a_docker_archive_has_each_blob_once_and_ends_with_its_list() {
    let (directory, source) = (tempfile::tempdir().unwrap(), Memory::new());
    let (shared, own): (&[u8], &[u8]) = (b"shared", b"own");
    let gzip = || MediaType::OCI_LAYER_GZIP;
    let one = image(&source, &[(gzip(), shared), (gzip(), shared)]).await;
    let two = image(&source, &[(gzip(), shared), (MediaType::OCI_LAYER, own)]).await;
    let path = directory.path().join("a.tar");
    let sink = Sink::default();
    let stream = Output::Writer(Box::new(sink.clone()), "stream".to_owned());
    for output in [Output::Path(path.clone()), stream] {
        let archive = DockerArchiveWriter::create(output, directory.path());
        let archive = archive.await.unwrap();
        let store = archive.repository("r.example/b");
        copied(&source, &store, &one, "1").await.unwrap();
        let store = archive.repository("r.example/a");
        copied(&source, &store, &two, "latest").await.unwrap();
        let store = archive.named(["c:3".to_owned()]);
        copied(&source, &store, &one, "ignored").await.unwrap();
        archive.finish().await.unwrap();
    }
    let members = [fs::read(&path).unwrap(), sink.0.lock().clone()].map(|tar| members(&tar));
    for members in &members {
        assert_eq!(members.len(), 2 + 2 + 1);
        let (last, listed) = members.last().unwrap();
        assert_eq!(last, "manifest.json");
        let config = |image: &Manifest| image.linked().next().unwrap().digest.to_string();
        let layer = |bytes: &[u8], end: &str| format!("{}{end}", Digest::of(bytes).hex());
        let (shared, own) = (layer(shared, ".tar.gz"), layer(own, ".tar"));
        let expected = serde_json::json!([
            {"Config": config(&one), "RepoTags": ["c:3", "r.example/b:1"], "Layers": [shared, shared]},
            {"Config": config(&two), "RepoTags": ["r.example/a:latest"], "Layers": [shared, own]},
        ]);
        let listed: serde_json::Value = serde_json::from_slice(listed).unwrap();
        assert_eq!(listed, expected);
        assert_eq!(named(members, &own), b"own");
    }
}

#[tokio::test]
async fn foreign_layers_have_their_source_in_the_list() {
    let (directory, source) = (tempfile::tempdir().unwrap(), Memory::new());
    let foreign = MediaType::DOCKER_FOREIGN_LAYER_GZIP;
    let image = image(&source, &[(foreign.clone(), b"windows")]).await;
    let path = directory.path().join("a.tar");
    let archive = DockerArchiveWriter::create(Output::Path(path.clone()), directory.path());
    let archive = archive.await.unwrap();
    let store = archive.repository("a");
    // Elsewhere it is left out by default.
    copied(&source, &store, &image, "1").await.unwrap();
    archive.finish().await.unwrap();
    let members = members(&fs::read(path).unwrap());
    let listed: serde_json::Value =
        serde_json::from_slice(named(&members, "manifest.json")).unwrap();
    let layer = image.linked().nth(1).unwrap();
    let sources = serde_json::json!({Digest::of(b"windows").to_string(): layer});
    assert_eq!(listed[0]["LayerSources"], sources);
}

#[tokio::test]
async fn an_oci_archive_is_read_again() {
    let (directory, source) = (tempfile::tempdir().unwrap(), Memory::new());
    let image = image(&source, &[(MediaType::OCI_LAYER_GZIP, b"layer")]).await;
    let path = directory.path().join("a.tar");
    let archive = OciArchiveWriter::create(Output::Path(path.clone()), directory.path());
    let archive = archive.await.unwrap();
    copied(&source, &archive, &image, "1").await.unwrap();
    archive.finish().await.unwrap();
    let options = ArchiveOptions {
        spool_dir: directory.path().to_owned(),
        compression: crate::layer::Settings::default(),
        memory: None,
    };
    let Archive::Oci(read) = open(Input::Path(path), options).await.unwrap() else {
        panic!("not an OCI archive");
    };
    let found = read.resolve(&"1".parse().unwrap()).await.unwrap();
    assert_eq!(found.digest, *image.digest());
    let layer = image.linked().nth(1).unwrap();
    assert_eq!(read.blob(layer).read_all(9).await.unwrap(), "layer");
}

#[tokio::test]
async fn without_an_end_the_file_that_was_there_is_there_and_nothing_beside_it() {
    let directory = tempfile::tempdir().unwrap();
    let source = Memory::new();
    let image = image(&source, &[(MediaType::OCI_LAYER_GZIP, b"layer")]).await;
    let path = directory.path().join("a.tar");
    fs::write(&path, "old").unwrap();
    let archive = DockerArchiveWriter::create(Output::Path(path.clone()), directory.path());
    let archive = archive.await.unwrap();
    let store = archive.repository("a");
    copied(&source, &store, &image, "1").await.unwrap();
    drop((archive, store));
    assert_eq!(fs::read(&path).unwrap(), b"old");
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
}

#[tokio::test]
async fn a_link_is_followed_and_a_missing_folder_and_a_directory_are_errors() {
    let directory = tempfile::tempdir().unwrap();
    let (file, link) = (directory.path().join("file"), directory.path().join("link"));
    fs::write(&file, "old").unwrap();
    std::os::unix::fs::symlink(&file, &link).unwrap();
    let create = async |path: &Path| {
        OciArchiveWriter::create(Output::Path(path.to_owned()), directory.path()).await
    };
    create(&link).await.unwrap().finish().await.unwrap();
    assert!(link.is_symlink());
    assert_ne!(fs::read(&file).unwrap(), b"old");
    let error = create(&directory.path().join("none/a.tar")).await;
    assert_eq!(error.unwrap_err().kind(), ErrorKind::NotFound);
    let error = create(directory.path()).await.unwrap_err().to_string();
    assert!(error.ends_with("is a directory, not an archive"), "{error}");
}

/// A blob of `content` that breaks off after half of it the first time, and the offsets at which
/// it was opened.
fn breaking(content: &Bytes) -> (Blob, Arc<Lock<Vec<u64>>>) {
    let digest = Digest::of(content);
    let descriptor = Descriptor::new(MediaType::OCI_LAYER_GZIP, digest, content.len() as u64);
    let (content, opened) = (content.clone(), Arc::new(Lock::new(Vec::new())));
    let noted = Arc::clone(&opened);
    let blob = Blob::new(descriptor, move |offset| {
        let first = noted.lock().is_empty();
        noted.lock().push(offset);
        let rest = content.slice(offset as usize..);
        let cut = || Err(Error::new(ErrorKind::Interrupted, "cut").transient(true));
        let (rest, end) = match first {
            true => (rest.slice(..rest.len() / 2), Some(cut())),
            false => (rest, None),
        };
        let chunks = stream::iter([Some(Ok(rest)), end].into_iter().flatten());
        async move { Ok(chunks.boxed()) }.boxed()
    });
    (blob, opened)
}

#[tokio::test]
async fn content_that_broke_off_is_continued_where_it_was_and_others_wait_for_a_stream() {
    let directory = tempfile::tempdir().unwrap();
    let content = Bytes::from(vec![7; 1_000_000]);
    let sink = Sink::default();
    let stream = Output::Writer(Box::new(sink.clone()), "stream".to_owned());
    let path = directory.path().join("a.tar");
    for output in [Output::Path(path.clone()), stream] {
        let archive = OciArchiveWriter::create(output, directory.path());
        let archive = archive.await.unwrap();
        let (blob, opened) = breaking(&content);
        let error = archive.put_blob(&blob).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Interrupted);
        let (other, asked) = (Bytes::from_static(b"other"), AtomicU32::new(0));
        let descriptor =
            Descriptor::new(MediaType::OCI_LAYER, Digest::of(&other), other.len() as u64);
        let other = Blob::from_bytes(descriptor, other);
        let second = async {
            asked.fetch_add(1, Ordering::Relaxed);
            archive.put_blob(&other).await
        };
        let (second, again) = future::join(second, archive.put_blob(&blob)).await;
        again.unwrap();
        second.unwrap();
        assert_eq!(*opened.lock(), [0, 500_000]);
        archive.finish().await.unwrap();
    }
    for tar in [fs::read(&path).unwrap(), sink.0.lock().clone()] {
        let members = members(&tar);
        let name = format!("blobs/sha256/{}", Digest::of(&content).hex());
        assert_eq!(named(&members, &name), content);
    }
}

/// A blob of this content in small chunks, whatever its descriptor says.
fn chunked(descriptor: &Descriptor, content: &Bytes) -> Blob {
    let content = content.clone();
    Blob::new(descriptor.clone(), move |offset| {
        let rest = content.slice(offset as usize..);
        let chunks: Vec<_> = rest.chunks(1000).map(Bytes::copy_from_slice).collect();
        async move { Ok(stream::iter(chunks.into_iter().map(Ok)).boxed()) }.boxed()
    })
}

#[tokio::test]
async fn wrong_content_ends_a_stream_and_has_no_place_in_a_file() {
    let directory = tempfile::tempdir().unwrap();
    let sink = Sink::default();
    let stream = Output::Writer(Box::new(sink.clone()), "stream".to_owned());
    let path = directory.path().join("a.tar");
    let content = Bytes::from(vec![1; 600_000]);
    let promised = |of: &[u8]| Descriptor::new(MediaType::OCI_LAYER, Digest::of(of), 600_000);
    let never = chunked(&promised(b"never"), &content);
    let wrong = chunked(&promised(&content), &vec![2; 600_000].into());
    let right = chunked(&promised(&content), &content);
    let mut kinds = Vec::new();
    for output in [stream, Output::Path(path.clone())] {
        let archive = OciArchiveWriter::create(output, directory.path());
        let archive = archive.await.unwrap();
        for blob in [&never, &wrong, &right] {
            let put = archive.put_blob(blob).await;
            let there = archive.contains(blob.descriptor()).await.unwrap();
            assert_eq!(there, put.is_ok());
            kinds.push(put.err().map(|error| error.kind()));
        }
        let finished = archive.finish().await;
        kinds.push(finished.err().map(|error| error.kind()));
    }
    use ErrorKind::{Cancelled, Corrupt};
    let in_stream = [
        Some(Corrupt),
        Some(Cancelled),
        Some(Cancelled),
        Some(Cancelled),
    ];
    let in_file = [Some(Corrupt), Some(Corrupt), None, None];
    assert_eq!(kinds, [in_stream, in_file].concat());
    let members = members(&fs::read(&path).unwrap());
    let name = format!("blobs/sha256/{}", right.descriptor().digest.hex());
    assert_eq!(named(&members, &name), content);
}
