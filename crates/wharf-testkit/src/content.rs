//! Bytes made from a seed, and their digests in hexadecimal.

use std::fmt::Write as _;
use std::io;

use sha2::{Digest, Sha256, Sha512};

/// `len` incompressible bytes; the same for the same `seed`.
pub fn seeded_bytes(seed: u64, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    fastrand::Rng::with_seed(seed).fill(&mut bytes);
    bytes
}

/// `len` bytes of text-like content that gzip shrinks to about a third; the same for the same
/// `seed`.
pub fn compressible_bytes(seed: u64, len: usize) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(seed);
    let words: Vec<[u8; 8]> = (0..256)
        .map(|_| std::array::from_fn(|_| random.alphanumeric() as u8))
        .collect();
    let mut bytes = Vec::with_capacity(len + 9);
    while bytes.len() < len {
        bytes.extend_from_slice(&words[random.usize(..words.len())]);
        bytes.push(b' ');
    }
    bytes.truncate(len);
    bytes
}

/// The sha256 of `bytes` as 64 lower-case hexadecimal digits.
pub fn sha256_hex(bytes: impl AsRef<[u8]>) -> String {
    hex(&Sha256::digest(bytes))
}

/// The sha512 of `bytes` as 128 lower-case hexadecimal digits.
pub fn sha512_hex(bytes: impl AsRef<[u8]>) -> String {
    hex(&Sha512::digest(bytes))
}

/// Lower-case hexadecimal digits of `bytes`.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("writing to a string cannot fail");
        text
    })
}

/// A writer that forwards everything and computes the sha256 and the number of bytes.
pub(crate) struct HashingWriter<W> {
    inner: W,
    state: Sha256,
    written: u64,
}

impl<W> HashingWriter<W> {
    pub(crate) fn new(inner: W) -> Self {
        Self {
            inner,
            state: Sha256::new(),
            written: 0,
        }
    }

    /// The inner writer, `sha256:…` of the bytes written, and their number.
    pub(crate) fn finish(self) -> (W, String, u64) {
        let digest = format!("sha256:{}", hex(&self.state.finalize()));
        (self.inner, digest, self.written)
    }
}

impl<W: io::Write> io::Write for HashingWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.state.update(&bytes[..written]);
        self.written += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compress::{Kind, compress_bytes};

    #[test]
    fn digests_match_the_published_vectors() {
        assert_eq!(
            sha256_hex(b"abc"),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
        assert!(sha512_hex(b"abc").starts_with("ddaf35a193617abacc417349ae204131"));
    }

    #[test]
    fn seeded_bytes_repeat_and_do_not_compress() {
        let bytes = seeded_bytes(7, 100_000);
        assert_eq!(bytes, seeded_bytes(7, 100_000));
        assert_ne!(bytes, seeded_bytes(8, 100_000));
        assert!(compress_bytes(&bytes, Kind::Gzip).len() >= bytes.len());
    }

    #[test]
    fn compressible_bytes_repeat_and_compress() {
        let bytes = compressible_bytes(7, 100_000);
        assert_eq!(bytes.len(), 100_000);
        assert_eq!(bytes, compressible_bytes(7, 100_000));
        assert!(compress_bytes(&bytes, Kind::Gzip).len() < bytes.len() / 2);
    }
}
