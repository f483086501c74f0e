//! Debian's `nginx`: the front end of many registries.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use crate::authority::Pair;

/// A running `nginx` with TLS, which offers HTTP/2; it ends when it is dropped.
#[derive(Debug)]
pub struct Nginx {
    process: Child,
    address: SocketAddr,
    directory: TempDir,
}

/// A request that it answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PassedRequest {
    /// `HTTP/1.1` or `HTTP/2.0`.
    pub protocol: String,
    /// The number of the client's connection.
    pub connection: u64,
    /// Upper-case method.
    pub method: String,
    /// The status of the answer, from nginx or from its upstream.
    pub status: u16,
}

impl Nginx {
    /// Starts one before `upstream` on a free port of 127.0.0.1, with the certificate `shown` and
    /// the directives in `settings`. `None`, with a line on stderr, when it is not installed.
    ///
    /// # Panics
    /// When it cannot be started; when it is not installed and `WHARF_REQUIRE_PEERS` is 1.
    pub fn start(upstream: SocketAddr, shown: &Pair, settings: &str) -> Option<Self> {
        let program = super::find("nginx")?;
        let directory = tempfile::tempdir().expect("create a directory for nginx");
        // nginx cannot pick a port itself. Clients that connect before it runs wait in the socket's
        // queue.
        let listener =
            TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("bind a loopback address");
        let address = listener
            .local_addr()
            .expect("a bound socket has an address");
        configure(directory.path(), address, upstream, shown, settings);
        let process = Command::new(program)
            .arg("-p")
            .arg(directory.path())
            .args(["-c", "nginx.conf"])
            // The file descriptor of the socket to use: standard input.
            .env("NGINX", "0;")
            .stdin(Stdio::from(OwnedFd::from(listener)))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("start nginx");
        Some(Self {
            process,
            address,
            directory,
        })
    }

    /// Address and port.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Every request so far; the last ones may be missing for a moment.
    ///
    /// # Panics
    /// When its log has another format than configured.
    pub fn requests(&self) -> Vec<PassedRequest> {
        let log = fs::read_to_string(self.directory.path().join("access.log"));
        log.unwrap_or_default().lines().map(passed).collect()
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // Its workers end with it only if it is asked to stop.
        let asked = Command::new("kill")
            .arg(self.process.id().to_string())
            .status();
        if !asked.is_ok_and(|status| status.success()) {
            let _ = self.process.kill();
        }
        let _ = self.process.wait();
    }
}

fn configure(
    directory: &Path,
    address: SocketAddr,
    upstream: SocketAddr,
    shown: &Pair,
    settings: &str,
) {
    let text = format!(
        "daemon off; user root; worker_processes 1; pid nginx.pid; error_log error.log;\n\
         events {{ worker_connections 256; }}\n\
         http {{\n\
         log_format short '$server_protocol $connection $request_method $status';\n\
         access_log access.log short;\n\
         client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi;\n\
         uwsgi_temp_path uwsgi; scgi_temp_path scgi;\n\
         server {{\n\
         listen {address} ssl http2; ssl_certificate server.pem; ssl_certificate_key server.key;\n\
         {settings}\n\
         location / {{\n\
         proxy_pass http://{upstream}; proxy_http_version 1.1; proxy_request_buffering off;\n\
         proxy_set_header Host $http_host; proxy_set_header X-Forwarded-Proto https;\n\
         }} }} }}\n"
    );
    for (name, content) in [
        ("nginx.conf", text.as_str()),
        ("server.pem", &shown.certificate),
        ("server.key", &shown.key),
    ] {
        fs::write(directory.join(name), content).expect("write a file for nginx");
    }
}

fn passed(line: &str) -> PassedRequest {
    let parts: Vec<&str> = line.split(' ').collect();
    let [protocol, connection, method, status] = parts.as_slice() else {
        panic!("nginx logged {line:?}");
    };
    PassedRequest {
        protocol: (*protocol).to_owned(),
        connection: connection.parse().expect("the number of a connection"),
        method: (*method).to_owned(),
        status: status.parse().expect("a status"),
    }
}
