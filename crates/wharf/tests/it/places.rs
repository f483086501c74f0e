//! Places by name: what is opened there, which image is meant, and where it is written to.

use std::path::Path;

use wharf::place::{Access, LocalPlace, OpenedSource, Part, PathOrStdin, Place};
use wharf::{ErrorKind, Result, RootContent, Side, Wharf};
use wharf_testkit::{
    ArchiveStyle, Child, DockerArchive, DockerImage, LayerSpec, LayoutFixture, tar_layout,
};

use crate::support::{wharf, wharf_for};

fn local(text: &str) -> LocalPlace {
    LocalPlace::parse(text.as_ref()).unwrap()
}

/// What `text` opens, with `{}` for the directory.
async fn open(wharf: &Wharf, text: &str, directory: &Path) -> Result<OpenedSource> {
    let text = text.replace("{}", &directory.display().to_string());
    wharf.open_local(&local(&text), Part::One).await
}

fn digest(source: &OpenedSource) -> String {
    match &source.content {
        RootContent::Manifest(descriptor) => descriptor.digest.to_string(),
        RootContent::Draft(_) | RootContent::Index(_) => "a draft".to_owned(),
    }
}

fn layer(text: &str) -> [LayerSpec; 1] {
    [LayerSpec::bytes(
        "application/vnd.oci.image.layer.v1.tar",
        text.as_bytes(),
    )]
}

/// A layout in `layout` and a tar of it, with images tagged `1` and `2`.
fn two_images(directory: &Path) -> [String; 2] {
    let mut layout = LayoutFixture::new(directory.join("layout"));
    let digests = ["1", "2"].map(|tag| layout.image(Some(tag), &layer(tag)).manifest_digest);
    tar_layout(layout.directory(), &directory.join("layout.tar"));
    digests
}

#[tokio::test]
async fn one_image_of_a_layout_or_archive_is_chosen_by_tag_or_digest() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    let [one, two] = two_images(directory);
    for form in ["oci:{}/layout", "oci-archive:{}/layout.tar"] {
        let by_tag = open(&wharf(), &format!("{form}:2"), directory).await;
        let by_tag = by_tag.unwrap();
        assert_eq!(digest(&by_tag), two);
        assert_eq!(by_tag.tag_or_latest().as_str(), "2");
        let by_digest = open(&wharf(), &format!("{form}@{one}"), directory).await;
        assert_eq!(digest(&by_digest.unwrap()), one);
        let error = open(&wharf(), form, directory).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Ambiguous);
        assert_eq!(error.failed_side(), Some(Side::Source));
    }
    for plain in ["{}/layout", "{}/layout.tar"] {
        let opened = open(&wharf(), &format!("{plain}@{two}"), directory).await;
        assert_eq!(digest(&opened.unwrap()), two);
    }
}

#[tokio::test]
async fn of_several_images_the_one_for_the_platform_is_meant() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    let mut layout = LayoutFixture::new(directory.join("layout"));
    let platforms = ["linux/amd64", "linux/arm64"];
    let images = platforms.map(|platform| layout.child(platform, &layer(platform)));
    for image in &images {
        layout.list(None, &image.content());
    }
    let arm = wharf_for("linux/arm64");
    let opened = open(&arm, "oci:{}/layout", directory).await.unwrap();
    assert_eq!(digest(&opened), images[1].manifest_digest);
    let other = wharf_for("linux/s390x");
    let error = open(&other, "oci:{}/layout", directory).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    let message = error.to_string();
    assert!(message.contains("linux/amd64, linux/arm64"), "{message}");

    let children = [0, 1].map(|index| Child::image(&images[index], platforms[index]));
    layout.index(Some("all"), &children);
    let opened = open(&arm, "oci:{}/layout:all", directory).await.unwrap();
    assert_eq!(digest(&opened), images[1].manifest_digest);
    assert_eq!(opened.tag_or_latest().as_str(), "all");
}

#[tokio::test]
async fn a_whole_layout_is_one_index_and_no_image_in_it() {
    let directory = tempfile::tempdir().unwrap();
    two_images(directory.path());
    for name in ["layout", "layout.tar"] {
        let place = local(&directory.path().join(name).display().to_string());
        let opened = wharf().open_local(&place, Part::Whole).await.unwrap();
        let RootContent::Manifest(index) = &opened.content else {
            panic!("{opened:?}");
        };
        assert!(index.media_type.is_index());
    }
    let chosen = local(&format!("oci:{}/layout:1", directory.path().display()));
    let error = wharf().open_local(&chosen, Part::Whole).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
}

#[tokio::test]
async fn an_image_of_a_docker_archive_has_a_name_and_its_tag() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    let archive = DockerArchive::new(ArchiveStyle::Classic)
        .image(DockerImage::new(&["r.example/team/app:1"]).layer(&[("a", b"1")]))
        .image(DockerImage::new(&["other:2"]).layer(&[("b", b"2")]));
    archive.write(&directory.join("saved.tar"));
    let opened = open(&wharf(), "docker-archive:{}/saved.tar:other:2", directory).await;
    let opened = opened.unwrap();
    assert_eq!(opened.tag_or_latest().as_str(), "2");
    let at = PathOrStdin::Path(directory.join("saved.tar"));
    assert_eq!(opened.repository_name(&at).as_str(), "other");
    let error = open(&wharf(), "{}/saved.tar", directory).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Ambiguous);
    let error = open(&wharf(), "oci-archive:{}/saved.tar", directory).await;
    let message = error.unwrap_err().to_string();
    assert!(
        message.contains("write docker-archive: before it"),
        "{message}"
    );
}

#[tokio::test]
async fn a_place_with_nothing_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("absent").display().to_string();
    for text in ["{}/absent", "oci:{}/absent", "docker-archive:{}/absent"] {
        let error = open(&wharf(), text, directory.path()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
        assert!(error.to_string().starts_with(&path), "{error}");
    }
}

#[tokio::test]
async fn a_layout_gets_the_tag_that_is_written_else_that_of_the_image() {
    let directory = tempfile::tempdir().unwrap();
    let [one, _] = two_images(directory.path());
    let source = open(&wharf(), "oci:{}/layout:1", directory.path()).await;
    let (source, to) = (source.unwrap(), directory.path().join("to"));
    let place = |rest: &str| Place::parse(&format!("oci:{}{rest}", to.display())).unwrap();
    let by_digest = format!("@{one}");
    for (rest, expected) in [("", vec!["1"]), (":new", vec!["new"]), (&by_digest, vec![])] {
        let store = wharf()
            .destination(&place(rest), &source, Access::Ask)
            .await;
        let store = store.unwrap();
        let tags: Vec<&str> = store.tags.iter().map(|tag| tag.as_str()).collect();
        assert_eq!(tags, expected, "{rest}");
        assert_eq!(store.name, format!("oci:{}", to.display()));
    }
    let other = place(&format!("@sha256:{}", "0".repeat(64)));
    let error = wharf().destination(&other, &source, Access::Write).await;
    assert_eq!(error.unwrap_err().kind(), ErrorKind::Invalid);
    assert!(!to.exists(), "no layout was made");
}
