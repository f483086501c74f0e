//! What extension headers say of the entry that follows them (POSIX pax, GNU long names).

use tar::{EntryType, Header};

use super::malformed;
use super::pax::{Records, number};
use crate::{Error, ErrorKind, Result};

/// The most bytes of a long name, or of a set of pax records. Extended attributes have at most
/// 64 KiB each.
pub(super) const MOST: u64 = 1 << 20;

/// The content of extension headers about one entry.
#[derive(Default)]
pub(crate) struct Extension {
    name: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    pub(crate) records: Records,
}

impl Extension {
    /// Whether a header of this kind is about the entry that follows it, or all of them.
    pub(crate) fn is(kind: EntryType) -> bool {
        kind.is_gnu_longname()
            || kind.is_gnu_longlink()
            || kind.is_pax_local_extensions()
            || kind.is_pax_global_extensions()
    }

    /// Adds an extension header at offset `at`. `read` gives its content of `size` bytes; it is not
    /// called for one that says nothing of the next entry.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] for more than a mebibyte; [`ErrorKind::Corrupt`] for other
    /// content; those of `read`.
    pub(crate) fn add<B: AsRef<[u8]>>(
        &mut self,
        at: u64,
        kind: EntryType,
        size: u64,
        read: impl FnOnce() -> Result<B>,
    ) -> Result<()> {
        if kind.is_pax_global_extensions() {
            return Ok(());
        }
        if size > MOST {
            let said = format!(
                "extended header at offset {at} has {size} bytes, more than the limit of {MOST} \
                 bytes"
            );
            return Err(Error::new(ErrorKind::Unsupported, said));
        }
        let content = read()?;
        let bytes = content.as_ref();
        let text = || bytes.split(|byte| *byte == 0).next().map(<[u8]>::to_vec);
        match kind {
            EntryType::GNULongName => self.name = text(),
            EntryType::GNULongLink => self.link = text(),
            _ => {
                let records = Records::parse(bytes);
                self.records = records.ok_or_else(|| malformed(at, "no pax records here"))?;
            }
        }
        Ok(())
    }

    /// The name of the entry with this header, as it is written.
    pub(crate) fn name(&self, header: &Header) -> Vec<u8> {
        let name = self.record(b"GNU.sparse.name");
        let name = name.or_else(|| self.record(b"path"));
        let name = name.or_else(|| self.name.clone());
        name.unwrap_or_else(|| header.path_bytes().into_owned())
    }

    /// The target of a link with this header, as it is written; else empty.
    pub(crate) fn link(&self, header: &Header) -> Vec<u8> {
        let link = self.record(b"linkpath").or_else(|| self.link.clone());
        let link = link.or_else(|| header.link_name_bytes().map(Into::into));
        link.unwrap_or_default()
    }

    /// Bytes of content that follow the header at `at` of an entry of this kind, which states `own`.
    ///
    /// # Errors
    /// [`ErrorKind::Corrupt`] for a record that is no number.
    pub(crate) fn stored(&self, at: u64, kind: EntryType, own: u64) -> Result<u64> {
        match self.records.get(b"size") {
            _ if is_header_only(kind) => Ok(0),
            None => Ok(own),
            Some(size) => number(size).ok_or_else(|| malformed(at, "a size that is no number")),
        }
    }

    fn record(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.records.get(key).map(<[u8]>::to_vec)
    }
}

/// Some writers state a size for these although no content follows.
fn is_header_only(kind: EntryType) -> bool {
    kind.is_hard_link()
        || kind.is_symlink()
        || kind.is_dir()
        || kind.is_fifo()
        || kind.is_character_special()
        || kind.is_block_special()
}
