//! The signals by which people, terminals and service managers end a program.

use std::io;
use std::process::ExitCode;

use wharf::{Error, Result};

/// A request to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(
    not(unix),
    expect(dead_code, reason = "such systems have only the first")
)]
pub(crate) enum Signal {
    /// Ctrl-C.
    Interrupt,
    /// From a service manager.
    Terminate,
    /// The terminal was closed.
    HangUp,
}

impl Signal {
    /// Its name, without `SIG`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Signal::Interrupt => "INT",
            Signal::Terminate => "TERM",
            Signal::HangUp => "HUP",
        }
    }

    /// As shells expect: 128 plus the signal's number.
    pub(crate) fn exit_code(self) -> ExitCode {
        match self {
            Signal::Interrupt => ExitCode::from(130),
            Signal::Terminate => ExitCode::from(143),
            Signal::HangUp => ExitCode::from(129),
        }
    }
}

/// What a signal from the user, a terminal or a service manager does to a command. Unless the
/// command ends itself, its work is dropped, and the exit code states the signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OnSignal {
    /// A copy of images pauses: the next run does what is missing.
    Pause,
    /// The upload of one blob pauses, if enough of it has moved.
    PauseBlob,
    /// A change stops, and may have been made in part.
    Doubt,
    /// It stops, and has changed nothing.
    Abandon,
    /// It waits for signals itself, and ends successfully.
    End,
}

/// Such signals, from the moment of listening on. They no longer end the process by themselves.
#[derive(Debug)]
pub(crate) struct Signals(system::Streams);

impl Signals {
    /// Listens for signals.
    ///
    /// # Errors
    /// If the system does not support waiting for signals.
    pub(crate) fn listen() -> Result<Self> {
        let streams = system::Streams::open();
        streams
            .map(Signals)
            .map_err(|error| Error::io("signals", error))
    }

    /// Waits for the next one.
    pub(crate) async fn next(&mut self) -> Signal {
        match self.0.next().await {
            Some(signal) => signal,
            // The system sends no more of them.
            None => std::future::pending().await,
        }
    }
}

#[cfg(unix)]
mod system {
    use tokio::signal::unix::{Signal as Stream, SignalKind, signal};

    use super::{Signal, io};

    #[derive(Debug)]
    pub(super) struct Streams {
        interrupt: Stream,
        terminate: Stream,
        /// `None` if the process was started to outlive its terminal.
        hang_up: Option<Stream>,
    }

    impl Streams {
        pub(super) fn open() -> io::Result<Self> {
            // A file beyond the limit of the process is an error then, and does not end it.
            let too_large = rustix::process::Signal::XFSZ.as_raw();
            drop(signal(SignalKind::from_raw(too_large))?);
            Ok(Streams {
                interrupt: signal(SignalKind::interrupt())?,
                terminate: signal(SignalKind::terminate())?,
                hang_up: match outlives_its_terminal() {
                    true => None,
                    false => Some(signal(SignalKind::hangup())?),
                },
            })
        }

        pub(super) async fn next(&mut self) -> Option<Signal> {
            let hung_up = async {
                match &mut self.hang_up {
                    Some(stream) => stream.recv().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                got = self.interrupt.recv() => got.map(|()| Signal::Interrupt),
                got = self.terminate.recv() => got.map(|()| Signal::Terminate),
                got = hung_up => got.map(|()| Signal::HangUp),
            }
        }
    }

    /// Whether the process ignores SIGHUP, as `nohup` makes it do. Listening would undo that.
    fn outlives_its_terminal() -> bool {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        ignores_hang_up(&status)
    }

    /// Reads the mask of ignored signals, in hexadecimal: bit 0 is that of signal 1 (proc(5)).
    fn ignores_hang_up(status: &str) -> bool {
        let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
        let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
        mask.is_some_and(|mask| mask & 1 == 1)
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn fault_c7_a_process_that_outlives_its_terminal_says_so_in_its_status() {
            let status = |mask: &str| format!("Name:\twharf\nSigBlk:\t1\nSigIgn:\t{mask}\n");
            assert!(ignores_hang_up(&status("0000000000001001")));
            assert!(!ignores_hang_up(&status("0000000000001000")));
            assert!(!ignores_hang_up(&status("?")) && !ignores_hang_up(""));
        }
    }
}

#[cfg(not(unix))]
mod system {
    use super::{Signal, io};

    #[derive(Debug)]
    pub(super) struct Streams;

    impl Streams {
        pub(super) fn open() -> io::Result<Self> {
            Ok(Streams)
        }

        pub(super) async fn next(&mut self) -> Option<Signal> {
            tokio::signal::ctrl_c()
                .await
                .ok()
                .map(|()| Signal::Interrupt)
        }
    }
}
