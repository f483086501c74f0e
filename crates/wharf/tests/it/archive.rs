//! Archives as sources: of every style, in every compression, from files and streams, whole and broken.

use std::collections::HashMap;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures::TryStreamExt;
use wharf::copy::{
    CopyOptions, Destination, Event, Observer, Root, RootContent, Tally, copy_to_all,
};
use wharf::draft::{Draft, DraftLayer};
use wharf::layer::{LayerMemory, Settings};
use wharf::oci::{Descriptor, Digest, MediaType};
use wharf::remote::{Client, RemoteRepository};
use wharf::store::archive::{Archive, ArchiveOptions, DockerArchive, ImageChoice, Input, open};
use wharf::store::{LayoutReader, Memory, Source, Store};
use wharf::{Error, ErrorKind};
use wharf_testkit::compress::compress_bytes;
use wharf_testkit::docker_archive::SavedImage;
use wharf_testkit::layer::tar_of;
use wharf_testkit::{
    ArchiveStyle, DockerImage, FaultServer, Kind, LayerSpec, LayoutFixture, compress,
    compressible_bytes, push_registry, tar_layout,
};

struct Place {
    directory: tempfile::TempDir,
}

impl Place {
    fn new() -> Place {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir(directory.path().join("spool")).unwrap();
        Place { directory }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn options(&self) -> ArchiveOptions {
        ArchiveOptions {
            spool_dir: self.path("spool"),
            compression: Settings::default(),
            memory: None,
        }
    }

    async fn open(&self, path: &Path) -> Result<Archive, Error> {
        open(Input::Path(path.to_owned()), self.options()).await
    }

    async fn docker(&self, path: &Path) -> DockerArchive {
        docker(self.open(path).await.unwrap())
    }

    /// Opens an archive that must be refused, and checks that the message is one line that names
    /// the file.
    async fn refused(&self, path: &Path) -> Error {
        let error = self.open(path).await.unwrap_err();
        let text = error.to_string();
        assert!(!text.contains('\n'), "{text}");
        assert!(text.starts_with(&path.display().to_string()), "{text}");
        assert_eq!(fs::read_dir(self.path("spool")).unwrap().count(), 0);
        error
    }

    /// Two images; they share their first layer.
    fn save(&self, style: ArchiveStyle) -> (PathBuf, Vec<SavedImage>) {
        let path = self.path("image.tar");
        let large = compressible_bytes(7, 700_000);
        let base: &[(&str, &[u8])] = &[("base", &large)];
        let saved = wharf_testkit::DockerArchive::new(style)
            .image(
                DockerImage::new(&["app:1", "app:latest"])
                    .layer(base)
                    .layer(&[("top", b"1")]),
            )
            .image(
                DockerImage::new(&["localhost:5000/other:2"])
                    .layer(&[("below", b"0")])
                    .layer(base),
            )
            .write(&path);
        (path, saved)
    }
}

fn docker(archive: Archive) -> DockerArchive {
    match archive {
        Archive::Docker(archive) => archive,
        other => panic!("not a docker archive: {other:?}"),
    }
}

fn layout(archive: Archive) -> LayoutReader {
    match archive {
        Archive::Oci(archive) => archive,
        other => panic!("not a layout: {other:?}"),
    }
}

fn name(text: &str) -> ImageChoice {
    ImageChoice::Name(text.to_owned())
}

/// Makes the pending layers of `draft`: bytes by diff id.
async fn make(draft: &Draft) -> HashMap<Digest, Vec<u8>> {
    let mut made = HashMap::new();
    for layer in draft.pending() {
        let stream = layer.open().await.unwrap();
        let chunks: Vec<Bytes> = stream.try_collect().await.unwrap();
        made.insert(layer.diff_id().unwrap().clone(), chunks.concat());
    }
    made
}

async fn first(archive: &DockerArchive) -> Draft {
    archive.draft(&archive.images()[0]).await.unwrap()
}

fn remote(client: &Client, server: &FaultServer) -> RemoteRepository {
    client.repository(&format!("{}/app", server.address()).parse().unwrap())
}

/// Sums up the events of a copy.
#[derive(Debug, Default)]
struct Sums(Mutex<Tally>);

impl Observer for Sums {
    fn on(&self, event: Event<'_>) {
        self.0.lock().unwrap().on(&event);
    }
}

fn gunzip(bytes: &[u8]) -> Vec<u8> {
    let mut content = Vec::new();
    flate2::read::MultiGzDecoder::new(bytes)
        .read_to_end(&mut content)
        .unwrap();
    content
}

#[tokio::test]
async fn drafts_of_plain_layers_are_compressed_to_what_the_config_promises() {
    for style in [
        ArchiveStyle::Classic,
        ArchiveStyle::LegacySymlinks,
        ArchiveStyle::OciInside,
    ] {
        let place = Place::new();
        let (path, saved) = place.save(style);
        let archive = place.docker(&path).await;
        for (image, saved) in archive.images().iter().zip(&saved) {
            let draft = archive.draft(image).await.unwrap();
            assert_eq!(draft.media_type, MediaType::DOCKER_MANIFEST);
            let config = archive
                .blob(draft.config.stored().unwrap())
                .read_all(1 << 20)
                .await
                .unwrap();
            assert_eq!(config, saved.config, "{style:?}");
            let made = make(&draft).await;
            for diff_id in &saved.diff_ids {
                let diff_id: Digest = diff_id.parse().unwrap();
                assert_eq!(Digest::of(&gunzip(&made[&diff_id])), diff_id, "{style:?}");
            }
        }
    }
}

#[tokio::test]
async fn layers_that_are_compressed_keep_their_bytes() {
    let place = Place::new();
    let (path, saved) = place.save(ArchiveStyle::ClassicGzip);
    let archive = place.docker(&path).await;
    let draft = archive.draft(&archive.images()[1]).await.unwrap();
    assert!(draft.pending().is_empty());
    for (descriptor, diff_id) in draft.stored().zip(&saved[1].diff_ids) {
        assert_eq!(descriptor.media_type, MediaType::DOCKER_LAYER_GZIP);
        archive.precheck(descriptor).await.unwrap();
        let bytes = archive.blob(descriptor).read_all(1 << 20).await.unwrap();
        assert_eq!(Digest::of(&gunzip(&bytes)).to_string(), *diff_id);
    }
    let manifest = draft.finish(&HashMap::new()).unwrap().manifest;
    assert_eq!(manifest.links().len(), 3);
}

#[tokio::test]
async fn a_zstd_layer_makes_the_whole_draft_oci() {
    let place = Place::new();
    let plain = tar_of(&[("a", b"a")]);
    let packed = compress_bytes(&tar_of(&[("b", b"b")]), Kind::Zstd);
    // The fixture computes the diff id from the given bytes; it is not compared here.
    let path = place.path("image.tar");
    wharf_testkit::DockerArchive::new(ArchiveStyle::Classic)
        .image(
            DockerImage::new(&["a:1"])
                .layer_bytes(plain)
                .layer_bytes(packed),
        )
        .write(&path);
    let archive = place.docker(&path).await;
    let draft = archive.draft(&archive.images()[0]).await.unwrap();
    assert_eq!(draft.media_type, MediaType::OCI_IMAGE_MANIFEST);
    assert_eq!(
        draft.config.stored().unwrap().media_type,
        MediaType::OCI_IMAGE_CONFIG
    );
    let types: Vec<MediaType> = draft
        .layers
        .iter()
        .map(|layer| match layer {
            DraftLayer::Stored(descriptor) => descriptor.media_type.clone(),
            DraftLayer::Recalled(recalled) => recalled.descriptor.media_type.clone(),
            DraftLayer::Pending(pending) => pending.media_type().clone(),
        })
        .collect();
    assert_eq!(
        types,
        [MediaType::OCI_LAYER_GZIP, MediaType::OCI_LAYER_ZSTD]
    );
}

#[tokio::test]
async fn every_compression_of_the_archive_is_seen_through_from_files_and_streams() {
    let place = Place::new();
    let (path, saved) = place.save(ArchiveStyle::Classic);
    let twice = compress(&compress(&path, Kind::Xz), Kind::Gzip);
    let mut paths: Vec<PathBuf> = Kind::ALL.map(|kind| compress(&path, kind)).into();
    paths.extend([path, twice]);
    for path in paths {
        // Names do not matter.
        let disguised = place.path("disguised.zip");
        fs::copy(&path, &disguised).unwrap();
        let bytes = fs::read(&path).unwrap();
        let input = Input::Reader(Box::new(std::io::Cursor::new(bytes)), "-".to_owned());
        let streamed = docker(open(input, place.options()).await.unwrap());
        for archive in [place.docker(&disguised).await, streamed] {
            let ids: Vec<String> = archive
                .images()
                .iter()
                .map(|image| image.config.digest.to_string())
                .collect();
            let expected: Vec<String> = saved
                .iter()
                .map(|image| image.config_digest.clone())
                .collect();
            assert_eq!(ids, expected, "{path:?}");
        }
        assert_eq!(fs::read_dir(place.path("spool")).unwrap().count(), 0);
    }
}

#[tokio::test]
async fn an_image_is_chosen_by_name_tag_config_or_place() {
    let place = Place::new();
    let (path, saved) = place.save(ArchiveStyle::Classic);
    let archive = place.docker(&path).await;
    let config = ImageChoice::Config(saved[0].config_digest.parse().unwrap());
    for choice in [
        name("app:1"),
        name("docker.io/library/app:1"),
        name("app"),
        name("1"),
        config,
        ImageChoice::Place(0),
    ] {
        let image = archive.select(&choice).unwrap();
        assert_eq!(
            image.config.digest.to_string(),
            saved[0].config_digest,
            "{choice:?}"
        );
    }
    assert_eq!("@1".parse(), Ok(ImageChoice::Place(1)));
    let other = archive.select(&name("localhost:5000/other:2")).unwrap();
    assert_eq!(other.config.digest.to_string(), saved[1].config_digest);
}

#[tokio::test]
async fn a_choice_that_fits_none_or_several_lists_what_there_is() {
    let place = Place::new();
    let (path, _) = place.save(ArchiveStyle::Classic);
    let archive = place.docker(&path).await;
    let error = archive.select(&ImageChoice::Only).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Ambiguous);
    assert!(
        error
            .to_string()
            .ends_with("app:1 app:latest, localhost:5000/other:2"),
        "{error}"
    );
    let error = archive.select(&name("app:3")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.to_string().contains("app:1"), "{error}");
    let tags = archive.tags(None, 9).await.unwrap();
    let tags: Vec<_> = tags.iter().map(ToString::to_string).collect();
    assert_eq!(tags, ["1", "2", "latest"]);
}

#[tokio::test]
async fn a_remembered_layer_is_known_before_it_is_made_again() {
    let place = Place::new();
    let (path, _) = place.save(ArchiveStyle::Classic);
    let memory = Arc::new(LayerMemory::open(place.path("memory/layers")));
    let options = ArchiveOptions {
        memory: Some(Arc::clone(&memory)),
        ..place.options()
    };
    let open = || open(Input::Path(path.clone()), options.clone());

    let archive = docker(open().await.unwrap());
    let draft = archive.draft(&archive.images()[0]).await.unwrap();
    let made = make(&draft).await;
    for (diff_id, bytes) in &made {
        let descriptor = Descriptor::new(
            MediaType::DOCKER_LAYER_GZIP,
            Digest::of(bytes),
            bytes.len() as u64,
        );
        memory.remember(diff_id, &options.compression, &descriptor);
    }

    let archive = docker(open().await.unwrap());
    let draft = archive.draft(&archive.images()[0]).await.unwrap();
    assert!(draft.pending().is_empty());
    for descriptor in draft.stored() {
        let blob = archive.blob(descriptor);
        let whole = blob.read_all(1 << 20).await.unwrap();
        let half = whole.len() / 2;
        let rest: Vec<Bytes> = blob
            .open(half as u64)
            .await
            .unwrap()
            .try_collect()
            .await
            .unwrap();
        assert_eq!(rest.concat(), whole[half..]);
    }
}

#[tokio::test]
async fn a_memory_that_is_wrong_is_caught_and_forgotten() {
    let place = Place::new();
    let (path, saved) = place.save(ArchiveStyle::Classic);
    let memory = Arc::new(LayerMemory::open(place.path("layers")));
    let settings = Settings::default();
    let diff_id: Digest = saved[0].diff_ids[1].parse().unwrap();
    let wrong = Descriptor::new(MediaType::DOCKER_LAYER_GZIP, Digest::of(b"wrong"), 5);
    memory.remember(&diff_id, &settings, &wrong);
    let options = ArchiveOptions {
        memory: Some(Arc::clone(&memory)),
        ..place.options()
    };
    let archive = docker(open(Input::Path(path), options).await.unwrap());
    let draft = archive.draft(&archive.images()[0]).await.unwrap();
    let descriptor = draft.stored().next().unwrap();
    let error = archive
        .blob(descriptor)
        .read_all(1 << 20)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert_eq!(memory.recall(&diff_id, &settings), None);
}

#[tokio::test]
async fn a_memory_that_is_wrong_costs_work_and_nothing_else() {
    let place = Place::new();
    let (path, saved) = place.save(ArchiveStyle::Classic);
    let memory = Arc::new(LayerMemory::open(place.path("layers")));
    let settings = Settings::default();
    let diff_ids = saved[0].diff_ids.iter().map(|text| text.parse().unwrap());
    let diff_ids: Vec<Digest> = diff_ids.collect();
    let options = ArchiveOptions {
        memory: Some(Arc::clone(&memory)),
        ..place.options()
    };
    let open = || open(Input::Path(path.clone()), options.clone());
    let right = make(&first(&place.docker(&path).await).await).await;
    let server = FaultServer::start(push_registry());
    let client = Client::builder().build().unwrap();
    // Both layers are remembered, or only one; the wrong one is too short, too long, or different.
    let length = right[&diff_ids[0]].len() as u64;
    for (known, size) in [(1, 5), (2, length), (2, length * 2), (1, length)] {
        for (number, diff_id) in diff_ids.iter().take(known).enumerate() {
            let digest = Digest::of(&[u8::try_from(number).unwrap()]);
            let wrong = Descriptor::new(MediaType::DOCKER_LAYER_GZIP, digest, size);
            memory.remember(diff_id, &settings, &wrong);
        }
        let archive = docker(open().await.unwrap());
        let draft = first(&archive).await;
        assert!(draft.recalled().count() >= known);
        let (stores, remote) = ([Memory::new(), Memory::new()], remote(&client, &server));
        let root = [Root {
            content: RootContent::Draft(draft),
            tags: vec!["1".parse().unwrap()],
        }];
        let records = [(); 3].map(|()| Arc::new(Sums::default()));
        let all = [&stores[0] as &dyn Store, &stores[1], &remote];
        let destinations: Vec<Destination<'_>> = all
            .into_iter()
            .zip(&records)
            .map(|(store, sums)| Destination {
                store,
                roots: &root,
                observer: Arc::clone(sums) as Arc<dyn Observer>,
            })
            .collect();
        let outcomes = copy_to_all(&archive, &destinations, &CopyOptions::default()).await;
        for (outcome, sums) in outcomes.into_iter().zip(&records) {
            let summary = outcome.unwrap();
            let (complete, total) = {
                let tally = sums.0.lock().unwrap();
                (tally.complete(), tally.total())
            };
            assert_eq!(complete, total);
            let manifest = stores[0].manifest(&summary.roots[0]).await.unwrap();
            let named: Vec<_> = manifest.links().into_iter().skip(1).collect();
            for (link, diff_id) in named.iter().zip(&diff_ids) {
                assert_eq!(link.descriptor.digest, Digest::of(&right[diff_id]));
                assert_eq!(
                    memory
                        .recall(diff_id, &settings)
                        .as_ref()
                        .map(|found| &found.digest),
                    Some(&link.descriptor.digest)
                );
            }
        }
    }
}

#[tokio::test]
async fn a_layer_that_is_not_what_the_config_promises_is_named() {
    let place = Place::new();
    let (path, saved) = place.save(ArchiveStyle::Classic);
    let mut bytes = fs::read(&path).unwrap();
    let large = compressible_bytes(7, 700_000);
    let at = bytes
        .windows(64)
        .position(|part| part == &large[500..564])
        .unwrap();
    bytes[at] ^= 1;
    fs::write(&path, bytes).unwrap();
    let archive = place.docker(&path).await;
    let draft = archive.draft(&archive.images()[0]).await.unwrap();
    let stream = draft.pending()[0].open().await.unwrap();
    let error = stream.try_collect::<Vec<_>>().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    let text = error.to_string();
    for part in [
        &path.display().to_string(),
        &saved[0].layer_names[0],
        &saved[0].diff_ids[0],
    ] {
        assert!(text.contains(part), "{text}");
    }
}

#[tokio::test]
async fn a_docker_archive_has_no_manifests_to_give() {
    let place = Place::new();
    let (path, _) = place.save(ArchiveStyle::Classic);
    let archive = place.docker(&path).await;
    let error = archive
        .manifest(&Descriptor::new(
            MediaType::DOCKER_MANIFEST,
            Digest::of(b""),
            0,
        ))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
}

/// A tar with these members, `Ok` a file, `Err` a symbolic link.
fn tar_with(path: &Path, members: &[(&str, Result<&[u8], &str>)]) {
    let mut builder = tar::Builder::new(fs::File::create(path).unwrap());
    for (name, member) in members {
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o644);
        match member {
            Ok(bytes) => {
                header.set_size(bytes.len() as u64);
                builder.append_data(&mut header, name, *bytes).unwrap();
            }
            Err(target) => {
                header.set_entry_type(tar::EntryType::Symlink);
                header.set_size(0);
                builder.append_link(&mut header, name, target).unwrap();
            }
        }
    }
    builder.finish().unwrap();
}

const CONFIG: &[u8] = br#"{"rootfs":{"type":"layers","diff_ids":["sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"]}}"#;
const MANIFEST: &[u8] = br#"[{"Config":"config.json","RepoTags":null,"Layers":["a/layer.tar"]}]"#;

async fn draft_error(members: &[(&str, Result<&[u8], &str>)]) -> Error {
    let place = Place::new();
    let path = place.path("image.tar");
    tar_with(&path, members);
    let archive = place.docker(&path).await;
    let image = archive.select(&ImageChoice::Only).unwrap();
    archive.draft(image).await.unwrap_err()
}

#[tokio::test]
async fn broken_images_say_what_is_wrong_with_them() {
    let config = ("config.json", Ok(CONFIG));
    let error = draft_error(&[("manifest.json", Ok(MANIFEST)), config]).await;
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.to_string().contains("a/layer.tar"), "{error}");

    let circle = [
        ("manifest.json", Ok(MANIFEST)),
        config,
        ("a/layer.tar", Err("../b/layer.tar")),
        ("b/layer.tar", Err("../a/layer.tar")),
    ];
    let error = draft_error(&circle).await;
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(error.to_string().contains("links in a row"), "{error}");

    let outside = [
        ("manifest.json", Ok(MANIFEST)),
        config,
        ("a/layer.tar", Err("../../etc/passwd")),
    ];
    assert_eq!(draft_error(&outside).await.kind(), ErrorKind::NotFound);

    let few: &[u8] = br#"[{"Config":"config.json","Layers":[]}]"#;
    let error = draft_error(&[("manifest.json", Ok(few)), config]).await;
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert!(
        error.to_string().contains("lists 0 layers, its config 1"),
        "{error}"
    );
}

#[tokio::test]
async fn the_last_entry_of_a_name_counts() {
    let place = Place::new();
    let path = place.path("image.tar");
    tar_with(
        &path,
        &[
            ("./manifest.json", Ok(b"nonsense")),
            ("manifest.json", Ok(MANIFEST)),
            ("config.json", Ok(CONFIG)),
        ],
    );
    assert_eq!(place.docker(&path).await.images().len(), 1);
}

#[tokio::test]
async fn what_is_no_archive_of_images_is_refused() {
    let place = Place::new();
    let file = |name: &str, bytes: &[u8]| {
        let path = place.path(name);
        fs::write(&path, bytes).unwrap();
        path
    };
    let error = place.refused(&place.path("absent.tar")).await;
    assert_eq!(error.kind(), ErrorKind::NotFound);
    let error = place.refused(&place.path("spool")).await;
    assert!(error.to_string().contains("is a directory"), "{error}");
    for (bytes, expected) in [
        (&b""[..], "file is empty"),
        (b"hello", "not a tar: looks like text"),
        (
            &b"PK\x03\x04 and so on".repeat(99),
            "not a tar: looks like a zip archive",
        ),
        (
            &[0; 2048],
            "neither oci-layout with index.json nor manifest.json",
        ),
    ] {
        let error = place.refused(&file("x", bytes)).await;
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert!(error.to_string().contains(expected), "{error}");
    }
    let old = place.path("old.tar");
    tar_with(&old, &[("repositories", Ok(b"{}"))]);
    let error = place.refused(&old).await;
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.to_string().contains("docker before 1.10"), "{error}");
}

#[tokio::test]
async fn a_tar_that_is_cut_off_anywhere_is_an_error_that_says_where() {
    let place = Place::new();
    let (path, _) = place.save(ArchiveStyle::Classic);
    let whole = fs::read(&path).unwrap();
    // In content, in a header, between entries, in the padding, before the end mark.
    let end = whole.len() - 1024;
    for length in [512, 700, 100_000, 400_000, end - 3, end - 512, end] {
        fs::write(&path, &whole[..length]).unwrap();
        let error = place.refused(&path).await;
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{length} {error}");
        assert!(error.to_string().contains("offset"), "{error}");
    }
}

#[tokio::test]
async fn a_compressed_archive_that_is_cut_off_is_an_error() {
    let place = Place::new();
    let (path, _) = place.save(ArchiveStyle::Classic);
    for kind in Kind::ALL {
        let packed = compress(&path, kind);
        let bytes = fs::read(&packed).unwrap();
        fs::write(&packed, &bytes[..bytes.len() / 2]).unwrap();
        let error = place.refused(&packed).await;
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{kind:?} {error}");
        assert!(error.to_string().contains("offset"), "{error}");
    }
}

#[tokio::test]
async fn a_layout_in_a_tar_is_a_source_whatever_its_compression() {
    let place = Place::new();
    let mut fixture = LayoutFixture::new(place.path("layout"));
    let image = fixture.image(Some("1"), &[LayerSpec::random(3, 5000)]);
    let path = place.path("layout.tar");
    tar_layout(fixture.directory(), &path);
    for path in [path.clone(), compress(&path, Kind::Zstd)] {
        let archive = layout(place.open(&path).await.unwrap());
        let entry = archive.select(Some("1")).unwrap();
        assert_eq!(entry.descriptor.digest.to_string(), image.manifest_digest);
        let manifest = archive.manifest(&entry.descriptor).await.unwrap();
        for link in manifest.links() {
            archive.precheck(&link.descriptor).await.unwrap();
            archive
                .blob(&link.descriptor)
                .read_all(1 << 20)
                .await
                .unwrap();
        }
    }
}

#[tokio::test]
async fn an_archive_that_is_both_is_a_layout_when_its_layers_are_compressed() {
    let place = Place::new();
    let mut fixture = LayoutFixture::new(place.path("layout"));
    let image = fixture.image(Some("1"), &[LayerSpec::gzip(&[("a", b"a")])]);
    let blob = |digest: &str| format!("blobs/{}", digest.replace(':', "/"));
    let listed = serde_json::json!([{
        "Config": blob(&image.config_digest), "RepoTags": ["a:1"], "Layers": [blob(&image.layers[0].0)],
    }]);
    fs::write(
        fixture.directory().join("manifest.json"),
        listed.to_string(),
    )
    .unwrap();
    let path = place.path("both.tar");
    tar_layout(fixture.directory(), &path);
    layout(place.open(&path).await.unwrap());
}
