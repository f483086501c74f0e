//! Content in a directory, for any number of processes at once.
//!
//! ```text
//! format                                    the marker: what this directory is, which version
//! blobs/<algorithm>/<2 hex>/<hex>           the pool: all content, each digest once
//! repositories/<name>/_blobs/<algorithm>/<hex>       empty: this repository has that blob
//! repositories/<name>/_manifests/<algorithm>/<hex>   media type, and the pool's digest
//! repositories/<name>/_tags/<tag>           a digest
//! uploads/<session>.<repository>            bytes of a session; <repository> hashed, 16 hex
//! temp/                                     small files on their way
//! ```
//!
//! Invariants: whatever has its final name is whole and on the disk, for it was renamed there
//! after an fsync; a link is made after its content. Content is read through a link only, so a
//! repository never shows what was not pushed or mounted to it.

mod repository;
mod start;
mod storage;
mod tree;
mod writer;

pub use storage::Disk;
