//! Asks the person at the terminal.

use std::io::{self, BufRead, Read};

use wharf::credentials::Secret;
use wharf::{Error, ErrorKind, Result, verify};

use crate::printer::Printer;

/// Longer than any user name or password.
const LIMIT: u64 = 64 * 1024;

/// Asks for `what`, and reads one line.
///
/// # Errors
/// [`ErrorKind::Invalid`] if the input ends or the line is empty; if the terminal cannot be used.
pub(super) async fn line(printer: &Printer, what: &'static str) -> Result<String> {
    printer.ask(what)?;
    let line = read(what).await?;
    given(what, line.expose().trim().to_owned(), |line| {
        line.is_empty()
    })
}

/// The same for a secret, which the terminal does not show.
///
/// # Errors
/// As [`line`].
pub(super) async fn secret(printer: &Printer, what: &'static str) -> Result<Secret> {
    // Held here and not by the thread that reads, so that an interrupt shows input again.
    let _hidden = hidden::Hidden::new().map_err(unusable)?;
    printer.ask(what)?;
    given(what, read(what).await?, Secret::is_empty)
}

fn given<T>(what: &str, value: T, is_empty: impl Fn(&T) -> bool) -> Result<T> {
    match is_empty(&value) {
        true => Err(Error::new(
            ErrorKind::Invalid,
            format!("no {} given", what.to_lowercase()),
        )),
        false => Ok(value),
    }
}

/// A line of standard input, without its end.
async fn read(what: &'static str) -> Result<Secret> {
    verify::blocking(move || {
        let mut line = String::new();
        let read = io::stdin().lock().take(LIMIT).read_line(&mut line);
        let line = Secret::new(line);
        read.map_err(unusable)?;
        let text = line.expose();
        if text.len() as u64 >= LIMIT {
            let message = format!("longer than {LIMIT} bytes: no {}", what.to_lowercase());
            return Err(Error::new(ErrorKind::Invalid, message).target("standard input"));
        }
        let text = text.strip_suffix('\n').unwrap_or(text);
        Ok(Secret::from(text.strip_suffix('\r').unwrap_or(text)))
    })
    .await?
}

fn unusable(error: io::Error) -> Error {
    Error::io("standard input", error)
}

#[cfg(unix)]
mod hidden {
    use std::io;

    use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

    /// A terminal that does not show input, until this is dropped.
    pub(super) struct Hidden(Termios);

    impl Hidden {
        pub(super) fn new() -> io::Result<Self> {
            let before = tcgetattr(io::stdin())?;
            let mut hidden = before.clone();
            hidden.local_modes.remove(LocalModes::ECHO);
            // The end of the line is shown.
            hidden.local_modes.insert(LocalModes::ECHONL);
            tcsetattr(io::stdin(), OptionalActions::Flush, &hidden)?;
            Ok(Hidden(before))
        }
    }

    impl Drop for Hidden {
        fn drop(&mut self) {
            // There is nothing to do about a terminal that is gone.
            let _ = tcsetattr(io::stdin(), OptionalActions::Now, &self.0);
        }
    }
}

#[cfg(not(unix))]
mod hidden {
    use std::io;

    /// Input is always shown here, so no secret is asked for.
    pub(super) struct Hidden;

    impl Hidden {
        pub(super) fn new() -> io::Result<Self> {
            Err(io::ErrorKind::Unsupported.into())
        }
    }
}
