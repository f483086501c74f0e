//! Token servers at real addresses: each test runs in a network of its own.

use std::net::Ipv4Addr;
use std::sync::Arc;

use wharf::copy::copy;
use wharf::credentials::{Credential, Given};
use wharf::oci::Registry;
use wharf::remote::{Client, Insecure};
use wharf::{ErrorKind, Result};
use wharf_testkit::network::{self, ELSEWHERE, FAR};
use wharf_testkit::{
    Answer, Authority, FaultServer, RecordedRequest, Script, TlsFront, push_registry, seeded_bytes,
};

use crate::support::{BASIC, image, options, trusting};

const NAMES: [(&str, Ipv4Addr); 2] = [("registry.example", FAR), ("cdn.example", ELSEWHERE)];

/// Whether this process has the network; its caller is the test `name` of this file.
fn apart(name: &str) -> bool {
    network::is_own(&format!("auth_network::{name}"), &NAMES)
}

/// How a client asks a registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scheme {
    Https,
    Http,
}

/// A registry at `ip` that wants tokens of a server over plain http at `tokens`.
struct Place {
    authority: Authority,
    tokens: FaultServer,
    registry: FaultServer,
    front: TlsFront,
}

impl Place {
    fn new(ip: Ipv4Addr, (name, tokens): (&str, Ipv4Addr)) -> Self {
        let token = Answer::status(200).body(r#"{"token":"t"}"#);
        let script = Script::new().on("*", "/token", [token]);
        let tokens = FaultServer::start_on(tokens.into(), script);
        let port = tokens.address().port();
        let realm = format!("Bearer realm=\"http://{name}:{port}/token\",service=\"x\"");
        let challenge = Answer::status(401).header("WWW-Authenticate", &realm);
        let bare = |request: &RecordedRequest| request.header("authorization").is_none();
        let script = push_registry().on_when("*", "*", bare, [challenge]);
        let registry = FaultServer::start_on(ip.into(), script);
        let (authority, strangers) = (Authority::new(), Authority::new());
        let pair = authority.server_named(&["registry.example", "localhost"]);
        let front = TlsFront::start_on(ip.into(), &pair, &strangers, registry.address());
        Place {
            authority,
            tokens,
            registry,
            front,
        }
    }

    /// Pushes an image to `host`, with or without a password. Redirects to this machine are allowed.
    async fn push(&self, host: &str, scheme: Scheme, password: Option<&str>) -> Result<()> {
        let port = match scheme {
            Scheme::Https => self.front.address().port(),
            Scheme::Http => self.registry.address().port(),
        };
        let host = format!("{host}:{port}");
        let mut builder = Client::builder().tls(trusting(&self.authority));
        if scheme == Scheme::Http {
            builder = builder.insecure(Insecure::Yes);
        }
        for near in ["localhost", "127.0.0.1"] {
            builder = builder.allow_near(near.parse().unwrap());
        }
        if let Some(password) = password {
            let registry: Registry = host.parse().unwrap();
            let credential = Credential::password("me", password.into());
            let given = Given::new(registry, credential, "the test");
            builder = builder.credentials(Arc::new(given));
        }
        let store = builder
            .build()?
            .repository(&format!("{host}/app").parse().unwrap());
        let (source, root) = image(&[seeded_bytes(1, 1000)]).await;
        copy(&source, &store, &[root], &options().0).await.map(drop)
    }

    /// Whether the token server got the password.
    fn was_told(&self) -> bool {
        let requests = self.tokens.requests();
        let mut shown = requests
            .iter()
            .map(|request| request.header("authorization"));
        shown.any(|shown| shown == Some(BASIC))
    }
}

#[tokio::test]
async fn fault_c20_a_password_that_tls_protected_is_not_sent_in_the_clear() {
    if !apart("fault_c20_a_password_that_tls_protected_is_not_sent_in_the_clear") {
        return;
    }
    for at in [
        ("127.0.0.1", Ipv4Addr::LOCALHOST),
        ("localhost", Ipv4Addr::LOCALHOST),
        ("registry.example", FAR),
        ("cdn.example", ELSEWHERE),
    ] {
        let place = Place::new(FAR, at);
        let pushed = place
            .push("registry.example", Scheme::Https, Some("hidden"))
            .await;
        let error = pushed.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Refused, "{at:?}: {error}");
        assert!(error.to_string().contains("without TLS"), "{at:?}: {error}");
        assert_eq!(place.tokens.lines(), [""; 0], "{at:?}");
    }
}

#[tokio::test]
async fn fault_c20_anonymous_clients_may_ask_a_token_server_on_this_machine() {
    if !apart("fault_c20_anonymous_clients_may_ask_a_token_server_on_this_machine") {
        return;
    }
    let place = Place::new(FAR, ("127.0.0.1", Ipv4Addr::LOCALHOST));
    let pushed = place.push("registry.example", Scheme::Https, None).await;
    pushed.unwrap();
    assert!(!place.tokens.lines().is_empty());
    assert!(!place.was_told());
}

#[tokio::test]
async fn fault_c20_a_registry_that_was_asked_in_the_clear_or_is_here_may_name_one() {
    if !apart("fault_c20_a_registry_that_was_asked_in_the_clear_or_is_here_may_name_one") {
        return;
    }
    let here = ("127.0.0.1", Ipv4Addr::LOCALHOST);
    for (ip, host, scheme, at) in [
        (
            FAR,
            "registry.example",
            Scheme::Http,
            ("registry.example", FAR),
        ),
        (FAR, "registry.example", Scheme::Http, here),
        (Ipv4Addr::LOCALHOST, "localhost", Scheme::Https, here),
        (Ipv4Addr::LOCALHOST, "localhost", Scheme::Http, here),
    ] {
        let place = Place::new(ip, at);
        let pushed = place.push(host, scheme, Some("hidden")).await;
        pushed.unwrap_or_else(|error| panic!("{host} {scheme:?} {at:?}: {error}"));
        assert!(place.was_told(), "{host} {scheme:?} {at:?}");
    }
    // Not at another host, though.
    let place = Place::new(FAR, ("cdn.example", ELSEWHERE));
    let pushed = place
        .push("registry.example", Scheme::Http, Some("hidden"))
        .await;
    assert_eq!(pushed.unwrap_err().kind(), ErrorKind::Refused);
    assert_eq!(place.tokens.lines(), [""; 0]);
}
