//! Errors about a tar.

use crate::{Error, ErrorKind};

/// The tar ends too early.
pub(crate) fn truncated(reason: impl std::fmt::Display) -> Error {
    Error::new(ErrorKind::Corrupt, format!("truncated tar: {reason}"))
}

/// Something in a tar is not as it must be.
pub(crate) fn malformed(offset: u64, reason: impl std::fmt::Display) -> Error {
    let message = format!("malformed tar at offset {offset}: {reason}");
    Error::new(ErrorKind::Corrupt, message)
}
