//! Files and directories from anywhere on disk, at their places in one layer.
//!
//! What is where is found out first, and then written in the order of the paths. Memory holds the
//! paths and metadata of all entries, and no contents.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::facts::{Facts, Kind, facts, name_bytes};
use super::pipe;
use super::tree_options::TreeOptions;
use super::tree_writer::{TreeWriter, changed, look, named, unspeakable};
use crate::blob::ByteStream;
use crate::{Error, ErrorKind, Result};

/// A file or directory on disk, and its place in a layer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlacedFile {
    source: PathBuf,
    /// Without slashes at its ends; empty for the root.
    place: Vec<u8>,
    /// The name of a file in the directory `place`, if that is a directory.
    own_name: Option<Vec<u8>>,
}

impl PlacedFile {
    /// The file or directory `source` at `place`, an absolute path. What `source` links to is meant.
    /// Of a directory all that is in it is put into `place`. With a slash at its end, `place` is a
    /// directory, in which a file keeps its name.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] if `place` is not absolute, or leads through `..`.
    pub fn new(source: impl Into<PathBuf>, place: impl AsRef<OsStr>) -> Result<Self> {
        let (source, place) = (source.into(), place.as_ref());
        let wrong = |message: &str| {
            let error = Error::new(ErrorKind::Invalid, message);
            error.target(Path::new(place).display())
        };
        let bytes = name_bytes(place).ok_or_else(|| unspeakable(Path::new(place)))?;
        if !bytes.starts_with(b"/") {
            return Err(wrong("not an absolute path in the image"));
        }
        let parts = bytes.split(|byte| *byte == b'/');
        let parts = parts.filter(|part| !part.is_empty() && *part != b".");
        let parts: Vec<&[u8]> = parts.collect();
        if parts.contains(&b"..".as_slice()) {
            return Err(wrong("leads through `..`"));
        }
        if bytes.contains(&0) {
            return Err(wrong("has a zero byte"));
        }
        let own_name = source.file_name().and_then(name_bytes);
        Ok(PlacedFile {
            own_name: own_name.filter(|_| bytes.ends_with(b"/")),
            source,
            place: parts.join(b"/".as_slice()),
        })
    }

    /// The file or directory `source` in the root, under its own name.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] if it has no name of its own, as `..` has none.
    pub fn in_root(source: impl Into<PathBuf>) -> Result<Self> {
        let source = source.into();
        let Some(name) = source.file_name() else {
            let error = Error::new(ErrorKind::Invalid, "has no name of its own: say its place");
            return Err(error.target(source.display()));
        };
        let place = Path::new("/").join(name);
        PlacedFile::new(source, place)
    }

    /// Where it is on disk.
    pub fn source(&self) -> &Path {
        &self.source
    }

    /// The place of what has this kind.
    fn place(&self, kind: Kind) -> Vec<u8> {
        match &self.own_name {
            Some(name) if kind != Kind::Directory => below(&self.place, name),
            _ => self.place.clone(),
        }
    }
}

/// What messages call a layer of these files.
pub(super) fn name(files: &[PlacedFile]) -> String {
    match files {
        [first] => first.source.display().to_string(),
        [first, rest @ ..] => format!("{} and {} more", first.source.display(), rest.len()),
        [] => "no files".to_owned(),
    }
}

/// All entries of a layer, by their paths without slashes at the ends: a directory is before what is
/// in it.
#[derive(Debug, Default)]
pub(super) struct Tree {
    nodes: BTreeMap<Vec<u8>, Node>,
}

#[derive(Debug)]
enum Node {
    /// A directory that is needed, and is not among the files.
    Parent,
    Found(PathBuf, Facts),
}

impl Node {
    fn is_directory(&self) -> bool {
        match self {
            Node::Parent => true,
            Node::Found(_, is) => is.kind == Kind::Directory,
        }
    }
}

impl Tree {
    /// Looks at all files, and at all that is below directories. Blocking.
    pub(super) fn of(files: &[PlacedFile]) -> Result<Self> {
        let mut tree = Tree::default();
        for file in files {
            tree.add(file)?;
        }
        Ok(tree)
    }

    fn add(&mut self, file: &PlacedFile) -> Result<()> {
        let path = &file.source;
        let is = facts(&fs::metadata(path).map_err(|error| named(path, error))?);
        let (place, directory) = (file.place(is.kind), is.kind == Kind::Directory);
        match (place.is_empty(), directory) {
            (true, false) => {
                let error = Error::new(ErrorKind::Invalid, "is no directory, so it cannot be /");
                return Err(error.target(path.display()));
            }
            // The root of a layer is no entry.
            (true, true) => {}
            (false, _) => self.enter(place.clone(), path, is.clone())?,
        }
        if directory {
            self.add_below(path.clone(), place, is)?;
        }
        Ok(())
    }

    fn add_below(&mut self, path: PathBuf, place: Vec<u8>, is: Facts) -> Result<()> {
        let mut open = vec![(path, place, is)];
        while let Some((directory, place, was)) = open.pop() {
            for entry in fs::read_dir(&directory).map_err(|error| named(&directory, error))? {
                let path = entry.map_err(|error| named(&directory, error))?.path();
                let name = path.file_name().and_then(name_bytes);
                let name = name.ok_or_else(|| unspeakable(&path))?;
                let place = below(&place, &name);
                let is = look(&path)?;
                self.enter(place.clone(), &path, is.clone())?;
                if is.kind == Kind::Directory {
                    open.push((path, place, is));
                }
            }
            // A directory that became a link meanwhile would list another directory.
            let now = fs::metadata(&directory).map_err(|error| named(&directory, error))?;
            if !facts(&now).same_file(&was) {
                return Err(changed(&directory));
            }
        }
        Ok(())
    }

    /// Enters what is at `path` on disk, with its parents. An earlier file of that place gives way.
    fn enter(&mut self, place: Vec<u8>, path: &Path, is: Facts) -> Result<()> {
        check(&place, path, is.kind)?;
        let slashes = place.iter().enumerate().filter(|(_, byte)| **byte == b'/');
        let parents: Vec<usize> = slashes.map(|(at, _)| at).collect();
        for end in parents {
            let parent = place.get(..end).unwrap_or_default().to_vec();
            let there = self.nodes.entry(parent.clone()).or_insert(Node::Parent);
            if !there.is_directory() {
                return Err(clash(&parent, path));
            }
        }
        let directory = is.kind == Kind::Directory;
        if self
            .nodes
            .get(&place)
            .is_some_and(|there| there.is_directory() != directory)
        {
            return Err(clash(&place, path));
        }
        self.nodes.insert(place, Node::Found(path.to_owned(), is));
        Ok(())
    }

    fn write<W: Write>(&self, mut writer: TreeWriter<'_, W>) -> Result<()> {
        for (place, node) in &self.nodes {
            let name = match node.is_directory() {
                true => [place.as_slice(), b"/"].concat(),
                false => place.clone(),
            };
            match node {
                Node::Parent => writer.parent(&name, usual_mode(place))?,
                Node::Found(path, is) => writer.entry(path, &name, is)?,
            }
        }
        writer.end()
    }
}

/// The files as a tar, written by a thread that the stream starts.
pub(super) fn tar(tree: Arc<Tree>, options: TreeOptions) -> ByteStream {
    pipe::written_by(move |pipe| tree.write(TreeWriter::new(options, pipe)))
}

/// The path of a name in a directory.
fn below(directory: &[u8], name: &[u8]) -> Vec<u8> {
    match directory.is_empty() {
        true => name.to_vec(),
        false => [directory, b"/", name].concat(),
    }
}

/// What a directory is in every image.
fn usual_mode(place: &[u8]) -> u32 {
    match place {
        b"tmp" | b"var/tmp" => 0o1777,
        b"root" => 0o700,
        _ => 0o755,
    }
}

/// Whether a layer made of files can contain this.
fn check(place: &[u8], path: &Path, kind: Kind) -> Result<()> {
    let wrong = |kind, message: String| Err(Error::new(kind, message).target(path.display()));
    let what = match kind {
        Kind::File | Kind::Directory | Kind::Symlink => None,
        Kind::Socket => Some("a socket"),
        Kind::Fifo => Some("a named pipe"),
        Kind::Device => Some("a device"),
    };
    if let Some(what) = what {
        let message = format!("is {what}, which a layer made of files cannot contain");
        return wrong(ErrorKind::Unsupported, message);
    }
    if place
        .split(|byte| *byte == b'/')
        .any(|part| part.starts_with(b".wh."))
    {
        let message = "its name means a whiteout, which hides files of lower layers".to_owned();
        return wrong(ErrorKind::Invalid, message);
    }
    Ok(())
}

fn clash(place: &[u8], path: &Path) -> Error {
    let place = String::from_utf8_lossy(place).escape_debug().to_string();
    let message = format!("/{place} would be a directory and something else in one layer");
    Error::new(ErrorKind::Invalid, message).target(path.display())
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;
    use crate::layer::{Modes, Owners, Times};

    fn write(files: &[(&Path, &str)]) -> Result<Vec<u8>> {
        let placed = files
            .iter()
            .map(|(path, place)| PlacedFile::new(*path, place));
        let placed: Vec<_> = placed.collect::<Result<_>>()?;
        let options = TreeOptions {
            owners: Owners::Fixed { uid: 7, gid: 8 },
            times: Times::Fixed(9),
            modes: Modes::Usual,
        };
        let mut tar = Vec::new();
        Tree::of(&placed)?.write(TreeWriter::new(options, &mut tar))?;
        Ok(tar)
    }

    /// Path, permissions, owner and content or link of each entry.
    fn entries(tar: &[u8]) -> Vec<(String, u32, u64, String)> {
        let mut archive = tar::Archive::new(tar);
        let read = archive.entries().unwrap().map(|entry| {
            let mut entry = entry.unwrap();
            let path = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
            let header = entry.header().clone();
            assert_eq!(header.mtime().unwrap(), 9);
            let mut content = String::new();
            std::io::Read::read_to_string(&mut entry, &mut content).unwrap();
            let link = entry.link_name_bytes().unwrap_or_default();
            let content = content + &String::from_utf8_lossy(&link);
            (path, header.mode().unwrap(), header.uid().unwrap(), content)
        });
        read.collect()
    }

    fn entry(path: &str, mode: u32, uid: u64, content: &str) -> (String, u32, u64, String) {
        (path.to_owned(), mode, uid, content.to_owned())
    }

    fn said(files: &[(&Path, &str)]) -> String {
        write(files).unwrap_err().to_string()
    }

    #[test]
    fn parents_are_first_each_path_is_there_once_and_the_last_file_counts() {
        let root = tempfile::tempdir().unwrap();
        let at = |name: &str| root.path().join(name);
        fs::create_dir_all(at("conf/sub")).unwrap();
        for (name, text) in [
            ("app", "a"),
            ("new", "b"),
            ("conf/one", "1"),
            ("conf/sub/two", "2"),
        ] {
            fs::write(at(name), text).unwrap();
        }
        fs::set_permissions(at("new"), fs::Permissions::from_mode(0o700)).unwrap();
        fs::set_permissions(at("conf"), fs::Permissions::from_mode(0o750)).unwrap();
        let tar = write(&[
            (&at("app"), "/usr/bin/app"),
            (&at("conf"), "//etc/./app/"),
            (&at("new"), "/usr/bin/app"),
            (&at("app"), "/tmp/"),
        ]);
        let expected = [
            entry("etc/", 0o755, 0, ""),
            entry("etc/app/", 0o755, 7, ""),
            entry("etc/app/one", 0o644, 7, "1"),
            entry("etc/app/sub/", 0o755, 7, ""),
            entry("etc/app/sub/two", 0o644, 7, "2"),
            entry("tmp/", 0o1777, 0, ""),
            entry("tmp/app", 0o644, 7, "a"),
            entry("usr/", 0o755, 0, ""),
            entry("usr/bin/", 0o755, 0, ""),
            entry("usr/bin/app", 0o755, 7, "b"),
        ];
        assert_eq!(entries(&tar.unwrap()), expected);
    }

    #[test]
    fn a_directory_for_the_root_is_its_content_and_links_stay_links() {
        let (root, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs::write(outside.path().join("secret"), "s").unwrap();
        symlink(outside.path(), root.path().join("away")).unwrap();
        symlink("../../../etc/passwd", root.path().join("up")).unwrap();
        let link = outside.path().join("link");
        symlink(root.path(), &link).unwrap();
        let away = outside.path().to_str().unwrap();
        let expected = [
            entry("away", 0o777, 7, away),
            entry("up", 0o777, 7, "../../../etc/passwd"),
        ];
        // The link that is named itself is followed.
        for named in [root.path(), &link] {
            assert_eq!(entries(&write(&[(named, "/")]).unwrap()), expected);
        }
    }

    #[test]
    fn names_that_are_not_unicode_keep_their_bytes() {
        let root = tempfile::tempdir().unwrap();
        let odd = OsStr::from_bytes(b"caf\xe9");
        fs::write(root.path().join(odd), "x").unwrap();
        let tar = write(&[(root.path(), "/d")]).unwrap();
        let mut archive = tar::Archive::new(tar.as_slice());
        let names = archive
            .entries()
            .unwrap()
            .map(|entry| entry.unwrap().path_bytes().to_vec());
        assert_eq!(
            names.collect::<Vec<_>>(),
            [b"d/".to_vec(), b"d/caf\xe9".to_vec()]
        );
    }

    #[test]
    fn what_no_layer_can_contain_is_refused_by_its_path() {
        let root = tempfile::tempdir().unwrap();
        let at = |name: &str| root.path().join(name);
        for name in ["sockets", "pipes", "whiteouts"] {
            fs::create_dir(at(name)).unwrap();
        }
        let _socket = std::os::unix::net::UnixListener::bind(at("sockets/s")).unwrap();
        let made = std::process::Command::new("mkfifo")
            .arg(at("pipes/p"))
            .status();
        assert!(made.unwrap().success());
        fs::write(at("whiteouts/.wh.file"), "").unwrap();
        for (path, message) in [
            ("sockets/s", "is a socket, which"),
            ("pipes/p", "is a named pipe, which"),
            ("whiteouts/.wh.file", "its name means a whiteout"),
        ] {
            let said = said(&[(at(path).parent().unwrap(), "/")]);
            let expected = format!("{}: {message}", at(path).display());
            assert!(said.starts_with(&expected), "{said}");
        }
        let device = said(&[(Path::new("/dev/null"), "/null")]);
        assert!(device.starts_with("/dev/null: is a device"), "{device}");
        let nothing = said(&[(&at("none"), "/x")]);
        assert!(
            nothing.starts_with(&at("none").display().to_string()),
            "{nothing}"
        );
    }

    #[test]
    fn a_place_is_one_thing() {
        let root = tempfile::tempdir().unwrap();
        let file = root.path().join("f");
        fs::write(&file, "").unwrap();
        let clash = "/a would be a directory and something else in one layer";
        for files in [
            [(file.as_path(), "/a"), (file.as_path(), "/a/b")],
            [(file.as_path(), "/a/b"), (file.as_path(), "/a")],
            [(file.as_path(), "/a"), (root.path(), "/a")],
        ] {
            let said = said(&files);
            assert!(said.ends_with(clash), "{said}");
        }
    }

    #[test]
    fn places_are_absolute_and_stay_inside() {
        for (place, message) in [
            ("a/b", "a/b: not an absolute path in the image"),
            ("", ": not an absolute path in the image"),
            ("/a/../b", "/a/../b: leads through `..`"),
        ] {
            let said = PlacedFile::new("x", place).unwrap_err().to_string();
            assert_eq!(said, message);
        }
        let said = PlacedFile::in_root("..").unwrap_err().to_string();
        assert_eq!(said, "..: has no name of its own: say its place");
        let place = |file: Result<PlacedFile>| file.unwrap().place(Kind::File);
        assert_eq!(place(PlacedFile::in_root("a/b")), b"b");
        assert_eq!(place(PlacedFile::new("a/b", "/c/")), b"c/b");
        assert_eq!(place(PlacedFile::new("a/b", "/")), b"b");
    }

    #[test]
    fn a_file_that_changed_since_it_was_looked_at_is_named() {
        let root = tempfile::tempdir().unwrap();
        let file = root.path().join("log");
        fs::write(&file, "one").unwrap();
        let tree = Tree::of(&[PlacedFile::new(&file, "/log").unwrap()]).unwrap();
        fs::write(&file, "three").unwrap();
        let mut tar = Vec::new();
        let written = tree.write(TreeWriter::new(TreeOptions::default(), &mut tar));
        let said = written.unwrap_err().to_string();
        assert_eq!(
            said,
            format!("{}: changed while it was read", file.display())
        );
    }
}
