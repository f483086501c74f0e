//! The reading half of an OCI image layout, over files that lie anywhere.
//!
//! Nothing is remembered between calls: another process may write the layout meanwhile. Paths are
//! made from parsed digests only, never from text in a document.

use std::collections::HashSet;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::FutureExt;
use serde::de::DeserializeOwned;
use wharf_oci::{
    BLOBS_DIR, Descriptor, Digest, INDEX_FILE, Index, LAYOUT_VERSION, LayoutMarker,
    MAX_MANIFEST_SIZE, Manifest, ManifestError, MediaType, OCI_LAYOUT_FILE, Selector, Tag,
};

use super::entry::{self, Entry};
use crate::blob::Blob;
use crate::file;
use crate::store::files::{Files, Region};
use crate::store::{Source, referrers};
use crate::verify::blocking;
use crate::{Error, ErrorKind, Result};

/// Bytes that `index.json` may have: some hundred thousand entries.
const MAX_INDEX_SIZE: u64 = 64 << 20;

/// An OCI image layout to read from, in a directory or in a tar. Clones share the files.
#[derive(Clone, Debug)]
pub struct LayoutReader {
    files: Arc<dyn Files>,
    /// `index.json` as it was read, where it is one of the manifests.
    whole: Option<Arc<Manifest>>,
    /// The configs of images that an archive also lists by themselves.
    pub(super) listed: Option<Arc<HashSet<Digest>>>,
}

impl LayoutReader {
    /// Looks whether `files` are a layout that can be read. Blocking.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] where `oci-layout` or `index.json` is missing or not what it should
    /// be; [`ErrorKind::Unsupported`] where the layout is of a version not known here.
    pub(crate) fn new(files: Arc<dyn Files>) -> Result<Self> {
        let reader = LayoutReader {
            files,
            whole: None,
            listed: None,
        };
        reader.check_marker()?;
        reader.index()?;
        Ok(reader)
    }

    /// What messages call it: the directory, or the archive.
    pub fn name(&self) -> &str {
        self.files.name()
    }

    /// What the layout lists, in its order. Blocking.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] where `index.json` is not valid any more.
    pub fn entries(&self) -> Result<Vec<Entry>> {
        Ok(self
            .index()?
            .manifests
            .into_iter()
            .map(Entry::new)
            .collect())
    }

    /// The entry that `wanted`, a tag, name or digest, means; without it the only one. A digest
    /// may be that of any manifest in the layout. Blocking.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] where nothing fits, [`ErrorKind::Ambiguous`] where several entries
    /// do; both list what there is.
    pub fn select(&self, wanted: Option<&str>) -> Result<Entry> {
        let all = self.entries()?;
        let fitting = match wanted {
            Some(text) => entry::matching(all.clone(), text),
            None => all.clone(),
        };
        if let Some(entry) = entry::only(&fitting) {
            return Ok(entry);
        }
        if !fitting.is_empty() {
            return Err(self.ambiguous(wanted, &fitting));
        }
        match wanted {
            Some(text) => match text.parse() {
                Ok(digest) => self.unlisted(&digest).map(Entry::new),
                Err(_) => Err(self.nothing_called(text, &all)),
            },
            None => Err(self.error(ErrorKind::NotFound, "holds no image")),
        }
    }

    /// The layout as one image: `index.json`, in its exact bytes, is the index manifest that the
    /// entry names. The entry has the name and tag that all entries of the layout share, if they
    /// do. A later change of `index.json` changes nothing here. Blocking.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] where it lists nothing, [`ErrorKind::Invalid`] where it is not
    /// valid any more or larger than a manifest may be.
    pub fn whole(&self) -> Result<(LayoutReader, Entry)> {
        let index = self.index_manifest()?;
        let entry = entry::common_names(index.descriptor().clone(), &self.entries()?);
        let reader = LayoutReader {
            files: Arc::clone(&self.files),
            whole: Some(Arc::new(index)),
            listed: None,
        };
        Ok((reader, entry))
    }

    /// The document `index.json`. Blocking.
    pub(crate) fn index(&self) -> Result<Index> {
        let region = self.required(INDEX_FILE)?;
        let index: Index = read_json(&region, MAX_INDEX_SIZE)?;
        let wrong = |what: String| Err(Error::new(ErrorKind::Invalid, what).target(&region.name));
        match &index.media_type {
            _ if index.schema_version != 2 => wrong(format!(
                "schemaVersion is {}, expected 2",
                index.schema_version
            )),
            Some(media_type) if !media_type.is_index() => {
                wrong(format!("mediaType is {media_type}, expected an index"))
            }
            _ => Ok(index),
        }
    }

    /// `index.json` as an index manifest.
    fn index_manifest(&self) -> Result<Manifest> {
        let index = self.index()?;
        if index.manifests.is_empty() {
            return Err(self.error(ErrorKind::NotFound, "holds no image"));
        }
        let region = self.required(INDEX_FILE)?;
        let media_type = index.media_type.unwrap_or(MediaType::OCI_IMAGE_INDEX);
        let bytes = read_whole(&region, MAX_MANIFEST_SIZE)?;
        Manifest::parse(Some(&media_type), bytes)
            .map_err(|error| Error::from(error).target(&region.name))
    }

    /// `index.json`, where it is one of the manifests and has this digest.
    fn as_index(&self, digest: &Digest) -> Option<&Manifest> {
        self.whole
            .as_deref()
            .filter(|index| index.digest() == digest)
    }

    fn check_marker(&self) -> Result<()> {
        let region = self.required(OCI_LAYOUT_FILE)?;
        let version = read_json::<LayoutMarker>(&region, MAX_MANIFEST_SIZE)?.image_layout_version;
        if version == LAYOUT_VERSION {
            return Ok(());
        }
        let message = format!(
            "imageLayoutVersion {version:?} is not supported, only {LAYOUT_VERSION:?} is: \
             write the layout again with a current tool"
        );
        Err(Error::new(ErrorKind::Unsupported, message).target(&region.name))
    }

    fn required(&self, path: &str) -> Result<Region> {
        let message = || match path {
            INDEX_FILE => "no index.json in this OCI image layout: it is incomplete, copy it again",
            _ => "no file oci-layout here, so this is not an OCI image layout",
        };
        self.files
            .find(path)?
            .ok_or_else(|| self.error(ErrorKind::Invalid, message()))
    }

    /// The file of some content.
    fn locate(&self, digest: &Digest) -> Result<Region> {
        let path = blob_path(digest);
        self.files.find(&path)?.ok_or_else(|| {
            let message = format!("no file {path}: content {digest} is missing");
            self.error(ErrorKind::NotFound, message)
        })
    }

    /// The file of some content, which must have the size that was promised.
    pub(super) fn locate_whole(&self, descriptor: &Descriptor) -> Result<Region> {
        let region = self.locate(&descriptor.digest)?;
        if has_size(&region, descriptor) {
            return Ok(region);
        }
        let message = format!(
            "file has {} bytes, expected {}",
            region.length, descriptor.size
        );
        let error = Error::new(ErrorKind::Corrupt, message);
        Err(error.target(&descriptor.digest).target(&region.name))
    }

    pub(super) fn read_manifest(&self, descriptor: &Descriptor) -> Result<Manifest> {
        let region = self.locate_whole(descriptor)?;
        parse_manifest(&region, Some(&descriptor.media_type), &descriptor.digest)
    }

    /// A manifest that `index.json` does not list, such as the child of an index.
    fn unlisted(&self, digest: &Digest) -> Result<Descriptor> {
        let region = self.locate(digest)?;
        Ok(parse_manifest(&region, None, digest)?.descriptor().clone())
    }

    pub(super) fn holds(&self, descriptor: &Descriptor) -> bool {
        // Whatever keeps a file from being looked at will be told when it is read or written.
        matches!(self.files.find(&blob_path(&descriptor.digest)),
            Ok(Some(region)) if has_size(&region, descriptor))
    }

    /// Whether the content's file is there and has the right size.
    pub(crate) async fn contains(&self, descriptor: &Descriptor) -> Result<bool> {
        let descriptor = descriptor.clone();
        self.off_reactor(move |reader| Ok(reader.holds(&descriptor)))
            .await
    }

    async fn off_reactor<T: Send + 'static>(
        &self,
        work: impl FnOnce(&LayoutReader) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let reader = self.clone();
        blocking(move || work(&reader)).await?
    }

    fn ambiguous(&self, wanted: Option<&str>, fitting: &[Entry]) -> Error {
        let what = match wanted {
            Some(text) => format!("{} entries for {text:?}", fitting.len()),
            None => format!("holds {} images", fitting.len()),
        };
        let message = format!(
            "{what}, choose one by tag or digest: {}",
            self.list(fitting)
        );
        self.error(ErrorKind::Ambiguous, message)
    }

    fn nothing_called(&self, text: &str, all: &[Entry]) -> Error {
        let there_is = match all {
            [] => "it holds no image".to_owned(),
            _ => format!("there is {}", self.list(all)),
        };
        self.error(
            ErrorKind::NotFound,
            format!("no image {text:?}, {there_is}"),
        )
    }

    fn error(&self, kind: ErrorKind, message: impl Into<String>) -> Error {
        Error::new(kind, message).target(self.files.name())
    }
}

#[async_trait]
impl Source for LayoutReader {
    async fn resolve(&self, at: &Selector) -> Result<Descriptor> {
        if let Selector::Digest(digest) = at
            && let Some(whole) = self.as_index(digest)
        {
            return Ok(whole.descriptor().clone());
        }
        let wanted = at.to_string();
        self.off_reactor(move |reader| Ok(reader.select(Some(&wanted))?.descriptor))
            .await
    }

    async fn manifest(&self, descriptor: &Descriptor) -> Result<Manifest> {
        if let Some(whole) = self.as_index(&descriptor.digest) {
            return Ok(Manifest::clone(whole));
        }
        let descriptor = descriptor.clone();
        self.off_reactor(move |reader| reader.read_manifest(&descriptor))
            .await
    }

    fn place(&self) -> Option<String> {
        Some(self.files.name().to_owned())
    }

    fn blob(&self, descriptor: &Descriptor) -> Blob {
        let (reader, wanted) = (self.clone(), descriptor.clone());
        let name = format!("{}/{}", self.files.name(), blob_path(&descriptor.digest));
        let blob = Blob::new(descriptor.clone(), move |offset| {
            let (reader, wanted) = (reader.clone(), wanted.clone());
            async move {
                let find = move |reader: &LayoutReader| reader.locate_whole(&wanted);
                Ok(reader.off_reactor(find).await?.open(offset))
            }
            .boxed()
        });
        blob.with_name(&name)
    }

    async fn blob_size(&self, digest: &Digest) -> Result<u64> {
        let digest = digest.clone();
        self.off_reactor(move |reader| Ok(reader.locate(&digest)?.length))
            .await
    }

    async fn precheck(&self, descriptor: &Descriptor) -> Result<()> {
        let descriptor = descriptor.clone();
        self.off_reactor(move |reader| reader.locate_whole(&descriptor).map(drop))
            .await
    }

    async fn tags(&self, after: Option<&Tag>, limit: usize) -> Result<Vec<Tag>> {
        let entries = self.off_reactor(LayoutReader::entries).await?;
        let mut tags: Vec<Tag> = entries.into_iter().filter_map(|entry| entry.tag).collect();
        tags.sort();
        tags.dedup();
        tags.retain(|tag| after.is_none_or(|after| tag > after));
        tags.truncate(limit);
        Ok(tags)
    }

    /// Those that are listed in `index.json`, or below what is.
    async fn referrers(&self, subject: &Digest) -> Result<Vec<Descriptor>> {
        let roots = self.off_reactor(LayoutReader::index).await?.manifests;
        referrers::below(self, roots, subject).await
    }
}

/// Where a layout keeps some content. OCI image-spec, "Blobs".
pub(crate) fn blob_path(digest: &Digest) -> String {
    format!("{BLOBS_DIR}/{}/{}", digest.algorithm(), digest.hex())
}

/// Schema 1 manifests do not state the sizes of their layers.
fn has_size(region: &Region, descriptor: &Descriptor) -> bool {
    region.length == descriptor.size || descriptor.media_type.is_schema1()
}

fn parse_manifest(
    region: &Region,
    media_type: Option<&MediaType>,
    digest: &Digest,
) -> Result<Manifest> {
    let bytes = read_whole(region, MAX_MANIFEST_SIZE)?;
    Manifest::parse_as(media_type, bytes, digest).map_err(|error| {
        let error = match error {
            ManifestError::Digest { expected, found } => Error::digest_mismatch(&expected, &found),
            other => other.into(),
        };
        error.target(&region.name)
    })
}

fn read_json<T: DeserializeOwned>(region: &Region, limit: u64) -> Result<T> {
    serde_json::from_slice(&read_whole(region, limit)?).map_err(|error| {
        // The parser quotes what a stranger wrote.
        let text: String = error.to_string().escape_debug().take(300).collect();
        Error::new(ErrorKind::Invalid, format!("is not valid: {text}")).target(&region.name)
    })
}

pub(super) fn read_whole(region: &Region, limit: u64) -> Result<Bytes> {
    match usize::try_from(region.length) {
        Ok(length) if region.length <= limit => {
            file::read_exactly_at(&region.file, region.start, length)
                .map_err(|error| Error::io(&region.name, error))
        }
        _ => {
            let message = format!(
                "{} bytes, more than the {limit} allowed here",
                region.length
            );
            Err(Error::new(ErrorKind::Invalid, message).target(&region.name))
        }
    }
}
