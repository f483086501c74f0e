//! The options of `wharf registry serve`.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Command, Stdio};
use std::time::Duration;

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

#[test]
fn fault_xlog_a_log_that_is_not_read_stops_no_request() {
    let disk = tempfile::tempdir().unwrap();
    let mut command = command(disk.path());
    command.args([
        "-vv",
        "registry",
        "serve",
        "--address",
        "127.0.0.1:0",
        "--disk",
    ]);
    command.arg(disk.path()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut unread = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    while !line.contains("http://") {
        line.clear();
        unread.read_line(&mut line).unwrap();
    }
    let address = line.trim().rsplit_once("http://").unwrap().1;
    let mut stream = TcpStream::connect(address).unwrap();
    let limit = Some(Duration::from_secs(60));
    stream.set_read_timeout(limit).unwrap();
    let path = "a".repeat(16 << 10);
    // Each path is logged: far more than a pipe holds, and than may wait.
    for _ in 0..1200 {
        let request = format!("HEAD /{path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        let (mut head, mut byte) = (Vec::new(), [0]);
        while !head.ends_with(b"\r\n\r\n") {
            stream.read_exact(&mut byte).unwrap();
            head.extend(byte);
        }
        assert!(head.starts_with(b"HTTP/1.1 404"));
    }
    drop(stream);
    let id = child.id().to_string();
    assert!(Command::new("kill").arg(id).status().unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(0));
    drop(unread);
}

#[test]
fn fault_xfilesize_a_limit_on_file_sizes_refuses_the_blob_and_nothing_else() {
    let disk = tempfile::tempdir().unwrap();
    let wharf = command(disk.path());
    let mut command = Command::new("sh");
    command.args(["-c", "ulimit -f 512; exec \"$0\" \"$@\""]);
    command.arg(wharf.get_program()).env("HOME", disk.path());
    command.args(["registry", "serve", "--address", "127.0.0.1:0", "--disk"]);
    command.arg(disk.path()).stderr(Stdio::piped());
    let served = Served::announced(command.spawn().unwrap());
    let large = "x".repeat(2 << 20);
    for (body, expected) in [(large.as_str(), 507), ("small", 201)] {
        let digest = Digest::of(body.as_bytes());
        let upload = format!("POST /v2/a/blobs/uploads/?digest={digest} HTTP/1.1");
        let (status, answer) = send(served.address, "localhost", &upload, body);
        assert_eq!(status, expected, "{answer}");
    }
    let uploads = std::fs::read_dir(disk.path().join("uploads")).unwrap();
    assert_eq!(uploads.count(), 0);
    assert_eq!(served.terminate(), Some(0));
}

#[test]
fn fault_xsignal_a_registry_that_waits_for_requests_says_so_and_obeys_a_second_signal() {
    let disk = tempfile::tempdir().unwrap();
    let mut command = command(disk.path());
    command.args(["registry", "serve", "--address", "127.0.0.1:0", "--disk"]);
    command.arg(disk.path()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut said = BufReader::new(child.stderr.take().unwrap()).lines();
    let first = said.next().unwrap().unwrap();
    let address = first.rsplit_once("http://").unwrap().1.to_owned();
    let mut stream = TcpStream::connect(&address).unwrap();
    let digest = Digest::of(b"never");
    let upload = format!(
        "POST /v2/a/blobs/uploads/?digest={digest} HTTP/1.1\r\nHost: localhost\r\n\
         Content-Length: 5\r\nExpect: 100-continue\r\n\r\n"
    );
    stream.write_all(upload.as_bytes()).unwrap();
    // The request is under way once the server asks for its body.
    stream.read_exact(&mut [0; 12]).unwrap();
    let id = child.id().to_string();
    let signal = || Command::new("kill").arg(&id).status().unwrap().success();
    assert!(signal());
    let line = said.next().unwrap().unwrap();
    assert!(line.contains("a second signal stops at once"), "{line}");
    assert!(signal());
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn fault_xlink_a_link_to_nothing_is_not_a_directory_that_exists() {
    let home = tempfile::tempdir().unwrap();
    let link = home.path().join("link");
    std::os::unix::fs::symlink(home.path().join("nothing"), &link).unwrap();
    let mut command = command(home.path());
    command.args(["registry", "serve", "--address", "127.0.0.1:0", "--disk"]);
    let output = command.arg(&link).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("link: not a directory"), "{said}");
    assert_eq!(output.status.code(), Some(7));
}
