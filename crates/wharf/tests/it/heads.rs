//! wire.md section 11, rule 7: HEAD is an optimisation. Registries here refuse it, each in its way,
//! and take everything else.

use std::time::Duration;

use wharf::copy::{CopyOptions, RetryPolicy};
use wharf::front::Copied;
use wharf::oci::{Descriptor, Digest, Reference};
use wharf::store::{Memory, Source};
use wharf::{Client, ErrorKind, Wharf};
use wharf_testkit::{Answer, DockerRegistry, FaultServer, Script, push_registry, seeded_bytes};

use crate::support::{BLOB, MANIFEST, count, descriptor, image, lines, reference};

/// Answers to HEAD that say nothing: the last two pass by themselves, but not here.
fn odd() -> Vec<Answer> {
    [401, 403, 400, 402, 405, 406, 410, 418, 421, 501, 500, 429]
        .map(Answer::status)
        .into()
}

/// A front door that is not patient.
fn wharf() -> Wharf {
    let retry = RetryPolicy {
        tries: 3,
        base: Duration::from_millis(1),
        endurance: Some(Duration::ZERO),
        ..RetryPolicy::default()
    };
    let options = CopyOptions {
        retry,
        ..CopyOptions::default()
    };
    Wharf::with_options(Client::builder().build().unwrap(), options)
}

/// A registry with one image, tagged `v1`, that takes everything.
struct Scene {
    server: FaultServer,
    source: Memory,
    image: Descriptor,
}

impl Scene {
    async fn new(head: &Answer, change: impl FnOnce(Script) -> Script) -> Scene {
        let (source, root) = image(&[seeded_bytes(1, 1000)]).await;
        let image = descriptor(&root).clone();
        let manifest = source.manifest(&image).await.unwrap();
        let answer = Answer::status(200)
            .header("Content-Type", image.media_type.as_str())
            .header("Docker-Content-Digest", &image.digest.to_string())
            .body(manifest.bytes().clone());
        let mut script = push_registry()
            .on("GET", "/v2/app/manifests/v1", [answer.clone()])
            .on(
                "GET",
                &format!("/v2/app/manifests/{}", image.digest),
                [answer],
            );
        for link in manifest.links() {
            let digest = link.descriptor.digest.clone();
            let bytes = source
                .blob(&link.descriptor)
                .read_all(1 << 20)
                .await
                .unwrap();
            let path = format!("/v2/app/blobs/{digest}");
            script = script.on("GET", &path, [Answer::status(200).body(bytes)]);
        }
        let script = change(script).on("HEAD", "*", [head.clone()]);
        Scene {
            server: FaultServer::start(script),
            source,
            image,
        }
    }

    fn at(&self, rest: &str) -> Reference {
        reference(self.server.address(), rest)
    }

    async fn push(&self, rest: &str) -> wharf::Result<()> {
        let to = self.at(rest);
        let pushed = wharf().push(&self.source, self.image.clone(), &to).await;
        pushed.map(drop)
    }
}

async fn pull(server: &FaultServer) -> wharf::Result<Copied> {
    let from = reference(server.address(), "app:v1");
    wharf().pull(&from, &Memory::new()).await
}

#[tokio::test]
async fn fault_b15_a_push_goes_on_with_the_upload() {
    for head in odd() {
        let scene = Scene::new(&head, |script| script).await;
        let pushed = scene.push("new:v2").await;
        pushed.unwrap_or_else(|error| panic!("{head:?}: {error}"));
        assert_eq!(count(&scene.server, "PUT /v2/new/blobs"), 2, "{head:?}");
        assert_eq!(count(&scene.server, "PUT /v2/new/manifests/v2"), 1);
    }
}

#[tokio::test]
async fn fault_b15_reads_go_on_with_get() {
    for head in odd() {
        let scene = Scene::new(&head, |script| script).await;
        let store = Memory::new();
        let pulled = wharf().pull(&scene.at("app:v1"), &store).await;
        let pulled = pulled.unwrap_or_else(|error| panic!("{head:?}: {error}"));
        assert_eq!(pulled.descriptor, scene.image, "{head:?}");
        let tags = ["v2".parse().unwrap()];
        wharf().tag(&scene.at("app:v1"), &tags).await.unwrap();
        assert_eq!(count(&scene.server, "PUT /v2/app/manifests/v2"), 1);
    }
}

#[tokio::test]
async fn fault_b15_copies_between_registries_without_head() {
    for head in odd() {
        let (from, to) = (
            Scene::new(&head, |script| script).await,
            FaultServer::start(push_registry().on("HEAD", "*", [head.clone()])),
        );
        let (from, to) = (
            from.at("app:v1").to_string(),
            format!("{}/b:v1", to.address()),
        );
        let places = [from, to].map(|place| place.parse().unwrap());
        let copied = wharf().copy(&places[0], &places[1]).await;
        copied.unwrap_or_else(|error| panic!("{head:?}: {error}"));
    }
}

#[tokio::test]
async fn fault_b15_a_commit_that_is_odd_is_confirmed_by_get() {
    for head in odd().into_iter().take(8) {
        let change = |script: Script| {
            script
                .on("PUT", "/v2/*/blobs/uploads/*", [Answer::status(204)])
                .on("PUT", MANIFEST, [Answer::status(204)])
        };
        let scene = Scene::new(&head, change).await;
        let pushed = scene.push("app:v1").await;
        pushed.unwrap_or_else(|error| panic!("{head:?}: {error}"));
        let error = scene.push("b:v1").await.unwrap_err().to_string();
        assert!(error.contains("is not there"), "{head:?}: {error}");
    }
}

#[tokio::test]
async fn fault_b15_what_get_refuses_too_is_the_error() {
    for status in [401, 403] {
        let refused = Answer::error(status, "DENIED", "told");
        let script = Script::new().on("*", "/v2/app/*", [refused]);
        let server = FaultServer::start(script);
        let error = pull(&server).await.unwrap_err();
        assert_eq!(error.status(), Some(status), "{error}");
        assert!(error.to_string().contains("told"), "{error}");
        assert_eq!(lines(&server, "HEAD").len(), 1);
    }
    let script = Script::new().on("HEAD", "*", [Answer::status(403)]);
    let server = FaultServer::start(script);
    let error = pull(&server).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
}

#[tokio::test]
async fn fault_b15_a_web_page_is_no_answer_to_head() {
    let page = Answer::status(200)
        .header("Content-Type", "text/html")
        .header("Content-Length", "312");
    let scene = Scene::new(&page, |script| script).await;
    let pushed = scene.push("new:v2").await;
    pushed.unwrap();
    assert_eq!(count(&scene.server, "PUT /v2/new/blobs"), 2);
}

#[tokio::test]
async fn fault_b15_a_server_error_is_tried_again_first() {
    let heads = [
        Answer::status(500),
        Answer::status(429),
        Answer::status(404),
    ];
    let script = push_registry().on("HEAD", BLOB, heads);
    let server = FaultServer::start(script);
    let (source, root) = image(&[]).await;
    let to = reference(server.address(), "app:v1");
    let image = descriptor(&root).clone();
    wharf().push(&source, image, &to).await.unwrap();
    assert_eq!(count(&server, "HEAD /v2/app/blobs"), 3);
}

#[tokio::test]
async fn fault_b15_a_real_registry_behind_a_front_that_refuses_head() {
    let Some(registry) = DockerRegistry::start() else {
        return;
    };
    let authority = wharf_testkit::Authority::new();
    let refuse = "if ($request_method = HEAD) { return 403; }";
    let front = wharf_testkit::Nginx::start(registry.address(), &authority.server(), refuse);
    let Some(front) = front else { return };
    let client = Client::builder().tls(crate::support::trusting(&authority));
    let wharf = Wharf::new(client.build().unwrap());
    let (source, root) = image(&[seeded_bytes(1, 100_000)]).await;
    let to: Reference = format!("localhost:{}/app:v1", front.address().port())
        .parse()
        .unwrap();
    let image = descriptor(&root).clone();
    for _ in 0..2 {
        wharf.push(&source, image.clone(), &to).await.unwrap();
    }
    let pulled = wharf.pull(&to, &Memory::new()).await.unwrap();
    assert_eq!(pulled.descriptor, image);
    let digest = Digest::of(&seeded_bytes(1, 100_000));
    let store = wharf.client().repository(to.repository());
    assert_eq!(store.blob_size(&digest).await.unwrap(), 100_000);
}
