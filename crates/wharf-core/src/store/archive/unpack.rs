//! Turns the input into a plain tar in a file. Decompresses and spools only if needed.

use std::fs::File;
use std::io::{BufReader, Cursor, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::options::Input;
use crate::sniff::{ENOUGH, Packing, is_tar, not_a_tar};
use crate::spool::{self, Spooled};
use crate::{Error, ErrorKind, Result};

/// An archive may be compressed twice; more is a mistake or an attack.
const MOST_PACKINGS: usize = 2;

/// The most memory of an xz decoder: a little more than twice what `xz -9` needs.
const XZ_MEMORY: u64 = 160 << 20;

/// The most memory that zstd's decoder takes for a window, its own limit.
const ZSTD_MEMORY: u64 = 128 << 20;

/// Decompressed output may always have this size, in bytes.
const ALWAYS: u64 = 1 << 30;

/// Beyond that, output may be this many times as large as the input. Archives of real files stay
/// far below; one made to fill disks does not.
const GROWTH: u64 = 200;

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
    let mut reader = peel(reader, &name)?;
    let head = head(&mut reader).map_err(|error| Error::io(&name, error))?;
    // Checked before an endless stream of something else fills the disk.
    if head.len() == ENOUGH && !is_tar(&head) {
        return Err(not_a_tar(&head).target(name));
    }
    let reader = Cursor::new(head).chain(reader);
    let Spooled { file, length } = spool::reader(reader, &name, spool_dir)?;
    Ok(Unpacked { file, length, name })
}

/// Removes all compressions, outermost first.
pub(crate) fn peel(reader: Box<dyn Read + Send>, name: &str) -> Result<Box<dyn Read + Send>> {
    let position = Arc::new(AtomicU64::new(0));
    let mut reader: Box<dyn Read + Send> = Box::new(Counted {
        reader,
        position: Arc::clone(&position),
    });
    for _ in 0..=MOST_PACKINGS {
        let head = head(&mut reader).map_err(|error| Error::io(name, error))?;
        let packing = Packing::of(&head);
        reader = Box::new(Cursor::new(head).chain(reader));
        let Some(packing) = packing else {
            return Ok(Box::new(Bounded {
                reader,
                position,
                length: 0,
                always: ALWAYS,
            }));
        };
        reader = Box::new(Decoded {
            reader: decoder(reader, packing).map_err(|error| Error::io(name, error))?,
            packing,
            position: Arc::clone(&position),
        });
    }
    let said = format!("compressed more than {MOST_PACKINGS} times");
    Err(Error::new(ErrorKind::Invalid, said).target(name))
}

/// A reader of what a compressed layer holds, with the limits and errors of a compressed archive.
pub(super) fn layer(
    bytes: Box<dyn Read + Send>,
    packing: Packing,
) -> std::io::Result<Box<dyn Read + Send>> {
    let position = Arc::new(AtomicU64::new(0));
    let reader = Box::new(Counted {
        reader: bytes,
        position: Arc::clone(&position),
    });
    let reader = Decoded {
        reader: decoder(reader, packing)?,
        packing,
        position: Arc::clone(&position),
    };
    Ok(Box::new(Bounded {
        reader,
        position,
        length: 0,
        always: ALWAYS,
    }))
}

/// A reader of the decompressed content; concatenated members are one content.
fn decoder(
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

/// Decompressed output that fails when it grows out of proportion to the input.
struct Bounded<R> {
    reader: R,
    position: Arc<AtomicU64>,
    length: u64,
    always: u64,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.reader.read(buffer)?;
        self.length += read as u64;
        let from = self.position.load(Ordering::Relaxed);
        if self.length > self.always.saturating_add(from.saturating_mul(GROWTH)) {
            let said = format!(
                "decompresses to more than {} bytes and {GROWTH} times its size ({from} bytes); \
                 if you trust it, decompress it first",
                self.always
            );
            return Err(std::io::Error::other(Error::new(ErrorKind::Refused, said)));
        }
        Ok(read)
    }
}

/// A decoder with errors that name the format and the position in the file.
struct Decoded {
    reader: Box<dyn Read + Send>,
    packing: Packing,
    position: Arc<AtomicU64>,
}

impl Read for Decoded {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.reader.read(buffer).map_err(|error| {
            if error.raw_os_error().is_some() || error.get_ref().is_some_and(is_ours) {
                // An error of the file, not of the decoder.
                return error;
            }
            if is_lack_of_memory(&error) {
                return std::io::Error::other(too_much_memory(self.packing));
            }
            let offset = self.position.load(Ordering::Relaxed);
            let said = format!(
                "{} data cannot be decompressed near offset {offset}: {error}",
                self.packing.name()
            );
            std::io::Error::new(std::io::ErrorKind::InvalidData, said)
        })
    }
}

fn is_ours(error: &(dyn std::error::Error + Send + Sync + 'static)) -> bool {
    error.is::<Error>()
}

/// Whether a decoder stopped at its limit of memory, which says nothing bad of the content.
fn is_lack_of_memory(error: &std::io::Error) -> bool {
    let text = error.to_string();
    // liblzma and zstd give no other sign.
    text.contains("memory limit") || text.contains("requires too much memory")
}

fn too_much_memory(packing: Packing) -> Error {
    let (name, limit) = match packing {
        Packing::Zstd => ("zstd", ZSTD_MEMORY),
        other => (other.name(), XZ_MEMORY),
    };
    let said = format!(
        "{name} content needs more memory to decompress than the limit of {} MiB; \
         decompress it first",
        limit >> 20
    );
    Error::new(ErrorKind::Unsupported, said)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unpacked(read: u64, gives: u64) -> std::io::Result<u64> {
        let mut bounded = Bounded {
            reader: std::io::repeat(0).take(gives),
            position: Arc::new(AtomicU64::new(read)),
            length: 0,
            always: 1000,
        };
        std::io::copy(&mut bounded, &mut std::io::sink())
    }

    #[test]
    fn rule_5_what_grows_out_of_all_proportion_is_given_up() {
        for (read, gives) in [(0, 1000), (10, 3000), (1000, 200_000)] {
            assert_eq!(unpacked(read, gives).unwrap(), gives);
        }
        for (read, gives) in [(0, 1001), (10, 3001), (10, u64::MAX)] {
            let error = Error::from(unpacked(read, gives).unwrap_err());
            assert_eq!(error.kind(), ErrorKind::Refused);
            assert!(error.to_string().contains("decompress it first"), "{error}");
        }
    }

    /// "hello", with a dictionary of 512 MiB.
    const XZ: &str = "fd377a585a000004e6d6b44602002101220000008240acdc01000468656c6c6f\
                      00000000b137b9dbe5da1e9b00011d05b82d80af1fb6f37d010000000004595a";

    /// "hello" in one raw block, with a window of 2 GiB (RFC 8878, "Window_Descriptor").
    const ZSTD: &str = "28b52ffd00a829000068656c6c6f";

    #[test]
    fn fault_c4_the_memory_of_a_decoder_is_a_limit_and_no_damage() {
        for (packing, hex, limit) in [(Packing::Xz, XZ, 160), (Packing::Zstd, ZSTD, 128)] {
            let byte = |at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
            let bytes: Vec<u8> = (0..hex.len()).step_by(2).map(byte).collect();
            let mut layer = layer(Box::new(Cursor::new(bytes)), packing).unwrap();
            let error = std::io::copy(&mut layer, &mut std::io::sink()).unwrap_err();
            let error = Error::from(error);
            assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
            let said = format!("than the limit of {limit} MiB; decompress it first");
            assert!(error.to_string().ends_with(&said), "{error}");
        }
    }
}
