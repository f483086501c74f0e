//! Names below a directory, resolved so that they never lead out of it.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat2};
use rustix::io::Errno;

/// How a directory is opened: links are never followed.
const DIRECTORY: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);

/// What the kernel must keep to.
const STRICT: ResolveFlags = ResolveFlags::BENEATH
    .union(ResolveFlags::NO_SYMLINKS)
    .union(ResolveFlags::NO_MAGICLINKS);

/// What a new directory is until its own attributes are set.
pub(super) const CLOSED: Mode = Mode::RWXU;

/// A directory. Names below it are resolved by the kernel with `openat2`, where it has that; else part
/// by part. A link on the way is an error.
#[derive(Debug)]
pub(super) struct Beneath {
    root: OwnedFd,
    /// The directory that was opened last.
    last: Option<(Vec<u8>, OwnedFd)>,
    has_openat2: AtomicBool,
}

impl Beneath {
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        // The user may name it by a link.
        let flags = DIRECTORY.difference(OFlags::NOFOLLOW);
        let root = rustix::fs::openat(CWD, path, flags, Mode::empty())?;
        Ok(Beneath {
            root,
            last: None,
            has_openat2: AtomicBool::new(true),
        })
    }

    /// Calls `work` with the directory of `name`, made where it is not, and the last part of `name`.
    pub(super) fn at<T>(
        &mut self,
        name: &[u8],
        work: impl FnOnce(BorrowedFd<'_>, &[u8]) -> io::Result<T>,
    ) -> io::Result<T> {
        let (folder, last) = match name.iter().rposition(|byte| *byte == b'/') {
            Some(slash) => (name.get(..slash), name.get(slash + 1..)),
            None => (Some(&b""[..]), Some(name)),
        };
        let (folder, last) = (folder.unwrap_or_default(), last.unwrap_or_default());
        if !name.split(|byte| *byte == b'/').all(is_part) {
            return Err(Errno::INVAL.into());
        }
        let is_last = self.last.as_ref().is_some_and(|(own, _)| own == folder);
        if !is_last {
            let opened = self.made(folder)?;
            self.last = Some((folder.to_vec(), opened));
        }
        match &self.last {
            Some((_, directory)) => work(directory.as_fd(), last),
            None => work(self.root.as_fd(), last),
        }
    }

    /// The directory of this name, which is there.
    pub(super) fn directory(&self, name: &[u8]) -> io::Result<OwnedFd> {
        if name.is_empty() {
            return self.root.try_clone();
        }
        if self.has_openat2.load(Ordering::Relaxed) {
            match openat2(&self.root, name, DIRECTORY, Mode::empty(), STRICT) {
                // Old kernels and some sandboxes do not have it; it takes no very long name.
                Err(Errno::NOSYS | Errno::PERM | Errno::INVAL) => {
                    self.has_openat2.store(false, Ordering::Relaxed);
                }
                Err(Errno::NAMETOOLONG | Errno::AGAIN) => {}
                opened => return Ok(opened?),
            }
        }
        self.part_by_part(name)
    }

    fn part_by_part(&self, name: &[u8]) -> io::Result<OwnedFd> {
        let mut directory = self.root.try_clone()?;
        for part in name.split(|byte| *byte == b'/') {
            directory = step(directory.as_fd(), part)?;
        }
        Ok(directory)
    }

    /// The directory of this name, made where it is not.
    fn made(&self, name: &[u8]) -> io::Result<OwnedFd> {
        match self.directory(name) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            opened => return opened,
        }
        let mut directory = self.root.try_clone()?;
        for part in name.split(|byte| *byte == b'/') {
            match rustix::fs::mkdirat(&directory, part, CLOSED) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(error) => return Err(error.into()),
            }
            directory = step(directory.as_fd(), part)?;
        }
        Ok(directory)
    }
}

/// The directory of this part, which is no link.
fn step(directory: BorrowedFd<'_>, part: &[u8]) -> io::Result<OwnedFd> {
    match is_part(part) {
        true => Ok(rustix::fs::openat(
            directory,
            part,
            DIRECTORY,
            Mode::empty(),
        )?),
        false => Err(Errno::INVAL.into()),
    }
}

/// Whether it is one part of a path that leads down.
fn is_part(part: &[u8]) -> bool {
    !matches!(part, b"" | b"." | b"..") && !part.contains(&b'/')
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    /// A directory with links out of it, and one that must stay empty.
    fn scene() -> (tempfile::TempDir, std::path::PathBuf) {
        let place = tempfile::tempdir().unwrap();
        let (inside, outside) = (place.path().join("in"), place.path().join("out"));
        fs::create_dir(&inside).unwrap();
        fs::create_dir(&outside).unwrap();
        symlink(&outside, inside.join("absolute")).unwrap();
        symlink("../out", inside.join("up")).unwrap();
        symlink(".", inside.join("self")).unwrap();
        (place, inside)
    }

    fn touch(directory: BorrowedFd<'_>, name: &[u8]) -> io::Result<()> {
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY;
        Ok(rustix::fs::openat(directory, name, flags, Mode::RUSR).map(drop)?)
    }

    #[test]
    fn no_name_leads_out_whether_the_kernel_resolves_it_or_not() {
        for has_openat2 in [true, false] {
            let (place, inside) = scene();
            let mut beneath = Beneath::open(&inside).unwrap();
            beneath.has_openat2 = AtomicBool::new(has_openat2);
            for name in [
                &b"absolute/x"[..],
                b"up/x",
                b"self/x",
                b"../x",
                b"a/../../x",
                b"..",
                b"/x",
                b"a//x",
                b"a/./x",
            ] {
                beneath.at(name, touch).unwrap_err();
            }
            beneath.at(b"new/deep/x", touch).unwrap();
            beneath.at(b"new/deep/y", touch).unwrap();
            beneath.at(b"x", touch).unwrap();
            assert!(inside.join("new/deep/y").exists());
            assert_eq!(fs::read_dir(place.path().join("out")).unwrap().count(), 0);
            assert_eq!(fs::read_dir(place.path()).unwrap().count(), 2);
        }
    }

    #[test]
    fn names_may_be_longer_than_one_call_takes() {
        let place = tempfile::tempdir().unwrap();
        let mut beneath = Beneath::open(place.path()).unwrap();
        let name = [b"n".repeat(200).as_slice(), b"/"].concat().repeat(25);
        let name = [&name[..], b"x"].concat();
        beneath.at(&name, touch).unwrap();
        beneath.at(b"y", touch).unwrap();
        let twice = beneath.at(&name, touch).unwrap_err();
        assert_eq!(twice.kind(), io::ErrorKind::AlreadyExists);
    }
}
