//! The names of upload sessions. A [`SessionId`] is safe as a file name and in a URL.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use wharf_core::{Error, ErrorKind};
use wharf_oci::RepositoryName;

/// A session within its repository; it does not exist under another repository.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Session {
    /// The repository that the upload is for.
    pub repository: RepositoryName,
    /// Its name there.
    pub id: SessionId,
}

impl Session {
    /// A new session, under an id that no other session has.
    pub fn fresh(repository: RepositoryName) -> Self {
        let id = SessionId::fresh();
        Session { repository, id }
    }
}

/// The name of an upload session: 32 hexadecimal digits, never used twice.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionId(String);

/// The error of text that is not the name of an upload session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not the name of an upload session (32 lower-case hex digits)")]
pub struct SessionIdError;

impl SessionId {
    fn fresh() -> Self {
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

/// A session without a request for this long is abandoned.
pub(super) const LEFT_BEHIND: Duration = Duration::from_secs(24 * 60 * 60);

/// The error if another request has the session open.
pub(super) fn taken() -> Error {
    let message = "another request writes to this upload session";
    Error::new(ErrorKind::Busy, message)
}

/// The error of a write to a session that was aborted meanwhile.
pub(super) fn aborted() -> Error {
    Error::new(ErrorKind::NotFound, "the upload session was cancelled")
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
