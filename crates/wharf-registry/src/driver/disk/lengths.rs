//! The length that content had when it was stored.
//!
//! A pool file of another length was damaged outside this process: cut short by a full disk, a
//! repair of the file system, a loss of power. It counts as absent until an upload replaces it.
//! A record is not flushed, because a lost one is only unknown: content without a record, also
//! that of an earlier version, counts with the length that it has. A touch checks its digest once.

use std::fs::File;
use std::io::Read;
use std::path::PathBuf;

use wharf_core::Result;
use wharf_oci::{Digest, Hasher};

use super::files::{self, at};
use super::tree::Tree;
use crate::driver::{Key, Stat};

/// How much of a file is hashed at a time.
const PIECE: usize = 1 << 20;

/// Records the length of content that was just stored. Blocks.
pub(super) fn note(tree: &Tree, digest: &Digest, length: u64) {
    if recorded(tree, digest).is_ok_and(|found| found == Some(length)) {
        return;
    }
    let place = place(tree, digest);
    let written = files::ensure_parent(&place)
        .and_then(|()| files::replace(&tree.temp(), &place, format!("{length}\n").as_bytes()));
    if let Err(error) = written {
        tracing::debug!(%digest, %error, "the length of content was not recorded");
    }
}

/// The size and age of a key's file; `None` also for content of a wrong length. Blocks.
pub(super) fn stat(tree: &Tree, key: &Key) -> Result<Option<Stat>> {
    let found = files::stat(&tree.path(key))?;
    match (key, found) {
        (Key::Content(digest), Some(stat)) if is_damaged(tree, digest, stat.size)? => Ok(None),
        (_, found) => Ok(found),
    }
}

/// Whether content was stored with another length than `size`; then it is logged. Blocks.
pub(super) fn is_damaged(tree: &Tree, digest: &Digest, size: u64) -> Result<bool> {
    match recorded(tree, digest)? {
        Some(length) if length != size => {
            let message = "damaged content counts as absent until it is uploaded again";
            tracing::error!(%digest, length, found = size, message);
            Ok(true)
        }
        _ => Ok(false),
    }
}

/// Whether the file of content is whole: of its recorded length, or, without a record, of its
/// digest. Blocks.
pub(super) fn is_whole(tree: &Tree, digest: &Digest, file: &File) -> Result<bool> {
    let path = tree.path(&Key::Content(digest.clone()));
    let size = file.metadata().map_err(|e| at(&path, e))?.len();
    if recorded(tree, digest)?.is_some() {
        return Ok(!is_damaged(tree, digest, size)?);
    }
    let found = hash(digest, file).map_err(|e| at(&path, e))?;
    if found != *digest {
        let message = "content of another digest counts as absent until it is uploaded again";
        tracing::error!(%digest, %found, message);
        return Ok(false);
    }
    note(tree, digest, size);
    Ok(true)
}

/// The recorded length. A record that is cut short itself counts as none.
fn recorded(tree: &Tree, digest: &Digest) -> Result<Option<u64>> {
    let content = files::read(&place(tree, digest))?;
    let text = content.and_then(|content| String::from_utf8(content).ok());
    Ok(text.and_then(|text| text.strip_suffix('\n')?.parse().ok()))
}

fn place(tree: &Tree, digest: &Digest) -> PathBuf {
    let (algorithm, hex) = (digest.algorithm().to_string(), digest.hex());
    let shard = hex.get(..2).unwrap_or_default();
    tree.lengths().join(algorithm).join(shard).join(hex)
}

fn hash(expected: &Digest, mut file: &File) -> std::io::Result<Digest> {
    let mut hasher = Hasher::new(expected.algorithm());
    let mut piece = vec![0; PIECE];
    loop {
        let count = match file.read(&mut piece) {
            Ok(0) => return Ok(hasher.finish()),
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            read => read?,
        };
        hasher.update(piece.get(..count).unwrap_or_default());
    }
}
