//! Names of upload sessions. A [`SessionId`] is safe as a file name and in a URL.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use wharf_core::{Error, ErrorKind, Result};

/// The name of an upload session: 32 hexadecimal digits, never used twice.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionId(String);

/// Text that is no name of an upload session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not the name of an upload session (32 lower-case hex digits)")]
pub struct SessionIdError;

impl SessionId {
    /// A name that nobody has.
    pub fn fresh() -> Self {
        SessionId(format!("{:032x}", fastrand::u128(..)))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for SessionId {
    type Err = SessionIdError;

    fn from_str(text: &str) -> Result<Self, SessionIdError> {
        let digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        if text.len() == 32 && text.bytes().all(digit) {
            return Ok(SessionId(text.to_owned()));
        }
        Err(SessionIdError)
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The error of every operation on a session that is not there.
pub(super) fn missing(id: &SessionId) -> Error {
    Error::new(ErrorKind::NotFound, "no such upload session").target(id)
}

/// Sessions that nobody touched for so long belong to nobody.
pub(super) const LEFT_BEHIND: Duration = Duration::from_secs(24 * 60 * 60);
/// How long a request waits for another one to leave a session.
pub(super) const PATIENCE: Duration = Duration::from_secs(1);

/// The error where it did not.
pub(super) fn taken() -> Error {
    let message = "another request writes to this upload session";
    Error::new(ErrorKind::Busy, message)
}

/// Bytes must begin where the session ends (distribution-spec: "Pushing a blob in chunks").
pub(super) fn check_offset(offset: Option<u64>, end: u64) -> Result<()> {
    match offset {
        Some(offset) if offset != end => Err(Error::new(
            ErrorKind::Invalid,
            format!("bytes begin at {offset}, the session ends at {end}"),
        )),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fresh_name_is_read_back() {
        let id = SessionId::fresh();
        assert_eq!(id.to_string().parse(), Ok(id));
    }

    #[test]
    fn path_tricks_are_no_names() {
        for text in [
            "",
            "..",
            "../../../../../../../../etc/passwd",
            &"A".repeat(32),
        ] {
            assert_eq!(text.parse::<SessionId>(), Err(SessionIdError), "{text}");
        }
    }
}
