//! The traits for content: sources to read it from, and stores to write it to.
//!
//! A source or store is *one repository*: in a registry, a layout directory, an archive, memory.
//! A new store writes eight methods: [`Source::resolve`], [`Source::manifest`], [`Source::blob`],
//! [`Source::tags`], [`Store::contains`], [`Store::put_blob`], [`Store::ingest`] and
//! [`Store::put_manifest`]. The others have defaults.

pub mod archive;
mod cached;
mod files;
mod hints;
mod interface;
mod joined;
mod layout;
mod memory;
mod new_file;
mod nowhere;
mod parts;
mod pulse;
mod referrers;

pub use self::cached::Cached;
pub use self::hints::{Hints, NoHints};
pub use self::interface::{Holding, Names, Outcome, Source, Store};
pub use self::joined::Joined;
pub use self::layout::{Entry, Layout, LayoutReader};
pub use self::memory::Memory;
pub use self::nowhere::Nowhere;
pub use self::pulse::{Beat, Effort, Pulse};
