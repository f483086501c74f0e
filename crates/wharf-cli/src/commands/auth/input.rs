//! Secrets and names on standard input.

use std::io::{self, Read};

use wharf::credentials::Secret;
use wharf::{Error, ErrorKind, Result, verify};

/// Longer than any password or name of a registry.
const LIMIT: u64 = 64 * 1024;

/// Reads standard input to its end, without the final line break. `what` names the expected input.
///
/// # Errors
/// [`ErrorKind::Invalid`] if it is too long; if it cannot be read.
pub(super) async fn read(what: &'static str) -> Result<Secret> {
    verify::blocking(move || {
        let mut text = String::new();
        let read = io::stdin().take(LIMIT + 1).read_to_string(&mut text);
        let text = Secret::new(text);
        read.map_err(|error| Error::io("standard input", error))?;
        if text.expose().len() as u64 > LIMIT {
            let message = format!("longer than {LIMIT} bytes: not {what}");
            return Err(Error::new(ErrorKind::Invalid, message).target("standard input"));
        }
        let line = text.expose();
        let line = line.strip_suffix('\n').unwrap_or(line);
        Ok(Secret::from(line.strip_suffix('\r').unwrap_or(line)))
    })
    .await?
}
