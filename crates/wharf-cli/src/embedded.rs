//! The embedded registry: served by a command, or inside the process for as long as work lasts.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;

use tokio::sync::oneshot;
use wharf::Result;
use wharf_registry::storage::disk::Disk;
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
    let disk = Disk::open(directory)?;
    Server::bind(address, Registry::new(disk)).await
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
    let (served, outcome) = tokio::join!(serving, working);
    let outcome = outcome?;
    served?;
    Ok(outcome)
}
