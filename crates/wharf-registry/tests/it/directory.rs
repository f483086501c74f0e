//! A directory as an earlier version wrote it: the same bytes open, and stay as they are.

use std::collections::BTreeMap;
use std::path::Path;

use futures::{StreamExt, TryStreamExt, stream};
use wharf::oci::{Algorithm, Digest, RepositoryName, Selector};
use wharf_registry::driver::Session;
use wharf_registry::storage::{ReferrersQuery, Storage};
use wharf_testkit::files_below;

const LAYER: &str = "3997bfa39738f279d788e49d0cc743d02a512c8855f798b3ee1c0daf589a6b9a";
const CONFIG: &str = "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";
const IMAGE: &str = "7097a59552249b4fa1e49d22c2b671d3723a37ad2aed5fabb1429cfe071c2161";
const SBOM: &str = "552250ec1ad6b7ddcd2da8d2c0198e0296f516403506f9884f9ea04271efdb79";
const IMAGE_BYTES: &str = r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a","size":2},"layers":[{"mediaType":"application/vnd.oci.image.layer.v1.tar","digest":"sha256:3997bfa39738f279d788e49d0cc743d02a512c8855f798b3ee1c0daf589a6b9a","size":11}]}"#;
const SBOM_BYTES: &str = r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","artifactType":"application/vnd.example.sbom","manifests":[],"subject":{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"sha256:7097a59552249b4fa1e49d22c2b671d3723a37ad2aed5fabb1429cfe071c2161","size":393}}"#;
/// A referrer as earlier versions wrote it, and as it is written and listed now: the order of fields is
/// another one, and both are read.
const REFERRER: &str = r#"{"mediaType":"application/vnd.oci.image.index.v1+json","digest":"sha256:552250ec1ad6b7ddcd2da8d2c0198e0296f516403506f9884f9ea04271efdb79","size":297,"artifactType":"application/vnd.example.sbom"}"#;
const REFERRER_NOW: &str = r#"{"mediaType":"application/vnd.oci.image.index.v1+json","size":297,"digest":"sha256:552250ec1ad6b7ddcd2da8d2c0198e0296f516403506f9884f9ea04271efdb79","artifactType":"application/vnd.example.sbom"}"#;
const UPLOAD: &str = "63640226154a85b483a52c3ea944e81e";

fn digest(hex: &str) -> Digest {
    format!("sha256:{hex}").parse().unwrap()
}

fn name() -> RepositoryName {
    "team/app".parse().unwrap()
}

fn session() -> Session {
    Session {
        repository: name(),
        id: UPLOAD.parse().unwrap(),
    }
}

/// All files of a directory of this format, with their content.
fn files(format: u8, referrer: &str) -> BTreeMap<String, String> {
    let image = "application/vnd.oci.image.manifest.v1+json";
    let index = "application/vnd.oci.image.index.v1+json";
    let mut files = BTreeMap::new();
    let mut add = |path: String, content: &str| files.insert(path, content.to_owned());
    add("format".to_owned(), &format!("wharf-registry {format}\n"));
    for (hex, content) in [
        (LAYER, "layer bytes"),
        (CONFIG, "{}"),
        (IMAGE, IMAGE_BYTES),
        (SBOM, SBOM_BYTES),
    ] {
        add(format!("blobs/sha256/{}/{hex}", &hex[..2]), content);
    }
    for hex in [LAYER, CONFIG] {
        add(format!("repositories/team/app/_blobs/sha256/{hex}"), "");
    }
    for (hex, media_type) in [(IMAGE, image), (SBOM, index)] {
        let link = format!("{media_type}\nsha256:{hex}\n");
        add(
            format!("repositories/team/app/_manifests/sha256/{hex}"),
            &link,
        );
    }
    let tag = format!("sha256:{IMAGE}");
    add("repositories/team/app/_tags/v1".to_owned(), &tag);
    if format == 2 {
        let path = format!("repositories/team/app/_referrers/sha256/{IMAGE}/sha256-{SBOM}");
        add(path, referrer);
    }
    add("locks/e4".to_owned(), "");
    add(format!("uploads/{UPLOAD}.e46f7d74783804fa"), "first half, ");
    files
}

fn write(directory: &Path, files: &BTreeMap<String, String>) {
    // A repository of which everything was deleted, and what was left out by version control.
    for path in [
        "repositories/old/gone/_manifests/sha256",
        "repositories/old/gone/_tags",
        "temp",
    ] {
        std::fs::create_dir_all(directory.join(path)).unwrap();
    }
    for (path, content) in files {
        let path = directory.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }
}

fn read(directory: &Path) -> BTreeMap<String, String> {
    let files = files_below(directory).into_keys();
    let content = |path: &Path| std::fs::read_to_string(directory.join(path)).unwrap();
    files
        .map(|path| (path.display().to_string(), content(&path)))
        .collect()
}

/// Everything that the directory says can be read.
async fn is_whole(storage: &Storage) {
    let name = name();
    let gone = "old/gone".parse().unwrap();
    let names = storage.repositories(None, 9).await.unwrap();
    assert_eq!(names, [gone, name.clone()]);
    assert!(storage.tags(&names[0], None, 9).await.unwrap().is_empty());
    let tags = storage.tags(&name, None, 9).await.unwrap();
    assert_eq!(tags, ["v1".parse().unwrap()]);
    let at = Selector::Tag(tags[0].clone());
    let found = storage.resolve(&name, &at).await.unwrap();
    assert_eq!((found.digest, found.size), (digest(IMAGE), 393));
    let manifest = storage.manifest(&name, &digest(IMAGE)).await.unwrap();
    assert_eq!(manifest.bytes(), IMAGE_BYTES);
    for link in manifest.links() {
        assert!(storage.contains(&name, &link.descriptor).await.unwrap());
    }
    let layer = storage.read_blob(&name, &digest(LAYER), 6, 5).await;
    let layer: Vec<_> = layer.unwrap().try_collect().await.unwrap();
    assert_eq!(layer.concat(), b"bytes");
    let query = ReferrersQuery::all(digest(IMAGE));
    let page = storage.referrers(&name, &query).await.unwrap();
    let json = serde_json::to_string(&page.descriptors).unwrap();
    assert_eq!(json, format!("[{REFERRER_NOW}]"));
    assert_eq!(storage.settled(&session()).await.unwrap(), 12);
}

#[tokio::test]
async fn a_directory_of_format_2_opens_and_stays_as_it_is() {
    let directory = tempfile::tempdir().unwrap();
    write(directory.path(), &files(2, REFERRER));
    let storage = Storage::on_disk(directory.path()).await.unwrap();
    is_whole(&storage).await;
    assert_eq!(read(directory.path()), files(2, REFERRER));
}

#[tokio::test]
async fn a_directory_of_format_1_becomes_one_of_format_2() {
    let directory = tempfile::tempdir().unwrap();
    write(directory.path(), &files(1, REFERRER));
    let storage = Storage::on_disk(directory.path()).await.unwrap();
    is_whole(&storage).await;
    assert_eq!(read(directory.path()), files(2, REFERRER_NOW));
}

#[tokio::test]
async fn what_is_written_now_is_what_was_written_then() {
    let directory = tempfile::tempdir().unwrap();
    let storage = Storage::on_disk(directory.path()).await.unwrap();
    let name = name();
    for (hex, content) in [(LAYER, "layer bytes"), (CONFIG, "{}")] {
        let bytes = stream::iter([Ok(content.into())]).boxed();
        let digest = digest(hex);
        storage.put_blob(&name, &digest, bytes).await.unwrap();
    }
    for (bytes, tag) in [(IMAGE_BYTES, Some("v1")), (SBOM_BYTES, None)] {
        let manifest = wharf::oci::Manifest::parse(None, bytes.into()).unwrap();
        let tags: Vec<_> = tag.iter().map(|tag| tag.parse().unwrap()).collect();
        let put = storage.put_manifest(&name, &manifest, &tags, None);
        put.await.unwrap();
    }
    let mut expected = files(2, REFERRER_NOW);
    expected.retain(|path, _| !path.starts_with("uploads/"));
    // The lengths of content are written too; earlier versions do not look at them.
    for (hex, content) in [
        (LAYER, "layer bytes"),
        (CONFIG, "{}"),
        (IMAGE, IMAGE_BYTES),
        (SBOM, SBOM_BYTES),
    ] {
        let path = format!("lengths/sha256/{}/{hex}", &hex[..2]);
        expected.insert(path, format!("{}\n", content.len()));
    }
    assert_eq!(read(directory.path()), expected);
}

#[tokio::test]
async fn a_session_from_then_ends_now() {
    let directory = tempfile::tempdir().unwrap();
    write(directory.path(), &files(2, REFERRER));
    let storage = Storage::on_disk(directory.path()).await.unwrap();
    let rest = stream::iter([Ok("second half".into())]).boxed();
    let session = session();
    let sent = storage.append(&session, Some(12), Algorithm::Sha256, rest);
    assert_eq!(sent.await.unwrap(), 23);
    let whole = Digest::of(b"first half, second half");
    storage.finish(&session, &whole).await.unwrap();
    assert_eq!(storage.blob_size(&name(), &whole).await.unwrap(), 23);
}
