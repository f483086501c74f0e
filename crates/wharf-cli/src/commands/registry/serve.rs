//! `wharf registry serve`: the embedded registry as a server.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use wharf::{Error, ErrorKind, Result};
use wharf_registry::Sizes;

use crate::command::{OnSignal, Run};
use crate::context::Context;
use crate::signals::Signals;
use crate::{embedded, env, open_files};

/// Serve a directory as a registry until interrupted
#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub(crate) struct Serve {
    /// Address to listen on; port 0 picks a free port
    #[arg(long, value_name = "HOST:PORT", default_value = DEFAULT_ADDRESS)]
    address: String,
    /// Directory of the content; without it, one in the user's data directory
    #[arg(long, value_name = "DIR")]
    disk: Option<PathBuf>,
    /// Also answer requests for this host name; on a loopback address other names than localhost
    /// are refused
    #[arg(long = "host", value_name = "NAME")]
    hosts: Vec<String>,
    /// Refuse manifests that state a wrong size for content
    #[arg(long)]
    strict: bool,
}

/// Where the embedded registry listens by default.
const DEFAULT_ADDRESS: &str = "127.0.0.1:5000";

const HELP: &str = "\
Example:
  wharf registry serve --address 127.0.0.1:5000 --disk ./registry";

impl Run for Serve {
    fn on_signal(&self) -> OnSignal {
        OnSignal::End
    }

    /// Serves until a signal arrives, which is a success.
    async fn run(self, context: &Context) -> Result<()> {
        open_files::raise();
        let own = self.address.clone();
        let address = address(&self.address).await?;
        let directory = match self.disk {
            Some(directory) => directory,
            None => env::registry_directory()?,
        };
        let sizes = match self.strict {
            true => Sizes::Strict,
            false => Sizes::Lenient,
        };
        let server = embedded::bind(address, &directory, sizes).await?;
        // A name that it is told to listen on is one that clients use.
        let names = self.hosts.iter().chain([&own]);
        let server = names.fold(server, |server, name| server.host(name));
        let address = server.local_addr();
        let line = format!("serving {} on http://{address}", directory.display());
        context.printer.say(&line);
        let shutdown = async {
            match Signals::listen() {
                Ok(mut signals) => drop(signals.next().await),
                // Without signals it serves for ever.
                Err(_) => std::future::pending().await,
            }
        };
        server.run(shutdown).await;
        Ok(())
    }
}

/// The first address that HOST:PORT stands for.
async fn address(text: &str) -> Result<SocketAddr> {
    let found = tokio::net::lookup_host(text).await;
    let first = found.and_then(|mut all| all.next().ok_or_else(|| io::ErrorKind::NotFound.into()));
    first.map_err(|error| match error.kind() {
        io::ErrorKind::InvalidInput => {
            let message = "not HOST:PORT, such as 127.0.0.1:5000 or localhost:0";
            Error::new(ErrorKind::Invalid, message).target(format!("address \"{text}\""))
        }
        _ => Error::io(format!("address \"{text}\""), error),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_address_may_be_a_name_and_needs_a_port() {
        assert!(address("localhost:0").await.unwrap().ip().is_loopback());
        assert_eq!(address("[::1]:5").await.unwrap().port(), 5);
        for text in ["foo", "127.0.0.1", "127.0.0.1:", "127.0.0.1:70000"] {
            let error = address(text).await.unwrap_err().to_string();
            assert_eq!(
                error,
                format!("address \"{text}\": not HOST:PORT, such as 127.0.0.1:5000 or localhost:0")
            );
        }
    }
}
