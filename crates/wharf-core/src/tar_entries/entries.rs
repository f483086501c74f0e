//! The entries of a tar.

use std::io::{ErrorKind as Io, Read, Write};

use tar::{EntryType, Header};

use super::errors::{malformed, truncated};
use super::extension::Extension;
use super::pax::{Records, number};
use super::sparse::{self, MOST_PIECES, Noted, Pieces, Run};
use crate::sniff::{is_tar, not_a_tar};
use crate::{Error, ErrorKind, Result};

/// The block size of a tar, in bytes.
pub(crate) const BLOCK: usize = 512;

/// Zeros of files with holes that are always written, in bytes.
const ZEROS_ALWAYS: u64 = 1 << 30;

/// Beyond that, zeros may be this many times the bytes that were read.
const ZEROS_GROWTH: u64 = 200;

/// One entry, without its content.
#[derive(Debug)]
pub(crate) struct Entry {
    /// The offset of its header, in bytes of the tar.
    pub(crate) at: u64,
    pub(crate) header: Header,
    pub(crate) kind: EntryType,
    /// As it is written, not cleaned.
    pub(crate) name: Vec<u8>,
    /// The target of a link, as it is written.
    pub(crate) link: Vec<u8>,
    /// What the header cannot hold, without name, target, size and holes.
    pub(crate) records: Records,
    pieces: Pieces,
}

impl Entry {
    /// Bytes of its content, with holes as zeros.
    pub(crate) fn size(&self) -> u64 {
        self.pieces.size()
    }
}

/// A tar that is read from its beginning to its end.
pub(crate) struct Entries<R> {
    reader: R,
    position: u64,
    /// Stored bytes of the last entry that were not read yet.
    left: u64,
    padding: u64,
    zeros: u64,
}

impl<R: Read> Entries<R> {
    pub(crate) fn new(reader: R) -> Self {
        Entries {
            reader,
            position: 0,
            left: 0,
            padding: 0,
            zeros: 0,
        }
    }

    /// The next entry. What was not read of the last one is skipped.
    ///
    /// # Errors
    /// [`ErrorKind::Corrupt`] with the offset, where it is no tar or ends too early; the reader's.
    pub(crate) fn next(&mut self) -> Result<Option<Entry>> {
        let mut extension = Extension::default();
        loop {
            self.skip()?;
            let at = self.position;
            let Some(header) = self.header()? else {
                return Ok(None);
            };
            let kind = header.entry_type();
            let size = header.entry_size().map_err(|error| malformed(at, error))?;
            if !Extension::is(kind) {
                return self.enter(at, header, extension, size).map(Some);
            }
            self.begin(at, size)?;
            extension.add(at, kind, size, || self.small(size))?;
        }
    }

    /// Reads what follows the end mark, so that all of the stream was read.
    pub(crate) fn finish(mut self) -> Result<()> {
        let read = std::io::copy(&mut self.reader, &mut std::io::sink());
        read.map(drop).map_err(Error::from)
    }

    /// Writes the content of the entry that was read last.
    pub(crate) fn copy(&mut self, entry: &mut Entry, target: &mut impl Write) -> Result<()> {
        // Most files are small.
        let most = usize::try_from(entry.size()).unwrap_or(usize::MAX);
        let mut buffer = vec![0; most.min(1 << 16)];
        while let Some(run) = entry.pieces.next() {
            let (Run::Data(most) | Run::Zeros(most)) = run;
            let want = usize::try_from(most).unwrap_or(usize::MAX);
            let want = want.min(buffer.len());
            let part = buffer.get_mut(..want).unwrap_or_default();
            match run {
                Run::Data(_) => {
                    self.read(part)?;
                    self.left -= want as u64;
                }
                Run::Zeros(_) => part.fill(0),
            }
            target.write_all(part)?;
            entry.pieces.advance(want as u64);
        }
        Ok(())
    }

    /// The content of an extension header, which is not large.
    fn small(&mut self, size: u64) -> Result<Vec<u8>> {
        let mut bytes = vec![0; usize::try_from(size).unwrap_or(usize::MAX)];
        self.read(&mut bytes)?;
        self.left -= size;
        Ok(bytes)
    }

    fn enter(&mut self, at: u64, header: Header, of: Extension, own: u64) -> Result<Entry> {
        let (name, link) = (of.name(&header), of.link(&header));
        let kind = kind_of(&header, &name);
        let stored = of.stored(at, kind, own)?;
        let mut records = of.records;
        self.begin(at, stored)?;
        let pieces = self.pieces(at, &header, &records, stored)?;
        let size = pieces.size();
        self.bound(at, size.saturating_sub(stored))?;
        records.remove(|key| {
            let own = matches!(key, b"path" | b"linkpath" | b"size" | b"hdrcharset");
            own || sparse::is_sparse(key)
        });
        Ok(Entry {
            at,
            header,
            kind,
            name,
            link,
            records,
            pieces,
        })
    }

    /// Which bytes of the file are stored.
    fn pieces(&mut self, at: u64, header: &Header, of: &Records, stored: u64) -> Result<Pieces> {
        let (pieces, size) = match sparse::noted(of) {
            Noted::No if header.entry_type().is_gnu_sparse() => self.gnu_pieces(at, header)?,
            Noted::No => return Ok(Pieces::whole(stored)),
            Noted::Here(pieces, size) => (pieces, size),
            Noted::InContent(size) => (self.pieces_in_content(at)?, size),
            Noted::Malformed => return Err(malformed(at, "unknown notes on holes")),
        };
        let wrong = || malformed(at, "holes that do not fit the content");
        Pieces::new(pieces, size, self.left).ok_or_else(wrong)
    }

    /// The old GNU format: in the header, and in blocks after it.
    fn gnu_pieces(&mut self, at: u64, header: &Header) -> Result<(Vec<(u64, u64)>, u64)> {
        let gnu = header
            .as_gnu()
            .ok_or_else(|| malformed(at, "holes in another format"))?;
        let size = gnu.real_size().map_err(|error| malformed(at, error))?;
        let mut more = gnu.is_extended();
        let mut pieces = Vec::new();
        let mut add = |sparse: &tar::GnuSparseHeader| -> Result<()> {
            if !sparse.is_empty() && pieces.len() < MOST_PIECES {
                let piece = sparse
                    .offset()
                    .and_then(|offset| Ok((offset, sparse.length()?)));
                pieces.push(piece.map_err(|error| malformed(at, error))?);
            }
            Ok(())
        };
        gnu.sparse.iter().try_for_each(&mut add)?;
        for _ in 0..MOST_PIECES {
            if !more {
                return Ok((pieces, size));
            }
            let mut block = tar::GnuExtSparseHeader::new();
            self.read(block.as_mut_bytes())?;
            block.sparse().iter().try_for_each(&mut add)?;
            more = block.is_extended();
        }
        Err(malformed(at, "more holes than the limit"))
    }

    /// Format 1.0: lines of numbers at the start of the content, padded to whole blocks.
    fn pieces_in_content(&mut self, at: u64) -> Result<Vec<(u64, u64)>> {
        let mut numbers = Vec::new();
        let (mut most, mut line) = (None, Vec::new());
        while most.is_none_or(|most| numbers.len() < most) {
            let mut block = [0; BLOCK];
            let left = self.left.checked_sub(BLOCK as u64);
            self.left = left.ok_or_else(|| malformed(at, "holes end too early"))?;
            self.read(&mut block)?;
            for byte in block {
                if most.is_some_and(|most| numbers.len() >= most) {
                    break;
                }
                if byte != b'\n' {
                    line.push(byte);
                    continue;
                }
                let value = number(&std::mem::take(&mut line));
                let value = value.ok_or_else(|| malformed(at, "holes that are no numbers"))?;
                match most {
                    Some(_) => numbers.push(value),
                    None => {
                        let count = usize::try_from(value).ok().filter(|n| *n <= MOST_PIECES);
                        let count = count.ok_or_else(|| malformed(at, "more holes than the limit"));
                        most = Some(2 * count?);
                    }
                }
            }
        }
        sparse::pairs(&numbers).ok_or_else(|| malformed(at, "holes in odd number"))
    }

    /// Bounds zeros that are written and not stored.
    fn bound(&mut self, at: u64, zeros: u64) -> Result<()> {
        self.zeros = self.zeros.saturating_add(zeros);
        let most = ZEROS_ALWAYS.saturating_add(self.position.saturating_mul(ZEROS_GROWTH));
        if self.zeros <= most {
            return Ok(());
        }
        let message = format!(
            "the entry at offset {at} has holes of {zeros} bytes, with those before more than \
             {ZEROS_GROWTH} times what is stored"
        );
        Err(Error::new(ErrorKind::Refused, message))
    }

    /// The next header, or `None` at the end.
    fn header(&mut self) -> Result<Option<Header>> {
        let at = self.position;
        let mut block = Vec::with_capacity(BLOCK);
        let mut most = (&mut self.reader).take(BLOCK as u64);
        let read = most.read_to_end(&mut block)?;
        self.position += read as u64;
        if read == 0 || block.iter().all(|byte| *byte == 0) {
            return Ok(None);
        }
        let mut header = Header::new_old();
        if is_tar(&block) {
            header.as_mut_bytes().copy_from_slice(&block);
            return Ok(Some(header));
        }
        Err(match (at, read) {
            (0, _) => not_a_tar(&block),
            (_, BLOCK) => malformed(at, "no header of a tar entry here"),
            (_, read) => ends(at + read as u64),
        })
    }

    /// The stored content of an entry begins here.
    fn begin(&mut self, at: u64, stored: u64) -> Result<()> {
        let padded = stored.checked_next_multiple_of(BLOCK as u64);
        let padded = padded.ok_or_else(|| malformed(at, "a size beyond all limits"))?;
        self.left = stored;
        self.padding = padded - stored;
        Ok(())
    }

    fn skip(&mut self) -> Result<()> {
        let rest = self.left + self.padding;
        let mut content = (&mut self.reader).take(rest);
        let skipped = std::io::copy(&mut content, &mut std::io::sink())?;
        self.position += skipped;
        // The padding of the last entry may be absent.
        if skipped < self.left {
            return Err(ends(self.position));
        }
        (self.left, self.padding) = (0, 0);
        Ok(())
    }

    fn read(&mut self, buffer: &mut [u8]) -> Result<()> {
        match self.reader.read_exact(buffer) {
            Ok(()) => {
                self.position += buffer.len() as u64;
                Ok(())
            }
            Err(error) if error.kind() == Io::UnexpectedEof => Err(ends(self.position)),
            Err(error) => Err(error.into()),
        }
    }
}

/// Old writers mark a directory only by the slash at the end of its name.
pub(super) fn kind_of(header: &Header, name: &[u8]) -> EntryType {
    match header.entry_type() {
        EntryType::Regular | EntryType::Continuous if name.ends_with(b"/") => EntryType::Directory,
        EntryType::Continuous | EntryType::GNUSparse => EntryType::Regular,
        kind => kind,
    }
}

pub(super) fn ends(offset: u64) -> Error {
    truncated(format_args!(
        "it ends in the middle of an entry, at offset {offset}"
    ))
}
