//! The answer to a connection that there is no place for.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// The most time for the answer.
const TIME: Duration = Duration::from_secs(2);
/// The most bytes of the request to read after it.
const REQUEST: u64 = 64 << 10;

const BODY: &str = "{\"errors\":[{\"code\":\"UNAVAILABLE\",\
                    \"message\":\"too many connections; try again later\"}]}";

/// Answers 503 without reading the request, and closes the connection.
pub(super) async fn refuse(mut stream: TcpStream) {
    let answer = format!(
        "HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\nretry-after: 5\r\n\
         content-length: {}\r\nconnection: close\r\n\r\n{BODY}",
        BODY.len()
    );
    let telling = async {
        stream.write_all(answer.as_bytes()).await?;
        stream.shutdown().await?;
        // Closing with unread bytes would reset the connection, and the answer might be lost.
        tokio::io::copy(&mut stream.take(REQUEST), &mut tokio::io::sink()).await
    };
    // A client that is gone, or slow, needs no answer.
    let _ = tokio::time::timeout(TIME, telling).await;
}
