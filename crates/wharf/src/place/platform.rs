//! One image out of an index, by platform.

use std::collections::BTreeSet;

use wharf_oci::{Descriptor, ImageConfig, Index, MAX_CONFIG_SIZE, Manifest, Payload, Platform};

use crate::copy::RootContent;
use crate::draft::DraftConfig;
use crate::store::{Entry, Source};
use crate::{Error, ErrorKind, Result};

/// The most indexes to read: an image has one level, seldom two, so more is a mistake or an attack.
const MOST_INDEXES: usize = 64;

/// The entry of a layout for the wanted platform.
///
/// # Errors
/// [`ErrorKind::NotFound`] if there is none, [`ErrorKind::Ambiguous`] if there are several; both
/// list the platforms.
pub(super) async fn among(
    source: &dyn Source,
    entries: Vec<Entry>,
    wanted: &Platform,
) -> Result<Entry> {
    let (mut fitting, mut here): (Vec<Entry>, _) = (Vec::new(), BTreeSet::new());
    for entry in entries {
        let platforms = platforms(source, &entry.descriptor).await?;
        let known = |other: &Entry| other.descriptor.digest == entry.descriptor.digest;
        if platforms.iter().any(|here| here.matches(wanted)) && !fitting.iter().any(known) {
            fitting.push(entry);
        }
        here.extend(platforms.iter().map(ToString::to_string));
    }
    match <[Entry; 1]>::try_from(fitting) {
        Ok([entry]) => Ok(entry),
        Err(none) if none.is_empty() => Err(none_for(
            wanted,
            &here.into_iter().collect::<Vec<_>>().join(", "),
        )),
        Err(several) => {
            let names = several.iter().map(|entry| match &entry.name {
                Some(name) => name.clone(),
                None => entry.descriptor.digest.to_string(),
            });
            let names = names.collect::<Vec<_>>().join(", ");
            let message =
                format!("several images for {wanted}, choose one by tag or digest: {names}");
            Err(Error::new(ErrorKind::Ambiguous, message))
        }
    }
}

/// The platforms of an image or index, as far as it states them.
async fn platforms(source: &dyn Source, descriptor: &Descriptor) -> Result<Vec<Platform>> {
    if let Some(platform) = &descriptor.platform {
        return Ok(vec![platform.clone()]);
    }
    if !descriptor.media_type.is_manifest() {
        return Ok(Vec::new());
    }
    let manifest = source.manifest(descriptor).await?;
    match manifest.payload() {
        Payload::Index(index) => {
            let leaves = leaves(source, index).await?;
            Ok(leaves
                .into_iter()
                .filter_map(|leaf| leaf.platform)
                .collect())
        }
        Payload::Image(image) => Ok(vec![platform_of(source, &image.config).await?]),
        Payload::Artifact(_) | Payload::Schema1(_) => Ok(Vec::new()),
    }
}

async fn platform_of(source: &dyn Source, config: &Descriptor) -> Result<Platform> {
    let bytes = source.blob(config).read_all(MAX_CONFIG_SIZE).await?;
    Ok(ImageConfig::parse(&bytes)?.platform())
}

/// The image of `content` for the wanted platform. Content that is not an index must be for it.
///
/// # Errors
/// [`ErrorKind::NotFound`] if there is none; lists the platforms.
pub(super) async fn narrow(
    source: &dyn Source,
    content: &RootContent,
    wanted: &Platform,
) -> Result<RootContent> {
    match content {
        RootContent::Draft(draft) => match &draft.config {
            DraftConfig::Stored(config) => check(source, config, wanted).await?,
            // A program that makes an image knows its platform.
            DraftConfig::Later(_) => {}
        },
        RootContent::Manifest(descriptor) => {
            let manifest = source.manifest(descriptor).await?;
            if let Some(image) = image_in(source, &manifest, wanted).await? {
                return Ok(image.into());
            }
        }
    }
    Ok(content.clone())
}

/// The image of an index for the wanted platform; `None` if `manifest` is that image itself.
///
/// # Errors
/// As [`narrow`].
pub(crate) async fn image_in(
    source: &dyn Source,
    manifest: &Manifest,
    wanted: &Platform,
) -> Result<Option<Descriptor>> {
    match manifest.payload() {
        Payload::Index(index) => {
            let leaves = leaves(source, index).await?;
            child(&leaves, wanted).map(Some)
        }
        Payload::Image(image) => {
            check(source, &image.config, wanted).await?;
            Ok(None)
        }
        Payload::Artifact(_) | Payload::Schema1(_) => {
            let message = "neither an index nor an image with a platform";
            Err(Error::new(ErrorKind::Invalid, message).target(manifest.digest()))
        }
    }
}

/// The platforms that descriptors state, for messages.
pub(crate) fn list(images: &[Descriptor]) -> String {
    let platforms = images.iter().filter_map(|image| image.platform.as_ref());
    let platforms: BTreeSet<String> = platforms.map(ToString::to_string).collect();
    platforms.into_iter().collect::<Vec<_>>().join(", ")
}

/// The images of an index, in their order, including those of nested indexes.
async fn leaves(source: &dyn Source, index: &Index) -> Result<Vec<Descriptor>> {
    let mut leaves = Vec::new();
    let mut seen = BTreeSet::new();
    let mut open: Vec<Descriptor> = index.manifests.iter().rev().cloned().collect();
    while let Some(next) = open.pop() {
        // An entry that states its platform is not opened, even if it is an index.
        if next.platform.is_some() || !next.media_type.is_index() {
            leaves.push(next);
            continue;
        }
        if !seen.insert(next.digest.to_string()) {
            continue;
        }
        if seen.len() > MOST_INDEXES {
            let message = format!("more than {MOST_INDEXES} nested indexes");
            return Err(Error::new(ErrorKind::Invalid, message));
        }
        if let Payload::Index(inner) = source.manifest(&next).await?.payload() {
            open.extend(inner.manifests.iter().rev().cloned());
        }
    }
    Ok(leaves)
}

fn child(images: &[Descriptor], wanted: &Platform) -> Result<Descriptor> {
    let fits = |child: &&Descriptor| {
        child
            .platform
            .as_ref()
            .is_some_and(|here| here.matches(wanted))
    };
    let found = images.iter().find(fits).cloned();
    found.ok_or_else(|| none_for(wanted, &list(images)))
}

async fn check(source: &dyn Source, config: &Descriptor, wanted: &Platform) -> Result<()> {
    let here = platform_of(source, config).await?;
    match here.matches(wanted) {
        true => Ok(()),
        false => Err(none_for(wanted, &here.to_string())),
    }
}

fn none_for(wanted: &Platform, here: &str) -> Error {
    let message = match here {
        "" => format!("no image for {wanted}: none states its platform"),
        here => format!("no image for {wanted}, there is: {here}"),
    };
    Error::new(ErrorKind::NotFound, message)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn index() -> Index {
        let child = |name: &str, platform: serde_json::Value| {
            json!({"mediaType": "application/vnd.oci.image.manifest.v1+json", "size": 1,
                "digest": wharf_oci::Digest::of(name.as_bytes()), "platform": platform})
        };
        serde_json::from_value(json!({"schemaVersion": 2, "manifests": [
            child("amd64", json!({"os": "linux", "architecture": "amd64"})),
            child("arm64", json!({"os": "linux", "architecture": "arm64", "variant": "v8"})),
        ]}))
        .unwrap()
    }

    #[test]
    fn the_child_that_fits_is_taken() {
        let picked = child(&index().manifests, &"linux/arm64".parse().unwrap()).unwrap();
        assert_eq!(picked.digest, wharf_oci::Digest::of(b"arm64"));
    }

    #[test]
    fn none_that_fits_is_an_error_that_lists_what_there_is() {
        let error = child(&index().manifests, &"linux/s390x".parse().unwrap()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "no image for linux/s390x, there is: linux/amd64, linux/arm64/v8"
        );
    }
}
