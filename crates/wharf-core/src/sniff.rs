//! Finds the format of content from its first bytes, never from a name.

use crate::{Error, ErrorKind};

/// The number of bytes that suffices.
pub(crate) const ENOUGH: usize = 512;

/// A compression that a whole file, or a layer, may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Packing {
    /// RFC 1952.
    Gzip,
    /// RFC 8878.
    Zstd,
    /// The xz container of LZMA2.
    Xz,
    /// bzip2.
    Bzip2,
}

impl Packing {
    /// The compression of content that begins with `head`, if any.
    pub(crate) fn of(head: &[u8]) -> Option<Packing> {
        let (packing, _) = [
            (Packing::Gzip, &b"\x1f\x8b\x08"[..]),
            (Packing::Zstd, b"\x28\xb5\x2f\xfd"),
            (Packing::Xz, b"\xfd7zXZ\0"),
            (Packing::Bzip2, b"BZh"),
        ]
        .into_iter()
        // A tar may begin with the name of a file, which may well be "BZh".
        .find(|(_, magic)| head.starts_with(magic) && !is_tar(head))?;
        Some(packing)
    }

    /// Its name in messages.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Packing::Gzip => "gzip",
            Packing::Zstd => "zstd",
            Packing::Xz => "xz",
            Packing::Bzip2 => "bzip2",
        }
    }
}

/// Whether `block` is the header of a tar entry: its checksum says so (POSIX ustar).
pub(crate) fn is_tar(block: &[u8]) -> bool {
    let Some(block) = block.first_chunk::<512>() else {
        return false;
    };
    let stored = tar::Header::from_byte_slice(block).cksum();
    let sum: u32 = block
        .iter()
        .enumerate()
        .map(|(at, byte)| {
            if (148..156).contains(&at) {
                u32::from(b' ')
            } else {
                u32::from(*byte)
            }
        })
        .sum();
    stored.is_ok_and(|stored| stored == sum)
}

/// The error about content that begins with `head` and should be a tar.
pub(crate) fn not_a_tar(head: &[u8]) -> Error {
    let message = format!("not a tar: looks like {}", looks_like(head));
    Error::new(ErrorKind::Invalid, message)
}

/// A guess at the format of content that is neither a tar nor compressed, for a message.
fn looks_like(head: &[u8]) -> &'static str {
    let known: [(&[u8], &str); 9] = [
        (b"PK\x03\x04", "a zip archive"),
        (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
        (b"\x7fELF", "an ELF program"),
        (b"hsqs", "a squashfs image"),
        (b"\xed\xab\xee\xdb", "an rpm package"),
        (b"!<arch>\n", "an ar archive"),
        (b"%PDF", "a PDF document"),
        (b"{", "JSON"),
        (b"[", "JSON"),
    ];
    if let Some((_, what)) = known.into_iter().find(|(magic, _)| head.starts_with(magic)) {
        return what;
    }
    if head.iter().all(|byte| *byte == 0) {
        return "zeros, like an empty tar or a device";
    }
    let text = |byte: &u8| byte.is_ascii_graphic() || byte.is_ascii_whitespace();
    if head.iter().all(text) {
        "text"
    } else {
        "data of an unknown kind"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_a_tar_from_a_compressed_file_whatever_its_first_name() {
        let mut header = tar::Header::new_ustar();
        header.set_path("BZh91AY").unwrap();
        header.set_size(0);
        header.set_cksum();
        assert!(is_tar(header.as_bytes()));
        assert_eq!(Packing::of(header.as_bytes()), None);
        assert_eq!(Packing::of(b"BZh91AY"), Some(Packing::Bzip2));
        assert!(!is_tar(&[0; 512]));
    }

    #[test]
    fn says_what_other_files_look_like() {
        assert_eq!(looks_like(b"PK\x03\x04..."), "a zip archive");
        assert_eq!(looks_like(b"hello, world\n"), "text");
        assert_eq!(looks_like(&[0; 9]), "zeros, like an empty tar or a device");
        assert_eq!(looks_like(b"\x00\x01"), "data of an unknown kind");
    }
}
