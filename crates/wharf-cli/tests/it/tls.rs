//! TLS on the command line: the flags, the variables and the directories of other tools.

use std::fs;
use std::path::Path;

use wharf_testkit::{
    Authority, ConnectProxy, DockerRegistry, FaultServer, LayoutFixture, ProxyManner, RegistryAuth,
    RegistryTls, Skopeo, TlsFront, layer::LayerSpec, push_registry,
};

use crate::common::{Run, command, done, is_failure, ran, wharf};

/// A registry behind TLS, a layout to push to it, and files.
struct Scene {
    home: tempfile::TempDir,
    registry: DockerRegistry,
    authority: Authority,
}

impl Scene {
    fn new(auth: &RegistryAuth, clients: Option<&Authority>) -> Option<Self> {
        let home = tempfile::tempdir().unwrap();
        let authority = Authority::new();
        let tls = RegistryTls {
            server: authority.server(),
            clients: clients.map(|authority| authority.certificate().to_owned()),
        };
        let registry = DockerRegistry::start_tls(auth, &tls)?;
        let mut layout = LayoutFixture::new(home.path().join("layout"));
        layout.image(Some("1"), &[LayerSpec::random(1, 1000)]);
        let scene = Scene {
            home,
            registry,
            authority,
        };
        scene.file("ca.pem", scene.authority.certificate());
        Some(scene)
    }

    fn host(&self) -> String {
        self.registry.address().to_string()
    }

    fn file(&self, name: &str, content: &str) -> String {
        let path = self.home.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        path.display().to_string()
    }

    fn path(&self, name: &str) -> String {
        self.home.path().join(name).display().to_string()
    }

    fn push(&self, flags: &[&str], variables: &[(&str, &str)]) -> Run {
        let mut command = command(self.home.path());
        command.args(["push", &self.path("layout")]);
        command.arg(format!("{}/app:1", self.host()));
        let output = command
            .args(flags)
            .envs(variables.iter().copied())
            .output()
            .unwrap();
        ran(output)
    }

    fn pushed(&self, flags: &[&str], variables: &[(&str, &str)]) -> Run {
        let run = self.push(flags, variables);
        assert_eq!(run.code, 0, "{flags:?} {variables:?}: {run:?}");
        run
    }
}

#[test]
fn t4_who_signed_is_trusted_by_flag_variable_and_directory() {
    let Some(scene) = Scene::new(&RegistryAuth::None, None) else {
        return;
    };
    let run = scene.push(&[], &[]);
    assert_eq!(
        run.stderr.trim_end(),
        format!(
            "wharf: {host}/app: cannot connect to {host}: its certificate is signed by an issuer \
             that is not trusted (--ca-cert FILE trusts its issuer, --insecure accepts any certificate)",
            host = scene.host()
        )
    );
    // An empty variable counts as not set.
    for variables in [
        &[("SSL_CERT_FILE", "")][..],
        &[("SSL_CERT_DIR", "")],
        &[("SSL_CERT_FILE", ""), ("SSL_CERT_DIR", "")],
        &[("WHARF_CERTS_DIR", "")],
    ] {
        assert_eq!(scene.push(&[], variables).stderr, run.stderr);
    }
    let ca = scene.path("ca.pem");
    let other = scene.file("other.pem", Authority::new().certificate());
    let run = scene.pushed(&["--ca-cert", &other, "--ca-cert", &ca], &[]);
    assert!(!run.stderr.contains("insecure"), "{run:?}");
    assert_eq!(scene.push(&["--ca-cert", &other], &[]).code, 5);
    scene.pushed(&[], &[("SSL_CERT_FILE", &ca)]);
    scene.pushed(&["--ca-cert", &ca], &[("SSL_CERT_FILE", &other)]);
    scene.file("roots/one.pem", scene.authority.certificate());
    scene.file("roots/README", "no certificate");
    let roots = format!("{}:{}", scene.path("none"), scene.path("roots"));
    scene.pushed(&[], &[("SSL_CERT_DIR", &roots)]);

    let in_directory = format!("certs/{}/ca.crt", scene.host());
    scene.file(&in_directory, scene.authority.certificate());
    let certs = scene.path("certs");
    scene.pushed(&["--certs-dir", &certs], &[]);
    scene.pushed(&[], &[("WHARF_CERTS_DIR", &certs)]);
    let none = scene.path("none");
    let run = scene.push(&[], &[("WHARF_CERTS_DIR", &none)]);
    let expected = format!("wharf: WHARF_CERTS_DIR: {none}: no such file or directory\n");
    assert_eq!((run.code, run.stderr), (3, expected));
    // The flag takes precedence.
    scene.pushed(&["--certs-dir", &certs], &[("WHARF_CERTS_DIR", &none)]);
    for place in [".config/containers/certs.d", ".config/docker/certs.d"] {
        assert_eq!(scene.push(&[], &[]).code, 5);
        let place = scene.home.path().join(place);
        fs::create_dir_all(place.parent().unwrap()).unwrap();
        fs::rename(scene.home.path().join("certs"), &place).unwrap();
        scene.pushed(&[], &[]);
        fs::rename(&place, scene.home.path().join("certs")).unwrap();
    }
}

fn warning(host: &str) -> String {
    format!("warning: {host}: its certificate is not trusted, as --insecure allows\n")
}

#[test]
fn t4_each_registry_that_is_not_trusted_is_named_by_host_and_port() {
    let authority = Authority::new();
    let registry = FaultServer::start(push_registry());
    let front = |pair| TlsFront::start(pair, &authority, registry.address());
    let pair = authority.server();
    let (one, two) = (front(&pair), front(&pair));
    let trusted = Authority::new();
    let three = front(&trusted.server());
    let home = tempfile::tempdir().unwrap();
    let mut layout = LayoutFixture::new(home.path().join("layout"));
    layout.image(Some("1"), &[LayerSpec::random(1, 1000)]);
    let (layout, ca) = (home.path().join("layout"), home.path().join("ca.pem"));
    fs::write(&ca, trusted.certificate()).unwrap();
    let to = |front: &TlsFront| format!("{}/app:1", front.address());
    let run = wharf(
        home.path(),
        &[
            "push",
            layout.to_str().unwrap(),
            &to(&one),
            &to(&two),
            &to(&three),
            "--insecure",
            "--ca-cert",
            ca.to_str().unwrap(),
        ],
    );
    assert_eq!(run.code, 0, "{run:?}");
    assert_eq!(run.stderr.matches("warning").count(), 2, "{run:?}");
    for front in [one, two] {
        let warning = warning(&front.address().to_string());
        assert!(run.stderr.contains(&warning), "{run:?}");
    }
}

#[test]
fn t4_insecure_is_said_once_where_it_makes_a_difference() {
    let Some(scene) = Scene::new(&RegistryAuth::None, None) else {
        return;
    };
    let warning = warning(&scene.host());
    let run = scene.pushed(&["--insecure"], &[]);
    assert_eq!(run.stderr.matches("warning").count(), 1, "{run:?}");
    assert!(run.stderr.contains(&warning), "{run:?}");
    let ca = scene.path("ca.pem");
    let run = scene.pushed(&["--insecure", "--ca-cert", &ca], &[]);
    assert!(!run.stderr.contains("warning"), "{run:?}");
    let run = scene.pushed(&["--insecure", "--quiet"], &[]);
    assert_eq!(run.stderr, "");
}

#[test]
fn t4_a_registry_that_wants_a_client_certificate_gets_it() {
    let clients = Authority::new();
    let Some(scene) = Scene::new(&RegistryAuth::None, Some(&clients)) else {
        return;
    };
    let pair = clients.client();
    let ca = scene.path("ca.pem");
    let run = scene.push(&["--ca-cert", &ca], &[]);
    // Its alert may be lost when it closes the connection at once, and arrive with the next try.
    let flags = "(--client-cert FILE --client-key FILE)";
    let told = run.stderr.contains("it wants a client certificate") && run.stderr.contains(flags);
    assert!(
        told || run.stderr.contains("it may require a client certificate"),
        "{run:?}"
    );
    let certificate = scene.file("me.pem", &pair.certificate);
    let key = scene.file("me.key", &pair.key);
    let both = scene.file("both.pem", &format!("{}{}", pair.key, pair.certificate));
    let flags = ["--ca-cert", &ca, "--client-cert", &certificate];
    scene.pushed(&[&flags[..], &["--client-key", &key]].concat(), &[]);
    scene.pushed(&["--ca-cert", &ca, "--client-cert", &both], &[]);
    let host = scene.host();
    scene.file(
        &format!("certs/{host}/ca.crt"),
        scene.authority.certificate(),
    );
    scene.file(&format!("certs/{host}/me.cert"), &pair.certificate);
    scene.file(&format!("certs/{host}/me.key"), &pair.key);
    scene.pushed(&["--certs-dir", &scene.path("certs")], &[]);
}

#[test]
fn t4_malformed_files_are_told_before_anything_is_sent() {
    let clients = Authority::new();
    let Some(scene) = Scene::new(&RegistryAuth::None, None) else {
        return;
    };
    let ca = scene.path("ca.pem");
    let text = scene.file("text", "hello");
    let none = scene.path("none");
    let certificate = scene.file("me.pem", &clients.client().certificate);
    let key = scene.file("other.key", &clients.client().key);
    let host = scene.host();
    scene.file(&format!("certs/{host}/ca.crt"), "hello");
    let complaint = |flags: &[&str], variables: &[(&str, &str)]| {
        let run = scene.push(flags, variables);
        assert_eq!(
            (is_failure(run.code), run.stdout.as_str()),
            (true, ""),
            "{run:?}"
        );
        run.stderr.trim_end().to_owned()
    };
    for (flags, expected) in [
        (vec!["--ca-cert", &text], format!("{text}: not PEM")),
        (
            vec!["--ca-cert", &none],
            format!("{none}: no such file or directory"),
        ),
        (
            vec!["--ca-cert", &key],
            format!("{key}: no certificate in it"),
        ),
        (
            vec!["--client-cert", &certificate],
            format!("{certificate}: no private key in it"),
        ),
        (
            vec!["--client-cert", &certificate, "--client-key", &key],
            format!("{key}: the key in it does not match the client certificate"),
        ),
        (
            vec!["--client-key", &key],
            "--client-key needs --client-cert".to_owned(),
        ),
        (
            vec!["--certs-dir", &none],
            format!("{none}: no such file or directory"),
        ),
    ] {
        assert_eq!(complaint(&flags, &[]), format!("wharf: {expected}"));
    }
    for (variable, value, expected) in [
        (
            "SSL_CERT_FILE",
            &text,
            format!("SSL_CERT_FILE: {text}: not PEM"),
        ),
        (
            "SSL_CERT_FILE",
            &none,
            format!("SSL_CERT_FILE: {none}: no such file or directory"),
        ),
        (
            "SSL_CERT_DIR",
            &none,
            format!("SSL_CERT_DIR: {none}: no certificate in any file there"),
        ),
    ] {
        let variables = [(variable, value.as_str())];
        assert_eq!(
            complaint(&["--ca-cert", &ca], &variables),
            format!("wharf: {expected}")
        );
    }
    let certs = scene.path("certs");
    let line = complaint(&["--certs-dir", &certs], &[]);
    let expected = format!("{certs}/{host}/ca.crt: not PEM");
    assert!(line.ends_with(&expected), "{line}");
    assert!(!scene.registry.log().contains("TLS handshake"));
    assert!(!scene.registry.log().contains("/v2/"));
}

#[test]
fn t4_a_private_registry_behind_tls_takes_a_push_that_others_read() {
    let (Some(scene), Some(skopeo)) = (Scene::new(&RegistryAuth::Basic, None), Skopeo::find())
    else {
        return;
    };
    let host = scene.host();
    scene.file(
        &format!("certs/{host}/ca.crt"),
        scene.authority.certificate(),
    );
    let home: &Path = scene.home.path();
    let certs = scene.path("certs");
    let login = ["auth", "login", &host, "-u", "me", "-p", "hidden"];
    let run = wharf(home, &login);
    assert!(run.stderr.contains("--ca-cert"), "{run:?}");
    done(home, &[&login[..], &["--certs-dir", &certs]].concat());
    let run = scene.pushed(&["--certs-dir", &certs], &[]);
    let digest = run.stdout.trim().rsplit_once('@').unwrap().1.to_owned();
    let file = scene.path(".docker/config.json");
    let cert_dir = scene.path(&format!("certs/{host}"));
    let image = format!("docker://{host}/app:1");
    let read = skopeo.run(&[
        "inspect",
        "--authfile",
        &file,
        "--cert-dir",
        &cert_dir,
        "--format",
        "{{.Digest}}",
        &image,
    ]);
    assert_eq!(
        String::from_utf8_lossy(&read.stdout).trim(),
        digest,
        "{read:?}"
    );
}

#[test]
fn t4_proxies_are_those_that_the_environment_names() {
    let Some(scene) = Scene::new(&RegistryAuth::None, None) else {
        return;
    };
    let proxy = ConnectProxy::start(scene.registry.address(), ProxyManner::Basic);
    let url = format!("http://me:hidden@{}", proxy.address());
    let (layout, ca) = (scene.path("layout"), scene.path("ca.pem"));
    let push = |variables: &[(&str, &str)]| {
        let mut command = command(scene.home.path());
        command.args(["push", &layout, "registry.example/app:1", "--ca-cert", &ca]);
        let output = command.envs(variables.iter().copied()).output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(!stderr.contains("hidden"), "{stderr}");
        (output.status.success(), stderr)
    };
    for variable in ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"] {
        let before = proxy.heads().len();
        let (done, stderr) = push(&[(variable, &url), ("NO_PROXY", "other.example")]);
        assert!(done, "{variable}: {stderr}");
        assert!(proxy.heads().len() > before, "{variable}");
    }
    let bare = proxy.address().to_string();
    let (done, stderr) = push(&[("HTTPS_PROXY", &bare)]);
    let expected = format!("proxy {bare}: it requires other credentials");
    assert!(!done && stderr.contains(&expected), "{stderr}");
    let (done, stderr) = push(&[("HTTPS_PROXY", "ftp://me:hidden@proxy.example")]);
    let expected = "wharf: HTTPS_PROXY: only http, https and socks5 proxies are supported\n";
    assert!(!done && stderr == expected, "{stderr}");
    // This machine is never reached through a proxy.
    let seen = proxy.heads().len();
    scene.pushed(
        &["--ca-cert", &ca],
        &[("HTTPS_PROXY", &url), ("HTTP_PROXY", &url)],
    );
    assert_eq!(proxy.heads().len(), seen);
}
