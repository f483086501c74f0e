//! Makes one layer of all layers of an image.

use super::{Wharf, is_attestation};
use crate::Result;
use crate::image::{Edited, Flattening};
use crate::layer::{Packing, Settings};

/// What the history says of the making.
const CREATED_BY: &str = "wharf flatten";

/// The level of gzip: the layer is read more often than it is made.
const LEVEL: u8 = 9;

impl Wharf {
    /// An image, or each image of an index, with one layer in the place of all: the files that a
    /// container would see. `created` is the time in config and history, RFC 3339. What is
    /// attested about the images of an index is left out, as it speaks of other content.
    ///
    /// The layers are read while the result is written.
    ///
    /// ```no_run
    /// use wharf::place::Access;
    /// use wharf::{Client, Wharf};
    ///
    /// # async fn example() -> wharf::Result<()> {
    /// let wharf = Wharf::new(Client::builder().build()?);
    /// let opened = wharf.read(&"registry.example/app:1".parse()?).await?;
    /// let edited = wharf.edit(&opened).await?;
    /// let result = opened.changed_to(wharf.flatten(edited, "2026-01-01T00:00:00Z")?);
    /// let to = "registry.example/app:flat".parse()?;
    /// let store = wharf.destination(&to, &result, Access::Write).await?;
    /// println!("{}", wharf.write(&result, &store).await?.descriptor.digest);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`EditedImage::flattened`](crate::image::EditedImage::flattened).
    pub fn flatten(&self, edited: Edited, created: &str) -> Result<Edited> {
        let options = self.options();
        let how = Flattening {
            created: created.to_owned(),
            created_by: CREATED_BY.to_owned(),
            packing: Packing::Gzip(Settings { level: LEVEL }),
            spool_dir: options.places.spool_dir.clone(),
            retry: options.copy.retry,
        };
        let edited = match edited {
            Edited::Index(index) => Edited::Index(index.without(&is_attestation)),
            image => image,
        };
        edited.map(&mut |image, _| image.flattened(&how))
    }
}
