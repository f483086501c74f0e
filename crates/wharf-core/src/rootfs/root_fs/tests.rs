use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use proptest::prelude::*;
use tar::{EntryType, Header};
use wharf_oci::{Descriptor, Digest, MediaType};

use super::*;
use crate::ErrorKind;
use crate::image::{StoredFile, StoredLayer};

/// An entry of a test's layer.
#[derive(Clone, Debug)]
struct Line {
    kind: EntryType,
    name: String,
    /// The target of a link, or the content.
    text: String,
}

fn line(kind: EntryType, name: &str, text: &str) -> Line {
    Line {
        kind,
        name: name.to_owned(),
        text: text.to_owned(),
    }
}

fn file(name: &str, text: &str) -> Line {
    line(EntryType::Regular, name, text)
}

fn directory(name: &str) -> Line {
    line(EntryType::Directory, name, "")
}

fn symlink(name: &str, to: &str) -> Line {
    line(EntryType::Symlink, name, to)
}

fn hard_link(name: &str, to: &str) -> Line {
    line(EntryType::Link, name, to)
}

/// A layer; the mode of an entry is its number.
fn layer_of(lines: &[Line]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (number, line) in lines.iter().enumerate() {
        let mut header = Header::new_gnu();
        header.set_entry_type(line.kind);
        header.set_mode(u32::try_from(number).unwrap());
        header.set_mtime(0);
        match line.kind {
            EntryType::Symlink | EntryType::Link => {
                header.set_size(0);
                builder
                    .append_link(&mut header, &line.name, &line.text)
                    .unwrap();
            }
            _ => {
                header.set_size(line.text.len() as u64);
                let text = line.text.as_bytes();
                builder.append_data(&mut header, &line.name, text).unwrap();
            }
        }
    }
    builder.into_inner().unwrap()
}

fn blob_of(bytes: Vec<u8>) -> Blob {
    let descriptor = Descriptor::new(
        MediaType::OCTET_STREAM,
        Digest::of(&bytes),
        bytes.len() as u64,
    );
    Blob::from_bytes(descriptor, bytes.into())
}

async fn merged(layers: &[Vec<u8>]) -> Result<Vec<u8>> {
    let blobs: Vec<Blob> = layers.iter().cloned().map(blob_of).collect();
    let spool = tempfile::tempdir().unwrap();
    let merged = RootFs::merge(&blobs, spool.path()).await?;
    let chunks: Vec<Bytes> = merged.tar().try_collect().await?;
    Ok(chunks.concat())
}

/// What a tar holds: kind, name, target or content, and mode.
fn read_back(tar: &[u8]) -> Vec<(EntryType, String, String, u32)> {
    let mut archive = tar::Archive::new(tar);
    let entries = archive.entries().unwrap().map(|entry| {
        let mut entry = entry.unwrap();
        let name = String::from_utf8(entry.path_bytes().into_owned()).unwrap();
        let link = entry.link_name_bytes().unwrap_or_default().into_owned();
        let mut text = String::from_utf8(link).unwrap();
        entry.read_to_string(&mut text).unwrap();
        let mode = entry.header().mode().unwrap();
        (entry.header().entry_type(), name, text, mode)
    });
    entries.collect()
}

async fn names(layers: &[&[Line]]) -> Vec<String> {
    let layers: Vec<_> = layers.iter().map(|lines| layer_of(lines)).collect();
    let tar = merged(&layers).await.unwrap();
    let shown = |(kind, name, text, _): (EntryType, String, String, u32)| match kind {
        EntryType::Directory => format!("{name}/"),
        EntryType::Regular => format!("{name}={text}"),
        EntryType::Symlink => format!("{name}->{text}"),
        _ => format!("{name}=>{text}"),
    };
    read_back(&tar).into_iter().map(shown).collect()
}

#[tokio::test]
async fn whiteouts_hide_lower_layers_only_and_never_leave() {
    let lower = [
        directory("d"),
        file("d/old", "1"),
        file("e/x", "2"),
        file("f", "3"),
    ];
    let upper = [
        file("d/.wh..wh..opq", ""),
        file("d/new", "4"),
        directory("e"),
        file("e/y", "5"),
        file(".wh.e", ""),
        file(".wh.f", ""),
        file(".wh..wh.plnk/1", ""),
    ];
    assert_eq!(
        names(&[&lower, &upper]).await,
        ["d/new=4", "e/", "e/y=5", "d/"]
    );
    assert_eq!(names(&[&upper]).await, ["d/new=4", "e/", "e/y=5"]);
}

#[tokio::test]
async fn of_a_set_of_hard_links_one_may_be_replaced() {
    let lower = [
        file("t1", "123"),
        hard_link("t2", "t1"),
        hard_link("t3", "t1"),
    ];
    let replaced = [file("t1", "456")];
    let expected = ["t1=456", "t2=123", "t3=>t2"];
    assert_eq!(names(&[&lower, &replaced]).await, expected);
    let gone = [file(".wh.t1", ""), file(".wh.t3", "")];
    assert_eq!(names(&[&lower, &gone]).await, ["t2=123"]);
    let linked_above = [hard_link("t0", "t2"), file(".wh.t2", "")];
    let error = merged(&[layer_of(&lower), layer_of(&linked_above)])
        .await
        .unwrap_err();
    assert!(
        error.to_string().contains("t0: a hard link to t2"),
        "{error}"
    );
    let linked_above = [hard_link("t0", "t2")];
    let expected = ["t1=123", "t0=>t1", "t2=>t1", "t3=>t1"];
    assert_eq!(names(&[&lower, &linked_above]).await, expected);
}

#[tokio::test]
async fn the_last_entry_of_a_name_counts_once() {
    let layer = [
        file("a", "1"),
        file("./a", "2"),
        directory("b"),
        file("b/c", "3"),
        file("b", "4"),
    ];
    assert_eq!(names(&[&layer]).await, ["a=2", "b=4"]);
    let above = [file("b/c/d", "5")];
    assert_eq!(names(&[&layer, &above]).await, ["b/c/d=5", "a=2"]);
}

#[tokio::test]
async fn links_are_kept_as_they_are_and_followed_in_the_middle_of_a_name() {
    let lower = [
        directory("usr"),
        directory("usr/lib"),
        symlink("lib", "usr/lib"),
        symlink("up", "../../../etc"),
        symlink("abs", "/usr/lib/../x"),
    ];
    let upper = [
        file("lib/libc", "1"),
        file("up/passwd", "2"),
        file("abs/y", "3"),
    ];
    let expected = [
        "usr/lib/libc=1",
        "etc/passwd=2",
        "usr/x/y=3",
        "usr/",
        "usr/lib/",
        "lib->usr/lib",
        "up->../../../etc",
        "abs->/usr/lib/../x",
    ];
    assert_eq!(names(&[&lower, &upper]).await, expected);
    let round = [symlink("a", "b"), symlink("b", "a"), file("a/x", "1")];
    let error = merged(&[layer_of(&round)]).await.unwrap_err();
    assert!(
        error.to_string().contains("a/x: more than 40 links"),
        "{error}"
    );
}

/// A header with a name that no builder takes.
fn raw(name: &[u8], size: u64) -> Header {
    let mut header = Header::new_ustar();
    header.set_entry_type(EntryType::Regular);
    header.set_size(size);
    header.set_mode(0o644);
    header.as_mut_bytes()[..name.len()].copy_from_slice(name);
    header.set_cksum();
    header
}

#[tokio::test]
async fn a_name_that_leaves_the_root_is_an_error_of_its_layer() {
    let layer = raw(b"../x", 0).as_bytes().to_vec();
    let digest = Digest::of(&layer).to_string();
    let error = merged(&[layer]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(
        error
            .to_string()
            .starts_with(&format!("layer {digest}: ../x")),
        "{error}"
    );
}

#[tokio::test]
async fn names_of_any_bytes_and_length_and_attributes_stay() {
    let mut layer = raw(b"\xff\xfe", 0).as_bytes().to_vec();
    let long = "n/".repeat(200) + "\u{e9}";
    let mut records = crate::tar_entries::Records::default();
    records.add(b"path", long.as_bytes());
    records.add(b"SCHILY.xattr.security.capability", b"\x01\n\x00=\n");
    records.add(b"mtime", b"1.5");
    let records = records.to_bytes();
    let mut header = raw(b"x", records.len() as u64);
    header.set_entry_type(EntryType::XHeader);
    header.set_cksum();
    layer.extend_from_slice(header.as_bytes());
    layer.extend_from_slice(&records);
    layer.resize(layer.len().next_multiple_of(512), 0);
    let mut header = raw(b"short", 0);
    // A number of GNU's binary form: -2.
    header.as_mut_bytes()[136..148].fill(0xff);
    header.as_mut_bytes()[147] = 0xfe;
    header.as_mut_bytes()[108..116].copy_from_slice(&[0x80, 0, 0, 0, 1, 0, 0, 5]);
    header.set_cksum();
    layer.extend_from_slice(header.as_bytes());
    let tar = merged(&[layer]).await.unwrap();
    // The reader of the crate `tar` stops at the line end in the attribute.
    let mut entries = crate::tar_entries::Entries::new(&tar[..]);
    let first = entries.next().unwrap().unwrap();
    assert_eq!(first.name, b"\xff\xfe");
    let second = entries.next().unwrap().unwrap();
    assert_eq!(second.name, long.as_bytes());
    let found = |bytes: &[u8]| tar.windows(bytes.len()).any(|part| part == bytes);
    assert!(found(b"SCHILY.xattr.security.capability=\x01\n\x00=\n\n"));
    assert!(found(b"mtime=1.5\n") && found(b"uid=16777221\n"));
    assert!(!found(b"mtime=-2\n"), "the record is the newer word");
}

#[tokio::test]
async fn holes_become_zeros_and_are_bounded() {
    let pax = |text: &str, stored: u64| {
        let mut header = raw(b"x", text.len() as u64);
        header.set_entry_type(EntryType::XHeader);
        header.set_cksum();
        let mut layer = header.as_bytes().to_vec();
        layer.extend_from_slice(text.as_bytes());
        layer.resize(layer.len().next_multiple_of(512), 0);
        layer.extend_from_slice(raw(b"stored", stored).as_bytes());
        layer
    };
    let text = "22 GNU.sparse.major=1\n22 GNU.sparse.minor=0\n\
                26 GNU.sparse.realsize=10\n25 GNU.sparse.name=holes\n";
    let mut layer = pax(text, 515);
    let map = "2\n1\n2\n7\n1\n";
    layer.extend_from_slice(map.as_bytes());
    layer.resize(layer.len().next_multiple_of(512), 0);
    layer.extend_from_slice(b"abc");
    layer.resize(layer.len().next_multiple_of(512), 0);
    let tar = merged(&[layer]).await.unwrap();
    let all = read_back(&tar);
    assert_eq!(all.len(), 1);
    assert_eq!((&*all[0].1, &*all[0].2), ("holes", "\0ab\0\0\0\0c\0\0"));

    let text = "34 GNU.sparse.size=99999999999999\n22 GNU.sparse.map=0,0\n";
    let error = merged(&[pax(text, 0)]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Refused, "{error}");
}

#[tokio::test]
async fn what_is_no_tar_or_ends_early_says_where() {
    let whole = layer_of(&[file("a", &"x".repeat(2000))]);
    for (bytes, said) in [
        (whole[..1200].to_vec(), "truncated tar"),
        (b"{}".repeat(400), "not a tar: looks like JSON"),
        (
            [whole[..2560].to_vec(), vec![7; 512]].concat(),
            "malformed tar at offset 2560",
        ),
    ] {
        let error = merged(&[bytes]).await.unwrap_err();
        assert!(error.to_string().contains(said), "{error}");
        assert!(error.to_string().starts_with("layer sha256:"), "{error}");
    }
    assert_eq!(merged(&[Vec::new()]).await.unwrap(), [0; 1024]);
}

/// A file system that applies layers one by one: the plain model of what the merge must give.
#[derive(Clone, Debug, Default)]
struct Model {
    /// By path: the layer and number of the entry, and its kind. Entries of links by name have a
    /// target; files of one inode share the entry. Directories without an entry have none.
    nodes: BTreeMap<Vec<String>, Shown>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Shown {
    Directory(Option<(usize, usize)>),
    Symlink((usize, usize), String),
    File((usize, usize)),
}

impl Model {
    fn real(&self, folder: &[String]) -> Option<Vec<String>> {
        self.real_below(Vec::new(), folder)
    }

    /// Where a folder is below a path that is followed no more.
    fn real_below(&self, mut real: Vec<String>, folder: &[String]) -> Option<Vec<String>> {
        let mut left: Vec<String> = folder.iter().rev().cloned().collect();
        let mut links = 0;
        while let Some(part) = left.pop() {
            match part.as_str() {
                "" | "." => {}
                ".." => drop(real.pop()),
                _ => {
                    real.push(part);
                    if let Some(Shown::Symlink(_, to)) = self.nodes.get(&real) {
                        links += 1;
                        if links > 40 {
                            return None;
                        }
                        real.pop();
                        if to.starts_with('/') {
                            real.clear();
                        }
                        left.extend(to.rsplit('/').map(str::to_owned));
                    }
                }
            }
        }
        Some(real)
    }

    /// Where a whiteout counts: what its layer states to be a directory is no link.
    fn hiding(&self, folder: &str, stated: &BTreeSet<Vec<String>>) -> Option<Vec<String>> {
        let (mut own, mut real) = (Vec::new(), Vec::new());
        for part in folder.split('/').filter(|part| !matches!(*part, "" | ".")) {
            own.push(part.to_owned());
            if stated.contains(&own) {
                real.push(part.to_owned());
            } else {
                real = self.real_below(real, &[part.to_owned()])?;
            }
        }
        Some(real)
    }

    fn remove(&mut self, path: &[String]) {
        self.nodes.retain(|own, _| !own.starts_with(path));
    }

    fn path(&self, name: &str) -> Option<Vec<String>> {
        let parts: Vec<String> = name.split('/').map(str::to_owned).collect();
        let (last, folder) = parts.split_last()?;
        let mut real = self.real(folder)?;
        real.push(last.clone());
        Some(real)
    }

    /// Applies what can be applied; returns those lines.
    fn apply(&mut self, layer: usize, lines: Vec<Line>) -> Vec<Line> {
        let whiteout = |line: &Line| line.name.contains(".wh.");
        let mut applied = Vec::new();
        let directories = lines
            .iter()
            .filter(|line| line.kind == EntryType::Directory);
        let parts = |line: &Line| {
            let parts = line.name.split('/').filter(|part| *part != ".");
            parts.map(str::to_owned).collect()
        };
        let stated: BTreeSet<Vec<String>> = directories.map(parts).collect();
        for line in &lines {
            let Some((folder, last)) = line.name.rsplit_once('/').filter(|_| whiteout(line)) else {
                continue;
            };
            let last = last.trim_start_matches(".wh.");
            let Some(mut path) = self.hiding(folder, &stated) else {
                continue;
            };
            path.push(last.to_owned());
            if last == ".opq" || last == "opq" {
                path.pop();
                self.nodes
                    .retain(|own, _| !own.starts_with(&path) || own.len() == path.len());
            } else {
                self.remove(&path);
            }
        }
        for line in lines {
            let at = (layer, applied.len());
            if whiteout(&line) || self.put(at, &line).is_some() {
                applied.push(line);
            }
        }
        applied
    }

    fn put(&mut self, at: (usize, usize), line: &Line) -> Option<()> {
        let path = self.path(&line.name)?;
        let shown = match line.kind {
            EntryType::Directory => Shown::Directory(Some(at)),
            EntryType::Symlink => Shown::Symlink(at, line.text.clone()),
            EntryType::Link => {
                let target = self.path(&line.text)?;
                let found = self.nodes.get(&target)?.clone();
                if matches!(found, Shown::Directory(_)) {
                    return None;
                }
                if target == path {
                    return Some(());
                }
                found
            }
            _ => Shown::File(at),
        };
        for end in 1..path.len() {
            let above = &path[..end];
            if !matches!(self.nodes.get(above), Some(Shown::Directory(_))) {
                self.remove(above);
                self.nodes.insert(above.to_vec(), Shown::Directory(None));
            }
        }
        let stays = matches!(
            (self.nodes.get(&path), &shown),
            (Some(Shown::Directory(_)), Shown::Directory(_))
        );
        if !stays {
            self.remove(&path);
        }
        self.nodes.insert(path, shown);
        Some(())
    }
}

impl Model {
    /// The entry of the file at a path, with links followed.
    fn file(&self, path: &str) -> Option<(usize, usize)> {
        let parts: Vec<String> = path.split('/').map(str::to_owned).collect();
        // All but the last must be directories.
        let mut real = Vec::new();
        let (mut left, mut links): (Vec<String>, _) = (parts.into_iter().rev().collect(), 0);
        while let Some(part) = left.pop() {
            match part.as_str() {
                "" | "." => continue,
                ".." => {
                    real.pop();
                    continue;
                }
                _ => real.push(part),
            }
            match self.nodes.get(&real)? {
                Shown::Directory(_) => {}
                Shown::File(at) => {
                    return left.iter().all(|part| part.is_empty()).then_some(*at);
                }
                Shown::Symlink(_, to) => {
                    links += 1;
                    if links > 40 {
                        return None;
                    }
                    real.pop();
                    if to.starts_with('/') {
                        real.clear();
                    }
                    left.extend(to.rsplit('/').map(str::to_owned));
                }
            }
        }
        None
    }
}

/// Paths that the lines may have.
fn paths() -> Vec<String> {
    let names = ["a", "b", "c"];
    let two = |a: &str| names.map(|b| format!("{a}/{b}"));
    let mut paths: Vec<String> = names.map(str::to_owned).to_vec();
    paths.extend(names.iter().flat_map(|a| two(a)));
    let three: Vec<String> = paths[3..].iter().flat_map(|above| two(above)).collect();
    [paths, three].concat()
}

fn any_line() -> impl Strategy<Value = Line> {
    let name = proptest::collection::vec(prop_oneof!["[abc]"], 1..4);
    let name = name.prop_map(|parts| format!("./{}", parts.join("/")));
    let to = prop_oneof![
        "[abc]",
        "[abc]/[abc]",
        "/[abc]",
        "\\.\\./[abc]",
        "\\.\\./\\.\\./[abc]/[abc]"
    ];
    let kind = prop_oneof![
        3 => Just(EntryType::Directory),
        4 => Just(EntryType::Regular),
        2 => Just(EntryType::Symlink),
        3 => Just(EntryType::Link),
        2 => Just(EntryType::Char),
        1 => Just(EntryType::Block),
    ];
    (kind, name.clone(), to, name, "[xyz]{0,3}").prop_map(|(kind, name, to, other, text)| {
        let (folder, last) = name.rsplit_once('/').unwrap();
        match kind {
            EntryType::Directory => directory(&name),
            EntryType::Symlink => symlink(&name, &to),
            EntryType::Link => hard_link(&name, &other),
            // Whiteouts, as these two stand for.
            EntryType::Char => file(&format!("{folder}/.wh.{last}"), ""),
            EntryType::Block => file(&format!("{folder}/.wh..wh..opq"), ""),
            _ => file(&name, &text),
        }
    })
}

proptest! {
#![proptest_config(ProptestConfig::with_cases(400))]

#[test]
fn stacks_of_layers_give_what_applying_them_one_by_one_gives(
    layers in proptest::collection::vec(proptest::collection::vec(any_line(), 0..9), 1..5)
) {
    let mut model = Model::default();
    let mut applied = Vec::new();
    for (number, lines) in layers.into_iter().enumerate() {
        applied.push(model.apply(number, lines));
    }
    let tars: Vec<_> = applied.iter().map(|lines| layer_of(lines)).collect();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
    let tar = runtime.block_on(merged(&tars)).unwrap();

    let mut found: BTreeMap<String, (EntryType, String, u32)> = BTreeMap::new();
    for (kind, name, text, mode) in read_back(&tar) {
        let entry = match kind {
            // What it is linked to came before.
            EntryType::Link => found.get(&text).cloned().expect(&text),
            kind => (kind, text, mode),
        };
        prop_assert!(found.insert(name, entry).is_none());
    }
    let mut expected = BTreeMap::new();
    let mut shared: BTreeMap<(usize, usize), BTreeSet<String>> = BTreeMap::new();
    for (path, shown) in &model.nodes {
        let (kind, at) = match shown {
            Shown::Directory(None) => continue,
            Shown::Directory(Some(at)) => (EntryType::Directory, at),
            Shown::Symlink(at, _) => (EntryType::Symlink, at),
            Shown::File(at) => (EntryType::Regular, at),
        };
        let line = &applied[at.0][at.1];
        let mode = u32::try_from(at.1).unwrap();
        expected.insert(path.join("/"), (kind, line.text.clone(), mode));
        shared.entry(*at).or_default().insert(path.join("/"));
    }
    prop_assert_eq!(&found, &expected);
    // Names of one inode are links of each other in the tar.
    let links = read_back(&tar).into_iter().filter(|(kind, ..)| *kind == EntryType::Link).count();
    let wanted: usize = shared.values().map(|names| names.len() - 1).sum();
    prop_assert_eq!(links, wanted);
}}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn a_file_is_found_as_all_layers_together_show_it(
        layers in proptest::collection::vec(proptest::collection::vec(any_line(), 0..7), 1..5)
    ) {
        let mut model = Model::default();
        let mut applied = Vec::new();
        for (number, lines) in layers.into_iter().enumerate() {
            applied.push(model.apply(number, lines));
        }
        let stored = applied.iter().map(|lines| StoredLayer::of(blob_of(layer_of(lines)), None));
        let stored: Vec<_> = stored.collect();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
        let spool = std::env::temp_dir();
        for path in paths() {
            let found = runtime.block_on(StoredFile::find(&stored, path.as_bytes(), &spool));
            match (found, model.file(&path)) {
                (Ok(found), Some(at)) => {
                    let line = &applied[at.0][at.1];
                    prop_assert_eq!(found.mode() as usize, at.1, "{}", &path);
                    prop_assert_eq!(found.layer(), stored[at.0].descriptor());
                    let text = runtime.block_on(found.read_all(99)).unwrap();
                    prop_assert_eq!(&text[..], line.text.as_bytes());
                }
                (Err(error), None) => {
                    let kind = error.kind();
                    prop_assert!(matches!(kind, ErrorKind::NotFound | ErrorKind::Invalid), "{}", error);
                }
                (found, expected) => prop_assert!(false, "{}: {:?} {:?}", path, found, expected),
            }
        }
    }
}
