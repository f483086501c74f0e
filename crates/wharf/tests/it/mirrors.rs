//! Reading from the mirrors of `hosts.toml`: which are used, in which order, and what a mirror can
//! do wrong.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use wharf::copy::{Root, RootContent, Summary, copy};
use wharf::credentials::{Credential, Credentials, Found};
use wharf::oci::{Descriptor, Digest, MediaType, Registry, RepositoryName, Selector};
use wharf::remote::{Client, ClientBuilder, Identity, RemoteSource, Timeouts, Tls};
use wharf::store::{Memory, Source};
use wharf::{Error, ErrorKind, Result};
use wharf_testkit::{
    Answer, Authority, DockerRegistry, FaultServer, RecordedRequest, RegistryAuth, RegistryTls,
    Script, seeded_bytes,
};

use crate::support::{Record, descriptor, image, options, trusting};

const MANIFESTS: &str = "/v2/*/manifests/*";
const BLOBS: &str = "/v2/*/blobs/*";

/// An image, a registry that has it, and the directory that names its mirrors.
struct Scene {
    directory: tempfile::TempDir,
    memory: Memory,
    image: Root,
    upstream: FaultServer,
}

impl Scene {
    async fn new(layers: &[Vec<u8>]) -> Self {
        let (memory, image) = image(layers).await;
        let upstream = FaultServer::start(holding(&memory, &image).await);
        Scene {
            directory: tempfile::tempdir().unwrap(),
            memory,
            image,
            upstream,
        }
    }

    async fn mirror(&self) -> Script {
        holding(&self.memory, &self.image).await
    }

    /// Writes the `hosts.toml` of the registry.
    fn says(&self, text: &str) {
        let own = self
            .directory
            .path()
            .join(self.upstream.address().to_string());
        fs::create_dir_all(&own).unwrap();
        fs::write(own.join("hosts.toml"), text).unwrap();
    }

    async fn open(&self, builder: ClientBuilder) -> Result<RemoteSource> {
        let builder = builder.hosts_directory(self.directory.path().to_owned());
        let repository = format!("{}/app", self.upstream.address()).parse().unwrap();
        builder.build().unwrap().source(&repository).await
    }

    /// Copies the image from `source`, and checks that it is complete.
    async fn pulled(&self, source: &RemoteSource) -> (Summary, Arc<Record>) {
        let found = source.resolve(&tag()).await.unwrap();
        assert_eq!(&found.digest, self.digest());
        let (options, record) = options();
        let root = Root {
            content: RootContent::Manifest(found),
            tags: vec!["v1".parse().unwrap()],
        };
        let store = Memory::new();
        let summary = copy(source, &store, &[root], &options).await.unwrap();
        for blob in self.memory.blobs() {
            assert!(store.blobs().contains(&blob));
        }
        (summary, record)
    }

    fn digest(&self) -> &Digest {
        &descriptor(&self.image).digest
    }

    /// The one layer.
    async fn layer(&self) -> Descriptor {
        let manifest = self.memory.manifest(descriptor(&self.image)).await.unwrap();
        let links = manifest.links().into_iter();
        links.map(|link| link.descriptor).last().unwrap()
    }
}

fn tag() -> Selector {
    Selector::Tag("v1".parse().unwrap())
}

/// A registry to read `image` from, as the repository `app` or any other.
async fn holding(memory: &Memory, image: &Root) -> Script {
    let manifest = memory.manifest(descriptor(image)).await.unwrap();
    let found = Answer::status(200)
        .header("Content-Type", manifest.media_type().as_str())
        .header("Docker-Content-Digest", &manifest.digest().to_string())
        .body(manifest.bytes().clone());
    let mut script = Script::new()
        .on("GET", "/v2/", [Answer::status(200)])
        .on(
            "*",
            &format!("/v2/*/manifests/{}", manifest.digest()),
            [found.clone()],
        )
        .on("*", "/v2/*/manifests/v1", [found]);
    for link in manifest.links() {
        let blob = memory
            .blob(&link.descriptor)
            .read_all(1 << 24)
            .await
            .unwrap();
        let answer = move |request: &RecordedRequest| match request.header("range") {
            None => Answer::status(200).body(blob.clone()),
            Some(range) => {
                let from = range.trim_start_matches("bytes=").trim_end_matches('-');
                let from: usize = from.parse().unwrap();
                Answer::status(206).body(blob.slice(from..))
            }
        };
        let path = format!("/v2/*/blobs/{}", link.descriptor.digest);
        script = script.on("GET", &path, [Answer::from_fn(answer)]);
    }
    script
}

/// Requests that asked for content.
fn asked(server: &FaultServer) -> Vec<String> {
    let lines = server.lines().into_iter();
    lines.filter(|line| !line.ends_with(" /v2/")).collect()
}

fn count(server: &FaultServer, what: &str) -> usize {
    let lines = server.lines();
    lines.iter().filter(|line| line.contains(what)).count()
}

#[tokio::test]
async fn a_mirror_gives_everything_and_is_told_whose_content_is_meant() {
    let scene = Scene::new(&[seeded_bytes(1, 3000)]).await;
    let mirror = FaultServer::start(scene.mirror().await);
    scene.says(&format!(
        "[host.\"{}\"]\ncapabilities = [\"pull\", \"resolve\"]\n\
         [host.\"{}\".header]\nx-key = [\"one\", \"two\"]\n",
        mirror.base(),
        mirror.base()
    ));
    let source = scene.open(Client::builder()).await.unwrap();
    scene.pulled(&source).await;
    assert_eq!(asked(&scene.upstream), Vec::<String>::new());
    let namespace = format!("?ns={}", scene.upstream.address()).replace(':', "%3A");
    // The tag, the manifest, config and layer.
    assert_eq!(asked(&mirror).len(), 4);
    for request in mirror.requests() {
        assert!(request.target.ends_with(&namespace), "{request:?}");
        let keys: Vec<_> = request.headers.get_all("x-key").iter().collect();
        assert_eq!(keys, ["one", "two"]);
    }
    let blob = source.blob(descriptor(&scene.image));
    assert_eq!(blob.origin(), Some(source.repository()));
}

#[tokio::test]
async fn without_a_file_the_registry_is_read() {
    let scene = Scene::new(&[seeded_bytes(1, 3000)]).await;
    let source = scene.open(Client::builder()).await.unwrap();
    scene.pulled(&source).await;
    assert_eq!(asked(&scene.upstream).len(), 4);
    assert_eq!(count(&scene.upstream, "ns="), 0);
}

#[tokio::test]
async fn what_a_mirror_lacks_or_refuses_comes_from_the_next_one() {
    let scene = Scene::new(&[seeded_bytes(1, 3000)]).await;
    for answer in [
        Answer::status(404),
        Answer::status(401),
        Answer::status(403),
        Answer::status(500),
        Answer::drop_connection(),
    ] {
        let empty = FaultServer::start(Script::new().on("*", "*", [answer]));
        let full = FaultServer::start(scene.mirror().await);
        scene.says(&format!(
            "[host.\"{}\"]\n[host.\"{}\"]\n",
            empty.base(),
            full.base()
        ));
        let source = scene.open(Client::builder()).await.unwrap();
        let (_, record) = scene.pulled(&source).await;
        assert_eq!(record.retried(), 0);
        assert!(asked(&empty).len() >= 4, "asked each time");
        assert_eq!(asked(&full).len(), 4);
    }
    assert_eq!(asked(&scene.upstream), Vec::<String>::new());
}

#[tokio::test]
async fn a_mirror_that_is_not_there_is_passed_over() {
    let scene = Scene::new(&[seeded_bytes(1, 3000)]).await;
    let nobody = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = nobody.local_addr().unwrap();
    drop(nobody);
    scene.says(&format!(
        "[host.\"http://{address}\"]\n[host.\"https://{address}\"]\n"
    ));
    let source = scene.open(Client::builder()).await.unwrap();
    scene.pulled(&source).await;
    assert_eq!(asked(&scene.upstream).len(), 4);
}

#[tokio::test]
async fn a_mirror_that_does_not_answer_is_asked_once() {
    let scene = Scene::new(&[seeded_bytes(1, 3000)]).await;
    let silent = FaultServer::start(Script::new().on("*", "*", [Answer::hang()]));
    scene.says(&format!("[host.\"{}\"]\n", silent.base()));
    let timeouts = Timeouts {
        header: Duration::from_millis(300),
        ..Timeouts::default()
    };
    let source = scene
        .open(Client::builder().timeouts(timeouts))
        .await
        .unwrap();
    scene.pulled(&source).await;
    assert_eq!(silent.requests().len(), 1);
}

#[tokio::test]
async fn fault_c5_where_all_fail_each_one_is_told_by_name() {
    let scene = Scene::new(&[seeded_bytes(1, 100)]).await;
    let denied = Answer::error(403, "DENIED", "the mirror is closed");
    let lost = Answer::error(404, "MANIFEST_UNKNOWN", "the mirror has nothing");
    let closed = FaultServer::start(Script::new().on("*", "*", [denied]));
    let empty = FaultServer::start(Script::new().on("*", "*", [lost]));
    let gone = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    scene.says(&format!(
        "[host.\"http://{gone}\"]\n[host.\"{}\"]\n[host.\"{}\"]\n",
        closed.base(),
        empty.base(),
    ));
    let source = scene.open(Client::builder()).await.unwrap();
    let absent = Selector::Tag("absent".parse().unwrap());
    let blob = Descriptor::new(MediaType::OCI_LAYER_GZIP, Digest::of(b"absent"), 6);
    for _ in 0..2 {
        // The mirror that is gone is not asked again, and still told.
        for error in [
            source.resolve(&absent).await.unwrap_err(),
            source.manifest_at(&absent).await.unwrap_err(),
            source.blob(&blob).read_all(10).await.unwrap_err(),
        ] {
            let text = error.to_string();
            assert_eq!(error.kind(), ErrorKind::NotFound, "{text}");
            let own = format!("{}/app", scene.upstream.address());
            assert!(text.contains(&own), "{text}");
            let parts: Vec<&str> = text.split("; mirror ").collect();
            assert_eq!(parts.len(), 4, "{text}");
            assert!(
                parts[1].starts_with(&format!("http://{gone}/v2/: ")),
                "{text}"
            );
            assert!(parts[1].contains("connection refused"), "{text}");
            assert!(
                parts[2].starts_with(&format!("{}/v2/: ", closed.base())),
                "{text}"
            );
            assert!(parts[2].contains("403 Forbidden"), "{text}");
            assert!(
                parts[3].starts_with(&format!("{}/v2/: ", empty.base())),
                "{text}"
            );
            let nothing = ["404 Not Found", "no such tag", "no tag absent"];
            assert!(
                nothing.iter().any(|words| parts[3].contains(words)),
                "{text}"
            );
        }
    }
    let text = source.manifest_at(&absent).await.unwrap_err().to_string();
    for words in ["the mirror is closed", "no tag absent"] {
        assert!(text.contains(words), "{text}");
    }
}

#[tokio::test]
async fn fault_c5_the_server_of_the_file_is_told_by_name_too() {
    let scene = Scene::new(&[]).await;
    let nothing = || FaultServer::start(Script::new());
    let (mirror, server) = (nothing(), nothing());
    scene.says(&format!(
        "server = \"{}\"\n[host.\"{}\"]\n",
        server.base(),
        mirror.base()
    ));
    let source = scene.open(Client::builder()).await.unwrap();
    let text = source.resolve(&tag()).await.unwrap_err().to_string();
    assert!(
        text.starts_with(&format!("{}/v2/: ", server.base())),
        "{text}"
    );
    assert!(
        text.contains(&format!("; mirror {}/v2/: ", mirror.base())),
        "{text}"
    );
    assert!(asked(&scene.upstream).is_empty());
}

#[tokio::test]
async fn a_mirror_that_asks_to_wait_is_not_waited_for() {
    let scene = Scene::new(&[seeded_bytes(1, 3000)]).await;
    let busy = Answer::status(503).header("Retry-After", "3600");
    let busy = FaultServer::start(Script::new().on("*", "*", [busy]));
    scene.says(&format!("[host.\"{}\"]\n", busy.base()));
    let source = scene.open(Client::builder()).await.unwrap();
    scene.pulled(&source).await;
    assert_eq!(busy.requests().len(), 1);
}

#[tokio::test]
async fn a_tag_is_resolved_only_by_those_who_may() {
    let scene = Scene::new(&[seeded_bytes(1, 3000)]).await;
    let mirror = FaultServer::start(scene.mirror().await);
    scene.says(&format!(
        "[host.\"{}\"]\ncapabilities = [\"pull\"]\n",
        mirror.base()
    ));
    let source = scene.open(Client::builder()).await.unwrap();
    scene.pulled(&source).await;
    assert_eq!(asked(&scene.upstream), ["HEAD /v2/app/manifests/v1"]);
    assert_eq!(count(&mirror, "/manifests/v1"), 0);
    assert_eq!(asked(&mirror).len(), 3);
    assert!(source.tags(None, 5).await.is_err());
    assert_eq!(count(&mirror, "/tags/list"), 0);
}

#[tokio::test]
async fn a_server_of_the_file_stands_for_the_registry() {
    let scene = Scene::new(&[seeded_bytes(1, 3000)]).await;
    let server = FaultServer::start(scene.mirror().await);
    let text = format!("server = \"{}\"\n[header]\nx-key = \"v\"\n", server.base());
    scene.says(&text);
    let source = scene.open(Client::builder()).await.unwrap();
    scene.pulled(&source).await;
    assert_eq!(scene.upstream.requests().len(), 0);
    assert!(
        server
            .requests()
            .iter()
            .all(|one| one.header("x-key") == Some("v"))
    );

    scene.says(&format!("capabilities = [\"pull\"]\n{text}"));
    let source = scene.open(Client::builder()).await.unwrap();
    let error = source.resolve(&tag()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(
        error.to_string().contains("capability \"resolve\""),
        "{error}"
    );
}

#[tokio::test]
async fn settings_without_a_server_are_those_of_the_registry() {
    let scene = Scene::new(&[seeded_bytes(1, 3000)]).await;
    scene.says("[header]\nx-key = \"v\"\n");
    let source = scene.open(Client::builder()).await.unwrap();
    scene.pulled(&source).await;
    let requests = scene.upstream.requests().into_iter();
    let mut content = requests.filter(|request| request.path() != "/v2/");
    assert!(content.all(|request| request.header("x-key") == Some("v")));
    assert_eq!(count(&scene.upstream, "ns="), 0);
}

#[tokio::test]
async fn a_path_is_kept_before_or_instead_of_v2() {
    let scene = Scene::new(&[seeded_bytes(1, 3000)]).await;
    let mirror = FaultServer::start(Script::new());
    for (path, expected) in [
        ("/team", "HEAD /team/v2/app/manifests/v1?"),
        (
            "/odd\"]\noverride_path = true\n#",
            "HEAD /odd/app/manifests/v1?",
        ),
    ] {
        scene.says(&format!("[host.\"{}{path}\"]\n", mirror.base()));
        let source = scene.open(Client::builder()).await.unwrap();
        source.resolve(&tag()).await.unwrap();
        let last = mirror.lines().pop().unwrap();
        assert!(last.starts_with(expected), "{last}");
    }
}

#[tokio::test]
async fn a_mirror_that_gives_wrong_bytes_is_found_out_and_asked_no_more() {
    let scene = Scene::new(&[seeded_bytes(1, 300_000)]).await;
    let wrong = Answer::status(200).body(seeded_bytes(2, 300_000));
    let layer = scene.layer().await;
    let path = format!("/v2/*/blobs/{}", layer.digest);
    let mirror = FaultServer::start(scene.mirror().await.on("GET", &path, [wrong]));
    scene.says(&format!("[host.\"{}\"]\n", mirror.base()));
    let source = scene.open(Client::builder()).await.unwrap();
    let (_, record) = scene.pulled(&source).await;
    assert_eq!(record.retried(), 1);
    assert_eq!(count(&mirror, &layer.digest.to_string()), 1);
    assert_eq!(count(&scene.upstream, &layer.digest.to_string()), 1);
    // Not even for content that it may have.
    let before = mirror.requests().len();
    source.resolve(&tag()).await.unwrap();
    assert_eq!(mirror.requests().len(), before);
}

#[tokio::test]
async fn a_registry_that_gives_wrong_bytes_is_not_asked_again() {
    let scene = Scene::new(&[seeded_bytes(1, 3000)]).await;
    let wrong = Answer::status(200).body(seeded_bytes(2, 3000));
    let empty = FaultServer::start(Script::new());
    let server = FaultServer::start(scene.mirror().await.on("GET", BLOBS, [wrong]));
    scene.says(&format!(
        "server = \"{}\"\n[host.\"{}\"]\n",
        server.base(),
        empty.base()
    ));
    let source = scene.open(Client::builder()).await.unwrap();
    let blob = source.blob(&scene.layer().await);
    let error = blob.read_all(1 << 20).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert!(!error.is_transient());
}

#[tokio::test]
async fn a_wrong_manifest_comes_from_the_next_one() {
    let scene = Scene::new(&[seeded_bytes(1, 3000)]).await;
    let other = image(&[seeded_bytes(9, 10)]).await;
    let other = other.0.manifest(descriptor(&other.1)).await.unwrap();
    let wrong = Answer::status(200)
        .header("Content-Type", other.media_type().as_str())
        .header("Docker-Content-Digest", &scene.digest().to_string())
        .body(other.bytes().clone());
    let mirror = scene.mirror().await.on("GET", MANIFESTS, [wrong]);
    let mirror = FaultServer::start(mirror);
    scene.says(&format!("[host.\"{}\"]\n", mirror.base()));
    let source = scene.open(Client::builder()).await.unwrap();
    scene.pulled(&source).await;
    assert_eq!(count(&scene.upstream, "GET /v2/app/manifests/"), 1);
    assert_eq!(count(&scene.upstream, "/blobs/"), 0);
}

#[tokio::test]
async fn where_a_mirror_breaks_off_the_next_one_goes_on() {
    let scene = Scene::new(&[seeded_bytes(1, 300_000)]).await;
    let layer = scene.layer().await;
    let whole = Answer::status(200).body(seeded_bytes(1, 300_000));
    let cut = whole.clone().cut_body_after(100_000);
    let path = format!("/v2/*/blobs/{}", layer.digest);
    let mirror = FaultServer::start(scene.mirror().await.on("GET", &path, [cut]));
    scene.says(&format!("[host.\"{}\"]\n", mirror.base()));
    let source = scene.open(Client::builder()).await.unwrap();
    let (summary, record) = scene.pulled(&source).await;
    assert_eq!((record.retried(), summary.written), (0, 2));
    let rest = scene.upstream.requests().into_iter();
    let rest: Vec<_> = rest
        .filter(|request| request.path().contains("/blobs/"))
        .collect();
    let [rest] = rest.as_slice() else {
        panic!("{rest:?}")
    };
    let range = rest.header("range").unwrap();
    let from: u64 = range["bytes=".len()..range.len() - 1].parse().unwrap();
    assert!((1..=100_000).contains(&from), "{range}");
    assert_eq!(count(&mirror, &layer.digest.to_string()), 1);
}

#[tokio::test]
async fn headers_of_a_mirror_do_not_go_where_it_sends_us() {
    let scene = Scene::new(&[seeded_bytes(1, 3000)]).await;
    let storage = FaultServer::start_on(Ipv4Addr::new(127, 0, 0, 2).into(), scene.mirror().await);
    let away = |request: &RecordedRequest| {
        let location = format!(
            "http://{}{}",
            request.header("x-to").unwrap(),
            request.path()
        );
        Answer::status(307).header("Location", &location)
    };
    let mirror = scene
        .mirror()
        .await
        .on("GET", BLOBS, [Answer::from_fn(away)]);
    let mirror = FaultServer::start(mirror);
    scene.says(&format!(
        "[host.\"{}\".header]\nx-key = \"hidden\"\nx-to = \"{}\"\n",
        mirror.base(),
        storage.address()
    ));
    let source = scene.open(Client::builder()).await.unwrap();
    scene.pulled(&source).await;
    assert_eq!(asked(&storage).len(), 2);
    assert!(
        storage
            .requests()
            .iter()
            .all(|one| one.header("x-key").is_none())
    );
    assert!(
        mirror
            .requests()
            .iter()
            .all(|one| one.header("x-key") == Some("hidden"))
    );
}

/// Has a password for every registry, and records the lookups.
#[derive(Debug, Default)]
struct Everyone(Mutex<Vec<String>>);

#[async_trait::async_trait]
impl Credentials for Everyone {
    async fn find(
        &self,
        registry: &Registry,
        _: Option<&RepositoryName>,
    ) -> Result<Option<Found>, Error> {
        self.0.lock().unwrap().push(registry.to_string());
        Ok(Some(Found {
            entry: None,
            credential: Credential::password("me", registry.as_str().into()),
            source: "the test".to_owned(),
        }))
    }

    fn places(&self) -> Vec<String> {
        Vec::new()
    }
}

#[tokio::test]
async fn a_mirror_is_shown_its_own_credentials() {
    let scene = Scene::new(&[seeded_bytes(1, 3000)]).await;
    let want = Answer::status(401).header("WWW-Authenticate", "Basic realm=\"m\"");
    let bare = |request: &RecordedRequest| request.header("authorization").is_none();
    let mirror = scene.mirror().await.on_when("*", "*", bare, [want]);
    let mirror = FaultServer::start(mirror);
    scene.says(&format!("[host.\"{}\"]\n", mirror.base()));
    let known = Arc::new(Everyone::default());
    let builder = Client::builder().credentials(Arc::clone(&known) as _);
    let source = scene.open(builder).await.unwrap();
    scene.pulled(&source).await;
    assert_eq!(asked(&scene.upstream), Vec::<String>::new());
    let of: Vec<String> = known.0.lock().unwrap().clone();
    let own = mirror.address().to_string();
    assert!(
        !of.is_empty() && of.iter().all(|registry| *registry == own),
        "{of:?}"
    );
}

#[tokio::test]
async fn a_file_that_makes_no_sense_is_named_before_anything_is_asked() {
    let scene = Scene::new(&[seeded_bytes(1, 3000)]).await;
    scene.says("\n[host.\"https://mirror.example\"]\nca = 7\n");
    let error = scene.open(Client::builder()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    let address: SocketAddr = scene.upstream.address();
    let expected =
        format!("/{address}/hosts.toml: line 3, column 6: a string or a list belongs here");
    assert!(error.to_string().ends_with(&expected), "{error}");
    assert_eq!(scene.upstream.requests().len(), 0);
}

/// TLS that trusts `authority`, with a client certificate signed by it.
fn known(authority: &Authority) -> Tls {
    let own = authority.client();
    let own = Identity::from_pem(own.certificate.as_bytes(), own.key.as_bytes());
    Tls {
        identities: vec![own.unwrap()],
        ..trusting(authority)
    }
}

/// A registry behind TLS that has the image of the scene, pushed there.
async fn secure(
    scene: &Scene,
    authority: &Authority,
    clients: Option<&str>,
) -> Option<DockerRegistry> {
    let tls = RegistryTls {
        server: authority.server(),
        clients: clients.map(str::to_owned),
    };
    let registry = DockerRegistry::start_tls(&RegistryAuth::None, &tls)?;
    let tls = known(authority);
    let client = Client::builder().tls(tls).build().unwrap();
    let store = client.repository(&format!("{}/app", registry.address()).parse().unwrap());
    let root = std::slice::from_ref(&scene.image);
    copy(&scene.memory, &store, root, &options().0)
        .await
        .unwrap();
    Some(registry)
}

#[tokio::test]
async fn a_mirror_is_trusted_and_shown_what_the_file_says() {
    let scene = Scene::new(&[seeded_bytes(1, 3000)]).await;
    let authority = Authority::new();
    let Some(mirror) = secure(&scene, &authority, Some(authority.certificate())).await else {
        return;
    };
    let own = scene
        .directory
        .path()
        .join(scene.upstream.address().to_string());
    fs::create_dir(&own).unwrap();
    let client = authority.client();
    fs::write(own.join("ca.pem"), authority.certificate()).unwrap();
    fs::write(own.join("client.cert"), &client.certificate).unwrap();
    fs::write(own.join("client.key"), &client.key).unwrap();
    let host = format!("[host.\"https://{}\"]\n", mirror.address());
    let pair = "client = [[\"client.cert\", \"client.key\"]]\n";
    let ca = "ca = \"ca.pem\"\n";
    for (settings, from_upstream) in [
        (format!("{ca}{pair}"), 0),
        (ca.to_owned(), 4),
        (pair.to_owned(), 4),
        (format!("skip_verify = true\n{pair}"), 0),
    ] {
        scene.says(&format!("{host}{settings}"));
        let source = scene.open(Client::builder()).await.unwrap();
        let before = asked(&scene.upstream).len();
        scene.pulled(&source).await;
        let asked = asked(&scene.upstream).len() - before;
        assert_eq!(asked, from_upstream, "{settings}");
    }
    scene.says(&format!("{host}client = [[\"client.cert\", \"ca.pem\"]]\n"));
    let error = scene.open(Client::builder()).await.unwrap_err();
    let expected = format!("{}: no private key in it", own.join("ca.pem").display());
    assert_eq!(error.to_string(), expected);
}

#[tokio::test]
async fn the_users_client_certificate_is_not_for_mirrors() {
    let scene = Scene::new(&[seeded_bytes(1, 3000)]).await;
    let authority = Authority::new();
    let Some(mirror) = secure(&scene, &authority, Some(authority.certificate())).await else {
        return;
    };
    let tls = known(&authority);
    scene.says(&format!("[host.\"https://{}\"]\n", mirror.address()));
    let source = scene.open(Client::builder().tls(tls)).await.unwrap();
    scene.pulled(&source).await;
    // The mirror asks for a client certificate and gets none.
    assert_eq!(asked(&scene.upstream).len(), 4);
}

#[tokio::test]
async fn connecting_to_a_mirror_takes_no_longer_than_the_file_allows() {
    let scene = Scene::new(&[seeded_bytes(1, 3000)]).await;
    // It accepts connections and never answers.
    let silent = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = silent.local_addr().unwrap();
    scene.says(&format!(
        "[host.\"https://{address}\"]\ndial_timeout = \"100ms\"\n"
    ));
    let hours = Duration::from_secs(3600);
    let timeouts = Timeouts {
        connect: hours,
        header: hours,
        ..Timeouts::default()
    };
    let source = scene
        .open(Client::builder().timeouts(timeouts))
        .await
        .unwrap();
    let pulled = tokio::time::timeout(Duration::from_secs(120), scene.pulled(&source));
    pulled.await.unwrap();
    assert_eq!(asked(&scene.upstream).len(), 4);
}
