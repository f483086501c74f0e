//! Looks for one path in one layer.
//!
//! Layers are searched from the top: the first that says something about the path decides. A
//! whiteout hides what lower layers have (image-spec: "Whiteouts"), not what its own layer has.

use std::io::{Read, Seek, Write};
use std::path::Path;

use tempfile::SpooledTempFile;

use super::path::ImagePath;
use crate::Result;
use crate::tar_entries::{Entries, Entry};

/// Content up to this size, in bytes, is kept in memory.
const IN_MEMORY: usize = 1 << 20;

/// What a layer says about a path.
#[derive(Debug)]
pub(super) enum Sight {
    /// Nothing: lower layers decide.
    Nothing,
    /// It is not there, whatever lower layers have.
    Hidden,
    /// A file, kept.
    Found(Kept),
    /// It leads through a symbolic link; the other path begins at the top layer again.
    Symlink(ImagePath),
    /// It is another name of a file of this layer or a lower one.
    HardLink(ImagePath),
    /// It is there, and no file.
    Other(&'static str),
}

/// A file that was found.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) content: SpooledTempFile,
    pub(super) size: u64,
    pub(super) mode: u32,
}

/// Which leading parts of the path are directories, as upper layers say.
pub(super) type Directories = Vec<bool>;

/// Reads a whole uncompressed layer. Content above a mebibyte is kept in a file in `spool_dir`.
/// Blocking.
pub(super) fn search(
    layer: &mut dyn Read,
    wanted: &ImagePath,
    directories: &mut Directories,
    spool_dir: &Path,
) -> Result<Sight> {
    let mut view = View::of(wanted);
    let mut entries = Entries::new(layer);
    while let Some(mut entry) = entries.next()? {
        view.note(&mut entry, &mut entries, spool_dir)?;
    }
    entries.finish()?;
    Ok(view.conclude(directories))
}

/// What the entries so far say. The last entry of a name counts, as when a tar is unpacked.
struct View<'a> {
    wanted: &'a ImagePath,
    /// The entries of the leading parts, the shortest first.
    leading: Vec<Option<Leading>>,
    target: Option<Sight>,
    hides: bool,
}

enum Leading {
    Directory,
    Symlink(Vec<u8>),
    Other,
}

impl<'a> View<'a> {
    fn of(wanted: &'a ImagePath) -> Self {
        let leading = wanted.parts().len().saturating_sub(1);
        View {
            wanted,
            leading: std::iter::repeat_with(|| None).take(leading).collect(),
            target: None,
            hides: false,
        }
    }

    fn note(
        &mut self,
        entry: &mut Entry,
        entries: &mut Entries<&mut dyn Read>,
        spool_dir: &Path,
    ) -> Result<()> {
        let path = ImagePath::new(&entry.name);
        let (parts, wanted) = (path.parts(), self.wanted.parts());
        let Some((name, folder)) = parts.split_last() else {
            return Ok(());
        };
        if !wanted.starts_with(folder) {
            return Ok(());
        }
        if let Some(hidden) = name.strip_prefix(b".wh.") {
            self.hides |= match hidden {
                b".wh..opq" => folder.len() < wanted.len(),
                hidden => wanted.get(folder.len()).is_some_and(|part| part == hidden),
            };
            return Ok(());
        }
        if !wanted.starts_with(parts) {
            return Ok(());
        }
        if parts.len() < wanted.len() {
            if let Some(leading) = self.leading.get_mut(folder.len()) {
                *leading = Some(Leading::of(entry));
            }
            return Ok(());
        }
        self.target = Some(seen(self.wanted, entry, entries, spool_dir)?);
        Ok(())
    }

    fn conclude(self, directories: &mut Directories) -> Sight {
        if let Some(sight) = self.target {
            return sight;
        }
        directories.resize(self.leading.len(), false);
        for (at, (leading, is_directory)) in self.leading.into_iter().zip(directories).enumerate() {
            match leading {
                None => {}
                Some(Leading::Directory) => *is_directory = true,
                Some(Leading::Symlink(target)) if !*is_directory => {
                    return Sight::Symlink(self.wanted.through(at + 1, &target));
                }
                Some(Leading::Symlink(_) | Leading::Other) => return Sight::Hidden,
            }
        }
        match self.hides {
            true => Sight::Hidden,
            false => Sight::Nothing,
        }
    }
}

impl Leading {
    fn of(entry: &Entry) -> Self {
        match entry.kind {
            kind if kind.is_dir() => Leading::Directory,
            kind if kind.is_symlink() => Leading::Symlink(entry.link.clone()),
            _ => Leading::Other,
        }
    }
}

/// The entry of the path itself.
fn seen(
    wanted: &ImagePath,
    entry: &mut Entry,
    entries: &mut Entries<&mut dyn Read>,
    spool_dir: &Path,
) -> Result<Sight> {
    let kind = entry.kind;
    if kind.is_file() {
        let mut content = SpooledTempFile::new_in(IN_MEMORY, spool_dir);
        entries.copy(entry, &mut content)?;
        content.flush()?;
        content.rewind()?;
        return Ok(Sight::Found(Kept {
            content,
            size: entry.size(),
            mode: entry.header.mode().unwrap_or_default(),
        }));
    }
    if kind.is_symlink() {
        let length = wanted.parts().len();
        return Ok(Sight::Symlink(wanted.through(length, &entry.link)));
    }
    if kind.is_hard_link() {
        return Ok(Sight::HardLink(ImagePath::new(&entry.link)));
    }
    Ok(Sight::Other(match kind.is_dir() {
        true => "a directory",
        false => "a device or pipe",
    }))
}
