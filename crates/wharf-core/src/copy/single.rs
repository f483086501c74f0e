//! Single blobs and layers without a manifest (wire.md O3): copies with a plan of one blob.

use async_trait::async_trait;
use wharf_oci::{Descriptor, Manifest, Selector};

use super::{CopyOptions, Plan, Summary};
use crate::blob::Blob;
use crate::layer::{MadeLayer, PendingLayer};
use crate::store::{Outcome, Source, Store};
use crate::{Error, ErrorKind, Result};

/// Puts one blob of known digest into a store, unless it is there. For a file it is made by
/// [`crate::file::blob`].
///
/// # Errors
/// As [`super::copy`].
pub async fn push_blob(store: &dyn Store, blob: &Blob, options: &CopyOptions) -> Result<Outcome> {
    let plan = Plan::of_blob(blob.descriptor().clone());
    let summary = plan.execute(&One(Some(blob)), store, options).await?;
    Ok(match summary {
        Summary { written: 1.., .. } => Outcome::Written,
        Summary { mounted: 1.., .. } => Outcome::Mounted,
        _ => Outcome::Existed,
    })
}

/// Puts a layer, or another blob, into a store, and learns on the way what it is.
///
/// ```no_run
/// # use wharf_core as wharf;
/// use wharf::copy::{CopyOptions, push_layer};
/// use wharf::layer::{Family, LayerInput, Packing};
///
/// # async fn push(store: &dyn wharf::store::Store) -> wharf::Result<()> {
/// let input = LayerInput::reader("standard input", std::io::stdin());
/// let layer = input.tar(&Packing::default(), Family::Oci)?;
/// let made = push_layer(store, &layer, &CopyOptions::default()).await?;
/// println!("{} {:?}", made.descriptor.digest, made.diff_id);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// As [`super::copy`]. A layer with bytes that come once is tried again as long as its last 16 MiB,
/// which are kept, suffice.
pub async fn push_layer(
    store: &dyn Store,
    layer: &PendingLayer,
    options: &CopyOptions,
) -> Result<MadeLayer> {
    let plan = Plan::of_layer(layer.clone());
    let mut summary = plan.execute(&One(None), store, options).await?;
    let unmade = || Error::new(ErrorKind::Invalid, "layer was not made").target(layer.name());
    summary.layers.pop().ok_or_else(unmade)
}

/// A source that has at most one blob, and no manifest.
#[derive(Debug)]
struct One<'a>(Option<&'a Blob>);

fn nothing(what: impl std::fmt::Display) -> Error {
    Error::new(ErrorKind::NotFound, "not in this source").target(what)
}

#[async_trait]
impl Source for One<'_> {
    async fn resolve(&self, at: &Selector) -> Result<Descriptor> {
        Err(nothing(at))
    }

    async fn manifest(&self, descriptor: &Descriptor) -> Result<Manifest> {
        Err(nothing(&descriptor.digest))
    }

    fn blob(&self, descriptor: &Descriptor) -> Blob {
        let digest = descriptor.digest.clone();
        match self.0 {
            Some(blob) if blob.descriptor().digest == digest => blob.single_tries(),
            _ => Blob::new(descriptor.clone(), move |_| {
                let error = nothing(&digest);
                Box::pin(async move { Err(error) })
            }),
        }
    }
}
