//! `umoci`: unpacks images with another implementation.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// An installed `umoci`.
#[derive(Clone, Debug)]
pub struct Umoci {
    program: PathBuf,
}

impl Umoci {
    /// The one on the search path; `None`, with a line on stderr, when there is none.
    ///
    /// # Panics
    /// When there is none and `WHARF_REQUIRE_PEERS` is 1.
    pub fn find() -> Option<Self> {
        super::find("umoci").map(|program| Self { program })
    }

    /// Runs it with these arguments.
    pub fn run(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(&self.program);
        let command = command.args(arguments).stdin(Stdio::null());
        command.output().expect("run umoci")
    }

    /// Unpacks the image `tag` of a layout into `bundle`, which is made. Returns the root of its files.
    ///
    /// # Panics
    /// When umoci fails, with what it said.
    pub fn unpack(&self, layout: &Path, tag: &str, bundle: &Path) -> PathBuf {
        let image = format!("{}:{tag}", layout.display());
        let bundle_text = bundle.display().to_string();
        let output = self.run(&["unpack", "--image", &image, &bundle_text]);
        assert!(
            output.status.success(),
            "umoci unpack: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        bundle.join("rootfs")
    }
}
