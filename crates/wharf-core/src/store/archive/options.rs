//! What is opened as an archive, and how.

use std::fmt;
use std::io::Read;
use std::path::PathBuf;
use std::sync::Arc;

use crate::layer::{LayerMemory, Settings};

/// The input of an archive.
pub enum Input {
    /// A file, or anything else with a name that can be read, such as a named pipe.
    Path(PathBuf),
    /// A stream, such as standard input, and its name in messages.
    Reader(Box<dyn Read + Send>, String),
}

/// How archives are opened.
#[derive(Clone, Debug)]
pub struct ArchiveOptions {
    /// The directory for temporary files. They are as large as the archive if it is compressed or a
    /// stream; otherwise there are none.
    pub spool_dir: PathBuf,
    /// How to compress uncompressed layers on the way.
    pub compression: Settings,
    /// The memory of layers compressed in earlier runs.
    pub memory: Option<Arc<LayerMemory>>,
}

impl fmt::Debug for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Input::Path(path) => f.debug_tuple("Path").field(path).finish(),
            Input::Reader(_, name) => f.debug_tuple("Reader").field(name).finish(),
        }
    }
}
