//! A client that sends a request and then reads nothing.

use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use wharf::oci::Digest;
use wharf_registry::storage::Storage;
use wharf_registry::{Registry, Server};

#[tokio::test]
async fn a_peer_that_reads_nothing_is_cut_off() {
    let storage = Storage::in_memory();
    // Far more than the buffers of any socket.
    let content = bytes::Bytes::from(vec![7; 64 << 20]);
    let digest = Digest::of(&content);
    let bytes = Box::pin(futures::stream::iter([Ok(content)]));
    let name = "a".parse().unwrap();
    storage.put_blob(&name, &digest, bytes).await.unwrap();
    let address = "127.0.0.1:0".parse().unwrap();
    let server = Server::bind(address, Registry::new(storage)).await.unwrap();
    let server = server.write_timeout(Duration::from_millis(50));
    let mut peer = TcpStream::connect(server.local_addr()).await.unwrap();
    let request = format!("GET /v2/a/blobs/{digest} HTTP/1.1\r\nhost: localhost\r\n\r\n");
    peer.write_all(request.as_bytes()).await.unwrap();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let running = tokio::spawn(server.run(async {
        let _ = stopped.await;
    }));
    // The answer has begun when its first byte arrives; it is not read.
    peer.peek(&mut [0]).await.unwrap();
    drop(stop);
    // The shutdown would wait twice as long for an open request.
    let ended = tokio::time::timeout(Duration::from_secs(5), running).await;
    ended.unwrap().unwrap();
    drop(peer);
}
