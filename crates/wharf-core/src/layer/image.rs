//! An image with layers that are made while they are sent.

use bytes::Bytes;
use wharf_oci::ImageConfig;

use super::{Family, PendingLayer};
use crate::draft::{Draft, DraftConfig, DraftLayer, LaterConfig, ManifestFields};
use crate::{Error, ErrorKind};

/// A new image: a config and layers, lowest first.
///
/// ```no_run
/// # mod wharf {
/// #     pub use wharf_core::*;
/// #     pub use wharf_oci as oci;
/// # }
/// use wharf::copy::{CopyOptions, Root, RootContent, copy};
/// use wharf::layer::{Family, LayerInput, NewImage, Packing, TreeOptions};
/// use wharf::oci::ImageConfig;
/// use wharf::store::Memory;
///
/// # async fn push(store: &dyn wharf::store::Store) -> wharf::Result<()> {
/// let rootfs = LayerInput::directory("rootfs", TreeOptions::default());
/// let image = NewImage {
///     config: ImageConfig {
///         architecture: "amd64".to_owned(),
///         os: "linux".to_owned(),
///         ..ImageConfig::default()
///     },
///     layers: vec![rootfs.tar(&Packing::default(), Family::Oci)?],
///     family: Family::Oci,
/// };
/// let root = Root {
///     content: RootContent::Draft(image.into_draft()),
///     tags: vec!["latest".parse().expect("a tag")],
/// };
/// let summary = copy(&Memory::new(), store, &[root], &CopyOptions::default()).await?;
/// println!("{}", summary.roots[0].digest);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default)]
pub struct NewImage {
    /// Everything except `rootfs`, which is filled in when the diff ids are known (image-spec:
    /// "Image Configuration").
    pub config: ImageConfig,
    /// From the base up. Their media types must be of `family`.
    pub layers: Vec<PendingLayer>,
    /// The media types of manifest and config.
    pub family: Family,
}

impl NewImage {
    /// The image as a root of a copy; the source of that copy can be empty.
    pub fn into_draft(self) -> Draft {
        let config = self.config;
        let make = move |diff_ids: &[wharf_oci::Digest]| {
            let mut config = config.clone();
            config.rootfs.diff_ids = diff_ids.to_vec();
            let bytes = serde_json::to_vec(&config)
                .map_err(|error| Error::new(ErrorKind::Invalid, "image config").source(error))?;
            Ok(Bytes::from(bytes))
        };
        Draft {
            media_type: self.family.manifest(),
            config: DraftConfig::Later(LaterConfig::new(self.family.config(), make)),
            layers: self.layers.into_iter().map(DraftLayer::Pending).collect(),
            fields: ManifestFields::default(),
        }
    }
}
