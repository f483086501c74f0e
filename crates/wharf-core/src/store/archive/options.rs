//! What is opened as an archive, and how.

use std::fmt;
use std::io::Read;
use std::path::PathBuf;
use std::sync::Arc;

use crate::layer::{LayerMemory, Settings};

/// Where an archive comes from.
pub enum Input {
    /// A file, or anything else with a name that can be read, such as a named pipe.
    Path(PathBuf),
    /// A stream, standard input for example, and what to call it in messages.
    Reader(Box<dyn Read + Send>, String),
}

/// How archives are opened.
#[derive(Clone, Debug)]
pub struct ArchiveOptions {
    /// The directory of temporary files: as large as the archive where that is compressed or
    /// comes from a stream, empty otherwise.
    pub spool_dir: PathBuf,
    /// How layers that are not compressed are compressed on their way.
    pub compression: Settings,
    /// What earlier runs learned of layers compressed so.
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
