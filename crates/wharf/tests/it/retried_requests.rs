//! The single requests of a repository, outside a copy, are tried again; those of the raw
//! repository are not (wire.md R1, R3).

use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use futures::{FutureExt, TryStreamExt};
use wharf::copy::{Event, Observer, RetryPolicy, Root, copy, push_blob};
use wharf::oci::{Descriptor, Manifest, MediaType, Selector};
use wharf::place::{OpenedSource, Place};
use wharf::remote::{Client, RemoteRepository};
use wharf::store::{Memory, Names, Outcome, Source, Store};
use wharf::{ErrorKind, Result};
use wharf_testkit::{Answer, FaultServer, Script, push_registry, seeded_bytes};

use crate::support::{
    BLOB, MANIFEST, SESSION, UPLOADS, count, descriptor, finish, options, reference,
    repository_name,
};

/// Where tags, and referrers, are listed.
const TAGS: &str = "/v2/*/tags/list";
const REFERRERS: &str = "/v2/*/referrers/*";

fn policy(tries: u32) -> RetryPolicy {
    RetryPolicy {
        tries,
        base: Duration::from_millis(1),
        ..RetryPolicy::default()
    }
}

fn client() -> Client {
    let client = Client::builder().retry(policy(4));
    client.build().unwrap()
}

fn app(server: &FaultServer) -> RemoteRepository {
    client().repository(&repository_name(server.address(), "app"))
}

/// An image with one layer.
struct Image {
    source: Memory,
    root: Root,
    manifest: Manifest,
    layer: Descriptor,
    content: Vec<u8>,
}

impl Image {
    async fn new() -> Self {
        let source = Memory::new();
        let content = seeded_bytes(1, 1000);
        let layer = source.add_blob(MediaType::OCI_LAYER_GZIP, content.clone());
        let root = finish(&source, std::slice::from_ref(&layer), serde_json::json!({})).await;
        let manifest = source.manifest(descriptor(&root)).await.unwrap();
        Image {
            source,
            root,
            manifest,
            layer,
            content,
        }
    }

    /// A registry that has it.
    fn registry(&self) -> Script {
        let manifest = || {
            Answer::status(200)
                .header("Content-Type", MediaType::OCI_IMAGE_MANIFEST.as_str())
                .header("Docker-Content-Digest", &self.manifest.digest().to_string())
                .body(self.manifest.bytes().clone())
        };
        let index = serde_json::json!({
            "schemaVersion": 2, "mediaType": MediaType::OCI_IMAGE_INDEX, "manifests": [],
        });
        let listed = Answer::status(200)
            .header("Content-Type", MediaType::OCI_IMAGE_INDEX.as_str())
            .body(index.to_string());
        let tags = Answer::status(200)
            .header("Content-Type", "application/json")
            .body(r#"{"name":"app","tags":["v1"]}"#);
        let layer = format!("/v2/app/blobs/{}", self.layer.digest);
        let blob = || Answer::status(200).body(self.content.clone());
        push_registry()
            .on("HEAD", MANIFEST, [manifest()])
            .on("GET", MANIFEST, [manifest()])
            .on("DELETE", MANIFEST, [Answer::status(202)])
            .on("HEAD", &layer, [blob()])
            .on("GET", &layer, [blob()])
            .on("GET", TAGS, [tags])
            .on("GET", REFERRERS, [listed])
    }
}

type Request = for<'a> fn(&'a RemoteRepository, &'a Image) -> BoxFuture<'a, Result<()>>;

/// Each kind of request, with its method and path.
const REQUESTS: [(&str, &str, &str, Request); 15] = [
    ("resolve", "HEAD", MANIFEST, |app, _| {
        async { app.resolve(&tag()).await.map(drop) }.boxed()
    }),
    ("manifest", "GET", MANIFEST, |app, image| {
        async { app.manifest(image.manifest.descriptor()).await.map(drop) }.boxed()
    }),
    ("manifest_at", "GET", MANIFEST, |app, _| {
        async { app.manifest_at(&tag()).await.map(drop) }.boxed()
    }),
    ("tags", "GET", TAGS, |app, _| {
        async { app.tags(None, 10).await.map(drop) }.boxed()
    }),
    ("tag_page", "GET", TAGS, |app, _| {
        async { app.tag_page(None).await.map(drop) }.boxed()
    }),
    ("referrers", "GET", REFERRERS, |app, image| {
        async { app.referrers(image.manifest.digest()).await.map(drop) }.boxed()
    }),
    ("blob_size", "HEAD", BLOB, |app, image| {
        async { app.blob_size(&image.layer.digest).await.map(drop) }.boxed()
    }),
    ("contains a blob", "HEAD", BLOB, |app, image| {
        async { app.contains(&image.layer).await.map(drop) }.boxed()
    }),
    ("holding a manifest", "HEAD", MANIFEST, |app, image| {
        async { app.holding(image.manifest.descriptor()).await.map(drop) }.boxed()
    }),
    ("blob", "GET", BLOB, |app, image| {
        async { app.blob(&image.layer).read_all(2000).await.map(drop) }.boxed()
    }),
    ("blob_part", "GET", BLOB, |app, image| {
        async { app.blob_part(&image.layer.digest, 0, None).await.map(drop) }.boxed()
    }),
    ("put_manifest", "PUT", MANIFEST, |app, image| {
        async { app.put_manifest(&image.manifest, Names::Child).await }.boxed()
    }),
    ("tag", "PUT", MANIFEST, |app, image| {
        async {
            let tags = ["v2".parse().unwrap()];
            app.put_manifest(&image.manifest, Names::Root(&tags)).await
        }
        .boxed()
    }),
    ("delete", "DELETE", MANIFEST, |app, _| {
        async { app.delete(&tag()).await }.boxed()
    }),
    ("put_blob", "POST", UPLOADS, |app, _| {
        async {
            let source = Memory::new();
            let new = source.add_blob(MediaType::OCTET_STREAM, b"new".to_vec());
            app.put_blob(&source.blob(&new)).await.map(drop)
        }
        .boxed()
    }),
];

fn tag() -> Selector {
    Selector::Tag("v1".parse().unwrap())
}

/// How often a request is made of a repository of a registry that gives `answers` to it, and what
/// became of it.
async fn asked(
    image: &Image,
    (_, method, path, request): (&str, &str, &str, Request),
    answers: &[Answer],
    repository: impl Fn(&FaultServer) -> RemoteRepository,
) -> (usize, Result<()>) {
    // A HEAD that fails for good is followed by a GET, which fails too.
    let faulty = if method == "HEAD" { "*" } else { method };
    let script = image.registry().on(faulty, path, answers.to_vec());
    let server = FaultServer::start(script);
    let outcome = request(&repository(&server), image).await;
    let prefix = path.split('*').nth(1).unwrap();
    let made = server.requests();
    let made = made
        .iter()
        .filter(|made| made.method == method && made.path().contains(prefix));
    (made.count(), outcome)
}

fn single(server: &FaultServer) -> RemoteRepository {
    app(server).single_tries()
}

#[tokio::test]
async fn fault_l6_each_kind_of_request_survives_a_503_and_a_cut_connection() {
    let image = Image::new().await;
    for kind in REQUESTS {
        let faults = [Answer::status(503), Answer::drop_connection()];
        for fault in faults {
            let answers = [fault.clone(), fault, Answer::fall_through()];
            let (made, outcome) = asked(&image, kind, &answers, app).await;
            assert!(outcome.is_ok(), "{}: {outcome:?}", kind.0);
            assert_eq!(made, 3, "{}", kind.0);
        }
    }
}

#[tokio::test]
async fn fault_l6_each_kind_of_request_is_given_up_after_the_tries_of_the_policy() {
    let image = Image::new().await;
    for kind in REQUESTS {
        let down = [Answer::status(503)];
        let (made, outcome) = asked(&image, kind, &down, app).await;
        let error = outcome.unwrap_err().to_string();
        assert!(error.ends_with("(after 4 tries)"), "{}: {error}", kind.0);
        assert_eq!(made, 4, "{}", kind.0);
        let twice = |server: &FaultServer| app(server).with_retry(policy(2));
        assert_eq!(asked(&image, kind, &down, twice).await.0, 2, "{}", kind.0);
        let (made, outcome) = asked(&image, kind, &down, single).await;
        assert_eq!((made, outcome.is_err()), (1, true), "{}", kind.0);
    }
}

#[tokio::test]
async fn fault_l6_no_kind_of_request_is_tried_again_after_a_4xx() {
    let image = Image::new().await;
    for kind in REQUESTS {
        let refused = [Answer::error(403, "DENIED", "no")];
        let (raw, _) = asked(&image, kind, &refused, single).await;
        let (made, outcome) = asked(&image, kind, &refused, app).await;
        assert_eq!(made, raw, "{}: {outcome:?}", kind.0);
    }
}

#[tokio::test]
async fn fault_l6_a_lost_answer_to_a_delete_or_to_a_commit_is_no_failure() {
    let image = Image::new().await;
    let gone = Answer::error(404, "MANIFEST_UNKNOWN", "gone");
    let lost = [Answer::drop_connection(), gone];
    let script = image.registry().on("DELETE", MANIFEST, lost);
    let server = FaultServer::start(script);
    app(&server).delete(&tag()).await.unwrap();
    let error = app(&server).delete(&tag()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);

    // The commit is lost, and the blob is there.
    let script = image
        .registry()
        .on("PUT", SESSION, [Answer::drop_connection()]);
    let server = FaultServer::start(script);
    let put = app(&server)
        .put_blob(&image.source.blob(&image.layer))
        .await;
    assert_eq!(put.unwrap(), Outcome::Existed);
    assert_eq!(count(&server, "PUT "), 1);
    assert_eq!(count(&server, "HEAD /v2/app/blobs/"), 1);
}

#[tokio::test]
async fn fault_l6_a_blob_put_that_is_given_up_leaves_no_session() {
    let image = Image::new().await;
    let script = push_registry().on("PUT", SESSION, [Answer::status(503)]);
    let server = FaultServer::start(script);
    let client = client();
    let app = client.repository(&repository_name(server.address(), "app"));
    let put = app.put_blob(&image.source.blob(&image.layer)).await;
    let error = put.unwrap_err().to_string();
    assert!(error.ends_with("(after 4 tries)"), "{error}");
    client.tidy(Duration::from_secs(20)).await;
    assert!(count(&server, "DELETE /v2/app/blobs/uploads/") > 0);
}

#[tokio::test]
async fn fault_l6_a_blob_that_breaks_off_continues_at_its_next_byte() {
    let image = Image::new().await;
    let content = image.content.clone();
    let rest = move |request: &wharf_testkit::RecordedRequest| {
        let Some(range) = request.header("range") else {
            return Answer::status(200)
                .body(content.clone())
                .cut_body_after(400);
        };
        let start = range.trim_start_matches("bytes=").split('-').next();
        let start: usize = start.unwrap().parse().unwrap();
        Answer::status(206)
            .header("Content-Range", &format!("bytes {start}-999/1000"))
            .body(content[start..].to_vec())
    };
    let script = image.registry().on("GET", BLOB, [Answer::from_fn(rest)]);
    let server = FaultServer::start(script);
    let blob = app(&server).blob(&image.layer);
    assert_eq!(blob.read_all(2000).await.unwrap(), image.content);
    assert_eq!(count(&server, "GET "), 2);
    let once = single(&server).blob(&image.layer);
    once.read_all(2000).await.unwrap_err();
    assert_eq!(count(&server, "GET "), 3);
}

/// Counts what is retried.
#[derive(Debug, Default)]
struct Retried(std::sync::atomic::AtomicU32);

impl Observer for Retried {
    fn on(&self, event: Event<'_>) {
        if let Event::Retried(..) = event {
            self.0.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        }
    }
}

#[tokio::test]
async fn fault_l6_a_push_through_the_repository_makes_no_more_tries_than_its_policy_says() {
    let image = Image::new().await;
    for (method, path) in [
        ("POST", UPLOADS),
        ("PUT", MANIFEST),
        ("HEAD", BLOB),
        ("HEAD", MANIFEST),
    ] {
        let mut told = Vec::new();
        for raw in [true, false] {
            let server =
                FaultServer::start(push_registry().on(method, path, [Answer::status(503)]));
            let app = match raw {
                true => single(&server),
                false => app(&server),
            };
            let observer = Arc::new(Retried::default());
            let mut options = options().0;
            (options.jobs, options.checks) = (1, 1);
            options.retry = policy(3);
            options.observer = Arc::clone(&observer) as _;
            let roots = std::slice::from_ref(&image.root);
            let copied = copy(&image.source, &app, roots, &options).await;
            let tries = copied.map_or_else(|error| error.to_string(), |_| String::new());
            // A push does without HEAD.
            let given_up = tries.ends_with("(after 3 tries)");
            assert_eq!(given_up, method != "HEAD", "{tries}");
            let retried = observer.0.load(std::sync::atomic::Ordering::SeqCst);
            let made = server.requests();
            let made = made.iter().filter(|made| made.status == Some(503)).count();
            told.push((made, retried));
        }
        assert_eq!(told[0], told[1], "{method} {path}");
    }
}

#[tokio::test]
async fn fault_l6_a_source_and_a_blob_of_a_repository_are_not_retried_twice_by_a_push() {
    let image = Image::new().await;
    let from = FaultServer::start(image.registry().on("GET", BLOB, [Answer::status(503)]));
    let to = FaultServer::start(push_registry());
    let options = wharf::CopyOptions {
        retry: policy(2),
        ..options().0
    };
    let app = app(&from);
    let blob = app.blob(&image.layer);
    let store = client().repository(&repository_name(to.address(), "app"));
    push_blob(&store, &blob, &options).await.unwrap_err();
    assert_eq!(count(&from, "GET /v2/app/blobs/"), 2);
    store.put_blob(&blob).await.unwrap_err();
    assert_eq!(count(&from, "GET /v2/app/blobs/"), 2 + 4);

    let down = FaultServer::start(image.registry().on("GET", MANIFEST, [Answer::status(503)]));
    let (client, of) = (client(), repository_name(down.address(), "app"));
    let source = client.source(&of).await.unwrap();
    let roots = std::slice::from_ref(&image.root);
    copy(&source, &store, roots, &options).await.unwrap_err();
    assert_eq!(count(&down, "GET /v2/app/manifests/"), 2);
    source.manifest_at(&tag()).await.unwrap_err();
    assert_eq!(count(&down, "GET /v2/app/manifests/"), 2 + 4);
    let single = source.single_tries();
    single.manifest_at(&tag()).await.unwrap_err();
    assert_eq!(count(&down, "GET /v2/app/manifests/"), 2 + 4 + 1);
}

#[tokio::test]
async fn fault_l6_the_verbs_go_by_their_own_policy_alone() {
    let image = Image::new().await;
    let script = image
        .registry()
        .on("*", MANIFEST, [Answer::status(503)])
        .on("GET", TAGS, [Answer::status(503)])
        .on("GET", "/v2/_catalog", [Answer::status(503)]);
    let server = FaultServer::start(script);
    let wharf = wharf::Wharf::with_options(
        client(),
        wharf::CopyOptions {
            retry: policy(2),
            ..options().0
        },
    );
    let at = reference(server.address(), "app:v1");
    let [get, put, delete] = ["GET", "PUT", "DELETE"].map(|method| format!("{method} /v2/app/man"));
    wharf.manifest(&at).await.unwrap_err();
    assert_eq!(count(&server, &get), 2);
    wharf.image(&at).await.unwrap_err();
    assert_eq!(count(&server, &get), 4);
    let put_again = wharf.put(None, image.manifest.bytes().clone(), &at);
    put_again.await.unwrap_err();
    assert_eq!(count(&server, &put), 2);
    wharf.delete(&at).await.unwrap_err();
    assert_eq!(count(&server, &delete), 2);
    let tags = wharf.tags(at.repository()).try_collect::<Vec<_>>().await;
    tags.unwrap_err();
    assert_eq!(count(&server, "GET /v2/app/tags/"), 2);
    let names = wharf.catalog(at.repository().registry());
    names.try_collect::<Vec<_>>().await.unwrap_err();
    assert_eq!(count(&server, "GET /v2/_catalog"), 2);
    let open: Result<OpenedSource> = wharf.open(&Place::from(at)).await;
    open.unwrap_err();
    assert_eq!(count(&server, "HEAD /v2/app/manifests/"), 2);
}

#[tokio::test]
async fn fault_l6_the_requests_of_a_client_are_retried_too() {
    let script = Script::new().on("GET", "/v2/", [Answer::status(503)]).on(
        "GET",
        "/v2/_catalog",
        [Answer::status(503)],
    );
    let server = FaultServer::start(script);
    let at = repository_name(server.address(), "app");
    let catalog = || count(&server, "GET /v2/_catalog");
    client()
        .catalog_page(at.registry(), None)
        .await
        .unwrap_err();
    assert_eq!(catalog(), 4);
    let single = client().single_tries();
    single.catalog_page(at.registry(), None).await.unwrap_err();
    assert_eq!(catalog(), 5);
    single.repository(&at).resolve(&tag()).await.unwrap_err();
    assert_eq!(count(&server, "HEAD "), 1);
}
