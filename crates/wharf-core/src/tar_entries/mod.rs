//! Reads a tar entry by entry from a stream, with bounded memory (POSIX ustar and pax, GNU tar).

mod entries;
mod errors;
mod extension;
mod pax;
mod sparse;
mod whole;

pub(crate) use self::entries::{BLOCK, Entries, Entry};
pub(crate) use self::errors::{malformed, truncated};
pub(crate) use self::extension::Extension;
pub(crate) use self::pax::Records;
pub(crate) use self::sparse::is_sparse;
pub(crate) use self::whole::{Whole, whole};
