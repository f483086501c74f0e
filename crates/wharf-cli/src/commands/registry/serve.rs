//! `wharf registry serve`: the embedded registry as a server.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::pin::pin;
use std::time::Duration;

use tokio::sync::oneshot;
use wharf::{Error, ErrorKind, Result};
use wharf_registry::{Server, Sizes};

use crate::command::{OnSignal, Run};
use crate::context::Context;
use crate::printer::Printer;
use crate::signals::Signals;
use crate::{embedded, env, open_files};

/// Serve a directory as a registry until interrupted
#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub(crate) struct Serve {
    /// Address to listen on; :PORT listens on all addresses, port 0 picks a free port
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
        let addresses = addresses(&self.address).await?;
        let directory = match self.disk {
            Some(directory) => directory,
            None => env::registry_directory()?,
        };
        let sizes = match self.strict {
            true => Sizes::Strict,
            false => Sizes::Lenient,
        };
        let server = embedded::bind(&addresses, &directory, sizes).await?;
        // A name that it is told to listen on is one that clients use.
        let names = self.hosts.iter().chain([&own]);
        let server = names.fold(server, |server, name| server.host(name));
        // Before the line by which a supervisor knows that it runs, and may stop it.
        let signals = Signals::listen();
        let address = server.local_addr();
        let line = format!("serving {} on http://{address}", directory.display());
        context.printer.say(&line);
        if !address.ip().is_loopback() {
            context
                .printer
                .say("other machines can use it too, without a password");
        }
        context.printer.fall_behind();
        until_signal(server, signals, &context.printer).await;
        context.printer.catch_up();
        Ok(())
    }
}

/// How long requests may take to end before a word is said about them.
const SILENCE: Duration = Duration::from_millis(500);

/// Serves until a signal arrives and the requests under way have ended, or a second signal.
async fn until_signal(server: Server, signals: Result<Signals>, printer: &Printer) {
    let Ok(mut signals) = signals else {
        // Without signals it serves for ever.
        return server.run(std::future::pending()).await;
    };
    let (stop, stopped) = oneshot::channel::<()>();
    let mut serving = pin!(server.run(async { drop(stopped.await) }));
    tokio::select! {
        () = &mut serving => return,
        _ = signals.next() => drop(stop),
    }
    let telling = async {
        tokio::time::sleep(SILENCE).await;
        printer.say("stopping after the requests under way; a second signal stops at once");
        std::future::pending().await
    };
    tokio::select! {
        () = &mut serving => {}
        () = telling => {}
        _ = signals.next() => {}
    }
}

/// The addresses to try in turn: the first that HOST:PORT stands for, or for `:PORT`, as in other
/// tools, all addresses of this machine, with and without IPv6.
async fn addresses(text: &str) -> Result<Vec<SocketAddr>> {
    if let Some(port) = text.strip_prefix(':').and_then(|port| port.parse().ok()) {
        let all: [IpAddr; 2] = [Ipv6Addr::UNSPECIFIED.into(), Ipv4Addr::UNSPECIFIED.into()];
        return Ok(all.map(|address| SocketAddr::new(address, port)).to_vec());
    }
    let found = tokio::net::lookup_host(text).await;
    let first = found.and_then(|mut all| all.next().ok_or_else(|| io::ErrorKind::NotFound.into()));
    first
        .map(|address| vec![address])
        .map_err(|error| match error.kind() {
            io::ErrorKind::InvalidInput => {
                let message = "not HOST:PORT or :PORT, such as 127.0.0.1:5000 or localhost:0";
                Error::new(ErrorKind::Invalid, message).target(format!("address \"{text}\""))
            }
            _ => Error::io(format!("address \"{text}\""), error),
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn fault_c17_a_port_alone_is_on_all_addresses() {
        let all = addresses(":5001").await.unwrap();
        let all: Vec<String> = all.iter().map(ToString::to_string).collect();
        assert_eq!(all, ["[::]:5001", "0.0.0.0:5001"]);
    }

    #[tokio::test]
    async fn an_address_may_be_a_name_and_needs_a_port() {
        let first = |all: Result<Vec<SocketAddr>>| all.unwrap()[0];
        assert!(first(addresses("localhost:0").await).ip().is_loopback());
        assert_eq!(first(addresses("[::1]:5").await).port(), 5);
        for text in [
            "foo",
            "127.0.0.1",
            "127.0.0.1:",
            "127.0.0.1:70000",
            ":",
            ":x",
        ] {
            let error = addresses(text).await.unwrap_err().to_string();
            assert_eq!(
                error,
                format!(
                    "address \"{text}\": not HOST:PORT or :PORT, such as 127.0.0.1:5000 or \
                     localhost:0"
                )
            );
        }
    }
}
