//! What stands before and behind the content of a member of a tar. Pure.

use tar::{Builder, Header};

use crate::{Error, Result};

/// The block size of a tar, in bytes.
const BLOCK: u64 = 512;

/// The end of a tar: two empty blocks.
pub(super) const END: [u8; 1024] = [0; 1024];

/// The header of a file with these many bytes: read by all, owned by root, of no time.
pub(super) fn of_file(name: &str, size: u64) -> Result<Vec<u8>> {
    let mut header = Header::new_gnu();
    header.set_size(size);
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    let mut builder = Builder::new(Vec::new());
    let written = builder.append_data(&mut header, name, std::io::empty());
    written.map_err(|error| Error::io(name, error))?;
    Ok(builder.get_ref().clone())
}

/// The number of zeros behind content of this size.
pub(super) fn padding(size: u64) -> u64 {
    size.next_multiple_of(BLOCK) - size
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn is_the_header_alone_also_of_long_names_and_large_files() {
        for (name, size) in [
            ("manifest.json".to_owned(), 3),
            (format!("blobs/sha512/{}", "0".repeat(128)), 20 << 30),
        ] {
            let head = of_file(&name, size).unwrap();
            assert_eq!(head.len() as u64 % BLOCK, 0);
            let mut archive = tar::Archive::new(head.as_slice().chain(std::io::repeat(0)));
            let entry = archive.entries().unwrap().next().unwrap().unwrap();
            assert_eq!(entry.path().unwrap().to_str().unwrap(), name);
            let header = entry.header();
            assert_eq!(header.entry_size().unwrap(), size);
            let facts = [
                u64::from(header.mode().unwrap()),
                header.uid().unwrap(),
                header.gid().unwrap(),
                header.mtime().unwrap(),
            ];
            assert_eq!(facts, [0o644, 0, 0, 0]);
        }
        assert_eq!([0, 1, 511, 512].map(padding), [0, 511, 1, 0]);
    }
}
