//! Reading images, images upon a base, and attached artifacts, through the front door.

use futures::TryStreamExt;
use wharf::blob::Blob;
use wharf::image::StoredImage;
use wharf::layer::{LayerInput, NewImage, Packing};
use wharf::oci::Reference;
use wharf::{Digest, ErrorKind, Layout, Manifest, MediaType, Memory, Source};
use wharf_testkit::layer::tar_of;
use wharf_testkit::{Child, DockerRegistry, LayerSpec, LayoutFixture};

use crate::support::{counted_registry, methods, reference, wharf, wharf_for};

const FILES: &[(&str, &[u8])] = &[("etc/os-release", b"NAME=test\n"), ("etc/a", b"a")];

/// A layout of one image of two layers, tagged `1`.
fn layout(directory: &std::path::Path) -> Layout {
    let mut fixture = LayoutFixture::new(directory);
    let layers = [
        LayerSpec::gzip(FILES),
        LayerSpec::zstd(&[("etc/.wh.a", b"")]),
    ];
    fixture.image(Some("1"), &layers);
    Layout::open(directory).unwrap()
}

async fn text(image: &StoredImage, path: &str) -> String {
    let bytes = image
        .file(path)
        .await
        .unwrap()
        .read_all(1000)
        .await
        .unwrap();
    String::from_utf8(bytes.to_vec()).unwrap()
}

async fn pushed(layout: &Layout, to: &Reference) {
    let image = layout.select(None).unwrap();
    wharf().push(layout, image, to).await.unwrap();
}

#[tokio::test]
async fn fault_l1_an_image_in_a_registry_is_read_in_a_few_calls() {
    let Some((_registry, proxy)) = counted_registry() else {
        return;
    };
    let directory = tempfile::tempdir().unwrap();
    let at = reference(proxy.address(), "app:1");
    pushed(&layout(directory.path()), &at).await;
    let wharf = wharf();
    proxy.forget();
    let image = wharf.image(&at).await.unwrap();
    assert_eq!(methods(&proxy), ["GET"]);
    assert_eq!(image.config().await.unwrap().os, "linux");
    assert_eq!(methods(&proxy), ["GET"]);
    let layers = image.layers().await.unwrap();
    let tar: Vec<_> = layers[0]
        .uncompressed()
        .await
        .unwrap()
        .try_collect()
        .await
        .unwrap();
    assert_eq!(tar.concat(), tar_of(FILES));
    assert_eq!(text(&image, "/etc/os-release").await, "NAME=test\n");
    let hidden = image.file("/etc/a").await.unwrap_err();
    assert_eq!(hidden.kind(), ErrorKind::NotFound);
    let named = hidden.to_string();
    assert!(named.contains("no file /etc/a"), "{named}");
}

#[tokio::test]
async fn fault_l1_the_platform_of_an_index_is_chosen() {
    let Some(registry) = DockerRegistry::start() else {
        return;
    };
    let directory = tempfile::tempdir().unwrap();
    let mut fixture = LayoutFixture::new(directory.path());
    let of = |name: &'static [u8]| [LayerSpec::gzip(&[("name", name)])];
    let amd64 = fixture.child("linux/amd64", &of(b"amd64"));
    let arm64 = fixture.child("linux/arm64", &of(b"arm64"));
    let children = [
        Child::image(&amd64, "linux/amd64"),
        Child::image(&arm64, "linux/arm64"),
    ];
    fixture.index(Some("1"), &children);
    let layout = Layout::open(directory.path()).unwrap();
    let at = reference(registry.address(), "app:1");
    pushed(&layout, &at).await;
    let error = wharf().image(&at).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Ambiguous);
    assert!(
        error.to_string().contains("linux/amd64, linux/arm64"),
        "{error}"
    );
    for platform in ["amd64", "arm64"] {
        let wanted = format!("linux/{platform}");
        let image = wharf()
            .image_for(&at, &wanted.parse().unwrap())
            .await
            .unwrap();
        assert_eq!(text(&image, "name").await, platform);
        let image = wharf_for(&wanted).image(&at).await.unwrap();
        assert_eq!(text(&image, "name").await, platform);
    }
    let none = wharf()
        .image_for(&at, &"linux/s390x".parse().unwrap())
        .await;
    assert_eq!(none.unwrap_err().kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn fault_l1_an_image_of_a_layout_is_read_by_its_place() {
    let directory = tempfile::tempdir().unwrap();
    layout(directory.path());
    let place = format!("oci:{}:1", directory.path().display());
    let wharf = wharf();
    let opened = wharf.open(&place.parse().unwrap()).await.unwrap();
    let image = wharf.image_in(&opened).await.unwrap();
    assert_eq!(text(&image, "/etc/os-release").await, "NAME=test\n");
}

#[tokio::test]
async fn fault_l4_the_layers_of_a_base_in_the_same_registry_are_mounted_and_not_read() {
    let Some((_registry, proxy)) = counted_registry() else {
        return;
    };
    let directory = tempfile::tempdir().unwrap();
    let (base, to) = ("base:1", "app:1");
    let at = |rest| reference(proxy.address(), rest);
    pushed(&layout(directory.path()), &at(base)).await;
    let wharf = wharf();
    let base = wharf.image(&at(base)).await.unwrap();
    let tar = tar_of(&[("app", b"an app")]);
    let input = LayerInput::reader("app", std::io::Cursor::new(tar));
    let image = NewImage::on(&base).await.unwrap();
    let image = image.layer(input, &Packing::default()).unwrap();
    proxy.forget();
    let pushed = wharf.push(base.source().as_ref(), image, &at(to)).await;
    let pushed = pushed.unwrap();
    assert_eq!(pushed.summary.mounted, 2);
    assert!(
        !methods(&proxy).contains(&"GET".to_owned()),
        "nothing is downloaded"
    );
    let made = wharf.image(&at(to)).await.unwrap();
    assert_eq!(text(&made, "/etc/os-release").await, "NAME=test\n");
    assert_eq!(text(&made, "app").await, "an app");
    assert_eq!(made.config().await.unwrap().rootfs.diff_ids.len(), 3);
}

#[tokio::test]
async fn fault_l4_the_layers_of_a_base_elsewhere_are_copied() {
    let Some(registry) = DockerRegistry::start() else {
        return;
    };
    let directory = tempfile::tempdir().unwrap();
    let layout = layout(directory.path());
    let wharf = wharf();
    let place = format!("oci:{}:1", directory.path().display());
    let opened = wharf.open(&place.parse().unwrap()).await.unwrap();
    let base = wharf.image_in(&opened).await.unwrap();
    let tar = tar_of(&[("app", b"an app")]);
    let input = LayerInput::reader("app", std::io::Cursor::new(tar));
    let image = NewImage::on(&base).await.unwrap();
    let image = image.layer(input, &Packing::default()).unwrap();
    let to = reference(registry.address(), "app:1");
    let pushed = wharf.push(&layout, image, &to).await.unwrap();
    assert_eq!(pushed.summary.mounted, 0);
    let made = wharf.image(&to).await.unwrap();
    assert_eq!(text(&made, "etc/os-release").await, "NAME=test\n");
}

#[tokio::test]
async fn fault_l2_an_artifact_is_attached_in_one_call() {
    let Some((_registry, proxy)) = counted_registry() else {
        return;
    };
    let directory = tempfile::tempdir().unwrap();
    let at = reference(proxy.address(), "app:1");
    pushed(&layout(directory.path()), &at).await;
    let wharf = wharf();
    let memory = Memory::new();
    let spdx: MediaType = "application/spdx+json".parse().unwrap();
    let blobs = ["{\"a\":1}", "{\"b\":2}"].map(|text| {
        let mut described = memory.add_blob(spdx.clone(), text);
        let title = "org.opencontainers.image.title".to_owned();
        described
            .annotations
            .insert(title, format!("{}.json", text.len()));
        memory.blob(&described)
    });
    proxy.forget();
    let attached = wharf.attach(&at, spdx.clone(), &blobs).await.unwrap();
    // Debian's registry lists no referrers: the list is kept under a tag.
    let count = methods(&proxy).len();
    assert_eq!(count, 1 + 3 * 3 + 6, "docs/requests.md");
    let found = wharf.referrers(&at).await.unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].digest, attached.digest);
    assert_eq!(found[0].artifact_type, Some(spdx.clone()));
    let artifact: Manifest = wharf
        .manifest(&at.with_digest(attached.digest))
        .await
        .unwrap();
    let links: Vec<Digest> = artifact
        .links()
        .into_iter()
        .map(|link| link.descriptor.digest)
        .collect();
    let expected = blobs
        .iter()
        .map(|blob: &Blob| blob.descriptor().digest.clone());
    assert_eq!(links[1..], expected.collect::<Vec<_>>());
    assert!(String::from_utf8_lossy(artifact.bytes()).contains("7.json"));
    // The type alone may be all there is to say.
    let mark = "application/vnd.example.mark".parse().unwrap();
    wharf.attach(&at, mark, &[]).await.unwrap();
    assert_eq!(wharf.referrers(&at).await.unwrap().len(), 2);
    let nowhere = reference(proxy.address(), "app:none");
    let error = wharf.attach(&nowhere, spdx, &blobs).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
}
