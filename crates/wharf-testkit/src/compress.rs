//! The four compressions of archives.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

/// A compression.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// RFC 1952.
    Gzip,
    /// RFC 8878.
    Zstd,
    /// The xz container of LZMA2.
    Xz,
    /// bzip2.
    Bzip2,
}

impl Kind {
    /// Every compression.
    pub const ALL: [Self; 4] = [Self::Gzip, Self::Zstd, Self::Xz, Self::Bzip2];

    /// The customary end of a file name, without the dot.
    pub fn extension(self) -> &'static str {
        match self {
            Self::Gzip => "gz",
            Self::Zstd => "zst",
            Self::Xz => "xz",
            Self::Bzip2 => "bz2",
        }
    }
}

/// Compresses the file at `path` into a file beside it, with the extension added. Returns its path.
pub fn compress(path: &Path, kind: Kind) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(".");
    name.push(kind.extension());
    let compressed = PathBuf::from(name);
    let source = BufReader::new(File::open(path).expect("open the file to compress"));
    let target = BufWriter::new(File::create(&compressed).expect("create the compressed file"));
    copy(source, target, kind).expect("compress the file");
    compressed
}

/// `bytes`, compressed.
pub fn compress_bytes(bytes: &[u8], kind: Kind) -> Vec<u8> {
    let mut compressed = Vec::new();
    copy(bytes, &mut compressed, kind).expect("compressing in memory cannot fail");
    compressed
}

// The fastest level of each: tests care about the format, not about the ratio.
fn copy(mut source: impl Read, target: impl Write, kind: Kind) -> io::Result<()> {
    let mut target = match kind {
        Kind::Gzip => {
            let mut encoder = flate2::write::GzEncoder::new(target, flate2::Compression::fast());
            io::copy(&mut source, &mut encoder)?;
            encoder.finish()?
        }
        Kind::Zstd => {
            let mut encoder = zstd::stream::write::Encoder::new(target, 1)?;
            io::copy(&mut source, &mut encoder)?;
            encoder.finish()?
        }
        Kind::Xz => {
            let mut encoder = liblzma::write::XzEncoder::new(target, 0);
            io::copy(&mut source, &mut encoder)?;
            encoder.finish()?
        }
        Kind::Bzip2 => {
            let mut encoder = bzip2::write::BzEncoder::new(target, bzip2::Compression::fast());
            io::copy(&mut source, &mut encoder)?;
            encoder.finish()?
        }
    };
    target.flush()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::content::compressible_bytes;

    #[test]
    fn each_kind_starts_with_its_magic_number_and_is_smaller() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("image.tar");
        std::fs::write(&path, compressible_bytes(1, 200_000)).unwrap();
        for (kind, magic) in [
            (Kind::Gzip, &b"\x1f\x8b"[..]),
            (Kind::Zstd, b"\x28\xb5\x2f\xfd"),
            (Kind::Xz, b"\xfd7zXZ\0"),
            (Kind::Bzip2, b"BZh"),
        ] {
            let bytes = std::fs::read(compress(&path, kind)).unwrap();
            assert!(bytes.starts_with(magic), "{kind:?}");
            assert!(bytes.len() < 150_000, "{kind:?}");
        }
    }
}
