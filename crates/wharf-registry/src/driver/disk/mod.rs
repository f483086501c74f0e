//! Content in a directory, for any number of processes at once.
//!
//! ```text
//! format                                    the marker: what this directory is, which version
//! blobs/<algorithm>/<2 hex>/<hex>           the pool: all content, each digest once
//! lengths/<algorithm>/<2 hex>/<hex>         how many bytes that content had when it was stored
//! repositories/<name>/_blobs/<algorithm>/<hex>       empty: this repository has that blob
//! repositories/<name>/_manifests/<algorithm>/<hex>   media type, and the pool's digest
//! repositories/<name>/_tags/<tag>           a digest
//! repositories/<name>/_referrers/<algorithm>/<hex>/<algorithm>-<hex>   below the subject's digest
//!                                           that of a manifest: the descriptor to list
//! uploads/<session>.<repository>            bytes of a session; <repository> hashed, 16 hex
//! uploads/<session>.<repository>.state      what was saved of its hash, and for how many bytes
//! temp/                                     small files on their way
//! locks/<2 hex>                             empty: held while a link or a tag changes
//! ```
//!
//! A file with its final name is whole and on the disk: it was renamed there after an fsync. If it
//! is damaged later, it counts as absent: `lengths.rs` finds cut content, `storage` broken links. A
//! length may be lost with the power; content without one is of an earlier version, or is checked
//! when it is mounted. All files have the mode that the umask leaves of 0666. A repository exists if its directory does, with `_blobs` or `_manifests` in it.
//!
//! An upload session is its file. The bytes that a request wrote stay if the request breaks off or
//! the process dies. The saved state never covers bytes that were not flushed before; without it
//! the file is read again, so the digest reveals bytes lost in a power failure.
//!
//! A directory of format 1 had no `_referrers` and gets them when it is opened; earlier versions
//! refuse it from then on. A process that still serves it must be stopped first: manifests that it
//! writes later would have no referrer links.

mod driver;
mod files;
mod lengths;
mod locks;
mod session;
mod start;
mod tree;

pub use driver::Disk;
pub(crate) use start::Format;
