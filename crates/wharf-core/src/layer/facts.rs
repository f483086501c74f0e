//! The metadata of a file that a tar can hold.

use std::ffi::OsStr;
use std::fs::Metadata;

/// The kind of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(
    not(unix),
    expect(dead_code, reason = "not all systems tell all kinds apart")
)]
pub(super) enum Kind {
    File,
    Directory,
    Symlink,
    Fifo,
    Socket,
    Device,
}

/// The metadata of a file, without opening it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Facts {
    pub(super) kind: Kind,
    /// Permissions with setuid, setgid and sticky, without the kind.
    pub(super) mode: u32,
    pub(super) uid: u64,
    pub(super) gid: u64,
    /// Seconds since 1970; 0 for earlier times, which tars cannot represent portably.
    pub(super) mtime: u64,
    /// Bytes.
    pub(super) size: u64,
    /// Equal for all names of one file; 0 if the system does not tell.
    pub(super) identity: (u64, u64),
    /// The number of names of the file.
    pub(super) names: u64,
}

impl Facts {
    /// Whether both describe the same file with unchanged content, as far as metadata tells.
    pub(super) fn same_content(&self, other: &Facts) -> bool {
        self.same_file(other) && (self.size, self.mtime) == (other.size, other.mtime)
    }

    /// Whether both describe the same file.
    pub(super) fn same_file(&self, other: &Facts) -> bool {
        self.kind == other.kind && self.identity == other.identity
    }
}

pub(super) use self::system::{facts, name_bytes};

#[cfg(unix)]
mod system {
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::fs::{FileTypeExt, MetadataExt};

    use super::{Facts, Kind, Metadata, OsStr};

    pub(in super::super) fn facts(metadata: &Metadata) -> Facts {
        let file_type = metadata.file_type();
        let kind = match () {
            () if file_type.is_file() => Kind::File,
            () if file_type.is_dir() => Kind::Directory,
            () if file_type.is_symlink() => Kind::Symlink,
            () if file_type.is_fifo() => Kind::Fifo,
            () if file_type.is_socket() => Kind::Socket,
            () => Kind::Device,
        };
        Facts {
            kind,
            mode: metadata.mode() & 0o7777,
            uid: metadata.uid().into(),
            gid: metadata.gid().into(),
            mtime: metadata.mtime().try_into().unwrap_or(0),
            size: metadata.len(),
            identity: (metadata.dev(), metadata.ino()),
            names: metadata.nlink(),
        }
    }

    /// The exact bytes of a name.
    pub(in super::super) fn name_bytes(name: &OsStr) -> Option<Vec<u8>> {
        Some(name.as_bytes().to_vec())
    }
}

#[cfg(not(unix))]
mod system {
    use std::time::UNIX_EPOCH;

    use super::{Facts, Kind, Metadata, OsStr};

    pub(in super::super) fn facts(metadata: &Metadata) -> Facts {
        let (kind, mode) = match () {
            () if metadata.is_symlink() => (Kind::Symlink, 0o777),
            () if metadata.is_dir() => (Kind::Directory, 0o755),
            () if metadata.is_file() => (Kind::File, 0o644),
            () => (Kind::Device, 0),
        };
        let modified = metadata.modified().ok();
        let since = modified.and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        Facts {
            kind,
            mode,
            uid: 0,
            gid: 0,
            mtime: since.map_or(0, |since| since.as_secs()),
            size: metadata.len(),
            identity: (0, 0),
            names: 1,
        }
    }

    /// The name in UTF-8, if possible; a tar has `/` between names.
    pub(in super::super) fn name_bytes(name: &OsStr) -> Option<Vec<u8>> {
        Some(name.to_str()?.replace('\\', "/").into_bytes())
    }
}
