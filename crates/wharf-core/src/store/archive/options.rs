//! How archives are opened.

use std::path::PathBuf;
use std::sync::Arc;

use crate::layer::{LayerMemory, Settings};

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
