//! Reads a tar entry by entry from a stream, with bounded memory (POSIX ustar and pax, GNU tar).

mod entries;
mod pax;
mod sparse;

pub(crate) use self::entries::{BLOCK, Entries, Entry};
pub(crate) use self::pax::{Records, number};
