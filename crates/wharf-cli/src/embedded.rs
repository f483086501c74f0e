//! The embedded registry: served by a command, or inside the process for as long as work lasts.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::sync::oneshot;
use wharf::{Error, ErrorKind, Result};
use wharf_registry::storage::Disk;
use wharf_registry::{Registry, Server};

/// What the registry is called by those who pull from it, when it is served as by default.
pub(crate) const SERVED: &str = "localhost:5000";

/// The registry at `address`, as part of a reference.
pub(crate) fn registry(address: SocketAddr) -> wharf_oci::Registry {
    address
        .to_string()
        .parse()
        .expect("an address with a port names a registry")
}

/// A registry over `directory`, listening.
///
/// # Errors
/// Where the directory or the address cannot be used.
pub(crate) async fn bind(address: SocketAddr, directory: &Path) -> Result<Server> {
    // An address that is taken is found before a directory is made.
    let bound = TcpListener::bind(address).await;
    let listener = bound.map_err(|error| Error::io(address, error))?;
    if directory.exists() && !directory.is_dir() {
        let message = "not a directory, and a registry keeps its content in one";
        return Err(Error::new(ErrorKind::Invalid, message).target(directory.display()));
    }
    let disk = Disk::open(directory).await?;
    Server::from_listener(listener, Registry::new(Arc::new(disk)))
}

/// Serves `directory` on a free port of the loopback address while `work` is under way.
///
/// # Errors
/// As [`bind`], and what `work` says.
pub(crate) async fn during<T>(
    directory: &Path,
    work: impl AsyncFnOnce(SocketAddr) -> Result<T>,
) -> Result<T> {
    let server = bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), directory).await?;
    let address = server.local_addr();
    let (done, finished) = oneshot::channel::<()>();
    let serving = server.run(async { drop(finished.await) });
    let working = async {
        let outcome = work(address).await;
        drop(done);
        outcome
    };
    let ((), outcome) = tokio::join!(serving, working);
    outcome
}
