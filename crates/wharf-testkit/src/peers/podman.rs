//! `podman`: loads archives with another implementation.

use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

/// An installed `podman`, with a storage of its own.
#[derive(Debug)]
pub struct Podman {
    program: PathBuf,
    storage: tempfile::TempDir,
}

impl Podman {
    /// The one on the search path, if it can work here; `None`, with a line on stderr, otherwise.
    ///
    /// # Panics
    /// When there is none and `WHARF_REQUIRE_PEERS` is 1.
    pub fn find() -> Option<Self> {
        let program = super::find("podman")?;
        let storage = tempfile::tempdir().expect("a directory for the storage of podman");
        let podman = Self { program, storage };
        let works = podman.run(&["images"]);
        if works.status.success() {
            return Some(podman);
        }
        // Without the rights of an administrator it needs a user namespace, which not each machine
        // gives.
        let said = String::from_utf8_lossy(&works.stderr).trim().to_owned();
        eprintln!("skipped: podman cannot work here: {said}");
        None
    }

    /// Runs it on its own storage with these arguments.
    pub fn run(&self, arguments: &[&str]) -> Output {
        let place = |name: &str| self.storage.path().join(name);
        Command::new(&self.program)
            .arg("--root")
            .arg(place("root"))
            .arg("--runroot")
            .arg(place("run"))
            .args(["--storage-driver=vfs"])
            .args(arguments)
            .env("HOME", self.storage.path())
            .stdin(Stdio::null())
            .output()
            .expect("run podman")
    }

    /// Loads an archive and returns the ids of all images in the storage, with their names.
    ///
    /// # Panics
    /// When podman fails, with what it said.
    pub fn load(&self, archive: &str) -> Vec<(String, String)> {
        self.done(&["load", "-i", archive]);
        let format = "{{.ID}} {{.Repository}}:{{.Tag}}";
        let listed = self.done(&["images", "--no-trunc", "--format", format]);
        let lines = listed.lines().filter_map(|line| line.split_once(' '));
        let mut images: Vec<(String, String)> = lines
            .map(|(id, name)| (id.to_owned(), name.to_owned()))
            .collect();
        images.sort();
        images
    }

    fn done(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert!(
            output.status.success(),
            "podman {}: {}",
            arguments.join(" "),
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).expect("podman writes UTF-8")
    }
}
