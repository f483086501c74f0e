//! Checks that everything below a manifest is there, whole, and what it says it is.

use std::collections::HashSet;

use futures::{StreamExt, TryStreamExt, stream};
use wharf_oci::{
    Descriptor, Digest, ImageConfig, ImageManifest, MAX_CONFIG_SIZE, Manifest, ManifestKind,
    MediaType, Payload, Platform,
};

use super::finding::is_of_content;
use super::{CheckDepth, Fault, Finding, Wharf};
use crate::blob::Blob;
use crate::draft::{Draft, DraftLayer};
use crate::image::StoredLayer;
use crate::place::OpenedSource;
use crate::store::Source;
use crate::{Error, ErrorKind, Result, RootContent, Side};

/// How deep indexes are nested at most.
const MOST_LEVELS: usize = 16;

/// How many manifests are checked at most.
const MOST_MANIFESTS: usize = 10_000;

/// How many blobs are checked at most.
const MOST_BLOBS: usize = 100_000;

/// How many manifests are read at once: each may have 8 MiB.
const MANIFESTS_AT_ONCE: usize = 8;

/// A blob to check.
#[derive(Clone, Debug)]
struct Wanted {
    blob: Blob,
    form: Form,
}

/// What a blob must be.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Form {
    /// A tar, perhaps compressed, of this diff id if one is stated.
    Layer(Option<Digest>),
    /// Anything.
    Bytes,
}

/// What one manifest says.
#[derive(Debug, Default)]
struct Visit {
    findings: Vec<Finding>,
    blobs: Vec<Wanted>,
    children: Vec<Descriptor>,
}

impl Wharf {
    /// Checks an opened source: every manifest, config and layer against digest and size, layers
    /// against their diff ids and for paths that are there twice, and the platforms of an index
    /// against the configs of its images. Of artifacts and attestations only digests and sizes are
    /// checked. Returns what is wrong, in the order of the manifests; nothing if all is right.
    ///
    /// ```no_run
    /// use wharf::front::CheckDepth;
    /// use wharf::{Client, Wharf};
    ///
    /// # async fn example() -> wharf::Result<()> {
    /// let wharf = Wharf::new(Client::builder().build()?);
    /// let opened = wharf.read(&"registry.example/app:1".parse()?).await?;
    /// for finding in wharf.validate(&opened, CheckDepth::Content).await? {
    ///     println!("{finding}");
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Where the source cannot be asked, such as [`ErrorKind::Unreachable`]; [`ErrorKind::Invalid`]
    /// for more than ten thousand manifests.
    pub async fn validate(&self, opened: &OpenedSource, depth: CheckDepth) -> Result<Vec<Finding>> {
        let (mut findings, blobs) = match &opened.content {
            RootContent::Draft(draft) => self.survey_draft(opened, draft, depth).await?,
            _ => self.survey_tree(opened).await?,
        };
        let blobs: Vec<_> = distinct(blobs)
            .into_iter()
            .map(|wanted| self.check(opened, wanted, depth))
            .collect();
        let jobs = self.options().copy.jobs.clamp(1, 64);
        let mut checked = stream::iter(blobs).buffered(jobs);
        while let Some(found) = checked.try_next().await? {
            findings.extend(found);
        }
        Ok(findings)
    }

    /// Reads all manifests and configs, and says which blobs there must be.
    async fn survey_tree(&self, opened: &OpenedSource) -> Result<(Vec<Finding>, Vec<Wanted>)> {
        let root = self.manifest_in(opened).await?;
        let (mut findings, mut blobs) = (Vec::new(), Vec::new());
        let mut seen = HashSet::new();
        let mut next = vec![root.descriptor().clone()];
        let mut read = Some(root);
        for _ in 0..MOST_LEVELS {
            // The same image may be stated for several platforms.
            next.retain(|one| seen.insert((one.digest.clone(), one.platform.clone().map(text))));
            let visits: Vec<_> = std::mem::take(&mut next)
                .into_iter()
                .map(|wanted| self.look_at(opened, wanted, read.take()))
                .collect();
            let mut visits = stream::iter(visits).buffered(MANIFESTS_AT_ONCE);
            while let Some(visit) = visits.try_next().await? {
                findings.extend(visit.findings);
                blobs.extend(visit.blobs);
                next.extend(visit.children);
                if blobs.len() > MOST_BLOBS || seen.len() + next.len() > MOST_MANIFESTS {
                    let message = "more manifests or blobs than can be checked";
                    return Err(Error::new(ErrorKind::Invalid, message).side(Side::Source));
                }
            }
            if next.is_empty() {
                return Ok((findings, blobs));
            }
        }
        let message = format!("indexes nested deeper than {MOST_LEVELS} levels");
        Err(Error::new(ErrorKind::Invalid, message).side(Side::Source))
    }

    /// Reads a manifest, unless it was `read`, and the config of an image.
    async fn look_at(
        &self,
        opened: &OpenedSource,
        wanted: Descriptor,
        read: Option<Manifest>,
    ) -> Result<Visit> {
        let source = opened.source.as_ref();
        let raw = source.raw_source().unwrap_or(source);
        let manifest = match read {
            Some(manifest) => Ok(manifest),
            None => self.retry(|| raw.manifest(&wanted)).await,
        };
        let mut visit = Visit::default();
        let manifest = match manifest {
            Ok(manifest) => manifest,
            Err(error) => {
                visit.findings.push(found(&wanted.digest, error)?);
                return Ok(visit);
            }
        };
        match (manifest.payload(), ManifestKind::of(&manifest)) {
            (Payload::Image(image), ManifestKind::Image) => {
                match self.config_in_source(source, &image.config).await {
                    Ok(config) => visit.image(source, &wanted, image, &config),
                    Err(error) => {
                        visit.findings.push(found(&image.config.digest, error)?);
                        visit.layers(source, image, &[]);
                    }
                }
            }
            (Payload::Index(index), _) => visit.index(source, &index.manifests),
            (Payload::Schema1(old), _) => {
                for digest in &old.fs_layers {
                    match self.retry(|| raw.blob_size(digest)).await {
                        Ok(size) => visit.bytes(source, &blob_of(digest, size)),
                        Err(error) => visit.findings.push(found(digest, error)?),
                    }
                }
            }
            _ => {
                for linked in manifest.linked() {
                    visit.bytes(source, linked);
                }
            }
        }
        Ok(visit)
    }

    /// What an image of a docker archive says, which has no manifest.
    async fn survey_draft(
        &self,
        opened: &OpenedSource,
        draft: &Draft,
        depth: CheckDepth,
    ) -> Result<(Vec<Finding>, Vec<Wanted>)> {
        let source = opened.source.as_ref();
        let unmade = || {
            let message = "this image is made while it is copied; copy it first";
            Error::new(ErrorKind::Unsupported, message).side(Side::Source)
        };
        let config = draft.config.stored().ok_or_else(unmade)?;
        let (mut visit, mut diff_ids) = (Visit::default(), Vec::new());
        match self.config_in_source(source, config).await {
            Ok(parsed) => {
                visit.config(&config.digest, &parsed, draft.layers.len());
                diff_ids = parsed.rootfs.diff_ids;
            }
            Err(error) => visit.findings.push(found(&config.digest, error)?),
        }
        if depth == CheckDepth::Presence {
            // That the layers are there was found out when the archive was opened.
            return Ok((visit.findings, Vec::new()));
        }
        for (at, layer) in draft.layers.iter().enumerate() {
            let (blob, diff_id) = match layer {
                DraftLayer::Stored(stored) => (source.blob(stored), diff_ids.get(at).cloned()),
                // The tar is named by its diff id.
                DraftLayer::Recalled(recalled) => {
                    (recalled.layer.tar().cloned().ok_or_else(unmade)?, None)
                }
                DraftLayer::Pending(layer) => (layer.tar().cloned().ok_or_else(unmade)?, None),
            };
            let form = Form::Layer(diff_id);
            visit.blobs.push(Wanted { blob, form });
        }
        Ok((visit.findings, visit.blobs))
    }

    async fn config_in_source(
        &self,
        source: &dyn Source,
        config: &Descriptor,
    ) -> Result<ImageConfig> {
        let raw = source.raw_source().unwrap_or(source);
        let blob = raw.blob(config);
        let bytes = self.retry(|| blob.read_all(MAX_CONFIG_SIZE)).await?;
        Ok(ImageConfig::parse(&bytes)?)
    }

    /// Checks a blob.
    async fn check(
        &self,
        opened: &OpenedSource,
        wanted: Wanted,
        depth: CheckDepth,
    ) -> Result<Option<Finding>> {
        let descriptor = wanted.blob.descriptor();
        let retry = self.options().copy.retry;
        let checked = match (depth, &wanted.form) {
            (CheckDepth::Presence, _) => self.ask(opened, descriptor).await.map(|()| None),
            (CheckDepth::Content, Form::Layer(diff_id)) => {
                let layer = StoredLayer::new(&wanted.blob, diff_id.clone(), retry);
                layer.check().await
            }
            (CheckDepth::Content, Form::Bytes) => {
                let blob = StoredLayer::new(&wanted.blob, None, retry);
                blob.check_stored().await.map(|()| None)
            }
        };
        match checked {
            Ok(None) => Ok(None),
            Ok(Some(fault)) => Ok(Some(Finding::new(&descriptor.digest, Fault::Layer(fault)))),
            Err(error) if error.kind() == ErrorKind::NotFound && may_be_elsewhere(descriptor) => {
                Ok(None)
            }
            Err(error) => found(&descriptor.digest, error).map(Some),
        }
    }

    /// Asks whether a blob is there, with its size.
    async fn ask(&self, opened: &OpenedSource, wanted: &Descriptor) -> Result<()> {
        let source = opened.source.as_ref();
        let raw = source.raw_source().unwrap_or(source);
        let size = self.retry(|| raw.blob_size(&wanted.digest)).await?;
        if size == wanted.size {
            return Ok(());
        }
        let message = format!("content has {size} bytes, expected {}", wanted.size);
        Err(Error::new(ErrorKind::Corrupt, message).target(&wanted.digest))
    }
}

impl Visit {
    fn image(
        &mut self,
        source: &dyn Source,
        at: &Descriptor,
        image: &ImageManifest,
        config: &ImageConfig,
    ) {
        if let Some(stated) = &at.platform {
            let here = config.platform();
            if !is_same(stated, &here) {
                let (stated, found) = (Box::new(stated.clone()), Box::new(here));
                let fault = Fault::Platform { stated, found };
                self.findings.push(Finding::new(&at.digest, fault));
            }
        }
        self.config(&image.config.digest, config, image.layers.len());
        self.layers(source, image, &config.rootfs.diff_ids);
    }

    fn config(&mut self, digest: &Digest, config: &ImageConfig, layers: usize) {
        let rootfs = &config.rootfs;
        if rootfs.kind != "layers" {
            let fault = Fault::RootFs(rootfs.kind.clone());
            self.findings.push(Finding::new(digest, fault));
        }
        let diff_ids = rootfs.diff_ids.len();
        if diff_ids != layers {
            let fault = Fault::LayerCount { layers, diff_ids };
            self.findings.push(Finding::new(digest, fault));
        }
    }

    fn layers(&mut self, source: &dyn Source, image: &ImageManifest, diff_ids: &[Digest]) {
        // Where their numbers differ, it is not known which belongs to which.
        let fits = diff_ids.len() == image.layers.len();
        for (at, layer) in image.layers.iter().enumerate() {
            if !layer.media_type.is_layer() {
                self.bytes(source, layer);
                continue;
            }
            let diff_id = diff_ids.get(at).filter(|_| fits).cloned();
            let (blob, form) = (source.blob(layer), Form::Layer(diff_id));
            self.blobs.push(Wanted { blob, form });
        }
    }

    fn index(&mut self, source: &dyn Source, children: &[Descriptor]) {
        for child in children {
            match child.media_type.is_manifest() {
                true => self.children.push(child.clone()),
                false => self.bytes(source, child),
            }
        }
    }

    fn bytes(&mut self, source: &dyn Source, descriptor: &Descriptor) {
        let (blob, form) = (source.blob(descriptor), Form::Bytes);
        self.blobs.push(Wanted { blob, form });
    }
}

/// The finding that an error about this content is.
///
/// # Errors
/// The error, if it is not about content.
fn found(content: &Digest, error: Error) -> Result<Finding> {
    match is_of_content(&error) {
        true => Ok(Finding::new(content, Fault::Content(error))),
        false => Err(error.side(Side::Source)),
    }
}

/// A blob of which a schema 1 manifest states no more than the digest.
fn blob_of(digest: &Digest, size: u64) -> Descriptor {
    Descriptor::new(MediaType::OCTET_STREAM, digest.clone(), size)
}

/// Whether registries need not have a layer, because its makers do not let it be distributed.
fn may_be_elsewhere(layer: &Descriptor) -> bool {
    !layer.media_type.is_distributable()
}

/// Each blob once.
fn distinct(blobs: Vec<Wanted>) -> Vec<Wanted> {
    let mut seen = HashSet::new();
    let blobs = blobs.into_iter();
    let new = blobs.filter(|wanted| {
        let of = wanted.blob.descriptor();
        seen.insert((of.digest.clone(), of.size, wanted.form.clone()))
    });
    new.collect()
}

/// Whether both are one platform: `arm64` is `arm64/v8`.
fn is_same(one: &Platform, other: &Platform) -> bool {
    let parts = |on: &Platform| {
        let variant = match (on.architecture.as_str(), on.variant.as_deref()) {
            ("arm64", None | Some("")) => "v8".to_owned(),
            (_, variant) => variant.unwrap_or_default().to_owned(),
        };
        let version = on.os_version.clone().unwrap_or_default();
        (on.os.clone(), on.architecture.clone(), variant, version)
    };
    parts(one) == parts(other)
}

fn text(platform: Platform) -> String {
    platform.to_string()
}
