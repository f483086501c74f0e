//! What the merge of layers needs of an entry.

use wharf_oci::Digest;

use super::names::shown;
use crate::tar_entries::Entry;
use crate::{Error, ErrorKind, Result, Side};

/// An entry of a layer, by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Place {
    /// The number of the layer, the lowest first.
    pub(super) layer: usize,
    /// The number of the entry in its layer.
    pub(super) entry: usize,
}

/// An entry as the tree needs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) kind: Kind,
    /// As it is written.
    pub(super) name: Box<[u8]>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Directory,
    /// A link by name, and its target.
    Symlink(Box<[u8]>),
    /// Another name of what has this name.
    HardLink(Box<[u8]>),
    File,
    /// A device or pipe.
    Special,
}

impl Seen {
    /// # Errors
    /// [`ErrorKind::Unsupported`] for an entry of an unknown kind.
    pub(super) fn of(entry: &Entry) -> Result<Self> {
        let link = || entry.link.as_slice().into();
        let kind = match entry.kind {
            tar::EntryType::Directory => Kind::Directory,
            tar::EntryType::Symlink => Kind::Symlink(link()),
            tar::EntryType::Link => Kind::HardLink(link()),
            tar::EntryType::Regular => Kind::File,
            tar::EntryType::Char | tar::EntryType::Block | tar::EntryType::Fifo => Kind::Special,
            other => {
                let message = format!(
                    "an entry of the unknown kind {:?} at offset {}",
                    char::from(other.as_byte()),
                    entry.at
                );
                let error = Error::new(ErrorKind::Unsupported, message);
                return Err(error.target(shown(&entry.name)));
            }
        };
        Ok(Seen {
            kind,
            name: entry.name.as_slice().into(),
        })
    }
}

/// The error with the layer of this digest that it is about, unless it names that already.
pub(super) fn in_layer(digest: &Digest, error: Error) -> Error {
    match error.failed_side() {
        Some(_) => error.in_vain(),
        None => error
            .target(format_args!("layer {digest}"))
            .side(Side::Source),
    }
}
