//! Writes the headers of entries (POSIX pax): the header of the layer as it was, with another name
//! or target, and records for what it cannot hold.

use std::io::Write;

use tar::{EntryType, Header};

use super::facts::binary;
use crate::Result;
use crate::tar_entries::{BLOCK, Entry, Records};

/// Fields of a header: where they begin, and their bytes (POSIX ustar).
const NAME: (usize, usize) = (0, 100);
const UID: (usize, usize) = (108, 8);
const GID: (usize, usize) = (116, 8);
const MTIME: (usize, usize) = (136, 12);
const LINK: (usize, usize) = (157, 100);
const MAGIC: usize = 257;
const PREFIX: usize = 345;

/// The largest size that a header can hold: eleven octal digits.
const LARGEST: u64 = 0o777_7777_7777;

/// Writes the headers of `entry` under `name`.
pub(crate) fn own(entry: &Entry, name: &[u8], target: &mut impl Write) -> Result<()> {
    let link = match entry.kind {
        EntryType::Symlink => entry.link.as_slice(),
        _ => b"",
    };
    headers(entry, entry.kind, name, link, entry.size(), target)
}

/// Writes `name` as a hard link to `to`, with the attributes of `entry`.
pub(crate) fn hard_link(
    entry: &Entry,
    name: &[u8],
    to: &[u8],
    target: &mut impl Write,
) -> Result<()> {
    headers(entry, EntryType::Link, name, to, 0, target)
}

/// Fills the last block of `size` bytes of content.
pub(crate) fn pad(size: u64, target: &mut impl Write) -> Result<()> {
    let over = usize::try_from(size % BLOCK as u64).unwrap_or_default();
    if over > 0 {
        target.write_all([0; BLOCK].get(over..).unwrap_or_default())?;
    }
    Ok(())
}

/// The end mark of a tar.
pub(crate) fn end(target: &mut impl Write) -> Result<()> {
    Ok(target.write_all(&[0; 2 * BLOCK])?)
}

fn headers(
    entry: &Entry,
    kind: EntryType,
    name: &[u8],
    link: &[u8],
    size: u64,
    target: &mut impl Write,
) -> Result<()> {
    let mut records = entry.records.clone();
    let mut header = as_ustar(&entry.header);
    header.set_entry_type(kind);
    long(&mut header, NAME, name, b"path", &mut records);
    long(&mut header, LINK, link, b"linkpath", &mut records);
    number(&mut header, UID, b"uid", &mut records);
    number(&mut header, GID, b"gid", &mut records);
    number(&mut header, MTIME, b"mtime", &mut records);
    header.set_size(size.min(LARGEST));
    if size > LARGEST {
        records.add(b"size", size.to_string().as_bytes());
    }
    header.set_cksum();
    extended(name, &records, target)?;
    Ok(target.write_all(header.as_bytes())?)
}

/// The header without what only other formats have.
fn as_ustar(header: &Header) -> Header {
    let (is_ustar, is_gnu) = (header.as_ustar().is_some(), header.as_gnu().is_some());
    let mut header = header.clone();
    let bytes = header.as_mut_bytes();
    let foreign = match is_ustar || is_gnu {
        true => PREFIX,
        false => MAGIC,
    };
    bytes.iter_mut().skip(foreign).for_each(|byte| *byte = 0);
    if let Some(magic) = bytes.get_mut(MAGIC..MAGIC + 8) {
        magic.copy_from_slice(b"ustar\x0000");
    }
    header
}

/// Sets a field of text. What is too long for it becomes a record.
fn long(
    header: &mut Header,
    (start, length): (usize, usize),
    value: &[u8],
    key: &[u8],
    records: &mut Records,
) {
    let kept = value.get(..length).unwrap_or(value);
    if kept.len() < value.len() {
        records.add(key, value);
        if std::str::from_utf8(value).is_err() {
            records.add(b"hdrcharset", b"BINARY");
        }
    }
    let field = header.as_mut_bytes().iter_mut().skip(start).take(length);
    let padded = kept.iter().copied().chain(std::iter::repeat(0));
    field.zip(padded).for_each(|(field, byte)| *field = byte);
}

/// Moves a number of GNU's binary form into a record.
fn number(header: &mut Header, (start, length): (usize, usize), key: &[u8], records: &mut Records) {
    let Some(field) = header.as_mut_bytes().get_mut(start..start + length) else {
        return;
    };
    let Some(value) = binary(field) else {
        return;
    };
    field.fill(b'0');
    if let Some(last) = field.last_mut() {
        *last = 0;
    }
    if records.get(key).is_none() {
        records.add(key, value.to_string().as_bytes());
    }
}

/// Writes the extended header, if there are records.
fn extended(name: &[u8], records: &Records, target: &mut impl Write) -> Result<()> {
    let bytes = records.to_bytes();
    if bytes.is_empty() {
        return Ok(());
    }
    let mut header = Header::new_ustar();
    header.set_entry_type(EntryType::XHeader);
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_size(bytes.len() as u64);
    let base = name.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
    let own = [b"PaxHeaders.0/", base].concat();
    // Only a name for old readers: its end may be missing.
    let own = own.get(..NAME.1).unwrap_or(&own);
    long(&mut header, NAME, own, b"", &mut Records::default());
    header.set_cksum();
    target.write_all(header.as_bytes())?;
    target.write_all(&bytes)?;
    pad(bytes.len() as u64, target)
}
