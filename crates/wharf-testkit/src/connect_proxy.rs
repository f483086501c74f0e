//! A forward proxy, for HTTP and SOCKS 5. It connects every client to one given server, whatever
//! the client asks for.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::TcpStream;

use crate::loopback::Loopback;

/// The version that a client of SOCKS 5 begins with (RFC 1928).
const SOCKS: u8 = 5;

/// Bytes of a request's head.
const HEAD: usize = 64 * 1024;

/// The running proxy; it stops when it is dropped.
#[derive(Debug)]
pub struct ConnectProxy {
    server: Loopback,
    heads: Arc<Mutex<Vec<String>>>,
}

/// Which clients a proxy accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProxyManner {
    /// All.
    Open,
    /// The user `me` with the password `hidden`.
    Basic,
    /// None (403).
    Closed,
}

impl ConnectProxy {
    /// Starts one on a free port of 127.0.0.1. Names are never looked up: every connection goes to
    /// `upstream`.
    pub fn start(upstream: SocketAddr, manner: ProxyManner) -> Self {
        let heads: Arc<Mutex<Vec<String>>> = Arc::default();
        let record = Arc::clone(&heads);
        let server = Loopback::start((Ipv4Addr::LOCALHOST, 0).into(), move |stream, _| {
            let record = Arc::clone(&record);
            async move {
                // The client reports a broken connection.
                drop(serve(stream, upstream, manner, &record).await);
            }
        });
        Self { server, heads }
    }

    /// Address and port.
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// The first head of each connection as it was sent, or `SOCKS HOST:PORT`.
    pub fn heads(&self) -> Vec<String> {
        self.heads
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

async fn serve(
    mut client: TcpStream,
    upstream: SocketAddr,
    manner: ProxyManner,
    record: &Mutex<Vec<String>>,
) -> std::io::Result<()> {
    let mut first = [0];
    client.peek(&mut first).await?;
    if first == [SOCKS] {
        return serve_socks(client, upstream, manner, record).await;
    }
    let (head, rest) = read_head(&mut client).await?;
    record
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .push(head.clone());
    // base64 of `me:hidden`.
    let shown = head
        .to_ascii_lowercase()
        .contains("proxy-authorization: basic bwu6aglkzgvu");
    let refusal = match manner {
        ProxyManner::Basic if !shown => Some("407 Proxy Authentication Required"),
        ProxyManner::Closed => Some("403 Forbidden"),
        _ => None,
    };
    if let Some(status) = refusal {
        let answer = format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        return client.write_all(answer.as_bytes()).await;
    }
    let mut server = TcpStream::connect(upstream).await?;
    if head.starts_with("CONNECT ") {
        client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await?;
    } else {
        server.write_all(head.as_bytes()).await?;
    }
    server.write_all(&rest).await?;
    copy_bidirectional(&mut client, &mut server).await?;
    Ok(())
}

/// SOCKS 5 with names, and with user and password if required (RFC 1928, RFC 1929).
async fn serve_socks(
    mut client: TcpStream,
    upstream: SocketAddr,
    manner: ProxyManner,
    record: &Mutex<Vec<String>>,
) -> std::io::Result<()> {
    let [_, methods] = exactly(&mut client).await?;
    counted(&mut client, methods).await?;
    let login = manner == ProxyManner::Basic;
    let method = if login { 2 } else { 0 };
    client.write_all(&[SOCKS, method]).await?;
    if login {
        let [_, length] = exactly(&mut client).await?;
        let user = counted(&mut client, length).await?;
        let [length] = exactly(&mut client).await?;
        let password = counted(&mut client, length).await?;
        let right = user == b"me" && password == b"hidden";
        client.write_all(&[1, u8::from(!right)]).await?;
    }
    let [_, _, _, kind] = exactly(&mut client).await?;
    assert_eq!(kind, 3, "names are for the proxy to look up");
    let [length] = exactly(&mut client).await?;
    let name = counted(&mut client, length).await?;
    let port = u16::from_be_bytes(exactly(&mut client).await?);
    record
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .push(format!("SOCKS {}:{port}", String::from_utf8_lossy(&name)));
    let mut server = TcpStream::connect(upstream).await?;
    client
        .write_all(&[SOCKS, 0, 0, 1, 0, 0, 0, 0, 0, 0])
        .await?;
    copy_bidirectional(&mut client, &mut server).await?;
    Ok(())
}

async fn exactly<const N: usize>(client: &mut TcpStream) -> std::io::Result<[u8; N]> {
    let mut bytes = [0; N];
    client.read_exact(&mut bytes).await?;
    Ok(bytes)
}

async fn counted(client: &mut TcpStream, length: u8) -> std::io::Result<Vec<u8>> {
    let mut bytes = vec![0; length.into()];
    client.read_exact(&mut bytes).await?;
    Ok(bytes)
}

/// The head up to its empty line, and the bytes after it.
async fn read_head(client: &mut TcpStream) -> std::io::Result<(String, Vec<u8>)> {
    let mut bytes = Vec::new();
    while bytes.len() < HEAD {
        let ended = bytes.windows(4).position(|end| end == b"\r\n\r\n");
        if let Some(end) = ended {
            let rest = bytes.split_off(end + 4);
            return Ok((String::from_utf8_lossy(&bytes).into_owned(), rest));
        }
        if client.read_buf(&mut bytes).await? == 0 {
            break;
        }
    }
    Err(std::io::ErrorKind::UnexpectedEof.into())
}
