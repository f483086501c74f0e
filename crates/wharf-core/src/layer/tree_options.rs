//! How files and directories become a layer.

use super::facts::Kind;

/// How a directory tree becomes a layer.
///
/// Paths, contents, symbolic and hard links, and named pipes are always kept, and on
/// Linux the capabilities of files. Sockets are left out, because they mean nothing without their
/// process; devices are an error. Other extended attributes are not kept, and holes in files become
/// zeros.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TreeOptions {
    /// The owners of all entries.
    pub owners: Owners,
    /// The modification times of all entries.
    pub times: Times,
    /// The permissions of all entries but links.
    pub modes: Modes,
}

/// The owners of the entries of a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owners {
    /// These numbers for all.
    Fixed {
        /// The user.
        uid: u64,
        /// The group.
        gid: u64,
    },
    /// As on disk, by number.
    Kept,
}

/// Root: the user that builds an image does not exist inside it.
impl Default for Owners {
    fn default() -> Self {
        Owners::Fixed { uid: 0, gid: 0 }
    }
}

/// The modification times of the entries of a layer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Times {
    /// As on disk, in whole seconds.
    #[default]
    Kept,
    /// This time for all, in seconds since 1970, as in `SOURCE_DATE_EPOCH`: a tree that is written
    /// again gives the same layer.
    Fixed(u64),
}

impl Times {
    /// The one time of all entries, in seconds since 1970, if there is one.
    pub fn fixed(self) -> Option<u64> {
        match self {
            Times::Kept => None,
            Times::Fixed(seconds) => Some(seconds),
        }
    }
}

/// The permissions of the entries of a layer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Modes {
    /// As on disk.
    #[default]
    Kept,
    /// As with the usual umask: 0755 for directories and for files that their owner may execute, 0644
    /// for other files, 1777 for directories with the sticky bit. Setuid and setgid bits stay.
    Usual,
    /// These permissions for all files. Directories may also be searched by all that may read them.
    Fixed(u32),
}

impl Modes {
    /// The permissions of a file or directory that has `mode` on disk.
    pub(super) fn of(self, kind: Kind, mode: u32) -> u32 {
        const SPECIAL: u32 = 0o7000;
        match (self, kind) {
            (Modes::Kept, _) => mode,
            (Modes::Usual, Kind::Directory) if mode & 0o1000 != 0 => mode & SPECIAL | 0o777,
            (Modes::Usual, Kind::Directory) => mode & SPECIAL | 0o755,
            (Modes::Usual, _) if mode & 0o100 != 0 => mode & SPECIAL | 0o755,
            (Modes::Usual, _) => mode & SPECIAL | 0o644,
            (Modes::Fixed(fixed), Kind::Directory) => fixed | (fixed & 0o444) >> 2,
            (Modes::Fixed(fixed), _) => fixed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usual_permissions_do_not_depend_on_a_umask() {
        for (kind, on_disk, expected) in [
            (Kind::File, 0o600, 0o644),
            (Kind::File, 0o666, 0o644),
            (Kind::File, 0o700, 0o755),
            (Kind::File, 0o4711, 0o4755),
            (Kind::Directory, 0o700, 0o755),
            (Kind::Directory, 0o1755, 0o1777),
        ] {
            let found = Modes::Usual.of(kind, on_disk);
            assert_eq!(found, expected, "{kind:?} {on_disk:o}: {found:o}");
        }
    }

    #[test]
    fn fixed_permissions_let_directories_be_searched() {
        assert_eq!(Modes::Fixed(0o640).of(Kind::File, 0o777), 0o640);
        assert_eq!(Modes::Fixed(0o640).of(Kind::Directory, 0), 0o750);
        assert_eq!(Modes::Fixed(0o4755).of(Kind::Directory, 0), 0o4755);
    }
}
