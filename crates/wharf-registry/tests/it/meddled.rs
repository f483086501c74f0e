//! A storage directory in which something else has removed, added or taken over files.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use wharf::blob::ByteStream;
use wharf::oci::{Digest, Manifest, RepositoryName};
use wharf_registry::storage::{Storage, Written};
use wharf_testkit::process::only;

fn name(text: &str) -> RepositoryName {
    text.parse().unwrap()
}

fn bytes_of(content: &'static [u8]) -> ByteStream {
    stream::iter([Ok(Bytes::from_static(content))]).boxed()
}

fn index() -> Manifest {
    let text = r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}"#;
    Manifest::parse(None, text.into()).unwrap()
}

async fn put(storage: &Storage, repository: &str, content: &'static [u8]) {
    let (repository, digest) = (name(repository), Digest::of(content));
    let put = storage.put_blob(&repository, &digest, bytes_of(content));
    put.await.unwrap();
}

#[tokio::test]
async fn fault_xvanished_directories_that_vanish_are_made_again() {
    let directory = tempfile::tempdir().unwrap();
    let storage = Storage::on_disk(directory.path()).await.unwrap();
    for folder in [
        "uploads",
        "temp",
        "locks",
        "lengths",
        "blobs",
        "repositories",
    ] {
        put(&storage, "a", b"content").await;
        std::fs::remove_dir_all(directory.path().join(folder)).unwrap();
        put(&storage, "a", b"content").await;
        let (name, manifest, tags) = (name("a"), index(), ["v1".parse().unwrap()]);
        let written = storage.put_manifest(&name, &manifest, &tags, None).await;
        assert_eq!(written.unwrap(), Written::Done, "{folder}");
        assert_eq!(storage.tags(&name, None, 10).await.unwrap(), tags);
    }
}

#[tokio::test]
async fn fault_xstray_what_cannot_be_removed_stops_no_start() {
    let directory = tempfile::tempdir().unwrap();
    drop(Storage::on_disk(directory.path()).await.unwrap());
    for folder in ["uploads", "temp"] {
        let stray = directory.path().join(folder).join("stray");
        std::fs::create_dir(&stray).unwrap();
        let opened = std::fs::File::open(&stray).unwrap();
        opened.set_modified(SystemTime::UNIX_EPOCH).unwrap();
    }
    let storage = Storage::on_disk(directory.path()).await.unwrap();
    put(&storage, "a", b"content").await;
}

#[tokio::test]
async fn fault_xunreadable_one_broken_directory_hides_no_other_repository() {
    let directory = tempfile::tempdir().unwrap();
    let storage = Storage::on_disk(directory.path()).await.unwrap();
    put(&storage, "a", b"content").await;
    put(&storage, "c/d", b"content").await;
    for broken in ["b", "c/b"] {
        let broken = directory.path().join("repositories").join(broken);
        std::os::unix::fs::symlink(&broken, &broken).unwrap();
    }
    let listed = storage.repositories(None, 10).await.unwrap();
    assert_eq!(listed, [name("a"), name("c/d")]);
}

/// Names the directory to work on, in the restarted process.
const DIRECTORY: &str = "WHARF_TEST_DIRECTORY";

/// A file that says that the part of the test ran to its end.
fn passed(directory: &Path) -> PathBuf {
    directory.join("uploads/passed")
}

#[tokio::test]
#[ignore = "the part of the next test that runs as a user without rights"]
async fn mounts_what_it_may_only_read() {
    let Some(directory) = std::env::var_os(DIRECTORY).map(PathBuf::from) else {
        return;
    };
    let storage = Storage::on_disk(&directory).await.unwrap();
    let digest = Digest::of(b"content");
    for from in [Some(name("a")), None] {
        let mounted = storage.mount(&digest, from.as_ref(), &name("b")).await;
        assert!(!mounted.unwrap(), "its age cannot be set");
    }
    // It is read, and an upload takes it over.
    let read = storage.read_blob(&name("a"), &digest, 0, 7).await.unwrap();
    let read: Vec<Bytes> = read.try_collect().await.unwrap();
    assert_eq!(read.concat(), b"content");
    put(&storage, "b", b"content").await;
    assert!(storage.mount(&digest, None, &name("c")).await.unwrap());
    std::fs::write(passed(&directory), "").unwrap();
}

#[tokio::test]
async fn fault_xforeign_content_of_another_user_is_uploaded_again() {
    let directory = tempfile::tempdir().unwrap();
    let storage = Storage::on_disk(directory.path()).await.unwrap();
    put(&storage, "a", b"content").await;
    drop(storage);
    let set = |path: &Path, mode| {
        let mode = std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(path, mode).unwrap();
    };
    let mut all = Command::new("chmod");
    all.args(["-R", "a+rwX"]).arg(directory.path());
    assert!(all.status().unwrap().success());
    let hex = Digest::of(b"content");
    let hex = hex.hex();
    let file = format!("blobs/sha256/{}/{hex}", &hex[..2]);
    set(&directory.path().join(file), 0o444);
    let [program, arguments @ ..] = only("meddled::mounts_what_it_may_only_read");
    let is_root = std::fs::read_dir("/root").is_ok();
    let mut command = match is_root {
        true => {
            let mut command = Command::new("setpriv");
            let user = ["--reuid=65534", "--regid=65534", "--clear-groups"];
            command.args(user).arg(program);
            command
        }
        false => Command::new(program),
    };
    let output = command
        .args(arguments)
        .env(DIRECTORY, directory.path())
        .output()
        .unwrap();
    // That user may be kept from the place of this program.
    if is_root && matches!(output.status.code(), Some(126 | 127)) {
        return eprintln!("skipped: another user cannot run this program");
    }
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(output.status.success(), "{said}");
    assert!(passed(directory.path()).exists(), "{said}");
}
