//! A registry on a socket.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use wharf_core::{Error, Result};

use super::dispatch::answer;
use super::patience::Patience;
use crate::Registry;

/// The most connections at a time; more wait in the system's queue.
const CONNECTIONS: usize = 1024;
/// The time limit for the head of a request, and for an idle connection.
const HEADERS: Duration = Duration::from_secs(60);
/// The default time after which a client that reads nothing of an answer is disconnected.
const WRITES: Duration = Duration::from_secs(60);
/// How long requests under way may take to end after the shutdown began.
const GRACE: Duration = Duration::from_secs(10);
/// How long to wait after the system refused a connection (no descriptors left).
const PAUSE: Duration = Duration::from_millis(100);

/// A listening registry, over HTTP/1.1 without TLS.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    registry: Registry,
    write_timeout: Duration,
}

impl Server {
    /// Listens on an address; with port 0 the system picks the port.
    ///
    /// # Errors
    /// The system's error, naming the address.
    pub async fn bind(address: SocketAddr, registry: Registry) -> Result<Self> {
        let listener = TcpListener::bind(address).await;
        let listener = listener.map_err(|error| Error::io(address, error))?;
        Server::from_listener(listener, registry)
    }

    /// Serves on a listening socket, so that an address can be bound before the registry is opened.
    ///
    /// # Errors
    /// The system's error about the socket.
    pub fn from_listener(listener: TcpListener, registry: Registry) -> Result<Self> {
        let address = listener
            .local_addr()
            .map_err(|error| Error::io("socket", error))?;
        Ok(Server {
            listener,
            address,
            registry,
            write_timeout: WRITES,
        })
    }

    /// Disconnects a client that reads no byte of an answer for `limit`, instead of 60 seconds. A
    /// slow client is served to the end.
    #[must_use]
    pub fn write_timeout(mut self, limit: Duration) -> Self {
        self.write_timeout = limit;
        self
    }

    /// The address it listens on.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `shutdown` is ready, then waits at most ten seconds for requests under way.
    pub async fn run(self, shutdown: impl Future<Output = ()> + Send) {
        let mut shutdown = pin!(shutdown);
        let (stop, stopped) = watch::channel(());
        let permits = Arc::new(Semaphore::new(CONNECTIONS));
        let mut connections = JoinSet::new();
        loop {
            let accepted = tokio::select! {
                () = &mut shutdown => break,
                Some(_) = connections.join_next() => continue,
                accepted = accept(&self.listener, &permits) => accepted,
            };
            let Some((permit, stream)) = accepted else {
                continue;
            };
            let (registry, stopped) = (self.registry.clone(), stopped.clone());
            // Without it small answers wait for the client's acknowledgement. If the system refuses
            // it they still arrive.
            let _ = stream.set_nodelay(true);
            let stream = Patience::new(stream, self.write_timeout);
            connections.spawn(async move {
                serve(stream, registry, stopped).await;
                drop(permit);
            });
        }
        drop(self.listener);
        drop(stop);
        let ended = async { while connections.join_next().await.is_some() {} };
        // Requests that take longer are cut off when the set is dropped.
        let _ = tokio::time::timeout(GRACE, ended).await;
    }
}

async fn accept(
    listener: &TcpListener,
    permits: &Arc<Semaphore>,
) -> Option<(tokio::sync::OwnedSemaphorePermit, TcpStream)> {
    let permit = Arc::clone(permits).acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, _)) => Some((permit, stream)),
        Err(error) => {
            tracing::warn!(%error, "connection not accepted");
            tokio::time::sleep(PAUSE).await;
            None
        }
    }
}

async fn serve(stream: Patience<TcpStream>, registry: Registry, mut stopped: watch::Receiver<()>) {
    let service = service_fn(move |request| answer(registry.clone(), request));
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEADERS);
    let mut connection = pin!(http.serve_connection(TokioIo::new(stream), service));
    let served = tokio::select! {
        served = &mut connection => served,
        // The sender is dropped when the server stops.
        _ = stopped.changed() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = served {
        tracing::debug!(%error, "connection ended");
    }
}
