//! Indexes: which children they list, and new ones made of them.

use std::path::Path;
use std::sync::Arc;

use wharf_oci::{Descriptor, Digest, Index, Manifest, Payload, Platform};

use super::Wharf;
use crate::copy::{self, Root};
use crate::draft::{Draft, IndexChild};
use crate::image::{IndexPart, NewIndex};
use crate::layer::Family;
use crate::place::{
    Form, LocalPlace, OpenedSource, Part, PathOrStdin, Place, PlaceOptions, PlatformChoice,
    platform,
};
use crate::store::{Joined, Layout, Source};
use crate::{Error, ErrorKind, Result, RootContent, Side, Summary, verify};

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

    /// The index, to be changed.
    pub fn changed(&self) -> NewIndex {
        NewIndex::of(&self.source, &self.manifest, &self.index)
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
        let opened = match self.found(place, Layouts::All).await? {
            Found::Manifest(source, manifest) => OpenedIndex::new(source, *manifest),
            Found::Draft(..) => {
                let message = "a docker archive has images but no index";
                Err(Error::new(ErrorKind::Unsupported, message))
            }
        };
        opened.map_err(|error| error.side(Side::Source))
    }

    /// What `place` adds to an index: an image as one child with the platform of its config, an index
    /// as `nesting` says. A path without a prefix that is a directory means all that a layout lists.
    ///
    /// ```no_run
    /// use wharf::front::Nesting;
    /// use wharf::image::NewIndex;
    /// use wharf::layer::Family;
    /// use wharf::place::{Access, OpenedSource};
    /// use wharf::{Client, Wharf};
    ///
    /// # async fn example() -> wharf::Result<()> {
    /// let wharf = Wharf::new(Client::builder().build()?);
    /// let mut index = NewIndex::empty(Family::Oci);
    /// for image in ["registry.example/app:amd64", "registry.example/app:arm64"] {
    ///     for part in wharf.index_parts(&image.parse()?, Nesting::Flat).await? {
    ///         index = index.with(part);
    ///     }
    /// }
    /// let source = OpenedSource::from(index);
    /// let to = "registry.example/app:1".parse()?;
    /// let store = wharf.destination(&to, &source, Access::Write).await?;
    /// println!("{}", wharf.write(&source, &store).await?.descriptor.digest);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] if the place has nothing; [`ErrorKind::Ambiguous`] if it has several
    /// images and its text selects none; the errors of reading manifests and configs.
    pub async fn index_parts(&self, place: &Place, nesting: Nesting) -> Result<Vec<IndexPart>> {
        let parts = match self.found(place, Layouts::Directories).await? {
            Found::Draft(source, draft) => {
                let platform = match draft.config.stored() {
                    Some(config) => self.stated(source.as_ref(), config).await?,
                    None => None,
                };
                // What is still to be made has no digest; the index takes only the platform.
                let nothing = Descriptor::new(draft.media_type.clone(), Digest::of(b""), 0);
                let described = Descriptor {
                    platform,
                    ..nothing
                };
                let child = IndexChild::Image(described, *draft);
                vec![IndexPart { child, source }]
            }
            Found::Manifest(source, manifest) => match (manifest.payload(), nesting) {
                (Payload::Index(index), Nesting::Flat) => {
                    let children = index.manifests.iter().cloned();
                    let part = |child| IndexPart::stored(Arc::clone(&source), child);
                    children.map(part).collect()
                }
                _ => {
                    let child = self.described(source.as_ref(), &manifest).await?;
                    vec![IndexPart::stored(source, child)]
                }
            },
        };
        Ok(parts)
    }

    /// Adds the parts to what the layout in `directory` lists, which is made if there is none. Their
    /// content is copied into it, and `index.json` states their platforms.
    ///
    /// # Errors
    /// As [`copy::copy`]; [`ErrorKind::Invalid`] if the directory holds something else.
    pub async fn extend_layout(&self, directory: &Path, parts: Vec<IndexPart>) -> Result<Summary> {
        let directory = directory.to_owned();
        let layout = verify::blocking(move || Layout::create(directory)).await?;
        let layout = layout.map_err(|error| error.side(Side::Destination))?;
        let described: Vec<Descriptor> =
            parts.iter().map(|part| part.descriptor().clone()).collect();
        let (source, roots) = apart(parts);
        let summary = copy::copy(&source, &layout, &roots, &self.options().copy).await?;
        let became = summary.roots.iter().zip(described);
        let became = became.map(|(root, described)| Descriptor {
            media_type: root.media_type.clone(),
            digest: root.digest.clone(),
            size: root.size,
            ..described
        });
        let became: Vec<Descriptor> = became.collect();
        let told = verify::blocking(move || layout.describe(&became)).await?;
        told.map_err(|error| error.side(Side::Destination))?;
        Ok(summary)
    }

    /// The descriptor of a manifest in an index.
    async fn described(&self, source: &dyn Source, manifest: &Manifest) -> Result<Descriptor> {
        let mut child = manifest.descriptor().clone();
        if let Payload::Image(image) = manifest.payload() {
            match image.config.media_type.is_config() {
                true => child.platform = self.stated(source, &image.config).await?,
                false => child.artifact_type = manifest.artifact_type().cloned(),
            }
        }
        Ok(child)
    }

    /// The platform that a config states, if it does.
    async fn stated(&self, source: &dyn Source, config: &Descriptor) -> Result<Option<Platform>> {
        let source = source.raw_source().unwrap_or(source);
        let platform = self.retry(|| platform::platform_of(source, config)).await;
        let mut platform = platform.map_err(|error| error.side(Side::Source))?;
        for text in [&mut platform.variant, &mut platform.os_version] {
            *text = text.take().filter(|text| !text.is_empty());
        }
        Ok((platform != Platform::default()).then_some(platform))
    }

    /// What a place names, as it is.
    async fn found(&self, place: &Place, layouts: Layouts) -> Result<Found> {
        let options = self.options();
        let at = match place {
            Place::Registry(at) => at,
            Place::Local(local) => return self.found_on_disk(local, layouts).await,
        };
        let source = self.client().source(at.repository()).await?;
        let source = source.with_retry(options.copy.retry);
        let manifest = source.manifest_at(&at.selector()).await;
        let manifest = manifest.map_err(|error| error.side(Side::Source))?;
        Ok(Found::Manifest(Arc::new(source), Box::new(manifest)))
    }

    async fn found_on_disk(&self, local: &LocalPlace, layouts: Layouts) -> Result<Found> {
        let options = self.options();
        let is_directory = match &local.at {
            PathOrStdin::Path(path) => path.is_dir(),
            PathOrStdin::Stdin => false,
        };
        let part = match (local.form, &local.choice, layouts) {
            (Form::Any, None, Layouts::All) => Part::Whole,
            (Form::Any, None, Layouts::Directories) if is_directory => Part::Whole,
            _ => Part::One,
        };
        let places = PlaceOptions {
            platform: PlatformChoice::All,
            ..options.places.clone()
        };
        let retry = &options.copy.retry;
        let opened = OpenedSource::local(local, part, retry, &places).await?;
        let (source, content) = (opened.source, opened.content);
        let manifest = match content {
            RootContent::Manifest(root) => source.manifest(&root).await,
            RootContent::Draft(draft) => return Ok(Found::Draft(source, Box::new(draft))),
            RootContent::Index(_) => Err(Error::new(
                ErrorKind::Unsupported,
                "an index that is still to be made",
            )),
        };
        let manifest = manifest.map_err(|error| error.side(Side::Source))?;
        Ok(Found::Manifest(source, Box::new(manifest)))
    }
}

/// The content of a place.
enum Found {
    Manifest(Arc<dyn Source>, Box<Manifest>),
    Draft(Arc<dyn Source>, Box<Draft>),
}

/// Which layouts without a choice mean all that they list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Layouts {
    /// Directories and archives.
    All,
    /// Directories; an archive is its only image.
    Directories,
}

/// What becomes of an index that is added to another one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Nesting {
    /// Its children are added, as it describes them.
    #[default]
    Flat,
    /// It is one child, without a platform.
    Whole,
}

/// The source of all parts, and each as a root of a copy.
fn apart(parts: Vec<IndexPart>) -> (Joined, Vec<Root>) {
    let mut all = NewIndex::empty(Family::Oci);
    let mut roots = Vec::new();
    for part in parts {
        let content = match part.child.clone() {
            IndexChild::Stored(child) => RootContent::Manifest(child),
            IndexChild::Image(_, draft) => RootContent::Draft(draft),
            IndexChild::Index(_, index) => RootContent::Index(index),
        };
        roots.push(Root {
            content,
            tags: Vec::new(),
        });
        all = all.with(part);
    }
    let (source, _) = all.into_root();
    (source, roots)
}

impl From<NewIndex> for OpenedSource {
    fn from(index: NewIndex) -> Self {
        let (source, content) = index.into_root();
        OpenedSource::new(Arc::new(source), content)
    }
}
