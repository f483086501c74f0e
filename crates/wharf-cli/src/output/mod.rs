//! Results: bytes for standard output, or for a file that appears only when it is whole.

mod new_file;
mod stdout;
mod target;

pub(crate) use self::new_file::NewFile;
pub(crate) use self::stdout::{judge, unless_unread};
pub(crate) use self::target::Target;
