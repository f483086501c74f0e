//! `skopeo`: reads and copies images with another implementation.

use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use crate::content::sha256_hex;

/// An installed `skopeo`.
#[derive(Clone, Debug)]
pub struct Skopeo {
    program: PathBuf,
}

impl Skopeo {
    /// The one on the search path; `None`, with a line on stderr, when there is none.
    ///
    /// # Panics
    /// When there is none and `WHARF_REQUIRE_PEERS` is 1.
    pub fn find() -> Option<Self> {
        super::find("skopeo").map(|program| Self { program })
    }

    /// Runs it with `--insecure-policy` and these arguments.
    pub fn run(&self, arguments: &[&str]) -> Output {
        Command::new(&self.program)
            .arg("--insecure-policy")
            .args(arguments)
            .stdin(Stdio::null())
            .output()
            .expect("run skopeo")
    }

    /// The bytes of the manifest or index that `reference` (`docker://…`, `oci:…`) names.
    ///
    /// # Panics
    /// When skopeo fails, with what it said.
    pub fn manifest(&self, reference: &str) -> Vec<u8> {
        self.stdout(&["inspect", "--raw", "--tls-verify=false", reference])
    }

    /// The digest of what `reference` names, an index included.
    ///
    /// # Panics
    /// When skopeo fails, with what it said.
    pub fn inspect_digest(&self, reference: &str) -> String {
        format!("sha256:{}", sha256_hex(self.manifest(reference)))
    }

    /// The output of `skopeo inspect`, which reads both manifest and config.
    ///
    /// # Panics
    /// When skopeo fails, with what it said, or does not print JSON.
    pub fn inspect(&self, reference: &str) -> serde_json::Value {
        let stdout = self.stdout(&["inspect", "--tls-verify=false", reference]);
        serde_json::from_slice(&stdout).expect("skopeo inspect prints JSON")
    }

    /// Copies an image, or an index with all its images, digests unchanged.
    ///
    /// # Panics
    /// When skopeo fails, with what it said.
    pub fn copy(&self, source: &str, destination: &str) {
        self.stdout(&[
            "copy",
            "--all",
            "--preserve-digests",
            "--src-tls-verify=false",
            "--dest-tls-verify=false",
            source,
            destination,
        ]);
    }

    fn stdout(&self, arguments: &[&str]) -> Vec<u8> {
        let output = self.run(arguments);
        assert!(
            output.status.success(),
            "skopeo {}: {}",
            arguments.join(" "),
            String::from_utf8_lossy(&output.stderr)
        );
        output.stdout
    }
}
