//! `--platform`, with every command that takes it: against real registries.

use std::net::SocketAddr;
use std::path::Path;

use wharf_testkit::{Child, DockerRegistry, LayerSpec, LayoutFixture};

use crate::common::wire::fetch;
use crate::common::{Served, complaint, done, text};

/// The digest of what a tag of `app` names.
fn digest(address: SocketAddr, tag: &str) -> String {
    let answer = fetch(address, &format!("/v2/app/manifests/{tag}"));
    assert_eq!(answer.status, 200, "{tag}");
    let digest = answer.header("docker-content-digest");
    digest.unwrap_or_default().to_owned()
}

fn registries(home: &Path) -> (Served, Option<DockerRegistry>, Vec<SocketAddr>) {
    let served = Served::start(&home.join("registry"));
    let docker = DockerRegistry::start();
    let second = docker.as_ref().map(DockerRegistry::address);
    let addresses = std::iter::once(served.address).chain(second).collect();
    (served, docker, addresses)
}

#[test]
fn what_is_an_image_already_is_taken_whatever_the_platform() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let (_served, _docker, addresses) = registries(home);
    let mut layout = LayoutFixture::new(home.join("layout"));
    let image = layout.child("linux/arm64", &[LayerSpec::random(1, 100)]);
    layout.list(Some("1"), &image.content());
    let path = text(layout.directory());
    let strange = ["-q", "--platform", "windows/amd64"];
    for address in addresses {
        let app = |tag: &str| format!("{address}/app:{tag}");
        let run = done(
            home,
            &[&["push"], &strange[..], &[path, &app("1")]].concat(),
        );
        let reference = format!("{address}/app@{}\n", image.manifest_digest);
        assert_eq!(run.stdout, reference);
        let by_digest = reference.trim_end();
        done(
            home,
            &[&["copy"], &strange[..], &[&app("1"), &app("2")]].concat(),
        );
        done(
            home,
            &[&["copy"], &strange[..], &[by_digest, &app("3")]].concat(),
        );
        done(home, &[&["tag"], &strange[..], &[&app("1"), "4"]].concat());
        for tag in ["1", "2", "3", "4"] {
            assert_eq!(digest(address, tag), image.manifest_digest, "{tag}");
        }
    }
}

#[test]
fn a_child_without_a_platform_is_linux_amd64_and_inner_indexes_are_entered() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let (_served, _docker, addresses) = registries(home);
    let mut layout = LayoutFixture::new(home.join("layout"));
    let amd64 = layout.child("linux/amd64", &[LayerSpec::random(1, 100)]);
    let arm64 = layout.child("linux/arm64", &[LayerSpec::random(2, 100)]);
    let inner = layout.child_index(&[Child::image(&arm64, "linux/arm64")]);
    let children = [Child::content(&inner), Child::content(&amd64.content())];
    layout.index(Some("1"), &children);
    for address in addresses {
        let app = |tag: &str| format!("{address}/app:{tag}");
        let path = text(layout.directory());
        done(home, &["push", "-q", path, &app("1")]);
        for (platform, image) in [("linux/amd64", &amd64), ("linux/arm64", &arm64)] {
            let copy = ["copy", "-q", "--platform", platform, &app("1"), &app("2")];
            assert_eq!(done(home, &copy).stdout, "");
            assert_eq!(digest(address, "2"), image.manifest_digest);
        }
        let none = ["copy", "--platform", "linux/386", &app("1"), &app("3")];
        let line = complaint(home, &none);
        assert!(line.contains("no image for linux/386"), "{line}");
    }
}
