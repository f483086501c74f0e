//! A full disk, and a killed process: complete content stays complete, the rest is not there.
//!
//! Both need a process to kill, so the tests start this test program again, with a single test.

use std::io::ErrorKind as Io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use bytes::Bytes;
use futures::{StreamExt, stream};
use wharf::ErrorKind;
use wharf::blob::ByteStream;
use wharf::oci::{Algorithm, Digest, RepositoryName};
use wharf_registry::storage::Storage;
use wharf_registry::{Registry, Server};
use wharf_testkit::process::only;
use wharf_testkit::{files_below, seeded_bytes};

/// Names the directory to work on, in the restarted process.
const DIRECTORY: &str = "WHARF_TEST_DIRECTORY";

fn given_directory() -> Option<PathBuf> {
    std::env::var_os(DIRECTORY).map(PathBuf::from)
}

fn name() -> RepositoryName {
    "team/app".parse().unwrap()
}

fn bytes_of(content: Vec<u8>) -> ByteStream {
    stream::iter([Ok(Bytes::from(content))]).boxed()
}

/// Kills its process when the test ends, in any way.
struct Victim(Child);

impl Drop for Victim {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test]
#[ignore = "the part of the next test that is killed"]
async fn writes_blobs_until_it_is_killed() {
    let Some(directory) = given_directory() else {
        return;
    };
    let storage = Storage::on_disk(directory).await.unwrap();
    for seed in 0.. {
        let content = seeded_bytes(seed, 700_000);
        let digest = Digest::of(&content);
        let bytes = bytes_of(content);
        storage.put_blob(&name(), &digest, bytes).await.unwrap();
    }
}

#[tokio::test]
async fn a_killed_process_leaves_only_whole_blobs() {
    let directory = tempfile::tempdir().unwrap();
    let [program, arguments @ ..] = only("trouble::writes_blobs_until_it_is_killed");
    let mut command = Command::new(program);
    command
        .args(arguments)
        .env(DIRECTORY, directory.path())
        .stdout(Stdio::null());
    let mut victim = Victim(command.spawn().unwrap());
    let links = directory.path().join("repositories/team/app/_blobs/sha256");
    let linked = || std::fs::read_dir(&links).map_or(0, Iterator::count);
    while linked() < 5 {
        assert!(victim.0.try_wait().unwrap().is_none(), "ended early");
        tokio::task::yield_now().await;
    }
    victim.0.kill().unwrap();
    victim.0.wait().unwrap();
    for path in files_below(&directory.path().join("blobs")).into_keys() {
        let content = std::fs::read(directory.path().join("blobs").join(&path)).unwrap();
        assert!(
            path.ends_with(Digest::of(&content).hex()),
            "{}",
            path.display()
        );
    }
    let storage = Storage::on_disk(directory.path()).await.unwrap();
    for entry in std::fs::read_dir(&links).unwrap() {
        let hex = entry.unwrap().file_name().into_string().unwrap();
        let digest: Digest = format!("sha256:{hex}").parse().unwrap();
        assert_eq!(storage.blob_size(&name(), &digest).await.unwrap(), 700_000);
    }
}

#[tokio::test]
#[ignore = "the part of the next test that needs a small disk"]
async fn refuses_what_does_not_fit() {
    let Some(directory) = given_directory() else {
        return;
    };
    let storage = Storage::on_disk(&directory).await.unwrap();
    let session = storage.begin(&name()).await.unwrap();
    let big = seeded_bytes(1, 8 << 20);
    let sent = storage
        .append(&session, None, Algorithm::Sha256, bytes_of(big.clone()))
        .await;
    assert_eq!(sent.unwrap_err().kind(), ErrorKind::NoSpace);
    let gone = storage.status(&session).await.unwrap_err();
    assert_eq!(gone.kind(), ErrorKind::NotFound);
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let registry = Registry::new(storage);
    let server = Server::bind("127.0.0.1:0".parse().unwrap(), registry)
        .await
        .unwrap();
    let base = format!("http://{}/v2/team/app/blobs/uploads/", server.local_addr());
    let requests = async {
        let put = |content: Vec<u8>| {
            let digest = Digest::of(&content);
            client
                .post(format!("{base}?digest={digest}"))
                .body(content)
                .send()
        };
        let refused = put(big).await.unwrap();
        assert_eq!(refused.status(), 507);
        let body = refused.text().await.unwrap();
        assert!(
            body.contains("DENIED") && body.contains("no space left"),
            "{body}"
        );
        assert_eq!(files_below(&directory).len(), 1, "only the marker");
        assert_eq!(put(vec![1; 1000]).await.unwrap().status(), 201);
    };
    server.run(requests).await;
    std::fs::write(directory.join("passed"), "").unwrap();
    std::fs::copy(directory.join("passed"), outside(&directory)).unwrap();
}

/// A file beside the small disk, as proof that the test ran to its end.
fn outside(directory: &Path) -> PathBuf {
    directory.with_extension("passed")
}

#[test]
fn a_full_disk_is_said_once_and_leaves_nothing() {
    let parent = tempfile::tempdir().unwrap();
    let directory = parent.path().join("small");
    std::fs::create_dir(&directory).unwrap();
    let probe = Command::new("unshare")
        .args(["-rm", "mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs"])
        .arg(&directory)
        .stderr(Stdio::null())
        .status();
    match probe {
        Ok(status) if status.success() => {}
        Err(error) if error.kind() != Io::NotFound => panic!("{error}"),
        _ => return eprintln!("skipped: no small disk can be made here (unshare -rm mount)"),
    }
    let script = r#"mount -t tmpfs -o size=4m tmpfs "$0" && exec "$@""#;
    let output = Command::new("unshare")
        .args(["-rm", "sh", "-c", script])
        .arg(&directory)
        .args(only("trouble::refuses_what_does_not_fit"))
        .env(DIRECTORY, &directory)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert!(outside(&directory).exists(), "{said}");
}
