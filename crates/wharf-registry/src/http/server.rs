//! A registry on a socket.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;
use wharf_core::{Error, Result};

use super::connections::{Connections, Place};
use super::dispatch::answer;
use super::hosts::Hosts;
use super::limits::Limits;
use super::overload;
use super::patience::Patience;
use crate::Registry;

/// The most bytes to buffer of a connection in each direction, and the most of a request's head.
const BUFFER: usize = 64 << 10;
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
    hosts: Hosts,
    limits: Limits,
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
            hosts: Hosts::of(address),
            limits: Limits::default(),
        })
    }

    /// Answers requests for this host name too. A server on a loopback address refuses requests for
    /// other names than `localhost`, loopback addresses and these, because they may come from web
    /// pages. On other addresses it answers all.
    #[must_use]
    pub fn host(mut self, name: &str) -> Self {
        self.hosts.add(name);
        self
    }

    /// Sets how many connections there may be, and how much time they have.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Disconnects a client that reads no byte of an answer for `limit`, instead of 60 seconds. A
    /// slow client is served to the end.
    #[must_use]
    pub fn write_timeout(mut self, limit: Duration) -> Self {
        self.limits.write = limit;
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
        let hosts = Arc::new(self.hosts);
        let connections = Connections::new(self.limits);
        let mut tasks = JoinSet::new();
        let mut tick = tokio::time::interval(self.limits.tick());
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let accepted = tokio::select! {
                () = &mut shutdown => break,
                Some(_) = tasks.join_next() => continue,
                _ = tick.tick() => {
                    connections.tick();
                    continue;
                }
                accepted = self.listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, _)) => {
                    let connections = Arc::clone(&connections);
                    let served = (self.registry.clone(), Arc::clone(&hosts));
                    tasks.spawn(connect(stream, connections, served, stopped.clone()));
                }
                Err(error) => {
                    tracing::warn!(%error, "connection not accepted");
                    connections.make_room(1);
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
        drop(self.listener);
        drop(stop);
        let ended = async { while tasks.join_next().await.is_some() {} };
        // Requests that take longer are cut off when the set is dropped.
        let _ = tokio::time::timeout(GRACE, ended).await;
    }
}

/// What each connection serves, and the names that it is served under.
type Served = (Registry, Arc<Hosts>);

/// Serves a connection once there is a place for it.
async fn connect(
    stream: TcpStream,
    connections: Arc<Connections>,
    served: Served,
    mut stopped: watch::Receiver<()>,
) {
    // Without it small answers wait for the client's acknowledgement. If the system refuses it they
    // still arrive.
    let _ = stream.set_nodelay(true);
    let place = tokio::select! {
        place = connections.admit() => place,
        // The sender is dropped when the server stops.
        _ = stopped.changed() => return,
    };
    match place {
        Some(place) => serve(stream, place, served, stopped).await,
        None => overload::refuse(stream).await,
    }
}

async fn serve(
    stream: TcpStream,
    place: Place,
    (registry, hosts): Served,
    mut stopped: watch::Receiver<()>,
) {
    let activity = place.activity();
    let stream = Patience::new(stream, Arc::clone(activity));
    let service = {
        let activity = Arc::clone(activity);
        service_fn(move |request| {
            let (hosts, activity) = (Arc::clone(&hosts), Arc::clone(&activity));
            answer(registry.clone(), hosts, activity, request)
        })
    };
    let mut http = http1::Builder::new();
    // The time for a head is limited by `activity`.
    http.header_read_timeout(None).max_buf_size(BUFFER);
    let mut connection = pin!(http.serve_connection(TokioIo::new(stream), service));
    let mut is_stopping = false;
    let served = loop {
        tokio::select! {
            served = &mut connection => break served,
            () = activity.closed() => return,
            // The sender is dropped when the server stops.
            _ = stopped.changed(), if !is_stopping => {
                is_stopping = true;
                connection.as_mut().graceful_shutdown();
            }
        }
    };
    if let Err(error) = served {
        tracing::debug!(%error, "connection ended");
    }
}
