//! `wharf tag`, `wharf manifest put` and `wharf delete` against real registries.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::Path;

use serde_json::{Value, json};
use wharf_testkit::{
    Child, DockerRegistry, FaultServer, ImageFixture, LayerSpec, LayoutFixture, RecordingProxy,
    Script, sha256_hex, sha512_hex,
};

use crate::common::wire::{Answer, fetch};
use crate::common::{Run, Served, command, complaint, done, piped, wharf};

const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";

/// An image, in two registries if both are available.
struct Place {
    home: tempfile::TempDir,
    served: Served,
    docker: Option<DockerRegistry>,
    image: ImageFixture,
    bytes: Vec<u8>,
}

impl Place {
    /// The image is pushed as `app:1`.
    fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        let mut layout = LayoutFixture::new(home.path().join("layout"));
        let image = layout.image(Some("1"), &[LayerSpec::random(1, 5000)]);
        let place = Place {
            served: Served::start(&home.path().join("registry")),
            docker: DockerRegistry::start(),
            bytes: layout.read(&image.manifest_digest),
            image,
            home,
        };
        for address in place.addresses() {
            let path = place.file("layout");
            place.done(&["push", &path, &format!("{address}/app:1")]);
        }
        place
    }

    fn addresses(&self) -> Vec<SocketAddr> {
        let docker = self.docker.as_ref().map(DockerRegistry::address);
        std::iter::once(self.served.address).chain(docker).collect()
    }

    fn home(&self) -> &Path {
        self.home.path()
    }

    fn file(&self, name: &str) -> String {
        self.home().join(name).display().to_string()
    }

    fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> String {
        fs::write(self.home().join(name), bytes).unwrap();
        self.file(name)
    }

    fn done(&self, arguments: &[&str]) -> Run {
        done(self.home(), arguments)
    }

    /// Runs a command that must fail, and returns its line.
    fn complaint(&self, arguments: &[&str]) -> String {
        complaint(self.home(), arguments)
    }
}

fn manifest(address: SocketAddr, at: &str) -> Answer {
    fetch(address, &format!("/v2/app/manifests/{at}"))
}

/// The requests that passed, except existence checks.
fn changes(proxy: &RecordingProxy) -> Vec<String> {
    let mut lines = proxy.lines();
    lines.retain(|line| !line.starts_with("GET ") && !line.starts_with("HEAD "));
    lines
}

/// An artifact that refers to the image, with the image's config, which is there.
fn referrer(image: &ImageFixture) -> Vec<u8> {
    let subject = image.content();
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "artifactType": "application/vnd.example.note",
        "config": {
            "mediaType": "application/vnd.example.note",
            "digest": image.config_digest,
            "size": image.config_size,
        },
        "layers": [],
        "subject": {
            "mediaType": subject.media_type,
            "digest": subject.digest,
            "size": subject.size,
        },
        "annotations": { "note": "seen" },
    });
    serde_json::to_vec_pretty(&manifest).unwrap()
}

#[test]
fn o4_tag_puts_the_same_bytes_under_further_tags_and_uploads_nothing() {
    let place = Place::new();
    let digest = &place.image.manifest_digest;
    for address in place.addresses() {
        let proxy = RecordingProxy::start(address);
        let app = format!("{}/app", proxy.address());
        let run = place.done(&["tag", &format!("{app}:1"), "2", "stable", "2"]);
        assert_eq!(run.stdout, "");
        let start = format!("{app}:2, stable {digest}  tagged; ");
        assert!(run.stderr.starts_with(&start), "{run:?}");
        let by_digest = place.done(&["tag", "-q", &format!("{app}@{digest}"), "3"]);
        assert_eq!((by_digest.stdout, by_digest.stderr), Default::default());
        for tag in ["2", "stable", "3"] {
            let answer = manifest(address, tag);
            assert_eq!(answer.header("content-type"), Some(OCI_MANIFEST));
            assert!(answer.body == place.bytes, "{tag}");
        }
        // The embedded registry accepts several tags with one request (wire.md O6); one tag is put as
        // in any registry.
        let puts = match address == place.served.address {
            true => vec![
                format!("PUT /v2/app/manifests/{digest}?tag=2&tag=stable"),
                "PUT /v2/app/manifests/3".to_owned(),
            ],
            false => ["2", "stable", "3"]
                .map(|tag| format!("PUT /v2/app/manifests/{tag}"))
                .to_vec(),
        };
        assert_eq!(changes(&proxy), puts);
    }
}

#[test]
fn o4_tag_costs_the_manifest_and_a_put_a_tag() {
    let place = Place::new();
    for address in place.addresses() {
        let proxy = RecordingProxy::start(address);
        let app = format!("{}/app", proxy.address());
        place.done(&["tag", &format!("{app}:1"), "2"]);
        let mut requests = proxy.requests();
        requests.retain(|request| request.path() != "/v2/");
        let methods: Vec<&str> = requests.iter().map(|one| one.method.as_str()).collect();
        assert_eq!(methods, ["GET", "PUT"]);
    }
}

#[test]
fn o4_an_index_is_tagged_whole_and_its_child_by_platform() {
    let place = Place::new();
    let mut layout = LayoutFixture::new(place.home().join("index"));
    let amd64 = layout.child("linux/amd64", &[LayerSpec::random(1, 100)]);
    let arm64 = layout.child("linux/arm64", &[LayerSpec::random(2, 100)]);
    let children = [
        Child::image(&amd64, "linux/amd64"),
        Child::image(&arm64, "linux/arm64"),
    ];
    let index = layout.index(Some("all"), &children);
    for address in place.addresses() {
        let app = format!("{address}/app:all");
        place.done(&["push", &place.file("index"), &app]);
        place.done(&["tag", &app, "whole"]);
        place.done(&["tag", "--platform", "linux/arm64", &app, "arm"]);
        let whole = manifest(address, "whole");
        assert_eq!(whole.header("content-type"), Some(OCI_INDEX));
        assert!(whole.body == layout.read(&index.digest));
        let arm = manifest(address, "arm");
        assert!(arm.body == layout.read(&arm64.manifest_digest));
    }
}

#[test]
fn o4_tag_names_what_is_wrong() {
    let place = Place::new();
    for address in place.addresses() {
        let line = place.complaint(&["tag", &format!("{address}/app:nope"), "2"]);
        assert!(line.contains("app: no tag nope"), "{line}");
        let absent = format!("sha256:{}", "0".repeat(64));
        let line = place.complaint(&["tag", &format!("{address}/app@{absent}"), "2"]);
        assert!(line.contains(&absent), "{line}");
        assert_eq!(manifest(address, "2").status, 404);
        let line = place.complaint(&["tag", &format!("{address}/app:1"), "not:a:tag"]);
        assert!(line.contains("not:a:tag"), "{line}");
    }
    let line = place.complaint(&["tag", "127.0.0.1:1/app:1"]);
    assert!(line.contains("<TAG>"), "{line}");
    let line = place.complaint(&["tag", "Bad/app", "2"]);
    assert!(line.contains("Bad"), "{line}");
}

#[test]
fn o5_put_sends_the_bytes_as_they_are_by_tag_and_by_digest() {
    let place = Place::new();
    // The digest covers the space around a document.
    let bytes = [b"\n  ", place.bytes.as_slice(), b"\n"].concat();
    let file = place.write("manifest.json", &bytes);
    let digest = format!("sha256:{}", sha256_hex(&bytes));
    for address in place.addresses() {
        let proxy = RecordingProxy::start(address);
        let app = format!("{}/app", proxy.address());
        let printed = format!("{app}@{digest}\n");
        let put = ["manifest", "put", &format!("{app}:put"), &file];
        let run = place.done(&put);
        assert_eq!(run.stdout, printed);
        let said = format!("{app}:put: put as {OCI_MANIFEST}\n");
        assert_eq!(run.stderr, said);
        for reference in [app.clone(), printed.trim_end().to_owned()] {
            let put = ["manifest", "put", "-q", &reference, "-"];
            let run = piped(place.home(), &put, &bytes);
            let ended = (run.code, run.stdout.as_str(), run.stderr.as_str());
            assert_eq!(ended, (0, printed.as_str(), ""));
        }
        let mut lines = proxy.lines();
        lines.retain(|line| !line.ends_with(" /v2/"));
        let by_digest = format!("PUT /v2/app/manifests/{digest}");
        let expected = ["PUT /v2/app/manifests/put", &by_digest, &by_digest];
        assert_eq!(lines, expected);
        assert!(manifest(address, "put").body == bytes);
        assert!(manifest(address, &digest).body == bytes);
    }
}

#[test]
fn o5_the_media_type_is_said_or_in_the_document_or_docker_schema_2() {
    let place = Place::new();
    let mut document: Value = serde_json::from_slice(&place.bytes).unwrap();
    document.as_object_mut().unwrap().remove("mediaType");
    let untyped = place.write("untyped.json", document.to_string());
    let proxy = RecordingProxy::start(place.served.address);
    let app = format!("{}/app", proxy.address());
    let put = |arguments: &[&str]| {
        proxy.forget();
        place.done(&[&["manifest", "put"], arguments].concat());
        let requests = proxy.requests();
        let put = requests.iter().find(|request| request.method == "PUT");
        let sent = &put.unwrap().headers["content-type"];
        sent.to_str().unwrap().to_owned()
    };
    let tagged = format!("{app}:2");
    assert_eq!(put(&[&tagged, &untyped]), DOCKER_MANIFEST);
    let said = ["--media-type", OCI_MANIFEST, &tagged, &untyped];
    assert_eq!(put(&said), OCI_MANIFEST);
    let typed = place.write("typed.json", &place.bytes);
    assert_eq!(put(&[&tagged, &typed]), OCI_MANIFEST);
    let index = place.write("index.json", r#"{"schemaVersion":2,"manifests":[]}"#);
    assert_eq!(put(&[&tagged, &index]), OCI_INDEX);
    let other = ["--media-type", DOCKER_MANIFEST, &tagged, &typed];
    let line = place.complaint(&[&["manifest", "put"], &other[..]].concat());
    assert!(
        line.starts_with(&format!("{typed}: manifest is ")),
        "{line}"
    );
    let none = ["--media-type", "text/plain", &tagged, &typed];
    let line = place.complaint(&[&["manifest", "put"], &none[..]].concat());
    assert!(line.ends_with("unknown kind: text/plain"), "{line}");
}

#[test]
fn o5_what_is_no_manifest_is_never_sent() {
    let place = Place::new();
    let proxy = RecordingProxy::start(place.served.address);
    let app = format!("{}/app", proxy.address());
    let tagged = format!("{app}:bad");
    let good = place.write("good.json", &place.bytes);
    let text = place.write("text", "no json");
    let other = place.write("other", r#"{"a":1}"#);
    let empty = place.write("empty", "");
    let large = place.write("large", vec![b' '; (8 << 20) + 1]);
    let directory = place.file("layout");
    let absent = place.file("absent");
    let wrong = format!("{app}@sha256:{}", "0".repeat(64));
    for (reference, file, said) in [
        (&tagged, &text, "manifest is not valid: "),
        (&tagged, &other, "manifest of unknown kind: no mediaType"),
        (&tagged, &empty, "manifest is empty"),
        (
            &tagged,
            &large,
            "more than 8388608 bytes, the limit of a manifest",
        ),
        (&tagged, &directory, "is a directory"),
        (&tagged, &absent, "no such file or directory"),
        (&wrong, &good, "manifest has digest sha256:"),
    ] {
        let line = place.complaint(&["manifest", "put", reference, file]);
        assert!(line.starts_with(&format!("{file}: {said}")), "{line}");
    }
    let line = place.complaint(&["manifest", "put", "Bad/app", &good]);
    assert!(line.contains("Bad"), "{line}");
    assert_eq!(proxy.lines(), [""; 0]);
}

#[test]
fn o5_standard_input_without_an_end_is_refused() {
    let home = tempfile::tempdir().unwrap();
    let output = command(home.path())
        .args(["manifest", "put", "127.0.0.1:1/app", "-"])
        .stdin(File::open("/dev/zero").unwrap())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(7));
    assert_eq!(
        String::from_utf8(output.stderr).unwrap(),
        "wharf: standard input: more than 8388608 bytes, the limit of a manifest\n"
    );
}

#[test]
fn o5_blobs_that_are_not_there_are_the_registrys_complaint() {
    let place = Place::new();
    let absent = format!("sha256:{}", "1".repeat(64));
    let text = String::from_utf8(place.bytes.clone()).unwrap();
    let file = place.write("m", text.replace(&place.image.config_digest, &absent));
    for address in place.addresses() {
        let app = format!("{address}/app:bad");
        let line = place.complaint(&["manifest", "put", &app, &file]);
        assert!(line.contains("MANIFEST_BLOB_UNKNOWN"), "{line}");
        // The error is final: it is not retried.
        assert!(!line.contains("(after "), "{line}");
        assert!(
            line.ends_with("(everything that a manifest links to must be in the repository first)"),
            "{line}"
        );
        assert_eq!(manifest(address, "bad").status, 404);
    }
}

#[test]
fn s7_a_sha512_digest_names_a_manifest_that_gets_a_tag_too() {
    let place = Place::new();
    let file = place.write("manifest.json", &place.bytes);
    let digest = format!("sha512:{}", sha512_hex(&place.bytes));
    let app = format!("{}/app", place.served.address);
    for reference in [format!("{app}@{digest}"), format!("{app}:long@{digest}")] {
        let run = place.done(&["manifest", "put", &reference, &file]);
        assert_eq!(run.stdout, format!("{app}@{digest}\n"));
    }
    for at in [digest.as_str(), "long"] {
        assert!(
            manifest(place.served.address, at).body == place.bytes,
            "{at}"
        );
    }
}

#[test]
fn f2_f5_a_referrer_is_listed_with_its_subject_until_it_is_deleted() {
    let place = Place::new();
    let bytes = referrer(&place.image);
    let file = place.write("referrer.json", &bytes);
    let digest = format!("sha256:{}", sha256_hex(&bytes));
    let subject = &place.image.manifest_digest;
    for address in place.addresses() {
        let list = match address == place.served.address {
            true => format!("/v2/app/referrers/{subject}"),
            false => format!("/v2/app/manifests/{}", subject.replace(':', "-")),
        };
        let listed = || {
            let answer = fetch(address, &list);
            assert_eq!(answer.status, 200);
            let mut index: Value = serde_json::from_slice(&answer.body).unwrap();
            index["manifests"].take()
        };
        let app = format!("{address}/app");
        for _ in 0..2 {
            let put = place.done(&["manifest", "put", &app, &file]);
            assert_eq!(put.stdout, format!("{app}@{digest}\n"));
            let expected = json!([{
                "mediaType": OCI_MANIFEST,
                "digest": digest,
                "size": bytes.len(),
                "artifactType": "application/vnd.example.note",
                "annotations": { "note": "seen" },
            }]);
            assert_eq!(listed(), expected);
        }
        place.done(&["delete", &format!("{app}@{digest}")]);
        assert_eq!(listed(), json!([]));
    }
}

#[test]
fn o9_a_manifest_is_deleted_by_digest_with_its_tags() {
    let place = Place::new();
    let digest = &place.image.manifest_digest;
    for address in place.addresses() {
        let proxy = RecordingProxy::start(address);
        let image = format!("{}/app@{digest}", proxy.address());
        let run = place.done(&["delete", &image]);
        let ended = (run.stdout.as_str(), run.stderr);
        assert_eq!(ended, ("", format!("deleted {image}\n")));
        assert_eq!(
            changes(&proxy),
            [format!("DELETE /v2/app/manifests/{digest}")]
        );
        for at in ["1", digest] {
            assert_eq!(manifest(address, at).status, 404);
        }
        let line = place.complaint(&["delete", &image]);
        assert!(
            line.contains(&format!("app: no manifest {digest}")),
            "{line}"
        );
    }
}

#[test]
fn o9_a_tag_is_deleted_alone_where_the_registry_does_that() {
    let place = Place::new();
    let ours = place.served.address;
    place.done(&["tag", &format!("{ours}/app:1"), "2"]);
    let run = place.done(&["delete", "-q", &format!("{ours}/app:2")]);
    assert_eq!((run.stdout, run.stderr), Default::default());
    assert_eq!(manifest(ours, "2").status, 404);
    assert!(manifest(ours, "1").body == place.bytes);
    let Some(docker) = &place.docker else { return };
    let line = place.complaint(&["delete", &format!("{}/app:1", docker.address())]);
    assert!(line.contains("the registry does not delete tags"), "{line}");
    assert!(line.contains("by its digest"), "{line}");
    assert!(manifest(docker.address(), "1").body == place.bytes);
}

#[test]
fn o9_each_image_is_deleted_on_its_own_and_all_errors_are_said() {
    let place = Place::new();
    let app = format!("{}/app", place.served.address);
    place.done(&["tag", &format!("{app}:1"), "2"]);
    let images = ["x", "1", "y", "2"].map(|tag| format!("{app}:{tag}"));
    let images = images.each_ref().map(String::as_str);
    let run = wharf(place.home(), &[&["delete"], &images[..]].concat());
    assert_eq!((run.code, run.stdout.as_str()), (3, ""), "{run:?}");
    let lines: Vec<&str> = run.stderr.lines().collect();
    let said = ["deleted", "deleted", "wharf", "wharf"];
    let heads = lines.iter().map(|line| line.split([' ', ':']).next());
    assert!(heads.eq(said.map(Some)), "{lines:?}");
    assert!(lines[2].contains("/manifests/x"), "{lines:?}");
    assert!(lines[3].contains("/manifests/y"), "{lines:?}");
    for tag in ["1", "2"] {
        assert_eq!(manifest(place.served.address, tag).status, 404);
    }
}

#[test]
fn o9_nothing_is_deleted_that_was_not_named() {
    let place = Place::new();
    let proxy = RecordingProxy::start(place.served.address);
    let (app, digest) = (
        format!("{}/app", proxy.address()),
        &place.image.manifest_digest,
    );
    place.done(&["tag", &format!("{app}:1"), "latest"]);
    proxy.forget();
    let run = wharf(place.home(), &["delete", &format!("{app}:1"), &app]);
    assert_eq!(
        run.complaint(),
        format!("{app}: no tag and no digest; write REPOSITORY:TAG or REPOSITORY@DIGEST")
    );
    let both = format!("{app}:1@{digest}");
    let line = place.complaint(&["delete", &both]);
    assert!(
        line.starts_with(&format!("{both}: a tag and a digest; write ")),
        "{line}"
    );
    assert_eq!(proxy.lines(), [""; 0]);
    let line = place.complaint(&["delete"]);
    assert!(line.contains("<IMAGE>"), "{line}");
}

#[test]
fn o9_a_try_whose_answer_was_lost_has_deleted() {
    let home = tempfile::tempdir().unwrap();
    let server = FaultServer::start(
        Script::new()
            .on("GET", "/v2/", [wharf_testkit::Answer::status(200)])
            .on(
                "DELETE",
                "/v2/app/manifests/1",
                [
                    wharf_testkit::Answer::drop_connection(),
                    wharf_testkit::Answer::error(404, "MANIFEST_UNKNOWN", "no"),
                ],
            ),
    );
    let image = format!("{}/app:1", server.address());
    let run = done(home.path(), &["delete", "--retry-wait", "10ms", &image]);
    assert_eq!(run.stderr, format!("deleted {image}\n"));
    // If no request was sent before, it was not there.
    let line = complaint(home.path(), &["delete", &image]);
    assert!(line.contains("404 Not Found"), "{line}");
}
