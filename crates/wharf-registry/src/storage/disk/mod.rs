//! Content in a directory, for any number of processes at once.
//!
//! ```text
//! format                                    the marker: what this directory is, which version
//! blobs/<algorithm>/<2 hex>/<hex>           the pool: all content, each digest once
//! repositories/<name>/_blobs/<algorithm>/<hex>       empty: this repository has that blob
//! repositories/<name>/_manifests/<algorithm>/<hex>   media type, and the pool's digest
//! repositories/<name>/_tags/<tag>           a digest
//! repositories/<name>/_referrers/<algorithm>/<hex>/<algorithm>-<hex>   below the subject's digest
//!                                           that of a manifest: the descriptor to list
//! uploads/<session>.<repository>            bytes of a session; <repository> hashed, 16 hex
//! temp/                                     small files on their way
//! locks/<2 hex>                             empty: held while manifests and tags change
//! ```
//!
//! Invariants: whatever has its final name is whole and on the disk, for it was renamed there
//! after an fsync; a link is made after its content. Content is read through a link only, so a
//! repository never shows what was not pushed or mounted to it.
//!
//! Deletion removes links. The pool keeps the bytes, for nothing here counts who else has them
//! and nothing is collected yet; until then a mount that names no repository still finds them.
//!
//! An upload session is its file. What a request wrote of it stays when the request breaks off or
//! the process dies; the hash is kept while the process lives, and made again from the file after
//! that, so bytes that a loss of power took are found at the end, by the digest.
//!
//! A directory of format 1, which had no `_referrers`, gets them when it is opened; earlier
//! versions refuse it from then on. One that still serves it must be stopped first: what it went
//! on to write would have no referrer links.

mod fill;
mod link;
mod locks;
mod manifests;
mod repository;
mod start;
mod storage;
mod tree;
mod upgrade;
mod writer;

pub use storage::Disk;
