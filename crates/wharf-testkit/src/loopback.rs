//! A listener on an address of this machine, served by a thread with a runtime of its own until dropped.

use std::future::Future;
use std::net::{SocketAddr, TcpListener};
use std::thread::{self, JoinHandle};

use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use crate::network;

/// The running thread; dropping it closes the listener and every connection.
#[derive(Debug)]
pub(crate) struct Loopback {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Loopback {
    /// Binds `address` (port 0: a free port) and runs `connection` for each connection, numbered
    /// from 0.
    pub(crate) fn start<C, F>(address: SocketAddr, connection: C) -> Self
    where
        C: Fn(TcpStream, u64) -> F + Send + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        assert!(
            address.ip().is_loopback() || network::is_inside(),
            "{address} is not a loopback address"
        );
        let listener = TcpListener::bind(address).expect("bind an address of this machine");
        listener
            .set_nonblocking(true)
            .expect("a fresh socket can be made non-blocking");
        let address = listener
            .local_addr()
            .expect("a bound socket has an address");
        let (stop, stopped) = oneshot::channel();
        let thread = thread::spawn(move || {
            tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("start a runtime")
                .block_on(accept(listener, connection, stopped));
        });
        Self {
            address,
            stop: Some(stop),
            thread: Some(thread),
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Loopback {
    fn drop(&mut self) {
        // Both fail only if the thread has ended already.
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

async fn accept<C, F>(listener: TcpListener, connection: C, mut stopped: oneshot::Receiver<()>)
where
    C: Fn(TcpStream, u64) -> F,
    F: Future<Output = ()> + Send + 'static,
{
    let listener = tokio::net::TcpListener::from_std(listener).expect("register the listener");
    let mut connections = JoinSet::new();
    let mut number = 0;
    loop {
        tokio::select! {
            _ = &mut stopped => return,
            accepted = listener.accept() => {
                // A connection that was closed before it was accepted needs no answer.
                if let Ok((stream, _)) = accepted {
                    let _ = stream.set_nodelay(true);
                    connections.spawn(connection(stream, number));
                    number += 1;
                }
            }
            Some(_) = connections.join_next() => {}
        }
    }
}
