//! wire.md M5 and rule 3 with real addresses: each test runs in a network of its own.
//!
//! There a registry has a public address and a server a private one. `near_rows.rs` has the same on
//! loopback addresses, which need no such network.

use std::net::Ipv4Addr;
use std::sync::Arc;

use futures::TryStreamExt;
use wharf::copy::copy;
use wharf::credentials::{Credential, Given};
use wharf::oci::{Digest, Registry, Selector};
use wharf::remote::{Client, ClientBuilder, Insecure, RemoteRepository};
use wharf::store::Source;
use wharf::{Error, ErrorKind, Guard};
use wharf_testkit::network::{self, ELSEWHERE, FAR, METADATA, NEAR, NEIGHBOUR};
use wharf_testkit::{
    Answer, Authority, DockerRegistry, FaultServer, RegistryAuth, Script, TlsFront, push_registry,
    seeded_bytes,
};

use crate::support::{BLOB, MANIFEST, SESSION, UPLOADS, image, options, trusting};

/// The names of all tests here.
const NAMES: [(&str, Ipv4Addr); 8] = [
    ("registry.example", FAR),
    ("cdn.example", ELSEWHERE),
    ("store.example", NEAR),
    ("inner.example", NEIGHBOUR),
    ("metadata.example", METADATA),
    ("machine.example", Ipv4Addr::LOCALHOST),
    // Public, with a private address beside the public one.
    ("both.example", FAR),
    ("both.example", NEAR),
];

/// Hosts with a private address of this network: by address and by name.
const PRIVATE: [(&str, Ipv4Addr); 4] = [
    ("10.66.0.2", NEAR),
    ("store.example", NEAR),
    ("127.0.0.1", Ipv4Addr::LOCALHOST),
    ("machine.example", Ipv4Addr::LOCALHOST),
];

/// How a registry can make a push continue elsewhere.
const WAYS_TO_WRITE: [&str; 6] = [
    "session",
    "post 307",
    "put 307",
    "put 308",
    "next session",
    "manifest 307",
];

/// How a registry can make a read continue elsewhere.
const WAYS_TO_READ: [&str; 4] = ["301", "302", "307", "308"];

const CONTENT: &[u8] = b"content";

/// Whether this process has the network; its caller is the test `name` of this file.
fn apart(name: &str) -> bool {
    network::is_own(&format!("near_network::{name}"), &NAMES)
}

fn on(ip: Ipv4Addr, script: Script) -> FaultServer {
    FaultServer::start_on(ip.into(), script)
}

/// A client with credentials for the registry `host`.
fn client(host: &str) -> ClientBuilder {
    let registry: Registry = host.parse().unwrap();
    let credential = Credential::Password {
        username: "me".to_owned(),
        password: "hidden".into(),
    };
    Client::builder()
        .insecure(Insecure::Yes)
        .credentials(Arc::new(Given::new(registry, credential, "the test")))
}

fn app(client: ClientBuilder, host: &str) -> RemoteRepository {
    let name = format!("{host}/app").parse().unwrap();
    client.build().unwrap().repository(&name)
}

/// The host and port of a server, as `name`.
fn at(name: &str, server: &FaultServer) -> String {
    format!("{name}:{}", server.address().port())
}

async fn push(store: &RemoteRepository) -> wharf::Result<()> {
    let (source, root) = image(&[seeded_bytes(1, 1000)]).await;
    copy(&source, store, &[root], &options().0).await.map(drop)
}

/// Reads a blob, which is the whole of the answer.
async fn read(store: &RemoteRepository) -> wharf::Result<Vec<u8>> {
    let part = store.blob_part(&Digest::of(CONTENT), 0, None).await?;
    let bytes: Vec<_> = part.bytes.try_collect().await?;
    Ok(bytes.concat())
}

fn tag() -> Selector {
    Selector::Tag("v1".parse().unwrap())
}

fn is_near(error: &Error) -> bool {
    error.kind() == ErrorKind::Refused && matches!(error.guard(), Some(Guard::Near { .. }))
}

/// Basic credentials first, so that there is a secret to lose.
fn guarded(script: Script) -> Script {
    let challenge = Answer::status(401).header("WWW-Authenticate", "Basic realm=\"x\"");
    let anonymous =
        |request: &wharf_testkit::RecordedRequest| request.header("authorization").is_none();
    script.on_when("*", "*", anonymous, [challenge])
}

/// A registry that makes a push continue at `to`, a host and port.
fn writes_elsewhere(way: &str, to: &str) -> Script {
    let session =
        Answer::status(202).header("Location", &format!("http://{to}/v2/app/blobs/uploads/1"));
    let moved = |status| {
        Answer::status(status).header(
            "Location",
            &format!("http://{to}{{path}}?digest={{digest}}"),
        )
    };
    let fresh = |request: &wharf_testkit::RecordedRequest| !request.target.contains("state=");
    let script = push_registry();
    guarded(match way {
        "session" => script.on("POST", UPLOADS, [session]),
        "post 307" => script.on("POST", UPLOADS, [moved(307)]),
        "put 307" => script.on("PUT", SESSION, [moved(307)]),
        "put 308" => script.on("PUT", SESSION, [moved(308)]),
        "next session" => script
            .on_when("PUT", SESSION, fresh, [Answer::status(405)])
            .on("PATCH", SESSION, [session]),
        "manifest 307" => script.on("PUT", MANIFEST, [moved(307)]),
        other => panic!("{other}"),
    })
}

/// A registry that sends readers to `to`, a host and port.
fn reads_elsewhere(way: &str, to: &str) -> Script {
    let status = way.parse().unwrap();
    let moved = Answer::status(status).header("Location", &format!("http://{to}{{path}}"));
    guarded(Script::new().on("GET", "/v2/*", [moved]))
}

/// A store of blobs that anyone may read.
fn store() -> Script {
    push_registry().on("GET", BLOB, [Answer::status(200).body(CONTENT)])
}

fn secrets(server: &FaultServer) -> usize {
    let requests = server.requests();
    let with = requests.iter();
    with.filter(|request| request.header("authorization").is_some())
        .count()
}

#[tokio::test]
async fn m5_a_public_registry_sends_no_push_to_a_private_address() {
    if !apart("m5_a_public_registry_sends_no_push_to_a_private_address") {
        return;
    }
    for (host, ip) in PRIVATE {
        let near = on(ip, push_registry());
        for way in WAYS_TO_WRITE {
            let registry = on(FAR, writes_elsewhere(way, &at(host, &near)));
            for own in ["registry.example", "203.0.113.10"] {
                let own = at(own, &registry);
                let error = push(&app(client(&own), &own)).await.unwrap_err();
                assert!(is_near(&error), "{host}, {way}: {error}");
            }
        }
        assert_eq!(near.lines(), [""; 0], "{host}");
    }
}

#[tokio::test]
async fn m5_a_public_registry_sends_a_push_to_a_private_address_that_is_allowed() {
    if !apart("m5_a_public_registry_sends_a_push_to_a_private_address_that_is_allowed") {
        return;
    }
    for (host, ip) in [("10.66.0.2", NEAR), ("store.example", NEAR)] {
        for way in WAYS_TO_WRITE {
            for allowed in [host, &format!("{host}:PORT"), "10.66.0.0/16"] {
                let near = on(ip, push_registry());
                let to = at(host, &near);
                let registry = on(FAR, writes_elsewhere(way, &to));
                let own = at("registry.example", &registry);
                let allowed = allowed.replace("PORT", &near.address().port().to_string());
                let client = client(&own).allow_near(allowed.parse().unwrap());
                let pushed = push(&app(client, &own)).await;
                pushed.unwrap_or_else(|error| panic!("{way}, {allowed}: {error}"));
                assert!(!near.lines().is_empty(), "{way}, {allowed}");
                assert_eq!(secrets(&near), 0, "{way}");
                assert!(secrets(&registry) > 0, "{way}");
            }
        }
    }
}

#[tokio::test]
async fn m5_a_public_registry_sends_no_reader_to_a_private_address_unless_it_is_allowed() {
    if !apart("m5_a_public_registry_sends_no_reader_to_a_private_address_unless_it_is_allowed") {
        return;
    }
    for (host, ip) in PRIVATE {
        for way in WAYS_TO_READ {
            let near = on(ip, store());
            let registry = on(FAR, reads_elsewhere(way, &at(host, &near)));
            let own = at("registry.example", &registry);
            let stranger = app(client(&own), &own);
            let error = read(&stranger).await.unwrap_err();
            assert!(is_near(&error), "{host}, {way}: {error}");
            let error = stranger.manifest_at(&tag()).await.unwrap_err();
            assert!(is_near(&error), "{host}, {way}: {error}");
            let error = stranger.tag_page(None).await.unwrap_err();
            assert!(is_near(&error), "{host}, {way}: {error}");
            let error = stranger.referrers(&Digest::of(CONTENT)).await.unwrap_err();
            assert!(is_near(&error), "{host}, {way}: {error}");
            assert_eq!(near.lines(), [""; 0], "{host}");
            let client = client(&own).allow_near(ip.to_string().parse().unwrap());
            assert_eq!(read(&app(client, &own)).await.unwrap(), CONTENT);
            assert_eq!((near.lines().len(), secrets(&near)), (1, 0), "{host}");
        }
    }
}

#[tokio::test]
async fn m5_the_next_page_is_never_at_another_host() {
    if !apart("m5_the_next_page_is_never_at_another_host") {
        return;
    }
    for (host, ip) in PRIVATE.into_iter().chain([("cdn.example", ELSEWHERE)]) {
        let other = on(
            ip,
            Script::new().on("*", "*", [Answer::status(200).body("{}")]),
        );
        let link = format!(
            "<http://{}/v2/app/tags/list?last=a>; rel=\"next\"",
            at(host, &other)
        );
        let page = |body: &'static str| Answer::status(200).header("Link", &link).body(body);
        let index = page(r#"{"schemaVersion":2,"manifests":[]}"#)
            .header("Content-Type", "application/vnd.oci.image.index.v1+json");
        let script = Script::new()
            .on(
                "GET",
                "/v2/app/tags/list",
                [page(r#"{"name":"app","tags":["a"]}"#)],
            )
            .on("GET", "/v2/app/referrers/*", [index]);
        let registry = on(FAR, guarded(script));
        let own = at("registry.example", &registry);
        let app = app(
            client(&own).allow_near("10.66.0.0/16".parse().unwrap()),
            &own,
        );
        let error = app.tag_page(None).await.unwrap_err().to_string();
        assert!(
            error.contains("the next page is on another host"),
            "{error}"
        );
        let error = app
            .referrers(&Digest::of(CONTENT))
            .await
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("the next page is on another host"),
            "{error}"
        );
        assert_eq!(other.lines(), [""; 0], "{host}");
    }
}

#[tokio::test]
async fn m5_a_realm_is_at_no_private_address_unless_it_is_allowed() {
    if !apart("m5_a_realm_is_at_no_private_address_unless_it_is_allowed") {
        return;
    }
    let (authority, strangers) = (Authority::new(), Authority::new());
    for (name, ip) in [
        ("store.example", NEAR),
        ("machine.example", Ipv4Addr::LOCALHOST),
    ] {
        let token = Answer::status(200).body(r#"{"token":"hidden-token"}"#);
        let tokens = FaultServer::start(Script::new().on("*", "/token", [token]));
        let pair = authority.server_named(&[name]);
        let front = TlsFront::start_on(ip.into(), &pair, &strangers, tokens.address());
        let realm = format!("https://{name}:{}/token", front.address().port());
        let challenge = Answer::status(401).header(
            "WWW-Authenticate",
            &format!("Bearer realm=\"{realm}\",service=\"x\""),
        );
        let anonymous =
            |request: &wharf_testkit::RecordedRequest| request.header("authorization").is_none();
        let script = push_registry().on_when("*", "*", anonymous, [challenge]);
        let registry = on(FAR, script);
        let own = at("registry.example", &registry);
        let client = || client(&own).tls(trusting(&authority));
        let error = push(&app(client(), &own)).await.unwrap_err();
        assert!(is_near(&error), "{name}: {error}");
        assert_eq!(front.client_certificates(), [true; 0], "{name}");
        let allowed = client().allow_near(name.parse().unwrap());
        push(&app(allowed, &own)).await.unwrap();
        assert!(secrets(&tokens) > 0, "{name}");
    }
}

#[tokio::test]
async fn m5_a_registry_with_a_private_address_sends_to_others_but_not_to_link_local_ones() {
    if !apart("m5_a_registry_with_a_private_address_sends_to_others_but_not_to_link_local_ones") {
        return;
    }
    for own in ["inner.example", "10.66.0.3"] {
        for way in WAYS_TO_WRITE {
            for (host, ip) in PRIVATE.into_iter().chain([("cdn.example", ELSEWHERE)]) {
                let other = on(ip, push_registry());
                let registry = on(NEIGHBOUR, writes_elsewhere(way, &at(host, &other)));
                let own = at(own, &registry);
                let pushed = push(&app(client(&own), &own)).await;
                pushed.unwrap_or_else(|error| panic!("{own} to {host}, {way}: {error}"));
                assert!(!other.lines().is_empty(), "{own} to {host}, {way}");
                assert_eq!(secrets(&other), 0, "{own} to {host}, {way}");
            }
            for host in ["169.254.169.254", "metadata.example"] {
                let metadata = on(METADATA, push_registry());
                let registry = on(NEIGHBOUR, writes_elsewhere(way, &at(host, &metadata)));
                let own = at(own, &registry);
                let error = push(&app(client(&own), &own)).await.unwrap_err();
                assert!(is_near(&error), "{own} to {host}, {way}: {error}");
                assert_eq!(metadata.lines(), [""; 0]);
            }
        }
    }
}

#[tokio::test]
async fn m5_of_a_name_with_both_kinds_of_addresses_the_public_one_is_used() {
    if !apart("m5_of_a_name_with_both_kinds_of_addresses_the_public_one_is_used") {
        return;
    }
    let public = on(FAR, store());
    let port = public.address().port();
    let private = FaultServer::start_at((NEAR, port).into(), store());
    let registry = on(
        ELSEWHERE,
        reads_elsewhere("307", &at("both.example", &public)),
    );
    let own = at("cdn.example", &registry);
    assert_eq!(read(&app(client(&own), &own)).await.unwrap(), CONTENT);
    assert_eq!((public.lines().len(), private.lines().len()), (1, 0));
}

#[tokio::test]
async fn m5_a_public_name_that_moves_to_a_private_address_is_refused() {
    if !apart("m5_a_public_name_that_moves_to_a_private_address_is_refused") {
        return;
    }
    let answer = || {
        Answer::status(200)
            .header("Connection", "close")
            .body(CONTENT)
    };
    let registry = on(FAR, Script::new().on("*", "*", [answer()]));
    let private = FaultServer::start_at(
        (NEAR, registry.address().port()).into(),
        Script::new().on("*", "*", [answer()]),
    );
    let own = at("registry.example", &registry);
    let app = app(client(&own), &own);
    assert_eq!(read(&app).await.unwrap(), CONTENT);
    network::rename(&[("registry.example", NEAR)]);
    let error = read(&app).await.unwrap_err();
    assert!(is_near(&error), "{error}");
    assert!(
        error.to_string().contains("has moved to 10.66.0.2"),
        "{error}"
    );
    assert_eq!(private.lines(), [""; 0]);
}

#[tokio::test]
async fn rule_2_credentials_stay_with_the_registry_wherever_it_sends_us() {
    if !apart("rule_2_credentials_stay_with_the_registry_wherever_it_sends_us") {
        return;
    }
    // Another host, and the same one at another port.
    for (host, ip) in [
        ("cdn.example", ELSEWHERE),
        ("registry.example", FAR),
        ("203.0.113.10", FAR),
    ] {
        for way in WAYS_TO_WRITE {
            let other = on(ip, push_registry());
            let registry = on(FAR, writes_elsewhere(way, &at(host, &other)));
            let own = at("registry.example", &registry);
            push(&app(client(&own), &own)).await.unwrap();
            assert!(secrets(&registry) > 0, "{host}, {way}");
            assert!(!other.lines().is_empty(), "{host}, {way}");
            assert_eq!(secrets(&other), 0, "{host}, {way}");
        }
        for way in WAYS_TO_READ {
            let other = on(ip, store());
            let registry = on(FAR, reads_elsewhere(way, &at(host, &other)));
            let own = at("registry.example", &registry);
            assert_eq!(read(&app(client(&own), &own)).await.unwrap(), CONTENT);
            assert_eq!(
                (other.lines().len(), secrets(&other)),
                (1, 0),
                "{host}, {way}"
            );
        }
    }
}

#[tokio::test]
async fn m5_a_real_registry_that_names_its_inner_address_needs_leave_to_use_it() {
    if !apart("m5_a_real_registry_that_names_its_inner_address_needs_leave_to_use_it") {
        return;
    }
    let Some(inner) = DockerRegistry::start_on(NEAR.into(), &RegistryAuth::None) else {
        return;
    };
    let Some(front) = inner.fronted_on(FAR.into(), &RegistryAuth::Basic) else {
        return;
    };
    let own = format!("registry.example:{}", front.address().port());
    let error = push(&app(client(&own), &own)).await.unwrap_err();
    assert!(is_near(&error), "{error}");
    assert!(!inner.log().contains("/v2/app/"), "{}", inner.log());
    let allowed = client(&own).allow_near(NEAR.to_string().parse().unwrap());
    let app = app(allowed, &own);
    push(&app).await.unwrap();
    assert_eq!(
        app.resolve(&tag()).await.unwrap().size,
        app.manifest_at(&tag()).await.unwrap().size()
    );
    // It takes the bytes, and the public one the manifest.
    assert!(inner.log().contains("PUT"), "{}", inner.log());
}
