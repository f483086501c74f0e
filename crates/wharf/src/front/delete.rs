//! Deletes tags and manifests.

use wharf_oci::{Reference, Selector};

use super::Wharf;
use crate::{Error, ErrorKind, Result};

impl Wharf {
    /// Deletes the tag that `at` names, or the manifest of its digest with all tags. Here no tag
    /// does not mean `latest`.
    ///
    /// ```no_run
    /// use wharf::{Client, Wharf};
    ///
    /// # async fn example() -> wharf::Result<()> {
    /// let wharf = Wharf::new(Client::builder().build()?);
    /// wharf.delete(&"registry.example/app:old".parse()?).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] if `at` has neither tag nor digest, or both; [`ErrorKind::NotFound`]
    /// if it names nothing; [`ErrorKind::Unsupported`] if the registry does not delete; its other
    /// errors.
    pub async fn delete(&self, at: &Reference) -> Result<()> {
        let selector = deletable(at).map_err(|error| error.target(at))?;
        let store = self.repository(at.repository());
        self.options().copy.retry.delete(&store, &selector).await?;
        tracing::info!(%at, "deleted");
        Ok(())
    }
}

/// What [`Wharf::delete`] deletes: exactly what `at` names. Sends no request.
///
/// # Errors
/// [`ErrorKind::Invalid`] if `at` has neither tag nor digest, or both. The error does not name
/// `at`.
pub fn deletable(at: &Reference) -> Result<Selector> {
    let message = match (at.tag(), at.digest()) {
        (Some(tag), None) => return Ok(Selector::Tag(tag.clone())),
        (None, Some(digest)) => return Ok(Selector::Digest(digest.clone())),
        (None, None) => "no tag and no digest; write REPOSITORY:TAG or REPOSITORY@DIGEST",
        (Some(_), Some(_)) => {
            "a tag and a digest; write REPOSITORY:TAG to delete the tag, REPOSITORY@DIGEST to \
             delete the manifest with all its tags"
        }
    };
    Err(Error::new(ErrorKind::Invalid, message))
}
