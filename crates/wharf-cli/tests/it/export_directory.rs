//! `wharf export IMAGE DIR/`: what is written, and that nothing is outside of it.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;

use wharf_testkit::{LayerSpec, LayoutFixture, TarLayer, Umoci};

use crate::common::{Run, command, done, ran, text, wharf};

/// What is at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Seen {
    kind: u32,
    mode: u32,
    owner: (u32, u32),
    /// The content of a file, the target of a link.
    bytes: Vec<u8>,
    device: u64,
    /// The first path with the same content, for a file with several.
    same_as: Option<PathBuf>,
}

/// All paths below a directory.
fn tree(root: &Path) -> BTreeMap<PathBuf, Seen> {
    let (mut found, mut folders) = (BTreeMap::new(), vec![root.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let data = path.symlink_metadata().unwrap();
            if data.is_dir() {
                folders.push(path.clone());
            }
            found.insert(path.strip_prefix(root).unwrap().to_owned(), (path, data));
        }
    }
    let mut firsts: BTreeMap<u64, PathBuf> = BTreeMap::new();
    for (name, (_, data)) in found.iter().filter(|(_, (_, data))| data.is_file()) {
        firsts.entry(data.ino()).or_insert_with(|| name.clone());
    }
    let seen = found.into_iter().map(|(name, (path, data))| {
        let bytes = match () {
            () if data.is_file() => fs::read(&path).unwrap(),
            () if data.is_symlink() => fs::read_link(&path)
                .unwrap()
                .into_os_string()
                .into_encoded_bytes(),
            () => Vec::new(),
        };
        let seen = Seen {
            kind: data.mode() & 0o170_000,
            mode: data.mode() & 0o7777,
            owner: (data.uid(), data.gid()),
            bytes,
            device: data.rdev(),
            same_as: firsts
                .get(&data.ino())
                .filter(|first| **first != name)
                .cloned(),
        };
        (name, seen)
    });
    seen.collect()
}

/// A layout with an image of these layers, tagged `1`, and the name of that. Returns the digests of
/// the layers too.
fn image(place: &Path, layers: &[LayerSpec]) -> (String, Vec<String>) {
    let image = LayoutFixture::new(place).image(Some("1"), layers);
    let digests = image.layers.into_iter().map(|(digest, _)| digest);
    (format!("oci:{}:1", text(place)), digests.collect())
}

fn is_root() -> bool {
    fs::metadata("/proc/self").unwrap().uid() == 0
}

/// An image of most things that layers can do to each other.
fn layers() -> [TarLayer; 4] {
    let base = TarLayer::new()
        .mode(0o755)
        .directory(".")
        .directory("etc/")
        .directory("usr/")
        .directory("usr/bin/")
        .directory("var/")
        .directory("var/cache/")
        .mode(0o1777)
        .modified(1_600_000_000)
        .directory("tmp/")
        .mode(0o644)
        .file("etc/hosts", b"127.0.0.1\n")
        .file("etc/gone", b"gone")
        .file("var/cache/a", b"a")
        .file("var/cache/b", b"b")
        .mode(0o755)
        .file("usr/bin/t1", b"123")
        .hard_link("usr/bin/t2", "usr/bin/t1")
        .hard_link("usr/bin/t3", "usr/bin/t1")
        .mode(0o777)
        .symlink("bin", "usr/bin")
        .symlink("absolute", "/etc/hosts")
        .symlink("up", "../../../../etc/hosts")
        .mode(0o640)
        .fifo("pipe")
        .file("d/old", b"removed with its directory");
    let second = TarLayer::new()
        .mode(0o755)
        .directory("etc/")
        .file("etc/.wh.gone", b"")
        .directory("usr/")
        .directory("usr/bin/")
        // One of a set of hard links is replaced; the others keep what they were.
        .file("usr/bin/t1", b"456")
        .directory("var/")
        .directory("var/cache/")
        .file("var/cache/.wh..wh..opq", b"")
        .file("var/cache/c", b"c");
    // A directory that is removed and made again has only its new content.
    let third = TarLayer::new()
        .file(".wh.d", b"")
        .mode(0o700)
        .directory("d/")
        .mode(0o600)
        .file("d/new", b"new")
        .mode(0o4711)
        .file("bin/through-a-link", b"in usr/bin");
    let fourth = TarLayer::new()
        .mode(0o444)
        .file(
            [b"n".repeat(200), b"/".to_vec(), b"m".repeat(200)].concat(),
            b"long",
        )
        .mode(0o555)
        .directory("closed/")
        .file("closed/x", b"x");
    [base, second, third, fourth]
}

#[test]
fn the_files_are_those_that_a_container_would_see() {
    let home = tempfile::tempdir().unwrap();
    let layers: Vec<_> = layers().iter().map(TarLayer::layer).collect();
    let (from, _) = image(&home.path().join("layout"), &layers);
    // A new directory, and one that is there and empty.
    let (new, old) = (home.path().join("new"), home.path().join("old"));
    fs::create_dir(&old).unwrap();
    let run = done(home.path(), &["export", &from, &format!("{}/", text(&new))]);
    assert_eq!((&*run.stdout, &*run.stderr), ("", ""));
    done(home.path(), &["export", &from, text(&old)]);
    let found = tree(&new);
    assert_eq!(found, tree(&old));
    let at = |name: &str| {
        found
            .get(Path::new(name))
            .unwrap_or_else(|| panic!("{name}"))
    };
    for (name, content) in [
        ("etc/hosts", "127.0.0.1\n"),
        ("usr/bin/t1", "456"),
        ("usr/bin/t2", "123"),
        ("usr/bin/through-a-link", "in usr/bin"),
        ("var/cache/c", "c"),
        ("d/new", "new"),
        ("bin", "usr/bin"),
        ("absolute", "/etc/hosts"),
        ("up", "../../../../etc/hosts"),
    ] {
        assert_eq!(String::from_utf8_lossy(&at(name).bytes), content, "{name}");
    }
    assert_eq!(
        at("usr/bin/t3").same_as.as_deref(),
        Some(Path::new("usr/bin/t2"))
    );
    for gone in ["etc/gone", "var/cache/a", "d/old"] {
        assert!(!found.contains_key(Path::new(gone)), "{gone}");
    }
    let modes = [
        ("tmp", 0o1777),
        ("d", 0o700),
        ("usr/bin/through-a-link", 0o4711),
        ("closed", 0o555),
    ];
    for (name, mode) in modes {
        assert_eq!(at(name).mode, mode, "{name}");
    }
    for place in [&new, &old] {
        for (name, time) in [
            ("tmp", 1_600_000_000),
            ("usr/bin", 1_700_000_000),
            ("", 1_700_000_000),
        ] {
            assert_eq!(place.join(name).metadata().unwrap().mtime(), time, "{name}");
        }
    }
    let left = fs::read_dir(home.path()).unwrap().count();
    assert_eq!(left, 3, "the layout and two directories");
}

#[test]
fn umoci_unpacks_the_same() {
    let Some(umoci) = Umoci::find().filter(|_| is_root()) else {
        return;
    };
    let mut stack = layers().to_vec();
    stack.push(
        TarLayer::new()
            .mode(0o600)
            .owner(1000, 1001)
            .device("null", 1, 3)
            .file("owned", b"by others")
            .record("SCHILY.xattr.user.note", b"a\0b\n")
            .file("noted", b"")
            .file("etc/gone", b"back again"),
    );
    // Directories over files, files over directories, and links over both.
    stack.push(
        TarLayer::new()
            .mode(0o755)
            .directory("owned/")
            .file("owned/x", b"x")
            .file("closed", b"a file now")
            .symlink("d", "etc")
            .file("d/through", b"in etc"),
    );
    for height in 1..=stack.len() {
        let home = tempfile::tempdir().unwrap();
        let layout = home.path().join("layout");
        let layers: Vec<_> = stack[..height].iter().map(TarLayer::layer).collect();
        let (from, _) = image(&layout, &layers);
        let ours = home.path().join("ours");
        done(
            home.path(),
            &["export", &from, &format!("{}/", text(&ours))],
        );
        let theirs = umoci.unpack(&layout, "1", &home.path().join("bundle"));
        let (ours, theirs) = (tree(&ours), tree(&theirs));
        for (name, seen) in &ours {
            assert_eq!(Some(seen), theirs.get(name), "{height}: {}", name.display());
        }
        assert_eq!(ours.len(), theirs.len(), "{height}");
    }
}

#[test]
fn a_directory_that_is_not_empty_is_refused() {
    let home = tempfile::tempdir().unwrap();
    let (from, _) = image(
        &home.path().join("layout"),
        &[LayerSpec::tar(&[("a", b"a")])],
    );
    let to = home.path().join("to");
    fs::create_dir(&to).unwrap();
    fs::write(to.join("mine"), "kept").unwrap();
    let said = said(&wharf(home.path(), &["export", &from, text(&to)]));
    assert!(said.contains("to: the directory is not empty"), "{said}");
    assert_eq!(fs::read_dir(&to).unwrap().count(), 1);
    let file = home.path().join("file");
    fs::write(&file, "").unwrap();
    let run = wharf(
        home.path(),
        &["export", &from, &format!("{}/", text(&file))],
    );
    assert_ne!(run.code, 0, "{run:?}");
}

/// What a failed run says.
fn said(run: &Run) -> String {
    assert_ne!(run.code, 0, "{run:?}");
    assert_eq!(
        (&*run.stdout, run.stderr.lines().count()),
        ("", 1),
        "{run:?}"
    );
    run.stderr.clone()
}

#[test]
fn a_failure_leaves_nothing() {
    let home = tempfile::tempdir().unwrap();
    // The name is too long for any file system, which shows only when it is written.
    let layer = TarLayer::new()
        .mode(0o500)
        .directory("closed/")
        .file("closed/first", b"1")
        .file(b"x".repeat(300), b"2");
    let (from, _) = image(&home.path().join("layout"), &[layer.layer()]);
    let (new, old) = (home.path().join("new"), home.path().join("old"));
    fs::create_dir(&old).unwrap();
    for to in [format!("{}/", text(&new)), text(&old).to_owned()] {
        let said = said(&wharf(home.path(), &["export", &from, &to]));
        assert!(said.contains("xxx") && said.contains("too long"), "{said}");
    }
    assert!(!new.exists());
    assert_eq!(fs::read_dir(&old).unwrap().count(), 0);
    assert_eq!(fs::read_dir(home.path()).unwrap().count(), 2);
}

/// Runs an export of these layers into a directory beside one that must stay as it is. Returns the
/// run, what was written, and the digests of the layers.
fn beside_others(layers: &[TarLayer]) -> (Run, BTreeMap<PathBuf, Seen>, Vec<String>) {
    let home = tempfile::tempdir().unwrap();
    let outside = home.path().join("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("file"), "untouched").unwrap();
    let (before, to) = (tree(&outside), home.path().join("to"));
    let layers: Vec<_> = layers.iter().map(TarLayer::layer).collect();
    let (from, digests) = image(&home.path().join("layout"), &layers);
    let run = wharf(home.path(), &["export", &from, &format!("{}/", text(&to))]);
    assert_eq!(tree(&outside), before, "{run:?}");
    let there = fs::read_dir(home.path()).unwrap().count();
    assert_eq!(there, 2 + usize::from(run.code == 0), "{run:?}");
    let written = match run.code {
        0 => tree(&to),
        _ => BTreeMap::new(),
    };
    (run, written, digests)
}

#[test]
fn names_that_lead_out_are_errors_of_layer_and_entry() {
    let up = b"../outside/file";
    let deep = b"d/".repeat(2100);
    for (layer, entry, what) in [
        (
            TarLayer::new().file(up, b"evil"),
            "../outside/file",
            "leaves the root",
        ),
        (
            TarLayer::new().file("a/../../outside/x", b""),
            "a/../../outside/x",
            "leaves the root",
        ),
        (TarLayer::new().hard_link("a", up), "a: ", "leaves the root"),
        (
            TarLayer::new().hard_link("a", "/etc/passwd"),
            "a: ",
            "a hard link to /etc/passwd",
        ),
        (
            TarLayer::new().symlink("../s", "x"),
            "../s",
            "leaves the root",
        ),
        (
            TarLayer::new().directory("../outside/d"),
            "../outside/d",
            "leaves the root",
        ),
        (
            TarLayer::new().file("../outside/.wh.file", b""),
            "../outside",
            "leaves the root",
        ),
        (
            TarLayer::new().symlink("r", "r").file("r/x", b""),
            "r/x",
            "more than 40 links",
        ),
        (
            TarLayer::new().file([&deep[..], b"x"].concat(), b""),
            "a name of",
            "more than 4096",
        ),
        (
            TarLayer::new().entry(tar_kind(b'Z'), b"odd", b"", b""),
            "odd",
            "unknown kind",
        ),
    ] {
        let (run, _, digests) = beside_others(&[layer]);
        let said = said(&run);
        for part in [digests[0].as_str(), entry, what] {
            assert!(said.contains(part), "{part}: {said}");
        }
    }
}

fn tar_kind(byte: u8) -> tar::EntryType {
    tar::EntryType::new(byte)
}

#[test]
fn links_in_names_stay_within_the_directory() {
    let outside = "../../../../../../../../../../../../outside";
    for layers in [
        vec![
            TarLayer::new()
                .symlink("l", outside)
                .file("l/file", b"evil"),
        ],
        vec![
            TarLayer::new().symlink("l", outside),
            TarLayer::new().file("l/file", b"evil"),
        ],
        vec![
            TarLayer::new().symlink("l", "/outside"),
            TarLayer::new().file("l/file", b"evil"),
        ],
        vec![
            TarLayer::new().symlink("l", outside),
            TarLayer::new()
                .file("l/.wh.file", b"")
                .file("l/file", b"evil"),
        ],
        vec![TarLayer::new().file("/outside/file", b"evil")],
    ] {
        let (run, written, _) = beside_others(&layers);
        assert_eq!(run.code, 0, "{run:?}");
        let file = written.get(Path::new("outside/file")).unwrap();
        assert_eq!(file.bytes, b"evil");
    }
    // A link to a link is not followed, nor is one that stands where something is to be written.
    let layers = [
        TarLayer::new().symlink("l", outside).hard_link("h", "l"),
        TarLayer::new().file("h", b"a file").symlink("f", outside),
        TarLayer::new().directory("f/").file("f/file", b"within"),
    ];
    let (run, written, _) = beside_others(&layers);
    assert_eq!(run.code, 0, "{run:?}");
    assert_eq!(written[Path::new("f/file")].bytes, b"within");
    assert_eq!(written[Path::new("h")].bytes, b"a file");
}

#[test]
fn bombs_and_endless_headers_are_refused_before_they_cost_anything() {
    let holes = b"22 GNU.sparse.map=0,0\n34 GNU.sparse.size=99999999999999\n";
    let endless = {
        let mut header = tar::Header::new_ustar();
        header.set_entry_type(tar::EntryType::XHeader);
        header.set_size(7 << 30);
        header.set_cksum();
        TarLayer::new().raw(header.as_bytes())
    };
    for (layer, what) in [
        (
            TarLayer::new()
                .entry(tar_kind(b'x'), b"pax", b"", holes)
                .file("holes", b""),
            "holes of",
        ),
        (endless, "extended header at offset 0 has 7516192768 bytes"),
    ] {
        let (run, _, digests) = beside_others(&[layer]);
        let said = said(&run);
        assert!(said.contains(what) && said.contains(&digests[0]), "{said}");
    }
    let twice = TarLayer::new()
        .file("a", b"1")
        .file("./a", b"2")
        .file("a/", b"")
        .file("a", b"3");
    let (run, written, _) = beside_others(&[twice]);
    assert_eq!(
        (run.code, &*written[Path::new("a")].bytes),
        (0, &b"3"[..]),
        "{run:?}"
    );
}

#[test]
fn names_are_bytes() {
    let name = b"\xff\xfe\n".as_slice();
    let (run, written, _) = beside_others(&[TarLayer::new().file(name, b"1")]);
    assert_eq!(run.code, 0, "{run:?}");
    assert_eq!(written[Path::new(OsStr::from_bytes(name))].bytes, b"1");
}

#[test]
fn other_users_get_what_they_may_have_and_a_word_about_the_rest() {
    let with = "/usr/bin/setpriv";
    if !is_root() || !Path::new(with).exists() {
        return;
    }
    let home = tempfile::Builder::new()
        .permissions(fs::Permissions::from_mode(0o777))
        .tempdir()
        .unwrap();
    fs::set_permissions(home.path(), fs::Permissions::from_mode(0o777)).unwrap();
    let layer = TarLayer::new()
        .mode(0o4755)
        .file("su", b"root's")
        .mode(0o555)
        .directory("closed/")
        .file("closed/x", b"x")
        .device("null", 1, 3)
        .record(
            "SCHILY.xattr.security.capability",
            b"\x01\0\0\x02\0\x20\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
        )
        .file("able", b"")
        .owner(65534, 65534)
        .file("own", b"");
    let (from, _) = image(&home.path().join("layout"), &[layer.layer()]);
    let binary = home.path().join("wharf");
    fs::copy(env!("CARGO_BIN_EXE_wharf"), &binary).unwrap();
    let to = home.path().join("to");
    let mut run = Command::new(with);
    run.args(["--reuid", "65534", "--regid", "65534", "--clear-groups"]);
    let like = command(home.path());
    run.arg(&binary)
        .args(["export", &from, &format!("{}/", text(&to))]);
    run.env_clear().envs(
        like.get_envs()
            .filter_map(|(key, value)| Some((key, value?))),
    );
    let run = ran(run.output().unwrap());
    assert_eq!(run.code, 0, "{run:?}");
    let why = "left out, as not allowed to this user, or by the file system: ";
    assert_eq!(
        run.stderr,
        format!("{why}4 owners, 1 device, 1 extended attribute, 1 setuid or setgid bit\n")
    );
    let found = tree(&to);
    assert_eq!(found.len(), 5);
    assert!(found.values().all(|seen| seen.owner == (65534, 65534)));
    assert_eq!(found[Path::new("su")].mode, 0o755);
    assert_eq!(found[Path::new("closed")].mode, 0o555);
}
