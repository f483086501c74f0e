//! How to open places: plain values, because the library reads no environment.

use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

use wharf_oci::{Platform, PlatformError};

use crate::layer::{LayerMemory, Settings};
use crate::store::archive::ArchiveOptions;

/// How to open places.
#[derive(Clone, Debug)]
pub struct PlaceOptions {
    /// Which images of an index to use; all by default.
    pub platform: PlatformChoice,
    /// The directory for temporary files, `/tmp` by default. An archive that is compressed, or read
    /// from a stream, needs its size there.
    pub spool_dir: PathBuf,
    /// The file that remembers layers compressed by earlier runs; by default none, so layers are
    /// compressed again.
    pub layer_memory: Option<PathBuf>,
}

impl Default for PlaceOptions {
    fn default() -> Self {
        PlaceOptions {
            platform: PlatformChoice::All,
            spool_dir: "/tmp".into(),
            layer_memory: None,
        }
    }
}

impl PlaceOptions {
    pub(super) fn archive(&self) -> ArchiveOptions {
        let memory = self.layer_memory.as_deref();
        ArchiveOptions {
            spool_dir: self.spool_dir.clone(),
            compression: Settings::default(),
            memory: memory.map(|path| Arc::new(LayerMemory::open(path.to_owned()))),
        }
    }
}

/// Which images of an index to use.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum PlatformChoice {
    /// The whole index.
    #[default]
    All,
    /// The one image for this platform.
    One(Box<Platform>),
}

impl From<Platform> for PlatformChoice {
    fn from(platform: Platform) -> Self {
        PlatformChoice::One(Box::new(platform))
    }
}

impl FromStr for PlatformChoice {
    type Err = PlatformError;

    /// Parses `all`, or a platform: `OS/ARCH[/VARIANT][:OSVERSION]`.
    fn from_str(text: &str) -> Result<Self, PlatformError> {
        match text {
            "all" => Ok(PlatformChoice::All),
            text => text.parse().map(|platform: Platform| platform.into()),
        }
    }
}

/// Which part of a layout to use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Part {
    /// One of the manifests that it lists.
    #[default]
    One,
    /// All of them, as the index `index.json`.
    Whole,
}
