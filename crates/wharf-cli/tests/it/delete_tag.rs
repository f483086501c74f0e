//! `wharf delete --tag-only` against real registries, and one that deletes nothing.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use wharf_testkit::{
    Answer, DockerRegistry, FaultServer, LayerSpec, LayoutFixture, RecordingProxy, Script,
    sha256_hex,
};

use crate::common::wire::fetch;
use crate::common::{Served, complaint, done, text, wharf};

fn status(address: SocketAddr, at: &str) -> u16 {
    fetch(address, &format!("/v2/app/manifests/{at}")).status
}

fn tags(address: SocketAddr) -> Vec<String> {
    let body = fetch(address, "/v2/app/tags/list").body;
    let mut list: serde_json::Value = serde_json::from_slice(&body).unwrap();
    let mut tags: Vec<String> = serde_json::from_value(list["tags"].take()).unwrap();
    tags.sort();
    tags
}

#[test]
fn a_tag_is_deleted_alone_and_its_manifest_stays_with_other_tags() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let mut layout = LayoutFixture::new(home.join("layout"));
    let image = layout.image(Some("1"), &[LayerSpec::random(1, 500)]);
    let served = Served::start(&home.join("registry"));
    let docker = DockerRegistry::start();
    let second = docker.as_ref().map(DockerRegistry::address);
    for address in std::iter::once(served.address).chain(second) {
        let proxy = RecordingProxy::start(address);
        let app = format!("{}/app", proxy.address());
        done(
            home,
            &["push", "-q", text(layout.directory()), &format!("{app}:1")],
        );
        done(home, &["tag", &format!("{app}:1"), "2", "3"]);
        proxy.forget();
        let deleted = ["delete", "--tag-only", &format!("{app}:2")];
        let run = done(home, &deleted);
        assert_eq!(run.stdout, "");
        assert_eq!(run.stderr, format!("deleted {app}:2\n"));
        assert_eq!(status(address, "2"), 404);
        assert_eq!(tags(address), ["1", "3"]);
        for at in ["1", "3", &image.manifest_digest] {
            assert_eq!(status(address, at), 200, "{at}");
        }
        let requests = proxy.requests().into_iter();
        let methods: Vec<String> = requests.map(|request| request.method).collect();
        let expected = match address == served.address {
            true => &["DELETE"][..],
            // Refused; the tag's manifest; the empty config; the throw-away manifest, without the tag
            // and with it.
            false => &[
                "DELETE", "GET", "HEAD", "POST", "PUT", "PUT", "GET", "DELETE", "PUT", "GET",
                "DELETE",
            ],
        };
        assert_eq!(methods, expected);

        // The last tag, by itself.
        done(
            home,
            &[
                "delete",
                "--tag-only",
                &format!("{app}:1"),
                &format!("{app}:3"),
            ],
        );
        assert_eq!(status(address, &image.manifest_digest), 200);
        let gone = wharf(home, &["delete", "--tag-only", &format!("{app}:3")]);
        assert_eq!((gone.code, gone.stdout.as_str()), (3, ""), "{gone:?}");
        let said = ["no tag 3", "404 Not Found"];
        assert!(
            said.iter().any(|said| gone.stderr.contains(said)),
            "{gone:?}"
        );
    }
}

#[test]
fn what_is_no_tag_is_refused_before_anything_is_sent() {
    let home = tempfile::tempdir().unwrap();
    let digest = format!("sha256:{}", "0".repeat(64));
    for image in [
        "localhost:1/app".to_owned(),
        format!("localhost:1/app@{digest}"),
    ] {
        let line = complaint(home.path(), &["delete", "--tag-only", &image]);
        let expected = format!("{image}: not a tag by itself; write REPOSITORY:TAG");
        assert_eq!(line, expected);
    }
}

const MANIFEST: &str = r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"application/vnd.oci.empty.v1+json","digest":"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a","size":2},"layers":[]}"#;

/// A registry with the manifest under the tag `1`.
fn registry() -> Script {
    let manifest = Answer::status(200)
        .header("Content-Type", "application/vnd.oci.image.manifest.v1+json")
        .body(MANIFEST);
    Script::new()
        .on("GET", "/v2/", [Answer::status(200)])
        .on("HEAD", "/v2/app/blobs/*", [Answer::status(200)])
        .on("GET", "/v2/app/manifests/1", [manifest.clone()])
        .on("GET", "/v2/app/manifests/sha256:*", [manifest])
        .on("PUT", "/v2/app/manifests/*", [Answer::status(201)])
}

#[test]
fn a_registry_that_deletes_nothing_keeps_the_tag_as_it_is() {
    let home = tempfile::tempdir().unwrap();
    let refused = Answer::error(405, "UNSUPPORTED", "The operation is unsupported.");
    let server = FaultServer::start(registry().on("DELETE", "*", [refused]));
    let image = format!("{}/app:1", server.address());
    let line = complaint(home.path(), &["delete", "--tag-only", &image]);
    assert!(
        line.contains("the registry does not delete manifests"),
        "{line}"
    );
    let puts = server.lines();
    let puts: Vec<_> = puts.iter().filter(|line| line.starts_with("PUT")).collect();
    assert!(puts.iter().all(|line| line.contains("sha256:")), "{puts:?}");
}

#[test]
fn a_tag_is_moved_back_when_the_last_step_fails() {
    let home = tempfile::tempdir().unwrap();
    let refused = || Answer::error(405, "UNSUPPORTED", "The operation is unsupported.");
    let tagged: Arc<Mutex<Vec<Vec<u8>>>> = Arc::default();
    let (putting, looking) = (Arc::clone(&tagged), Arc::clone(&tagged));
    let put = Answer::from_fn(move |request| {
        putting.lock().unwrap().push(request.body.to_vec());
        Answer::status(201)
    });
    let look = Answer::from_fn(move |_| {
        let bytes = looking.lock().unwrap().last().unwrap().clone();
        let digest = sha256_hex(&bytes);
        Answer::status(200)
            .body(bytes)
            .header("Docker-Content-Digest", &format!("sha256:{digest}"))
            .header("Content-Type", "application/vnd.oci.image.manifest.v1+json")
    });
    let deletes = [Answer::status(202), refused()];
    let script = registry()
        .on("PUT", "/v2/app/manifests/1", [put])
        .on("HEAD", "/v2/app/manifests/1", [look])
        .on("DELETE", "/v2/app/manifests/1", [refused()])
        .on("DELETE", "/v2/app/manifests/sha256:*", deletes);
    let server = FaultServer::start(script);
    let image = format!("{}/app:1", server.address());
    let line = complaint(home.path(), &["delete", "--tag-only", &image]);
    assert!(
        line.contains("the registry does not delete manifests"),
        "{line}"
    );
    let tagged = tagged.lock().unwrap();
    assert_eq!(tagged.len(), 2);
    assert_eq!(tagged[1], MANIFEST.as_bytes());
}
