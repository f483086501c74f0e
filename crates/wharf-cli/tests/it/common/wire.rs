//! Hand-written requests to a registry.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

/// A parsed answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    headers: String,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// The value of a header.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.headers.lines().filter_map(|line| line.split_once(':'));
        let (_, value) = lines.find(|(found, _)| found.eq_ignore_ascii_case(name))?;
        Some(value.trim())
    }
}

/// Fetches a path.
pub(crate) fn fetch(address: SocketAddr, path: &str) -> Answer {
    send(address, "GET", path)
}

/// Sends a request without a body with HTTP/1.0, so that the answer is not chunked.
pub(crate) fn send(address: SocketAddr, method: &str, path: &str) -> Answer {
    let mut connection = TcpStream::connect(address).unwrap();
    let request = format!("{method} {path} HTTP/1.0\r\nHost: {address}\r\n{ACCEPT}\r\n");
    connection.write_all(request.as_bytes()).unwrap();
    let mut bytes = Vec::new();
    connection.read_to_end(&mut bytes).unwrap();
    let mut ends = bytes.windows(4);
    let end = ends.position(|part| part == b"\r\n\r\n").unwrap();
    let body = bytes.split_off(end + 4);
    let headers = String::from_utf8(bytes).unwrap();
    let status = headers.split(' ').nth(1).unwrap().parse().unwrap();
    Answer {
        status,
        headers,
        body,
    }
}

/// Registries return a manifest as it was put only with this header.
const ACCEPT: &str = "\
Accept: application/vnd.oci.image.manifest.v1+json\r\n\
Accept: application/vnd.oci.image.index.v1+json\r\n\
Accept: application/vnd.docker.distribution.manifest.v2+json\r\n";
