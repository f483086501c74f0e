//! The options of `wharf registry serve`.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::Stdio;

use wharf_oci::Digest;

use crate::common::{Served, command};

/// The status of a request, and the whole answer.
fn send(address: SocketAddr, host: &str, request: &str, body: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    let length = body.len();
    let head = format!("{request}\r\nHost: {host}\r\nContent-Length: {length}\r\n");
    write!(stream, "{head}Connection: close\r\n\r\n{body}").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    (answer.split(' ').nth(1).unwrap().parse().unwrap(), answer)
}

#[test]
fn fault_b17_c9_a_registry_is_strict_and_has_names_when_it_is_told() {
    for told in [false, true] {
        let disk = tempfile::tempdir().unwrap();
        let mut command = command(disk.path());
        command.args(["registry", "serve", "--address", "127.0.0.1:0", "--disk"]);
        command.arg(disk.path()).stderr(Stdio::piped());
        if told {
            command.args(["--strict", "--host", "registry.example"]);
        }
        let served = Served::announced(command.spawn().unwrap());
        let host = format!("registry.example:{}", served.address.port());
        let (status, answer) = send(served.address, &host, "GET /v2/ HTTP/1.1", "");
        assert_eq!(status, if told { 200 } else { 403 }, "{answer}");
        let config = Digest::of(b"{}");
        let upload = format!("POST /v2/a/blobs/uploads/?digest={config} HTTP/1.1");
        assert_eq!(send(served.address, "localhost", &upload, "{}").0, 201);
        let manifest = format!(
            r#"{{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"{config}","size":53}},"layers":[]}}"#
        );
        let put = "PUT /v2/a/manifests/v1 HTTP/1.1";
        let (status, answer) = send(served.address, "localhost", put, &manifest);
        assert_eq!(status, if told { 400 } else { 201 }, "{answer}");
        assert_eq!(answer.contains("2 bytes") && answer.contains("53"), told);
        assert_eq!(served.terminate(), Some(0));
    }
}
