//! Hand-written requests for the tests of this crate, sent byte for byte.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// Sends one request that asks to close the connection. Returns everything until it is closed.
pub(crate) fn send(to: SocketAddr, line: &str, headers: &str, body: &[u8]) -> String {
    let mut stream = open(to, line, headers, body.len());
    // The other side may close before it has taken everything.
    let _ = stream.write_all(body);
    read_to_end(stream)
}

/// Sends the head of a request with a body of `length` bytes to follow.
pub(crate) fn open(to: SocketAddr, line: &str, headers: &str, length: usize) -> TcpStream {
    let mut stream = TcpStream::connect(to).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    let head = format!(
        "{line} HTTP/1.1\r\nHost: {to}\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\r\n"
    );
    stream.write_all(head.as_bytes()).unwrap();
    stream
}

/// Everything until the connection is closed or reset.
pub(crate) fn read_to_end(mut stream: TcpStream) -> String {
    let mut bytes = Vec::new();
    let _ = stream.read_to_end(&mut bytes);
    String::from_utf8(bytes).unwrap()
}
