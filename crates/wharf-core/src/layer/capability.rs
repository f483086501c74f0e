//! The capabilities of a file, which Linux keeps in an extended attribute.

use std::fs::File;
use std::io;

use crate::tar_entries::Records;

/// The record of an extended header that has them, as in layers of other tools.
const RECORD: &[u8] = b"SCHILY.xattr.security.capability";

/// The capabilities of `file` as the kernel encodes them, if it has any.
#[cfg(target_os = "linux")]
pub(super) fn of(file: &File) -> io::Result<Option<Vec<u8>>> {
    use rustix::io::Errno;

    // The kernel knows 12, 20 and 24 bytes.
    let mut value = [0; 64];
    match rustix::fs::fgetxattr(file, "security.capability", &mut value) {
        Ok(length) => Ok(value.get(..length).map(<[u8]>::to_vec)),
        // No attribute, or a file system without any.
        Err(Errno::NODATA | Errno::OPNOTSUPP | Errno::NOSYS) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Only Linux has them.
#[cfg(not(target_os = "linux"))]
pub(super) fn of(_: &File) -> io::Result<Option<Vec<u8>>> {
    Ok(None)
}

/// The content of an extended header with `capability`.
pub(super) fn records(capability: &[u8]) -> Vec<u8> {
    let mut records = Records::default();
    records.add(RECORD, capability);
    records.to_bytes()
}
