//! Compressed layers of docker archives, and the diff ids that their configs state.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::json;
use wharf::copy::{Root, RootContent, Summary, copy};
use wharf::layer::Settings;
use wharf::oci::{Descriptor, Digest, MediaType};
use wharf::store::archive::{Archive, ArchiveOptions, ImageChoice, Input, open};
use wharf::store::{Memory, Source, Store};
use wharf::{ErrorKind, Result, Side};
use wharf_testkit::compress::compress_bytes;
use wharf_testkit::layer::tar_of;
use wharf_testkit::{FaultServer, Kind, compressible_bytes, push_registry};

use crate::support::{options, repository};

/// A docker archive with a plain layer and this one, for which the config states `diff_id`.
fn saved(place: &Path, layer: &[u8], diff_id: &Digest) -> PathBuf {
    let plain = tar_of(&[("etc/os", b"x")]);
    let config = json!({
        "architecture": "amd64", "os": "linux",
        "rootfs": {"type": "layers", "diff_ids": [Digest::of(&plain), diff_id]},
    });
    let manifest = json!([{
        "Config": "config.json", "RepoTags": ["app:1"], "Layers": ["0/layer.tar", "1/layer.tar"],
    }]);
    let (config, manifest) = (config.to_string(), manifest.to_string());
    let path = place.join("image.tar");
    let files: [(&str, &[u8]); 4] = [
        ("0/layer.tar", &plain),
        ("1/layer.tar", layer),
        ("config.json", config.as_bytes()),
        ("manifest.json", manifest.as_bytes()),
    ];
    fs::write(&path, tar_of(&files)).unwrap();
    path
}

async fn push(place: &Path, archive: PathBuf, store: &dyn Store) -> Result<Summary> {
    let settings = ArchiveOptions {
        spool_dir: place.to_owned(),
        compression: Settings::default(),
        memory: None,
    };
    let Archive::Docker(archive) = open(Input::Path(archive), settings).await? else {
        panic!("not a docker archive");
    };
    let image = archive.select(&ImageChoice::Only)?.clone();
    let root = Root {
        content: RootContent::Draft(archive.draft(&image).await?),
        tags: vec!["1".parse().unwrap()],
    };
    copy(&archive, store, &[root], &options().0).await
}

fn tar() -> Vec<u8> {
    tar_of(&[("usr/bin/app", &compressible_bytes(3, 600_000))])
}

#[tokio::test]
async fn a_truncated_layer_ends_the_push_though_its_diff_id_fits() {
    let cut = tar()[..300_000].to_vec();
    for layer in [cut.clone(), compress_bytes(&cut, Kind::Gzip)] {
        let place = tempfile::tempdir().unwrap();
        let archive = saved(place.path(), &layer, &Digest::of(&cut));
        let server = FaultServer::start(push_registry());
        let store = repository(server.address(), "app");
        let error = push(place.path(), archive, &store).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt);
        let said = "image.tar: 1/layer.tar: truncated tar: it ends in the middle of an entry, at offset 300000";
        assert!(error.to_string().contains(said), "{error}");
        assert!(
            !server
                .lines()
                .iter()
                .any(|line| line.contains("/manifests/1") && line.starts_with("PUT"))
        );
    }
}

#[tokio::test]
async fn fault_a6_a_layer_of_another_content_ends_the_push_before_the_manifest() {
    for kind in [Kind::Gzip, Kind::Zstd] {
        let place = tempfile::tempdir().unwrap();
        let (layer, stated) = (compress_bytes(&tar(), kind), Digest::of(b"another tar"));
        let archive = saved(place.path(), &layer, &stated);
        let server = FaultServer::start(push_registry());
        let store = repository(server.address(), "app");
        let error = push(place.path(), archive, &store).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt);
        assert_eq!(error.failed_side(), Some(Side::Source));
        let text = error.to_string();
        for part in [
            "image.tar: 1/layer.tar: ",
            stated.hex(),
            Digest::of(&tar()).hex(),
        ] {
            assert!(text.contains(part), "{text}");
        }
        let puts = server.requests();
        let puts = puts.iter().filter(|put| put.method == "PUT");
        assert_eq!(
            puts.filter(|put| put.path().contains("/manifests/"))
                .count(),
            0
        );
    }
}

#[tokio::test]
async fn fault_a6_a_flipped_bit_ends_the_push_too() {
    let place = tempfile::tempdir().unwrap();
    let mut layer = compress_bytes(&tar(), Kind::Gzip);
    let middle = layer.len() / 2;
    layer[middle] ^= 1;
    let archive = saved(place.path(), &layer, &Digest::of(&tar()));
    let store = Memory::new();
    let error = push(place.path(), archive, &store).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
    assert!(error.to_string().contains("1/layer.tar: "), "{error}");
    assert!(store.tags(None, 9).await.unwrap().is_empty());
}

#[tokio::test]
async fn fault_a6_a_lie_is_told_where_the_store_has_the_layer_already() {
    let place = tempfile::tempdir().unwrap();
    let layer = compress_bytes(&tar(), Kind::Gzip);
    let store = Memory::new();
    let there: Descriptor = store.add_blob(MediaType::DOCKER_LAYER_GZIP, layer.clone());
    let archive = saved(place.path(), &layer, &Digest::of(b"another tar"));
    let error = push(place.path(), archive, &store).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
    assert!(store.contains(&there).await.unwrap());
    assert!(store.tags(None, 9).await.unwrap().is_empty());
}

#[tokio::test]
async fn fault_a6_layers_that_are_what_the_config_says_are_pushed() {
    for kind in [Kind::Gzip, Kind::Zstd] {
        let place = tempfile::tempdir().unwrap();
        let archive = saved(
            place.path(),
            &compress_bytes(&tar(), kind),
            &Digest::of(&tar()),
        );
        let store = Memory::new();
        push(place.path(), archive, &store).await.unwrap();
        assert_eq!(store.tags(None, 9).await.unwrap().len(), 1);
    }
}

#[tokio::test]
async fn fault_b7_one_image_in_two_entries_is_one_image_with_both_names() {
    let place = tempfile::tempdir().unwrap();
    let (tar, path) = (tar(), place.path().join("image.tar"));
    let config = json!({"architecture": "amd64", "os": "linux",
        "rootfs": {"type": "layers", "diff_ids": [Digest::of(&tar)]}});
    let entry = |name: &str, layer: &str| json!({"Config": "config.json", "RepoTags": [name, "app:x"], "Layers": [layer]});
    // The second entry names the same layer by a link.
    let manifest = json!([entry("app:1", "layer.tar"), entry("app:2", "./layer.tar")]);
    let (config, manifest) = (config.to_string(), manifest.to_string());
    let files: [(&str, &[u8]); 3] = [
        ("layer.tar", &tar),
        ("config.json", config.as_bytes()),
        ("manifest.json", manifest.as_bytes()),
    ];
    fs::write(&path, tar_of(&files)).unwrap();
    let settings = ArchiveOptions {
        spool_dir: place.path().to_owned(),
        compression: Settings::default(),
        memory: None,
    };
    let opened = open(Input::Path(path.clone()), settings).await.unwrap();
    let Archive::Docker(archive) = opened else {
        panic!("not a docker archive");
    };
    let image = archive.select(&ImageChoice::Only).unwrap();
    assert_eq!(image.repo_tags, ["app:1", "app:x", "app:2"]);
    for choice in ["@0", "@1", "app:1", "app:2", "x"] {
        let chosen = archive.select(&choice.parse().unwrap()).unwrap();
        assert_eq!(chosen.config, image.config, "{choice}");
    }
    let store = Memory::new();
    push(place.path(), path, &store).await.unwrap();
    assert_eq!(store.tags(None, 9).await.unwrap().len(), 1);
}

#[tokio::test]
async fn fault_c1_all_missing_layers_of_a_docker_archive_are_named() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("image.tar");
    let ids: Vec<Digest> = (0..12_u8).map(|n| Digest::of(&[n])).collect();
    let layers: Vec<String> = (0..12).map(|n| format!("{n}/layer.tar")).collect();
    let config = json!({"rootfs": {"type": "layers", "diff_ids": ids}}).to_string();
    let manifest = json!([{"Config": "config.json", "Layers": layers}]).to_string();
    let files: [(&str, &[u8]); 2] = [
        ("config.json", config.as_bytes()),
        ("manifest.json", manifest.as_bytes()),
    ];
    fs::write(&path, tar_of(&files)).unwrap();
    let error = push(place.path(), path, &Memory::new()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    let error = error.to_string();
    for part in [
        "names 12 layers",
        "0/layer.tar",
        "9/layer.tar",
        ", and 2 more",
    ] {
        assert!(error.contains(part), "{error}");
    }
}

/// A docker archive with one layer at `real/layers/one.tar`, that its manifest calls `layer`; and
/// these symbolic links.
fn linked(place: &Path, layer: &str, links: &[(&str, &str)]) -> PathBuf {
    let tar = tar();
    let config = json!({"architecture": "amd64", "os": "linux",
        "rootfs": {"type": "layers", "diff_ids": [Digest::of(&tar)]}});
    let manifest = json!([{"Config": "config.json", "Layers": [layer]}]);
    let (config, manifest) = (config.to_string(), manifest.to_string());
    let files: [(&str, &[u8]); 3] = [
        ("real/layers/one.tar", &tar),
        ("config.json", config.as_bytes()),
        ("manifest.json", manifest.as_bytes()),
    ];
    let path = place.join("image.tar");
    let mut archive = tar::Builder::new(fs::File::create(&path).unwrap());
    for (name, target) in links {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::Symlink);
        header.set_size(0);
        archive.append_link(&mut header, name, target).unwrap();
    }
    for (name, bytes) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        archive.append_data(&mut header, name, bytes).unwrap();
    }
    archive.finish().unwrap();
    path
}

#[tokio::test]
async fn fault_c2_layers_are_found_through_links_of_every_kind() {
    for (layer, links) in [
        (
            "absolute.tar",
            &[("absolute.tar", "/real/layers/one.tar")][..],
        ),
        ("folder/one.tar", &[("folder", "real/layers")]),
        (
            "a/b/one.tar",
            &[("a/b", "../folder/layers"), ("folder", "/real")],
        ),
    ] {
        let place = tempfile::tempdir().unwrap();
        let archive = linked(place.path(), layer, links);
        let store = Memory::new();
        push(place.path(), archive, &store).await.unwrap();
        assert_eq!(store.tags(None, 9).await.unwrap().len(), 1, "{layer}");
    }
}

#[tokio::test]
async fn fault_c2_a_layer_that_is_a_link_to_nothing_is_said_to_be_one() {
    for (links, said) in [
        (
            [("x.tar", "/etc/passwd")],
            "x.tar: is a link to /etc/passwd, which the archive does not have",
        ),
        (
            [("x.tar", "../../etc/passwd")],
            "x.tar: is a link to ../../etc/passwd, which leads out of the archive",
        ),
    ] {
        let place = tempfile::tempdir().unwrap();
        let archive = linked(place.path(), "x.tar", &links);
        let error = push(place.path(), archive, &Memory::new())
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
        assert!(error.to_string().ends_with(said), "{error}");
    }
}
