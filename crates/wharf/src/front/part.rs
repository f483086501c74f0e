//! Parts of indexes, for some platforms.

use std::sync::Arc;

use wharf_oci::{Manifest, Payload, Platform};

use super::Wharf;
use crate::copy::LeftOut;
use crate::place::{OpenedSource, part};
use crate::store::Joined;
use crate::{Result, RootContent, Side};

/// The part of an index that is for some platforms.
#[derive(Clone, Debug)]
pub struct PlatformPart {
    /// A smaller index, which has another digest unless it keeps everything.
    pub smaller: OpenedSource,
    /// The manifests that a copy of the index as it is has to leave out, to be of the same part. Few
    /// registries take an index without all its children.
    pub left_out: LeftOut,
    /// How many children it keeps.
    pub kept: usize,
    /// How many there are.
    pub of: usize,
}

impl Wharf {
    /// The part of an opened index that is for one of `platforms`, with what builders attest of it;
    /// `None` if it is no index. Indexes below it become smaller too. What is kept stays as it is.
    ///
    /// ```no_run
    /// use wharf::place::Access;
    /// use wharf::{Client, Wharf};
    ///
    /// # async fn example() -> wharf::Result<()> {
    /// let wharf = Wharf::new(Client::builder().build()?);
    /// let index = wharf.open(&"registry.example/app:1".parse()?).await?;
    /// let platforms = ["linux/amd64".parse().expect("one"), "linux/arm64".parse().expect("one")];
    /// if let Some(part) = wharf.part(&index, &platforms).await? {
    ///     println!("{} of {} images", part.kept, part.of);
    ///     let to = "other.example/app:1".parse()?;
    ///     let store = wharf.destination(&to, &part.smaller, Access::Write).await?;
    ///     wharf.write(&part.smaller, &store).await?;
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) if it has nothing for one of them; names
    /// it. The source's errors.
    pub async fn part(
        &self,
        opened: &OpenedSource,
        platforms: &[Platform],
    ) -> Result<Option<PlatformPart>> {
        let part = self.read_part(opened, platforms).await;
        part.map_err(|error| error.side(Side::Source))
    }

    async fn read_part(
        &self,
        opened: &OpenedSource,
        platforms: &[Platform],
    ) -> Result<Option<PlatformPart>> {
        let root = match &opened.content {
            RootContent::Manifest(root) if !root.media_type.is_image_manifest() => root,
            _ => return Ok(None),
        };
        let source = opened.source.as_ref();
        let source = source.raw_source().unwrap_or(source);
        let whole = match &opened.manifest {
            Some(manifest) => manifest.clone(),
            None => self.retry(|| source.manifest(root)).await?,
        };
        let Payload::Index(index) = whole.payload() else {
            return Ok(None);
        };
        let of = index.manifests.len();
        let smaller = self
            .retry(|| part::smaller(source, &whole, platforms))
            .await?;
        let made = (smaller.manifest, smaller.below);
        Ok(Some(PlatformPart {
            smaller: match made.0.digest() == whole.digest() {
                true => opened.clone(),
                false => held(opened, made).await?,
            },
            left_out: smaller.left_out.into_iter().collect(),
            kept: smaller.kept,
            of,
        }))
    }
}

/// The same source with a root and manifests that it does not have.
async fn held(
    opened: &OpenedSource,
    (root, below): (Manifest, Vec<Manifest>),
) -> Result<OpenedSource> {
    let mut joined = Joined::new();
    joined.add(Arc::clone(&opened.source), []);
    for manifest in below.iter().chain([&root]) {
        joined.hold(manifest).await?;
    }
    Ok(OpenedSource {
        source: Arc::new(joined),
        content: root.descriptor().clone().into(),
        manifest: None,
        ..opened.clone()
    })
}
