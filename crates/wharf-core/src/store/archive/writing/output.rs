//! Where an archive is written to.

use std::fmt;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

/// The output of an archive.
pub enum Output {
    /// A file. It is replaced when the archive is whole; until then it stays as it is. Its folder
    /// must be there. A pipe or a device is written to at once.
    Path(PathBuf),
    /// A stream, such as standard output, and its name in messages.
    Writer(Box<dyn Write + Send>, String),
}

impl Output {
    /// The file that is to be replaced, behind links; `None` for what is written to at once.
    pub(super) fn replaced(&self) -> Option<PathBuf> {
        let Output::Path(path) = self else {
            return None;
        };
        match fs::metadata(path) {
            // The program that opened it still has it.
            _ if is_open_already(path) => None,
            Ok(there) if there.is_file() => Some(path.canonicalize().unwrap_or(path.clone())),
            Ok(there) if !there.is_dir() => None,
            _ => Some(path.clone()),
        }
    }
}

/// Names such as `/dev/stdout` mean a file that is open already.
fn is_open_already(path: &Path) -> bool {
    let streams = ["/proc", "/dev/fd", "/dev/stdout", "/dev/stderr"];
    streams.iter().any(|stream| path.starts_with(stream))
}

/// The folder of a file.
pub(super) fn folder(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    }
}

impl fmt::Debug for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Output::Path(path) => f.debug_tuple("Path").field(path).finish(),
            Output::Writer(_, name) => f.debug_tuple("Writer").field(name).finish(),
        }
    }
}
