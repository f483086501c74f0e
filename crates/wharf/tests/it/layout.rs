//! OCI image layout directories as source and store, checked by fixtures without this library's
//! types, and by `skopeo` if it is installed.

use std::fs;
use std::path::Path;

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use tempfile::TempDir;
use wharf::blob::Blob;
use wharf::intake;
use wharf::oci::{Descriptor, Digest, Manifest, MediaType, Selector, Tag};
use wharf::store::{Entry, Layout, Names, Outcome, Source, Store};
use wharf::{Error, ErrorKind};
use wharf_testkit::{Child, LayerSpec, LayoutFixture, Skopeo, files_below};

const LIMIT: u64 = 1 << 20;

struct Place {
    directory: TempDir,
    fixture: LayoutFixture,
}

impl Place {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let fixture = LayoutFixture::new(directory.path().join("layout"));
        Place { directory, fixture }
    }

    fn open(&self) -> Layout {
        Layout::open(self.fixture.directory()).unwrap()
    }

    fn other(&self) -> std::path::PathBuf {
        self.directory.path().join("other")
    }
}

fn tag(text: &str) -> Tag {
    text.parse().unwrap()
}

fn digest(text: &str) -> Digest {
    text.parse().unwrap()
}

fn hello(bytes: &'static [u8]) -> Blob {
    let descriptor = Descriptor::new(
        MediaType::OCTET_STREAM,
        Digest::of(bytes),
        bytes.len() as u64,
    );
    Blob::from_bytes(descriptor, Bytes::from_static(bytes))
}

/// An artifact manifest; its links do not matter here.
fn manifest(text: &str) -> Manifest {
    let config = Descriptor::new(MediaType::OCI_EMPTY, Digest::of(b"{}"), 2);
    let document = serde_json::json!({
        "schemaVersion": 2, "mediaType": MediaType::OCI_IMAGE_MANIFEST,
        "config": config, "layers": [], "annotations": {"text": text},
    });
    Manifest::parse(None, document.to_string().into()).unwrap()
}

fn names(directory: &Path) -> Vec<String> {
    let files = files_below(directory).into_keys();
    files.map(|path| path.display().to_string()).collect()
}

fn refused(directory: &Path) -> Error {
    Layout::open(directory).unwrap_err()
}

/// The message without the directory at its start.
fn said(error: &Error, directory: &Path) -> String {
    let text = error.to_string();
    assert!(!text.contains('\n'), "{text}");
    let rest = text.strip_prefix(&directory.display().to_string());
    rest.unwrap_or_else(|| panic!("no path: {text}")).to_owned()
}

#[tokio::test]
async fn gives_manifests_and_blobs_as_they_are() {
    let mut place = Place::new();
    place.fixture.unknown_fields();
    let image = place.fixture.image(
        Some("1"),
        &[LayerSpec::random(1, 5000), LayerSpec::zero_length()],
    );
    let layout = place.open();
    let root = layout.resolve(&Selector::Tag(tag("1"))).await.unwrap();
    assert_eq!(root.digest, digest(&image.manifest_digest));
    let manifest = layout.manifest(&root).await.unwrap();
    assert_eq!(
        manifest.bytes(),
        &place.fixture.read(&image.manifest_digest)
    );
    for link in manifest.links() {
        layout.precheck(&link.descriptor).await.unwrap();
        assert!(layout.contains(&link.descriptor).await.unwrap());
        let bytes = layout.blob(&link.descriptor).read_all(LIMIT).await.unwrap();
        assert_eq!(
            bytes,
            place.fixture.read(&link.descriptor.digest.to_string())
        );
        assert_eq!(
            layout.blob_size(&link.descriptor.digest).await.unwrap(),
            link.descriptor.size
        );
    }
    let layer = &manifest.links()[1].descriptor;
    let rest: Vec<Bytes> = layout
        .blob(layer)
        .open(4990)
        .await
        .unwrap()
        .try_collect()
        .await
        .unwrap();
    assert_eq!(
        rest.concat(),
        place.fixture.read(&layer.digest.to_string())[4990..]
    );
}

#[tokio::test]
async fn finds_a_child_of_an_index_by_its_digest_alone() {
    let mut place = Place::new();
    let child = place.fixture.sha512().child("linux/arm64/v8", &[]);
    let index = place
        .fixture
        .index(Some("all"), &[Child::image(&child, "linux/arm64/v8")]);
    let layout = place.open();
    for wanted in [&child.manifest_digest, &index.digest] {
        let found = layout
            .resolve(&Selector::Digest(digest(wanted)))
            .await
            .unwrap();
        assert_eq!(found.digest.to_string(), *wanted);
        layout.manifest(&found).await.unwrap();
    }
    let config = Selector::Digest(digest(&child.config_digest));
    assert_eq!(
        layout.resolve(&config).await.unwrap_err().kind(),
        ErrorKind::Invalid
    );
}

#[tokio::test]
async fn lists_tags_in_order_page_by_page() {
    let mut place = Place::new();
    let image = place.fixture.image(Some("b"), &[]).content();
    for name in ["example.com/team/app:c", "a", "no tag at all", "a"] {
        place.fixture.list(Some(name), &image);
    }
    let layout = place.open();
    let page = async |after: Option<&Tag>, limit| layout.tags(after, limit).await.unwrap();
    assert_eq!(page(None, 9).await, ["a", "b", "c"].map(tag));
    assert_eq!(page(None, 2).await, ["a", "b"].map(tag));
    assert_eq!(page(Some(&tag("a")), 1).await, [tag("b")]);
}

#[test]
fn the_only_image_needs_no_selection() {
    let mut place = Place::new();
    let image = place.fixture.image(Some("example.com/app:1"), &[]);
    let Entry {
        descriptor,
        name,
        tag: found,
    } = place.open().select(None).unwrap();
    assert_eq!(descriptor.digest.to_string(), image.manifest_digest);
    assert_eq!(
        (name.as_deref(), found),
        (Some("example.com/app:1"), Some(tag("1")))
    );
}

#[test]
fn several_images_are_listed_to_choose_from() {
    let mut place = Place::new();
    let one = place.fixture.image(Some("1"), &[LayerSpec::random(1, 10)]);
    let two = place.fixture.index(None, &[]);
    let layout = place.open();
    let error = layout.select(None).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Ambiguous);
    let list = format!(
        "1 {} linux/amd64, {} (index)",
        one.manifest_digest, two.digest
    );
    let said_of = |error: &Error| said(error, place.fixture.directory());
    assert_eq!(
        said_of(&error),
        format!(": holds 2 images, choose one by tag or digest: {list}")
    );
    let error = layout.select(Some("2")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert_eq!(
        said_of(&error),
        format!(": no image \"2\", there is {list}")
    );
    for wanted in ["1", &one.manifest_digest] {
        let found = layout.select(Some(wanted)).unwrap().descriptor.digest;
        assert_eq!(found.to_string(), one.manifest_digest);
    }
}

#[test]
fn a_layout_without_images_says_so() {
    let place = Place::new();
    let error = place.open().select(None).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert_eq!(said(&error, place.fixture.directory()), ": holds no image");
}

#[test]
fn what_is_no_layout_is_refused_with_its_reason() {
    let place = Place::new();
    let nowhere = place.other();
    assert_eq!(said(&refused(&nowhere), &nowhere), ": no such directory");
    assert_eq!(refused(&nowhere).kind(), ErrorKind::NotFound);
    let file = place.directory.path().join("file");
    fs::write(&file, "x").unwrap();
    assert_eq!(
        said(&refused(&file), &file),
        ": not a directory, so not an OCI image layout"
    );
    fs::create_dir(&nowhere).unwrap();
    assert_eq!(
        said(&refused(&nowhere), &nowhere),
        ": empty directory, not an OCI image layout"
    );
    fs::write(nowhere.join("index.json"), "{}").unwrap();
    let expected = ": no file oci-layout here, so this is not an OCI image layout";
    assert_eq!(said(&refused(&nowhere), &nowhere), expected);
}

#[test]
fn a_broken_marker_or_index_is_refused_by_name() {
    let place = Place::new();
    let root = place.fixture.directory();
    let index = "/index.json: ";
    for (document, expected) in [
        (
            "",
            format!("{index}is not valid: EOF while parsing a value at line 1 column 0"),
        ),
        ("[1]", format!("{index}is not valid: ")),
        (
            r#"{"schemaVersion":2}"#,
            format!("{index}is not valid: missing field `manifests`"),
        ),
        (
            r#"{"schemaVersion":1,"manifests":[]}"#,
            format!("{index}schemaVersion is 1, expected 2"),
        ),
        (
            r#"{"schemaVersion":2,"manifests":[],"mediaType":"a/b"}"#,
            format!("{index}mediaType is a/b, expected an index"),
        ),
        (
            r#"{"schemaVersion":2,"manifests":[{"mediaType":"a/b","digest":"sha256:../../x","size":1}]}"#,
            format!("{index}is not valid: "),
        ),
    ] {
        fs::write(root.join("index.json"), document).unwrap();
        let text = said(&refused(root), root);
        assert!(text.starts_with(&expected), "{document}: {text}");
    }
    fs::remove_file(root.join("index.json")).unwrap();
    let text = said(&refused(root), root);
    assert!(
        text.starts_with(": no index.json in this OCI image layout"),
        "{text}"
    );
    fs::write(root.join("oci-layout"), r#"{"imageLayoutVersion":"2.0.0"}"#).unwrap();
    assert_eq!(refused(root).kind(), ErrorKind::Unsupported);
    let text = said(&refused(root), root);
    assert!(
        text.starts_with("/oci-layout: imageLayoutVersion \"2.0.0\""),
        "{text}"
    );
}

#[tokio::test]
async fn a_missing_or_lying_file_is_named_with_its_digest() {
    let mut place = Place::new();
    let layers = [1, 2, 3].map(|seed| LayerSpec::random(seed, 100));
    let image = place.fixture.image(None, &layers);
    let [missing, short, wrong] = [0, 1, 2].map(|layer| image.layers[layer].0.clone());
    place.fixture.remove(&missing);
    place.fixture.truncate(&short, 60);
    place.fixture.corrupt(&wrong);
    let layout = place.open();
    let known = |text: &str| {
        let size = image.layers.iter().find(|layer| layer.0 == text).unwrap().1;
        Descriptor::new(MediaType::OCI_LAYER, digest(text), size)
    };
    for (layer, kind, message) in [
        (
            &missing,
            ErrorKind::NotFound,
            format!("no file blobs/{}", missing.replace(':', "/")),
        ),
        (
            &short,
            ErrorKind::Corrupt,
            format!("file has 60 bytes, expected {}", image.layers[1].1),
        ),
    ] {
        let early = layout.precheck(&known(layer)).await.unwrap_err();
        let late = layout
            .blob(&known(layer))
            .read_all(LIMIT)
            .await
            .unwrap_err();
        for error in [early, late] {
            let text = error.to_string();
            assert_eq!(error.kind(), kind, "{text}");
            assert!(
                text.contains(&message) && text.contains(layer.as_str()),
                "{text}"
            );
        }
        assert!(!layout.contains(&known(layer)).await.unwrap());
    }
    layout.precheck(&known(&wrong)).await.unwrap();
    let error = layout
        .blob(&known(&wrong))
        .read_all(LIMIT)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert!(error.to_string().contains(&wrong), "{error}");
    place.fixture.corrupt(&image.manifest_digest);
    let root = layout.select(None).unwrap().descriptor;
    let error = layout.manifest(&root).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    let path = place.fixture.blob_path(&image.manifest_digest);
    assert!(said(&error, &path).contains("expected sha256:"), "{error}");
}

#[tokio::test]
async fn what_is_written_is_there_once_and_listed_only_as_a_root() {
    let place = Place::new();
    let layout = Layout::create(place.other()).unwrap();
    let (child, root) = (manifest("child"), manifest("root"));
    let blob = hello(b"hello");
    assert_eq!(layout.put_blob(&blob).await.unwrap(), Outcome::Written);
    assert_eq!(layout.put_blob(&blob).await.unwrap(), Outcome::Existed);
    let stream = stream::iter([Ok(Bytes::from("in")), Ok(Bytes::from("gest"))]).boxed();
    let intake = intake::once(stream);
    let learned = layout.ingest(&MediaType::OCI_LAYER, intake).await.unwrap();
    let expected = Descriptor::new(MediaType::OCI_LAYER, Digest::of(b"ingest"), 6);
    assert_eq!(learned, expected);
    layout.put_manifest(&child, Names::Child).await.unwrap();
    assert_eq!(layout.entries().unwrap(), []);
    layout.put_manifest(&root, Names::Root(&[])).await.unwrap();
    layout.put_manifest(&root, Names::Root(&[])).await.unwrap();
    layout.flush().await.unwrap();
    let entries = Layout::open(place.other()).unwrap().entries().unwrap();
    assert_eq!(entries.len(), 1);
    assert_eq!(entries[0].descriptor, *root.descriptor());
    let mut expected = vec!["index.json".to_owned(), "oci-layout".to_owned()];
    let contents = [
        &learned.digest,
        child.digest(),
        root.digest(),
        &Digest::of(b"hello"),
    ];
    expected
        .extend(contents.map(|digest| format!("blobs/{}", digest.to_string().replace(':', "/"))));
    expected.sort();
    assert_eq!(names(&place.other()), expected);
}

#[tokio::test]
async fn a_tag_moves_and_unknown_fields_of_the_index_survive() {
    let mut place = Place::new();
    let old = place.fixture.image(Some("1"), &[]);
    place.fixture.list(Some("kept"), &old.content());
    let path = place.fixture.directory().join("index.json");
    let mut document: serde_json::Value =
        serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    document["future"] = serde_json::json!({"deep": [1, null]});
    document["manifests"][1]["future"] = serde_json::json!("kept too");
    fs::write(&path, document.to_string()).unwrap();
    let new = manifest("new");
    let layout = Layout::create(place.fixture.directory()).unwrap();
    layout
        .put_manifest(&new, Names::Root(&[tag("1")]))
        .await
        .unwrap();
    assert_eq!(
        layout
            .resolve(&Selector::Tag(tag("1")))
            .await
            .unwrap()
            .digest,
        *new.digest()
    );
    let written: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    assert_eq!(written["future"], document["future"]);
    assert_eq!(written["manifests"][0], document["manifests"][1]);
    assert_eq!(written["manifests"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn a_file_with_wrong_bytes_is_replaced() {
    let mut place = Place::new();
    let content = place.fixture.blob("a/b", b"hello");
    place.fixture.corrupt(&content.digest);
    assert_eq!(
        place.open().put_blob(&hello(b"hello")).await.unwrap(),
        Outcome::Written
    );
    assert_eq!(place.fixture.read(&content.digest), b"hello");
}

#[test]
fn a_directory_with_something_else_in_it_is_left_alone() {
    let place = Place::new();
    fs::create_dir(place.other()).unwrap();
    fs::write(place.other().join("letter"), "x").unwrap();
    let error = Layout::create(place.other()).unwrap_err();
    let expected = ": neither empty nor an OCI image layout; nothing was written into it";
    assert_eq!(said(&error, &place.other()), expected);
    assert_eq!(names(&place.other()), ["letter"]);
}

#[tokio::test]
async fn rule_4_a_write_that_fails_or_is_dropped_leaves_nothing() {
    let place = Place::new();
    let layout = Layout::create(place.other()).unwrap();
    let before = names(&place.other());
    let promised = hello(b"hello").descriptor().clone();
    let wrong = Blob::from_bytes(promised.clone(), Bytes::from_static(b"jello"));
    assert_eq!(
        layout.put_blob(&wrong).await.unwrap_err().kind(),
        ErrorKind::Corrupt
    );
    let broken = || {
        let error = Error::new(ErrorKind::Interrupted, "cut");
        intake::once(stream::iter([Ok(Bytes::from("he")), Err(error)]).boxed())
    };
    let error = layout
        .ingest(&MediaType::OCI_LAYER, broken())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Interrupted);
    assert_eq!(names(&place.other()), before);

    let (reached, wait) = tokio::sync::oneshot::channel();
    let reached = std::sync::Mutex::new(Some(reached));
    let endless = Blob::new(promised, move |_| {
        let reached = reached.lock().unwrap().take().unwrap();
        let start = stream::once(async { Ok(Bytes::from("he")) });
        let stuck = stream::once(async move {
            reached.send(()).unwrap();
            std::future::pending().await
        });
        Box::pin(async { Ok(start.chain(stuck).boxed()) })
    });
    tokio::select! {
        outcome = layout.put_blob(&endless) => panic!("ended: {outcome:?}"),
        reached = wait => reached.unwrap(),
    }
    assert_eq!(names(&place.other()), before);
}

#[test]
fn rule_4_writers_that_share_nothing_lose_nothing() {
    let place = Place::new();
    let directory = place.other();
    let begin = std::sync::Barrier::new(8);
    std::thread::scope(|scope| {
        for writer in 0..8 {
            let (directory, begin) = (&directory, &begin);
            scope.spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .build()
                    .unwrap();
                begin.wait();
                // Each has its own handle and lock, like a process.
                let layout = Layout::create(directory).unwrap();
                runtime.block_on(async {
                    layout.put_blob(&hello(b"hello")).await.unwrap();
                    for number in 0..8 {
                        let name = format!("{writer}-{number}");
                        let manifest = manifest(&name);
                        layout
                            .put_manifest(&manifest, Names::Root(&[tag(&name)]))
                            .await
                            .unwrap();
                    }
                });
            });
        }
    });
    assert_eq!(
        Layout::open(&directory).unwrap().entries().unwrap().len(),
        64
    );
    assert_eq!(names(&directory).len(), 2 + 1 + 64);
}

#[tokio::test]
async fn skopeo_reads_what_was_written() {
    let Some(skopeo) = Skopeo::find() else { return };
    let mut place = Place::new();
    let image = place
        .fixture
        .image(Some("1"), &[LayerSpec::gzip(&[("a", b"1")])]);
    let from = place.open();
    let to = Layout::create(place.other()).unwrap();
    let root = from
        .manifest(&from.select(None).unwrap().descriptor)
        .await
        .unwrap();
    for link in root.links() {
        to.put_blob(&from.blob(&link.descriptor)).await.unwrap();
    }
    to.put_manifest(&root, Names::Root(&[tag("copied")]))
        .await
        .unwrap();
    let reference = format!("oci:{}:copied", place.other().display());
    assert_eq!(skopeo.inspect_digest(&reference), image.manifest_digest);
    skopeo.copy(
        &reference,
        &format!("oci:{}/again:1", place.directory.path().display()),
    );
}
