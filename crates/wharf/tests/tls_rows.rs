//! TLS: who is trusted, what is shown to whom, and what is said when it goes wrong.
//!
//! Against Debian's registry behind TLS, with certificates made here.

mod support;

use std::net::SocketAddr;

use support::{descriptor, image, options};
use wharf::copy::copy;
use wharf::remote::{Certificates, Client, ClientBuilder, Identity, Tls};
use wharf::{Error, ErrorKind, Result, Source};
use wharf_testkit::{Authority, DockerRegistry, Pair, RegistryAuth, RegistryTls, seeded_bytes};

fn start(server: Pair, clients: Option<&Authority>) -> Option<DockerRegistry> {
    let clients = clients.map(|authority| authority.certificate().to_owned());
    DockerRegistry::start_tls(&RegistryAuth::None, &RegistryTls { server, clients })
}

fn trusting(authority: &Authority) -> Tls {
    Tls {
        authorities: Certificates::from_pem(authority.certificate().as_bytes()).expect("good"),
        ..Tls::default()
    }
}

fn identity(pair: &Pair) -> Identity {
    Identity::from_pem(pair.certificate.as_bytes(), pair.key.as_bytes()).expect("good")
}

/// Pushes a small image to `host` and asks for it; what goes wrong first.
async fn push(builder: ClientBuilder, host: &str) -> Result<()> {
    let client = builder.build()?;
    let repository = client.repository(&format!("{host}/a/b").parse().expect("good"));
    let (source, root) = image(&[seeded_bytes(1, 1000)]).await;
    let (options, _) = options();
    copy(&source, &repository, std::slice::from_ref(&root), &options).await?;
    let tag = wharf::oci::Selector::Tag("v1".parse().expect("good"));
    let pushed = repository.resolve(&tag).await?;
    assert_eq!(&pushed.digest, &descriptor(&root).digest);
    Ok(())
}

fn host(address: SocketAddr) -> String {
    format!("127.0.0.1:{}", address.port())
}

async fn refused(builder: ClientBuilder, host: &str) -> Error {
    push(builder, host).await.expect_err("it cannot work")
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
    let why = "its certificate is signed by nobody that is trusted here";
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
    let with = |identity| Tls {
        identity,
        ..trusting(&servers)
    };
    for _ in 0..5 {
        let error = refused(Client::builder().tls(with(None)), &host).await;
        assert!(error.to_string().contains("want"), "{error}");
    }
    let known = Some(identity(&clients.client()));
    push(Client::builder().tls(with(known.clone())), &host)
        .await
        .unwrap();
    let this = host.parse().unwrap();
    push(Client::builder().tls_for(&this, with(known)), &host)
        .await
        .unwrap();
    let stranger = Some(identity(&Authority::new().client()));
    let error = refused(Client::builder().tls(with(stranger)), &host).await;
    assert!(error.to_string().contains("client certificate"), "{error}");
}
