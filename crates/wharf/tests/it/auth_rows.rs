//! Authentication, row by row of wire.md (M3, A1, A2, section 11), against scripted servers that
//! record every request.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use futures::{FutureExt, StreamExt};
use wharf::blob::Blob;
use wharf::copy::{Root, copy};
use wharf::credentials::{Credential, Given};
use wharf::memory::RegistryMemory;
use wharf::oci::{Descriptor, MediaType, Registry};
use wharf::remote::{Client, RemoteRepository};
use wharf::store::{Memory, Source, Store};
use wharf::{Error, ErrorKind, Result};
use wharf_testkit::{
    Answer, DockerRegistry, FaultServer, RecordedRequest, RegistryAuth, Script, TokenServer,
    push_registry, seeded_bytes,
};

use crate::support::{BASIC, descriptor, image, options};

fn client_with(registry: &FaultServer, credential: Option<Credential>) -> Client {
    let mut builder = Client::builder();
    if let Some(credential) = credential {
        let host: Registry = registry.address().to_string().parse().unwrap();
        builder = builder.credentials(Arc::new(Given::new(host, credential, "the test")));
    }
    builder.build().unwrap()
}

fn password() -> Option<Credential> {
    Some(Credential::password("me", "hidden".into()))
}

fn repository(client: &Client, registry: &FaultServer, name: &str) -> RemoteRepository {
    let name = format!("{}/{name}", registry.address());
    client.repository(&name.parse().unwrap()).single_tries()
}

fn shows(value: &'static str) -> impl Fn(&RecordedRequest) -> bool + Send + Sync {
    move |request| request.header("authorization") != Some(value)
}

/// A registry that accepts only requests with `authorization`; others get `challenge`.
fn guarded(authorization: &'static str, challenge: &str) -> Script {
    let refusal = Answer::error(401, "UNAUTHORIZED", "authentication required")
        .header("WWW-Authenticate", challenge);
    push_registry().on_when("*", "/v2/*/*", shows(authorization), [refusal])
}

/// A token server that gives `token-1`, `token-2`, …, each for `life` seconds.
fn token_server(life: u32) -> FaultServer {
    let count = AtomicU32::new(0);
    let answer = Answer::from_fn(move |_| {
        let number = count.fetch_add(1, Ordering::Relaxed) + 1;
        let body = format!(r#"{{"token":"token-{number}","expires_in":{life}}}"#);
        Answer::status(200).body(body)
    });
    FaultServer::start(Script::new().on("*", "/token", [answer]))
}

fn bearer(tokens: &FaultServer) -> String {
    format!(
        r#"Bearer realm="{}/token",service="the registry""#,
        tokens.base()
    )
}

async fn push(store: &RemoteRepository, source: &Memory, root: &Root) -> Result<()> {
    let roots = std::slice::from_ref(root);
    copy(source, store, roots, &options().0).await.map(|_| ())
}

/// Requests without credentials, except probes.
fn bare(server: &FaultServer) -> Vec<String> {
    let requests = server.requests().into_iter();
    requests
        .filter(|request| request.header("authorization").is_none() && request.path() != "/v2/")
        .map(|request| request.line())
        .collect()
}

fn nothing_shown(server: &FaultServer) {
    for request in server.requests() {
        assert_eq!(request.header("authorization"), None, "{}", request.line());
        let sent = String::from_utf8_lossy(&request.body).into_owned() + &request.target;
        assert!(!sent.contains("hidden"), "{}", request.line());
    }
}

#[tokio::test]
async fn a1_the_first_request_goes_out_bare_and_its_refusal_is_answered() {
    let registry = FaultServer::start(guarded(BASIC, r#"Basic realm="x""#));
    let client = client_with(&registry, password());
    let (source, root) = image(&[seeded_bytes(1, 1000)]).await;
    push(&repository(&client, &registry, "app"), &source, &root)
        .await
        .unwrap();
    assert_eq!(bare(&registry), ["HEAD /v2/app/manifests/v1"]);
    // The challenge is known for the whole host by now.
    push(&repository(&client, &registry, "other"), &source, &root)
        .await
        .unwrap();
    assert_eq!(bare(&registry).len(), 1);
}

#[tokio::test]
async fn a1_the_next_run_knows_what_is_wanted_and_a_wrong_memory_costs_a_request() {
    let memory = RegistryMemory::in_process();
    let run = |registry: &FaultServer| {
        let host: Registry = registry.address().to_string().parse().unwrap();
        let given = Given::new(host, password().unwrap(), "the test");
        let client = Client::builder()
            .memory(memory.clone())
            .credentials(Arc::new(given))
            .build()
            .unwrap();
        repository(&client, registry, "app")
    };
    let tokens = token_server(300);
    let any = |request: &RecordedRequest| request.header("authorization").is_none();
    let refusal = Answer::status(401).header("WWW-Authenticate", &bearer(&tokens));
    let registry = FaultServer::start(push_registry().on_when("*", "/v2/*/*", any, [refusal]));
    for tokens_so_far in [1, 2] {
        drop(run(&registry).resolve(&tag()).await);
        assert_eq!(tokens.requests().len(), tokens_so_far);
        assert_eq!(bare(&registry), ["HEAD /v2/app/manifests/v1"]);
    }
    // The token server is gone: the memory is of no use, and the registry is asked again.
    drop(tokens);
    let error = run(&registry).resolve(&tag()).await.unwrap_err();
    assert_eq!(bare(&registry).len(), 2);
    assert_eq!(error.kind(), ErrorKind::Unreachable, "{error}");
}

#[tokio::test]
async fn a1_without_credentials_the_refusal_says_where_none_were_found() {
    let registry = FaultServer::start(guarded(BASIC, "Basic"));
    let client = client_with(&registry, None);
    let (source, root) = image(&[]).await;
    let store = repository(&client, &registry, "app");
    let error = push(&store, &source, &root).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unauthorized);
    assert_eq!(
        error.refusal().map(|refusal| refusal.registry.to_string()),
        Some(registry.address().to_string())
    );
    assert!(
        error.to_string().contains("tried without credentials"),
        "{error}"
    );
}

#[tokio::test]
async fn a1_wrong_credentials_are_shown_once_and_named_by_their_source() {
    let registry = FaultServer::start(guarded("Basic other", "Basic"));
    let client = client_with(&registry, password());
    let store = repository(&client, &registry, "app");
    let error = store.resolve(&tag()).await.unwrap_err();
    assert!(
        error
            .to_string()
            .contains("tried the credentials from the test"),
        "{error}"
    );
    assert!(!error.to_string().contains("hidden"), "{error}");
    let shown = registry.requests().into_iter();
    let shown: Vec<_> = shown
        .map(|request| request.header("authorization").map(str::to_owned))
        .collect();
    assert_eq!(shown, [None, Some(BASIC.to_owned())]);
}

fn tag() -> wharf::oci::Selector {
    wharf::oci::Selector::Tag("v1".parse().unwrap())
}

#[tokio::test]
async fn a2_one_token_serves_all_requests_of_a_push() {
    let tokens = token_server(300);
    let registry = FaultServer::start(guarded("Bearer token-1", &bearer(&tokens)));
    let client = client_with(&registry, password());
    let layers: Vec<_> = (1..9).map(|seed| seeded_bytes(seed, 1000)).collect();
    let (source, root) = image(&layers).await;
    push(&repository(&client, &registry, "app"), &source, &root)
        .await
        .unwrap();
    let asked = tokens.requests();
    assert_eq!(asked.len(), 1, "{:?}", tokens.lines());
    assert_eq!(asked[0].header("authorization"), Some(BASIC));
    assert_eq!(
        asked[0].query("scope").as_deref(),
        Some("repository:app:pull,push")
    );
    assert_eq!(asked[0].query("service").as_deref(), Some("the+registry"));
    assert_eq!(bare(&registry), ["HEAD /v2/app/manifests/v1"]);
}

#[tokio::test]
async fn a2_nobody_in_particular_gets_a_token_too() {
    let tokens = token_server(300);
    let registry = FaultServer::start(guarded("Bearer token-1", &bearer(&tokens)));
    let client = client_with(&registry, None);
    let (source, root) = image(&[seeded_bytes(1, 1000)]).await;
    push(&repository(&client, &registry, "app"), &source, &root)
        .await
        .unwrap();
    nothing_shown(&tokens);
}

#[tokio::test]
async fn a2_an_identity_token_is_exchanged_by_post() {
    let tokens = token_server(300);
    let registry = FaultServer::start(guarded("Bearer token-1", &bearer(&tokens)));
    let identity = Credential::IdentityToken("a+b&c".into());
    let client = client_with(&registry, Some(identity));
    let (source, root) = image(&[]).await;
    push(&repository(&client, &registry, "app"), &source, &root)
        .await
        .unwrap();
    let asked = tokens.requests().remove(0);
    assert_eq!(asked.line(), "POST /token");
    assert_eq!(
        String::from_utf8(asked.body.to_vec()).unwrap(),
        "grant_type=refresh_token&refresh_token=a%2Bb%26c&service=the+registry\
         &scope=repository%3Aapp%3Apull%2Cpush&client_id=wharf"
    );
}

#[tokio::test]
async fn a2_a_registry_token_is_shown_as_it_is() {
    let tokens = token_server(300);
    let registry = FaultServer::start(guarded("Bearer ready", &bearer(&tokens)));
    let token = Credential::RegistryToken("ready".into());
    let client = client_with(&registry, Some(token));
    let (source, root) = image(&[]).await;
    push(&repository(&client, &registry, "app"), &source, &root)
        .await
        .unwrap();
    assert_eq!(tokens.lines(), [""; 0]);
}

/// A registry that accepts each token for some requests and then requires the next one.
fn forgetful(tokens: &FaultServer, uses: u32) -> Script {
    let refusal = Answer::error(401, "UNAUTHORIZED", "token expired")
        .header("WWW-Authenticate", &bearer(tokens));
    let used = AtomicU32::new(0);
    let over = move |request: &RecordedRequest| {
        let number = used.load(Ordering::Relaxed) / uses + 1;
        let good = request.header("authorization") == Some(&format!("Bearer token-{number}"));
        used.fetch_add(u32::from(good), Ordering::Relaxed);
        !good
    };
    push_registry().on_when("*", "/v2/*/*", over, [refusal])
}

#[tokio::test]
async fn a2_rule_1_a_refusal_in_the_middle_is_answered_with_a_new_token_and_the_body_made_anew() {
    let tokens = token_server(300);
    let registry = FaultServer::start(forgetful(&tokens, 3));
    let client = client_with(&registry, password());
    let layers: Vec<_> = (1..6).map(|seed| seeded_bytes(seed, 300_000)).collect();
    let (source, root) = image(&layers).await;
    let store = repository(&client, &registry, "app");
    let options = wharf::copy::CopyOptions {
        jobs: 1,
        checks: 1,
        ..options().0
    };
    copy(&source, &store, &[root], &options).await.unwrap();
    assert!(tokens.requests().len() > 4, "{:?}", tokens.lines());
}

#[tokio::test]
async fn a2_a_stream_that_comes_once_survives_a_refusal_before_its_second_chunk() {
    let tokens = token_server(300);
    // A stream needs no HEAD: POST has the first token, PATCH is refused with it.
    let refusal = Answer::error(401, "UNAUTHORIZED", "token expired")
        .header("WWW-Authenticate", &bearer(&tokens))
        .without_reading();
    let registry = FaultServer::start(
        guarded("Bearer token-1", &bearer(&tokens))
            .on(
                "PATCH",
                "/v2/*/blobs/uploads/*",
                [refusal, Answer::status(202)],
            )
            .on("PUT", "/v2/*/blobs/uploads/*", [Answer::status(201)]),
    );
    let client = client_with(&registry, password());
    let bytes = futures::stream::once(async { Ok(seeded_bytes(1, 1000).into()) });
    let store = repository(&client, &registry, "app");
    let pushed = store
        .ingest(
            &MediaType::OCI_LAYER_GZIP,
            wharf::intake::once(Box::pin(bytes)),
        )
        .await;
    assert_eq!(pushed.unwrap().size, 1000);
    let patches = registry
        .requests()
        .into_iter()
        .filter(|request| request.method == "PATCH");
    let shown: Vec<_> = patches
        .map(|patch| patch.header("authorization").map(str::to_owned))
        .collect();
    assert_eq!(
        shown,
        ["Bearer token-1", "Bearer token-2"].map(|token| Some(token.to_owned()))
    );
}

#[tokio::test]
async fn a2_a_registry_that_takes_no_token_at_all_is_asked_once_more_and_no_more() {
    let tokens = token_server(300);
    let registry = FaultServer::start(guarded("Bearer no such", &bearer(&tokens)));
    let client = client_with(&registry, password());
    let store = repository(&client, &registry, "app");
    let error = store.resolve(&tag()).await.unwrap_err();
    assert!(
        error
            .to_string()
            .contains("from the test, for repository:app:pull"),
        "{error}"
    );
    assert_eq!(registry.requests().len(), 2, "{:?}", registry.lines());
    assert_eq!(tokens.requests().len(), 1);
}

#[tokio::test]
async fn a2_a_refusal_of_the_token_server_is_told_in_its_words_and_once_for_all() {
    let refusal = Answer::status(401)
        .body(r#"{"details":"incorrect username or password"}"#)
        .after(Duration::from_millis(50));
    let tokens = FaultServer::start(Script::new().on("*", "/token", [refusal]));
    let registry = FaultServer::start(guarded("Bearer no such", &bearer(&tokens)));
    let client = client_with(&registry, password());
    let store = repository(&client, &registry, "app");
    let tag = tag();
    let asked = futures::future::join_all((0..8).map(|_| store.resolve(&tag))).await;
    for error in asked.into_iter().map(Result::unwrap_err) {
        let text = error.to_string();
        assert!(
            text.contains("401 Unauthorized: incorrect username or password"),
            "{text}"
        );
        assert!(
            text.contains("tried the credentials from the test"),
            "{text}"
        );
        assert_eq!(error.kind(), ErrorKind::Unauthorized);
    }
    assert_eq!(tokens.requests().len(), 1, "{:?}", tokens.lines());
}

#[tokio::test]
async fn a1_what_was_not_asked_for_or_does_not_fit_is_not_said_to_be_missing() {
    let text = async |script: Script, credential| {
        let registry = FaultServer::start(script);
        let client = client_with(&registry, credential);
        let store = repository(&client, &registry, "app");
        store.manifest_at(&tag()).await.unwrap_err().to_string()
    };
    for (status, expected) in [
        (403, "403 Forbidden; it requests no credentials"),
        (429, "429 Too Many Requests"),
    ] {
        let script = push_registry().on("GET", "/v2/*/manifests/*", [Answer::status(status)]);
        let text = text(script, password()).await;
        assert!(text.ends_with(expected), "{text}");
    }
    let script = guarded(BASIC, "Basic realm=\"x\"");
    let token = Credential::IdentityToken("hidden".into());
    let text = text(script, Some(token)).await;
    let expected = "it requires a password, but the test has a token";
    assert!(text.contains(expected), "{text}");
}

/// Refuses, and repeats the credentials in every possible way.
fn indiscreet() -> Answer {
    Answer::from_fn(|request| {
        let shown = request.header("authorization").unwrap_or("nothing");
        let sent = String::from_utf8_lossy(&request.body).into_owned();
        let plain = if shown == BASIC { "hidden" } else { "" };
        let message = format!("you sent {shown}, that is {plain}, and {sent}");
        Answer::error(401, "DENIED", &message)
    })
}

#[tokio::test]
async fn p3_what_a_server_repeats_of_a_secret_is_not_told() {
    let tokens = FaultServer::start(Script::new().on("*", "/token", [indiscreet()]));
    let asks = Answer::status(401).header("WWW-Authenticate", &bearer(&tokens));
    let basic = Answer::status(401).header("WWW-Authenticate", "Basic realm=\"x\"");
    let bare = |request: &RecordedRequest| request.header("authorization").is_none();
    let identity = Credential::IdentityToken("refresh-hidden".into());
    for (first, credential, forbidden) in [
        (asks.clone(), password(), "bWU6aGlkZGVu"),
        (asks, Some(identity), "refresh-"),
        (basic, password(), "bWU6aGlkZGVu"),
    ] {
        let script = Script::new()
            .on("*", "/v2/*", [indiscreet()])
            .on_when("*", "/v2/*", bare, [first])
            .on("GET", "/v2/", [Answer::status(200)]);
        let registry = FaultServer::start(script);
        let client = client_with(&registry, credential);
        let store = repository(&client, &registry, "app");
        let error = store.manifest_at(&tag()).await.unwrap_err();
        let text = format!("{error} {error:#?}");
        assert!(text.contains("DENIED: you sent "), "{text}");
        assert!(text.contains('…') && !text.contains("hidden"), "{text}");
        assert!(!text.contains(forbidden), "{text}");
    }
}

#[tokio::test]
async fn a2_the_scope_that_a_refusal_names_is_asked_for() {
    let tokens = token_server(300);
    let more = format!(
        r#"{},scope="repository:app:pull other:thing:do""#,
        bearer(&tokens)
    );
    let registry = FaultServer::start(guarded("Bearer token-1", &more));
    let client = client_with(&registry, password());
    let store = repository(&client, &registry, "app");
    drop(store.resolve(&tag()).await);
    let line = tokens.lines().remove(0);
    assert!(
        line.ends_with("&scope=repository%3Aapp%3Apull&scope=other%3Athing%3Ado"),
        "{line}"
    );
}

#[tokio::test]
async fn m3_a_mount_asks_for_the_destination_first_and_then_for_its_source() {
    let tokens = token_server(300);
    let any = |request: &RecordedRequest| request.header("authorization").is_none();
    let refusal = Answer::status(401).header("WWW-Authenticate", &bearer(&tokens));
    let mounted = Answer::status(201);
    let registry = FaultServer::start(
        push_registry()
            .on("POST", "/v2/app/blobs/uploads/?mount=*", [mounted])
            .on_when("*", "/v2/*/*", any, [refusal]),
    );
    let client = client_with(&registry, password());
    let source = repository(&client, &registry, "base/image");
    let store = repository(&client, &registry, "app");
    let blob = source.blob(&described(b"some layer"));
    assert_eq!(
        store.put_blob(&blob).await.unwrap(),
        wharf::store::Outcome::Mounted
    );
    let line = tokens.lines().pop().unwrap();
    assert!(
        line.ends_with(
            "scope=repository%3Aapp%3Apull%2Cpush&scope=repository%3Abase%2Fimage%3Apull"
        ),
        "{line}"
    );
}

fn described(bytes: &[u8]) -> Descriptor {
    let digest = wharf::oci::Digest::of(bytes);
    Descriptor::new(MediaType::OCI_LAYER_GZIP, digest, bytes.len() as u64)
}

#[tokio::test]
async fn m3_a_source_that_may_not_be_read_costs_the_mount_and_not_the_push() {
    let refuses = |request: &RecordedRequest| request.target.contains("base");
    let tokens = FaultServer::start(
        Script::new()
            .on(
                "GET",
                "/token",
                [Answer::status(200).body(r#"{"token":"token-1"}"#)],
            )
            .on_when(
                "GET",
                "/token",
                refuses,
                [Answer::error(403, "DENIED", "not yours")],
            ),
    );
    let bytes = seeded_bytes(7, 1000);
    let descriptor = described(&bytes);
    let registry = FaultServer::start(guarded("Bearer token-1", &bearer(&tokens)));
    let client = client_with(&registry, password());
    let origin = repository(&client, &registry, "base/image");
    let blob = Blob::new(descriptor, move |_| {
        let chunk = bytes.clone().into();
        async move { Ok(futures::stream::iter([Ok(chunk)]).boxed()) }.boxed()
    });
    let blob = blob.with_origin(origin.repository().clone());
    let store = repository(&client, &registry, "app");
    let put = store.put_blob(&blob).await;
    assert_eq!(put.unwrap(), wharf::store::Outcome::Written);
    let mounts = registry
        .lines()
        .into_iter()
        .filter(|line| line.contains("mount="));
    assert_eq!(
        mounts.count(),
        1,
        "the first, bare one: {:?}",
        registry.lines()
    );
}

/// A registry that requires BASIC and redirects uploads to `location`.
fn sends_to(location: &str) -> FaultServer {
    let session = Answer::status(202).header("Location", location);
    let taken = |request: &RecordedRequest| request.header("authorization") == Some(BASIC);
    FaultServer::start(guarded(BASIC, "Basic").on_when(
        "POST",
        "/v2/*/blobs/uploads/",
        taken,
        [session],
    ))
}

fn elsewhere(script: Script) -> FaultServer {
    FaultServer::start_on(Ipv4Addr::new(127, 0, 0, 2).into(), script)
}

#[tokio::test]
async fn m5_credentials_do_not_go_where_a_location_points() {
    let challenge = Answer::status(401).header("WWW-Authenticate", "Basic");
    for answer in [Answer::status(201), challenge] {
        let other = elsewhere(Script::new().on("*", "*", [answer]));
        let registry = sends_to(&format!("{}/session", other.base()));
        let client = client_with(&registry, password());
        let (source, root) = image(&[seeded_bytes(1, 1000)]).await;
        let _ = push(&repository(&client, &registry, "app"), &source, &root).await;
        assert!(!other.requests().is_empty());
        nothing_shown(&other);
    }
}

#[tokio::test]
async fn rule_2_credentials_do_not_go_along_with_a_redirect_to_another_origin() {
    let wants = Answer::status(401).header("WWW-Authenticate", "Basic");
    let other = elsewhere(Script::new().on("*", "*", [wants]));
    let redirect = Answer::status(307).header("Location", &format!("{}/x", other.base()));
    let taken = |request: &RecordedRequest| request.header("authorization") == Some(BASIC);
    let registry =
        FaultServer::start(guarded(BASIC, "Basic").on_when("*", "/v2/*/*", taken, [redirect]));
    let client = client_with(&registry, password());
    let store = repository(&client, &registry, "app");
    assert!(store.resolve(&tag()).await.is_err());
    let (source, root) = image(&[seeded_bytes(1, 1000)]).await;
    assert!(push(&store, &source, &root).await.is_err());
    assert!(!other.requests().is_empty());
    nothing_shown(&other);
}

#[tokio::test]
async fn rule_2_another_port_is_another_origin() {
    let other = FaultServer::start(Script::new().on("*", "*", [Answer::status(404)]));
    let redirect = Answer::status(307).header("Location", &format!("{}/x", other.base()));
    let taken = |request: &RecordedRequest| request.header("authorization") == Some(BASIC);
    let registry =
        FaultServer::start(guarded(BASIC, "Basic").on_when("*", "/v2/*/*", taken, [redirect]));
    let client = client_with(&registry, password());
    assert!(
        repository(&client, &registry, "app")
            .resolve(&tag())
            .await
            .is_err()
    );
    assert!(!other.requests().is_empty());
    nothing_shown(&other);
}

#[tokio::test]
async fn rule_2_an_identity_token_is_not_sent_on_from_the_token_server() {
    let other =
        elsewhere(Script::new().on("*", "*", [Answer::status(200).body(r#"{"token":"t"}"#)]));
    let redirect = Answer::status(307).header("Location", &format!("{}/token", other.base()));
    let tokens = FaultServer::start(Script::new().on("*", "*", [redirect]));
    let registry = FaultServer::start(guarded("Bearer t", &bearer(&tokens)));
    let client = client_with(&registry, Some(Credential::IdentityToken("hidden".into())));
    let error = repository(&client, &registry, "app")
        .resolve(&tag())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Refused, "{error}");
    assert_eq!(other.lines(), [""; 0]);
}

#[tokio::test]
async fn rule_2_a_password_is_not_sent_on_from_the_token_server() {
    let other =
        elsewhere(Script::new().on("*", "*", [Answer::status(200).body(r#"{"token":"t"}"#)]));
    let redirect = Answer::status(302).header("Location", &format!("{}/token", other.base()));
    let tokens = FaultServer::start(Script::new().on("*", "*", [redirect]));
    let registry = FaultServer::start(guarded("Bearer t", &bearer(&tokens)));
    let client = client_with(&registry, password());
    drop(repository(&client, &registry, "app").resolve(&tag()).await);
    nothing_shown(&other);
}

#[tokio::test]
async fn rule_2_a_token_server_without_tls_elsewhere_gets_nothing() {
    // A name that would resolve to this machine.
    let tokens = FaultServer::start(Script::new());
    let realm = format!(
        "Bearer realm=\"http://tokens.example:{}/token\"",
        tokens.address().port()
    );
    let registry = FaultServer::start(guarded("Bearer t", &realm));
    let host: Registry = registry.address().to_string().parse().unwrap();
    let credential = password().unwrap();
    let client = Client::builder()
        .resolve("tokens.example", tokens.address())
        .credentials(Arc::new(Given::new(host, credential, "the test")))
        .build()
        .unwrap();
    let error = repository(&client, &registry, "app")
        .resolve(&tag())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Refused, "{error}");
    assert_eq!(tokens.lines(), [""; 0]);
}

#[tokio::test]
async fn rule_5_a_token_server_that_talks_without_end_is_cut_off() {
    let endless = Answer::status(200).body(vec![b' '; 1 << 20]);
    let tokens = FaultServer::start(Script::new().on("*", "*", [endless]));
    let registry = FaultServer::start(guarded("Bearer t", &bearer(&tokens)));
    let client = client_with(&registry, password());
    let error: Error = repository(&client, &registry, "app")
        .resolve(&tag())
        .await
        .unwrap_err();
    assert!(
        error.to_string().contains("longer than 65536 bytes"),
        "{error}"
    );
}

#[tokio::test]
async fn rule_10_nothing_that_is_printed_of_a_client_holds_a_secret() {
    let tokens = token_server(300);
    let registry = FaultServer::start(guarded("Bearer token-1", &bearer(&tokens)));
    let client = client_with(&registry, password());
    let store = repository(&client, &registry, "app");
    let _ = store.resolve(&tag()).boxed().await;
    let printed = format!("{client:?} {store:?}");
    assert!(
        !printed.contains("hidden") && !printed.contains("token-1"),
        "{printed}"
    );
}

fn client_of(registry: &DockerRegistry, credential: Credential) -> Client {
    let host: Registry = registry.address().to_string().parse().unwrap();
    let given = Given::new(host, credential, "the test");
    Client::builder()
        .credentials(Arc::new(given))
        .build()
        .unwrap()
}

#[tokio::test]
async fn a1_a_real_registry_takes_a_password() {
    let Some(registry) = DockerRegistry::start_with(&RegistryAuth::Basic) else {
        return;
    };
    let client = client_of(&registry, password().unwrap());
    let store = client.repository(&format!("{}/app", registry.address()).parse().unwrap());
    let (source, root) = image(&[seeded_bytes(1, 100_000)]).await;
    push(&store, &source, &root).await.unwrap();
    assert_eq!(store.resolve(&tag()).await.unwrap(), *descriptor(&root));
    let wrong = client_of(&registry, Credential::password("me", "wrong".into()));
    let store = wrong.repository(store.repository());
    let error = store.resolve(&tag()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unauthorized, "{error}");
}

#[tokio::test]
async fn a2_tokens_that_end_in_the_middle_of_a_push_are_replaced() {
    let tokens = TokenServer::start(Duration::from_secs(2));
    let Some(registry) = DockerRegistry::start_with(&tokens.auth()) else {
        return;
    };
    let (source, root) = image(&[]).await;
    // Each blob takes half the lifetime of a token.
    let layers: Vec<_> = (1..5).map(|seed| seeded_bytes(seed, 10_000)).collect();
    for credential in [
        password().unwrap(),
        Credential::IdentityToken("identity".into()),
    ] {
        let store = client_of(&registry, credential)
            .repository(&format!("{}/app", registry.address()).parse().unwrap());
        let before = tokens.requests().len();
        for layer in &layers {
            let slow = layer.clone();
            let blob = Blob::new(described(layer), move |_| {
                let halves = [slow[..5000].to_vec(), slow[5000..].to_vec()];
                let chunks = futures::stream::iter(halves).then(|half| async {
                    tokio::time::sleep(Duration::from_millis(500)).await;
                    Ok(half.into())
                });
                async move { Ok(chunks.boxed()) }.boxed()
            });
            store.put_blob(&blob).await.unwrap();
        }
        push(&store, &source, &root).await.unwrap();
        let asked = tokens.requests().len() - before;
        assert!((2..8).contains(&asked), "{asked} tokens in 4 seconds");
    }
}

#[tokio::test]
async fn m3_a_real_registry_mounts_with_a_token_for_both_repositories() {
    let tokens = TokenServer::start(Duration::from_secs(60));
    let Some(registry) = DockerRegistry::start_with(&tokens.auth()) else {
        return;
    };
    let client = client_of(&registry, password().unwrap());
    let named =
        |name: &str| client.repository(&format!("{}/{name}", registry.address()).parse().unwrap());
    let (source, root) = image(&[seeded_bytes(1, 100_000)]).await;
    push(&named("base/image"), &source, &root).await.unwrap();
    let roots = [root];
    let summary = copy(&named("base/image"), &named("app"), &roots, &options().0)
        .await
        .unwrap();
    assert_eq!((summary.mounted, summary.written), (2, 0));
    let scopes: Vec<_> = tokens
        .requests()
        .iter()
        .map(|request| request.target.clone())
        .collect();
    assert_eq!(scopes.len(), 3, "{scopes:?}");
}

#[tokio::test]
async fn a2_a_session_is_given_up_though_that_takes_another_scope() {
    let tokens = TokenServer::start(Duration::from_secs(60));
    let Some(registry) = DockerRegistry::start_with(&tokens.auth()) else {
        return;
    };
    let client = client_of(&registry, password().unwrap());
    let store = client.repository(&format!("{}/app", registry.address()).parse().unwrap());
    let broken = Blob::new(described(b"promised"), |_| {
        let error = Error::new(ErrorKind::Io, "the disk is gone");
        let chunks = futures::stream::iter([Ok("prom".into()), Err(error)]);
        async move { Ok(chunks.boxed()) }.boxed()
    });
    store.put_blob(&broken).await.unwrap_err();
    client.tidy(Duration::from_secs(10)).await;
    let log = registry.log();
    let mut ends = log
        .lines()
        .filter(|line| line.contains("\"DELETE /v2/app/blobs/uploads/"));
    assert!(ends.any(|line| line.contains(" HTTP/1.1\" 204 ")), "{log}");
}
