//! Where the bytes of a docker archive's content come from.

use std::sync::Arc;

use futures::{FutureExt, StreamExt, TryStreamExt, future};
use wharf_oci::{Descriptor, Digest, MediaType};

use crate::ErrorKind;
use crate::blob::{Blob, ByteStream};
use crate::layer::{LayerMemory, ReadCount, Settings, gzip};
use crate::store::files::Region;
use crate::tar_entries::whole;
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
    fn promised(&self) -> Descriptor {
        let (digest, size) = (self.diff_id.clone(), self.region.length);
        Descriptor::new(MediaType::OCI_LAYER, digest, size)
    }

    /// The layer as it is.
    pub(super) fn blob(&self) -> Blob {
        let region = self.region.clone();
        let blob = Blob::new(self.promised(), move |offset| {
            let stream = region.open(offset);
            async move { Ok(stream) }.boxed()
        });
        blob.with_name(&self.region.name)
    }

    /// The compressed layer, with a count of what is read of the tar. Fails if the tar does not
    /// match the config, or ends too early.
    pub(super) fn compressed(&self, settings: &Settings, read: &ReadCount) -> ByteStream {
        let promised = self.promised();
        let name = self.region.name.clone();
        let checked = verify::checked(self.region.open(0), &promised);
        let whole = whole(checked, name.as_str().into());
        let checked = whole.map_err(move |error| {
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
