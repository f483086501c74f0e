//! Where the bytes of a docker archive's content come from.

use std::sync::Arc;

use futures::{StreamExt, TryStreamExt, future};
use wharf_oci::{Descriptor, Digest, MediaType};

use crate::ErrorKind;
use crate::blob::ByteStream;
use crate::layer::{LayerMemory, ReadCount, Settings, gzip};
use crate::store::files::Region;
use crate::verify;

/// The source of content of known digest.
#[derive(Clone, Debug)]
pub(super) enum Content {
    /// From the archive as it is.
    Stored(Region),
    /// From a layer that is compressed again each time.
    Made(Made),
}

/// A layer that is compressed each time it is read, with a known result.
#[derive(Clone, Debug)]
pub(super) struct Made {
    pub(super) tar: Tar,
    pub(super) settings: Settings,
    pub(super) memory: Arc<LayerMemory>,
    /// Bytes of the compressed layer.
    pub(super) size: u64,
}

/// An uncompressed layer of the archive.
#[derive(Clone, Debug)]
pub(super) struct Tar {
    pub(super) region: Region,
    pub(super) diff_id: Digest,
}

impl Tar {
    /// The compressed layer, with a count of what is read of the tar. Fails if the uncompressed one does not match the config.
    pub(super) fn compressed(&self, settings: &Settings, read: &ReadCount) -> ByteStream {
        let promised = Descriptor::new(
            MediaType::OCI_LAYER,
            self.diff_id.clone(),
            self.region.length,
        );
        let name = self.region.name.clone();
        let checked = verify::checked(self.region.open(0), &promised).map_err(move |error| {
            match error.kind() {
                // Errors of the file contain its name already.
                ErrorKind::Corrupt if !error.to_string().starts_with(&name) => error.target(&name),
                _ => error,
            }
        });
        gzip(read.of(checked.boxed()), settings)
    }
}

impl Made {
    /// The bytes from `offset` on. They are made from the beginning and checked here, so that a
    /// wrong memory is dropped.
    pub(super) fn open(&self, descriptor: &Descriptor, offset: u64) -> ByteStream {
        let made = self.clone();
        let checked = verify::checked(
            self.tar.compressed(&self.settings, &ReadCount::default()),
            descriptor,
        );
        let noted = checked.inspect_err(move |error| {
            if error.kind() == ErrorKind::Corrupt {
                made.memory.forget(&made.tar.diff_id, &made.settings);
            }
        });
        let mut skip = offset;
        noted
            .try_filter_map(move |mut chunk| {
                let drop = skip.min(chunk.len() as u64);
                skip -= drop;
                // Not more than the chunk's length, so it fits.
                let rest = chunk.split_off(usize::try_from(drop).unwrap_or(chunk.len()));
                future::ready(Ok((!rest.is_empty()).then_some(rest)))
            })
            .boxed()
    }
}
