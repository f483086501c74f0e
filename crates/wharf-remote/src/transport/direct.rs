//! Sends a request on a connection of its own, to a target as a registry wrote it. The HTTP client
//! of all others sends each URL in the form of its parser.

use std::error::Error as StdError;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::header::{ACCEPT, HOST, USER_AGENT};
use http::uri::PathAndQuery;
use http::{HeaderValue, Uri};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use url::Url;

use super::dns::{Names, Reach};

/// What a connection needs besides the URL.
#[derive(Debug)]
pub(super) struct Direct<'a> {
    pub(super) tls: Arc<ClientConfig>,
    pub(super) names: &'a Names,
    pub(super) reach: Reach,
    pub(super) connect: Duration,
    pub(super) user_agent: &'a str,
}

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum NoAnswer {
    /// The connection was not made.
    Connect(BoxError),
    /// It broke.
    Exchange(BoxError),
}

type BoxError = Box<dyn StdError + Send + Sync>;

impl Direct<'_> {
    /// Sends the request to `target` at the host of its URL.
    pub(super) async fn send(
        &self,
        request: reqwest::Request,
        target: PathAndQuery,
    ) -> Result<reqwest::Response, NoAnswer> {
        let url = request.url().clone();
        let connecting = tokio::time::timeout(self.connect, self.connected(&url));
        let stream = connecting.await.map_err(|_| io::ErrorKind::TimedOut.into());
        let stream = stream.and_then(|stream| stream).map_err(connect)?;
        let made = self.made(request, target).map_err(NoAnswer::Exchange)?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
            .await
            .map_err(exchange)?;
        // It ends with the answer.
        let connection = tokio::spawn(connection);
        match sender.send_request(made).await {
            Ok(answer) => Ok(answer.map(reqwest::Body::wrap).into()),
            // The connection ended before it took the request, and may know why.
            Err(error) if error.is_canceled() => {
                let ended = connection.await.ok().and_then(Result::err);
                Err(exchange(ended.unwrap_or(error)))
            }
            Err(error) => Err(exchange(error)),
        }
    }

    /// The request, with what the HTTP client adds to all others.
    fn made(
        &self,
        mut request: reqwest::Request,
        target: PathAndQuery,
    ) -> Result<http::Request<reqwest::Body>, BoxError> {
        let host = &request.url()[url::Position::BeforeHost..url::Position::AfterPort];
        let host = HeaderValue::from_str(host)?;
        let body = request.body_mut().take().unwrap_or_default();
        let mut made = http::Request::new(body);
        *made.method_mut() = request.method().clone();
        *made.uri_mut() = Uri::from(target);
        *made.headers_mut() = request.headers().clone();
        let agent = HeaderValue::from_str(self.user_agent)?;
        let headers = made.headers_mut();
        headers.insert(HOST, host);
        headers.entry(USER_AGENT).or_insert(agent);
        headers
            .entry(ACCEPT)
            .or_insert(HeaderValue::from_static("*/*"));
        Ok(made)
    }

    async fn connected(&self, url: &Url) -> io::Result<Box<dyn Stream>> {
        let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
        let port = url.port_or_known_default().unwrap_or_default();
        let addresses = match host.parse() {
            Ok(address) => vec![SocketAddr::new(address, port)],
            Err(_) => self.names.addresses(host, self.reach).await?,
        };
        let stream = first(&addresses, port).await?;
        stream.set_nodelay(true)?;
        if url.scheme() != "https" {
            return Ok(Box::new(stream));
        }
        let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
        let connector = TlsConnector::from(Arc::clone(&self.tls));
        Ok(Box::new(connector.connect(name, stream).await?))
    }
}

/// The first connection that is made. An address without a port has that of the URL.
async fn first(addresses: &[SocketAddr], port: u16) -> io::Result<TcpStream> {
    let mut failed = io::ErrorKind::NotFound.into();
    for address in addresses {
        let port = match address.port() {
            0 => port,
            given => given,
        };
        match TcpStream::connect((address.ip(), port)).await {
            Ok(stream) => return Ok(stream),
            Err(error) => failed = error,
        }
    }
    Err(failed)
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

fn connect(error: io::Error) -> NoAnswer {
    NoAnswer::Connect(error.into())
}

fn exchange(error: hyper::Error) -> NoAnswer {
    NoAnswer::Exchange(error.into())
}
