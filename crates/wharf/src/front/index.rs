//! Indexes: which children they list, and new ones made of them.

use std::sync::Arc;

use wharf_oci::{Index, Manifest, Payload};

use super::Wharf;
use crate::place::{Form, LocalPlace, OpenedSource, Part, Place, PlaceOptions, PlatformChoice};
use crate::store::Source;
use crate::{Error, ErrorKind, Result, RootContent, Side};

/// An index, and the source that has its children.
#[derive(Clone, Debug)]
pub struct OpenedIndex {
    source: Arc<dyn Source>,
    manifest: Manifest,
    index: Index,
}

impl OpenedIndex {
    /// The source of its children.
    pub fn source(&self) -> &Arc<dyn Source> {
        &self.source
    }

    /// Its exact bytes, and their digest.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// What it says.
    pub fn index(&self) -> &Index {
        &self.index
    }

    fn new(source: Arc<dyn Source>, manifest: Manifest) -> Result<Self> {
        let Payload::Index(index) = manifest.payload() else {
            let message = format!("not an index but {}", manifest.media_type());
            return Err(Error::new(ErrorKind::Unsupported, message).target(manifest.digest()));
        };
        Ok(OpenedIndex {
            index: index.clone(),
            source,
            manifest,
        })
    }
}

impl Wharf {
    /// The index that `place` names, as it is: no platform is picked. A path without a prefix, such
    /// as `./dir`, means all that a layout lists, its `index.json`.
    ///
    /// ```no_run
    /// use wharf::{Client, Wharf};
    ///
    /// # async fn example() -> wharf::Result<()> {
    /// let wharf = Wharf::new(Client::builder().build()?);
    /// let opened = wharf.index(&"registry.example/app:1".parse()?).await?;
    /// for child in &opened.index().manifests {
    ///     println!("{} {:?}", child.digest, child.platform);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] if the place has nothing; [`ErrorKind::Unsupported`] for anything but
    /// an index; the errors of the registry.
    pub async fn index(&self, place: &Place) -> Result<OpenedIndex> {
        let (source, manifest) = self.whole(place).await?;
        let opened = OpenedIndex::new(source, manifest);
        opened.map_err(|error| error.side(Side::Source))
    }

    /// The manifest that a place names, as it is, and its source.
    async fn whole(&self, place: &Place) -> Result<(Arc<dyn Source>, Manifest)> {
        let options = self.options();
        let at = match place {
            Place::Registry(at) => at,
            Place::Local(local) => return self.whole_on_disk(local).await,
        };
        let source = self.client().source(at.repository()).await?;
        let source = source.with_retry(options.copy.retry);
        let manifest = source.manifest_at(&at.selector()).await;
        let manifest = manifest.map_err(|error| error.side(Side::Source))?;
        Ok((Arc::new(source), manifest))
    }

    async fn whole_on_disk(&self, local: &LocalPlace) -> Result<(Arc<dyn Source>, Manifest)> {
        let options = self.options();
        let part = match (local.form, &local.choice) {
            (Form::Any, None) => Part::Whole,
            _ => Part::One,
        };
        let places = PlaceOptions {
            platform: PlatformChoice::All,
            ..options.places.clone()
        };
        let retry = &options.copy.retry;
        let opened = OpenedSource::local(local, part, retry, &places).await?;
        let manifest = match &opened.content {
            RootContent::Manifest(root) => opened.source.manifest(root).await,
            RootContent::Draft(_) | RootContent::Index(_) => {
                let message = "a docker archive has images but no index";
                Err(Error::new(ErrorKind::Unsupported, message).target(&local.at))
            }
        };
        let manifest = manifest.map_err(|error| error.side(Side::Source))?;
        Ok((opened.source, manifest))
    }
}
