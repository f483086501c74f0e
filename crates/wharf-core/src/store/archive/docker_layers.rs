//! The layers of a docker archive: stored as they are, recalled, or compressed on the way.

use std::sync::Arc;

use futures::{FutureExt, TryStreamExt, future};
use tokio::sync::oneshot;
use wharf_oci::{Algorithm, Descriptor, Digest, MediaType};

use super::docker::DockerArchive;
use super::docker_content::{Content, Made, Tar};
use super::docker_document::{MANIFEST_FILE, missing};
use super::docker_image::DockerImage;
use super::members::Members;
use crate::draft::{Draft, DraftConfig, DraftLayer, ManifestFields, RecalledLayer};
use crate::layer::PendingLayer;
use crate::layer::Settings;
use crate::sniff::Packing;
use crate::store::files::{Files, Region};
use crate::verify::{self, blocking};
use crate::{Error, ErrorKind, Result};

/// The media types of a draft, which must all be of one family.
struct MediaTypes {
    manifest: MediaType,
    config: MediaType,
    gzip: MediaType,
}

impl DockerArchive {
    /// The image as a draft. Reads compressed layers once to learn their digest. Other layers are
    /// compressed while they are sent, or recalled from an earlier run.
    ///
    /// # Errors
    /// [`ErrorKind::Corrupt`] if config and `manifest.json` disagree on the number of layers;
    /// [`ErrorKind::NotFound`] for a missing layer; [`ErrorKind::Unsupported`] for a layer in a
    /// compression that registries do not know.
    pub async fn draft(&self, image: &DockerImage) -> Result<Draft> {
        if image.layers.len() != image.diff_ids.len() {
            let said = format!(
                "image {}: {MANIFEST_FILE} lists {} layers, its config {} diff ids",
                image.label(),
                image.layers.len(),
                image.diff_ids.len()
            );
            return Err(Error::new(ErrorKind::Corrupt, said).target(self.name()));
        }
        let found = self.find_layers(image).await?;
        let types = MediaTypes::for_layers(&found);
        let mut layers = Vec::with_capacity(found.len());
        for ((region, packing), diff_id) in found.into_iter().zip(&image.diff_ids) {
            let layer = match packing {
                None => self.tar_layer(
                    Tar {
                        region,
                        diff_id: diff_id.clone(),
                    },
                    &types,
                ),
                Some(packing) => {
                    let media_type = types.layer(packing, &region)?;
                    let stored = self.stored_layer(region.clone(), media_type).await?;
                    self.promises.add(&stored.digest, &region, packing, diff_id);
                    DraftLayer::Stored(stored)
                }
            };
            layers.push(layer);
        }
        let config = Descriptor {
            media_type: types.config,
            ..image.config.clone()
        };
        Ok(Draft {
            media_type: types.manifest,
            config: DraftConfig::Stored(config),
            layers,
            fields: ManifestFields::default(),
        })
    }

    async fn find_layers(&self, image: &DockerImage) -> Result<Vec<(Region, Option<Packing>)>> {
        let (members, layers) = (Arc::clone(&self.members), image.layers.clone());
        blocking(move || {
            let mut absent: Vec<(&String, Error)> = Vec::new();
            let mut found = Vec::with_capacity(layers.len());
            for path in &layers {
                match members.find(path) {
                    Ok(Some(region)) => {
                        let packing = members.packing(&region)?;
                        found.push((region, packing));
                    }
                    Ok(None) => absent.push((path, missing(&members, "layer", path))),
                    Err(error) if error.kind() == ErrorKind::NotFound => absent.push((path, error)),
                    Err(error) => return Err(error),
                }
            }
            match absent.as_slice() {
                [] => Ok(found),
                [(_, error)] => Err(error.clone()),
                several => Err(several_missing(&members, several)),
            }
        })
        .await?
    }

    /// A layer that is compressed already: one pass to learn its digest. Its diff id is compared
    /// beside its sending, because that needs decompression.
    async fn stored_layer(&self, region: Region, media_type: MediaType) -> Result<Descriptor> {
        if let Some(digest) = self.learned(&region) {
            return Ok(Descriptor::new(media_type, digest, region.length));
        }
        let (sender, receiver) = oneshot::channel();
        let stream = verify::learn(region.open(0), Algorithm::Sha256, sender);
        stream.try_for_each(|_| future::ready(Ok(()))).await?;
        let (digest, size) = receiver
            .await
            .map_err(|_| Error::new(ErrorKind::Cancelled, "layer was not read to its end"))?;
        self.known
            .lock()
            .insert(digest.clone(), Content::Stored(region));
        Ok(Descriptor::new(media_type, digest, size))
    }

    /// The known digest of a layer that another image has too.
    fn learned(&self, region: &Region) -> Option<Digest> {
        let known = self.known.lock();
        let mut stored = known.iter().filter_map(|(digest, content)| match content {
            Content::Stored(stored) => Some((digest, stored)),
            Content::Made(_) => None,
        });
        let (digest, _) = stored
            .find(|(_, stored)| (stored.start, stored.length) == (region.start, region.length))?;
        Some(digest.clone())
    }

    /// A layer to compress, or one recalled from an earlier run.
    fn tar_layer(&self, tar: Tar, types: &MediaTypes) -> DraftLayer {
        let settings = self.options.compression.clone();
        let layer = pending(tar.clone(), settings.clone(), types);
        let Some(memory) = self.options.memory.clone() else {
            return DraftLayer::Pending(layer);
        };
        let recalled = memory.recall(&tar.diff_id, &settings);
        let (keeping, diff_id, kept) = (Arc::clone(&memory), tar.diff_id.clone(), settings.clone());
        let layer = layer.on_learned(move |descriptor| {
            keeping.remember(&diff_id, &kept, descriptor);
        });
        let Some(mut descriptor) = recalled else {
            return DraftLayer::Pending(layer);
        };
        descriptor.media_type = types.gzip.clone();
        let made = Made {
            tar,
            settings,
            memory,
            size: descriptor.size,
        };
        self.known
            .lock()
            .insert(descriptor.digest.clone(), Content::Made(made));
        DraftLayer::Recalled(RecalledLayer { descriptor, layer })
    }
}

/// The most missing layers that a message names.
const MOST_NAMED: usize = 10;

fn several_missing(members: &Members, absent: &[(&String, Error)]) -> Error {
    let names = absent.iter().take(MOST_NAMED);
    let names: Vec<String> = names
        .map(|(path, _)| path.escape_debug().to_string())
        .collect();
    let mut said = format!(
        "{MANIFEST_FILE} names {} layers that the archive does not have: {}",
        absent.len(),
        names.join(", ")
    );
    if let more @ 1.. = absent.len() - names.len() {
        said.push_str(&format!(", and {more} more"));
    }
    Error::new(ErrorKind::NotFound, said).target(members.name())
}

/// Layers smaller than this, in bytes, are made and sent again faster than resumed in another
/// process.
const WORTHWHILE: u64 = 4 << 20;

fn pending(tar: Tar, settings: Settings, types: &MediaTypes) -> PendingLayer {
    let (diff_id, size) = (tar.diff_id.clone(), tar.region.length);
    let identity = format!("{diff_id}\n{}", settings.fingerprint());
    let plain = tar.blob();
    let layer = PendingLayer::counted(diff_id, size, types.gzip.clone(), move |read| {
        let stream = tar.compressed(&settings, &read);
        async move { Ok(stream) }.boxed()
    });
    let layer = layer.with_tar(plain);
    match size >= WORTHWHILE {
        true => layer.with_identity(Digest::of(identity.as_bytes())),
        false => layer,
    }
}

impl MediaTypes {
    /// Docker's own types, unless a layer has a compression that only OCI has a type for.
    fn for_layers(layers: &[(Region, Option<Packing>)]) -> MediaTypes {
        if layers
            .iter()
            .any(|(_, packing)| *packing == Some(Packing::Zstd))
        {
            return MediaTypes {
                manifest: MediaType::OCI_IMAGE_MANIFEST,
                config: MediaType::OCI_IMAGE_CONFIG,
                gzip: MediaType::OCI_LAYER_GZIP,
            };
        }
        MediaTypes {
            manifest: MediaType::DOCKER_MANIFEST,
            config: MediaType::DOCKER_CONFIG,
            gzip: MediaType::DOCKER_LAYER_GZIP,
        }
    }

    fn layer(&self, packing: Packing, region: &Region) -> Result<MediaType> {
        match packing {
            Packing::Gzip => Ok(self.gzip.clone()),
            Packing::Zstd => Ok(MediaType::OCI_LAYER_ZSTD),
            Packing::Xz | Packing::Bzip2 => {
                let said = format!(
                    "layer is compressed with {}, which has no media type",
                    packing.name()
                );
                Err(Error::new(ErrorKind::Unsupported, said).target(&region.name))
            }
        }
    }
}
