//! wire.md M5 and rule 3: where a public registry can make us connect.
//!
//! All names resolve to loopback addresses here. A registry at an address that the user gave counts
//! as public; the test resolves the hosts that it redirects to.

use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex};

use futures::FutureExt;
use futures::future::BoxFuture;
use wharf::copy::copy;
use wharf::credentials::{Credential, Given};
use wharf::oci::Registry;
use wharf::remote::{Client, ClientBuilder, Insecure, RemoteRepository, Resolver};
use wharf::store::Source;
use wharf::{ErrorKind, Guard, Unreached};
use wharf_testkit::{Answer, FaultServer, Script, push_registry, seeded_bytes};

use crate::support::{UPLOADS, image, options};

/// Resolves all names to one address, and records them.
#[derive(Debug, Default)]
struct AllAreNear(Mutex<Vec<String>>);

impl Resolver for AllAreNear {
    fn addresses(&self, name: &str) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> {
        self.0.lock().unwrap().push(name.to_owned());
        async { Ok(vec![Ipv4Addr::new(127, 0, 0, 2).into()]) }.boxed()
    }
}

fn near_server(script: Script) -> FaultServer {
    FaultServer::start_on(Ipv4Addr::new(127, 0, 0, 2).into(), script)
}

/// A client that sees `registry` as the public `registry.example`.
fn client(registry: &FaultServer) -> ClientBuilder {
    Client::builder()
        .insecure(Insecure::Yes)
        .resolve("registry.example", registry.address())
        .resolver(Arc::new(AllAreNear::default()))
}

fn app(client: ClientBuilder, registry: &FaultServer) -> RemoteRepository {
    let name = format!("registry.example:{}/app", registry.address().port());
    client.build().unwrap().repository(&name.parse().unwrap())
}

async fn push(store: &RemoteRepository) -> wharf::Result<()> {
    let (source, root) = image(&[seeded_bytes(1, 1000)]).await;
    copy(&source, store, &[root], &options().0).await.map(drop)
}

fn sends_to(location: &str) -> FaultServer {
    let session = Answer::status(202).header("Location", location);
    FaultServer::start(push_registry().on("POST", UPLOADS, [session]))
}

#[tokio::test]
async fn m5_a_name_that_leads_next_to_us_is_refused_where_the_connection_is_made() {
    let near = near_server(push_registry());
    let port = near.address().port();
    let registry = sends_to(&format!(
        "http://store.example:{port}/v2/app/blobs/uploads/1"
    ));
    let error = push(&app(client(&registry), &registry)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Refused, "{error}");
    let expected =
        "it redirects to store.example, which is 127.0.0.2, an address of a private network";
    assert!(error.to_string().contains(expected), "{error}");
    assert_eq!(near.lines(), [""; 0]);
}

#[tokio::test]
async fn m5_an_allowed_store_within_is_used_by_a_registry_out_in_the_world() {
    for allowed in ["store.example", "store.example:{port}", "127.0.0.0/8"] {
        let near = near_server(push_registry());
        let port = near.address().port();
        let registry = sends_to(&format!(
            "http://store.example:{port}/v2/app/blobs/uploads/1"
        ));
        let allowed = allowed.replace("{port}", &port.to_string());
        let client = client(&registry).allow_near(allowed.parse().unwrap());
        push(&app(client, &registry)).await.unwrap();
        assert!(!near.lines().is_empty(), "{allowed}");
    }
}

#[tokio::test]
async fn m5_a_registry_whose_name_leads_next_to_us_may_use_its_own_network() {
    let store = FaultServer::start(push_registry());
    let location = format!(
        "http://localhost:{}/v2/app/blobs/uploads/1",
        store.address().port()
    );
    let session = Answer::status(202).header("Location", &location);
    let registry = near_server(push_registry().on("POST", UPLOADS, [session]));
    let client = Client::builder()
        .insecure(Insecure::Yes)
        .resolver(Arc::new(NearOrHere));
    push(&app(client, &registry)).await.unwrap();
    assert!(!store.lines().is_empty());
}

/// Knows no name.
#[derive(Debug)]
struct Ignorant;

impl Resolver for Ignorant {
    fn addresses(&self, _: &str) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> {
        let unknown = "failed to lookup address information: Name or service not known";
        async move { Err(io::Error::other(unknown)) }.boxed()
    }
}

#[tokio::test]
async fn fault_c15_a_name_that_does_not_resolve_is_told_from_a_host_that_does_not_answer() {
    let client = Client::builder().resolver(Arc::new(Ignorant));
    let store = client
        .build()
        .unwrap()
        .repository(&"r.example/app".parse().unwrap());
    let error = push(&store).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unreachable, "{error}");
    assert_eq!(error.unreached(), Some(Unreached::UnknownName), "{error}");
    let expected =
        "cannot connect to r.example:443: its name does not resolve: name or service not known";
    assert!(error.to_string().ends_with(expected), "{error}");
    let gone = FaultServer::start(Script::new()).address();
    let client = Client::builder().build().unwrap();
    let store = client.repository(&format!("{gone}/app").parse().unwrap());
    let error = push(&store).await.unwrap_err();
    assert_eq!(
        error.unreached(),
        Some(Unreached::NoListenerHere),
        "{error}"
    );
}

/// Resolves the registry to a near address.
#[derive(Debug)]
struct NearOrHere;

impl Resolver for NearOrHere {
    fn addresses(&self, name: &str) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> {
        let address = match name {
            "registry.example" => Ipv4Addr::new(127, 0, 0, 2),
            _ => Ipv4Addr::LOCALHOST,
        };
        async move { Ok(vec![address.into()]) }.boxed()
    }
}

#[tokio::test]
async fn rule_3_redirects_realms_and_pages_lead_to_no_near_host_either() {
    for host in [
        "127.0.0.2",
        "store.example",
        "2130706434",
        "[::ffff:127.0.0.2]",
    ] {
        let near = near_server(Script::new().on("*", "*", [Answer::status(200)]));
        let at = format!("http://{host}:{}", near.address().port());
        let redirect = |status| Answer::status(status).header("Location", &format!("{at}/x"));
        let realm =
            Answer::status(401).header("WWW-Authenticate", &format!("Bearer realm=\"{at}/token\""));
        for answer in [redirect(302), redirect(307), redirect(308), realm] {
            let registry = FaultServer::start(Script::new().on("*", "/v2/*", [answer]));
            let own: Registry = format!("registry.example:{}", registry.address().port())
                .parse()
                .unwrap();
            let credential = Credential::Password {
                username: "me".to_owned(),
                password: "hidden".into(),
            };
            let client =
                client(&registry).credentials(Arc::new(Given::new(own, credential, "the test")));
            let app = app(client, &registry);
            let error = app
                .resolve(&"v1".parse().map(wharf::oci::Selector::Tag).unwrap())
                .await;
            let error = error.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Refused, "{at}: {error}");
            // A realm without TLS is refused before it is resolved.
            let realm = error.to_string().contains("without TLS");
            let near = matches!(error.guard(), Some(Guard::Near { .. }));
            assert!(near || realm, "{at}: {error}");
            assert!(push(&app).await.is_err());
        }
        assert_eq!(near.lines(), [""; 0], "{host}");
    }
}
