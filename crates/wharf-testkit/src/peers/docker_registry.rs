//! Debian's `docker-registry`: the reference registry, 2.8.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::authority::Pair;

const PATIENCE: Duration = Duration::from_secs(20);

/// A running `docker-registry` with its own storage; it ends when it is dropped.
#[derive(Debug)]
pub struct DockerRegistry {
    process: Child,
    address: SocketAddr,
    directory: TempDir,
    data: PathBuf,
}

/// Where a registry listens, and what it serves.
#[derive(Debug)]
struct Place {
    ip: IpAddr,
    /// The URL below which its clients continue; `None`: where they asked.
    stated: Option<String>,
    /// Its storage; `None`: a directory of its own.
    data: Option<PathBuf>,
}

/// Which credentials a registry requires.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RegistryAuth {
    /// None.
    None,
    /// The user `me` with the password `hidden`, with each request.
    Basic,
    /// Tokens of this token server.
    Token {
        /// The URL of the token server.
        realm: String,
        /// The name of the registry at the token server.
        service: String,
        /// The name of the token server in its tokens.
        issuer: String,
        /// The certificate of its signing key.
        certificate: String,
    },
}

/// The TLS settings of a registry.
#[derive(Clone, Debug)]
pub struct RegistryTls {
    /// Its certificate and key.
    pub server: Pair,
    /// The certificate of the authority for client certificates, in PEM; `None`: it asks for none.
    pub clients: Option<String>,
}

/// `me:hidden` by bcrypt; computed once, because bcrypt is slow on purpose.
const HTPASSWD: &str = "me:$2y$05$abcdefghijklmnopqrstuu4BcS2/37KDukaKm7SMr8Dt17UhqpC0G\n";

impl DockerRegistry {
    /// Starts one on a free port of 127.0.0.1; `None`, with a line on stderr, when it is not
    /// installed.
    ///
    /// # Panics
    /// When it does not answer within 20 seconds, with what it logged; when it is not installed and
    /// `WHARF_REQUIRE_PEERS` is 1.
    pub fn start() -> Option<Self> {
        Self::start_with(&RegistryAuth::None)
    }

    /// The same, for a registry that requires credentials.
    ///
    /// # Panics
    /// As [`DockerRegistry::start`].
    pub fn start_with(auth: &RegistryAuth) -> Option<Self> {
        Self::launch(Place::here(), auth, None)
    }

    /// The same on a free port of `ip`, a loopback address or one of [`crate::network`].
    ///
    /// # Panics
    /// As [`DockerRegistry::start`].
    pub fn start_on(ip: IpAddr, auth: &RegistryAuth) -> Option<Self> {
        let place = Place {
            ip,
            ..Place::here()
        };
        Self::launch(place, auth, None)
    }

    /// A second process over the storage of this one, on `ip`, as behind a load balancer. Each
    /// `Location` that it sends leads to this one.
    ///
    /// # Panics
    /// As [`DockerRegistry::start`].
    pub fn fronted_on(&self, ip: IpAddr, auth: &RegistryAuth) -> Option<Self> {
        let place = Place {
            ip,
            stated: Some(format!("http://{}", self.address)),
            data: Some(self.data.clone()),
        };
        Self::launch(place, auth, None)
    }

    /// The same, for a registry that speaks TLS.
    ///
    /// # Panics
    /// As [`DockerRegistry::start`].
    pub fn start_tls(auth: &RegistryAuth, tls: &RegistryTls) -> Option<Self> {
        Self::launch(Place::here(), auth, Some(tls))
    }

    fn launch(place: Place, auth: &RegistryAuth, tls: Option<&RegistryTls>) -> Option<Self> {
        let program = super::find("docker-registry")?;
        let directory = tempfile::tempdir().expect("create a directory for docker-registry");
        let data = place.data.clone();
        let data = data.unwrap_or_else(|| directory.path().join("data"));
        let settings = settings(&place, &data, directory.path(), auth, tls);
        let process = spawn(&program, directory.path(), &settings);
        let mut registry = Self {
            process,
            // Known as soon as its log states its port.
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
            directory,
            data,
        };
        registry.await_answer(tls);
        Some(registry)
    }

    /// Address and port.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The directory of its storage: `docker/registry/v2` is below.
    pub fn data_dir(&self) -> PathBuf {
        self.data.clone()
    }

    /// Its log so far.
    pub fn log(&self) -> String {
        fs::read_to_string(self.directory.path().join("log")).unwrap_or_default()
    }

    fn await_answer(&mut self, tls: Option<&RegistryTls>) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(address) = listening_address(&self.log()) {
                self.address = address;
                // It logs its port after it listens; with TLS that is enough.
                if tls.is_some() || answers(address) {
                    return;
                }
            }
            let ended = self.process.try_wait().ok().flatten();
            assert!(
                ended.is_none() && Instant::now() < deadline,
                "docker-registry does not answer (ended: {ended:?}); it logged:\n{}",
                self.log()
            );
            thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for DockerRegistry {
    fn drop(&mut self) {
        // It may have ended by itself already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Place {
    fn here() -> Self {
        Self {
            ip: Ipv4Addr::LOCALHOST.into(),
            stated: None,
            data: None,
        }
    }
}

fn spawn(program: &Path, directory: &Path, settings: &str) -> Child {
    let config = directory.join("config.yml");
    fs::write(&config, settings).expect("write the configuration of docker-registry");
    let log = File::create(directory.join("log")).expect("create the log of docker-registry");
    let stdout = log.try_clone().expect("share the log of docker-registry");
    Command::new(program)
        .arg("serve")
        .arg(config)
        .stdin(Stdio::null())
        .stdout(stdout)
        .stderr(log)
        .spawn()
        .expect("start docker-registry")
}

/// The configuration. Writes the files that it names into `directory`.
fn settings(
    place: &Place,
    data: &Path,
    directory: &Path,
    auth: &RegistryAuth,
    tls: Option<&RegistryTls>,
) -> String {
    let stated = place.stated.as_ref();
    format!(
        "version: 0.1\n\
         log:\n  level: info\n\
         storage:\n  filesystem:\n    rootdirectory: {}\n  delete:\n    enabled: true\n\
         http:\n  addr: {}:0\n  secret: of-all-processes\n{}{}{}",
        data.display(),
        place.ip,
        stated
            .map(|url| format!("  host: {url}\n"))
            .unwrap_or_default(),
        tls.map(|tls| secured(tls, directory)).unwrap_or_default(),
        configured(auth, directory)
    )
}

/// The part of the configuration about credentials. Writes its files into `directory`.
fn configured(auth: &RegistryAuth, directory: &Path) -> String {
    let file = |name: &str, content: &str| written(directory, name, content);
    match auth {
        RegistryAuth::None => String::new(),
        RegistryAuth::Basic => {
            let users = file("htpasswd", HTPASSWD);
            format!("auth:\n  htpasswd:\n    realm: test\n    path: {users}\n")
        }
        RegistryAuth::Token {
            realm,
            service,
            issuer,
            certificate,
        } => {
            let bundle = file("certificate.pem", certificate);
            format!(
                "auth:\n  token:\n    realm: {realm}\n    service: {service}\n    \
                 issuer: {issuer}\n    rootcertbundle: {bundle}\n"
            )
        }
    }
}

/// The part of the configuration of `http` about TLS.
fn secured(tls: &RegistryTls, directory: &Path) -> String {
    let certificate = written(directory, "server.pem", &tls.server.certificate);
    let key = written(directory, "server.key", &tls.server.key);
    let clients = tls.clients.as_ref().map(|certificate| {
        let path = written(directory, "clients.pem", certificate);
        format!("    clientcas:\n      - {path}\n")
    });
    let clients = clients.unwrap_or_default();
    format!("  tls:\n    certificate: {certificate}\n    key: {key}\n{clients}")
}

fn written(directory: &Path, name: &str, content: &str) -> String {
    let path = directory.join(name);
    fs::write(&path, content).expect("write a file for docker-registry");
    path.display().to_string()
}

fn listening_address(log: &str) -> Option<SocketAddr> {
    let (_, rest) = log.split_once("listening on ")?;
    // An incomplete line has no closing quote yet.
    let (address, _) = rest.split_once('"')?;
    address.trim_end_matches(", tls").parse().ok()
}

fn answers(address: SocketAddr) -> bool {
    let Ok(mut stream) = TcpStream::connect_timeout(&address, Duration::from_secs(1)) else {
        return false;
    };
    let request = format!("GET /v2/ HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    let mut answer = String::new();
    stream
        .set_read_timeout(Some(Duration::from_secs(5)))
        .and_then(|()| stream.write_all(request.as_bytes()))
        .and_then(|()| stream.read_to_string(&mut answer))
        .is_ok_and(|_| answer.starts_with("HTTP/1.1 200") || answer.starts_with("HTTP/1.1 401"))
}
