//! The embedded registry: served by a command, or inside the process during its work.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;

use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use wharf::{Error, ErrorKind, Result};
use wharf_registry::storage::Storage;
use wharf_registry::{Registry, Server, Sizes};

/// The address of the registry in references, when it is served with the defaults.
pub(crate) const SERVED: &str = "localhost:5000";

/// The name of the registry inside this process, in notes of its uploads. No host has it.
pub(crate) fn inside() -> wharf_oci::Registry {
    let name = "registry-inside.invalid";
    name.parse().expect("a name with a dot names a registry")
}

/// The registry at `address`, as part of a reference.
pub(crate) fn registry(address: SocketAddr) -> wharf_oci::Registry {
    address
        .to_string()
        .parse()
        .expect("an address with a port names a registry")
}

/// A registry over `directory`, listening at the first of `addresses` that can be used.
///
/// # Errors
/// If the directory or the address cannot be used.
pub(crate) async fn bind(
    addresses: &[SocketAddr],
    directory: &Path,
    sizes: Sizes,
) -> Result<Server> {
    // Bound first, so that no directory is made if the address is in use.
    let bound = TcpListener::bind(addresses).await;
    let listener = bound.map_err(|error| {
        let address = addresses.first().map(ToString::to_string);
        Error::io(address.unwrap_or_default(), error)
    })?;
    // A link to nothing is there too, and no directory can be made in its place.
    if directory.symlink_metadata().is_ok() && !directory.is_dir() {
        let message = "not a directory; a registry needs one for its content";
        return Err(Error::new(ErrorKind::Invalid, message).target(directory.display()));
    }
    let storage = Storage::on_disk(directory).await?;
    Server::from_listener(listener, Registry::new(storage).sizes(sizes))
}

/// Serves `directory` on a free port of the loopback address until it is stopped.
///
/// # Errors
/// As [`bind`].
pub(crate) async fn start(directory: &Path) -> Result<(SocketAddr, Running)> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let server = bind(&[address], directory, Sizes::default()).await?;
    let address = server.local_addr();
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = tokio::spawn(server.run(async { drop(stopped.await) }));
    Ok((address, Running { stop, serving }))
}

/// A registry that runs inside this process. It outlives the work that uses it, because unfinished
/// uploads must still be cancelled.
#[derive(Debug)]
pub(crate) struct Running {
    stop: oneshot::Sender<()>,
    serving: JoinHandle<()>,
}

impl Running {
    /// Lets it finish its requests, and stops it.
    pub(crate) async fn stop(self) {
        drop(self.stop);
        // It limits the time for its connections itself; a panic was printed.
        let _ = self.serving.await;
    }
}
