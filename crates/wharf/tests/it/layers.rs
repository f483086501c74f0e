//! Layers made while they are sent, images made of them, and blobs pushed alone.
#![cfg(unix)]

use std::fs;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use futures::{FutureExt, StreamExt, stream};
use proptest::prelude::*;
use wharf::copy::{Root, RootContent, copy, push_blob, push_layer};
use wharf::draft::DraftLayer;
use wharf::file;
use wharf::layer::{
    Family, LayerInput, MadeLayer, NewImage, Packing, PendingLayer, Settings, Times, TreeOptions,
    ZstdSettings,
};
use wharf::oci::{Compression, Descriptor, Digest, ImageConfig, MediaType, Selector};
use wharf::remote::Client;
use wharf::store::{Memory, Outcome, Source};
use wharf::{Error, ErrorKind, Side};
use wharf_testkit::{
    Answer, DockerRegistry, FaultServer, Skopeo, compressible_bytes, push_registry, seeded_bytes,
};

use crate::support::{BLOB, Record, SESSION, UPLOADS, count, options, repository};

/// An input that gives `bytes` once.
fn once(bytes: &[u8]) -> LayerInput {
    LayerInput::reader("a pipe", std::io::Cursor::new(bytes.to_vec()))
}

/// An input that gives `bytes` any number of times.
fn again(bytes: &[u8]) -> LayerInput {
    let bytes = bytes.to_vec();
    LayerInput::again("a maker", move || {
        let stream = file::reader(std::io::Cursor::new(bytes.clone()), "a maker");
        async move { Ok(stream) }.boxed()
    })
}

fn decompressed(bytes: &[u8], compression: Compression) -> Vec<u8> {
    let mut content = Vec::new();
    let mut reader: Box<dyn Read> = match compression {
        Compression::None => Box::new(bytes),
        Compression::Gzip => Box::new(flate2::read::MultiGzDecoder::new(bytes)),
        Compression::Zstd => Box::new(zstd::Decoder::new(bytes).unwrap()),
    };
    reader.read_to_end(&mut content).unwrap();
    content
}

async fn content(store: &Memory, descriptor: &Descriptor) -> Bytes {
    store.blob(descriptor).read_all(u64::MAX).await.unwrap()
}

fn packings() -> [Packing; 3] {
    [
        Packing::Plain,
        Packing::Gzip(Settings::default()),
        Packing::Zstd(ZstdSettings::default()),
    ]
}

#[tokio::test]
async fn s3_digest_size_and_diff_id_are_learned_in_the_pass_that_sends() {
    let tar = compressible_bytes(1, 3 << 20);
    for packing in packings() {
        let store = Memory::new();
        let layer = once(&tar).tar(&packing, Family::Oci).unwrap();
        let (options, record) = options();
        let made = push_layer(&store, &layer, &options).await.unwrap();
        assert_eq!(made.diff_id, Some(Digest::of(&tar)), "{packing:?}");
        assert_eq!(
            made.descriptor.media_type.compression(),
            Some(packing.compression())
        );
        let sent = content(&store, &made.descriptor).await;
        assert_eq!(sent.len() as u64, made.descriptor.size);
        assert!(decompressed(&sent, packing.compression()) == tar);
        let (total, complete) = record.total_and_complete();
        assert_eq!(
            (total, complete),
            (made.descriptor.size, made.descriptor.size)
        );
    }
}

#[tokio::test]
async fn u2_a_layer_from_a_pipe_is_one_patch_and_one_put() {
    let server = FaultServer::start(push_registry());
    let tar = compressible_bytes(1, 3 << 20);
    let layer = once(&tar).tar(&Packing::default(), Family::Docker).unwrap();
    let store = repository(server.address(), "app");
    let made = push_layer(&store, &layer, &options().0).await.unwrap();
    assert_eq!(made.descriptor.media_type, MediaType::DOCKER_LAYER_GZIP);
    assert_eq!(
        (
            count(&server, "POST"),
            count(&server, "PATCH"),
            count(&server, "PUT")
        ),
        (1, 1, 1)
    );
    let sent = server
        .requests()
        .into_iter()
        .find(|r| r.method == "PATCH")
        .unwrap();
    assert_eq!(made.descriptor.digest.hex(), sent.body_sha256);
}

#[tokio::test]
async fn s3_a_layer_that_can_start_again_is_made_again() {
    let answers = [Answer::close_after(100_000), Answer::fall_through()];
    let server = FaultServer::start(push_registry().on("PATCH", SESSION, answers));
    let tar = seeded_bytes(1, 3 << 20);
    let layer = again(&tar).tar(&Packing::default(), Family::Oci).unwrap();
    let store = repository(server.address(), "app");
    let (options, record) = options();
    let made = push_layer(&store, &layer, &options).await.unwrap();
    assert_eq!(made.diff_id, Some(Digest::of(&tar)));
    assert_eq!(record.retried(), 1);
}

/// A registry that keeps this range of an interrupted pipe of this many mebibytes.
async fn pipe_cut_off(
    mebibytes: usize,
    range: &str,
) -> (FaultServer, Arc<Record>, wharf::Result<MadeLayer>) {
    let status = Answer::status(204).header("Range", range);
    let answers = [
        Answer::close_after(mebibytes as u64 * 900_000),
        Answer::fall_through(),
    ];
    let server = FaultServer::start(push_registry().on("PATCH", SESSION, answers).on(
        "GET",
        SESSION,
        [status],
    ));
    let tar = seeded_bytes(1, mebibytes << 20);
    let layer = once(&tar).tar(&Packing::default(), Family::Oci).unwrap();
    let client = Client::builder().build().unwrap();
    let name = format!("{}/app", server.address());
    let store = client.repository(&name.parse().unwrap());
    let (options, record) = options();
    let made = push_layer(&store, &layer, &options).await;
    client.tidy(std::time::Duration::from_secs(5)).await;
    (server, record, made)
}

#[tokio::test]
async fn s3_a_pipe_that_is_still_at_hand_is_sent_again_when_nothing_was_kept() {
    let (server, record, made) = pipe_cut_off(3, "0-0").await;
    let tar = seeded_bytes(1, 3 << 20);
    assert_eq!(made.unwrap().diff_id, Some(Digest::of(&tar)));
    assert_eq!((count(&server, "PATCH"), record.retried()), (2, 1));
}

#[tokio::test]
async fn u5_a_pipe_of_which_a_registry_lost_too_much_fails_and_says_so() {
    let (server, record, made) = pipe_cut_off(24, "0-99999").await;
    let error = made.unwrap_err().to_string();
    assert!(error.starts_with("a pipe: "), "{error}");
    assert!(error.contains("the registry kept 100000 of "), "{error}");
    assert!(
        error.contains("are gone: they can be read only once: "),
        "{error}"
    );
    assert!(error.contains("PATCH"), "{error}");
    assert_eq!((count(&server, "PATCH"), record.retried()), (1, 1));
    assert_eq!((count(&server, "POST"), count(&server, "DELETE")), (1, 1));
    assert!(record.ended_with_failure());
}

#[tokio::test]
async fn s3_a_pipe_of_which_only_the_last_answer_was_lost_is_not_sent_again() {
    let tar = seeded_bytes(1, 40 << 20);
    let there = format!("/v2/*/blobs/{}", Digest::of(&tar));
    let script = push_registry()
        .on("PUT", SESSION, [Answer::drop_connection()])
        .on("GET", SESSION, [Answer::status(404)])
        .on("HEAD", &there, [Answer::status(200)]);
    let server = FaultServer::start(script);
    let layer = once(&tar).tar(&Packing::Plain, Family::Oci).unwrap();
    let store = repository(server.address(), "app");
    let (options, record) = options();
    let made = push_layer(&store, &layer, &options).await.unwrap();
    assert_eq!(made.descriptor.digest, Digest::of(&tar));
    assert_eq!((count(&server, "PATCH"), record.retried()), (1, 1));
}

#[tokio::test]
async fn s3_a_try_that_read_nothing_of_a_pipe_costs_it_nothing() {
    let answers = [Answer::status(503), Answer::fall_through()];
    let server = FaultServer::start(push_registry().on("POST", UPLOADS, answers));
    let layer = once(b"tar").tar(&Packing::default(), Family::Oci).unwrap();
    let store = repository(server.address(), "app");
    let made = push_layer(&store, &layer, &options().0).await.unwrap();
    assert_eq!(made.diff_id, Some(Digest::of(b"tar")));
}

#[tokio::test]
async fn s3_the_error_of_a_pipe_is_the_sources() {
    let broken = stream::iter([
        Ok(Bytes::from_static(b"abc")),
        Err(Error::new(ErrorKind::Io, "pipe broke")),
    ]);
    let layer = LayerInput::stream("a pipe", broken.boxed())
        .tar(&Packing::Plain, Family::Oci)
        .unwrap();
    let server = FaultServer::start(push_registry());
    let store = repository(server.address(), "app");
    let error = push_layer(&store, &layer, &options().0).await.unwrap_err();
    assert_eq!(error.failed_side(), Some(Side::Source), "{error}");
    assert_eq!(count(&server, "PUT"), 0);
}

#[tokio::test]
async fn s3_a_compressed_layer_is_sent_as_it_is_and_its_diff_id_learned_beside() {
    let tar = compressible_bytes(1, 3 << 20);
    for packing in packings() {
        let one = Memory::new();
        let layer = once(&tar).tar(&packing, Family::Oci).unwrap();
        let packed = push_layer(&one, &layer, &options().0).await.unwrap();
        let bytes = content(&one, &packed.descriptor).await;

        let layer = once(&bytes)
            .compressed(packing.compression(), Family::Oci)
            .unwrap();
        let made = push_layer(&Memory::new(), &layer, &options().0)
            .await
            .unwrap();
        assert_eq!(made, packed);
    }
}

#[tokio::test]
async fn s3_a_compressed_layer_that_is_cut_off_or_none_is_not_stored() {
    let tar = compressible_bytes(1, 3 << 20);
    for packing in [packings()[1].clone(), packings()[2].clone()] {
        let one = Memory::new();
        let layer = once(&tar).tar(&packing, Family::Oci).unwrap();
        let packed = push_layer(&one, &layer, &options().0).await.unwrap();
        let mut cut = content(&one, &packed.descriptor).await.to_vec();
        cut.truncate(cut.len() - 5);
        for bytes in [cut, b"no such thing".to_vec(), seeded_bytes(1, 9 << 20)] {
            let layer = once(&bytes)
                .compressed(packing.compression(), Family::Oci)
                .unwrap();
            let store = Memory::new();
            let error = push_layer(&store, &layer, &options().0).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
            assert!(
                error.to_string().starts_with("layer is not whole "),
                "{error}"
            );
            assert!(store.blobs().is_empty());
        }
    }
}

#[test]
fn docker_has_types_for_gzip_alone() {
    for packing in [packings()[0].clone(), packings()[2].clone()] {
        let error = once(b"").tar(&packing, Family::Docker).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
    }
}

fn image(layers: Vec<PendingLayer>, family: Family) -> Root {
    let image = NewImage {
        config: ImageConfig {
            architecture: "arm64".to_owned(),
            os: "linux".to_owned(),
            config: Some(serde_json::json!({"Env": ["A=b"], "Cmd": ["/tool"]})),
            ..ImageConfig::default()
        },
        layers,
        family,
    };
    Root {
        content: RootContent::Draft(image.into_draft()),
        tags: vec!["v1".parse().unwrap()],
    }
}

#[tokio::test]
async fn s4_a_config_that_names_diff_ids_goes_after_the_last_layer() {
    let server = FaultServer::start(push_registry());
    let store = repository(server.address(), "app");
    let layers =
        [b"one", b"two"].map(|tar| once(tar).tar(&Packing::default(), Family::Oci).unwrap());
    let root = image(layers.to_vec(), Family::Oci);
    let (options, record) = options();
    let summary = copy(&Memory::new(), &store, &[root], &options)
        .await
        .unwrap();
    assert_eq!((summary.written, summary.manifests), (3, 1));
    let (total, complete) = record.total_and_complete();
    assert_eq!(total, complete, "p1");
    let requests = server.requests();
    let at = |method: &str| requests.iter().rposition(|r| r.method == method).unwrap();
    let head = requests
        .iter()
        .position(|r| r.method == "HEAD" && r.target.contains("/blobs/"))
        .unwrap();
    assert!(
        at("PATCH") < head,
        "the config is asked for after the layers"
    );
    assert_eq!(at("PUT"), requests.len() - 1, "the manifest is last");
}

#[tokio::test]
async fn s3_s4_an_image_made_on_the_fly_is_whole() {
    for family in [Family::Oci, Family::Docker] {
        let (tree, store) = (tempfile::tempdir().unwrap(), Memory::new());
        fs::write(tree.path().join("tool"), "#!/bin/sh\n").unwrap();
        let rootfs = LayerInput::directory(tree.path(), TreeOptions::default());
        let base = once(b"base").tar(&Packing::default(), family).unwrap();
        // The same layer twice is made once.
        let layers = vec![
            base.clone(),
            rootfs.tar(&Packing::default(), family).unwrap(),
            base,
        ];
        let root = image(layers, family);
        let summary = copy(&Memory::new(), &store, &[root], &options().0)
            .await
            .unwrap();
        assert_eq!(summary.layers.len(), 2);

        let tag = Selector::Tag("v1".parse().unwrap());
        let descriptor = store.resolve(&tag).await.unwrap();
        assert_eq!(summary.roots, std::slice::from_ref(&descriptor));
        assert_eq!(descriptor.media_type, family.manifest());
        let manifest = store.manifest(&descriptor).await.unwrap();
        let wharf::oci::Payload::Image(image) = manifest.payload() else {
            panic!("{manifest:?}");
        };
        assert_eq!(image.config.media_type, family.config());
        let config = ImageConfig::parse(&content(&store, &image.config).await).unwrap();
        assert_eq!(config.architecture, "arm64");
        assert_eq!(config.config.unwrap()["Cmd"][0], "/tool");
        assert_eq!(config.rootfs.diff_ids.len(), 3);
        for (layer, diff_id) in image.layers.iter().zip(&config.rootfs.diff_ids) {
            let tar = decompressed(&content(&store, layer).await, Compression::Gzip);
            assert_eq!(Digest::of(&tar), *diff_id);
        }
    }
}

#[tokio::test]
async fn s4_an_image_without_layers_has_a_config_too() {
    let store = Memory::new();
    let root = image(Vec::new(), Family::Oci);
    let summary = copy(&Memory::new(), &store, &[root], &options().0)
        .await
        .unwrap();
    assert_eq!((summary.written, summary.manifests), (1, 1));
}

#[tokio::test]
async fn s4_a_blob_without_a_diff_id_is_no_layer_of_such_an_image() {
    let store = Memory::new();
    let root = image(vec![once(b"x").blob(MediaType::OCI_LAYER)], Family::Oci);
    let error = copy(&Memory::new(), &store, &[root], &options().0)
        .await
        .unwrap_err();
    assert!(
        error.to_string().starts_with("a pipe: has no diff id"),
        "{error}"
    );
    let tag = Selector::Tag("v1".parse().unwrap());
    assert!(store.resolve(&tag).await.is_err());
}

#[tokio::test]
async fn s4_a_config_beside_pending_layers_may_be_known() {
    let (source, store) = (Memory::new(), Memory::new());
    let config = source.add_blob(MediaType::OCI_IMAGE_CONFIG, b"{}".to_vec());
    let layer = once(b"x").blob(MediaType::OCI_LAYER);
    let draft = wharf::draft::Draft {
        media_type: MediaType::OCI_IMAGE_MANIFEST,
        config: wharf::draft::DraftConfig::Stored(config),
        layers: vec![DraftLayer::Pending(layer)],
        fields: wharf::draft::ManifestFields::default(),
    };
    let root = Root {
        content: RootContent::Draft(draft),
        tags: Vec::new(),
    };
    let summary = copy(&source, &store, &[root], &options().0).await.unwrap();
    assert_eq!((summary.written, summary.manifests), (2, 1));
}

/// Every compression, in images that another implementation unpacks and identifies by diff id.
#[tokio::test(flavor = "multi_thread")]
async fn s3_images_made_on_the_fly_are_read_by_others() {
    let (Some(registry), Some(skopeo)) = (DockerRegistry::start(), Skopeo::find()) else {
        return;
    };
    let tree = tempfile::tempdir().unwrap();
    // More than a block of each compression.
    fs::write(tree.path().join("data"), compressible_bytes(1, 3_000_000)).unwrap();
    fs::write(tree.path().join("n".repeat(150)), "long").unwrap();
    std::os::unix::fs::symlink("data", tree.path().join("link")).unwrap();
    for (name, packing) in ["plain", "gzip", "zstd"].into_iter().zip(packings()) {
        let rootfs = LayerInput::directory(tree.path(), TreeOptions::default());
        let root = image(
            vec![rootfs.tar(&packing, Family::Oci).unwrap()],
            Family::Oci,
        );
        let store = repository(registry.address(), name);
        let summary = copy(&Memory::new(), &store, &[root], &options().0)
            .await
            .unwrap();
        let reference = format!("docker://{}/{name}:v1", registry.address());
        assert_eq!(
            skopeo.inspect_digest(&reference),
            summary.roots[0].digest.to_string()
        );
        let out = tree.path().with_extension(name);
        let directory = format!("dir:{}", out.display());
        let copied = skopeo.run(&[
            "copy",
            "--src-tls-verify=false",
            "--dest-decompress",
            &reference,
            &directory,
        ]);
        assert!(copied.status.success(), "{copied:?}");
        let diff_id = summary.layers[0].diff_id.clone().unwrap();
        let unpacked = out.join(diff_id.hex()).is_file();
        fs::remove_dir_all(&out).unwrap();
        assert!(unpacked, "{name}: {diff_id}");
    }
}

async fn blob_of(bytes: &[u8]) -> (tempfile::TempDir, wharf::blob::Blob) {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("blob");
    fs::write(&path, bytes).unwrap();
    let blob = file::blob(&path, MediaType::OCTET_STREAM).await.unwrap();
    (place, blob)
}

#[tokio::test]
async fn o3_a_file_is_asked_for_and_sent_in_one_put() {
    let server = FaultServer::start(push_registry());
    let bytes = seeded_bytes(1, 2 << 20);
    let (_place, blob) = blob_of(&bytes).await;
    let store = repository(server.address(), "app");
    let (options, record) = options();
    let outcome = push_blob(&store, &blob, &options).await.unwrap();
    assert_eq!(outcome, Outcome::Written);
    let methods: Vec<_> = server.requests().into_iter().map(|r| r.method).collect();
    assert_eq!(methods[methods.len() - 3..], ["HEAD", "POST", "PUT"]);
    assert_eq!(count(&server, "PUT /v2/app/manifests"), 0);
    assert_eq!(
        (record.started(), record.total_and_complete()),
        (1, (2 << 20, 2 << 20))
    );
}

#[tokio::test]
async fn o3_a_file_that_is_there_is_not_sent() {
    let there = Answer::status(200).header("Content-Length", "5");
    let server = FaultServer::start(push_registry().on("HEAD", BLOB, [there]));
    let (_place, blob) = blob_of(b"hello").await;
    let store = repository(server.address(), "app");
    let outcome = push_blob(&store, &blob, &options().0).await.unwrap();
    assert_eq!((outcome, count(&server, "POST")), (Outcome::Existed, 0));
}

#[tokio::test]
async fn o3_r1_a_file_is_sent_again_after_a_broken_connection() {
    let answers = [Answer::close_after(1000), Answer::fall_through()];
    let server = FaultServer::start(push_registry().on("PUT", SESSION, answers));
    let (_place, blob) = blob_of(&seeded_bytes(1, 2 << 20)).await;
    let store = repository(server.address(), "app");
    let (options, record) = options();
    push_blob(&store, &blob, &options).await.unwrap();
    assert_eq!(record.retried(), 1);
}

#[tokio::test]
async fn o3_any_bytes_from_a_pipe_are_a_blob() {
    let store = Memory::new();
    let blob = once(b"any bytes").blob(MediaType::OCTET_STREAM);
    let made = push_layer(&store, &blob, &options().0).await.unwrap();
    assert_eq!(made.diff_id, None);
    assert_eq!(content(&store, &made.descriptor).await, "any bytes");
}

#[tokio::test]
async fn s3_a_file_can_start_again_and_a_directory_is_no_file() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("layer.tar");
    fs::write(&path, "tar").unwrap();
    let layer = LayerInput::file(&path).await.unwrap();
    let layer = layer.tar(&Packing::Plain, Family::Oci).unwrap();
    for _ in 0..2 {
        let made = push_layer(&Memory::new(), &layer, &options().0)
            .await
            .unwrap();
        assert_eq!(made.diff_id, Some(Digest::of(b"tar")));
    }
    let error = LayerInput::file(place.path()).await.unwrap_err();
    assert!(error.to_string().ends_with(": is a directory"), "{error}");
}

/// What a file of a generated tree is.
#[derive(Clone, Debug)]
enum Node {
    File(Vec<u8>),
    Directory,
    Link(String),
}

fn nodes() -> impl Strategy<Value = Vec<(String, Node)>> {
    let node = prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..2000).prop_map(Node::File),
        Just(Node::Directory),
        "[a-z/.]{1,120}".prop_map(Node::Link),
    ];
    let path = "[a-c]{1,2}(/[a-c.]{0,1}[a-z]{1,60}){0,3}";
    proptest::collection::vec((path, node), 0..12)
}

/// Builds `nodes` in this order, as far as possible; the first node of a path wins.
fn build(root: &Path, nodes: &[&(String, Node)]) {
    for (path, node) in nodes {
        let path = root.join(path);
        match node {
            Node::File(bytes) => fs::write(path, bytes).unwrap(),
            Node::Directory => fs::create_dir_all(path).unwrap(),
            Node::Link(target) => std::os::unix::fs::symlink(target, path).unwrap(),
        }
    }
}

/// The nodes that do not contradict earlier ones: a path is one thing, and only directories have
/// children.
fn consistent(nodes: &[(String, Node)]) -> Vec<&(String, Node)> {
    let mut taken: Vec<&(String, Node)> = Vec::new();
    for node in nodes {
        let clash = taken.iter().any(|(path, _)| {
            path == &node.0
                || path.starts_with(&format!("{}/", node.0))
                || node.0.starts_with(&format!("{path}/"))
        });
        if !clash {
            taken.push(node);
        }
    }
    taken
}

async fn layer_of(root: &Path, packing: &Packing) -> MadeLayer {
    let tree = TreeOptions {
        times: Times::Fixed(1_700_000_000),
        ..TreeOptions::default()
    };
    let layer = LayerInput::directory(root, tree)
        .tar(packing, Family::Oci)
        .unwrap();
    push_layer(&Memory::new(), &layer, &options().0)
        .await
        .unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_tree_gives_the_same_layer_whenever_and_in_whatever_order_it_was_written(nodes in nodes()) {
        let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let nodes = consistent(&nodes);
        for (place, nodes) in [(&one, nodes.clone()), (&other, nodes.into_iter().rev().collect())] {
            for (path, _) in &nodes {
                fs::create_dir_all(place.path().join(path).parent().unwrap()).unwrap();
            }
            build(place.path(), &nodes);
        }
        let old = fs::File::open(other.path()).unwrap();
        old.set_modified(std::time::UNIX_EPOCH).unwrap();
        let runtime = tokio::runtime::Runtime::new().unwrap();
        for packing in packings() {
            let layers = [one.path(), other.path()].map(|root| runtime.block_on(layer_of(root, &packing)));
            prop_assert_eq!(&layers[0], &layers[1]);
        }
    }
}
