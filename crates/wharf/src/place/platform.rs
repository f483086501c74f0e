//! One image out of an index, by platform.

use std::collections::BTreeSet;

use wharf_oci::{Descriptor, ImageConfig, Index, MAX_CONFIG_SIZE, Manifest, Payload, Platform};

use crate::copy::RootContent;
use crate::store::{Entry, Source};
use crate::{Error, ErrorKind, Result};

/// The most indexes to read: an image has one level, seldom two, so more is a mistake or an attack.
const MOST_INDEXES: usize = 64;

/// The most configs to read for an index with children that state no platform.
const MOST_LOOKUPS: usize = 100;

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
        let platforms = platforms(source, &entry.descriptor, wanted).await?;
        let known = |other: &Entry| other.descriptor.digest == entry.descriptor.digest;
        if platforms.iter().any(|here| here.matches(wanted)) && !fitting.iter().any(known) {
            fitting.push(entry);
        }
        here.extend(platforms.iter().map(ToString::to_string));
    }
    match <[Entry; 1]>::try_from(fitting) {
        Ok([entry]) => Ok(entry),
        Err(none) if none.is_empty() => Err(none_for(
            &wanted.to_string(),
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

/// The platforms of an image or index, as far as they are known.
async fn platforms(
    source: &dyn Source,
    descriptor: &Descriptor,
    wanted: &Platform,
) -> Result<Vec<Platform>> {
    if descriptor.platform.is_none() && descriptor.media_type.is_index() {
        let manifest = source.manifest(descriptor).await?;
        if let Payload::Index(index) = manifest.payload() {
            let (mut known, mut lookups) = (Vec::new(), MOST_LOOKUPS);
            for leaf in leaves(source, index, wanted).await? {
                known.extend(runs_on(source, &leaf, &mut lookups).await?);
            }
            return Ok(known);
        }
    }
    let platform = runs_on(source, descriptor, &mut MOST_LOOKUPS.clone()).await?;
    Ok(platform.into_iter().collect())
}

/// The platform of an image: what its descriptor states, else what its config states, else
/// linux/amd64. The same rule holds for `index.json`, for indexes, and in every source. `lookups` is
/// how many configs may still be read; content that is no image has no platform.
pub(super) async fn runs_on(
    source: &dyn Source,
    descriptor: &Descriptor,
    lookups: &mut usize,
) -> Result<Option<Platform>> {
    if let Some(platform) = &descriptor.platform {
        return Ok(Some(platform.clone()));
    }
    if !descriptor.media_type.is_image_manifest() {
        return Ok(None);
    }
    if *lookups == 0 {
        return Ok(Some(usual()));
    }
    *lookups -= 1;
    let manifest = match source.manifest(descriptor).await {
        Ok(manifest) => manifest,
        // An image that is absent cannot be chosen, but others can.
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    match manifest.payload() {
        Payload::Image(image) if image.config.media_type.is_config() => {
            let platform = platform_of(source, &image.config).await?;
            Ok(Some(match platform.os.is_empty() {
                true => usual(),
                false => platform,
            }))
        }
        _ => Ok(None),
    }
}

/// The platform that a config states.
pub(crate) async fn platform_of(source: &dyn Source, config: &Descriptor) -> Result<Platform> {
    let bytes = source.blob(config).read_all(MAX_CONFIG_SIZE).await?;
    Ok(ImageConfig::parse(&bytes)?.platform())
}

/// The image of `content` for the wanted platform. Content that is not an index stays as it is: it
/// names what is meant.
///
/// # Errors
/// [`ErrorKind::NotFound`] if the index has none; lists the platforms.
pub(super) async fn narrow(
    source: &dyn Source,
    content: &RootContent,
    wanted: &Platform,
) -> Result<RootContent> {
    match content {
        RootContent::Manifest(descriptor) if !descriptor.media_type.is_image_manifest() => {
            let manifest = source.manifest(descriptor).await?;
            let image = image_in(source, &manifest, wanted).await?;
            Ok(image.map_or_else(|| content.clone(), RootContent::from))
        }
        _ => Ok(content.clone()),
    }
}

/// The image of an index for the wanted platform; `None` if `manifest` is no index.
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
            let leaves = leaves(source, index, wanted).await?;
            child(source, leaves, wanted).await.map(Some)
        }
        Payload::Image(_) | Payload::Artifact(_) | Payload::Schema1(_) => Ok(None),
    }
}

/// The platform that is meant when none is named, as by other tools.
pub(crate) fn usual() -> Platform {
    Platform {
        os: "linux".to_owned(),
        architecture: "amd64".to_owned(),
        ..Platform::default()
    }
}

/// The platforms that descriptors state, for messages.
pub(crate) fn list(images: &[Descriptor]) -> String {
    let platforms = images.iter().filter_map(|image| image.platform.as_ref());
    let platforms: BTreeSet<String> = platforms.map(ToString::to_string).collect();
    platforms.into_iter().collect::<Vec<_>>().join(", ")
}

/// The images of an index, in their order, including those of nested indexes that may have one for
/// the wanted platform.
async fn leaves(source: &dyn Source, index: &Index, wanted: &Platform) -> Result<Vec<Descriptor>> {
    let fits = |stated: &Platform| stated.matches(wanted);
    let mut leaves = Vec::new();
    let mut seen = BTreeSet::new();
    let mut open: Vec<Descriptor> = index.manifests.iter().rev().cloned().collect();
    while let Some(next) = open.pop() {
        if !may_hold(&next, fits) {
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

/// Whether a child is an index that may have images which fit: one for another platform is not opened.
pub(super) fn may_hold(child: &Descriptor, fits: impl FnOnce(&Platform) -> bool) -> bool {
    child.media_type.is_index() && child.platform.as_ref().is_none_or(fits)
}

/// How much may still be read to find out what an index is for.
#[derive(Debug)]
pub(super) struct Budget {
    /// Configs of images that state no platform.
    pub(super) lookups: usize,
    indexes: usize,
}

impl Default for Budget {
    fn default() -> Self {
        Budget {
            lookups: MOST_LOOKUPS,
            indexes: MOST_INDEXES,
        }
    }
}

impl Budget {
    /// Reads an index below another one; `depth` is how many levels there may be.
    pub(super) async fn index(
        &mut self,
        source: &dyn Source,
        index: &Descriptor,
        depth: usize,
    ) -> Result<Manifest> {
        if self.indexes == 0 || depth == 0 {
            let message = format!("more than {MOST_INDEXES} nested indexes");
            return Err(Error::new(ErrorKind::Invalid, message));
        }
        self.indexes -= 1;
        source.manifest(index).await
    }
}

/// The first of `images` for the wanted platform.
async fn child(
    source: &dyn Source,
    images: Vec<Descriptor>,
    wanted: &Platform,
) -> Result<Descriptor> {
    let (mut here, mut lookups) = (BTreeSet::new(), MOST_LOOKUPS);
    for image in images {
        match runs_on(source, &image, &mut lookups).await? {
            Some(platform) if platform.matches(wanted) => return Ok(image),
            Some(platform) => drop(here.insert(platform.to_string())),
            None => {}
        }
    }
    let here: Vec<String> = here.into_iter().collect();
    Err(none_for(&wanted.to_string(), &here.join(", ")))
}

pub(super) fn none_for(wanted: &str, here: &str) -> Error {
    let message = match here {
        "" => format!("no image for {wanted}: no manifest in the index states a platform"),
        here => format!("no image for {wanted}, there is: {here}"),
    };
    Error::new(ErrorKind::NotFound, message)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use wharf_oci::{Digest, MediaType};

    use super::*;
    use crate::store::{Memory, Names, Store};

    /// An image with a config for this architecture, and its descriptor in an index.
    async fn image(source: &Memory, config: &str, stated: Option<&str>) -> Descriptor {
        let config = match config {
            "" => json!({}),
            config => json!({"os": "linux", "architecture": config}),
        };
        let config = source.add_blob(MediaType::OCI_IMAGE_CONFIG, config.to_string());
        let note = stated.unwrap_or_default();
        let manifest = put(
            source,
            json!({"schemaVersion": 2, "mediaType": MediaType::OCI_IMAGE_MANIFEST,
                "config": config, "layers": [], "annotations": {"stated": note}}),
        );
        Descriptor {
            platform: stated.map(|stated| format!("linux/{stated}").parse().unwrap()),
            ..manifest.await
        }
    }

    async fn put(source: &Memory, document: Value) -> Descriptor {
        let manifest = Manifest::parse(None, document.to_string().into()).unwrap();
        source.put_manifest(&manifest, Names::Child).await.unwrap();
        manifest.descriptor().clone()
    }

    async fn index(source: &Memory, children: &[Descriptor]) -> Descriptor {
        let document = json!({"schemaVersion": 2, "mediaType": MediaType::OCI_IMAGE_INDEX,
            "manifests": children});
        put(source, document).await
    }

    async fn picked(source: &Memory, root: &Descriptor, wanted: &str) -> Result<Digest> {
        let wanted = format!("linux/{wanted}").parse().unwrap();
        match narrow(source, &root.clone().into(), &wanted).await? {
            RootContent::Manifest(descriptor) => Ok(descriptor.digest),
            RootContent::Draft(_) | RootContent::Index(_) => panic!("a draft"),
        }
    }

    #[tokio::test]
    async fn the_child_that_fits_is_taken() {
        let source = Memory::new();
        let amd64 = image(&source, "", Some("amd64")).await;
        let arm64 = image(&source, "", Some("arm64/v8")).await;
        let index = index(&source, &[amd64, arm64.clone()]).await;
        assert_eq!(
            picked(&source, &index, "arm64").await.unwrap(),
            arm64.digest
        );
    }

    #[tokio::test]
    async fn none_that_fits_is_an_error_that_lists_what_there_is() {
        let source = Memory::new();
        let amd64 = image(&source, "", Some("amd64")).await;
        let arm64 = image(&source, "arm64", None).await;
        let index = index(&source, &[amd64, arm64]).await;
        let error = picked(&source, &index, "s390x").await.unwrap_err();
        assert_eq!(
            error.to_string(),
            "no image for linux/s390x, there is: linux/amd64, linux/arm64"
        );
    }

    #[tokio::test]
    async fn fault_c3_the_descriptor_counts_and_the_config_where_it_says_nothing() {
        let source = Memory::new();
        for (config, stated, runs_on) in [
            ("amd64", None, "amd64"),
            ("arm64", None, "arm64"),
            ("amd64", Some("arm64"), "arm64"),
            ("", Some("s390x"), "s390x"),
            ("", None, "amd64"),
        ] {
            let image = image(&source, config, stated).await;
            let index = index(&source, std::slice::from_ref(&image)).await;
            let entry = |descriptor: &Descriptor| Entry {
                descriptor: descriptor.clone(),
                name: None,
                tag: None,
            };
            for other in ["amd64", "arm64", "s390x"] {
                let fits = other == runs_on;
                // As an entry of `index.json`, and below an index; by itself it is what is meant.
                let wanted = format!("linux/{other}").parse().unwrap();
                let among = among(&source, vec![entry(&image)], &wanted).await;
                assert_eq!(among.is_ok(), fits, "{config} {stated:?} {other}");
                let below = picked(&source, &index, other).await;
                assert_eq!(below.is_ok(), fits, "{config} {stated:?} {other}");
                let itself = picked(&source, &image, other).await;
                assert_eq!(itself.unwrap(), image.digest, "{other}");
            }
        }
    }

    #[tokio::test]
    async fn fault_c3_content_without_a_platform_stands_in_no_way() {
        let source = Memory::new();
        let note = source.add_blob(MediaType::verbatim("text"), b"a note".to_vec());
        let artifact = put(
            &source,
            json!({"schemaVersion": 2, "mediaType": MediaType::OCI_IMAGE_MANIFEST,
                "config": note, "layers": []}),
        );
        let gone = Descriptor::new(MediaType::OCI_IMAGE_MANIFEST, Digest::of(b"gone"), 9);
        let amd64 = image(&source, "amd64", None).await;
        let children = [note.clone(), artifact.await, gone, amd64.clone()];
        let index = index(&source, &children).await;
        assert_eq!(
            picked(&source, &index, "amd64").await.unwrap(),
            amd64.digest
        );
    }

    #[tokio::test]
    async fn an_index_below_an_index_is_entered_unless_it_is_for_another_platform() {
        let source = Memory::new();
        let amd64 = image(&source, "", Some("amd64")).await;
        let arm64 = image(&source, "", Some("arm64")).await;
        let both = index(&source, &[amd64.clone(), arm64.clone()]).await;
        for (stated, wanted, expected) in [
            (None, "arm64", Some(&arm64)),
            (None, "amd64", Some(&amd64)),
            (Some("linux/arm64"), "arm64", Some(&arm64)),
            (Some("linux/arm64"), "amd64", None),
        ] {
            let inner = Descriptor {
                platform: stated.map(|stated| stated.parse().unwrap()),
                ..both.clone()
            };
            let outer = index(&source, &[inner]).await;
            let picked = picked(&source, &outer, wanted).await.ok();
            let expected = expected.map(|image| image.digest.clone());
            assert_eq!(picked, expected, "{stated:?} {wanted}");
        }
    }
}
