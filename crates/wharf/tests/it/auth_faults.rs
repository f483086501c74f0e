//! Credentials and tokens with registries and token servers that are stricter, older or less well
//! than most, against scripted servers that record every request.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use futures::{FutureExt, StreamExt};
use wharf::blob::Blob;
use wharf::copy::{CopyOptions, copy};
use wharf::credentials::{Credential, Credentials, Found, Given};
use wharf::oci::{Descriptor, Digest, MediaType, Registry, RepositoryName, Selector};
use wharf::remote::{Client, RemoteRepository};
use wharf::store::{Outcome, Source, Store};
use wharf::{Error, ErrorKind, Lack, Result};
use wharf_testkit::{
    Answer, DockerRegistry, FaultServer, RecordedRequest, Script, TokenServer, push_registry,
    seeded_bytes,
};

use crate::support::{BASIC, image, options};

/// A token server with tokens that are the scopes that they allow, joined by `+`, and a number.
fn scribe() -> FaultServer {
    FaultServer::start(Script::new().on("*", "/token", [granted()]))
}

fn granted() -> Answer {
    let given = AtomicU32::new(0);
    Answer::from_fn(move |request| {
        let number = given.fetch_add(1, Ordering::Relaxed);
        let token = format!("{}#{number}", asked_for(request));
        Answer::status(200).body(format!(r#"{{"token":"{token}","expires_in":300}}"#))
    })
}

/// The scopes that a request to a token server asks for.
fn asked_for(request: &RecordedRequest) -> String {
    let form = String::from_utf8_lossy(&request.body).into_owned();
    let query = request.target.split_once('?').unwrap_or_default().1;
    let pairs = query.split('&').chain(form.split('&'));
    let scopes = pairs.filter_map(|pair| pair.strip_prefix("scope="));
    let scopes: Vec<String> = scopes
        .map(|scope| scope.replace("%3A", ":").replace("%2C", ","))
        .collect();
    scopes.join("+")
}

/// The scopes that the token of a request allows.
fn shown(request: &RecordedRequest) -> &str {
    let header = request.header("authorization").unwrap_or_default();
    let token = header.strip_prefix("Bearer ").unwrap_or_default();
    token.split('#').next().unwrap_or_default()
}

fn challenge(tokens: &FaultServer) -> Answer {
    let realm = format!(r#"Bearer realm="{}/token",service="r""#, tokens.base());
    Answer::error(401, "UNAUTHORIZED", "authentication required").header("WWW-Authenticate", &realm)
}

/// A registry to push to that wants a token of `tokens`, any.
fn registry_of(tokens: &FaultServer) -> Script {
    let bare = |request: &RecordedRequest| shown(request).is_empty();
    push_registry().on_when("*", "/v2/*/*", bare, [challenge(tokens)])
}

fn client(registry: &FaultServer, credential: Option<Credential>) -> Client {
    let host: Registry = registry.address().to_string().parse().unwrap();
    let given = credential.map(|credential| Given::new(host, credential, "the test"));
    let builder = Client::builder();
    let builder = match given {
        Some(given) => builder.credentials(Arc::new(given)),
        None => builder,
    };
    builder.build().unwrap()
}

fn password() -> Option<Credential> {
    Some(Credential::password("me", "hidden".into()))
}

fn named(client: &Client, registry: &FaultServer, name: &str) -> RemoteRepository {
    let name = format!("{}/{name}", registry.address());
    client.repository(&name.parse().unwrap()).single_tries()
}

fn tag() -> Selector {
    Selector::Tag("v1".parse().unwrap())
}

/// One request after the other.
fn in_turn() -> CopyOptions {
    CopyOptions {
        jobs: 1,
        checks: 1,
        ..options().0
    }
}

fn count(server: &FaultServer, which: impl Fn(&RecordedRequest) -> bool) -> usize {
    server.requests().iter().filter(|one| which(one)).count()
}

fn described(bytes: &[u8]) -> Descriptor {
    let length = bytes.len() as u64;
    Descriptor::new(MediaType::OCI_LAYER_GZIP, Digest::of(bytes), length)
}

/// A blob that is read from memory, and which the repository `origin` has too.
fn blob_from(seed: u64, origin: &RemoteRepository) -> Blob {
    let bytes = seeded_bytes(seed, 1000);
    let blob = Blob::new(described(&bytes), move |_| {
        let chunk = bytes.clone().into();
        async move { Ok(futures::stream::iter([Ok(chunk)]).boxed()) }.boxed()
    });
    blob.with_origin(origin.repository().clone())
}

#[tokio::test]
async fn fault_b1_the_exact_token_is_shown_where_a_wider_one_is_known_too() {
    let tokens = scribe();
    let registry = FaultServer::start(registry_of(&tokens));
    let client = client(&registry, password());
    let base = named(&client, &registry, "base");
    let app = named(&client, &registry, "app");
    for seed in 0..20 {
        let blob = blob_from(seed, &base);
        assert!(!app.contains(blob.descriptor()).await.unwrap());
        // The mount needs a token that allows more, and opens a session.
        assert_eq!(app.put_blob(&blob).await.unwrap(), Outcome::Written);
    }
    let wide = |request: &RecordedRequest| shown(request).contains("base");
    let mount = |request: &RecordedRequest| request.target.contains("mount=");
    assert_eq!(count(&registry, |one| wide(one) && mount(one)), 20);
    assert_eq!(count(&registry, |one| wide(one) && !mount(one)), 0);
    assert_eq!(tokens.requests().len(), 2, "{:?}", tokens.lines());
}

#[tokio::test]
async fn fault_b1_a_wide_token_that_is_refused_is_answered_once_with_the_narrowest() {
    for status in [400, 401, 403, 431] {
        let tokens = scribe();
        let too_wide =
            |request: &RecordedRequest| request.method == "HEAD" && shown(request).contains("push");
        let refusal = match status {
            401 => challenge(&tokens),
            _ => Answer::error(status, "DENIED", "the token allows too much"),
        };
        let script = registry_of(&tokens).on_when("HEAD", "/v2/*/*", too_wide, [refusal]);
        let registry = FaultServer::start(script);
        let client = client(&registry, password());
        let (source, root) = image(&[seeded_bytes(1, 1000), seeded_bytes(2, 1000)]).await;
        let app = named(&client, &registry, "app");
        copy(&source, &app, &[root], &in_turn()).await.unwrap();
        // From then on reading asks for no more than it needs.
        assert_eq!(count(&registry, too_wide), 1, "{status}");
        let asked: Vec<String> = tokens.requests().iter().map(asked_for).collect();
        let expected = ["repository:app:pull,push", "repository:app:pull"];
        assert_eq!(asked, expected, "{status}");
    }
}

#[tokio::test]
async fn fault_b1_a_refusal_that_the_narrowest_token_meets_too_is_the_answer() {
    let tokens = scribe();
    let denied = Answer::error(403, "DENIED", "not yours");
    let script = registry_of(&tokens).on_when("HEAD", "*", |one| !shown(one).is_empty(), [denied]);
    let registry = FaultServer::start(script);
    let client = client(&registry, password());
    let (source, root) = image(
        &(1..6)
            .map(|seed| seeded_bytes(seed, 1000))
            .collect::<Vec<_>>(),
    )
    .await;
    let app = named(&client, &registry, "app");
    // HEAD is an optimisation: the push does without it.
    copy(&source, &app, &[root], &in_turn()).await.unwrap();
    let narrow = |request: &RecordedRequest| shown(request) == "repository:app:pull";
    assert_eq!(count(&registry, narrow), 1, "{:?}", registry.lines());
    assert_eq!(tokens.requests().len(), 2, "{:?}", tokens.lines());
}

#[tokio::test]
async fn fault_b1_a_token_server_that_refuses_to_allow_so_much_is_asked_for_less() {
    let denied = Answer::error(403, "DENIED", "you may only pull");
    let writes = |request: &RecordedRequest| request.target.contains("push");
    let script = Script::new().on("*", "/token", [granted()]);
    let tokens = FaultServer::start(script.on_when("*", "/token", writes, [denied]));
    let registry = FaultServer::start(registry_of(&tokens));
    let client = client(&registry, password());
    let app = named(&client, &registry, "app");
    for seed in 0..5 {
        // What a dry run asks.
        assert!(
            !app.contains(&described(&seeded_bytes(seed, 10)))
                .await
                .unwrap()
        );
    }
    assert_eq!(tokens.requests().len(), 2, "{:?}", tokens.lines());
    let error = app.put_blob(&blob_from(1, &app)).await.unwrap_err();
    assert!(error.to_string().contains("you may only pull"), "{error}");
}

/// Pushes 25 blobs that `base` has, and returns the requests to mount and those for tokens.
async fn mounts_of(registry: Script, tokens: &FaultServer, jobs: usize) -> (usize, usize) {
    let registry = FaultServer::start(registry);
    let client = client(&registry, password());
    let base = named(&client, &registry, "base");
    let app = named(&client, &registry, "app");
    let blobs: Vec<Blob> = (0..25).map(|seed| blob_from(seed, &base)).collect();
    let puts = futures::stream::iter(&blobs).map(|blob| app.put_blob(blob));
    let puts: Vec<Result<Outcome>> = puts.buffer_unordered(jobs).collect().await;
    for put in puts {
        assert_eq!(put.unwrap(), Outcome::Written);
    }
    let mounts = count(&registry, |request| request.target.contains("mount="));
    (mounts, tokens.requests().len())
}

#[tokio::test]
async fn fault_b2_a_source_that_may_not_be_read_is_given_up_for_all_blobs() {
    let mount = "/v2/app/blobs/uploads/?mount=*";
    for (jobs, most) in [(1, 3), (4, 9)] {
        let tokens = scribe();
        let script = registry_of(&tokens).on("POST", mount, [challenge(&tokens)]);
        let (mounts, fetched) = mounts_of(script, &tokens, jobs).await;
        assert!(mounts <= most && fetched <= 4, "{mounts}, {fetched}");

        let tokens = scribe();
        let denied = Answer::error(403, "DENIED", "not yours");
        let with_token = |request: &RecordedRequest| !shown(request).is_empty();
        let script = registry_of(&tokens).on_when("POST", mount, with_token, [denied]);
        let (mounts, fetched) = mounts_of(script, &tokens, jobs).await;
        assert!(mounts <= most && fetched <= 3, "{mounts}, {fetched}");
    }
}

#[tokio::test]
async fn fault_b2_a_real_registry_is_not_asked_for_each_blob_of_a_source_that_is_not_ours() {
    let life = Duration::from_secs(60);
    let tokens = TokenServer::start_denying("base", life);
    let Some(registry) = DockerRegistry::start_with(&tokens.auth()) else {
        return;
    };
    let host: Registry = registry.address().to_string().parse().unwrap();
    let given = Given::new(host.clone(), password().unwrap(), "the test");
    let builder = Client::builder().credentials(Arc::new(given));
    let client = builder.build().unwrap();
    let of = |name: &str| client.repository(&format!("{host}/{name}").parse().unwrap());
    let (base, app) = (of("base"), of("app"));
    for seed in 0..25 {
        let put = app.put_blob(&blob_from(seed, &base)).await;
        assert_eq!(put.unwrap(), Outcome::Written);
    }
    let log = registry.log();
    let mounts = log.lines().filter(|line| {
        // One line of the log for each request.
        line.contains("\"POST ") && line.contains("mount=")
    });
    assert!(mounts.count() <= 3, "{log}");
    assert!(tokens.requests().len() <= 4, "{:?}", tokens.requests());
}

#[tokio::test]
async fn fault_b2_a_source_that_the_token_server_refuses_is_given_up_for_all_blobs() {
    let denied = Answer::error(403, "DENIED", "not yours");
    let reads = |request: &RecordedRequest| request.target.contains("base");
    let script = Script::new().on("*", "/token", [granted()]);
    let tokens = FaultServer::start(script.on_when("*", "/token", reads, [denied]));
    let (mounts, fetched) = mounts_of(registry_of(&tokens), &tokens, 1).await;
    assert!(mounts <= 1 && fetched <= 2, "{mounts}, {fetched}");
}

#[tokio::test]
async fn fault_b2_a_refusal_that_a_new_token_did_not_cure_is_not_paid_again() {
    let tokens = scribe();
    let script = registry_of(&tokens).on("HEAD", "/v2/*/blobs/*", [challenge(&tokens)]);
    let registry = FaultServer::start(script);
    let client = client(&registry, password());
    let app = named(&client, &registry, "app");
    app.resolve(&tag()).await.unwrap_err();
    for seed in 0..10 {
        drop(
            app.blob_size(&described(&seeded_bytes(seed, 10)).digest)
                .await,
        );
    }
    // A refused HEAD is followed by a GET, which needs no other token.
    let heads =
        |request: &RecordedRequest| request.method == "HEAD" && request.target.contains("/blobs/");
    assert_eq!(count(&registry, heads), 11, "{:?}", registry.lines());
    assert_eq!(tokens.requests().len(), 2, "{:?}", tokens.lines());
}

#[tokio::test]
async fn fault_b2_a_token_that_was_refused_once_in_vain_is_renewed_when_it_expires() {
    let tokens = scribe();
    let good = push_registry().on(
        "HEAD",
        "/v2/*/blobs/*",
        [
            // In vain.
            challenge(&tokens),
            challenge(&tokens),
            // The registry is well again.
            Answer::status(200).header("Content-Length", "10"),
            // The token was revoked.
            challenge(&tokens),
            Answer::status(200).header("Content-Length", "10"),
        ],
    );
    let bare = |request: &RecordedRequest| shown(request).is_empty();
    let registry = FaultServer::start(good.on_when("*", "/v2/*/*", bare, [challenge(&tokens)]));
    let client = client(&registry, password());
    let app = named(&client, &registry, "app");
    app.resolve(&tag()).await.unwrap_err();
    let digest = described(&seeded_bytes(1, 10)).digest;
    let found = [
        app.blob_size(&digest).await.is_ok(),
        app.blob_size(&digest).await.is_ok(),
        app.blob_size(&digest).await.is_ok(),
    ];
    assert_eq!(found, [false, true, true], "{:?}", registry.lines());
}

#[tokio::test]
async fn fault_b16_a_token_server_without_post_is_asked_with_get() {
    let identity = Credential::IdentityToken("identity".into());
    // base64 of `<token>:identity`.
    let basic = "Basic PHRva2VuPjppZGVudGl0eQ==";
    for status in [401, 404, 405, 501] {
        let script = Script::new().on("GET", "/token", [granted()]).on(
            "POST",
            "/token",
            [Answer::status(status)],
        );
        let tokens = FaultServer::start(script);
        let registry = FaultServer::start(registry_of(&tokens));
        let client = client(&registry, Some(identity.clone()));
        let (source, root) = image(&[seeded_bytes(1, 1000)]).await;
        for name in ["app", "other"] {
            let to = named(&client, &registry, name);
            let roots = std::slice::from_ref(&root);
            copy(&source, &to, roots, &in_turn()).await.unwrap();
        }
        assert_eq!(count(&tokens, |one| one.method == "POST"), 1, "{status}");
        let gets = |request: &RecordedRequest| request.header("authorization") == Some(basic);
        // One for each repository, and one to mount from one into the other.
        assert_eq!(count(&tokens, gets), 3, "{status}");
    }
}

#[tokio::test]
async fn fault_b16_a_token_server_without_get_is_asked_with_post() {
    let script =
        Script::new()
            .on("GET", "/token", [Answer::status(405)])
            .on("POST", "/token", [granted()]);
    let tokens = FaultServer::start(script);
    let registry = FaultServer::start(registry_of(&tokens));
    let client = client(&registry, password());
    named(&client, &registry, "app")
        .resolve(&tag())
        .await
        .unwrap_err();
    let asked = tokens.requests().pop().unwrap();
    assert_eq!(asked.header("authorization"), None);
    assert_eq!(
        String::from_utf8(asked.body.to_vec()).unwrap(),
        "grant_type=password&username=me&password=hidden&service=r\
         &scope=repository%3Aapp%3Apull&client_id=wharf"
    );
}

#[tokio::test]
async fn fault_b16_where_no_way_works_the_usual_one_is_told() {
    let script = Script::new()
        .on(
            "GET",
            "/token",
            [Answer::error(400, "ODD", "the other way: <token> hidden")],
        )
        .on(
            "POST",
            "/token",
            [Answer::error(404, "GONE", "the usual way")],
        );
    let tokens = FaultServer::start(script);
    let registry = FaultServer::start(registry_of(&tokens));
    let identity = Credential::IdentityToken("hidden".into());
    let client = client(&registry, Some(identity));
    let error = named(&client, &registry, "app").resolve(&tag()).await;
    let text = error.unwrap_err().to_string();
    assert!(
        text.contains("404 Not Found: GONE: the usual way"),
        "{text}"
    );
    assert!(!text.contains("hidden"), "{text}");
}

#[tokio::test]
async fn fault_b12_a_lifetime_in_quotes_is_believed() {
    let answer = r#"{"token":null,"access_token":"t","expires_in":"3600","issued_at":"?"}"#;
    let script = Script::new().on("*", "/token", [Answer::status(200).body(answer)]);
    let tokens = FaultServer::start(script);
    let registry = FaultServer::start(registry_of(&tokens));
    let client = client(&registry, password());
    let (source, root) = image(&[seeded_bytes(1, 1000)]).await;
    let app = named(&client, &registry, "app");
    copy(&source, &app, &[root], &in_turn()).await.unwrap();
    assert_eq!(tokens.requests().len(), 1, "{:?}", tokens.lines());
}

/// Credentials in a place that cannot be read.
#[derive(Debug)]
struct Broken;

#[async_trait]
impl Credentials for Broken {
    async fn find(&self, _: &Registry, _: Option<&RepositoryName>) -> Result<Option<Found>> {
        Err(Error::new(ErrorKind::NotFound, "the vault is gone"))
    }

    fn places(&self) -> Vec<String> {
        vec!["the vault".to_owned()]
    }
}

fn broken() -> Client {
    Client::builder()
        .credentials(Arc::new(Broken))
        .build()
        .unwrap()
}

#[tokio::test]
async fn fault_b10_anonymous_access_does_without_credentials_that_cannot_be_read() {
    let tokens = scribe();
    let registry = FaultServer::start(registry_of(&tokens));
    let (source, root) = image(&[seeded_bytes(1, 1000)]).await;
    let app = named(&broken(), &registry, "app");
    copy(&source, &app, &[root], &in_turn()).await.unwrap();
    let nothing = |request: &RecordedRequest| request.header("authorization").is_none();
    assert_eq!(count(&tokens, nothing), tokens.requests().len());
}

#[tokio::test]
async fn fault_b10_where_credentials_are_needed_it_says_why_there_are_none() {
    let wants = Answer::status(401).header("WWW-Authenticate", "Basic realm=\"x\"");
    let registry = FaultServer::start(Script::new().on("*", "*", [wants]));
    let app = named(&broken(), &registry, "app");
    let error = app.resolve(&tag()).await.unwrap_err();
    let expected = format!("{}/app: credentials: the vault is gone", registry.address());
    assert_eq!(error.to_string(), expected);

    // The token server wants them.
    let denied = Answer::error(401, "DENIED", "no anonymous tokens");
    let tokens = FaultServer::start(Script::new().on("*", "/token", [denied]));
    let registry = FaultServer::start(registry_of(&tokens));
    let error = named(&broken(), &registry, "app")
        .resolve(&tag())
        .await
        .unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains("no anonymous tokens; credentials: the vault is gone"),
        "{text}"
    );
    assert_eq!(error.refusal().unwrap().lack, Lack::Source);

    // The registry wants more than the anonymous token.
    let tokens = scribe();
    let script = registry_of(&tokens);
    let denied = Answer::error(403, "DENIED", "not yours");
    let registry =
        FaultServer::start(script.on_when("*", "/v2/*", |one| !shown(one).is_empty(), [denied]));
    let error = named(&broken(), &registry, "app")
        .manifest_at(&tag())
        .await
        .unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains("not yours; credentials: the vault is gone"),
        "{text}"
    );
}

#[tokio::test]
async fn fault_b10_a_password_is_shown_though_another_place_cannot_be_read() {
    let wants = Answer::status(401).header("WWW-Authenticate", "Basic realm=\"x\"");
    let bare = |request: &RecordedRequest| request.header("authorization") != Some(BASIC);
    let registry = FaultServer::start(push_registry().on_when("*", "/v2/*/*", bare, [wants]));
    let host: Registry = registry.address().to_string().parse().unwrap();
    let given = Given::new(host, password().unwrap(), "the test");
    let chain = wharf::credentials::Chain::new(vec![Arc::new(Broken), Arc::new(given)]);
    let client = Client::builder()
        .credentials(Arc::new(chain))
        .build()
        .unwrap();
    let (source, root) = image(&[seeded_bytes(1, 1000)]).await;
    let app = named(&client, &registry, "app");
    copy(&source, &app, &[root], &in_turn()).await.unwrap();
}
