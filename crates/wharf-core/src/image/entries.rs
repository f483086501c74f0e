//! The entries of a tar, from a reader, in one pass and with bounded memory.

use std::io::{self, Read};

use tar::{EntryType, Header, PaxExtensions};

use crate::{Error, ErrorKind, Result};

const BLOCK: usize = 512;

/// The most bytes of a long name, or of a set of pax records.
const MOST_EXTENSION: u64 = 1 << 20;

/// Reads a tar entry by entry. The content of an entry can be read until the next is asked for.
pub(super) struct TarEntries<'a> {
    reader: &'a mut dyn Read,
    /// The bytes before the next header: content, and padding.
    content: u64,
    padding: u64,
    position: u64,
}

/// One entry of a tar.
#[derive(Debug)]
pub(super) struct TarMember {
    pub(super) kind: EntryType,
    pub(super) path: Vec<u8>,
    /// The target of a link.
    pub(super) link: Vec<u8>,
    pub(super) size: u64,
    pub(super) mode: u32,
    /// Whether its content is stored with holes, which are not expanded here.
    pub(super) sparse: bool,
}

/// The content of extension headers about the following entry.
#[derive(Default)]
struct Extras {
    path: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    size: Option<u64>,
    sparse: bool,
}

impl<'a> TarEntries<'a> {
    pub(super) fn new(reader: &'a mut dyn Read) -> Self {
        TarEntries {
            reader,
            content: 0,
            padding: 0,
            position: 0,
        }
    }

    /// The next entry; `None` at the end mark, and at the end of the bytes.
    pub(super) fn next(&mut self) -> Result<Option<TarMember>> {
        let mut extras = Extras::default();
        loop {
            self.skip()?;
            let Some(block) = self.header()? else {
                return Ok(None);
            };
            let header = Header::from_byte_slice(&block);
            let kind = header.entry_type();
            let own = header.entry_size();
            let own = own.map_err(|error| self.malformed(&error))?;
            if is_extension(kind) {
                self.expect(own);
                self.extend(&mut extras, kind)?;
                continue;
            }
            let size = match is_header_only(kind) {
                true => 0,
                false => extras.size.unwrap_or(own),
            };
            self.expect(size);
            let link = || header.link_name_bytes().map(Into::into).unwrap_or_default();
            let path = || header.path_bytes().into_owned();
            return Ok(Some(TarMember {
                kind,
                path: extras.path.unwrap_or_else(path),
                link: extras.link.unwrap_or_else(link),
                size,
                mode: header.mode().unwrap_or_default(),
                sparse: extras.sparse || kind.is_gnu_sparse(),
            }));
        }
    }

    /// Writes the content of the entry that was returned last.
    pub(super) fn copy(&mut self, to: &mut dyn io::Write) -> Result<()> {
        let wanted = self.content;
        let copied = io::copy(&mut (&mut *self.reader).take(wanted), to).map_err(Error::from)?;
        self.content = 0;
        self.position += copied;
        match copied == wanted {
            true => Ok(()),
            false => Err(self.ended()),
        }
    }

    /// Reads the rest, which may follow the end mark.
    pub(super) fn drain(&mut self) -> Result<()> {
        io::copy(self.reader, &mut io::sink())?;
        Ok(())
    }

    fn expect(&mut self, size: u64) {
        let block = BLOCK as u64;
        self.content = size;
        self.padding = (block - size % block) % block;
    }

    fn skip(&mut self) -> Result<()> {
        self.copy(&mut io::sink())?;
        let padding = std::mem::take(&mut self.padding);
        // The bytes may end within the padding of the last entry.
        self.position += io::copy(&mut (&mut *self.reader).take(padding), &mut io::sink())?;
        Ok(())
    }

    fn header(&mut self) -> Result<Option<[u8; BLOCK]>> {
        let mut block = Vec::with_capacity(BLOCK);
        (&mut *self.reader)
            .take(BLOCK as u64)
            .read_to_end(&mut block)?;
        if block.is_empty() {
            return Ok(None);
        }
        let Ok(block) = <[u8; BLOCK]>::try_from(block) else {
            return Err(self.ended());
        };
        if block.iter().all(|byte| *byte == 0) {
            return Ok(None);
        }
        if !has_checksum(&block) {
            return Err(self.malformed(&"no header of a tar entry here"));
        }
        self.position += BLOCK as u64;
        Ok(Some(block))
    }

    fn extend(&mut self, extras: &mut Extras, kind: EntryType) -> Result<()> {
        if kind.is_pax_global_extensions() {
            return Ok(());
        }
        if self.content > MOST_EXTENSION {
            let size = self.content;
            let message = format!("an extended header of {size} bytes, more than {MOST_EXTENSION}");
            return Err(Error::new(ErrorKind::Unsupported, message));
        }
        let mut bytes = Vec::new();
        self.copy(&mut bytes)?;
        let text = || bytes.split(|byte| *byte == 0).next().unwrap_or_default();
        match kind {
            EntryType::GNULongName => extras.path = Some(text().to_vec()),
            EntryType::GNULongLink => extras.link = Some(text().to_vec()),
            _ => extras.pax(&bytes).map_err(|error| self.malformed(&error))?,
        }
        Ok(())
    }

    fn ended(&self) -> Error {
        let message = format!(
            "truncated tar: it ends in the entry at offset {}",
            self.position
        );
        Error::new(ErrorKind::Corrupt, message)
    }

    fn malformed(&self, reason: &dyn std::fmt::Display) -> Error {
        let message = format!("malformed tar at offset {}: {reason}", self.position);
        Error::new(ErrorKind::Corrupt, message)
    }
}

impl Extras {
    /// Reads the relevant pax records (POSIX pax, "pax Extended Header").
    fn pax(&mut self, records: &[u8]) -> io::Result<()> {
        for record in PaxExtensions::new(records) {
            let record = record?;
            match record.key_bytes() {
                b"path" => self.path = Some(record.value_bytes().to_vec()),
                b"linkpath" => self.link = Some(record.value_bytes().to_vec()),
                b"size" => {
                    let size = record.value().ok().and_then(|text| text.parse().ok());
                    self.size = Some(size.ok_or(io::ErrorKind::InvalidData)?);
                }
                key => self.sparse |= key.starts_with(b"GNU.sparse."),
            }
        }
        Ok(())
    }
}

fn is_extension(kind: EntryType) -> bool {
    kind.is_gnu_longname()
        || kind.is_gnu_longlink()
        || kind.is_pax_local_extensions()
        || kind.is_pax_global_extensions()
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

/// Whether the checksum of a header is right (POSIX ustar): its own field counts as spaces.
fn has_checksum(block: &[u8; BLOCK]) -> bool {
    let (before, rest) = block.split_at(148);
    let (_, after) = rest.split_at(8);
    let bytes = before.iter().chain(after);
    let sum = bytes.fold(8 * u32::from(b' '), |sum, byte| sum + u32::from(*byte));
    Header::from_byte_slice(block)
        .cksum()
        .is_ok_and(|stored| stored == sum)
}
