//! The two signals by which people and service managers end a program.

use std::io;
use std::process::ExitCode;

use wharf::{Error, Result};

/// A request to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Signal {
    /// Ctrl-C.
    Interrupt,
    /// From a service manager.
    Terminate,
}

impl Signal {
    /// As shells expect: 128 plus the signal's number.
    pub(crate) fn exit_code(self) -> ExitCode {
        match self {
            Signal::Interrupt => ExitCode::from(130),
            Signal::Terminate => ExitCode::from(143),
        }
    }
}

/// Waits for the first such signal.
///
/// # Errors
/// If the system does not support waiting for signals.
pub(crate) async fn first() -> Result<Signal> {
    wait().await.map_err(|error| Error::io("signals", error))
}

#[cfg(unix)]
async fn wait() -> io::Result<Signal> {
    use tokio::signal::unix::{SignalKind, signal};

    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        outcome = tokio::signal::ctrl_c() => outcome.map(|()| Signal::Interrupt),
        _ = terminate.recv() => Ok(Signal::Terminate),
    }
}

#[cfg(not(unix))]
async fn wait() -> io::Result<Signal> {
    tokio::signal::ctrl_c().await.map(|()| Signal::Interrupt)
}
