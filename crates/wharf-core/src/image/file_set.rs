//! The files that images are built of, for one platform or several.

use wharf_oci::Platform;

use super::EditedImage;
use crate::layer::{AddedLayer, LayerForm, LayerInput, Packing, PlacedFile, TreeOptions};
use crate::{Error, ErrorKind, Result, Side};

/// Files and directories that images are built of: some for every platform, some for one.
///
/// ```
/// # mod wharf {
/// #     pub use wharf_core::*;
/// #     pub use wharf_oci as oci;
/// # }
/// use wharf::image::{EditedImage, FileSet};
/// use wharf::layer::{Family, Packing, PlacedFile, TreeOptions};
///
/// # async fn example() -> wharf::Result<()> {
/// let files = FileSet::new(TreeOptions::default())
///     .with(None, PlacedFile::new("pages", "/srv/pages")?)
///     .with(Some("linux/arm64".parse().expect("a platform")), PlacedFile::new("app", "/app")?);
/// let layers = files.layers(&Packing::default()).await?;
/// let mut image = EditedImage::empty(Family::Oci);
/// image.config.os = "linux".to_owned();
/// image.config.architecture = "arm64".to_owned();
/// let image = layers.put_on(image)?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct FileSet {
    files: Vec<(Option<Platform>, PlacedFile)>,
    options: TreeOptions,
}

/// The layers of a [`FileSet`].
#[derive(Debug)]
pub struct FileLayers {
    /// That of the files for every platform, if there are some.
    common: Option<AddedLayer>,
    own: Vec<(Platform, AddedLayer)>,
}

impl FileSet {
    /// No files yet.
    pub fn new(options: TreeOptions) -> Self {
        FileSet {
            files: Vec::new(),
            options,
        }
    }

    /// Adds a file or directory, for one platform or for all.
    #[must_use]
    pub fn with(mut self, platform: Option<Platform>, file: PlacedFile) -> Self {
        self.files.push((platform, file));
        self
    }

    /// Whether there are no files.
    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// The platforms with files of their own, each once.
    pub fn platforms(&self) -> Vec<Platform> {
        let mut platforms: Vec<Platform> = Vec::new();
        for platform in self
            .files
            .iter()
            .filter_map(|(platform, _)| platform.as_ref())
        {
            if !platforms.contains(platform) {
                platforms.push(platform.clone());
            }
        }
        platforms
    }

    /// The layers of the files: one for those of every platform, which all images share, and one for
    /// the own files of each platform. Looks at all files, and reads none to its end.
    ///
    /// # Errors
    /// As [`LayerInput::files`].
    pub async fn layers(&self, packing: &Packing) -> Result<FileLayers> {
        let common = self.layer(None, packing).await?;
        let mut own = Vec::new();
        for platform in self.platforms() {
            if let Some(layer) = self.layer(Some(&platform), packing).await? {
                own.push((platform, layer));
            }
        }
        Ok(FileLayers { common, own })
    }

    async fn layer(
        &self,
        platform: Option<&Platform>,
        packing: &Packing,
    ) -> Result<Option<AddedLayer>> {
        let files = self.files.iter();
        let files = files.filter(|(own, _)| own.as_ref() == platform);
        let files: Vec<PlacedFile> = files.map(|(_, file)| file.clone()).collect();
        if files.is_empty() {
            return Ok(None);
        }
        let layer = async {
            let input = LayerInput::files(files, self.options.clone()).await?;
            AddedLayer::new(input, packing.clone()).await
        };
        let layer = layer.await.map_err(|error| error.side(Side::Source))?;
        Ok(Some(layer))
    }
}

impl FileLayers {
    /// The image with the files for every platform, and upon them those for its own.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] for an artifact; as [`AddedLayer::layer`].
    pub fn put_on(&self, mut image: EditedImage) -> Result<EditedImage> {
        let platform = image.config.platform();
        let own = self.own.iter();
        let own = own.filter(|(wanted, _)| platform.matches(wanted));
        let layers: Vec<&AddedLayer> = self
            .common
            .iter()
            .chain(own.map(|(_, layer)| layer))
            .collect();
        if !layers.is_empty() && !image.is_runnable() {
            let message = "an artifact cannot be a base image";
            return Err(Error::new(ErrorKind::Unsupported, message));
        }
        let form = LayerForm::of(&image.config.os);
        for layer in layers {
            let layer = layer.layer(image.family(), form)?;
            image = image.append(layer);
        }
        Ok(image)
    }

    /// Fails for a platform with files of its own and without an image among `images`.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`], naming the first such platform.
    pub fn check<'a>(&self, images: impl IntoIterator<Item = &'a EditedImage>) -> Result<()> {
        let images = images.into_iter().map(|image| image.config.platform());
        let images: Vec<Platform> = images.collect();
        let homeless = |platform: &Platform| !images.iter().any(|image| image.matches(platform));
        let mut own = self.own.iter().map(|(platform, _)| platform);
        match own.find(|platform| homeless(platform)) {
            None => Ok(()),
            Some(platform) => {
                let message = format!("files for {platform}, but no image for it");
                Err(Error::new(ErrorKind::NotFound, message))
            }
        }
    }
}
