//! From whatever is given to a plain tar in a file: decompressed and spooled only where needed.

use std::fs::File;
use std::io::{BufReader, Cursor, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::Input;
use super::sniff::{ENOUGH, Packing};
use crate::spool::{self, Spooled};
use crate::{Error, ErrorKind, Result};

/// An archive that was compressed twice is taken; more than that is a mistake or an attack.
const MOST_PACKINGS: usize = 2;

/// Memory that a decoder of xz may take: twice what `xz -9` asks for, and some.
const XZ_MEMORY: u64 = 160 << 20;

/// A file that is not compressed, presumably a tar.
#[derive(Debug)]
pub(super) struct Unpacked {
    pub(super) file: File,
    pub(super) length: u64,
    pub(super) name: String,
}

/// Finds the plain file in `input`. Blocking.
pub(super) fn unpack(input: Input, spool_dir: &Path) -> Result<Unpacked> {
    match input {
        Input::Reader(reader, name) => from_reader(reader, name, spool_dir),
        Input::Path(path) => from_path(&path, spool_dir),
    }
}

fn from_path(path: &Path, spool_dir: &Path) -> Result<Unpacked> {
    let name = path.display().to_string();
    let mut file = File::open(path).map_err(|error| Error::io(&name, error))?;
    let metadata = file.metadata().map_err(|error| Error::io(&name, error))?;
    if metadata.is_dir() {
        return Err(Error::new(ErrorKind::Invalid, "is a directory, not an archive").target(name));
    }
    if !metadata.is_file() {
        // A pipe cannot be read at an offset.
        return from_reader(Box::new(file), name, spool_dir);
    }
    let head = head(&mut file).map_err(|error| Error::io(&name, error))?;
    if Packing::of(&head).is_none() {
        return Ok(Unpacked {
            file,
            length: metadata.len(),
            name,
        });
    }
    let reader = Cursor::new(head).chain(file);
    from_reader(Box::new(reader), name, spool_dir)
}

fn from_reader(reader: Box<dyn Read + Send>, name: String, spool_dir: &Path) -> Result<Unpacked> {
    let position = Arc::new(AtomicU64::new(0));
    let counted = Counted {
        reader,
        position: Arc::clone(&position),
    };
    let (mut reader, packings) = peel(Box::new(counted), &name)?;
    let spooled = spool::reader(&mut reader, &name, spool_dir);
    let Spooled { file, length } = spooled.map_err(|error| match packings.last() {
        Some(packing) if error.kind() != ErrorKind::NoSpace => {
            let offset = position.load(Ordering::Relaxed);
            error.target(format_args!(
                "as {} read up to offset {offset}",
                packing.name()
            ))
        }
        _ => error,
    })?;
    Ok(Unpacked { file, length, name })
}

type Peeled = (Box<dyn Read + Send>, Vec<Packing>);

/// Takes compressions off, outermost first.
fn peel(mut reader: Box<dyn Read + Send>, name: &str) -> Result<Peeled> {
    let mut packings = Vec::new();
    loop {
        let head = head(&mut reader).map_err(|error| {
            let packing = packings
                .last()
                .map_or("is", |packing: &Packing| packing.name());
            Error::io(name, error).target(packing)
        })?;
        let packing = Packing::of(&head);
        reader = Box::new(Cursor::new(head).chain(reader));
        let Some(packing) = packing else {
            return Ok((reader, packings));
        };
        if packings.len() == MOST_PACKINGS {
            return Err(Error::new(
                ErrorKind::Invalid,
                format!("compressed more than {MOST_PACKINGS} times"),
            )
            .target(name));
        }
        packings.push(packing);
        reader = decoder(reader, packing).map_err(|error| Error::io(name, error))?;
    }
}

/// Gives what `reader` decompresses to; members that follow one another are one content.
pub(super) fn decoder(
    reader: Box<dyn Read + Send>,
    packing: Packing,
) -> std::io::Result<Box<dyn Read + Send>> {
    let reader = BufReader::with_capacity(1 << 18, reader);
    Ok(match packing {
        Packing::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(reader)),
        Packing::Zstd => Box::new(zstd::stream::read::Decoder::with_buffer(reader)?),
        Packing::Bzip2 => Box::new(bzip2::bufread::MultiBzDecoder::new(reader)),
        Packing::Xz => {
            let flags = liblzma::stream::CONCATENATED;
            let decoder = liblzma::stream::Stream::new_stream_decoder(XZ_MEMORY, flags)?;
            Box::new(liblzma::bufread::XzDecoder::new_stream(reader, decoder))
        }
    })
}

fn head(reader: &mut impl Read) -> std::io::Result<Vec<u8>> {
    let mut head = Vec::with_capacity(ENOUGH);
    reader.take(ENOUGH as u64).read_to_end(&mut head)?;
    Ok(head)
}

struct Counted {
    reader: Box<dyn Read + Send>,
    position: Arc<AtomicU64>,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.reader.read(buffer)?;
        self.position.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}
