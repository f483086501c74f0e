//! Standard output that cannot be written: closed by its reader, or full.

use std::io::{self, ErrorKind as Io};

use wharf::{Error, Result};

/// The outcome of a write to standard output. A reader that has seen enough closes its pipe, which
/// is no error.
///
/// # Errors
/// The error of the write, such as a full disk.
pub(crate) fn judge(written: io::Result<()>) -> Result<()> {
    match written {
        Err(error) if error.kind() == Io::BrokenPipe => Ok(()),
        written => written.map_err(|error| Error::io("standard output", error)),
    }
}

/// The outcome of a command that writes to standard output while it works, in the same manner.
///
/// # Errors
/// All others of the command.
pub(crate) fn unless_unread<T: Default>(outcome: Result<T>) -> Result<T> {
    match outcome {
        Err(error) if error.is_unread() => Ok(T::default()),
        outcome => outcome,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fault_a7_a_closed_pipe_is_no_error_and_a_full_disk_is_one() {
        judge(Ok(())).unwrap();
        judge(Err(Io::BrokenPipe.into())).unwrap();
        let full = judge(Err(Io::StorageFull.into())).unwrap_err().to_string();
        assert!(full.starts_with("standard output: "), "{full}");
    }
}
