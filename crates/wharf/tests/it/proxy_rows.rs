//! Proxies: what goes through them, what they see, and the errors when they fail.
//!
//! Only the proxy of the test resolves names: nothing leaves this machine.

use wharf::copy::copy;
use wharf::remote::{Client, ClientBuilder, Exceptions, Identity, Insecure, Proxies, Tls};
use wharf::{Error, ErrorKind, Result};
use wharf_testkit::{
    Authority, ConnectProxy, DockerRegistry, FaultServer, ProxyManner, RegistryAuth, RegistryTls,
    Script, TlsFront, push_registry, seeded_bytes,
};

use crate::support::{image, options, trusting};

/// Pushes a small image to `registry.example`, a name that only the proxy resolves.
async fn push(builder: ClientBuilder) -> Result<()> {
    let client = builder.build()?;
    let repository = client.repository(&"registry.example/a/b".parse().expect("a repository"));
    let (source, root) = image(&[seeded_bytes(1, 1000)]).await;
    let (options, _) = options();
    copy(&source, &repository, &[root], &options)
        .await
        .map(drop)
}

fn through(proxy: &str) -> ClientBuilder {
    let proxy = Some(proxy.parse().expect("a proxy"));
    Client::builder().proxies(Proxies {
        http: proxy.clone(),
        https: proxy,
        except: Exceptions::default(),
    })
}

fn url(proxy: &ConnectProxy, login: &str) -> String {
    format!("http://{login}{}", proxy.address())
}

async fn refused(builder: ClientBuilder) -> Error {
    push(builder).await.expect_err("it cannot work")
}

#[tokio::test]
async fn t4_a_registry_behind_tls_is_reached_through_a_tunnel() {
    let authority = Authority::new();
    let tls = RegistryTls {
        server: authority.server(),
        clients: None,
    };
    let Some(registry) = DockerRegistry::start_tls(&RegistryAuth::None, &tls) else {
        return;
    };
    let proxy = ConnectProxy::start(registry.address(), ProxyManner::Basic);
    let trusted = |login: &str| through(&url(&proxy, login)).tls(trusting(&authority));
    push(trusted("me:hidden@")).await.unwrap();
    let heads = proxy.heads();
    assert!(!heads.is_empty());
    for head in heads {
        assert!(head.starts_with("CONNECT registry.example:443 "), "{head}");
    }
    assert!(!registry.log().contains("Proxy-Authorization"));

    for login in ["", "me:wrong@"] {
        let error = refused(trusted(login)).await;
        assert_eq!(error.kind(), ErrorKind::Unauthorized);
        let expected = format!(
            "proxy {}: it requires other credentials than those in the proxy's URL (407)",
            proxy.address()
        );
        assert!(error.to_string().ends_with(&expected), "{error}");
        assert!(!error.to_string().contains("wrong"), "{error}");
    }
    let error = refused(through(&url(&proxy, "me:hidden@"))).await;
    let expected = "cannot connect to registry.example:443: its certificate is signed by an issuer";
    assert!(error.to_string().contains(expected), "{error}");
}

#[tokio::test]
async fn t4_a_registry_without_tls_is_reached_by_requests_to_the_proxy() {
    let server = FaultServer::start(push_registry());
    let proxy = ConnectProxy::start(server.address(), ProxyManner::Basic);
    // There is no TLS behind the proxy, so http is used, which needs --insecure here.
    let builder = || through(&url(&proxy, "me:hidden@")).insecure(Insecure::Yes);
    push(builder()).await.unwrap();
    let heads = proxy.heads();
    assert!(
        heads
            .iter()
            .any(|head| head.starts_with("CONNECT registry.example:443 "))
    );
    let plain = |head: &&String| head.contains(" http://registry.example/v2/");
    assert!(heads.iter().any(|head| plain(&head)), "{heads:?}");

    let error = refused(through(&url(&proxy, "")).insecure(Insecure::Yes)).await;
    assert_eq!(error.kind(), ErrorKind::Unauthorized);
    let expected = "it requires other credentials than those in the proxy's URL (407)";
    assert!(error.to_string().ends_with(expected), "{error}");
}

#[tokio::test]
async fn t4_a_proxy_may_speak_socks() {
    let (authority, clients) = (Authority::new(), Authority::new());
    let server = FaultServer::start(push_registry());
    let registry = TlsFront::start(&authority.server(), &clients, server.address());
    let proxy = ConnectProxy::start(registry.address(), ProxyManner::Basic);
    for scheme in ["socks5", "socks5h"] {
        let url = format!("{scheme}://me:hidden@{}", proxy.address());
        push(through(&url).tls(trusting(&authority))).await.unwrap();
    }
    let heads = proxy.heads();
    assert!(heads.len() > 1, "{heads:?}");
    assert!(
        heads
            .iter()
            .all(|head| head == "SOCKS registry.example:443"),
        "{heads:?}"
    );
    let url = format!("socks5://me:wrong@{}", proxy.address());
    let error = refused(through(&url).tls(trusting(&authority))).await;
    let expected = format!("proxy {}: no connection by SOCKS: ", proxy.address());
    assert!(error.to_string().contains(&expected), "{error}");
}

#[tokio::test]
async fn t4_what_a_proxy_does_not_do_is_told_as_its_doing() {
    let server = FaultServer::start(Script::new());
    let closed = ConnectProxy::start(server.address(), ProxyManner::Closed);
    let error = refused(through(&url(&closed, "me:hidden@"))).await;
    assert_eq!(error.kind(), ErrorKind::Unreachable);
    let expected = format!(
        "proxy {}: it does not connect to registry.example:443",
        closed.address()
    );
    assert!(error.to_string().ends_with(&expected), "{error}");
    let address = closed.address();
    drop(closed);
    let error = refused(through(&format!("http://me:hidden@{address}"))).await;
    let expected = format!("proxy {address}: cannot connect: connection refused");
    assert!(error.to_string().ends_with(&expected), "{error}");
    let error = refused(through(&format!("socks5://me:hidden@{address}"))).await;
    let expected = format!("proxy {address}: no connection by SOCKS: ");
    assert!(error.to_string().contains(&expected), "{error}");
    assert!(!error.to_string().contains("hidden"), "{error}");
    assert_eq!(server.lines(), [""; 0]);
}

#[tokio::test]
async fn t4_a_proxy_over_tls_sees_no_client_certificate() {
    let (authority, clients) = (Authority::new(), Authority::new());
    let server = FaultServer::start(push_registry());
    let registry = TlsFront::start(&authority.server(), &clients, server.address());
    let proxy = ConnectProxy::start(registry.address(), ProxyManner::Open);
    let front = TlsFront::start(&authority.server(), &clients, proxy.address());
    let address = format!("https://localhost:{}", front.address().port());
    push(through(&address).tls(trusting(&authority)))
        .await
        .unwrap();
    assert!(front.client_certificates().contains(&false));
    let pair = clients.client();
    let identity = Identity::from_pem(pair.certificate.as_bytes(), pair.key.as_bytes());
    let tls = Tls {
        identities: vec![identity.unwrap()],
        ..trusting(&authority)
    };
    let error = refused(through(&address).tls(tls)).await;
    let expected = "it is reached over TLS, and would get the client certificate too";
    assert!(error.to_string().ends_with(expected), "{error}");
    assert!(!front.client_certificates().contains(&true));
}

#[tokio::test]
async fn t4_who_is_excepted_and_this_machine_are_reached_directly() {
    let server = FaultServer::start(push_registry());
    let proxy = ConnectProxy::start(server.address(), ProxyManner::Open);
    let except = Exceptions::parse("registry.example");
    let url: wharf::remote::Proxy = url(&proxy, "").parse().unwrap();
    let builder = Client::builder().insecure(Insecure::Yes).proxies(Proxies {
        http: Some(url.clone()),
        https: Some(url),
        except,
    });
    let client = builder
        .resolve("registry.example", server.address())
        .build()
        .unwrap();
    let port = server.address().port();
    for host in ["registry.example", "127.0.0.1"] {
        let name = format!("{host}:{port}/a/b");
        let repository = client.repository(&name.parse().unwrap());
        let (source, root) = image(&[seeded_bytes(1, 1000)]).await;
        copy(&source, &repository, &[root], &options().0)
            .await
            .unwrap();
    }
    assert_eq!(proxy.heads(), [""; 0]);
}

#[tokio::test]
async fn fault_x_proxy_a_registry_is_not_asked_past_the_proxy_that_refuses() {
    let server = FaultServer::start(push_registry());
    let proxy = ConnectProxy::start(server.address(), ProxyManner::Basic);
    let https = Some(url(&proxy, "").parse().expect("a proxy"));
    let builder = Client::builder()
        .insecure(Insecure::Yes)
        .resolve("registry.example", server.address())
        .proxies(Proxies {
            http: None,
            https,
            except: Exceptions::default(),
        });
    let error = refused(builder).await;
    assert_eq!(error.kind(), ErrorKind::Unauthorized, "{error}");
    let named = format!("proxy {}", proxy.address());
    assert!(error.to_string().contains(&named), "{error}");
    assert_eq!(server.lines(), [""; 0]);
}
