//! Single files of an image: which layer has them, and where links lead.

use futures::TryStreamExt;
use wharf_oci::{Digest, MediaType};

use super::fixtures::{
    File, Folder, HardLink, Pipe, Symlink, content, failure, image_of, packed, plain, read,
};
use crate::ErrorKind;

#[tokio::test]
async fn fault_l1_the_topmost_layer_that_has_a_file_or_hides_it_decides() {
    let base = packed(&[
        Folder("etc/"),
        File("etc/a", b"base a"),
        File("etc/b", b"base b"),
        File("etc/c", b"base c"),
        File("opt/d/e", b"base e"),
        File("usr/f", b"base f"),
        File("var/g/h", b"base h"),
    ]);
    let middle = plain(&[
        File("etc/.wh.b", b""),
        File("etc/c", b"middle c"),
        File("opt/.wh.d", b""),
        File("usr/.wh..wh..opq", b""),
        File("usr/i", b"middle i"),
        // A whiteout hides lower layers only.
        File("var/.wh.g", b""),
        File("var/g/j", b"middle j"),
        File("etc/.wh.k", b""),
        File("etc/k", b"middle k"),
    ]);
    let top = packed(&[
        File("./etc/b", b"top b"),
        File("etc/.wh.c", b""),
        Folder("opt/d/"),
    ]);
    let two = image_of(vec![base.clone(), middle.clone()]).await;
    let three = image_of(vec![base, middle, top]).await;
    for (path, below, above) in [
        ("/etc/a", Some("base a"), Some("base a")),
        ("etc/b", None, Some("top b")),
        ("/etc/../etc//c", Some("middle c"), None),
        ("/opt/d/e", None, None),
        ("/usr/f", None, None),
        ("/usr/i", Some("middle i"), Some("middle i")),
        ("/var/g/h", None, None),
        ("/var/g/j", Some("middle j"), Some("middle j")),
        ("/etc/k", Some("middle k"), Some("middle k")),
        ("/etc/.wh.c", None, None),
        ("/etc/a/b", None, None),
    ] {
        for (image, expected) in [(&two, below), (&three, above)] {
            match (read(image, path).await, expected) {
                (Ok((_, found)), Some(expected)) => assert_eq!(found, expected, "{path}"),
                (Err(error), None) => assert_eq!(error.kind(), ErrorKind::NotFound, "{path}"),
                (found, _) => panic!("{path}: {found:?}"),
            }
        }
    }
}

#[tokio::test]
async fn fault_l1_links_are_followed_within_the_image() {
    let long = format!("usr/share/{}/file", "deep/".repeat(40));
    let image = image_of(vec![
        plain(&[
            Symlink("bin", "usr/bin"),
            File("usr/bin/sh", b"a shell"),
            HardLink("usr/bin/ash", "usr/bin/sh"),
            Symlink("etc/os-release", "../usr/lib/os-release"),
            File("usr/lib/os-release", b"old"),
            Symlink("absolute", "/../../usr/lib/os-release"),
            Symlink("loop", "loop"),
            Symlink("dangling", "nowhere"),
            File(&long, b"far down"),
            Pipe("pipe"),
            Folder("dir/"),
            Symlink("dir2", "dir"),
        ]),
        packed(&[File("usr/lib/os-release", b"new"), File("dir/x", b"x")]),
        // A directory in place of a link hides what the link led to.
        plain(&[Folder("dir2/"), File("dir2/y", b"y")]),
    ])
    .await;
    assert_eq!(content(&image, "/bin/sh").await, "a shell");
    assert_eq!(content(&image, "/bin/ash").await, "a shell");
    let found = read(&image, "/etc/os-release").await.unwrap();
    assert_eq!(found, ("/usr/lib/os-release".to_owned(), "new".to_owned()));
    assert_eq!(content(&image, "absolute").await, "new");
    assert_eq!(content(&image, &long).await, "far down");
    assert_eq!(content(&image, "dir2/y").await, "y");
    for (path, kind) in [
        ("/loop", ErrorKind::Invalid),
        ("/dangling", ErrorKind::NotFound),
        ("/dir2/x", ErrorKind::NotFound),
        ("/dir", ErrorKind::Invalid),
        ("/pipe", ErrorKind::Invalid),
        ("/", ErrorKind::Invalid),
    ] {
        let error = failure(&image, path).await;
        assert_eq!(error.kind(), kind, "{path}: {error}");
    }
}

#[tokio::test]
async fn fault_l1_a_hard_link_means_the_file_of_its_time() {
    let image = image_of(vec![
        plain(&[File("a", b"old")]),
        plain(&[HardLink("b", "a")]),
        plain(&[File("a", b"new")]),
    ])
    .await;
    assert_eq!(content(&image, "b").await, "old");
    assert_eq!(content(&image, "a").await, "new");
}

#[tokio::test]
async fn fault_l1_a_large_file_is_kept_on_disk_and_the_last_of_two_counts() {
    let large: Vec<u8> = (0..5u32 << 20).map(|at| (at % 251) as u8).collect();
    let image = image_of(vec![packed(&[File("a", b"first"), File("a", &large)])]).await;
    let directory = tempfile::tempdir().unwrap();
    let image = image.spool_dir(directory.path());
    let file = image.file("/a").await.unwrap();
    assert_eq!((file.size(), file.mode()), (large.len() as u64, 0o640));
    assert_eq!(file.layer(), image.layers().await.unwrap()[0].descriptor());
    let read: Vec<_> = file.into_stream().try_collect().await.unwrap();
    assert!(read.concat() == large);
    let refused = image
        .file("/a")
        .await
        .unwrap()
        .read_all(9)
        .await
        .unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Invalid);
}

#[tokio::test]
async fn fault_l1_what_is_not_a_tar_is_an_error_and_an_empty_layer_is_none() {
    let empty = (MediaType::OCI_LAYER, Vec::new(), Digest::of(b""));
    let image = image_of(vec![plain(&[File("a", b"a")]), empty]).await;
    assert_eq!(content(&image, "a").await, "a");
    let noise = vec![7; 2000];
    let noise = (MediaType::OCI_LAYER, noise.clone(), Digest::of(&noise));
    let image = image_of(vec![plain(&[File("a", b"a")]), noise]).await;
    assert_eq!(failure(&image, "a").await.kind(), ErrorKind::Invalid);
}
