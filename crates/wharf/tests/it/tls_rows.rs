//! TLS: which certificates are trusted, which host gets a client certificate, and the errors.
//!
//! Against Debian's registry behind TLS, with certificates made here.

use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use wharf::copy::copy;
use wharf::oci::Selector;
use wharf::remote::{
    Certificates, Client, ClientBuilder, Identity, Insecure, Leniency, LeniencyObserver, Roots,
    Timeouts, Tls,
};
use wharf::store::Source;
use wharf::{Error, ErrorKind, Guard, Result};
use wharf_testkit::{
    Answer, Authority, DockerRegistry, FaultServer, Pair, RegistryAuth, RegistryTls, Script,
    TlsFront, push_registry, seeded_bytes,
};

use crate::support::{descriptor, image, options, trusting};

fn start(server: Pair, clients: Option<&Authority>) -> Option<DockerRegistry> {
    let clients = clients.map(|authority| authority.certificate().to_owned());
    DockerRegistry::start_tls(&RegistryAuth::None, &RegistryTls { server, clients })
}

fn identity(pair: &Pair) -> Identity {
    Identity::from_pem(pair.certificate.as_bytes(), pair.key.as_bytes()).expect("good")
}

/// Pushes a small image to `host`.
async fn push(builder: ClientBuilder, host: &str) -> Result<()> {
    let client = builder.build()?;
    let repository = client.repository(&format!("{host}/a/b").parse().expect("a repository"));
    let (source, root) = image(&[seeded_bytes(1, 1000)]).await;
    let (options, _) = options();
    copy(&source, &repository, &[root], &options)
        .await
        .map(drop)
}

fn host(address: SocketAddr) -> String {
    format!("127.0.0.1:{}", address.port())
}

async fn refused(builder: ClientBuilder, host: &str) -> Error {
    push(builder, host).await.expect_err("it cannot work")
}

#[tokio::test]
async fn t4_a_certificate_that_signs_itself_is_trusted_where_it_is_said_to_be() {
    let pair = Authority::self_signed();
    let Some(registry) = start(pair.clone(), None) else {
        return;
    };
    let here = host(registry.address());
    let error = refused(Client::builder(), &here).await;
    assert_eq!(error.kind(), ErrorKind::Untrusted);
    let why = "its certificate is self-signed and not trusted";
    assert!(error.to_string().ends_with(why), "{error}");
    let certificates = Certificates::from_pem(pair.certificate.as_bytes()).expect("good");
    let tls = Tls {
        authorities: certificates.clone(),
        ..Tls::default()
    };
    push(Client::builder().tls(tls.clone()), &here)
        .await
        .unwrap();
    push(Client::builder().roots(certificates), &here)
        .await
        .unwrap();
    // It is trusted for its own names.
    let builder = Client::builder().tls(tls);
    let builder = builder.resolve("registry.example", registry.address());
    let elsewhere = format!("registry.example:{}", registry.address().port());
    let error = refused(builder, &elsewhere).await;
    assert!(error.to_string().contains("not for this name"), "{error}");
    // Another one is not trusted.
    let other = Authority::self_signed();
    let tls = Tls {
        authorities: Certificates::from_pem(other.certificate.as_bytes()).expect("good"),
        ..Tls::default()
    };
    let error = refused(Client::builder().tls(tls), &here).await;
    assert_eq!(error.kind(), ErrorKind::Untrusted);
}

#[tokio::test]
async fn t4_an_authority_is_trusted_where_it_is_said_to_be() {
    let authority = Authority::new();
    let Some(registry) = start(authority.server(), None) else {
        return;
    };
    let host = host(registry.address());
    let builder = || Client::builder();
    let error = refused(builder(), &host).await;
    assert_eq!(error.kind(), ErrorKind::Untrusted);
    let why = "its certificate is signed by an issuer that is not trusted";
    assert!(error.to_string().ends_with(why), "{error}");
    assert!(!registry.log().contains("/v2/"), "{}", registry.log());

    push(builder().tls(trusting(&authority)), &host)
        .await
        .unwrap();
    let this = host.parse().unwrap();
    push(builder().tls_for(&this, trusting(&authority)), &host)
        .await
        .unwrap();
    let other = "127.0.0.1:1".parse().unwrap();
    let error = refused(builder().tls_for(&other, trusting(&authority)), &host).await;
    assert_eq!(error.kind(), ErrorKind::Untrusted);
    let roots = trusting(&authority).authorities;
    push(builder().roots(roots), &host).await.unwrap();
    let roots = trusting(&Authority::new()).authorities;
    let error = refused(builder().roots(roots), &host).await;
    assert_eq!(error.kind(), ErrorKind::Untrusted);
}

#[tokio::test]
async fn t4_files_of_authorities_are_read_when_a_host_shows_a_certificate() {
    let authority = Authority::new();
    let Some(registry) = start(authority.server(), None) else {
        return;
    };
    let host = host(registry.address());
    let home = tempfile::tempdir().unwrap();
    let (bundle, directory) = (home.path().join("bundle.pem"), home.path().join("certs"));
    let roots = || Roots {
        bundles: vec![bundle.clone()],
        directories: vec![directory.clone()],
        ..Roots::default()
    };
    let error = refused(Client::builder().roots(roots()), &host).await;
    assert_eq!(error.kind(), ErrorKind::Untrusted);
    // None is there when the client is built.
    let before = Client::builder().roots(roots()).build().unwrap();
    std::fs::write(&bundle, authority.certificate()).unwrap();
    let repository = before.repository(&format!("{host}/a/b").parse().unwrap());
    let missing = Selector::Tag("none".parse().unwrap());
    let error = repository.resolve(&missing).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    // The directories count where the bundle does not suffice.
    std::fs::write(&bundle, Authority::new().certificate()).unwrap();
    let error = refused(Client::builder().roots(roots()), &host).await;
    assert_eq!(error.kind(), ErrorKind::Untrusted);
    std::fs::create_dir(&directory).unwrap();
    std::fs::write(directory.join("ca.pem"), authority.certificate()).unwrap();
    push(Client::builder().roots(roots()), &host).await.unwrap();
}

#[tokio::test]
async fn t4_names_and_dates_of_certificates_matter_and_are_told() {
    let authority = Authority::new();
    let named = authority.server_named(&["other.example", "*.more.example"]);
    for (server, why) in [
        (
            named,
            "its certificate is not for this name but other.example, *.more.example",
        ),
        (
            authority.expired_server(),
            "its certificate expired 2021-02-03 00:00 UTC",
        ),
    ] {
        let Some(registry) = start(server, None) else {
            return;
        };
        let builder = Client::builder().tls(trusting(&authority));
        let error = refused(builder, &host(registry.address())).await;
        assert_eq!(error.kind(), ErrorKind::Untrusted);
        assert!(error.to_string().ends_with(why), "{error}");
    }
}

#[tokio::test]
async fn t4_a_client_certificate_is_shown_where_it_is_wanted() {
    let (servers, clients) = (Authority::new(), Authority::new());
    let Some(registry) = start(servers.server(), Some(&clients)) else {
        return;
    };
    let host = host(registry.address());
    let with = |identities| Tls {
        identities,
        ..trusting(&servers)
    };
    for _ in 0..5 {
        let error = refused(Client::builder().tls(with(vec![])), &host).await;
        assert!(error.to_string().contains("want"), "{error}");
    }
    let known = vec![identity(&clients.client())];
    push(Client::builder().tls(with(known.clone())), &host)
        .await
        .unwrap();
    let this = host.parse().unwrap();
    push(Client::builder().tls_for(&this, with(known.clone())), &host)
        .await
        .unwrap();
    let stranger = vec![identity(&Authority::new().client())];
    // Of several certificates it gets one that it accepts.
    let several = [stranger.clone(), known.clone()].concat();
    push(Client::builder().tls(with(several)), &host)
        .await
        .unwrap();
    let error = refused(Client::builder().tls(with(stranger)), &host).await;
    assert!(error.to_string().contains("client certificate"), "{error}");
}

#[tokio::test]
async fn t4_a_client_certificate_is_not_shown_to_whom_the_registry_sends_us() {
    let (servers, clients) = (Authority::new(), Authority::new());
    let elsewhere = FaultServer::start(Script::new().on("*", "*", [Answer::status(404)]));
    let other = TlsFront::start(&servers.server(), &clients, elsewhere.address());
    let there = format!("https://localhost:{}/token", other.address().port());
    let redirect = Answer::status(307).header("Location", &there);
    let challenge = format!("Bearer realm=\"{there}\"");
    let refusal = Answer::status(401).header("WWW-Authenticate", &challenge);
    let script = Script::new()
        .on("*", "*", [Answer::status(200)])
        .on("GET", "/v2/a/moved/manifests/v1", [redirect])
        .on("GET", "/v2/a/closed/manifests/v1", [refusal]);
    let server = FaultServer::start(script);
    let front = TlsFront::start(&servers.server(), &clients, server.address());
    let tls = Tls {
        identities: vec![identity(&clients.client())],
        ..trusting(&servers)
    };
    let host = host(front.address());
    let this = host.parse().unwrap();
    for builder in [
        Client::builder().tls(tls.clone()),
        Client::builder().tls_for(&this, tls),
    ] {
        let client = builder.build().unwrap();
        for name in ["a/moved", "a/closed"] {
            let before = elsewhere.requests().len();
            let repository = client.repository(&format!("{host}/{name}").parse().unwrap());
            let tag = Selector::Tag("v1".parse().unwrap());
            repository.manifest_at(&tag).await.unwrap_err();
            assert!(
                elsewhere.requests().len() > before,
                "{name} was not sent on"
            );
        }
    }
    let shown = front.client_certificates();
    assert!(
        !shown.is_empty() && shown.iter().all(|shown| *shown),
        "{shown:?}"
    );
    let shown = other.client_certificates();
    assert!(!shown.is_empty() && !shown.contains(&true), "{shown:?}");
}

#[derive(Debug, Default)]
struct Heard(Mutex<Vec<(String, Leniency)>>);

impl LeniencyObserver for Heard {
    fn on_leniency(&self, host: &str, leniency: Leniency) {
        let mut heard = self.0.lock().expect("no test panics in here");
        heard.push((host.to_owned(), leniency));
    }
}

#[tokio::test]
async fn t4_what_insecure_lets_pass_is_told_once_where_it_makes_a_difference() {
    let authority = Authority::new();
    let Some(registry) = start(authority.server(), None) else {
        return;
    };
    let secure = host(registry.address());
    let heard = Arc::new(Heard::default());
    let taken = || std::mem::take(&mut *heard.0.lock().expect("no test panics in here"));
    let builder = || {
        Client::builder()
            .insecure(Insecure::Yes)
            .leniency_observer(Arc::clone(&heard) as _)
    };
    push(builder(), &secure).await.unwrap();
    assert_eq!(taken(), [(secure.clone(), Leniency::Unverified)]);
    push(builder().tls(trusting(&authority)), &secure)
        .await
        .unwrap();
    assert_eq!(taken(), []);

    let plain = FaultServer::start(push_registry());
    push(builder(), &host(plain.address())).await.unwrap();
    assert_eq!(taken(), [], "this machine may do without TLS");
    let far = format!("registry.example:{}", plain.address().port());
    let builder = builder().resolve("registry.example", plain.address());
    push(builder, &far).await.unwrap();
    assert_eq!(taken(), [(far, Leniency::PlainHttp)]);
}

#[tokio::test]
async fn t4_a_server_without_tls_is_told_as_such() {
    let plain = FaultServer::start(push_registry());
    let far = format!("registry.example:{}", plain.address().port());
    let builder = Client::builder().resolve("registry.example", plain.address());
    let error = refused(builder, &far).await;
    assert_eq!(error.kind(), ErrorKind::Unreachable);
    let why = "it does not speak TLS; it may speak plain http";
    assert!(error.to_string().ends_with(why), "{error}");
}

#[tokio::test]
async fn t4_dead_addresses_of_a_name_are_passed_over() {
    let registry = FaultServer::start(push_registry());
    let port = registry.address().port();
    // Nothing listens there, and not every machine has the first address.
    let dead = ["[::1]", "127.0.0.2"].map(|host| format!("{host}:{port}").parse().unwrap());
    let builder = [dead[0], dead[1], registry.address()]
        .into_iter()
        .fold(Client::builder(), |builder, address| {
            builder.resolve("registry.localhost", address)
        });
    // Waiting for the first address to the end would take an hour.
    let timeouts = Timeouts {
        connect: Duration::from_secs(3600),
        ..Timeouts::default()
    };
    let host = format!("registry.localhost:{port}");
    push(builder.timeouts(timeouts), &host).await.unwrap();
}

#[tokio::test]
async fn rule_2_what_goes_over_tls_is_not_sent_on_without_it() {
    let authority = Authority::new();
    let plain = FaultServer::start(push_registry());
    let at = format!("{}/v2/a/b/blobs/uploads/elsewhere", plain.base());
    let session = Answer::status(202).header("Location", &at);
    let redirect = Answer::status(307).header("Location", &at);
    let uploads = "/v2/*/blobs/uploads/";
    let scripts = [
        push_registry().on("POST", uploads, [session.clone()]),
        push_registry().on("PUT", "/v2/*/blobs/uploads/*", [redirect]),
    ];
    for script in scripts {
        let server = FaultServer::start(script);
        let front = TlsFront::start(&authority.server(), &authority, server.address());
        let builder = Client::builder().tls(trusting(&authority));
        let error = refused(builder, &host(front.address())).await;
        assert_eq!(error.guard(), Some(&Guard::Cleartext), "{error}");
        let there = format!("from https to plain http at {}", plain.address());
        assert!(error.to_string().contains(&there), "{error}");
    }
    // Not even the DELETE of a session.
    assert_eq!(plain.lines(), [""; 0]);
    // Insecure mode allows that.
    let server = FaultServer::start(push_registry().on("POST", uploads, [session]));
    let front = TlsFront::start(&authority.server(), &authority, server.address());
    let builder = Client::builder().insecure(Insecure::Yes);
    push(builder, &host(front.address())).await.unwrap();
    let requests = plain.requests().into_iter();
    assert!(requests.map(|request| request.body_len).sum::<u64>() > 1000);
}

/// One port that forwards TLS connections to `secure`, and others to `plain`.
fn both(secure: SocketAddr, plain: SocketAddr) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let serve = move |client: TcpStream| -> std::io::Result<()> {
        let mut first = [0];
        client.peek(&mut first)?;
        let at = if first == [22] { secure } else { plain };
        let server = TcpStream::connect(at)?;
        let (mut from, mut to) = (client.try_clone()?, server.try_clone()?);
        std::thread::spawn(move || {
            let _ = std::io::copy(&mut from, &mut to);
            to.shutdown(Shutdown::Both)
        });
        let (mut from, mut to) = (server, client);
        let _ = std::io::copy(&mut from, &mut to);
        to.shutdown(Shutdown::Both)
    };
    std::thread::spawn(move || {
        for client in listener.incoming().flatten() {
            std::thread::spawn(move || serve(client));
        }
    });
    address
}

#[tokio::test]
async fn a3_who_speaks_tls_is_not_asked_in_the_clear_whatever_comes_of_it() {
    let authority = Authority::new();
    let refusal = Answer::status(401).header("WWW-Authenticate", "Basic realm=\"x\"");
    let answers = [
        // It breaks off, or does not answer for long.
        Answer::drop_connection(),
        Answer::status(200)
            .after(Duration::from_secs(2))
            .header("X", "late"),
    ];
    for answer in answers {
        let plain = FaultServer::start(Script::new().on("*", "*", [refusal.clone()]));
        let behind = FaultServer::start(Script::new().on("*", "*", [answer]));
        let front = TlsFront::start(&authority.server(), &authority, behind.address());
        let here = host(both(front.address(), plain.address()));
        let timeouts = Timeouts {
            header: Duration::from_secs(1),
            ..Timeouts::default()
        };
        let builder = Client::builder().tls(trusting(&authority));
        let error = refused(builder.timeouts(timeouts), &here).await;
        let kinds = [ErrorKind::Interrupted, ErrorKind::Timeout];
        assert!(kinds.contains(&error.kind()), "{error}");
        // Only a probe may be sent, and nothing else.
        assert!(
            plain.lines().iter().all(|line| line == "GET /v2/"),
            "{:?}",
            plain.lines()
        );
    }
}

#[tokio::test]
async fn rule_2_only_what_a_digest_names_is_read_from_plain_http() {
    let authority = Authority::new();
    let (memory, root) = image(&[seeded_bytes(1, 1000)]).await;
    let manifest = memory.manifest(descriptor(&root)).await.unwrap();
    let answer = Answer::status(200)
        .header("Content-Type", manifest.media_type().as_str())
        .body(manifest.bytes().to_vec());
    let plain = FaultServer::start(Script::new().on("*", "*", [answer]));
    let away = Answer::status(307).header("Location", &format!("{}{{path}}", plain.base()));
    let server = FaultServer::start(push_registry().on("*", "/v2/*/manifests/*", [away]));
    let front = TlsFront::start(&authority.server(), &authority, server.address());
    let client = Client::builder().tls(trusting(&authority)).build().unwrap();
    let name = format!("{}/a/b", host(front.address()));
    let repository = client.repository(&name.parse().unwrap());
    let tag = Selector::Tag("v1".parse().unwrap());
    for error in [
        repository.resolve(&tag).await.unwrap_err(),
        repository.manifest_at(&tag).await.unwrap_err(),
    ] {
        assert_eq!(error.guard(), Some(&Guard::Cleartext), "{error}");
    }
    assert_eq!(plain.lines(), [""; 0]);
    repository.manifest(descriptor(&root)).await.unwrap();
    assert_eq!(plain.lines().len(), 1);
}
